"""Local image names: which manifest or index a name stands for. A tagged image keeps its blobs from collection."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from bakehouse.errors import IntegrityError
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor, Index, Manifest
from bakehouse.oci.media_types import INDEXES, MANIFESTS
from bakehouse.store.blobs import BlobStore
from bakehouse.store.database import Database

_MAX_DOCUMENT = 4 * 1024 * 1024


class ImageStore:
    """Full image names (`docker.io/library/x:latest`) to descriptors. Thread- and process-safe."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    def tag(self, name: str, descriptor: Descriptor) -> None:
        """Sets or moves a name."""
        text = json.dumps(descriptor.as_json(), separators=(",", ":"))
        self._database.execute(
            "INSERT OR REPLACE INTO images (name, descriptor, created_s) VALUES (?, ?, ?)",
            (name, text, time.time()),
        )

    def get(self, name: str) -> Descriptor | None:
        row = self._database.query_one("SELECT descriptor FROM images WHERE name=?", (name,))
        return None if row is None else Descriptor.from_json(json.loads(row[0]))

    def list(self) -> list[tuple[str, Descriptor, float]]:
        """`(name, descriptor, created_s)`, sorted by name."""
        rows = self._database.query("SELECT name, descriptor, created_s FROM images ORDER BY name")
        return [(row[0], Descriptor.from_json(json.loads(row[1])), row[2]) for row in rows]

    def remove(self, name: str) -> bool:
        """Forgets a name; True when it was there. Its blobs go with the next collection."""
        return self._database.execute("DELETE FROM images WHERE name=?", (name,)) > 0

    def reachable(self) -> set[Digest]:
        """Digests of every blob that a tagged image needs. A document that is missing or broken ends its branch."""
        seen: set[Digest] = set()
        pending = [descriptor for _, descriptor, _ in self.list()]
        while pending:
            descriptor = pending.pop()
            if descriptor.digest in seen:
                continue
            seen.add(descriptor.digest)
            pending.extend(self._children(descriptor))
        return seen

    def _children(self, descriptor: Descriptor) -> Iterator[Descriptor]:
        if descriptor.media_type not in INDEXES | MANIFESTS or not self._blobs.has(descriptor.digest):
            return
        try:
            raw = self._blobs.read(descriptor.digest, _MAX_DOCUMENT)
            if descriptor.media_type in INDEXES:
                yield from Index.parse(raw).manifests
            else:
                manifest = Manifest.parse(raw)
                yield manifest.config
                yield from manifest.layers
        except IntegrityError:
            return
