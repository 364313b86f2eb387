"""Texts, regular expressions, globs, versions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bakehouse.hcl.functions.re2 import Pattern, PatternError
from bakehouse.rego.functions.build import Builtin, FunctionFailed, array, listed, record, text, texts, whole
from bakehouse.rego.values import Boolean, Object, truth, type_name

_MAX_TEXT = 16 * 2**20


def _limited(value: str) -> str:
    if len(value) > _MAX_TEXT:
        raise FunctionFailed
    return value


# -- texts ----------------------------------------------------------------------------------------------------------


def _index(value: Any, part: Any) -> int:
    if not text(part):
        raise FunctionFailed
    return text(value).find(part)


def _indexes(value: Any, part: Any) -> tuple[int, ...]:
    whole_text, wanted = text(value), text(part)
    if not wanted:
        raise FunctionFailed
    return tuple(at for at in range(len(whole_text)) if whole_text.startswith(wanted, at))


def _substring(value: Any, offset: Any, length: Any) -> str:
    start, count = whole(offset), whole(length)
    if start < 0:
        raise FunctionFailed
    return text(value)[start:] if count < 0 else text(value)[start : start + count]


def _split(value: Any, by: Any) -> tuple[str, ...]:
    return tuple(text(value).split(text(by))) if by else tuple(text(value))


def _replaced(value: Any, old: Any, new: Any) -> str:
    found = text(value)
    if len(found) * (len(text(new)) + 1) > _MAX_TEXT * 4:
        raise FunctionFailed
    return _limited(found.replace(text(old), new))


def _replaced_many(patterns: Any, value: Any) -> str:
    """Every place is replaced once: by the first key, in their order, that stands there."""
    pairs = [(text(key), text(new)) for key, new in record(patterns).pairs()]
    source, at = text(value), 0
    out: list[str] = []
    while at <= len(source):
        for key, new in pairs:
            if source.startswith(key, at) and (key or not out or at < len(source) + 1):
                out.append(new)
                if not key:
                    out.append(source[at : at + 1])
                at += len(key) or 1
                break
        else:
            out.append(source[at : at + 1])
            at += 1
    return _limited("".join(out))


def _formatted(template: Any, values: Any) -> str:
    from bakehouse.rego.functions.formatting import sprintf

    return _limited(sprintf(text(template), array(values)))


def _any_affix(method: Callable[[str, str], bool]) -> Builtin:
    def check(values: Any, affixes: Any) -> Boolean:
        return truth(any(method(value, affix) for value in texts(values) for affix in texts(affixes)))

    return Builtin(2, check)


# -- regular expressions --------------------------------------------------------------------------------------------


@functools.lru_cache(100)
def _compiled(pattern: str) -> Pattern:
    return Pattern(pattern)


def _pattern(value: Any) -> Pattern:
    try:
        return _compiled(text(value))
    except PatternError:
        raise FunctionFailed from None


def _is_pattern(value: Any) -> Boolean:
    if not isinstance(value, str):
        return truth(False)
    try:
        _compiled(value)
    except PatternError:
        return truth(False)
    return truth(True)


def _matches(pattern: Any, value: Any) -> Boolean:
    return truth(_pattern(pattern).search(text(value)) is not None)


def _found(pattern: Any, value: Any, count: Any) -> tuple[str, ...]:
    found = _pattern(pattern).find_all(text(value))
    most = whole(count)
    return tuple(value[groups[0] : groups[1]] for groups in (found if most < 0 else found[:most]))


def _found_groups(pattern: Any, value: Any, count: Any) -> tuple[tuple[str, ...], ...]:
    found = _pattern(pattern).find_all(text(value))
    most = whole(count)
    return tuple(
        tuple("" if groups[at] < 0 else value[groups[at] : groups[at + 1]] for at in range(0, len(groups), 2))
        for groups in (found if most < 0 else found[:most])
    )


def _split_by(pattern: Any, value: Any) -> tuple[str, ...]:
    source, out, start = text(value), [], 0
    for groups in _pattern(pattern).find_all(source):
        if groups[1] == 0 or (groups[0] == groups[1] == len(source)):
            continue
        out.append(source[start : groups[0]])
        start = groups[1]
    return (*out, source[start:])


def _replaced_by(value: Any, pattern: Any, new: Any) -> str:
    return _limited(_pattern(pattern).replace_all(text(value), text(new)))


# -- globs ------------------------------------------------------------------------------------------------------------


def _glob(pattern: Any, delimiters: Any, value: Any) -> Boolean:
    separators = (
        "." if delimiters == () else "" if delimiters is None else "".join(map(text, listed(delimiters)))
    )
    return truth(_glob_pattern(text(pattern), separators).search(text(value)) is not None)


@functools.lru_cache(100)
def _glob_pattern(pattern: str, separators: str) -> Pattern:
    """A glob as an expression: `*` stops at delimiters, `**` does not, `?`, `[a-z]`, `[!a]`, `{one,two}`."""
    quoted = "".join(_quoted(char) for char in separators)
    one = f"[^{quoted}]" if quoted else "(?s:.)"
    out, at, depth = ["^(?s:"], 0, 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            if pattern.startswith("*", at):
                at += 1
                out.append(".*")
            else:
                out.append(f"{one}*")
        elif char == "?":
            out.append(one)
        elif char == "[":
            end = pattern.find("]", at + 1)
            if end < 0:
                raise FunctionFailed
            inner = pattern[at:end]
            negated = inner.startswith("!")
            body = "".join(part if part == "-" else _quoted(part) for part in inner[negated:])
            out.append(f"[{'^' if negated else ''}{body}]")
            at = end + 1
        elif char == "{":
            depth += 1
            out.append("(?:")
        elif char == "}" and depth:
            depth -= 1
            out.append(")")
        elif char == "," and depth:
            out.append("|")
        elif char == "\\" and at < len(pattern):
            out.append(_quoted(pattern[at]))
            at += 1
        else:
            out.append(_quoted(char))
    if depth:
        raise FunctionFailed
    try:
        return Pattern("".join(out) + ")$")
    except PatternError:
        raise FunctionFailed from None


def _quoted(char: str) -> str:
    return char if char.isalnum() or char == "_" or not char.isascii() else "\\" + char


def _glob_quoted(value: Any) -> str:
    return "".join("\\" + char if char in "*?\\[]{}" else char for char in text(value))


# -- versions ---------------------------------------------------------------------------------------------------------


@functools.lru_cache(100)
def _version(value: str) -> tuple[tuple[int, ...], tuple[tuple[int, int, str], ...]]:
    """The numbers of a version, and what stands for its pre-release, which compares below none."""
    found = _compiled(
        r"^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$"
    ).search(value)
    if found is None:
        raise FunctionFailed
    parts = [value[found[at] : found[at + 1]] if found[at] >= 0 else "" for at in range(2, 10, 2)]
    release = tuple(int(part) for part in parts[:3])
    if not parts[3]:
        return release, ((9, 0, ""),)
    return release, tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts[3].split(".")
    )


def _compared(left: Any, right: Any) -> int:
    one, other = _version(text(left)), _version(text(right))
    return (one > other) - (one < other)


def _is_version(value: Any) -> Boolean:
    try:
        _version(text(value))
    except FunctionFailed:
        return truth(False)
    return truth(True)


def _single(char: str, other: str) -> str:
    """Go changes the case of one letter to that of one letter."""
    return other if len(other) == 1 else char


def _joined(by: Any, values: Any) -> str:
    return _limited(text(by).join(text(item) for item in listed(values)))


def _trimmed(value: Any, characters: Any) -> str:
    return text(value).strip(text(characters)) if characters else text(value)


TEXTS: dict[str, Builtin] = {
    "concat": Builtin(2, _joined),
    "contains": Builtin(2, lambda value, part: truth(text(part) in text(value))),
    "strings.count": Builtin(2, lambda value, part: text(value).count(text(part))),
    "startswith": Builtin(2, lambda value, part: truth(text(value).startswith(text(part)))),
    "endswith": Builtin(2, lambda value, part: truth(text(value).endswith(text(part)))),
    "strings.any_prefix_match": _any_affix(str.startswith),
    "strings.any_suffix_match": _any_affix(str.endswith),
    "indexof": Builtin(2, _index),
    "indexof_n": Builtin(2, _indexes),
    "substring": Builtin(3, _substring),
    "lower": Builtin(1, lambda value: "".join(_single(char, char.lower()) for char in text(value))),
    "upper": Builtin(1, lambda value: "".join(_single(char, char.upper()) for char in text(value))),
    "split": Builtin(2, _split),
    "replace": Builtin(3, _replaced),
    "strings.replace_n": Builtin(2, _replaced_many),
    "trim": Builtin(2, _trimmed),
    "trim_left": Builtin(2, lambda value, characters: text(value).lstrip(text(characters) or "\0")),
    "trim_right": Builtin(2, lambda value, characters: text(value).rstrip(text(characters) or "\0")),
    "trim_prefix": Builtin(2, lambda value, part: text(value).removeprefix(text(part))),
    "trim_suffix": Builtin(2, lambda value, part: text(value).removesuffix(text(part))),
    "trim_space": Builtin(1, lambda value: text(value).strip()),
    "sprintf": Builtin(2, _formatted),
    "strings.reverse": Builtin(1, lambda value: text(value)[::-1]),
    "regex.is_valid": Builtin(1, _is_pattern),
    "regex.match": Builtin(2, _matches),
    "regex.find_n": Builtin(3, _found),
    "regex.find_all_string_submatch_n": Builtin(3, _found_groups),
    "regex.split": Builtin(2, _split_by),
    "regex.replace": Builtin(3, _replaced_by),
    "glob.match": Builtin(3, _glob),
    "glob.quote_meta": Builtin(1, _glob_quoted),
    "semver.compare": Builtin(2, _compared),
    "semver.is_valid": Builtin(1, _is_version),
    "type_name": Builtin(1, type_name),
    "is_object": Builtin(1, lambda value: truth(isinstance(value, Object))),
}
