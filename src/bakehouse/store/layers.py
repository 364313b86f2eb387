"""The records of layers, their tar blobs and their unpacked directories. What they mean is `snapshots`' business."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Sequence

from bakehouse.store.database import Database, Row
from bakehouse.values import dataclass

_LAYER_COLUMNS = (
    "id, diff_id, base, created_s, description, origin, rediff, last_used_s, usage_count, record_type"
)
_BLOB_COLUMNS = "variant, media_type, digest, size, diff_id, annotations, urls"
#: Uses are written to the database at most this often; until then they are kept in memory.
_FLUSH_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer. `diff_id` is None until its tar was made. `base` is the chain that it was made upon; `origin` is
    `committed`, `adopted` or `packed`; `rediff` lists directories that replaced lower ones (image paths)."""

    id: str
    diff_id: str | None = None
    base: tuple[str, ...] = ()
    created_s: float = 0.0
    description: str = ""
    origin: str = "committed"
    rediff: tuple[str, ...] = ()
    last_used_s: float = 0.0
    usage_count: int = 0
    record_type: str = "regular"


@dataclass(frozen=True, slots=True)
class BlobRow:
    """One form of a layer's tar. `variant` is the compression type, with `@EPOCH` for rewritten timestamps.

    `annotations`, sorted pairs, and `urls` are what the image said that the blob came with."""

    variant: str
    media_type: str
    digest: str
    size: int
    diff_id: str
    annotations: tuple[tuple[str, str], ...] = ()
    urls: tuple[str, ...] = ()

    @property
    def rewritten(self) -> bool:
        """True for a tar whose times were lowered."""
        return "@" in self.variant


@dataclass(frozen=True, slots=True)
class DirectoryRow:
    """One unpacked directory: `snapshots/<layer>/<name>`. `base` is "" when it suits every chain."""

    base: str
    name: str
    size: int


def _layer(row: Row) -> LayerRow:
    return LayerRow(
        id=row[0],
        diff_id=row[1],
        base=tuple(json.loads(row[2])),
        created_s=row[3],
        description=row[4],
        origin=row[5],
        rediff=tuple(json.loads(row[6])),
        last_used_s=row[7],
        usage_count=row[8],
        record_type=row[9],
    )


def _blob(row: Row) -> BlobRow:
    return BlobRow(
        variant=row[0],
        media_type=row[1],
        digest=row[2],
        size=row[3],
        diff_id=row[4],
        annotations=tuple(sorted(json.loads(row[5]).items())) if row[5] else (),
        urls=tuple(json.loads(row[6])) if row[6] else (),
    )


