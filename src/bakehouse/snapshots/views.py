"""Shared read-only views of chains."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bakehouse.snapshots.chain import LayerChain
from bakehouse.snapshots.driver import Driver


class _View:
    __slots__ = ("count", "lock", "path")

    def __init__(self) -> None:
        self.count = 0
        self.lock = threading.Lock()
        self.path: Path | None = None


class Views:
    """One directory for each chain and mount namespace that somebody looks at; gone with the last onlooker.

    Thread-safe: whoever comes while the first one still mounts, waits for it."""

    def __init__(self, driver: Driver, new_mount_point: Callable[[], Path]) -> None:
        self._driver = driver
        self._new_mount_point = new_mount_point
        self._lock = threading.Lock()
        self._views: dict[tuple[int, LayerChain], _View] = {}

    @contextmanager
    def open(self, chain: LayerChain, directories: Callable[[], list[Path]]) -> Iterator[Path]:
        """Shows `chain`, whose layer directories `directories()` finds (asked only when nothing is shown yet)."""
        key = (self._namespace(), chain)
        with self._lock:
            view = self._views.setdefault(key, _View())
            view.count += 1
        try:
            with view.lock:
                if view.path is None:
                    view.path = self._shown(directories())
                path = view.path
            yield path
        finally:
            with self._lock:
                view.count -= 1
                last = view.count == 0
                if last:
                    self._views.pop(key, None)
            if last and view.path is not None:
                self._driver.close(view.path)

    def _shown(self, directories: list[Path]) -> Path:
        at = self._new_mount_point()
        if directories:
            try:
                self._driver.view(directories, at)
            except BaseException:
                self._driver.close(at)
                raise
        return at

    def _namespace(self) -> int:
        """Mounts of one thread are invisible to a thread in another mount namespace; copies are not."""
        if self._driver.name == "copy":
            return 0
        return os.stat("/proc/thread-self/ns/mnt").st_ino
