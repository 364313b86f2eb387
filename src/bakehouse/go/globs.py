"""Wildcards: Go's `path.Match` and `filepath.Match`, one path segment at a time.

`*` and `?` do not cross a slash, `[…]` is a class (`^` negates), a backslash takes the meaning from the next character.
The two differ only in how much of a malformed pattern they notice. Not the pattern language of ignore files.

As in Go, each star takes as little as it can and is never reconsidered, so that matching takes at worst time
proportional to the lengths of pattern and name multiplied. Characters are the unit here, where Go's star may also stop
between the bytes of one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

_NOTHING = "[^\\x00-\\U0010ffff]"
_ANYTHING = "[\\x00-\\U0010ffff]"
_OPERATORS = frozenset("?[\\")


class BadPatternError(ValueError):
    """A malformed pattern; the text is Go's `ErrBadPattern`."""

    def __init__(self) -> None:
        super().__init__("syntax error in pattern")


def match_path(pattern: str, name: str) -> bool:
    """Whether `pattern` matches all of `name` (`path.Match`). Raises `BadPatternError` for a flaw in the part that the
    name reaches or behind it."""
    return _match(pattern, name, check_rest=True)


def match_file_path(pattern: str, name: str) -> bool:
    """Whether `pattern` matches all of `name` (`filepath.Match`). Raises `BadPatternError` for a flaw in the part that
    the name reaches: a part is the text between two stars."""
    return _match(pattern, name, check_rest=False)


def has_wildcard(pattern: str) -> bool:
    """Whether there is a `*`, `?` or `[` that no backslash takes the meaning from."""
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            position += 1
        elif char in "*?[":
            return True
        position += 1
    return False


def _match(pattern: str, name: str, *, check_rest: bool) -> bool:
    position = 0
    chunks = _chunks(pattern)
    for star, chunk, is_last in chunks:
        if star and not chunk:
            return "/" not in name[position:]
        end = _chunk_end(chunk, name, position, star=star, is_last=is_last)
        if end is None:
            if check_rest:
                for _, rest, _ in chunks:
                    _chunk_expression(rest)
            return False
        position = end
    return position == len(name)


def _chunk_end(chunk: str, name: str, position: int, *, star: bool, is_last: bool) -> int | None:
    """Where `chunk` ends that begins at `position` or, behind a star, as soon after it as can be. The last chunk has to
    end with the name when a star is to take anything at all."""
    if _OPERATORS.isdisjoint(chunk):
        return _literal_end(chunk, name, position, star=star, is_last=is_last)
    length, expression = _chunk_expression(chunk)
    if not star:
        match = expression.match(name, position)
        return match and match.end()
    last_start = _last_start(name, position)
    if is_last:
        start = len(name) - length
        match = expression.match(name, start) if position <= start <= last_start else None
    else:
        match = expression.search(name, position, last_start + length)
    return match and match.end()


def _literal_end(chunk: str, name: str, position: int, *, star: bool, is_last: bool) -> int | None:
    """As `_chunk_end`, for plain text."""
    start = position
    if star:
        last_start = _last_start(name, position)
        if is_last:
            start = len(name) - len(chunk)
            if not position <= start <= last_start:
                return None
        else:
            start = name.find(chunk, position, last_start + len(chunk))
    return start + len(chunk) if start >= 0 and name.startswith(chunk, start) else None


def _last_start(name: str, position: int) -> int:
    """The last place where a chunk behind a star may begin: the star takes no slash."""
    slash = name.find("/", position)
    return len(name) if slash < 0 else slash


def _chunks(pattern: str) -> Iterator[tuple[bool, str, bool]]:
    """The texts between stars: whether stars lead, the text, and whether nothing follows it."""
    position = 0
    while position < len(pattern):
        start = position
        while pattern.startswith("*", start):
            start += 1
        end = _chunk_limit(pattern, start)
        yield start > position, pattern[start:end], end == len(pattern)
        position = end


def _chunk_limit(pattern: str, position: int) -> int:
    """Where the next star outside brackets stands, or the pattern's end."""
    in_class = False
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            position += 1
        elif char == "[":
            in_class = True
        elif char == "]":
            in_class = False
        elif char == "*" and not in_class:
            return position
        position += 1
    return len(pattern)


def _chunk_expression(chunk: str) -> tuple[int, re.Pattern[str]]:
    """How many characters a chunk matches, and the expression for them, which has no repetition in it."""
    import re

    out: list[str] = []
    position = 0
    while position < len(chunk):
        char = chunk[position]
        position += 1
        if char == "[":
            text, position = _class_expression(chunk, position)
            out.append(text)
        elif char == "?":
            out.append("[^/]")
        else:
            if char == "\\":
                if position == len(chunk):
                    raise BadPatternError
                char = chunk[position]
                position += 1
            out.append(re.escape(char))
    return len(out), re.compile("".join(out), re.DOTALL)


def _class_expression(chunk: str, position: int) -> tuple[str, int]:
    """The expression for the class whose text begins at `position`, and where the text behind it begins."""
    negated = chunk.startswith("^", position)
    position += negated
    ranges: list[str] = []
    empty = False
    while not ((ranges or empty) and chunk.startswith("]", position)):
        low, position = _class_char(chunk, position)
        high = low
        if chunk.startswith("-", position):
            high, position = _class_char(chunk, position + 1)
        if low <= high:
            ranges.append(f"{_code(low)}-{_code(high)}")
        else:
            empty = True
    position += 1
    if not ranges:
        return (_ANYTHING if negated else _NOTHING), position
    return f"[{'^' if negated else ''}{''.join(ranges)}]", position


def _code(char: str) -> str:
    return f"\\U{ord(char):08x}"


def _class_char(chunk: str, position: int) -> tuple[str, int]:
    if position >= len(chunk) or chunk[position] in "-]":
        raise BadPatternError
    if chunk[position] == "\\":
        position += 1
    if position + 1 >= len(chunk):  # at least the closing bracket has to follow
        raise BadPatternError
    if "\ud800" <= chunk[position] <= "\udfff":  # not UTF-8
        raise BadPatternError
    return chunk[position], position + 1