class LayerTable:
    """Thread- and process-safe."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._lock = threading.Lock()
        self._used: dict[str, tuple[int, float]] = {}
        self._flushed = time.monotonic()

    def insert(self, layer: LayerRow) -> None:
        """Adds a layer; one that is there stays as it is."""
        self.database.execute(
            f"INSERT OR IGNORE INTO layers ({_LAYER_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                layer.id,
                layer.diff_id,
                json.dumps(layer.base),
                layer.created_s,
                layer.description,
                layer.origin,
                json.dumps(layer.rediff),
                layer.last_used_s or time.time(),
                layer.usage_count,
                layer.record_type,
            ),
        )

    def get(self, id: str) -> LayerRow | None:
        row = self.database.query_one(f"SELECT {_LAYER_COLUMNS} FROM layers WHERE id=?", (id,))
        return None if row is None else _layer(row)

    def all(self) -> list[LayerRow]:
        """Every layer, oldest first."""
        self.flush()
        rows = self.database.query(f"SELECT {_LAYER_COLUMNS} FROM layers ORDER BY created_s, id")
        return [_layer(row) for row in rows]

    def existing(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that are known."""
        wanted = list(dict.fromkeys(ids))
        found: set[str] = set()
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            found.update(
                row[0] for row in self.database.query(f"SELECT id FROM layers WHERE id IN ({marks})", part)
            )
        return found

    def set_diff_id(self, id: str, diff_id: str) -> None:
        self.database.execute("UPDATE layers SET diff_id=? WHERE id=?", (diff_id, id))

    def set_record_type(self, id: str, record_type: str) -> None:
        self.database.execute("UPDATE layers SET record_type=? WHERE id=?", (record_type, id))

    def touch(self, ids: Iterable[str]) -> None:
        """Notes a use of each. Cheap: written in batches, at the latest by `flush`."""
        now = time.time()
        with self._lock:
            for item in ids:
                self._used[item] = (self._used.get(item, (0, 0.0))[0] + 1, now)
            due = time.monotonic() - self._flushed > _FLUSH_EVERY_S
        if due:
            self.flush()

    def flush(self) -> None:
        """Writes the uses noted so far."""
        with self._lock:
            used, self._used = self._used, {}
            self._flushed = time.monotonic()
        if used:
            self.database.execute_many(
                "UPDATE layers SET usage_count=usage_count+?, last_used_s=MAX(last_used_s, ?) WHERE id=?",
                [(count, when, item) for item, (count, when) in used.items()],
            )

    def add_blob(self, id: str, blob: BlobRow) -> None:
        """Adds or replaces one form of the layer's tar. Nothing happens when the layer is gone."""
        self.database.execute(
            f"INSERT OR REPLACE INTO layer_blobs (layer, {_BLOB_COLUMNS})"
            " SELECT id, ?, ?, ?, ?, ?, ?, ? FROM layers WHERE id=?",
            (
                blob.variant,
                blob.media_type,
                blob.digest,
                blob.size,
                blob.diff_id,
                json.dumps(dict(blob.annotations)) if blob.annotations else "",
                json.dumps(blob.urls) if blob.urls else "",
                id,
            ),
        )

    def blobs(self, id: str) -> list[BlobRow]:
        rows = self.database.query(
            f"SELECT {_BLOB_COLUMNS} FROM layer_blobs WHERE layer=? ORDER BY variant", (id,)
        )
        return [_blob(row) for row in rows]

    def all_blobs(self) -> dict[str, list[BlobRow]]:
        """Blobs of every layer, by layer id."""
        found: dict[str, list[BlobRow]] = {}
        for row in self.database.query(f"SELECT layer, {_BLOB_COLUMNS} FROM layer_blobs"):
            found.setdefault(row[0], []).append(_blob(row[1:]))
        return found

    def layers_with_blob(self, digest: str) -> list[str]:
        rows = self.database.query("SELECT DISTINCT layer FROM layer_blobs WHERE digest=?", (digest,))
        return [row[0] for row in rows]

    def add_directory(self, id: str, directory: DirectoryRow) -> None:
        """Adds or replaces an unpacked directory. Nothing happens when the layer is gone."""
        self.database.execute(
            "INSERT OR REPLACE INTO layer_dirs (layer, base, name, size) SELECT id, ?, ?, ? FROM layers WHERE id=?",
            (directory.base, directory.name, directory.size, id),
        )

    def directory(self, id: str, bases: Sequence[str]) -> DirectoryRow | None:
        """The first directory that suits one of `bases`."""
        for base in bases:
            row = self.database.query_one(
                "SELECT base, name, size FROM layer_dirs WHERE layer=? AND base=?", (id, base)
            )
            if row is not None:
                return DirectoryRow(*row)
        return None

    def directory_sizes(self) -> dict[str, int]:
        """Bytes of unpacked files, by layer id."""
        rows = self.database.query("SELECT layer, SUM(size) FROM layer_dirs GROUP BY layer")
        return {row[0]: row[1] for row in rows}

    def drop_directories(self, ids: Iterable[str]) -> None:
        """Forgets the unpacked directories (the files are the caller's to remove)."""
        self.database.execute_many("DELETE FROM layer_dirs WHERE layer=?", [(item,) for item in ids])

    def delete(self, ids: Iterable[str]) -> None:
        """Forgets layers with their blobs and directories (the files are the caller's to remove)."""
        self.database.execute_many("DELETE FROM layers WHERE id=?", [(item,) for item in ids])
