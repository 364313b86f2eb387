"""Text rules of the Go standard library that Bake files inherit: quoting, booleans, numbers, path cleaning, path
patterns, operating-system error texts.

Messages quoted in buildx's errors come from these functions' namesakes, so the wording is part of the interface.
Nothing here knows of Bake. On the start-up path: no `typing`, no `re`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_SHORT_ESCAPES = {
    7: "\\a",
    8: "\\b",
    9: "\\t",
    10: "\\n",
    11: "\\v",
    12: "\\f",
    13: "\\r",
    34: '\\"',
    92: "\\\\",
}
_DIGITS = frozenset("0123456789")
_NUMBER_STARTS = frozenset("0123456789.")
MAX_INT64 = (1 << 63) - 1


def quote(text: str) -> str:
    """`text` as a double-quoted Go string literal (`%q`)."""
    out = ['"']
    for char in text:
        code = ord(char)
        if code in _SHORT_ESCAPES:
            out.append(_SHORT_ESCAPES[code])
        elif code < 0x20 or code == 0x7F or 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code & 0xFF:02x}")
        elif char.isprintable():
            out.append(char)
        else:
            out.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    out.append('"')
    return "".join(out)


def quote_list(items: Iterable[str]) -> str:
    """Items as Go prints a slice of strings with `%v`: `[a b]`."""
    return "[" + " ".join(items) + "]"


def parse_bool(text: str) -> bool:
    """A boolean in any of Go's twelve spellings. Raises `ValueError` with Go's text."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")


def parse_int(text: str) -> int:
    """A decimal 64-bit integer. Raises `ValueError` with Go's text."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits or not _DIGITS.issuperset(digits):
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    value = int(text)
    if not -MAX_INT64 - 1 <= value <= MAX_INT64:
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return value


def parse_float(text: str) -> float:
    """A 64-bit float in Go's syntax: decimal, hexadecimal with `p` exponent, underscores only after a base prefix,
    `inf`, `nan`. Raises `ValueError` with Go's text, also when the value is out of range."""
    value = _float_or_none(text)
    if value is None:
        raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: invalid syntax")
    if value in (float("inf"), float("-inf")) and "n" not in text.lower():
        raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: value out of range")
    return value


def _float_or_none(text: str) -> float | None:
    body = text[1:] if text[:1] in ("+", "-") else text
    lowered = body.lower()
    if lowered in ("inf", "infinity"):
        return float(text)
    if text.lower() == "nan":
        return float("nan")
    # What remains must be ASCII without blanks, which Python's parser would be lenient about.
    if not body.isascii() or body.strip() != body or lowered[:1] not in _NUMBER_STARTS:
        return None
    if "_" in body:
        if not _underscores_ok(lowered):
            return None
        text = text.replace("_", "")
    try:
        if lowered.startswith("0x"):
            # Python would also take a hexadecimal float without its exponent.
            return float.fromhex(text) if "p" in lowered else None
        return float(text)
    except ValueError:
        return None
    except OverflowError:
        return float("inf")


def _underscores_ok(lowered: str) -> bool:
    """Underscores stand only between digits, or between a base prefix and a digit."""
    prefixed = lowered[:2] in ("0x", "0b", "0o")
    digits = "0123456789abcdef" if lowered.startswith("0x") else "0123456789"
    before_is_digit = prefixed
    rest = lowered[2:] if prefixed else lowered
    for index, char in enumerate(rest):
        if char == "_":
            after = rest[index + 1 : index + 2]
            if not before_is_digit or after == "" or after not in digits:
                return False
        before_is_digit = char in digits
    return True


