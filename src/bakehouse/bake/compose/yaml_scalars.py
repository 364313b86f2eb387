"""Scalars of YAML in their four styles, as tokens."""

from __future__ import annotations

from yaml import tokens

from bakehouse.bake.compose.cursor import BLANKS, BREAKS, END, STOPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.compose.cursor import Cursor, Mark

_FLOW = ",[]{}"
_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "\t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "'": "'",
    "\\": "\\",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_CODE_LENGTHS = {"x": 2, "u": 4, "U": 8}
_HEX_DIGITS = "0123456789abcdefABCDEF"


def block_scalar(cursor: Cursor, style: str, outer: int) -> tokens.Token:
    """A literal (`|`) or folded (`>`) scalar within a block that is indented by `outer` (-1: none)."""
    start = cursor.mark()
    cursor.take()
    chomping, increment = _block_header(cursor, start)
    indent = max(outer, 0) + increment if increment else 0
    end = cursor.mark()
    indent, breaks, end = _block_breaks(cursor, indent, outer, start)
    out: list[str] = []
    leading = ""
    was_blank = False
    while cursor.column == indent and cursor.peek() != END:
        blank = cursor.peek() in BLANKS
        if style == ">" and leading == "\n" and not was_blank and not blank:
            out.append("" if breaks else " ")
        else:
            out.append(leading)
        out += breaks
        was_blank = blank
        out.append(cursor.take_line())
        leading = cursor.take_break() if cursor.peek() in BREAKS else ""
        indent, breaks, end = _block_breaks(cursor, indent, outer, start)
    if chomping != "-":
        out.append(leading)
    if chomping == "+":
        out += breaks
    return tokens.ScalarToken("".join(out), False, start, end, style)


def _block_header(cursor: Cursor, start: Mark) -> tuple[str, int]:
    """How the end is cut, and the indentation if it is given."""
    context = "while scanning a block scalar"
    chomping = cursor.take() if cursor.peek() in "+-" else ""
    increment = 0
    if "0" <= cursor.peek() <= "9":
        if cursor.peek() == "0":
            cursor.fail("found an indentation indicator equal to 0", context, start)
        increment = int(cursor.take())
        if not chomping and cursor.peek() in "+-":
            chomping = cursor.take()
    cursor.skip_blanks()
    if cursor.peek() == "#":
        cursor.take_line()
    if cursor.peek() not in BREAKS + END:
        cursor.fail("did not find expected comment or line break", context, start)
    if cursor.peek() in BREAKS:
        cursor.take_break()
    return chomping, increment


def _block_breaks(cursor: Cursor, indent: int, outer: int, start: Mark) -> tuple[int, list[str], Mark]:
    """Empty lines and indentation: its depth (found out where `indent` is 0), the breaks, the last one's end."""
    breaks: list[str] = []
    end = cursor.mark()
    deepest = 0
    while True:
        while (not indent or cursor.column < indent) and cursor.peek() == " ":
            cursor.take()
        deepest = max(deepest, cursor.column)
        if (not indent or cursor.column < indent) and cursor.peek() == "\t":
            cursor.fail(
                "found a tab character where an indentation space is expected",
                "while scanning a block scalar",
                start,
            )
        if cursor.peek() not in BREAKS:
            break
        breaks.append(cursor.take_break())
        end = cursor.mark()
    return indent or max(deepest, outer + 1, 1), breaks, end


def quoted(cursor: Cursor, quote: str) -> tokens.Token:
    """A scalar in single or double quotes."""
    context = "while scanning a quoted scalar"
    start = cursor.mark()
    cursor.take()
    out: list[str] = []
    while True:
        if cursor.at_document_mark():
            cursor.fail("found unexpected document indicator", context, start)
        if cursor.peek() == END:
            cursor.fail("found unexpected end of stream", context, start)
        escaped_break = _quoted_word(cursor, quote, out, start)
        if cursor.peek() == quote:
            break
        out.append(_folded(cursor, escaped_break))
    cursor.take()
    return tokens.ScalarToken("".join(out), False, start, cursor.mark(), quote)


