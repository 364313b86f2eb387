"""Comments `# lint:ignore RULE, RULE` in HCL files: on the line of a finding, or directly above it. JSON has no
comments; there `--skip` is the way."""

from __future__ import annotations

import re

from bakehouse.bake.suggestions import suggestion
from bakehouse.hcl.lexer import EOF, NEWLINE, tokenize
from bakehouse.hcl.source import Source
from bakehouse.insight.lint.report import Finding
from bakehouse.insight.lint.rules import RULES_BY_ID, UNKNOWN_RULE
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MARK = "lint:ignore"
_COMMENT = regex(r"(?:#|//)\s*lint:ignore\b([^\n]*)")
_RULE = regex(r"[A-Za-z][A-Za-z0-9-]*")


class Silenced:
    """Which rules are silenced on which lines of which files."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._lines: dict[tuple[str, int], set[str]] = {}
        self.findings: list[Finding] = []
        for name, text in sources.items():
            if _MARK in text and not name.endswith(".json"):
                self._read(Source(text, name))

    def hides(self, finding: Finding) -> bool:
        place = finding.place
        if place is None:
            return False
        return finding.rule.id in self._lines.get((place.filename, place.start.line), ())

    def _read(self, source: Source) -> None:
        code = _lines_of_code(source)
        for start, end in _comments(source):
            found = _COMMENT.match(source.text[start:end])
            if found is None:
                continue
            line = source.position(start).line
            # Beside code a comment is about that line, else about the next line that has code.
            if line not in code:
                line = min((other for other in code if other > line), default=line)
            ids = self._rules(found, source, start)
            self._lines.setdefault((source.filename, line), set()).update(ids)

    def _rules(self, found: re.Match[str], source: Source, start: int) -> Iterator[str]:
        """The rules that a comment names: identifiers with commas between them; what follows is a reason."""
        at = found.start(1)
        text = found[0]
        while (match := _RULE.match(text, _skip_blanks(text, at))) is not None:
            if match[0] in RULES_BY_ID:
                yield match[0]
            else:
                place = source.range(start + match.start(), start + match.end())
                hint = suggestion(match[0], RULES_BY_ID)
                self.findings.append(Finding(UNKNOWN_RULE, f"there is no rule {match[0]}", place, hint))
            at = _skip_blanks(text, match.end())
            if text[at : at + 1] != ",":
                return
            at += 1


def _skip_blanks(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t"):
        at += 1
    return at


def _tokens(source: Source) -> Iterable[tuple[int, int, int]]:
    tokens, _ = tokenize(source)
    return zip(tokens.kinds, tokens.starts, tokens.ends, strict=True)


def _comments(source: Source) -> Iterator[tuple[int, int]]:
    """The offsets of line comments. The last one of a file may lack the newline that makes it a token."""
    text = source.text
    last = 0
    for kind, start, end in _tokens(source):
        if kind == NEWLINE and text[start] in "#/":
            yield start, end
        if kind != EOF:
            last = end
    rest = text[last:]
    if rest.lstrip().startswith(("#", "//")):
        yield last + len(rest) - len(rest.lstrip()), len(text)


def _lines_of_code(source: Source) -> set[int]:
    """The lines on which something other than a comment or a line's end stands."""
    lines: set[int] = set()
    for kind, start, end in _tokens(source):
        if kind not in (NEWLINE, EOF):
            lines.update(range(source.position(start).line, source.position(end).line + 1))
    return lines
