"""Characters and quoting: Go's `unicode`, `strings` and `strconv.Quote`.

JSON has its own quoting, see `jsontext`.
"""

from __future__ import annotations

from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: What Go's `unicode.IsSpace` accepts; Python's `str.isspace` also takes U+001C to U+001F.
SPACES = (
    "\t\n\v\f\r \u0085\u00a0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

REPLACEMENT = "\ufffd"

_SURROGATE = regex("[\ud800-\udfff]")
_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
}


def replace_invalid(text: str) -> str:
    """Every byte that was not UTF-8 becomes U+FFFD, as it does when Go decodes it."""
    return text if text.isascii() else _SURROGATE.sub(REPLACEMENT, text)


def lower(text: str) -> str:
    """Lower case, one character for one character; bytes that are not UTF-8 become U+FFFD."""
    return text.lower() if text.isascii() else "".join([_lower_one(char) for char in replace_invalid(text)])


def upper(text: str) -> str:
    """Upper case, one character for one character (`ß` stays); bytes that are not UTF-8 become U+FFFD."""
    return text.upper() if text.isascii() else "".join([_upper_one(char) for char in replace_invalid(text)])


def _lower_one(char: str) -> str:
    return char.lower()[0]  # only the dotted capital I has two


def _upper_one(char: str) -> str:
    raised = char.upper()
    if len(raised) == 1:
        return raised
    # Greek letters with an iota below have a single capital, which Unicode counts as title case.
    title = char.title()
    return title if len(title) == 1 else char


def quote(text: str) -> str:
    """`text` as a double-quoted Go string literal (`%q`). Bytes that are not UTF-8 come out as `\\xNN`.

    Which characters can be printed is for the interpreter's Unicode tables to say: they may lag behind Go's."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join([_quote_one(char) for char in text]) + '"'


def quote_rune(char: str) -> str:
    """One character as a Go character literal (`%q` of a rune)."""
    if char == "'":
        return "'\\''"
    return "'\"'" if char == '"' else f"'{_quote_one(char)}'"


def _quote_one(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x20 or code == 0x7F or 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def plain_list(items: Iterable[str]) -> str:
    """Items as Go prints a slice of strings with `%v`: `[a b]`."""
    return "[" + " ".join(items) + "]"


def quoted_list(items: Iterable[str]) -> str:
    """Items as Go prints a slice of strings with `%q`: `["a" "b"]`."""
    return "[" + " ".join(map(quote, items)) + "]"


def os_error_text(verb: str, path: str, error: OSError) -> str:
    """An operating-system error as Go prints it: `open F: no such file or directory`."""
    text = error.strerror or str(error)
    return f"{verb} {path}: {text[:1].lower()}{text[1:]}"


def edit_distance(left: str, right: str) -> int:
    """Levenshtein's distance in code points, which the peers' hints for misspelt names are chosen by."""
    row = list(range(len(right) + 1))
    for index, char in enumerate(left, 1):
        previous, row[0] = row[0], index
        for column, other in enumerate(right, 1):
            previous, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, previous + (char != other)),
            )
    return row[-1]
