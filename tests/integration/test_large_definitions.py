"""A definition of ten thousand targets is printed within seconds and in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

COUNT = 10_000
#: Generous: a busy machine with slow cores takes a part of it. `benchmarks/run.py` measures.
SECONDS = 120
MEGABYTES = 500

#: A small process between: the peak that the kernel tells of a child begins with the size of who started it.
_MEASURED = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(done.returncode)
"""


def test_ten_thousand_targets(tmp_path: Path, python: str) -> None:
    targets = "".join(
        f'target "t{n}" {{\n  inherits = ["base"]\n  target = "s{n}"\n  tags = ["r/t{n}:${{TAG}}"]\n}}\n'
        for n in range(COUNT)
    )
    head = 'variable "TAG" { default = "latest" }\ntarget "base" { args = { V = 1 } }\n'
    (tmp_path / "docker-bake.hcl").write_text(head + targets)
    printed = tmp_path / "printed"
    started = time.monotonic()
    with printed.open("wb") as out:
        done = subprocess.run(
            [python, "-S", "-c", _MEASURED, python, "-m", "bakehouse", "bake", "--print", "*"],
            cwd=tmp_path,
            stdout=out,
            stderr=subprocess.PIPE,
            check=True,
            env={"HOME": str(tmp_path), "PATH": os.defpath},
        )
    assert time.monotonic() - started < SECONDS
    assert int(done.stderr.split()[-1]) / 1024 < MEGABYTES
    resolved = json.loads(printed.read_text())["target"]
    assert len(resolved) == COUNT + 1
    assert resolved["t9999"]["tags"] == ["r/t9999:latest"]
    assert resolved["t9999"]["args"] == {"V": "1"}
