"""Arrays, sets, objects."""

from __future__ import annotations

from typing import Any

from bakehouse.rego.functions.build import Builtin, FunctionFailed, a_set, array, listed, record, whole
from bakehouse.rego.values import Boolean, Object, ordered, truth

_MAX_ELEMENTS = 1_000_000


def _count(value: Any) -> int:
    if not isinstance(value, str | tuple | frozenset | Object):
        raise FunctionFailed
    return len(value)


def _is_member(value: Any, collection: Any) -> Boolean:
    if isinstance(collection, Object):
        return truth(any(item == value for item in collection.values()))
    return truth(isinstance(collection, tuple | frozenset) and value in collection)


def _is_member_at(key: Any, value: Any, collection: Any) -> Boolean:
    if isinstance(collection, Object):
        return truth(key in collection and collection[key] == value)
    if isinstance(collection, tuple):
        return truth(isinstance(key, int) and 0 <= key < len(collection) and collection[key] == value)
    return truth(isinstance(collection, frozenset) and key == value and value in collection)


def _slice(values: Any, first: Any, last: Any) -> tuple[Any, ...]:
    found, start, end = array(values), max(0, whole(first)), whole(last)
    return found[start : min(end, len(found))] if start < end else ()


def _joined(left: Any, right: Any) -> tuple[Any, ...]:
    both = array(left) + array(right)
    if len(both) > _MAX_ELEMENTS:
        raise FunctionFailed
    return both


def _flattened(values: Any) -> tuple[Any, ...]:
    out: list[Any] = []
    for item in array(values):
        out += item if isinstance(item, tuple) else (item,)
    return tuple(out)


def _intersection(sets: Any) -> frozenset[Any]:
    found = [a_set(item) for item in a_set(sets)]
    return frozenset.intersection(*found) if found else frozenset()


def _keys_of(value: Any) -> set[Any]:
    """Keys given as an array, a set or an object."""
    return set(value) if isinstance(value, Object) else set(listed(value))


def _get(value: Any, key: Any, default: Any) -> Any:
    found: Any = record(value)
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(found, Object):
            known = part in found or part in found.unknown
        elif isinstance(found, tuple):
            known = isinstance(part, int) and 0 <= part < len(found)
        else:
            known = isinstance(found, frozenset) and part in found
        if not known:
            return default
        found = part if isinstance(found, frozenset) else found[part]
    return found


def _union(left: Object, right: Object) -> Object:
    members = dict(left)
    for key, value in right.items():
        known = members.get(key)
        both = isinstance(known, Object) and isinstance(value, Object)
        members[key] = _union(known, value) if both else value  # type: ignore[arg-type]
    return Object(members)


def _union_all(values: Any) -> Object:
    out = Object({})
    for item in array(values):
        out = _union(out, record(item))
    return out


def _is_subset(whole_value: Any, part: Any) -> Boolean:
    if isinstance(whole_value, Object) and isinstance(part, Object):
        return truth(
            all(
                key in whole_value
                and (
                    whole_value[key] == item
                    or (
                        isinstance(item, Object | tuple | frozenset)
                        and bool(_is_subset(whole_value[key], item))
                    )
                )
                for key, item in part.items()
            )
        )
    if isinstance(whole_value, frozenset) and isinstance(part, frozenset):
        return truth(part <= whole_value)
    if isinstance(whole_value, tuple) and isinstance(part, frozenset):
        return truth(part <= set(whole_value))
    if isinstance(whole_value, tuple) and isinstance(part, tuple):
        return truth(
            any(whole_value[at : at + len(part)] == part for at in range(len(whole_value) - len(part) + 1))
        )
    raise FunctionFailed


def _paths(value: Any) -> list[tuple[Any, ...]]:
    """Paths into a document: `a/b` or `["a", "b"]`."""
    out: list[tuple[Any, ...]] = []
    for item in listed(value):
        if isinstance(item, str):
            parts = item.removeprefix("/").split("/")
            out.append(tuple(part.replace("~1", "/").replace("~0", "~") for part in parts))
        else:
            out.append(array(item))
    return out


def _removed(value: Any, paths: Any) -> Any:
    for path in _paths(paths):
        value = _without(value, path)
    return value


def _without(value: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return value
    if isinstance(value, Object):
        return Object(
            {
                key: _without(item, path[1:]) if key == path[0] else item
                for key, item in value.items()
                if not (key == path[0] and len(path) == 1)
            }
        )
    if isinstance(value, tuple):
        return tuple(
            _without(item, path[1:]) if str(at) == str(path[0]) else item
            for at, item in enumerate(value)
            if not (str(at) == str(path[0]) and len(path) == 1)
        )
    return value


def _kept(value: Any, paths: Any) -> Any:
    tree: dict[Any, Any] = {}
    for path in _paths(paths):
        node = tree
        for part in path:
            node = node.setdefault(part, {})
    return _only(record(value), tree)


def _only(value: Any, tree: dict[Any, Any]) -> Any:
    if not tree:
        return value
    if isinstance(value, Object):
        return Object({key: _only(item, tree[key]) for key, item in value.items() if key in tree})
    if isinstance(value, tuple):
        names = {str(key): below for key, below in tree.items()}
        return tuple(_only(item, names[str(at)]) for at, item in enumerate(value) if str(at) in names)
    return value


def _object_filter(value: Any, keys: Any) -> Object:
    wanted = _keys_of(keys)
    return Object({key: item for key, item in record(value).items() if key in wanted})


def _object_remove(value: Any, keys: Any) -> Object:
    unwanted = _keys_of(keys)
    return Object({key: item for key, item in record(value).items() if key not in unwanted})


COLLECTIONS: dict[str, Builtin] = {
    "count": Builtin(1, _count),
    "sort": Builtin(1, lambda values: tuple(ordered(listed(values)))),
    "internal.member_2": Builtin(2, _is_member),
    "internal.member_3": Builtin(3, _is_member_at),
    "array.concat": Builtin(2, _joined),
    "array.flatten": Builtin(1, _flattened),
    "array.slice": Builtin(3, _slice),
    "array.reverse": Builtin(1, lambda values: array(values)[::-1]),
    "and": Builtin(2, lambda left, right: a_set(left) & a_set(right)),
    "or": Builtin(2, lambda left, right: a_set(left) | a_set(right)),
    "intersection": Builtin(1, _intersection),
    "union": Builtin(1, lambda sets: frozenset().union(*(a_set(item) for item in a_set(sets)))),
    "set": Builtin(0, frozenset),
    "object.get": Builtin(3, _get),
    "object.keys": Builtin(1, lambda value: frozenset(record(value))),
    "object.union": Builtin(2, lambda left, right: _union(record(left), record(right))),
    "object.union_n": Builtin(1, _union_all),
    "object.remove": Builtin(2, _object_remove),
    "object.filter": Builtin(2, _object_filter),
    "object.subset": Builtin(2, _is_subset),
    "json.remove": Builtin(2, lambda value, paths: _removed(record(value), paths)),
    "json.filter": Builtin(2, _kept),
}
