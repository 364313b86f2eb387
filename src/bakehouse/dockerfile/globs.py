"""Go's `filepath.Match`: the wildcards of COPY sources, one path segment at a time (dockerfile.md §7.2).

`*` and `?` do not cross a slash, `[…]` is a class (`^` negates), a backslash takes the meaning from the next
character. Not the pattern language of ignore files: see `patterns`.
"""

from __future__ import annotations

from bakehouse.dockerfile.positions import DockerfileError


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
    while pattern:
        star, chunk, pattern = _scan_chunk(pattern)
        if star and not chunk:
            return "/" not in name
        rest = _match_chunk(chunk, name)
        if rest is not None and (not rest or pattern):
            name = rest
            continue
        if star:
            rest = _match_behind_star(chunk, name, last=not pattern)
            if rest is not None:
                name = rest
                continue
        return False
    return not name


def _match_behind_star(chunk: str, name: str, *, last: bool) -> str | None:
    """What is left of `name` after `*` has taken as little as possible and `chunk` has matched."""
    for index, char in enumerate(name):
        if char == "/":
            return None
        rest = _match_chunk(chunk, name[index + 1 :])
        if rest is not None and not (last and rest):
            return rest
    return None


def _scan_chunk(pattern: str) -> tuple[bool, str, str]:
    """Whether stars lead, the text up to the next star, and the remainder."""
    stripped = pattern.lstrip("*")
    star = stripped != pattern
    in_class = False
    position = 0
    while position < len(stripped):
        char = stripped[position]
        if char == "\\":
            position += 1
        elif char == "[":
            in_class = True
        elif char == "]":
            in_class = False
        elif char == "*" and not in_class:
            break
        position += 1
    return star, stripped[:position], stripped[position:]


def _match_chunk(chunk: str, name: str) -> str | None:
    """What is left of `name` after `chunk`, or None. The whole chunk is checked even after a mismatch."""
    failed = False
    position = 0
    while position < len(chunk):
        failed = failed or not name
        char = chunk[position]
        if char == "[":
            hit, position = _match_class(chunk, position + 1, "" if failed else name[0])
            failed = failed or not hit
        elif char == "?":
            failed = failed or name[0] == "/"
            position += 1
        else:
            if char == "\\":
                position += 1
                if position == len(chunk):
                    raise _BadPattern
                char = chunk[position]
            failed = failed or name[0] != char
            position += 1
        if not failed:
            name = name[1:]
    return None if failed else name


def _match_class(chunk: str, position: int, char: str) -> tuple[bool, int]:
    """Matches `char` (empty: only check) against the class whose text begins at `position`."""
    negated = chunk.startswith("^", position)
    position += negated
    hit, ranges = False, 0
    while not (ranges and chunk.startswith("]", position)):
        low, position = _class_char(chunk, position)
        high = low
        if chunk.startswith("-", position):
            high, position = _class_char(chunk, position + 1)
        hit = hit or (char != "" and low <= char <= high)
        ranges += 1
    return hit != negated, position + 1


def _class_char(chunk: str, position: int) -> tuple[str, int]:
    if position >= len(chunk) or chunk[position] in "-]":
        raise _BadPattern
    if chunk[position] == "\\":
        position += 1
    if position + 1 >= len(chunk):  # at least the closing bracket has to follow
        raise _BadPattern
    return chunk[position], position + 1
