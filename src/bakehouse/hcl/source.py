"""A source text with its positions: turns offsets of code points into lines, columns and bytes, on demand.

Nodes and tokens keep offsets only, since almost no range is ever shown. Columns count grapheme clusters, and clusters
are counted anew from each token, as hashicorp/hcl does. On the start-up path.
"""

from __future__ import annotations

from bakehouse.diagnostics import Position, SourceRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Source:
    """The text of a file, or of a string within one: `line`, `column` and `byte` say where it begins.

    Bytes that are not UTF-8 appear in `text` as lone surrogates (`surrogateescape`). A byte order mark is left
    out of the text but counted in byte offsets.
    """

    __slots__ = ("_ascii", "_lines", "byte", "column", "filename", "line", "text", "token_starts")

    def __init__(
        self, text: str | bytes, filename: str, line: int = 1, column: int = 1, byte: int = 0
    ) -> None:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "surrogateescape")
        if text.startswith("\ufeff"):
            text = text[1:]
            byte += 3
        self.text = text
        self.filename = filename
        self.line = line
        self.column = column
        self.byte = byte
        self.token_starts: Sequence[int] = ()
        self._ascii = text.isascii()
        self._lines: list[int] | None = None

    def _line_starts(self) -> list[int]:
        if self._lines is None:
            lines = [0]
            find, at = self.text.find, 0
            while (at := find("\n", at) + 1) > 0:
                lines.append(at)
            self._lines = lines
        return self._lines

    def position(self, offset: int) -> Position:
        """The place of the code point at `offset`."""
        from bisect import bisect_right

        lines = self._line_starts()
        index = bisect_right(lines, offset) - 1
        start = lines[index]
        if self._ascii:
            column, byte = offset - start, offset
        else:
            column = self._column(start, offset)
            byte = len(self.text[:offset].encode("utf-8", "surrogateescape"))
        return Position(self.line + index, column + (self.column if index == 0 else 1), self.byte + byte)

    def _column(self, start: int, offset: int) -> int:
        """Clusters between `start` and `offset`, with a fresh count at every token."""
        segment = self.text[start:offset]
        if segment.isascii():
            return len(segment)
        from bisect import bisect_left, bisect_right

        from bakehouse.hcl.graphemes import count_clusters

        starts = self.token_starts
        low, high = bisect_right(starts, start), bisect_left(starts, offset)
        cuts = [start, *starts[low:high], offset]
        return sum(count_clusters(self.text[cuts[index] : cuts[index + 1]]) for index in range(len(cuts) - 1))

    def range(self, start: int, end: int) -> SourceRange:
        return SourceRange(self.filename, self.position(start), self.position(end))
