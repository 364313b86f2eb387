"""Text as Go sees it. BuildKit is written in Go, and where its notion of a blank, of case or of quoting
differs from Python's, Dockerfiles depend on it. Pure functions of strings; invalid UTF-8 arrives as lone
surrogates (`surrogateescape`)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from bakehouse.lazy import regex

#: What Go's `unicode.IsSpace` accepts; Python's `str.isspace` also takes U+001C to U+001F.
SPACES = (
    "\t\n\v\f\r \u0085\u00a0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

REPLACEMENT = "\ufffd"

_SURROGATE = regex("[\ud800-\udfff]")
_SIMPLE_ESCAPES = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}


def lower(text: str) -> str:
    """Lower case, one character for one character; bytes that are not UTF-8 become U+FFFD."""
    return text.lower() if text.isascii() else "".join(map(_lower_one, replace_invalid(text)))


def upper(text: str) -> str:
    """Upper case, one character for one character (`ß` stays); bytes that are not UTF-8 become U+FFFD."""
    return text.upper() if text.isascii() else "".join(map(_upper_one, replace_invalid(text)))


def _lower_one(char: str) -> str:
    return char.lower()[0]


def _upper_one(char: str) -> str:
    raised = char.upper()
    return raised if len(raised) == 1 else char


def replace_invalid(text: str) -> str:
    """Every byte that was not UTF-8 becomes U+FFFD, as it does when Go decodes it."""
    return text if text.isascii() else _SURROGATE.sub(REPLACEMENT, text)


def quote(text: str) -> str:
    """Go's `%q`: double quotes, with backslash escapes for what cannot be printed."""
    return '"' + "".join(map(_quote_one, text)) + '"'


def _quote_one(char: str) -> str:
    simple = _SIMPLE_ESCAPES.get(char)
    if simple is not None:
        return simple
    if char.isprintable():
        return char
    point = ord(char)
    if point < 0x20 or point == 0x7F:
        return f"\\x{point:02x}"
    if 0xDC80 <= point <= 0xDCFF:  # a byte that was not UTF-8
        return f"\\x{point - 0xDC00:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def clean_path(path: str) -> str:
    """The shortest equivalent of a slash-separated path; `.` for the empty one; never two leading slashes."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def suggestion(value: str, options: Iterable[str], *, case_sensitive: bool = True) -> str:
    """The option that is at most two edits away from `value`, the closest and then the alphabetically first
    one, or the empty string. Also empty when `value` is one of the options. Without case sensitivity it takes
    `value`'s case."""
    wanted = value if case_sensitive else lower(value)
    best, best_distance = "", 3
    for option in sorted(options):
        candidate = option if case_sensitive else lower(option)
        if candidate == wanted:
            return ""
        distance = _edit_distance(wanted, candidate)
        if distance < best_distance:
            best, best_distance = candidate, distance
    if best and not case_sensitive:
        return upper(best) if value != lower(value) and value == upper(value) else best
    return best


def did_you_mean(message: str, value: str, options: Iterable[str], *, case_sensitive: bool = True) -> str:
    """`message`, with ` (did you mean X?)` after it when an option is close to `value`."""
    found = suggestion(value, options, case_sensitive=case_sensitive)
    return f"{message} (did you mean {found}?)" if found else message


def _edit_distance(left: str, right: str) -> int:
    if abs(len(left) - len(right)) > 2:
        return 3  # too far to matter
    previous = list(range(len(right) + 1))
    for row, a in enumerate(left, 1):
        current = [row]
        for column, b in enumerate(right, 1):
            current.append(min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (a != b)))
        previous = current
    return previous[-1]
