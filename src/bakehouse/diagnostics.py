"""Source positions, ranges and collected findings, and the one renderer of source excerpts.

Language rooms (`hcl`, `bake`, `dockerfile`) collect `Diagnostic` values and raise one `DiagnosticsError` that
holds them all, the first being the one that the peer would report. On the start-up path: no `dataclasses`.
"""

from __future__ import annotations

from bakehouse.errors import DefinitionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

ERROR = "error"
WARNING = "warning"
#: The code of a finding that only follows from another one: it counts, as with the peers, but says nothing new.
FOLLOW_UP = "follow-up"


class Position:
    """A place in a source text: `line` from 1, `column` from 1 (grapheme clusters in HCL, code points in
    Dockerfiles), `byte` offset from 0 into the UTF-8 text."""

    __slots__ = ("byte", "column", "line")

    def __init__(self, line: int, column: int, byte: int) -> None:
        self.line = line
        self.column = column
        self.byte = byte

    def __repr__(self) -> str:
        return f"{self.line}:{self.column}@{self.byte}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Position) and (self.line, self.column, self.byte) == (
            other.line,
            other.column,
            other.byte,
        )

    def __hash__(self) -> int:
        return hash((self.line, self.column, self.byte))


class SourceRange:
    """A half-open range `[start, end)` in the file `filename` (as the user named it)."""

    __slots__ = ("end", "filename", "start")

    def __init__(self, filename: str, start: Position, end: Position) -> None:
        self.filename = filename
        self.start = start
        self.end = end

    def __repr__(self) -> str:
        return f"{self.filename}:{self}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceRange) and (self.filename, self.start, self.end) == (
            other.filename,
            other.start,
            other.end,
        )

    def __hash__(self) -> int:
        return hash((self.filename, self.start, self.end))

    def as_json(self) -> dict[str, object]:
        """As JSON output shows it: lines and columns from 1, the end exclusive."""
        return {
            "file": self.filename,
            "start": {"line": self.start.line, "column": self.start.column},
            "end": {"line": self.end.line, "column": self.end.column},
        }

    def __str__(self) -> str:
        """`LINE,COL-COL`, or `LINE,COL-LINE,COL` when it spans lines: HCL's own notation."""
        start, end = self.start, self.end
        if start.line == end.line:
            return f"{start.line},{start.column}-{end.column}"
        return f"{start.line},{start.column}-{end.line},{end.column}"


class Diagnostic:
    """One finding. `subject` is the tight range, `context` a wider one; either may be None.

    `summary` is a short phrase without a final period, `detail` whole sentences with advice.
    """

    __slots__ = ("code", "context", "detail", "severity", "subject", "summary")

    def __init__(
        self,
        summary: str,
        detail: str = "",
        *,
        subject: SourceRange | None = None,
        context: SourceRange | None = None,
        severity: str = ERROR,
        code: str = "",
    ) -> None:
        self.severity = severity
        self.summary = summary
        self.detail = detail
        self.subject = subject
        self.context = context
        self.code = code

    def __repr__(self) -> str:
        return f"Diagnostic({self})"

    def __str__(self) -> str:
        """`FILE:LINE,COL-COL: Summary; Detail` as HCL prints it (reference bake.md §24)."""
        where = f"{self.subject.filename}:{self.subject}: " if self.subject else ""
        return f"{where}{self.summary}; {self.detail}" if self.detail else f"{where}{self.summary}"


class DiagnosticsError(DefinitionError):
    """All findings of a definition, errors first in the order found. `sources` maps file names to their texts, so
    that excerpts can be drawn without reading anything again."""

    default_code = "invalid-definition"

    def __init__(
        self,
        diagnostics: list[Diagnostic],
        sources: dict[str, str] | None = None,
        *,
        message: str | None = None,
        code: str | None = None,
    ) -> None:
        if message is None:
            message = str(diagnostics[0])
            if len(diagnostics) > 1:
                message += f", and {len(diagnostics) - 1} other diagnostic(s)"
        super().__init__(message, code=code)
        self.diagnostics = diagnostics
        self.sources = sources or {}
        first = diagnostics[0].subject if diagnostics else None
        if first is not None and first.filename in self.sources:
            self.excerpt = render_excerpt(
                first.filename, self.sources[first.filename], first.start.line, first.end.line
            )

    def others(self) -> list[Diagnostic]:
        """What is wrong besides the first finding: no follow-ups, nothing twice."""
        seen = {str(self.diagnostics[0])}
        out = []
        for diagnostic in self.diagnostics[1:]:
            text = str(diagnostic)
            if diagnostic.severity == ERROR and diagnostic.code != FOLLOW_UP and text not in seen:
                seen.add(text)
                out.append(diagnostic)
        return out


def render_excerpt(
    filename: str,
    text: str,
    first_line: int,
    last_line: int,
    *,
    marked: Collection[int] | None = None,
    verbatim: bool = False,
) -> str:
    """The lines `first_line..last_line` (from 1) of `text`, marked, with context, as BuildKit and buildx draw them:
    two lines either side of a single line, one either side of several (dockerfile.md §17.1, bake.md §24).

    Only the lines `marked` bear a mark, where they are given. `verbatim` keeps carriage returns. The result has no
    final newline.
    """
    count = text.count("\n") + 1
    first_line = max(1, min(first_line, count))
    around = 2 if first_line >= min(last_line, count) else 1
    lines = render_lines(text, first_line, last_line, around, marked=marked, verbatim=verbatim)
    return "\n".join((f"{filename}:{first_line}", "-" * 20, *lines, "-" * 20))


def render_lines(
    text: str,
    first_line: int,
    last_line: int,
    around: int = 0,
    *,
    marked: Collection[int] | None = None,
    verbatim: bool = False,
) -> list[str]:
    """The lines `first_line..last_line` (from 1) of `text`, numbered, with `around` more on either side; marks and
    `verbatim` as `render_excerpt` has them."""
    lines = text.split("\n")
    first_line = max(1, min(first_line, len(lines)))
    last_line = max(first_line, min(last_line, len(lines)))
    out = []
    for number in range(max(1, first_line - around), min(len(lines), last_line + around) + 1):
        inside = first_line <= number <= last_line if marked is None else number in marked
        line = lines[number - 1] if verbatim else lines[number - 1].rstrip("\r")
        out.append(f" {number:3d} | {'>>>' if inside else '   '} {line}")
    return out
