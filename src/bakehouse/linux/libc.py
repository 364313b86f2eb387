"""The C library through ctypes: one loader, one error path.

ctypes releases the interpreter lock during a foreign call, so a slow mount or copy stops no other thread. `errno` is
kept per thread by ctypes (`use_errno=True`).
"""

from __future__ import annotations

import ctypes
import os
from functools import cache

#: A path of the file system: text (surrogateescape), bytes or a path object.
AnyPath = str | bytes | os.PathLike[str]

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000

#: Numbers of system calls that every architecture shares (added after the numbering was unified in 2018) …
SYS_OPEN_TREE = 428
SYS_MOVE_MOUNT = 429
SYS_FSOPEN = 430
SYS_FSCONFIG = 431
SYS_FSMOUNT = 432
SYS_OPENAT2 = 437


@cache
def library() -> ctypes.CDLL:
    """The process's own C library. `syscall` is declared to return a C long."""
    lib = ctypes.CDLL(None, use_errno=True)
    lib.syscall.restype = ctypes.c_long
    return lib


def check(result: int, path: AnyPath | None = None, other: AnyPath | None = None) -> int:
    """Returns `result`, or raises the `OSError` of the calling thread's errno when it is negative."""
    if result >= 0:
        return result
    number = ctypes.get_errno()
    message = os.strerror(number)
    if path is None:
        raise OSError(number, message)
    if other is None:
        raise OSError(number, message, os.fspath(path))
    raise OSError(number, message, os.fspath(path), None, os.fspath(other))


def encoded(path: AnyPath | None) -> bytes | None:
    """The NUL-free byte form of a path for a `char *` argument; None stays NULL. Raises `ValueError` on a NUL."""
    if path is None:
        return None
    data = os.fsencode(path)
    if b"\0" in data:
        raise ValueError("embedded null byte")
    return data
