"""Live processes of one store, their temporary directories and their leases.

    tmp/<owner>.lock      flocked for as long as the process lives
    tmp/<owner>/          its temporary files: blobs being written, layers under way, mount points

The kernel drops the lock when the process ends, however it ends; the next `Owner.collect` removes what it left.
"""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bakehouse.linux.files import remove_tree
from bakehouse.linux.locks import FileLock
from bakehouse.linux.mounts import MNT_DETACH, UMOUNT_NOFOLLOW, umount
from bakehouse.store.database import Database

_LOCK_SUFFIX = ".lock"
#: Directories below tmp/<owner>/ whose entries may be mount points.
MOUNT_POINTS = "mounts"

LAYER = "layer"
MOUNT = "mount"


class Owner:
    """This process in one store. Thread-safe. `close` removes the directory and every lease."""

    def __init__(self, tmp: Path, database: Database) -> None:
        tmp.mkdir(parents=True, exist_ok=True)
        self._tmp = tmp
        self._database = database
        self._numbers = itertools.count(1)
        self.name = base64.b32encode(os.urandom(10)).decode("ascii").lower()
        lock = FileLock.acquire(tmp / (self.name + _LOCK_SUFFIX))
        assert lock is not None
        self._lock = lock
        self.directory = tmp / self.name
        self.directory.mkdir(mode=0o700)
        (self.directory / MOUNT_POINTS).mkdir()

    def new_path(self, prefix: str) -> Path:
        """A path in the temporary directory that nobody else uses; nothing is created."""
        return self.directory / f"{prefix}-{next(self._numbers)}"

    def new_mount_point(self) -> Path:
        """A fresh empty directory that may be mounted on."""
        path = self.directory / MOUNT_POINTS / str(next(self._numbers))
        path.mkdir()
        return path

    @contextmanager
    def temporary_dir(self) -> Iterator[Path]:
        """A fresh directory that is removed at the end."""
        path = self.new_path("dir")
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            remove_tree(path)

    def bury(self, path: Path) -> Path | None:
        """Takes a directory away at one stroke: a rename into this process's temporary directory. None when it is
        gone already. The grave is emptied by `empty`, or by whoever collects this process."""
        grave = self.new_path("trash")
        try:
            os.rename(path, grave)
        except FileNotFoundError:
            return None
        return grave

    def empty(self, graves: Iterable[Path | None]) -> None:
        for grave in graves:
            if grave is not None:
                remove_tree(grave)

    def trash(self, path: Path) -> None:
        """`bury` and `empty`: removes a directory so that nobody sees half of it."""
        self.empty([self.bury(path)])

    def collect(self) -> None:
        """Removes what dead processes left: temporary files, stale mounts of our mount namespace, leases."""
        known = {row[0] for row in self._database.query("SELECT DISTINCT owner FROM leases")}
        for name in known | {
            path.name.removesuffix(_LOCK_SUFFIX) for path in self._tmp.glob("*" + _LOCK_SUFFIX)
        }:
            if name != self.name:
                self._collect_one(name)

    def _collect_one(self, name: str) -> None:
        lock = FileLock.acquire(self._tmp / (name + _LOCK_SUFFIX), wait=False)
        if lock is None:
            return
        try:
            directory = self._tmp / name
            _unmount_all(directory / MOUNT_POINTS)
            remove_tree(directory)
            self._database.execute("DELETE FROM leases WHERE owner=?", (name,))
            os.unlink(lock.path)
        except OSError:
            # A mount that another namespace still holds, say: the next process tries again.
            pass
        finally:
            lock.release()

    def alive(self, name: str) -> bool:
        """True when the process called `name` lives. It may be said to live a moment too long, never too short."""
        if name == self.name:
            return True
        lock = FileLock.acquire(self._tmp / (name + _LOCK_SUFFIX), wait=False)
        if lock is None:
            return True
        lock.release()
        return False

    def others_alive(self) -> bool:
        """True when another process has this store open."""
        names = {path.name.removesuffix(_LOCK_SUFFIX) for path in self._tmp.glob("*" + _LOCK_SUFFIX)}
        return any(self.alive(name) for name in names if name != self.name)

    def lease(self, kind: str, ids: Iterable[str]) -> None:
        """Keeps records from collection until `release` or the end of this process. Idempotent."""
        self._database.execute_many(
            "INSERT OR IGNORE INTO leases (owner, kind, id) VALUES (?, ?, ?)",
            [(self.name, kind, item) for item in ids],
        )

    def release(self, kind: str, ids: Iterable[str] | None = None) -> None:
        """Gives leases back: those of `ids`, or all of this process."""
        if ids is None:
            self._database.execute("DELETE FROM leases WHERE owner=? AND kind=?", (self.name, kind))
            return
        self._database.execute_many(
            "DELETE FROM leases WHERE owner=? AND kind=? AND id=?",
            [(self.name, kind, item) for item in ids],
        )

    def leased(self, kind: str) -> set[str]:
        """Ids that some live process holds."""
        return self._leased(kind, but="")

    def leased_by_others(self, kind: str) -> set[str]:
        """Ids that some other live process holds."""
        return self._leased(kind, but=self.name)

    def _leased(self, kind: str, but: str) -> set[str]:
        rows = self._database.query("SELECT owner, id FROM leases WHERE kind=? AND owner<>?", (kind, but))
        alive = {name: self.alive(name) for name in {row[0] for row in rows}}
        return {item for name, item in rows if alive[name]}

    def close(self) -> None:
        _unmount_all(self.directory / MOUNT_POINTS)
        remove_tree(self.directory)
        self._database.execute("DELETE FROM leases WHERE owner=?", (self.name,))
        try:
            os.unlink(self._lock.path)
        except FileNotFoundError:
            pass
        self._lock.release()


def _unmount_all(directory: Path) -> None:
    """Detaches what is mounted on the entries of `directory` as far as this mount namespace sees it."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        try:
            while True:
                umount(directory / name, MNT_DETACH | UMOUNT_NOFOLLOW)
        except OSError:
            continue
