"""The last lines of a step's output as a small terminal would show them: carriage returns, cursor movements
and erasing are obeyed inside a window of a few lines, everything else that controls a terminal is dropped."""

from __future__ import annotations

import codecs

from bakehouse.lazy import regex
from bakehouse.progress.ansi import char_width, sanitized

_TOKEN = regex(
    r"\x1b\[([0-?]*)[ -/]*([@-~])"  # control sequence
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # operating system command and other strings
    r"|\x1b[ -/]*[0-~]"  # two-character escape
    r"|[^\x00-\x1f\x7f-\x9f]+"  # text
    r"|[\x00-\x1f\x7f-\x9f]"
)
_INCOMPLETE = regex(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?\Z")
_MAX_PENDING = 4096
_TAB = 8


class LogView:
    """A window of `rows` lines and `columns` columns onto what `feed` was given. Lines leave it at the
    top."""

    def __init__(self, rows: int, columns: int) -> None:
        self._rows = max(1, rows)
        self._columns = max(1, columns)
        self._lines: list[list[str]] = [[]]
        self._row = 0
        self._column = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""

    def resize(self, rows: int, columns: int) -> None:
        """A new size for what comes; lines already there are cut to it, not wrapped again."""
        self._rows, self._columns = max(1, rows), max(1, columns)
        surplus = len(self._lines) - self._rows
        if surplus > 0:
            del self._lines[:surplus]
            self._row = max(0, self._row - surplus)
        for line in self._lines:
            del line[self._columns :]
        self._column = min(self._column, self._columns)

    def lines(self) -> list[str]:
        """The lines of the window that hold anything, safe to print."""
        texts = (sanitized("".join(line)).rstrip() for line in self._lines)
        return [text for text in texts if text]

    def feed(self, data: bytes) -> None:
        text = self._pending + self._decoder.decode(data)
        self._pending = ""
        incomplete = _INCOMPLETE.search(text, max(0, len(text) - _MAX_PENDING))
        if incomplete is not None and incomplete[0]:
            self._pending = incomplete[0]
            text = text[: incomplete.start()]
        # What scrolls out at once need not be drawn: only the last lines of a long burst are.
        if len(text) > 65536:
            text = text[-65536:]
        for match in _TOKEN.finditer(text):
            if match[2]:
                self._control_sequence(match[1], match[2])
            elif match[0][0] >= " " and match[0][0] != "\x7f":
                self._print(match[0])
            else:
                self._control(match[0])

    def _control(self, char: str) -> None:
        if char == "\n":
            self._column = 0
            self._down()
        elif char == "\r":
            self._column = 0
        elif char == "\b":
            self._column = max(0, self._column - 1)
        elif char == "\t":
            self._column = min(self._columns - 1, (self._column // _TAB + 1) * _TAB)

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append([])
        if len(self._lines) > self._rows:
            del self._lines[0]
            self._row -= 1

    def _print(self, text: str) -> None:
        for char in text:
            columns = char_width(char)
            if columns == 0:
                self._combine(char)
                continue
            if self._column + columns > self._columns:
                self._column = 0
                self._down()
            line = self._lines[self._row]
            line.extend(" " * (self._column - len(line)))
            # A wide character holds two cells, the second of them empty.
            line[self._column : self._column + columns] = [char, ""][:columns]
            self._column += columns

    def _combine(self, char: str) -> None:
        line = self._lines[self._row]
        if 0 < self._column <= len(line) and len(line[self._column - 1]) < 8:
            line[self._column - 1] += char

    def _control_sequence(self, parameters: str, final: str) -> None:
        first = parameters.split(";")[0]
        number = int(first[:4]) if first.isascii() and first.isdigit() else 0
        count = max(1, number)
        line = self._lines[self._row]
        if final == "A":
            self._row = max(0, self._row - count)
        elif final == "B":
            self._row = min(len(self._lines) - 1, self._row + count)
        elif final == "C":
            self._column = min(self._columns - 1, self._column + count)
        elif final == "D":
            self._column = max(0, self._column - count)
        elif final == "G":
            self._column = min(self._columns - 1, count - 1)
        elif final == "K":
            self._erase_in_line(line, number)
        elif final == "J":
            self._erase_in_window(number)
        elif final in "Hf":
            self._row, self._column = 0, 0

    def _erase_in_line(self, line: list[str], mode: int) -> None:
        if mode == 0:
            del line[self._column :]
        else:
            end = len(line) if mode == 2 else min(len(line), self._column + 1)
            line[:end] = [" "] * end

    def _erase_in_window(self, mode: int) -> None:
        if mode == 0:
            del self._lines[self._row][self._column :]
            del self._lines[self._row + 1 :]
        elif mode == 2 or mode == 3:
            self._lines = [[] for _ in range(self._row + 1)]
