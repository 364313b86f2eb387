"""Records of persistent directories that are not layers: cache mounts, kept local sources."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bakehouse.store.database import Database, Row
from bakehouse.store.owners import MOUNT, Owner

DIRECTORY = "mounts"


class MountTable:
    """`id -> mounts/<id>`: a writable directory that survives builds. Thread- and process-safe."""

    def __init__(self, database: Database, root: Path, owner: Owner) -> None:
        self._database = database
        self._root = root
        self._owner = owner

    def open(self, id: str, *, record_type: str = "exec.cachemount", description: str = "") -> Path:
        """The directory of `id` (25 or so file name characters), created when new with mode 0755. The process
        holds it until it ends. Who may write at the same time is the caller's to settle (`Store.locks`)."""
        now = time.time()
        path = self._root / DIRECTORY / id
        with self._database.transaction():
            self._owner.lease(MOUNT, [id])
            self._database.execute(
                "INSERT INTO mounts (id, path, record_type, description, created_s, last_used_s, usage_count)"
                " VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT (id) DO UPDATE SET"
                " last_used_s=excluded.last_used_s, usage_count=usage_count+1",
                (id, f"{DIRECTORY}/{id}", record_type, description, now, now),
            )
            path.mkdir(parents=True, exist_ok=True)
            os.chmod(path.parent, 0o755)
        return path

    def all(self) -> list[Row]:
        """`(id, record_type, description, created_s, last_used_s, usage_count)`, oldest first."""
        return self._database.query(
            "SELECT id, record_type, description, created_s, last_used_s, usage_count FROM mounts"
            " ORDER BY created_s, id"
        )

    def path(self, id: str) -> Path:
        return self._root / DIRECTORY / id

    def delete(self, id: str) -> None:
        """Forgets the record and removes the files."""
        with self._database.transaction():
            self._database.execute("DELETE FROM mounts WHERE id=?", (id,))
            self._owner.trash(self.path(id))
