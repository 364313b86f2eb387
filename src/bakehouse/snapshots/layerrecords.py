"""What is known of layers: adopting them, holding them, and finding or fetching a tar blob of one.

Directories are `layerstore`'s business, making blobs `layerblobs`'. Whatever a process touches it holds (a lease) until
`release` or its end.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from bakehouse.errors import NotFoundError
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.oci.media_types import layer_compression
from bakehouse.snapshots.chain import LayerChain
from bakehouse.store import Store
from bakehouse.store.layers import BlobRow, LayerRow
from bakehouse.store.owners import LAYER
from bakehouse.values import replace

SNAPSHOTS = "snapshots"

#: What BuildKit remembers of a base layer's annotations: those by which lazy pullers find their way in a blob.
KEPT_ANNOTATIONS = frozenset(
    {
        "containerd.io/snapshot/stargz/toc.digest",
        "io.containers.estargz.uncompressed-size",
        "containerd.io/snapshot/overlaybd.localcommitpath",
        "containerd.io/snapshot/overlaybd/blob-digest",
        "containerd.io/snapshot/overlaybd/blob-size",
        "containerd.io/snapshot/overlaybd/blob-fs-type",
    }
)

#: From the digest and size of a blob to what brings it into the store, or None.
FindFetch = Callable[[str, int], Callable[[], None] | None]


class LayerRecords:
    """Thread-safe; any number of processes share a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._held: set[str] = set()
        self._fetchers: dict[str, Callable[[], None]] = {}
        self._find_fetch: FindFetch | None = None

    def find_missing_with(self, find: FindFetch) -> None:
        """See `LayerStore.find_missing_with`."""
        self._find_fetch = find

    def row(self, layer_id: str) -> LayerRow:
        """Raises `NotFoundError` (`layer-missing`)."""
        row = self._store.layers.get(layer_id)
        if row is None:
            raise NotFoundError(
                f"layer {layer_id} is not in the store",
                code="layer-missing",
                hint="It was removed by a cleanup; build again.",
            )
        return row

    # Adopting --------------------------------------------------------------------------------------------------

    def adopt(
        self,
        diff_id: str,
        descriptor: Descriptor,
        fetch: Callable[[], None] | None,
        created_s: float | None,
        description: str,
    ) -> str:
        """See `LayerStore.adopt`."""
        checked = Digest(diff_id)
        layer_id = layer_id_of(checked, descriptor.digest)
        with self._store.db.transaction():
            self._store.layers.insert(
                LayerRow(
                    layer_id,
                    checked,
                    created_s=time.time() if created_s is None else created_s,
                    description=description,
                    origin="adopted",
                )
            )
            self._adopt_blob(layer_id, _blob_row(checked, descriptor))
            self.hold([layer_id])
        if fetch is not None:
            self.lend(layer_id, fetch)
        return layer_id

    def lend(self, layer_id: str, fetch: Callable[[], None]) -> None:
        """See `LayerStore.lend`."""
        with self._lock:
            self._fetchers[layer_id] = fetch

    def _adopt_blob(self, layer_id: str, blob: BlobRow) -> None:
        """Adds a blob; of one that is known, what another image told is completed."""
        for known in self._store.layers.blobs(layer_id):
            if known.digest == blob.digest:
                annotations = tuple(sorted({**dict(blob.annotations), **dict(known.annotations)}.items()))
                urls = tuple(dict.fromkeys((*known.urls, *blob.urls)))
                completed = replace(known, annotations=annotations, urls=urls)
                if completed != known:
                    self._store.layers.add_blob(layer_id, completed)
                return
        self._store.layers.add_blob(layer_id, blob)

    def exists(self, chain: LayerChain) -> bool:
        """See `LayerStore.exists`."""
        wanted = [layer_id for layer_id in chain.layers if layer_id not in self._held]
        if wanted:
            with self._store.db.transaction():
                if len(self._store.layers.existing(wanted)) != len(set(wanted)):
                    return False
                if not all(self._obtainable(layer_id) for layer_id in wanted):
                    return False
                self.hold(wanted)
        self._store.layers.touch(chain.layers)
        return True

    def _obtainable(self, layer_id: str) -> bool:
        return layer_id in self._fetchers or self.is_here(layer_id) or self._fetcher(layer_id) is not None

    def is_here(self, layer_id: str) -> bool:
        """Whether the store has the layer's files, as a directory or in a blob."""
        if self._store.path(SNAPSHOTS, layer_id).is_dir():
            return True
        return any(self._store.blobs.has(row.digest) for row in self._store.layers.blobs(layer_id))

    # Holding ---------------------------------------------------------------------------------------------------

    def hold(self, layer_ids: Iterable[str]) -> None:
        """Keeps layers from collection. Within a transaction that has seen that they exist."""
        new = [layer_id for layer_id in layer_ids if layer_id not in self._held]
        if new:
            self._store.owner.lease(LAYER, new)
            self._held.update(new)

    def hold_existing(self, layer_ids: Sequence[str]) -> None:
        """`hold`, in a transaction of its own. Raises `NotFoundError` (`layer-missing`) for one that is gone."""
        if all(layer_id in self._held for layer_id in layer_ids):
            return
        with self._store.db.transaction():
            known = self._store.layers.existing(layer_ids)
            for layer_id in layer_ids:
                if layer_id not in known:
                    self.row(layer_id)
            self.hold(layer_ids)

    def release(self) -> None:
        """Lets other processes' collections delete what this one has touched."""
        if not self._held:
            return
        self._store.layers.flush()
        self._store.owner.release(LAYER, list(self._held))
        self._held.clear()

    def delete(self, layer_ids: Sequence[str]) -> list[str]:
        """Deletes layers that no other process holds, with their files; returns their ids."""
        gone = self._store.collector.delete_layers(layer_ids, force=True)
        with self._lock:
            self._held.difference_update(gone)
            for layer_id in gone:
                self._fetchers.pop(layer_id, None)
        self._store.owner.release(LAYER, gone)
        return gone

    # Blobs that exist ------------------------------------------------------------------------------------------

    def _fetcher(self, layer_id: str) -> Callable[[], None] | None:
        """What brings the layer's blob into the store, if anything can."""
        known = self._fetchers.get(layer_id)
        if known is not None or self._find_fetch is None:
            return known
        for row in self._store.layers.blobs(layer_id):
            if not row.rewritten:
                found = self._find_fetch(row.digest, row.size)
                if found is not None:
                    self._fetchers[layer_id] = found
                    return found
        return None

    def can_have(self, layer_id: str, blob: BlobRow) -> bool:
        """True when a blob of the layer is in the store or can be fetched."""
        if self._store.blobs.has(blob.digest):
            return True
        return not blob.rewritten and self._fetcher(layer_id) is not None

    def source_blob(self, layer_id: str) -> BlobRow | None:
        """A blob with the layer's own times that is in the store, fetched when need be; None when there is none.

        Raises what the fetching raises, and `NotFoundError` (`blob-missing`) when it brought nothing."""
        rows = [row for row in self._store.layers.blobs(layer_id) if not row.rewritten]
        for row in rows:
            if self._store.blobs.has(row.digest):
                return row
        fetcher = self._fetcher(layer_id)
        if fetcher is None or not rows:
            return None
        with self._store.locks.locked(f"fetch:{layer_id}"):
            if not any(self._store.blobs.has(row.digest) for row in rows):
                fetcher()
        for row in rows:
            if self._store.blobs.has(row.digest):
                return row
        raise NotFoundError(f"fetching layer {layer_id} did not bring its blob", code="blob-missing")

    def local_blob(self, layer_id: str) -> BlobRow:
        """`source_blob` of a layer that must have one. Raises `NotFoundError` (`layer-missing`)."""
        self.hold_existing([layer_id])
        found = self.source_blob(layer_id)
        if found is None:
            raise files_missing(layer_id)
        return found


