"""The process that outlives a killed engine and takes its running steps down.

Neither crun nor runc ends a container when it is killed itself. So the first step of an engine starts this program
with a pipe from the engine as standard input. Lines `+ID` and `-ID` tell which containers run; end of file without a
final `.` means that the engine died. Then every container still listed is killed through its runtime's state, and
whatever is left in the engine's control groups after that.

Runs alone as a script, isolated, in the engine's mount namespace: it may import nothing but the standard library's
cheapest modules and its neighbour `cgroups` (by path), and must not fail loudly.

    python -I -S watchdog.py RUNTIME STATE_ROOT GROUP_PREFIX HIERARCHY...
"""

from __future__ import annotations

import os
import signal
import sys
import time


def main(argv: list[str]) -> int:
    runtime, state_root, prefix, *hierarchies = argv
    # A terminal's interrupt is for the engine; we go when it is gone.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    running, orderly = follow(sys.stdin.buffer.fileno())
    if not orderly:
        for container_id in sorted(running):
            end_container(runtime, state_root, container_id)
        from bakehouse.runtime.cgroups import kill_and_remove

        kill_and_remove(tuple(hierarchies), prefix)
    return 0


def follow(fd: int) -> tuple[set[str], bool]:
    """Reads until end of file. Returns the containers running then, and whether the engine said goodbye."""
    running: set[str] = set()
    orderly = False
    rest = b""
    while chunk := os.read(fd, 4096):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            name = line[1:].decode("ascii", "replace")
            if line[:1] == b"+":
                running.add(name)
            elif line[:1] == b"-":
                running.discard(name)
            elif line == b".":
                orderly = True
    return running, orderly


def end_container(runtime: str, state_root: str, container_id: str) -> None:
    """Kills the runtime process of a container, so that it starts nothing more, and then the container."""
    for delay_s in (0.0, 0.02, 0.1):
        time.sleep(delay_s)
        for pid in processes_naming(container_id):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        null = os.open(os.devnull, os.O_RDWR)
        try:
            child = os.posix_spawn(
                runtime,
                [runtime, "--root", state_root, "delete", "--force", container_id],
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)],
            )
            os.waitpid(child, 0)
        except OSError:
            pass
        finally:
            os.close(null)


def processes_naming(container_id: str) -> list[int]:
    """Processes with the (random) container id among their arguments: the runtime's own, and its monitor."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                arguments = file.read(65536).split(b"\0")
        except OSError:
            continue
        if container_id.encode("ascii") in arguments:
            found.append(int(name))
    return found


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    sys.exit(main(sys.argv[1:]))
