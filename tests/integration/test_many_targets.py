"""A bake of a thousand targets: seconds and megabytes, with no more descriptors than any process may have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import Bakehouse

COUNT = 1000


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    """Every target copies two of the context's files; every file is copied by two targets."""
    folder = tmp_path / "context"
    (folder / "files").mkdir(parents=True)
    names = [f"t{number}" for number in range(COUNT)]
    blocks = [f'group "default" {{ targets = {json.dumps(names)} }}']
    for number, name in enumerate(names):
        (folder / "files" / str(number)).write_text(str(number))
        dockerfile = f"FROM scratch\nCOPY files/{number} /a\nCOPY files/{(number + 1) % COUNT} /b\n"
        blocks.append(
            f'target "{name}" {{\n  dockerfile-inline = {json.dumps(dockerfile)}\n  output = ["type=cacheonly"]\n}}'
        )
    (folder / "docker-bake.hcl").write_text("\n".join(blocks))
    return folder


#: Runs a command and prints its processor seconds and peak kilobytes. A small process of its own, because the kernel
#: counts the size of the process that starts a program as that program's.
_MEASURED = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
os._exit(os.waitstatus_to_exitcode(status))
"""


def baked(bakehouse: Bakehouse, folder: Path) -> tuple[dict[str, bool], float, float]:
    """(whether each step was cached, processor seconds, peak megabytes) of one bake."""
    limited = ["prlimit", "--nofile=1024:1024", *bakehouse.argv("bake", "--progress=rawjson")]
    done = subprocess.run(
        [sys.executable, "-u", "-c", _MEASURED, *limited],
        cwd=folder,
        env=bakehouse.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    steps: dict[str, bool] = {}
    for line in done.stderr.splitlines():
        for vertex in json.loads(line).get("vertexes") or ():
            if "COPY" in vertex["name"] and vertex.get("completed"):
                steps[vertex["name"]] = vertex.get("cached", False)
    seconds, kilobytes = map(float, done.stdout.split()[-2:])
    return steps, seconds, kilobytes / 1024


def test_a_thousand_targets(offline: Bakehouse, definition: Path) -> None:
    steps, seconds, megabytes = baked(offline, definition)
    assert len(steps) == 2 * COUNT
    assert not any(steps.values())
    assert seconds < 30
    assert megabytes < 200
    steps, seconds, megabytes = baked(offline, definition)
    assert len(steps) == 2 * COUNT
    assert all(steps.values())
    assert seconds < 15
    assert megabytes < 200
