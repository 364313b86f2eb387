"""Errors of the disk in the project's terms."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from bakehouse.errors import EnvironmentFault

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def is_disk_full(error: BaseException) -> bool:
    """True for ENOSPC, EDQUOT and SQLite's SQLITE_FULL."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return (
        isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    )


def disk_full(where: str | os.PathLike[str]) -> EnvironmentFault:
    return EnvironmentFault(
        f"no space left on device while writing below {os.fspath(where)}",
        code="disk-full",
        hint="Free some space (`bakehouse prune` removes unused build cache) and build again.",
    )


def database_fault(error: sqlite3.Error, path: str | os.PathLike[str]) -> EnvironmentFault | None:
    """What an error of the database at `path` means to a user: `disk-full`, `store-damaged`, `store-busy`; None for one
    that is ours."""
    # Extended codes (`SQLITE_CORRUPT_INDEX`) carry the plain one in their low byte.
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if is_disk_full(error):
        return disk_full(path)
    if code in _DAMAGED:
        return EnvironmentFault(
            f"the store's database {os.fspath(path)} is damaged: {error}",
            code="store-damaged",
            hint=f"Remove it (rm {os.fspath(path)}*) and build again; only names of local images are lost.",
        )
    if code in _BUSY:
        return EnvironmentFault(
            f"another process has kept the store's database {os.fspath(path)} locked for too long",
            code="store-busy",
            hint="Look for a process of bakehouse that is stopped, end it, and build again.",
        )
    return None


@contextmanager
def disk_errors(where: str | os.PathLike[str]) -> Iterator[None]:
    """Turns "disk full" errors of the body into `EnvironmentFault` (code `disk-full`); others pass unchanged."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if is_disk_full(error):
            raise disk_full(where) from error
        raise
