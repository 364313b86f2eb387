"""Graphs of the size that code generators write: time and memory stay in proportion."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.unit.solver.world import Op, World, node

ROOT = Path(__file__).resolve().parents[3]

_MEASURE = """
import json, sys, time
from tests.unit.solver.world import Op, World, node

def layered(width, depth):
    row = [node(Op(f"base{x}")) for x in range(width)]
    for y in range(1, depth):
        row = [
            node(Op(f"n{y}-{x}", inputs=2, action=lambda c, i: "x"), row[x], row[(x + 1) % width])
            for x in range(width)
        ]
    return row


def fan(count):
    leaves = [node(Op(f"leaf{x}")) for x in range(count - 1)]
    return [node(Op("top", inputs=count - 1, action=lambda c, i: str(len(i))), *leaves)]

make = {"layered": lambda: layered(200, 100), "fan": lambda: fan(20_000)}[sys.argv[1]]
world = World()
graph = make()
start = time.process_time()
world.solve(*graph)
first = time.process_time() - start
graph = make()
start = time.process_time()
world.solve(*graph)
again = time.process_time() - start
# Not ru_maxrss: that remembers how large the process was that started this one.
peak_kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([first, again, peak_kb / 1024]))
"""


@pytest.mark.parametrize("shape", ["layered", "fan"])
def test_twenty_thousand_vertices(shape: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, shape],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    first_s, again_s, peak_mb = json.loads(done.stdout)
    # What is not in proportion takes minutes; a busy machine doubles processor time, too.
    assert first_s < 10 and again_s < 10
    assert peak_mb < 300


def test_a_thousand_steps_at_once(world: World) -> None:
    running = threading.Semaphore(64)
    crowded = []

    def work(context: object, inputs: object) -> str:
        if not running.acquire(blocking=False):
            crowded.append(1)
            return "x"
        running.release()
        return "x"

    nodes = [node(Op(f"n{number}", action=work)) for number in range(1000)]
    assert world.solve(*nodes, parallelism=64) == ["x"] * 1000
    assert not crowded


@pytest.fixture
def world() -> World:
    return World()
