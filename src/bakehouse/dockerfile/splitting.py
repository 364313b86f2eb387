"""One instruction's text to its parts: keyword, flags, and arguments split as the keyword asks (dockerfile.md
§1.3, §1.4)."""

from __future__ import annotations

import json
from collections.abc import Callable

from bakehouse.dockerfile.heredoc import Heredoc
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.go.text import SPACES, lower, quote, replace_invalid
from bakehouse.lazy import regex
from bakehouse.values import dataclass

_BLANKS = regex(r"[\t\v\f\r ]+")
_NOWHERE = LineRange(0, 0)


@dataclass(frozen=True, slots=True)
class Node:
    """One instruction, split but not understood. `keyword` is as written, `original` the joined text it was
    made of.

    `args` depends on the instruction: words, one string, or triples of key, value and separator (ENV, LABEL).
    For ONBUILD they are the inner keyword and its arguments, and `child` is the inner node. `pieces` say which
    characters of the file `original` is made of: (offset in it, line, column) of each piece of a line.
    """

    keyword: str
    original: str
    flags: tuple[str, ...]
    args: tuple[str, ...]
    is_json: bool = False
    child: "Node | None" = None
    comments: tuple[str, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()
    location: LineRange = _NOWHERE
    escape: str = "\\"
    pieces: tuple[tuple[int, int, int], ...] = ((0, 1, 1),)

    @property
    def command(self) -> str:
        """The keyword in lower case."""
        return lower(self.keyword)


@dataclass(frozen=True, slots=True)
class _Arguments:
    args: list[str]
    is_json: bool = False
    child: Node | None = None


class _NotStrings(Exception):
    """A JSON array that holds something other than strings."""


def parse_node(line: str, escape: str, comments: tuple[str, ...] = ()) -> Node:
    """Splits the text of one instruction. Raises `DockerfileError` without a location.

    A keyword that does not exist makes a node too, with one empty argument: only its use is an error.
    """
    keyword, flags, rest = _split_command(line, escape)
    splitter = _SPLITTERS.get(lower(keyword), _ignore)
    arguments = splitter(rest, escape)
    return Node(
        keyword=keyword,
        original=line,
        flags=tuple(flags),
        args=tuple(arguments.args),
        is_json=arguments.is_json,
        child=arguments.child,
        comments=comments,
        escape=escape,
    )


def flags_end(text: str, position: int, escape: str) -> int:
    """Where the arguments begin in the text of an instruction: behind the keyword, which ends at `position`, and the
    flags."""
    rest = text[position:]
    after = _extract_flags(rest, escape)[1]
    return position + len(rest) - len(after)


def _split_command(line: str, escape: str) -> tuple[str, list[str], str]:
    parts = _BLANKS.split(line.strip(SPACES), maxsplit=1)
    if len(parts) == 1:
        return parts[0], [], ""
    flags, rest = _extract_flags(parts[1], escape)
    return parts[0], flags, rest.strip(SPACES)


def _extract_flags(text: str, escape: str) -> tuple[list[str], str]:
    """The leading words that begin with `--`, and the rest.

    BuildKit looks at bytes here, each as if it were a character: beyond ASCII a flag is garbled, and a byte
    that would be a blank in Latin-1 ends it. The text is therefore walked in that form.
    """
    data = text.encode("utf-8", "surrogateescape").decode("latin-1")
    flags: list[str] = []
    position = 0
    while True:
        while position < len(data) and data[position] in SPACES:
            position += 1
        if not data.startswith("--", position):
            return flags, _from_bytes(data[position:])
        word, quoted, position = _flag_word(data, position, escape)
        if word == "--":
            return flags, _from_bytes(data[position:])
        if word or quoted:
            flags.append(word)


def _flag_word(data: str, position: int, escape: str) -> tuple[str, bool, int]:
    """One flag without quotes and escapes, whether it had quotes, and the position behind it."""
    out: list[str] = []
    quote_char, quoted = "", False
    while position < len(data):
        char = data[position]
        if not quote_char and char in SPACES:
            break
        if quote_char and char == quote_char:
            quote_char = ""
        elif not quote_char and char in "'\"":
            quote_char, quoted = char, True
        elif char == escape:
            position += 1
            out.append(data[position : position + 1])
        else:
            out.append(char)
        position += 1
    return "".join(out), quoted, min(position, len(data))


def _from_bytes(data: str) -> str:
    return data.encode("latin-1").decode("utf-8", "surrogateescape")


def _ignore(rest: str, escape: str) -> _Arguments:
    return _Arguments([""])


def _whole(rest: str, escape: str) -> _Arguments:
    return _Arguments([rest] if rest else [])


def _whitespace_words(rest: str, escape: str) -> _Arguments:
    return _Arguments(_BLANKS.split(rest) if rest else [])


def _onbuild(rest: str, escape: str) -> _Arguments:
    if not rest:
        return _Arguments([])
    child = parse_node(rest, escape)
    return _Arguments([child.keyword, *child.args], child=child)


def _json_or_whole(rest: str, escape: str) -> _Arguments:
    strings = _json_strings(rest)
    return _whole(rest, escape) if strings is None else _Arguments(strings, is_json=True)


def _json_or_words(rest: str, escape: str) -> _Arguments:
    strings = _json_strings(rest)
    return _whitespace_words(rest, escape) if strings is None else _Arguments(strings, is_json=True)


def _json_strings(rest: str) -> list[str] | None:
    """The strings of a JSON array, or None when `rest` is no JSON array. Raises `DockerfileError` for other
    elements."""
    rest = rest.lstrip(SPACES)
    if not rest.startswith("["):
        return None
    try:
        values = json.loads(rest, parse_float=_finite, parse_int=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(value, str) for value in values):
        raise DockerfileError(
            "when using JSON array syntax, arrays must be comprised of strings only", code="json-not-strings"
        )
    return [replace_invalid(value) for value in values]


def _finite(text: str) -> float:
    """A number of JSON as BuildKit reads it: one that a double cannot hold, or `NaN`, makes the text not
    JSON."""
    value = float(text)
    if value - value != 0:
        raise ValueError(text)
    return value


def _health_check(rest: str, escape: str) -> _Arguments:
    data = rest.encode("utf-8", "surrogateescape").decode("latin-1")  # byte by byte, as for flags
    end = next((index for index, char in enumerate(data) if char in SPACES), len(data))
    if end == 0:
        return _Arguments([])
    command = _json_or_whole(_from_bytes(data[end:].lstrip(SPACES)), escape)
    return _Arguments([_from_bytes(data[:end]), *command.args], is_json=command.is_json)


def _env(rest: str, escape: str) -> _Arguments:
    return _Arguments(_key_values(rest, "ENV", escape))


def _label(rest: str, escape: str) -> _Arguments:
    return _Arguments(_key_values(rest, "LABEL", escape))


def _arg(rest: str, escape: str) -> _Arguments:
    return _Arguments(quoted_words(rest, escape))


def _key_values(rest: str, keyword: str, escape: str) -> list[str]:
    """Triples of key, value and `=`; the last is empty for the legacy form, which holds one pair only."""
    words = quoted_words(rest, escape)
    if not words:
        return []
    if "=" not in words[0]:
        parts = _BLANKS.split(rest, maxsplit=1)
        if len(parts) < 2:
            raise DockerfileError(f"{keyword} must have two arguments", code="missing-value")
        return [parts[0], parts[1], ""]
    out: list[str] = []
    for word in words:
        key, separator, value = word.partition("=")
        if not separator:
            raise DockerfileError(
                f"Syntax error - can't find = in {quote(word)}. Must be of the form: name=value",
                code="missing-equals-sign",
            )
        out += (key, value, "=")
    return out


def quoted_words(text: str, escape: str) -> list[str]:
    """Words separated by blanks outside quotes; quotes and escapes stay in the words."""
    text = replace_invalid(text)
    words: list[str] = []
    position = 0
    while True:
        while position < len(text) and text[position] in SPACES:
            position += 1
        if position == len(text):
            return words
        word, position = _quoted_word(text, position, escape)
        if word:
            words.append(word)


def _quoted_word(text: str, position: int, escape: str) -> tuple[str, int]:
    out: list[str] = []
    quote_char = ""
    while position < len(text):
        char = text[position]
        if not quote_char and char in SPACES:
            break
        position += 1
        if char == escape and quote_char != "'":
            if position == len(text):
                break  # an escape at the very end disappears
            out.append(char + text[position])
            position += 1
            continue
        if quote_char:
            if char == quote_char:
                quote_char = ""
        elif char in "'\"":
            quote_char = char
        out.append(char)
    return "".join(out), position


_SPLITTERS: dict[str, Callable[[str, str], _Arguments]] = {
    "add": _json_or_words,
    "arg": _arg,
    "cmd": _json_or_whole,
    "copy": _json_or_words,
    "entrypoint": _json_or_whole,
    "env": _env,
    "expose": _whitespace_words,
    "from": _whitespace_words,
    "healthcheck": _health_check,
    "label": _label,
    "maintainer": _whole,
    "onbuild": _onbuild,
    "run": _json_or_whole,
    "shell": _json_or_whole,
    "stopsignal": _whole,
    "user": _whole,
    "volume": _json_or_words,
    "workdir": _whole,
}

#: Keywords of the instructions in which quotes hold words together.
QUOTED_KEYWORDS = frozenset({"arg", "cmd", "entrypoint", "env", "healthcheck", "label", "run", "shell"})
#: The keywords of all instructions, in upper case.
KEYWORDS = tuple(sorted(name.upper() for name in _SPLITTERS))
