"""Sorting as Go does is sorting; where equal elements end is shown by the cases `list/many-*`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bakehouse.go.sorting import sorted_as_go


@given(st.lists(st.integers(0, 40), max_size=200))
def test_everything_is_there_and_in_order(keys: list[int]) -> None:
    items = list(enumerate(keys))
    found = sorted_as_go(items, lambda item: item[1])
    assert sorted(found) == items
    assert [key for _, key in found] == sorted(keys)


@given(st.lists(st.integers(0, 5), max_size=12))
def test_short_lists_keep_the_order_of_equals(keys: list[int]) -> None:
    items = list(enumerate(keys))
    assert sorted_as_go(items, lambda item: item[1]) == sorted(items, key=lambda item: item[1])
