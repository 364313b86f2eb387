"""Runs the cases of this folder. `python -m tests.cases.explain.runner --update` writes what the command says now; the
difference is to be read before it is committed: expected texts follow from the definition and the format's rules, not
from what the command happens to say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def case_folders() -> list[Path]:
    return sorted(path.parent for path in ROOT.glob("*/cmd"))


def run(case: Path) -> str:
    """Standard output of `bakehouse explain` in the case's folder, whose end must be a good one."""
    path = case / "env"
    env = dict(line.split("=", 1) for line in path.read_text().splitlines()) if path.exists() else {}
    done = subprocess.run(
        [sys.executable, "-m", "bakehouse", "explain", *(case / "cmd").read_text().splitlines()],
        cwd=case,
        env={"PATH": os.defpath, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


if __name__ == "__main__":
    for folder in case_folders():
        if "--update" in sys.argv:
            (folder / "expected.txt").write_text(run(folder))