def _quoted_word(cursor: Cursor, quote: str, out: list[str], start: Mark) -> bool:
    """Text up to a blank or the closing quote; True when a break that counts for nothing ended it."""
    while (char := cursor.peek()) not in STOPS:
        if char == quote:
            if quote == '"' or cursor.peek(1) != quote:
                break
            cursor.take(2)
            out.append(quote)
        elif quote == '"' and char == "\\":
            if cursor.peek(1) in BREAKS:
                cursor.take()
                cursor.take_break()
                return True
            out.append(_escape(cursor, start))
        else:
            out.append(cursor.take())
    return False


def _escape(cursor: Cursor, start: Mark) -> str:
    context = "while scanning a quoted scalar"
    char = cursor.peek(1)
    if char in _ESCAPES:
        cursor.take(2)
        return _ESCAPES[char]
    length = _CODE_LENGTHS.get(char)
    if length is None:
        cursor.fail("found unknown escape character", context, start)
    cursor.take(2)
    digits = cursor.text[cursor.at : cursor.at + length]
    if not all(digit in _HEX_DIGITS for digit in digits):
        cursor.fail("did not find expected hexadecimal number", context, start)
    code = int(digits, 16)
    if 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
        cursor.fail("found invalid Unicode character escape code", context, start)
    cursor.take(length)
    return chr(code)


def _folded(cursor: Cursor, escaped_break: bool = False) -> str:
    """Blanks and breaks between two words, as they count. After an escaped break only further ones do."""
    begin = cursor.at
    while cursor.peek() in BLANKS + BREAKS:
        if cursor.peek() in BREAKS:
            cursor.take_break()
        else:
            cursor.take()
    space = cursor.text[begin : cursor.at]
    return "".join(_breaks_of(space)) if escaped_break else _fold(space)


def plain(cursor: Cursor, outer: int, in_flow: bool) -> tuple[tokens.Token, bool]:
    """A plain scalar within a block that is indented by `outer`; True when a line break follows it."""
    start = cursor.mark()
    end = start
    out: list[str] = []
    indent = outer + 1
    between = ""
    behind_break = False
    while True:
        at_mark = cursor.at_document_mark()
        if at_mark or cursor.peek() == "#":
            break
        word = _plain_word(cursor, in_flow)
        if word:
            out += (between, word)
            behind_break = False
            end = cursor.mark()
        if cursor.peek() not in BLANKS + BREAKS:
            break
        line = cursor.line
        between = _plain_folded(cursor, start, indent)
        behind_break = behind_break or cursor.line != line
        if not in_flow and cursor.column < indent:
            break
    return tokens.ScalarToken("".join(out), True, start, end), behind_break


def _plain_word(cursor: Cursor, in_flow: bool) -> str:
    word = ""
    while (char := cursor.peek()) not in STOPS:
        if char == ":" and cursor.peek(1) in STOPS:
            break
        if in_flow and (char in _FLOW or (char == "?" and cursor.peek(1) in STOPS)):
            break
        word += cursor.take()
    return word


def _plain_folded(cursor: Cursor, start: Mark, indent: int) -> str:
    begin, line = cursor.at, cursor.line
    while cursor.peek() in BLANKS + BREAKS:
        if cursor.peek() in BREAKS:
            cursor.take_break()
        elif cursor.line != line and cursor.column < indent and cursor.peek() == "\t":
            cursor.fail(
                "found a tab character that violates indentation", "while scanning a plain scalar", start
            )
        else:
            cursor.take()
    return _fold(cursor.text[begin : cursor.at])


def _fold(space: str) -> str:
    """What blanks and breaks between two words count for."""
    breaks = _breaks_of(space)
    if not breaks:
        return space
    if breaks[0] != "\n":
        return "".join(breaks)
    return "".join(breaks[1:]) or " "


def _breaks_of(space: str) -> list[str]:
    """The line breaks in it, as they count in text."""
    return [
        char if char in "\u2028\u2029" else "\n" for char in space.replace("\r\n", "\n") if char in BREAKS
    ]
