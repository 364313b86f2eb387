"""Go's `filepath.Match`: the wildcards of COPY sources, one path segment at a time (dockerfile.md §7.2).

`*` and `?` do not cross a slash, `[…]` is a class (`^` negates), a backslash takes the meaning from the next
character. Not the pattern language of ignore files: see `patterns`.

As in Go, each star takes as little as it can and is never reconsidered, so that matching takes at worst time
proportional to the lengths of pattern and name multiplied. Characters are the unit here, where Go's star may also
stop between the bytes of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bakehouse.dockerfile.positions import DockerfileError

_NOTHING = "[^\\x00-\\U0010ffff]"
_ANYTHING = "[\\x00-\\U0010ffff]"


class _BadPattern(Exception):
    pass


def go_path_match(pattern: str, name: str) -> bool:
    """Whether `pattern` matches all of `name`. Raises `DockerfileError` (`syntax error in pattern`) for a bad
    pattern when the name reaches its bad part, that is the text between two stars that holds it."""
    try:
        return _match(pattern, name)
    except _BadPattern:
        raise bad_pattern() from None


def check_glob(pattern: str) -> None:
    """Raises `DockerfileError` when `go_path_match` would."""
    go_path_match(pattern, ".")


def has_wildcard(pattern: str) -> bool:
    """Whether COPY takes a source for a pattern: it holds `*`, `?` or `[` that is not escaped by a
    backslash."""
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\":
            position += 1
        elif char in "*?[":
            return True
        position += 1
    return False


def bad_pattern() -> DockerfileError:
    return DockerfileError(
        "syntax error in pattern",
        code="bad-pattern",
        hint="Close every `[` and do not end a pattern with a backslash.",
    )


def _match(pattern: str, name: str) -> bool:
    position = 0
    for star, chunk, is_last in _chunks(pattern):
        if star and not chunk:
            return "/" not in name[position:]
        length, expression = _chunk_expression(chunk)
        end = _chunk_end(expression, length, name, position, star=star, is_last=is_last)
        if end is None:
            return False
        position = end
    return position == len(name)


def _chunk_end(
    expression: re.Pattern[str], length: int, name: str, position: int, *, star: bool, is_last: bool
) -> int | None:
    """Where a chunk of `length` characters ends that begins at `position` or, behind a star, as soon after it as
    can be. The last chunk has to end with the name when a star is to take anything at all."""
    if not star:
        match = expression.match(name, position)
        return match and match.end()
    slash = name.find("/", position)
    last_start = len(name) if slash < 0 else slash
    if is_last:
        start = len(name) - length
        match = expression.match(name, start) if position <= start <= last_start else None
    else:
        match = expression.search(name, position, last_start + length)
    return match and match.end()


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
                    raise _BadPattern
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
        raise _BadPattern
    if chunk[position] == "\\":
        position += 1
    if position + 1 >= len(chunk):  # at least the closing bracket has to follow
        raise _BadPattern
    if "\ud800" <= chunk[position] <= "\udfff":  # not UTF-8
        raise _BadPattern
    return chunk[position], position + 1
