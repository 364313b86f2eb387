"""Limits of a step that two graphs share: BuildKit's rules (its package `linuxresources`), by their meaning."""

from __future__ import annotations

import pytest

from bakehouse.engine.ops.exec_limits import laxer_limits
from bakehouse.llb.ops import ResourceLimits


@pytest.mark.parametrize(
    ("field", "first", "second", "laxer"),
    [
        ("memory", 5, 7, 7),
        ("memory", 0, 7, 0),
        ("memory_swap", 5, 7, 7),
        ("memory_swap", -1, 7, -1),
        ("memory_swap", 0, 7, 7),
        ("cpu_shares", 2, 512, 512),
        ("cpu_shares", 0, 512, 512),
        ("cpuset_cpus", "0-1", "1,3", "0-1,3"),
        ("cpuset_cpus", "", "1", ""),
        ("cpuset_mems", "0,1,2,4", "3", "0-4"),
        ("cpuset_cpus", "x", "1", "1"),
        ("cpuset_cpus", "0-999999999", "1", "1"),
    ],
)
def test_the_laxer_one_holds(field: str, first: object, second: object, laxer: object) -> None:
    one, other = ResourceLimits(**{field: first}), ResourceLimits(**{field: second})
    for pair in ((one, other), (other, one)):
        merged = laxer_limits(*pair)
        assert merged is not None
        assert getattr(merged, field) == laxer


@pytest.mark.parametrize(
    ("first", "second", "laxer"),
    [
        ((100, 50), (100, 60), (100, 60)),
        ((100, 50), (50, 30), (50, 30)),
        ((100, 50), (50, 25), (50, 25)),
        ((100, 50), (0, 0), (0, 0)),
        ((0, 50_000), (50_000, 30_000), (50_000, 30_000)),
    ],
)
def test_processor_time_is_compared_as_a_share(
    first: tuple[int, int], second: tuple[int, int], laxer: tuple[int, int]
) -> None:
    one, other = (ResourceLimits(cpu_period=period, cpu_quota=quota) for period, quota in (first, second))
    for pair in ((one, other), (other, one)):
        merged = laxer_limits(*pair)
        assert merged is not None
        assert (merged.cpu_period, merged.cpu_quota) == laxer


def test_who_asks_for_nothing_gives_way() -> None:
    limits = ResourceLimits(memory=5)
    assert laxer_limits(None, limits) == laxer_limits(limits, None) == limits
    assert laxer_limits(None, None) is None
