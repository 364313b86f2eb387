"""A busybox root, and runtimes that run in a thread with mounts of its own, as the engine's workers do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.engine_thread import in_engine_thread
from tests.support.needs import need, need_command

from bakehouse.runtime import OciRuntime, Step
from bakehouse.solver.model import Cancellation

APPLETS = (
    "sh",
    "true",
    "sleep",
    "id",
    "cat",
    "ls",
    "mount",
    "mknod",
    "touch",
    "head",
    "ip",
    "stat",
    "mkdir",
    "nc",
)


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A root directory with busybox and nothing else."""
    busybox = need_command("busybox")
    root = tmp_path / "rootfs"
    (root / "bin").mkdir(parents=True)
    shutil.copy(busybox, root / "bin" / "busybox")
    for name in APPLETS:
        os.symlink("busybox", root / "bin" / name)
    return root


@pytest.fixture(params=["crun", "runc"])
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OciRuntime]:
    """Each of the two runtimes in turn."""
    need(os.geteuid() == 0, "root")
    need_command(request.param)
    environ = {**os.environ, "BAKEHOUSE_RUNTIME": request.param}
    found = in_engine_thread(lambda: OciRuntime.discover(environ, tmp_path / "state"))
    yield found
    found.close()


class Result:
    """Exit code and output of one step."""

    def __init__(self) -> None:
        self.code = -1
        self.chunks: list[tuple[int, bytes]] = []
        self.warnings: list[str] = []

    @property
    def stdout(self) -> str:
        return b"".join(data for stream, data in self.chunks if stream == 1).decode()

    @property
    def stderr(self) -> str:
        return b"".join(data for stream, data in self.chunks if stream == 2).decode()


def run_step(
    runtime: OciRuntime, rootfs: Path, *args: str, cancel: Cancellation | None = None, **fields: Any
) -> Result:
    """Runs `args` in `rootfs` and collects everything."""
    result = Result()
    fields.setdefault("env", ("PATH=/bin",))
    step = Step(args=args, rootfs=rootfs, **fields)

    def on_output(stream: int, data: bytes) -> None:
        result.chunks.append((stream, data))

    result.code = in_engine_thread(
        lambda: runtime.run(step, on_output, cancel or Cancellation(), result.warnings.append)
    )
    return result


def processes_with(marker: str) -> list[int]:
    """Ids of processes that have `marker` among their arguments."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if marker.encode() in Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0"):
                    found.append(int(name))
            except OSError:
                continue
    return found
