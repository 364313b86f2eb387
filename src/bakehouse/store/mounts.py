"""Records of persistent directories that are not layers: cache mounts, repositories of git remotes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from bakehouse.store.database import Database
from bakehouse.store.owners import MOUNT, Owner

DIRECTORY = "mounts"


class MountRow(NamedTuple):
    """One directory; `path` is relative to the store's. Times are seconds since the epoch."""

    id: str
    path: str
    record_type: str
    description: str
    created_s: float
    last_used_s: float
    usage_count: int


class MountTable:
    """`id` to a writable directory that survives builds, `mounts/<id>` unless said otherwise. Thread- and
    process-safe."""

    def __init__(self, database: Database, root: Path, owner: Owner) -> None:
        self._database = database
        self._root = root
        self._owner = owner

    def open(
        self,
        id: str,
        *,
        record_type: str = "exec.cachemount",
        description: str = "",
        place: str = "",
    ) -> Path:
        """The directory of `id` (25 or so file name characters), created when new with mode 0755. The process
        holds it until it ends. Who may write at the same time is the caller's to settle (`Store.locks`).

        `place` is a path relative to the store instead of `mounts/<id>`, always the same for one id."""
        now = time.time()
        place = place or f"{DIRECTORY}/{id}"
        path = self._root / place
        with self._database.transaction():
            self._owner.lease(MOUNT, [id])
            self._database.execute(
                "INSERT INTO mounts (id, path, record_type, description, created_s, last_used_s, usage_count)"
                " VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT (id) DO UPDATE SET"
                " last_used_s=excluded.last_used_s, usage_count=usage_count+1",
                (id, place, record_type, description, now, now),
            )
            path.mkdir(parents=True, exist_ok=True)
            os.chmod(path.parent, 0o755)
        return path

    def all(self) -> list[MountRow]:
        """Every record, the oldest first."""
        rows = self._database.query(
            "SELECT id, path, record_type, description, created_s, last_used_s, usage_count FROM mounts"
            " ORDER BY created_s, id"
        )
        return [MountRow(*row) for row in rows]

    def path(self, id: str) -> Path:
        """Where the directory of `id` is, or would be unless it was given a place."""
        row = self._database.query_one("SELECT path FROM mounts WHERE id=?", (id,))
        return self._root / (row[0] if row is not None else f"{DIRECTORY}/{id}")

    def delete(self, id: str) -> None:
        """Forgets the record and removes the files."""
        with self._database.transaction():
            grave = self._bury(id)
        self._owner.empty([grave])

    def delete_unused(self, id: str) -> bool:
        """`delete`, unless a live process holds the directory: then False. Excludes `open` by other processes."""
        with self._database.transaction():
            if id in self._owner.leased(MOUNT):
                return False
            grave = self._bury(id)
        self._owner.empty([grave])
        return True

    def _bury(self, id: str) -> Path | None:
        path = self.path(id)
        self._database.execute("DELETE FROM mounts WHERE id=?", (id,))
        return self._owner.bury(path)
