"""Asks BuildKit for the recorded answers again (`python -m tests.unit.dockerfile.record`). Not a test."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.json_peer import JsonPeer
from tests.support.paths import peer


def main() -> None:
    here = Path(__file__).parent
    for path in sorted(here.glob("*.json")):
        requests = [entry["request"] for entry in json.loads(path.read_text(encoding="utf-8"))]
        with JsonPeer(peer("dockerfilesyntax")) as buildkit:
            answers = buildkit.ask_all(requests)
        entries = [{"request": r, "answer": a} for r, a in zip(requests, answers, strict=True)]
        body = ",\n".join(json.dumps(entry, ensure_ascii=True) for entry in entries)
        path.write_text(f"[\n{body}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
