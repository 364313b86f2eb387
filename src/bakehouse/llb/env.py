"""Environments whose order is that of BuildKit's: the order decides the bytes of an exec op."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


class EnvList(Mapping[str, str]):
    """An immutable environment. Setting a variable again moves it to the end, as in BuildKit's client."""

    __slots__ = ("_values",)

    def __init__(self, values: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, str] = {}
        for key, value in values:
            self._values.pop(key, None)
            self._values[key] = value

    def with_value(self, key: str, value: str) -> "EnvList":
        """This environment with `key` set, as its last entry."""
        out = EnvList()
        out._values.update(self._values)
        out._values.pop(key, None)
        out._values[key] = value
        return out

    def without(self, key: str) -> "EnvList":
        """This environment without `key`."""
        out = EnvList()
        out._values.update(self._values)
        out._values.pop(key, None)
        return out

    def as_list(self) -> tuple[str, ...]:
        """`K=V` entries in order."""
        return tuple(f"{key}={value}" for key, value in self._values.items())

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"EnvList({self._values!r})"


def split_entry(entry: str) -> tuple[str, str]:
    """`K=V` as a pair; an entry without `=` has an empty value."""
    key, _, value = entry.partition("=")
    return key, value
