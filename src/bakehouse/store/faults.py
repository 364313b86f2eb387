"""Errors of the disk in the project's terms."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from bakehouse.errors import EnvironmentFault

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


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


@contextmanager
def disk_errors(where: str | os.PathLike[str]) -> Iterator[None]:
    """Turns "disk full" errors of the body into `EnvironmentFault` (code `disk-full`); others pass unchanged."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if is_disk_full(error):
            raise disk_full(where) from error
        raise
