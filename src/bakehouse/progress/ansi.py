"""Terminal text: escape sequences, how wide text is, what is safe to print. Nothing here knows of builds."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from bakehouse.lazy import regex

HIDE_CURSOR = "\x1b[?25l"
SHOW_CURSOR = "\x1b[?25h"
CLEAR_LINE_RIGHT = "\x1b[K"
CLEAR_BELOW = "\x1b[J"
RESET = "\x1b[0m"
FAINT = "\x1b[2m"

_NAMED_COLORS = {
    "default": 39,
    "black": 30,
    "red": 31,
    "green": 32,
    "yellow": 33,
    "blue": 34,
    "magenta": 35,
    "cyan": 36,
    "white": 37,
    "light-black": 90,
    "light-red": 91,
    "light-green": 92,
    "light-yellow": 93,
    "light-blue": 94,
    "light-magenta": 95,
    "light-cyan": 96,
    "light-white": 97,
}
#: Control characters, C1 ones included, and those that reorder text: shown as U+FFFD, a tab as a blank.
_UNSAFE = {
    **dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], "\ufffd"),
    **dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd"),
    **dict.fromkeys([0x2028, 0x2029], "\ufffd"),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
    0x09: " ",
}


_ESCAPE_SEQUENCE = regex(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequence
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # operating system command and other strings
    r"|\x1b[ -/]*[0-~]"  # two-character escape
)


def up(lines: int) -> str:
    """Moves to the first column, `lines` up."""
    return f"\x1b[{lines}A\r" if lines > 0 else "\r"


def sanitized(text: str) -> str:
    """`text` without anything that could move the cursor, change colours or hide what is printed."""
    if text.isascii() and text.isprintable():
        return text
    return _ESCAPE_SEQUENCE.sub("", text).translate(_UNSAFE)


def as_shown(line: str) -> str:
    """One line of output as a terminal leaves it: what stands behind the last carriage return, safe to print."""
    return sanitized(line.rstrip("\r").rpartition("\r")[2])


def char_width(char: str) -> int:
    """The columns that one character takes: 0 for what combines with the one before, 2 for wide ones."""
    if char.isascii():
        return 1
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def width(text: str) -> int:
    return len(text) if text.isascii() else sum(map(char_width, text))


def truncated(text: str, columns: int) -> str:
    """As much of the beginning of `text` as fits into `columns`."""
    if text.isascii():
        return text[: max(columns, 0)]
    used = 0
    for index, char in enumerate(text):
        used += char_width(char)
        if used > columns:
            return text[:index]
    return text


def aligned(left: str, right: str, columns: int) -> str:
    """`left` and `right` at the ends of a line of `columns`, at least one blank between them."""
    return left + " " * max(1, columns - width(left) - width(right)) + right


class Palette:
    """The colours of finished lines, as escape sequences (empty: none).

    `NO_COLOR` turns all off; `BUILDKIT_COLORS` sets them, as in `run=green:error=255,0,0:cancel=light-red`.
    What cannot be read there is ignored: colours are no reason to stop a build.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.enabled = not environ.get("NO_COLOR")
        self._codes = {"run": "34", "cancel": "33", "warning": "33", "error": "31"}
        if self.enabled:
            self._read(environ.get("BUILDKIT_COLORS", ""))

    def _read(self, text: str) -> None:
        if '"' in text:
            return  # quoting has no use here, and half a quote makes the whole unreadable
        for field in text.split(":"):
            key, separator, value = field.partition("=")
            code = _color_code(value.lower()) if separator else None
            if key.lower() in self._codes and code is not None:
                self._codes[key.lower()] = code

    def paint(self, role: str, text: str) -> str:
        """`text` in the colour of `role`: run, cancel, error or warning."""
        return f"\x1b[{self._codes[role]}m{text}{RESET}" if self.enabled else text

    def faint(self, text: str) -> str:
        return f"{FAINT}{text}{RESET}" if self.enabled else text


def _color_code(value: str) -> str | None:
    named = _NAMED_COLORS.get(value)
    if named is not None:
        return str(named)
    parts = value.split(",")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 3 for part in parts):
        return None
    red, green, blue = map(int, parts)
    return f"38;2;{red};{green};{blue}" if max(red, green, blue) <= 255 else None
