"""A clock that stands still until it is told to move, and a small terminal that obeys what the live display writes."""

from __future__ import annotations

import io
import re

_TOKEN = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])|(.)", re.DOTALL)


class FakeClock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeTerminal(io.StringIO):
    """Keeps the screen as lines without end (no scrolling), the cursor's visibility, and what was not understood."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        super().__init__()
        self.columns, self.rows = columns, rows
        self.lines: list[str] = [""]
        self.row = 0
        self.column = 0
        self.cursor_visible = True
        self.colors: list[str] = []
        self.unknown: list[str] = []

    def isatty(self) -> bool:
        return True

    def size(self) -> tuple[int, int]:
        return self.columns, self.rows

    def write(self, text: str) -> int:
        for match in _TOKEN.finditer(text):
            if match[3] is not None:
                self._char(match[3])
            else:
                self._sequence(match[1], match[2])
        return len(text)

    def _char(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":  # a terminal driver adds the carriage return
            self.column = 0
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        elif ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0:
            self.unknown.append(char)
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
            self.column += 1

    def _sequence(self, parameters: str, final: str) -> None:
        if final == "A":
            self.row = max(0, self.row - int(parameters))
        elif final == "K":
            self.lines[self.row] = self.lines[self.row][: self.column]
        elif final == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            del self.lines[self.row + 1 :]
        elif final == "m":
            self.colors.append(parameters)
        elif parameters == "?25":
            self.cursor_visible = final == "h"
        else:
            self.unknown.append(parameters + final)

    def screen(self) -> list[str]:
        lines = [line.rstrip() for line in self.lines]
        while lines and not lines[-1]:
            lines.pop()
        return lines
