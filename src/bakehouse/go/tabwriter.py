"""Columns of text as Go's `text/tabwriter` aligns them."""

from __future__ import annotations


def align(text: str, *, padding: int, tab_width: int = 0) -> str:
    """`text` with its cells aligned: a tab (or vertical tab) ends a cell, a line feed a line.

    Columns are `padding` wider than their widest cell and filled with blanks; with a `tab_width` they are rounded up
    to it and filled with tabs. A column is a run of adjacent lines that have a cell there before another tab, so each
    run is measured by itself, and what follows a line's last tab is in no column. A form feed ends the line and all
    columns.
    """
    return "\n".join([_align_block(block, padding, tab_width) for block in text.split("\f")])


def _align_block(text: str, padding: int, tab_width: int) -> str:
    lines = [line.split("\t") for line in text.replace("\v", "\t").split("\n")]
    widths = _widths(lines, padding)
    out = []
    for cells, line_widths in zip(lines, widths, strict=True):
        filled = [_fill(cell, width, tab_width) for cell, width in zip(cells, line_widths, strict=False)]
        out.append("".join(filled) + cells[-1])
    return "\n".join(out)


def _fill(cell: str, width: int, tab_width: int) -> str:
    if not tab_width:
        return cell.ljust(width)
    rounded = -(-width // tab_width) * tab_width
    return cell + "\t" * -(-(rounded - len(cell)) // tab_width)


def _widths(lines: list[list[str]], padding: int) -> list[list[int]]:
    """The widths of every line's cells that end with a tab."""
    widths: list[list[int]] = [[] for _ in lines]
    pending = [(0, len(lines), 0)]
    while pending:
        line, end, column = pending.pop()
        while line < end:
            first = line
            while line < end and len(lines[line]) - 1 > column:
                line += 1
            if line == first:
                line += 1
                continue
            width = max(len(lines[index][column]) for index in range(first, line)) + padding
            for index in range(first, line):
                widths[index].append(width)
            pending.append((first, line, column + 1))
    return widths
