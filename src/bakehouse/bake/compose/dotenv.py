"""Environment files: `.env` of the working directory, `env_file` of services and includes.

Lines of `NAME=value` (or `NAME: value`), `export` in front allowed; `NAME` alone takes the environment's value. Values
are plain up to ` #`, in single quotes literal, in double quotes with escapes; plain and double-quoted ones may refer to
variables. Values can be secrets: unlike the peer's, no message here repeats one.
"""

from __future__ import annotations

from bakehouse.bake.compose.template import InvalidTemplate, MissingVariable, substitute
from bakehouse.go.text import SPACES, quote
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

    from bakehouse.bake.compose.template import Lookup, Warn

#: Blanks inside a line; a line's end is none of them.
_BLANKS = "\t\v\f\r \x85\xa0"
_EXPORT = regex(r"export[\t\n\f\r ]+")
_ESCAPE = regex(r"(\\(?:[abcfnrtv$\"\\]|0[0-9]{0,3}))")
_NAME_MARKS = frozenset("_.-[]")
_SIMPLE_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
}


class DotenvError(Exception):
    """An environment file cannot be read: `line` counts from one, as far as the reader had come."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f"line {line}: {text}" if line else text)
        self.line = line


def parse_dotenv(
    text: str, lookup: Lookup, warn: Warn, known: dict[str, str] | None = None
) -> dict[str, str]:
    """The variables of an environment file, later ones over earlier. `lookup` is asked first for what a value refers
    to, then the file itself and `known`, which is changed and returned. Raises `DotenvError`."""
    reader = _Reader(text, lookup, warn, {} if known is None else known)
    reader.read()
    return reader.found


class _Reader:
    def __init__(self, text: str, lookup: Lookup, warn: Warn, found: dict[str, str]) -> None:
        self._text = text
        self._lookup = lookup
        self._warn = warn
        self._position = 0
        self._line = 1
        self.found = found

    def read(self) -> None:
        while self._skip_to_statement():
            name, inherited = self._name()
            if " " in name:
                raise DotenvError(self._line, "key cannot contain a space")
            if inherited:
                value = self._lookup(name)
                if value is not None:
                    self.found[name] = value
            else:
                self.found[name] = self._value()

    def _skip_to_statement(self) -> bool:
        """To the next character that is neither blank nor in a comment; False at the end."""
        text = self._text
        while True:
            while self._position < len(text) and text[self._position] in SPACES:
                self._line += text[self._position] == "\n"
                self._position += 1
            if self._position >= len(text):
                return False
            if text[self._position] != "#":
                return True
            self._position = text.find("\n", self._position)
            if self._position < 0:
                self._position = len(text)

    def _name(self) -> tuple[str, bool]:
        """The name that begins here, and whether a value is to be inherited because none follows."""
        text = self._text
        match = _EXPORT.match(text, self._position)
        if match is not None:
            self._position += len("export")
            self._skip_blanks()
        start = self._position
        for index in range(start, len(text)):
            char = text[index]
            if char in "=:\n":
                self._position = index + 1
                name = text[start:index]
                inherited = char == "\n"
                if inherited and " " not in name:
                    self._line += 1
                self._skip_blanks()
                return name.rstrip(SPACES), inherited
            if char not in _BLANKS and char not in _NAME_MARKS and not (char.isalpha() or char.isnumeric()):
                shown = text[start : index + 1].split("\n")[0]
                raise DotenvError(
                    self._line, f"unexpected character {quote(char)} in variable name {quote(shown)}"
                )
        if start == len(text):
            raise DotenvError(0, "zero length string")
        # A last line without its end: the peer takes the name for a value without a name.
        self._position = start
        self._skip_blanks()
        return "", False

    def _skip_blanks(self) -> None:
        while self._position < len(self._text) and self._text[self._position] in _BLANKS:
            self._position += 1

    def _value(self) -> str:
        mark = self._text[self._position : self._position + 1]
        if mark and mark in "'\"":
            return self._quoted(mark)
        end = self._text.find("\n", self._position)
        value = self._text[self._position : end if end >= 0 else len(self._text)]
        self._position = end + 1 if end >= 0 else len(self._text)
        self._line += 1
        return self._expand(value.partition(" #")[0].rstrip(SPACES))

    def _quoted(self, mark: str) -> str:
        chars: list[str] = []
        escaped = False
        for index in range(self._position + 1, len(self._text)):
            char = self._text[index]
            self._line += char == "\n"
            if char == mark and not escaped:
                self._position = index + 1
                value = "".join(chars)
                return self._expand(_expand_escapes(value)) if mark == '"' else value
            if char == "\\" and not escaped:
                escaped = True
                continue
            if escaped and char != mark:
                chars.append("\\")
            escaped = False
            chars.append(char)
        raise DotenvError(self._line, "unterminated quoted value")

    def _expand(self, value: str) -> str:
        try:
            return substitute(value, self._look, self._warn)
        except InvalidTemplate:
            raise DotenvError(self._line, "invalid template in a value") from None
        except MissingVariable as error:
            raise DotenvError(0, str(error)) from None

    def _look(self, name: str) -> str | None:
        value = self._lookup(name)
        return self.found.get(name) if value is None else value


def _expand_escapes(value: str) -> str:
    return _ESCAPE.sub(_unescape, value)


def _unescape(match: re.Match[str]) -> str:
    text = match[0]
    if text == "\\$":
        return "$$"
    if text[1] == "0":
        # `\0123` is what others write `\123`.
        digits = text[2:]
        if len(digits) == 3 and digits.isdigit() and not set(digits) & {"8", "9"} and int(digits, 8) < 256:
            return chr(int(digits, 8))
        return "\\" + digits
    return _SIMPLE_ESCAPES.get(text[1], text)
