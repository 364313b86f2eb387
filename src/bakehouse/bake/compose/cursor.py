"""A place in a YAML text and what stands there. Knows characters, blanks, breaks and comments; nothing of tokens."""

from __future__ import annotations

from yaml.scanner import ScannerError

from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

END = "\0"
BREAKS = "\r\n\x85\u2028\u2029"
BLANKS = " \t"
STOPS = BLANKS + BREAKS + END
_LINE = regex(r"[^\r\n\x85\u2028\u2029\x00]*")
_DOCUMENT_MARK = regex(r"(---|\.\.\.)(?=[ \t\r\n\x85\u2028\u2029\x00])")


class Mark:
    """A place: line and column from zero."""

    __slots__ = ("column", "line")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column


class Cursor:
    """Reads a text from its beginning. `newlines` are the breaks since the last character that is no blank."""

    __slots__ = ("at", "column", "line", "newlines", "text")

    def __init__(self, text: str) -> None:
        # Some more ends than one, so that looking ahead needs no care.
        self.text = text + END * 4
        self.at = 0
        self.line = 0
        self.column = 0
        self.newlines = 0

    def mark(self) -> Mark:
        return Mark(self.line, self.column)

    def peek(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead]

    def at_document_mark(self) -> bool:
        """Whether `---` or `...` stands here."""
        return self.column == 0 and _DOCUMENT_MARK.match(self.text, self.at) is not None

    def take(self, count: int = 1) -> str:
        """The next characters of this line."""
        taken = self.text[self.at : self.at + count]
        self.at += count
        self.column += count
        if taken.strip(BLANKS):
            self.newlines = 0
        return taken

    def take_line(self) -> str:
        """What is left of this line."""
        found = _LINE.match(self.text, self.at)
        return self.take(len(found.group())) if found is not None else ""

    def take_break(self) -> str:
        """A line break, as it counts in text."""
        char = self.text[self.at]
        self.at += 2 if self.text.startswith("\r\n", self.at) else 1
        self.line += 1
        self.column = 0
        self.newlines += 1
        return char if char in "\u2028\u2029" else "\n"

    def take_comments(self, text: str) -> None:
        """Comments with the breaks between them."""
        end = self.at + len(text)
        while self.at < end:
            if self.peek() in BREAKS:
                self.take_break()
            else:
                self.take()

    def skip_blanks(self) -> None:
        while self.peek() in BLANKS:
            self.take()

    def fail(self, problem: str, context: str | None = None, start: Mark | None = None) -> NoReturn:
        raise ScannerError(context, start, problem, self.mark())  # type: ignore[arg-type]
