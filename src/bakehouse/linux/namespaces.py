"""Namespaces of the calling thread: unshare(2), setns(2), and what the thread may do in its user namespace."""

from __future__ import annotations

import os

from bakehouse.linux.libc import check, library

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

#: Identity mapping of the initial user namespace in /proc/self/uid_map.
_INITIAL_MAP = ["0", "0", "4294967295"]
CAP_MKNOD = 27
CAP_SYS_ADMIN = 21


def unshare(flags: int) -> None:
    """Moves the calling thread (not its siblings) into new namespaces. `CLONE_NEWNS` implies `CLONE_FS`.

    `CLONE_NEWUSER` fails with EINVAL in a process of several threads.
    """
    check(library().unshare(flags))


def setns(fd: int, kind: int = 0) -> None:
    """Moves the calling thread into the namespace that `fd` refers to. `kind` is 0 (any) or a CLONE_NEW* flag.

    A thread that shares its working directory with others cannot enter a mount namespace: unshare(CLONE_FS) first.
    """
    check(library().setns(fd, kind))


def in_user_namespace() -> bool:
    """True when the process lives in a user namespace other than the initial one."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            return file.read().split() != _INITIAL_MAP
    except OSError:
        return False


def effective_capabilities() -> int:
    """The calling thread's effective capability set as a bit mask; 0 when it cannot be read."""
    try:
        with open("/proc/thread-self/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("CapEff:"):
                    return int(line.split()[1], 16)
    except OSError:
        pass
    return 0


def has_capability(number: int) -> bool:
    """True when the calling thread holds capability `number` (CAP_*) in its own user namespace."""
    return bool(effective_capabilities() >> number & 1)


def may_create_devices() -> bool:
    """True when device nodes other than whiteouts can be made: CAP_MKNOD in the initial user namespace."""
    return not in_user_namespace() and has_capability(CAP_MKNOD)


def is_privileged() -> bool:
    """True for an effective user id of 0, be it in a user namespace: owners of files can be set."""
    return os.geteuid() == 0
