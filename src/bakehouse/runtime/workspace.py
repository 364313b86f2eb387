"""What an engine needs around its containers: scratch directory, bundles to reuse, and the watchdog.

There is one workspace for each mount namespace that steps are run from (an engine has one).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bakehouse.linux.locks import FileLock
from bakehouse.linux.mounts import MNT_DETACH, umount
from bakehouse.runtime import watchdog
from bakehouse.runtime.cgroups import kill_and_remove
from bakehouse.runtime.scratch import Scratch
from bakehouse.runtime.spawn import reap, spawn
from bakehouse.values import dataclass


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of one container, all below `path`. Used by one step at a time."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def pid_file(self) -> Path:
        return self.path / "pid"

    @property
    def log(self) -> Path:
        return self.path / "log.json"

    @property
    def hosts(self) -> Path:
        return self.path / "hosts"

    @property
    def resolv_conf(self) -> Path:
        return self.path / "resolv.conf"

    @property
    def rootfs(self) -> Path:
        return self.path / "rootfs"


class Workspace:
    """Thread-safe. `token` begins the ids of all containers started here; `numbers` makes them differ between the
    workspaces of one engine, whose control groups lie side by side."""

    def __init__(self, scratch: Scratch, token: str, numbers: Iterator[int]) -> None:
        self.scratch = scratch
        self.token = token
        self._numbers = numbers
        self._lock = threading.Lock()
        self._free: list[Bundle] = []
        self._bundles = 0
        self._watchdog: Watchdog | None = None

    def guard(self, runtime: str, hierarchies: tuple[str, ...], environ: Mapping[str, str]) -> None:
        """Starts the watchdog, once."""
        with self._lock:
            if self._watchdog is None:
                arguments = [runtime, os.fspath(self.scratch.state), self.token, *hierarchies]
                self._watchdog = Watchdog(arguments, environ)

    @contextmanager
    def bundle(self) -> Iterator[Bundle]:
        """A bundle directory without the traces of the step before."""
        with self._lock:
            if self._free:
                bundle = self._free.pop()
            else:
                bundle = Bundle(self.scratch.bundles / str(self._bundles))
                self._bundles += 1
                bundle.path.mkdir(mode=0o711)
                bundle.rootfs.mkdir(mode=0o700)
        bundle.pid_file.unlink(missing_ok=True)
        bundle.log.unlink(missing_ok=True)
        try:
            yield bundle
        finally:
            with self._lock:
                self._free.append(bundle)

    @contextmanager
    def container(self) -> Iterator[str]:
        """A new container id, watched over while the context lasts."""
        with self._lock:
            name = f"{self.token}-{next(self._numbers)}"
            guard = self._watchdog
        if guard is not None:
            guard.tell(f"+{name}")
        try:
            yield name
        finally:
            if guard is not None:
                guard.tell(f"-{name}")

    def close(self) -> None:
        """Ends the watchdog and drops the scratch directory, if the calling thread still sees it."""
        with self._lock:
            guard, self._watchdog = self._watchdog, None
        if guard is not None:
            guard.close()
        try:
            if os.path.ismount(self.scratch.path):
                umount(self.scratch.path, MNT_DETACH)
        except OSError:
            # Another thread's namespace holds it; it ends with that.
            pass


class Watchdog:
    """Our end of the pipe to `runtime.watchdog`. Thread-safe. Does nothing where Python cannot be started again."""

    def __init__(self, arguments: list[str], environ: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        read_end, self._fd = os.pipe()
        script = watchdog.__file__
        try:
            if sys.executable and os.path.isfile(script):
                argv = [sys.executable, "-I", "-S", script, *arguments]
                self._pid = spawn(argv, {0: read_end}, environ)
        except OSError:
            self._pid = 0
        finally:
            os.close(read_end)

    def tell(self, line: str) -> None:
        with self._lock:
            if self._fd < 0:
                return
            try:
                os.write(self._fd, line.encode("ascii") + b"\n")
            except OSError:
                # It was killed. The lock file of this engine still lets the next one clean up.
                os.close(self._fd)
                self._fd = -1

    def close(self) -> None:
        self.tell(".")
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            pid, self._pid = self._pid, 0
        if pid:
            reap(pid)


def sweep_dead_engines(directory: Path, hierarchies: tuple[str, ...]) -> None:
    """Kills what engines left running that died together with their watchdogs.

    `directory` holds a lock file for each engine, named by its token and locked as long as it lives.
    """
    for name in os.listdir(directory):
        lock = FileLock.acquire(directory / name, wait=False)
        if lock is None:
            continue
        with lock:
            kill_and_remove(hierarchies, name)
            (directory / name).unlink(missing_ok=True)
