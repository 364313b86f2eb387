"""Named advisory locks between processes and threads, below `locks/`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bakehouse.linux.locks import FileLock


class Locks:
    """Locks by arbitrary name. A process that dies lets go of all of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def _path(self, name: str) -> Path:
        return self._directory / hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:40]

    @contextmanager
    def locked(self, name: str, shared: bool = False) -> Iterator[None]:
        """Waits until no other holder (thread or process) excludes us. Not re-entrant: a thread that asks twice for
        the same exclusive name waits for ever."""
        lock = FileLock.acquire(self._path(name), shared=shared)
        assert lock is not None
        try:
            yield
        finally:
            self._drop(lock, shared)

    @contextmanager
    def try_locked(self, name: str, shared: bool = False) -> Iterator[bool]:
        """Yields True holding the lock, or False at once when somebody else holds it."""
        lock = FileLock.acquire(self._path(name), shared=shared, wait=False)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                self._drop(lock, shared)

    @staticmethod
    def _drop(lock: FileLock, shared: bool) -> None:
        # An exclusive holder may unlink: whoever waits on the old file notices and makes a new one.
        if not shared:
            try:
                os.unlink(lock.path)
            except FileNotFoundError:
                pass
        lock.release()
