"""Parser directives: `# key=value` lines at the top of a Dockerfile (dockerfile.md §1.1).

Two readers exist, as in BuildKit: the parser feeds `DirectiveReader` left-trimmed lines, while
`directive_value` (which finds `syntax` and `check` before anything is parsed) sees lines as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.go.text import SPACES
from bakehouse.lazy import regex
from bakehouse.values import dataclass

SYNTAX = "syntax"
CHECK = "check"
ESCAPE = "escape"

#: The longest line, in bytes, that BuildKit reads.
MAX_LINE_BYTES = 65535

_KNOWN = frozenset((SYNTAX, CHECK, ESCAPE))
_DIRECTIVE = regex(r"([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*")


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive: `name` in lower case, `value` as written, `line` from 1."""

    name: str
    value: str
    line: int

    @property
    def first_word(self) -> str:
        """The value up to its first space: the part of `syntax` and `check` that counts."""
        return self.value.partition(" ")[0]


class DirectiveReader:
    """Reads directive lines one after the other. The first line that is none ends the directives for good."""

    __slots__ = ("_done", "_line", "_marker", "_seen")

    def __init__(self, marker: str = "#", first_line: int = 1) -> None:
        self._marker = marker
        self._line = first_line - 1
        self._seen: set[str] = set()
        self._done = False

    @property
    def done(self) -> bool:
        return self._done

    def read(self, line: str) -> Directive | None:
        """The directive on the next line, or None. Raises `DockerfileError` when a key comes twice."""
        self._line += 1
        if self._done:
            return None
        match = None
        if line.startswith(self._marker):
            match = _DIRECTIVE.fullmatch(line[len(self._marker) :].lstrip(SPACES))
        name = match[1].lower() if match else ""
        if match is None or name not in _KNOWN:
            self._done = True
            return None
        if name in self._seen:
            raise DockerfileError(
                f"only one {name} parser directive can be used", code="duplicate-parser-directive"
            )
        self._seen.add(name)
        return Directive(name, match[2], self._line)

    def read_quietly(self, line: str) -> Directive | None:
        """`read`, with a duplicate taken for no directive."""
        try:
            return self.read(line)
        except DockerfileError:
            return None


def directive_value(name: str, text: str) -> Directive | None:
    """The directive `name` of a whole Dockerfile, as BuildKit finds `check` before it parses.

    A byte order mark and a first line `#!` are skipped. A duplicate key ends the search quietly.
    """
    body, first_line = _without_preamble(text)
    return _find(name, body, DirectiveReader("#", first_line))


def detect_syntax(text: str) -> Directive | None:
    """The `syntax` of a definition: a `#` directive, else a `//` one, else the key of a JSON object."""
    body, first_line = _without_preamble(text)
    for marker in ("#", "//"):
        found = _find(SYNTAX, body, DirectiveReader(marker, first_line))
        if found is not None:
            return found
    if not body.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    syntax = value.get(SYNTAX)
    return Directive(SYNTAX, syntax, first_line - 1) if isinstance(syntax, str) else None


def syntax_image(text: str) -> tuple[str, str, LineRange] | None:
    """(frontend image, whole value, line) of the `syntax` directive, or None. A JSON syntax counts whole."""
    found = detect_syntax(text)
    if found is None:
        return None
    image = found.first_word if found.line else found.value
    return image, found.value, LineRange(found.line, found.line)


def _without_preamble(text: str) -> tuple[str, int]:
    body = text.removeprefix("\ufeff")
    if body.startswith("#!"):
        return body.partition("\n")[2], 2
    return body, 1


def _find(name: str, body: str, reader: DirectiveReader) -> Directive | None:
    for line in _lines(body):
        found = reader.read_quietly(line)
        if found is not None and found.name == name:
            return found
        if found is None:
            return None  # done, or a duplicate: either ends the directives
    return None


def _lines(body: str) -> Iterator[str]:
    """Lines without their ends, up to the first that is too long to be read."""
    position = 0
    while position < len(body):
        end = body.find("\n", position)
        end = len(body) if end < 0 else end
        line = body[position:end]
        if too_long(line):
            return
        yield line.removesuffix("\r")
        position = end + 1


def too_long(line: str) -> bool:
    """Whether a line (without its line feed) is longer than BuildKit reads."""
    if len(line) * 4 <= MAX_LINE_BYTES:
        return False
    return len(line.encode("utf-8", "surrogateescape")) > MAX_LINE_BYTES
