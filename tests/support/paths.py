"""Where the test set-up keeps what it made."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
PEERS = CACHE / "peers" / "current"
BASES = CACHE / "bases"
CASES = ROOT / "tests" / "cases"


def peer(name: str) -> Path:
    """The binary of a peer that `tools/setup test` built. Missing is a failure, not a reason to skip."""
    path = PEERS / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `make setup-test`")
    return path
