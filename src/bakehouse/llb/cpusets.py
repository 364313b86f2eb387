"""Sets of processors or memory nodes as text, `0-3,5`, by BuildKit's rules and in its words."""

from __future__ import annotations

from collections.abc import Iterable

from bakehouse.go.text import quote
from bakehouse.go.values import parse_int

#: A text may come from a stranger; without a limit a range of a few characters fills the memory.
MAX_NUMBER = 8192


def parse_cpu_set(text: str) -> set[int]:
    """The numbers of `text`; empty elements are nothing. Raises `ValueError` with BuildKit's message."""
    numbers: set[int] = set()
    for part in (element.strip() for element in text.split(",")):
        if not part:
            continue
        low, dash, high = part.partition("-")
        kind = "range" if dash else "element"
        first, last = _number(low), _number(high if dash else low)
        if first is None or last is None or last < first:
            raise ValueError(f"invalid cpuset {kind} {quote(part)}")
        if last > MAX_NUMBER:
            raise ValueError(f"cpuset {kind} {quote(part)} exceeds maximum {MAX_NUMBER}")
        numbers.update(range(first, last + 1))
    return numbers


def format_cpu_set(numbers: Iterable[int]) -> str:
    """Sorted, neighbours joined to ranges."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def _number(text: str) -> int | None:
    try:
        number = parse_int(text.strip())
    except ValueError:
        return None
    return number if number >= 0 else None
