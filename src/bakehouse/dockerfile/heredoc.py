"""Here-documents: which words open one, and how their names read (dockerfile.md §2). Bodies are read by
`parser`."""

from __future__ import annotations

import re

from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.dockerfile.words import ShellLexer
from bakehouse.lazy import regex
from bakehouse.values import dataclass

_HEREDOC = regex(r"([0-9]*)<<(-?)[\t\n\f\r ]*([^<]*)")
_LEADING_TABS = regex(r"^\t+", re.MULTILINE)
_NO_ENV: dict[str, str] = {}
_MAX_FD = (1 << 64) - 1

# The escape character of a name is always a backslash, whatever the `escape` directive says.
_NAME_LEXER = ShellLexer(skip_unset_env=True)
_RAW_NAME_LEXER = ShellLexer(raw_quotes=True, skip_unset_env=True)
_LINE_LEXER = ShellLexer(raw_quotes=True, raw_escapes=True, skip_unset_env=True)


@dataclass(frozen=True, slots=True)
class Heredoc:
    """`expand` is False when any part of the name was quoted; `chomp` stands for `<<-`. `content` is the
    body's raw text."""

    name: str
    file_descriptor: int = 0
    expand: bool = True
    chomp: bool = False
    content: str = ""


def parse_heredoc(word: str) -> Heredoc | None:
    """The here-document that `word` opens, without its body, or None. A name that cannot be lexed opens
    none."""
    try:
        return _parse(word)
    except DockerfileError:
        return None


def heredocs_of_line(line: str) -> list[Heredoc]:
    """The here-documents that the words of an instruction open, in order. Raises `DockerfileError` for a bad
    name."""
    try:
        words = _LINE_LEXER.process_words(line, _NO_ENV)
    except DockerfileError:
        return []  # quotes that do not match belong to the shell, and then nothing is a here-document
    return [heredoc for word in words if (heredoc := _parse(word)) is not None]


def chomp_content(content: str) -> str:
    """`content` without the leading tabs of its lines, as `<<-` asks."""
    return _LEADING_TABS.sub("", content)


def _parse(word: str) -> Heredoc | None:
    match = _HEREDOC.fullmatch(word)
    if match is None or not match[3]:
        return None
    names = _NAME_LEXER.process_words(match[3], _NO_ENV)
    if len(names) != 1:
        return None
    raw_names = _RAW_NAME_LEXER.process_words(match[3], _NO_ENV)
    if len(raw_names) != 1:
        raise DockerfileError(
            f"internal lexing of heredoc produced inconsistent results: {match[3]}", code="heredoc-name"
        )
    return Heredoc(
        name=names[0],
        file_descriptor=_file_descriptor(match[1]),
        expand=_quotes(names[0]) == _quotes(raw_names[0]),
        chomp=match[2] == "-",
    )


def _file_descriptor(digits: str) -> int:
    if len(digits) > 20:
        return _MAX_FD
    return min(int(digits or "0"), _MAX_FD)


def _quotes(text: str) -> int:
    return text.count("'") + text.count('"')
