"""How two values of one field become one, and how a resolved value is tidied (reference bake.md §12, §13).

Which field uses which rule stands in `fields`. Rules never change their arguments; neither value is None.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeVar

    from bakehouse.bake.entries import Attest, Resources, SecretEntry, SshEntry

    T = TypeVar("T")
    Identified = TypeVar("Identified", SecretEntry, SshEntry)


def replace(old: T, new: T) -> T:
    return new


def replace_nonempty(old: str, new: str) -> str:
    return new or old


def append(old: list[T], new: list[T]) -> list[T]:
    return old + new


def merge_maps(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    return {**old, **new}


def append_unique_entries(old: list[T], new: list[T]) -> list[T]:
    return unique_entries(old + new)


def append_by_type(old: list[Attest], new: list[Attest]) -> list[Attest]:
    return merge_by_type(old + new)


def append_by_id(old: list[Identified], new: list[Identified]) -> list[Identified]:
    return merge_by_id(old + new)


def merge_resources(old: Resources, new: Resources) -> Resources:
    return old.merged(new)


def unique_texts(texts: list[str]) -> list[str]:
    """First occurrences, in order; empty texts are dropped."""
    return list(dict.fromkeys(text for text in texts if text))


def unique_entries(entries: Iterable[T]) -> list[T]:
    """Entries without repetitions. The first of equal ones stays in place, but the last entry moves into the place of
    the dropped one: the order that buildx gives (trap T23)."""
    out = list(entries)
    for index in range(len(out) - 2, -1, -1):
        for other in range(index + 1, len(out)):
            if out[index] == out[other]:
                out[other] = out[-1]
                out.pop()
                break
    return out


def unique_entries_or_unset(entries: list[T]) -> list[T] | None:
    """As `unique_entries`; an empty list becomes "not set", so that a parent cannot clear a child's list."""
    return unique_entries(entries) or None


def merge_by_type(entries: Iterable[Attest]) -> list[Attest]:
    """One entry a type: the last one, in the place of the first (a dict keeps a key's first place)."""
    return list({entry.type: entry for entry in entries}.values())


def merge_by_id(entries: Iterable[Identified]) -> list[Identified]:
    """One entry an id: the last one, in the place of the first."""
    return list({entry.id: entry for entry in entries}.values())


def merge_by_type_or_unset(entries: list[Attest]) -> list[Attest] | None:
    return merge_by_type(entries) or None


def merge_by_id_or_unset(entries: list[Identified]) -> list[Identified] | None:
    return merge_by_id(entries) or None


def without_empty_values(members: dict[str, str]) -> dict[str, str] | None:
    """Named contexts that still mean something; an empty value removes one."""
    return {key: value for key, value in members.items() if value} or None
