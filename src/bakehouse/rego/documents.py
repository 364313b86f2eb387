"""Members of values: what is at a path, and what a value is with another one there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bakehouse.rego.values import Object, ordered


class _Undefined:
    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = _Undefined()


def members_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """Keys and values of a collection, in Rego's order; nothing of anything else."""
    if isinstance(value, tuple):
        yield from enumerate(value)
    elif isinstance(value, Object):
        yield from value.pairs()
    elif isinstance(value, frozenset):
        yield from ((item, item) for item in ordered(value))


def member_of(value: Any, key: Any) -> Any:
    """`value[key]`. Raises `Unknown`."""
    if isinstance(value, tuple):
        if isinstance(key, int | float) and key == int(key) and 0 <= key < len(value):
            return value[int(key)]
    elif isinstance(value, Object):
        try:
            return value[key]
        except KeyError:
            return UNDEFINED
    elif isinstance(value, frozenset) and key in value:
        return key
    return UNDEFINED


def frozen(tree: Any) -> Any:
    """Dictionaries and sets as values."""
    if isinstance(tree, dict):
        return Object({key: frozen(item) for key, item in tree.items()})
    return frozenset(tree) if isinstance(tree, set) else tree


def with_member(value: Any, path: tuple[str, ...], member: Any) -> Any:
    """`value` with `member` at `path`, objects made where there are none."""
    if not path:
        return member
    members = dict(value) if isinstance(value, Object) else {}
    unknown = dict(value.unknown) if isinstance(value, Object) else {}
    inner = members.get(path[0], UNDEFINED)
    members[path[0]] = with_member(inner, path[1:], member)
    unknown.pop(path[0], None)
    return Object(members, unknown)
