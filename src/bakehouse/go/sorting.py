"""Sorting as Go's `slices.SortFunc`: what is equal ends where its quicksort leaves it.

Up to twelve elements that is the order in which they came, as with any stable sort. Beyond, Go's pattern-defeating
quicksort decides, which has nothing random in it. Who shows a list that Go programs show in that order needs the same
exchanges; for all else there is `sorted`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    Item = TypeVar("Item")

_SHORT = 12
_NINTHER_FROM = 50
_SHIFTING_FROM = 50
_MOST_SHIFTS = 5
_WORD = (1 << 64) - 1
_RISING, _FALLING, _MIXED = range(3)


def sorted_as_go(items: Iterable[Item], key: Callable[[Item], Any]) -> list[Item]:
    """The items by their keys."""
    listed = list(items)
    keys = [key(item) for item in listed]
    if len(listed) <= _SHORT or len(set(keys)) == len(keys):
        return sorted(listed, key=key)
    sorter = _Sorter(keys)
    sorter.sort(0, len(keys), len(keys).bit_length())
    return [listed[place] for place in sorter.places]


class _Sorter:
    """Sorts `places`, which say where in the original each element stood, by the keys there."""

    def __init__(self, keys: list[Any]) -> None:
        self._keys = keys
        self.places = list(range(len(keys)))

    def _less(self, one: int, other: int) -> bool:
        """Whether the element at one position belongs before that at another."""
        return bool(self._keys[self.places[one]] < self._keys[self.places[other]])

    def _swap(self, one: int, other: int) -> None:
        places = self.places
        places[one], places[other] = places[other], places[one]

    def _stable(self, start: int, end: int) -> None:
        self.places[start:end] = sorted(self.places[start:end], key=self._keys.__getitem__)

    def sort(self, start: int, end: int, bad_choices_left: int) -> None:
        """Sorts a range; `bad_choices_left` pivots may divide it badly."""
        balanced = divided = True
        while end - start > _SHORT:
            size = end - start
            if bad_choices_left == 0:
                # Go changes to a heap sort here, for orders that were made to be slow. Nobody names targets that way.
                break
            if not balanced:
                self._mix(start, end)
                bad_choices_left -= 1
            pivot, trend = self._pivot(start, end)
            if trend == _FALLING:
                self.places[start:end] = reversed(self.places[start:end])
                pivot, trend = end - 1 - (pivot - start), _RISING
            if balanced and divided and trend == _RISING and self._nearly_sorted(start, end):
                return
            if start > 0 and not self._less(start - 1, pivot):
                start = self._behind_equals(start, end, pivot)
                continue
            middle, divided = self._divide(start, end, pivot)
            balanced = min(middle - start, end - middle) >= size // 8
            if middle - start < end - middle:
                self.sort(start, middle, bad_choices_left)
                start = middle + 1
            else:
                self.sort(middle + 1, end, bad_choices_left)
                end = middle
        self._stable(start, end)

    def _divide(self, start: int, end: int, pivot: int) -> tuple[int, bool]:
        """Smaller elements to the left of the pivot, others to its right. Its position, and whether they were so."""
        self._swap(start, pivot)
        left, right = start + 1, end - 1
        exchanges = 0
        while True:
            while left <= right and self._less(left, start):
                left += 1
            while left <= right and not self._less(right, start):
                right -= 1
            if left > right:
                break
            self._swap(left, right)
            exchanges += 1
            left, right = left + 1, right - 1
        self._swap(right, start)
        return right, exchanges == 0

    def _behind_equals(self, start: int, end: int, pivot: int) -> int:
        """Elements equal to the pivot, the smallest there is, to the left. The position behind them."""
        self._swap(start, pivot)
        left, right = start + 1, end - 1
        while True:
            while left <= right and not self._less(start, left):
                left += 1
            while left <= right and self._less(start, right):
                right -= 1
            if left > right:
                return left
            self._swap(left, right)
            left, right = left + 1, right - 1

    def _nearly_sorted(self, start: int, end: int) -> bool:
        """Whether the range is sorted, a few elements of a long one having been shifted."""
        at = start + 1
        for _ in range(_MOST_SHIFTS):
            while at < end and not self._less(at, at - 1):
                at += 1
            if at == end:
                return True
            if end - start < _SHIFTING_FROM:
                return False
            self._swap(at, at - 1)
            if at - start >= 2:
                self._shift(range(at - 1, 0, -1))
            if end - at >= 2:
                self._shift(range(at + 1, end))
        return False

    def _shift(self, positions: Iterable[int]) -> None:
        for position in positions:
            if not self._less(position, position - 1):
                break
            self._swap(position, position - 1)

    def _mix(self, start: int, end: int) -> None:
        """Moves three elements out of the middle, where a bad choice came from."""
        size = end - start
        number = size
        mask = (1 << size.bit_length()) - 1
        middle = start + size // 4 * 2
        for position in range(middle - 1, middle + 2):
            number ^= number << 13 & _WORD
            number ^= number >> 7
            number ^= number << 17 & _WORD
            other = number & mask
            self._swap(position, start + (other - size if other >= size else other))

    def _pivot(self, start: int, end: int) -> tuple[int, int]:
        """The position of a middling element, and what looking for it tells of the order."""
        quarter = (end - start) // 4
        exchanges: list[int] = []
        tries = [start + quarter * part for part in (1, 2, 3)]
        if end - start >= _NINTHER_FROM:
            tries = [self._median([each - 1, each, each + 1], exchanges) for each in tries]
        pivot = self._median(tries, exchanges)
        trend = {0: _RISING, 12: _FALLING}.get(len(exchanges), _MIXED)
        return pivot, trend

    def _median(self, positions: list[int], exchanges: list[int]) -> int:
        one, two, three = positions
        for pair in (0, 1, 0):
            first, second = (one, two) if pair == 0 else (two, three)
            if self._less(second, first):
                exchanges.append(first)
                first, second = second, first
            if pair == 0:
                one, two = first, second
            else:
                two, three = first, second
        return two
