"""A container that a person runs in the foreground: its standard input, its terminal, and the signals passed on to it.

Build steps have none of this: they read nothing, and an interrupt cancels the build.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

from bakehouse.values import dataclass

#: Gives the process ids of (the OCI runtime, the container's first process); None for one that is not there (yet).
Processes = Callable[[], tuple[int | None, int | None]]


@dataclass(frozen=True, slots=True)
class Streams:
    """`stdin` is the descriptor that the process reads (None: no input). With `terminal` the container gets a terminal
    of its own that the runtime connects to ours: descriptors 0, 1 and 2 are passed on, and no output is seen."""

    stdin: int | None = None
    terminal: bool = False


class Foreground:
    """The outside of a running container. `run` attaches it while the container lives; `pass_on` may be called from a
    signal handler at any time."""

    def __init__(self, streams: Streams | None = None) -> None:
        self.streams = streams or Streams()
        self._processes: Processes | None = None
        self._lock = threading.RLock()
        self._ended_by: int | None = None
        self._start_error = ""

    def attach(self, processes: Processes) -> None:
        with self._lock:
            self._processes = processes

    def detach(self) -> None:
        """Nothing is signalled from now on: a process id may soon belong to somebody else."""
        with self._lock:
            self._processes = None

    def pass_on(self, number: int) -> bool:
        """Sends signal `number` to the container's first process; False when there is none (yet). What a keyboard sends
        goes to its whole process group, as at a terminal.

        The kernel keeps a signal without a handler from the first process of a container, which would then run on
        where a process outside would have ended: such a process is killed, and `exit_code` says what ended it.
        """
        if not self._await_first():
            return False
        with self._lock:
            first = self._processes()[1] if self._processes is not None else None
            if first is None:
                return False
            disposition = _disposition(first, number)
            if disposition == "default" and number in _ENDING:
                self._ended_by = number
                number = signal.SIGKILL
            return _send(first, number, group=number in _KEYBOARD)

    def _await_first(self) -> bool:
        """Waits for the container's first process while the runtime is starting it: the process may be heard of (by
        its output) before the runtime has told its id."""
        for _ in range(_START_POLLS):
            with self._lock:
                runtime, first = self._processes() if self._processes is not None else (None, None)
            if first is not None:
                return True
            if runtime is None:
                return False
            time.sleep(_START_POLL_S)
        return False

    def resized(self) -> None:
        """Tells the runtime that our terminal has another size."""
        with self._lock:
            runtime = self._processes()[0] if self._processes is not None else None
            if runtime is not None and self.streams.terminal:
                _send(runtime, signal.SIGWINCH)

    def not_started(self, message: str) -> None:
        """Takes note that the runtime could not start the process, and what it said."""
        self._start_error = message

    def exit_code(self, code: int) -> int:
        """The exit code to show for the runtime's own `code`: as a shell does, 127 for a command that is not there and
        126 for one that cannot be started."""
        if self._start_error:
            missing = any(words in self._start_error for words in _MISSING_COMMAND)
            return 127 if missing else 126
        if self._ended_by is not None and code == 128 + signal.SIGKILL:
            return 128 + self._ended_by
        return code


_KEYBOARD = frozenset({signal.SIGINT, signal.SIGQUIT})
_START_POLLS, _START_POLL_S = 300, 0.01
_MISSING_COMMAND = ("executable file not found", "no such file or directory", "not found in $PATH")
_ENDING = frozenset(
    {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
)


def _send(pid: int, number: int, *, group: bool = False) -> bool:
    try:
        if group and os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _disposition(pid: int, number: int) -> str:
    """What process `pid` does with a signal: `caught`, `ignored` or `default`."""
    bit = 1 << (number - 1)
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"SigIgn:") and int(line.split()[1], 16) & bit:
                    return "ignored"
                if line.startswith(b"SigCgt:") and int(line.split()[1], 16) & bit:
                    return "caught"
    except (OSError, ValueError):
        # It has just ended; a signal does no harm.
        return "caught"
    return "default"
