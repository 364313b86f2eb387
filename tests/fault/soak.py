"""The chaos of `test_kill` for as long as one likes: `python -m tests.fault.soak [--minutes N] [--seed S]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fault.chaos import Chaos
from tests.support.command import Bakehouse
from tests.support.services import running_registry


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, help="begin where an earlier run failed")
    parser.add_argument("--folder", type=Path, help="where the stores go (default: the temporary directory)")
    options = parser.parse_args(argv)
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    deadline = time.monotonic() + options.minutes * 60
    rounds = killed = 0
    with tempfile.TemporaryDirectory(prefix="soak-", dir=options.folder) as temporary:
        with running_registry(Path(temporary) / "registry") as registry:
            registry.push_bases({"busybox"})
            while time.monotonic() < deadline:
                # A new store every twenty rounds: the first moments of a store are moments too.
                folder = Path(temporary) / f"seed-{seed}"
                folder.mkdir()
                chaos = Chaos(Bakehouse(folder / "home", registry), folder / "chaos", registry, seed)
                chaos.measure()
                for number in range(20):
                    if time.monotonic() >= deadline:
                        break
                    chaos.round(number)
                    rounds += 1
                chaos.finish()
                killed += chaos.killed
                print(f"soak: {rounds} rounds, {killed} builds killed, last seed {seed}", flush=True)
                seed += 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