def _blob_row(diff_id: Digest, descriptor: Descriptor) -> BlobRow:
    kept = sorted((key, value) for key, value in descriptor.annotations.items() if key in KEPT_ANNOTATIONS)
    return BlobRow(
        layer_compression(descriptor.media_type) or "gzip",
        descriptor.media_type,
        descriptor.digest,
        descriptor.size,
        diff_id,
        tuple(kept),
        descriptor.urls,
    )


def files_missing(layer_id: str) -> NotFoundError:
    return NotFoundError(
        f"the files of layer {layer_id} are not in the store", code="layer-missing", hint="Build again."
    )


def layer_id_of(diff_id: str, blob: str) -> str:
    """The id of the adopted layer that an image says has `diff_id` and is kept in the blob `blob`.

    Both are in it: until the blob is unpacked the diff ID is a mere claim, and an image of a stranger that claims the
    diff ID of a well-known layer must not take that layer's place."""
    checked = Digest(diff_id)
    if checked == blob:
        return f"{checked.algorithm}-{checked.encoded}"
    return f"sha256-{hashlib.sha256(f'{checked} {blob}'.encode()).hexdigest()}"


def new_layer_id() -> str:
    """A fresh layer id: 25 characters, as BuildKit's."""
    return base64.b32encode(os.urandom(16)).decode("ascii").lower()[:25]
