"""Starting programs from a large, many-threaded process: posix_spawn, never fork.

glibc's posix_spawn shares the parent's memory until the exec, so its cost does not grow with ours; Python's own
`subprocess` costs several milliseconds more to import and to start.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Mapping, Sequence

#: Python ignores SIGPIPE and SIGXFSZ, and a shell may have made us ignore others: a step must start with none ignored.
_DEFAULTED = tuple(
    getattr(signal, name)
    for name in ("SIGPIPE", "SIGXFSZ", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGCHLD", "SIGTSTP")
)
_FIRST_FREE_FD = 64
_STEP_UMASK = 0o022


def spawn(argv: Sequence[str], fds: Mapping[int, int], environ: Mapping[str, str]) -> int:
    """Starts `argv` (argv[0] an absolute path) in a session of its own and returns its process id; the caller waits.

    `fds` maps the child's descriptors to ours; standard ones left out are /dev/null. Nothing else is inherited, as
    Python opens everything close-on-exec. The umask is 022. Raises `OSError` when the program cannot be started.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    # Copies far above the wanted numbers: a dup2 in the child must not overwrite the source of a later one.
    copies: dict[int, int] = {}
    try:
        for number in {0, 1, 2, *fds}:
            copies[number] = fcntl.fcntl(fds.get(number, null), fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE_FD)
        return os.posix_spawn(
            argv[0] if _umask() == _STEP_UMASK else "/bin/sh",
            _with_umask(argv),
            dict(environ),
            file_actions=[(os.POSIX_SPAWN_DUP2, copy, number) for number, copy in copies.items()],
            setsid=True,
            setsigmask=[],
            setsigdef=_DEFAULTED,
        )
    finally:
        for fd in (null, *copies.values()):
            os.close(fd)


def _with_umask(argv: Sequence[str]) -> list[str]:
    """A mount point that the runtime makes takes the umask of the runtime, and stays in the layer."""
    if _umask() == _STEP_UMASK:
        return list(argv)
    return ["/bin/sh", "-c", f'umask {_STEP_UMASK:03o}; exec "$@"', "sh", *argv]


def _umask() -> int:
    """The umask of this process. os.umask() would change it for a moment, under the feet of other threads."""
    with open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    return _STEP_UMASK


def reap(pid: int) -> int:
    """Waits for a child and returns its exit code, 128 + N when a signal ended it."""
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def run_quietly(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Runs a program to its end with no input, its output thrown away. Returns its exit code, 127 when it cannot
    be started."""
    try:
        return reap(spawn(argv, {}, environ))
    except OSError:
        return 127
