"""One container from start to end: the runtime process, its output, its death."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.errors import CancelledError
from bakehouse.runtime.foreground import Foreground, Processes
from bakehouse.runtime.logs import starts_like_error
from bakehouse.runtime.spawn import reap, run_quietly, spawn
from bakehouse.runtime.step import Cancel, OnOutput
from bakehouse.values import dataclass

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_CHUNK = 64 * 1024
#: How long the runtime may take to notice that its container was killed, before it is killed itself.
_KILL_GRACE_S = 5.0
#: Once every process of the step is dead nobody can hold its pipes; a leak must not hang the build all the same.
_DRAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class ContainerCommand:
    """How to call the runtime for one container. `runtime` is the binary with its global options."""

    runtime: tuple[str, ...]
    container_id: str
    bundle: Path
    pid_file: Path
    environ: Mapping[str, str]

    def run_arguments(self) -> list[str]:
        options = ["--bundle", os.fspath(self.bundle), "--pid-file", os.fspath(self.pid_file)]
        return [*self.runtime, "run", *options, self.container_id]

    def delete(self) -> None:
        """Removes what is left of the container, killing it if it still runs. Harmless when nothing is."""
        run_quietly([*self.runtime, "delete", "--force", self.container_id], self.environ)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`exit_code` is the runtime's; `held_back` is output that may be its own error message, not passed on yet."""

    exit_code: int
    held_back: bytes


def run_container(
    command: ContainerCommand, on_output: OnOutput, cancel: Cancel, foreground: Foreground | None = None
) -> Outcome:
    """Runs to the end, streaming output from this thread. `foreground` lends standard input or a terminal.

    When cancelled, or when `on_output` raises, every process of the container is killed at once and the container
    removed before the error rises (`CancelledError` in the first case).
    """
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    wake_read, wake_write = os.pipe()
    fds = {_STDOUT: out_write, _STDERR: err_write}
    if foreground is not None and foreground.streams.terminal:
        fds = {_STDIN: _STDIN, _STDOUT: _STDOUT, _STDERR: _STDERR}
    elif foreground is not None and foreground.streams.stdin is not None:
        fds[_STDIN] = foreground.streams.stdin
    try:
        pid = spawn(command.run_arguments(), fds, command.environ)
    except BaseException:
        for fd in (out_read, err_read, wake_read, wake_write):
            os.close(fd)
        raise
    finally:
        os.close(out_write)
        os.close(err_write)
    waker = _Waker(wake_write)
    unregister = cancel.on_cancel(waker.wake)
    running = _Running(command, pid)
    if foreground is not None:
        foreground.attach(running.observable())
    try:
        held_back = _pump({out_read: _STDOUT, err_read: _STDERR}, running.pidfd, wake_read, on_output)
        return Outcome(running.wait(), held_back)
    except BaseException:
        running.kill()
        raise
    finally:
        if foreground is not None:
            foreground.detach()
        unregister()
        waker.close()
        running.close()
        for fd in (out_read, err_read, wake_read):
            os.close(fd)


class _Waker:
    """The cancelling thread's end of a pipe. It may still fire while the step's thread is closing it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def wake(self) -> None:
        with self._lock:
            if self._fd >= 0:
                os.write(self._fd, b"!")

    def close(self) -> None:
        with self._lock:
            os.close(self._fd)
            self._fd = -1


def _pump(streams: dict[int, int], pidfd: int, wake: int, on_output: OnOutput) -> bytes:
    """Passes output on until the runtime has ended and both pipes are empty. Returns what was held back."""
    poll = select.poll()
    for fd in (*streams, pidfd, wake):
        poll.register(fd, select.POLLIN)
    gate = _Gate(on_output)
    ended_at: float | None = None
    while streams or ended_at is None:
        if ended_at is not None and time.monotonic() - ended_at > _DRAIN_S:
            break
        for fd, _ in poll.poll(None if ended_at is None else _DRAIN_S * 1000):
            if fd == wake:
                raise CancelledError
            if fd == pidfd:
                ended_at = time.monotonic()
                poll.unregister(pidfd)
            elif data := os.read(fd, _CHUNK):
                gate.pass_on(streams[fd], data)
            else:
                poll.unregister(fd)
                del streams[fd]
    return gate.held


class _Gate:
    """Holds back standard error that begins like a runtime's own error, until something else follows it."""

    def __init__(self, on_output: OnOutput) -> None:
        self._on_output = on_output
        self._virgin = True
        self.held = b""

    def pass_on(self, stream: int, data: bytes) -> None:
        if self._virgin and stream == _STDERR and starts_like_error(data):
            self.held = data
        else:
            if self.held:
                held, self.held = self.held, b""
                self._on_output(_STDERR, held)
            self._on_output(stream, data)
        self._virgin = False


class _Running:
    """The runtime process and, once its pid file is there, the container's first process."""

    def __init__(self, command: ContainerCommand, pid: int) -> None:
        self._command = command
        self._pid = pid
        self._ended = False
        self._directory: int | None = None
        self.pidfd = os.pidfd_open(pid)

    def wait(self) -> int:
        code = reap(self._pid)
        self._ended = True
        return code

    def kill(self) -> None:
        """Ends everything. The kernel kills a whole process id namespace together with its first process."""
        if not self._ended:
            # A process id is only sure to be the container's while the runtime, its parent, has not ended.
            if not (self._ends_within(0) or (self._kill_init() and self._ends_within(_KILL_GRACE_S))):
                # Not that far yet: the container's half-made process ends with the runtime that was making it …
                os.kill(self._pid, signal.SIGKILL)
                # … or it got that far just now.
                self._kill_init()
            self.wait()
        self._command.delete()

    def observable(self) -> Processes:
        """A function that any thread may call for the ids of the runtime and of the container's first process, as far
        as they are running. (The pid file's path means something in this thread's mount namespace only.)"""
        pid_file = self._command.pid_file
        directory = self._directory = os.open(pid_file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

        def processes() -> tuple[int | None, int | None]:
            if self._ended or self._ends_within(0):
                return None, None
            try:
                fd = os.open(pid_file.name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
                with open(fd, "rb") as file:
                    return self._pid, int(file.read())
            except (OSError, ValueError):
                return self._pid, None

        return processes

    def _kill_init(self) -> bool:
        try:
            pid = int(self._command.pid_file.read_bytes())
            os.kill(pid, signal.SIGKILL)
        except (OSError, ValueError):
            return False
        return True

    def _ends_within(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        os.close(self.pidfd)
        if self._directory is not None:
            os.close(self._directory)


def global_options(binary: str, kind: str, state: Path, log: Path, *, cgroups: bool) -> tuple[str, ...]:
    """The runtime's command line up to the subcommand. `kind` is `crun` or `runc`."""
    options: Sequence[str] = ("--root", os.fspath(state), "--log", os.fspath(log), "--log-format", "json")
    if kind == "crun":
        manager = "cgroupfs" if cgroups else "disabled"
        return (binary, *options, f"--cgroup-manager={manager}")
    return (binary, *options)
