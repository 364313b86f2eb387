"""Values of Rego and their order: null, booleans, numbers, strings, arrays, objects, sets.

None, int and float, str, tuple, `Object`, frozenset stand for them; booleans are `TRUE` and `FALSE`, since Python's are
numbers, and a set may hold both. All are immutable and hashable. What has no value at all is no value: an evaluation
then yields nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias


class Boolean:
    """One of `TRUE` and `FALSE`."""

    __slots__ = ("_truth",)

    def __init__(self, truth: bool) -> None:
        self._truth = truth

    def __bool__(self) -> bool:
        return self._truth

    def __repr__(self) -> str:
        return "true" if self._truth else "false"


TRUE, FALSE = Boolean(True), Boolean(False)


class Unknown(Exception):
    """A member of the input is asked for that is not known yet: `path` from the input on."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Object(Mapping[Any, Any]):
    """An object. `unknown` maps keys whose values are not known to their paths: to ask for one raises `Unknown`;
    whoever looks at the object as a whole sees only what is known."""

    __slots__ = ("_hash", "_members", "unknown")

    def __init__(self, members: Mapping[Any, Any], unknown: Mapping[Any, str] | None = None) -> None:
        self._members = dict(members)
        self._hash: int | None = None
        self.unknown = unknown or {}

    def __getitem__(self, key: Any) -> Any:
        """Raises KeyError, and `Unknown`."""
        try:
            return self._members[key]
        except KeyError:
            if key in self.unknown:
                raise Unknown(self.unknown[key]) from None
            raise

    def __iter__(self) -> Iterator[Any]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Object) and self._members == other._members

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._members.items()))
        return self._hash

    def pairs(self) -> list[tuple[Any, Any]]:
        """The members in the order of their keys."""
        return sorted(self._members.items(), key=lambda pair: sort_key(pair[0]))


Value: TypeAlias = "Boolean | int | float | str | tuple[Any, ...] | Object | frozenset[Any] | None"

_RANKS = {type(None): 0, Boolean: 1, int: 2, float: 2, str: 3, tuple: 4, Object: 5, frozenset: 6}
_NAMES = {
    type(None): "null",
    Boolean: "boolean",
    int: "number",
    float: "number",
    str: "string",
    tuple: "array",
    Object: "object",
    frozenset: "set",
}


def type_name(value: Value) -> str:
    """What `type_name(value)` says in Rego."""
    return _NAMES[type(value)]


def truth(value: bool) -> Boolean:
    """A boolean of Rego, which is no number."""
    return TRUE if value else FALSE


def sort_key(value: Any) -> tuple[Any, ...]:
    """Keys compare as the values do: by type, then by what they hold; strings by their bytes."""
    rank = _RANKS[type(value)]
    if rank == 0:
        return (0,)
    if rank == 1:
        return (1, bool(value))
    if rank == 2:
        return (2, value)
    if rank == 3:
        return (3, value.encode("utf-8", "surrogatepass"))
    if rank == 4:
        return (4, tuple(sort_key(item) for item in value))
    if rank == 5:
        pairs = value.pairs()
        return (5, tuple(sort_key(key) for key, _ in pairs), tuple(sort_key(item) for _, item in pairs))
    return (6, tuple(sort_key(item) for item in ordered(value)))


def ordered(values: Iterable[Any]) -> list[Any]:
    """The values in Rego's order, which is that in which sets are iterated."""
    return sorted(values, key=sort_key)


def from_python(value: Any) -> Value:
    """A value of what `json.loads` gives."""
    if isinstance(value, bool):
        return truth(value)
    if isinstance(value, Mapping):
        return Object({key: from_python(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(from_python(item) for item in value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value  # type: ignore[no-any-return]


def to_python(value: Any) -> Any:
    """The inverse of `from_python`; sets become lists in their order."""
    if isinstance(value, Boolean):
        return bool(value)
    if isinstance(value, Object):
        return {key if isinstance(key, str) else to_json(key): to_python(item) for key, item in value.pairs()}
    if isinstance(value, tuple):
        return [to_python(item) for item in value]
    if isinstance(value, frozenset):
        return [to_python(item) for item in ordered(value)]
    return value


def to_json(value: Any) -> str:
    """The value as Go's encoder writes it, without blanks."""
    from bakehouse.go.jsontext import compact_json

    return compact_json(_plain_numbers(to_python(value)))


def _plain_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if isinstance(value, dict):
        return {key: _plain_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain_numbers(item) for item in value]
    return value


def to_text(value: Any) -> str:
    """The value as Rego writes it, in `sprintf` and `print`: sets in braces, object members after `: `."""
    from bakehouse.go.text import quote

    if value is None:
        return "null"
    if isinstance(value, Boolean):
        return repr(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(map(to_text, value)) + "]"
    if isinstance(value, Object):
        return "{" + ", ".join(f"{to_text(key)}: {to_text(item)}" for key, item in value.pairs()) + "}"
    if isinstance(value, frozenset):
        return "{" + ", ".join(map(to_text, ordered(value))) + "}" if value else "set()"
    return to_json(value)
