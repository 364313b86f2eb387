"""Asks BuildKit for the recorded answers again: `python record.py PEER_BINARY`, where the binary is built
with `cd tests/peers && go build -o PEER_BINARY ../unit/dockerfile/peer/main.go`. Not a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def main() -> None:
    here = Path(__file__).parent
    for path in sorted(here.glob("*.json")):
        requests = [entry["request"] for entry in json.loads(path.read_text(encoding="utf-8"))]
        lines = "\n".join(map(json.dumps, requests))
        run = subprocess.run([sys.argv[1]], input=lines.encode(), stdout=subprocess.PIPE, check=True)
        answers = [json.loads(line) for line in run.stdout.decode().rstrip("\n").split("\n")]
        entries = [{"request": r, "answer": a} for r, a in zip(requests, answers, strict=True)]
        body = ",\n".join(json.dumps(entry, ensure_ascii=True) for entry in entries)
        path.write_text(f"[\n{body}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