def clean_path(path: str) -> str:
    """The shortest equivalent slash path, lexically (`path.Clean`); the empty path is `.`."""
    if path == "":
        return "."
    rooted = path.startswith("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            if parts and parts[-1] != "..":
                parts.pop()
                continue
            if rooted:
                continue
        parts.append(part)
    joined = "/".join(parts)
    if rooted:
        return "/" + joined
    return joined or "."


def join_path(*parts: str) -> str:
    """Non-empty parts joined by slashes and cleaned (`path.Join`); empty when all are empty."""
    joined = "/".join(part for part in parts if part)
    return clean_path(joined) if joined else ""


def os_error_text(verb: str, path: str, error: OSError) -> str:
    """An operating-system error as Go prints it: `open F: no such file or directory`."""
    text = error.strerror or str(error)
    return f"{verb} {path}: {text[:1].lower()}{text[1:]}"


class BadPatternError(Exception):
    """A malformed path pattern."""

    def __init__(self) -> None:
        super().__init__("syntax error in pattern")


def match_path(pattern: str, name: str) -> bool:
    """Go's `path.Match`: `*` and `?` stop at `/`, `[a-z]` and `[^a-z]` classes, backslash escapes.

    Raises `BadPatternError` for a malformed pattern, but as Go does only where the match reaches the flaw, or when
    the flaw lies behind a mismatch.
    """
    while pattern:
        star, chunk, pattern = _next_chunk(pattern)
        if star and chunk == "":
            return "/" not in name
        rest = _match_chunk(chunk, name)
        if rest is not None and (rest == "" or pattern):
            name = rest
            continue
        if star:
            found = _match_after_star(chunk, name, bool(pattern))
            if found is not None:
                name = found
                continue
        while pattern:
            _, chunk, pattern = _next_chunk(pattern)
            _match_chunk(chunk, "")
        return False
    return name == ""


def _match_after_star(chunk: str, name: str, more: bool) -> str | None:
    """What is left of `name` when `*` swallows as little as lets `chunk` match after it."""
    for index in range(len(name)):
        if name[index] == "/":
            return None
        rest = _match_chunk(chunk, name[index + 1 :])
        if rest is not None and (more or rest == ""):
            return rest
    return None


def _next_chunk(pattern: str) -> tuple[bool, str, str]:
    star = False
    while pattern.startswith("*"):
        star, pattern = True, pattern[1:]
    in_class = False
    index = 0
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            index += 1
        elif char == "[":
            in_class = True
        elif char == "]":
            in_class = False
        elif char == "*" and not in_class:
            break
        index += 1
    return star, pattern[:index], pattern[index:]


def _match_chunk(chunk: str, name: str) -> str | None:
    """The rest of `name` after matching all of `chunk` at its start, or None. The whole chunk is checked even after
    a mismatch."""
    failed = False
    while chunk:
        failed = failed or name == ""
        first = chunk[0]
        if first == "[":
            matched, chunk = _match_class(chunk[1:], "" if failed else name[0])
            failed = failed or not matched
        elif first == "?":
            failed = failed or name[0] == "/"
            chunk = chunk[1:]
        else:
            if first == "\\":
                chunk = chunk[1:]
                if not chunk:
                    raise BadPatternError
            failed = failed or chunk[0] != name[0]
            chunk = chunk[1:]
        if not failed:
            name = name[1:]
    return None if failed else name


def _match_class(chunk: str, char: str) -> tuple[bool, str]:
    """Matches `char` against the class body at the start of `chunk` (after `[`)."""
    negated = chunk.startswith("^")
    if negated:
        chunk = chunk[1:]
    matched = False
    ranges = 0
    while True:
        if chunk.startswith("]") and ranges > 0:
            return matched != negated, chunk[1:]
        low, chunk = _class_char(chunk)
        high = low
        if chunk.startswith("-"):
            high, chunk = _class_char(chunk[1:])
        if char and low <= char <= high:
            matched = True
        ranges += 1


def _class_char(chunk: str) -> tuple[str, str]:
    if chunk == "" or chunk[0] in "-]":
        raise BadPatternError
    if chunk[0] == "\\":
        chunk = chunk[1:]
        if chunk == "":
            raise BadPatternError
    char, chunk = chunk[0], chunk[1:]
    if chunk == "":
        raise BadPatternError
    return char, chunk
