"""The store: one directory, any number of processes.

    bakehouse.db          metadata (SQLite, WAL): see `schema`
    blobs/sha256/<hex>    content
    snapshots/<id>/       unpacked layers; `snapshots` owns what is inside
    mounts/<id>/          cache mounts
    contexts/<id>.index   digests of the files of build contexts; the engine owns what is inside
    git/<id>/             repositories, one for each remote; recorded as mounts
    locks/                advisory locks by name
    tmp/<owner>/          work in progress of one live process, see `owners`
    quarantine/           blobs that turned out damaged

Everything enters its place by one rename on one file system, then by one transaction; a process killed between the
two leaves a file that nothing refers to, which collection removes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bakehouse.errors import EnvironmentFault
from bakehouse.store.blobs import BlobStore
from bakehouse.store.cachekeys import CacheKeyStore
from bakehouse.store.contexts import ContextFiles
from bakehouse.store.database import Database
from bakehouse.store.faults import disk_errors
from bakehouse.store.gc import Collector, PrunePolicy, UsageRecord
from bakehouse.store.images import ImageStore
from bakehouse.store.kv import KeyValueStore
from bakehouse.store.layers import LayerTable
from bakehouse.store.locks import Locks
from bakehouse.store.mounts import MountTable
from bakehouse.store.owners import Owner
from bakehouse.store.recovery import current_boot, recover


class Store:
    """Open it with `Store.open`; a context manager that closes. Thread-safe. Do not use it across a fork."""

    def __init__(self, root: Path, database: Database, owner: Owner) -> None:
        self.root = root
        self.db = database
        self.owner = owner
        self.locks = Locks(root / "locks")
        self.blobs = BlobStore(root / "blobs", owner.new_path, root / "quarantine")
        self.images = ImageStore(database, self.blobs)
        self.cachekeys = CacheKeyStore(database)
        self.kv = KeyValueStore(database)
        self.layers = LayerTable(database)
        self.mounts = MountTable(database, root, owner)
        contexts = ContextFiles(root)
        self.collector = Collector(root, self.blobs, self.images, self.layers, self.mounts, contexts, owner)
        self._closed = False

    @classmethod
    def open(cls, root: Path | str) -> Store:
        """Opens or creates the store below `root`, and clears away what killed processes left.

        Raises `EnvironmentFault`: `store-unusable`, `store-version`, `disk-full`."""
        path = Path(os.path.abspath(root))
        try:
            with disk_errors(path):
                path.mkdir(parents=True, exist_ok=True, mode=0o711)
                for name in ("locks", "snapshots", "mounts"):
                    (path / name).mkdir(exist_ok=True, mode=0o711)
                database = Database(path / "bakehouse.db")
                try:
                    return cls._opened(path, database)
                except BaseException:
                    database.close()
                    raise
        except OSError as error:
            raise EnvironmentFault(
                f"cannot use {path} as the store: {error.strerror}",
                code="store-unusable",
                hint="Check the permissions of the directory, or choose another one.",
            ) from error

    @classmethod
    def _opened(cls, path: Path, database: Database) -> Store:
        owner = Owner(path / "tmp", database)
        try:
            store = cls(path, database, owner)
            owner.collect()
            with store.locks.locked("recovery"):
                recover(database, store.blobs, store._drop_directories, boot=current_boot())
        except BaseException:
            owner.close()
            raise
        return store

    def _drop_directories(self, ids: Iterable[str]) -> None:
        wanted = list(ids)
        with self.db.transaction():
            self.layers.drop_directories(wanted)
            graves = [self.owner.bury(self.path("snapshots", id)) for id in wanted]
            # A layer that was never made into a tar has lost the only copy of its files.
            self.layers.delete([id for id in wanted if not self.layers.blobs(id)])
        self.owner.empty(graves)

    def path(self, *parts: str) -> Path:
        """A path below the store's directory."""
        return self.root.joinpath(*parts)

    def temporary_dir(self) -> AbstractContextManager[Path]:
        """A fresh directory on the store's file system, removed at the end of the `with` block, or after the
        process's death by the next process that opens the store."""
        return self.owner.temporary_dir()

    def usage(self, filters: Sequence[str] = ()) -> list[UsageRecord]:
        """Records of the build cache with their sizes (engine.md §20)."""
        return self.collector.usage(filters)

    def prune(
        self, policy: PrunePolicy, on_removed: Callable[[UsageRecord], None] | None = None
    ) -> list[UsageRecord]:
        """Removes records by one policy; returns them in the order of removal."""
        return self.collector.prune(policy, on_removed)

    def close(self) -> None:
        """Writes what is pending, gives every lease back and removes the temporary directory. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self.layers.flush()
            self.owner.close()
        finally:
            self.db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
