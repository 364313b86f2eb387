"""`kill -9` at any moment: the next build on the same store is right, and nothing of the dead one is left."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fault.chaos import Chaos
from tests.support.command import Bakehouse
from tests.support.services import Registry

#: The whole test is bounded by time, so that a slow machine does fewer rounds instead of taking longer.
_BUDGET_S = 15.0
_LEAST_ROUNDS = 4


@pytest.mark.privileged
def test_killed_builds(tmp_path: Path, bakehouse: Bakehouse, registry: Registry) -> None:
    folder = tmp_path / "chaos"
    folder.mkdir()
    chaos = Chaos(bakehouse, folder, registry, seed=time.time_ns() % 1_000_000)
    chaos.measure()
    deadline = time.monotonic() + _BUDGET_S
    rounds = 0
    while rounds < _LEAST_ROUNDS or time.monotonic() < deadline:
        chaos.round(rounds)
        rounds += 1
    chaos.finish()
    assert chaos.killed >= rounds // 4, "the builds should have been alive when they were killed"
