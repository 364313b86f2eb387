"""Layers as tar blobs: written straight into one, made from a directory, or turned into another form.

What exists already and what must be fetched is `layerrecords`' business, the bytes are `blobmaking`'s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.snapshots.chain import LayerChain
from bakehouse.snapshots.layerrecords import SNAPSHOTS, LayerRecords, files_missing, new_layer_id
from bakehouse.store import Store
from bakehouse.store.blobs import BlobWriter
from bakehouse.store.layers import BlobRow, LayerRow
from bakehouse.values import dataclass, replace

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from bakehouse.snapshots.blobmaking import BlobMaker
    from bakehouse.snapshots.compression import CompressingWriter, Compression
    from bakehouse.snapshots.packed import PackedLayer

_PACKED = "packed"
_LAYERS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """One layer as an image lists it. The descriptor's blob may still be remote: see `LayerStore.fetch`.

    A blob that came with an image has the annotations that lazy pullers need and the URLs it had there."""

    descriptor: Descriptor
    diff_id: Digest


class LayerBlobs:
    """Thread-safe. `pool` gives the threads that compress, `view` shows the tree of a chain."""

    def __init__(
        self,
        store: Store,
        records: LayerRecords,
        pool: Callable[[], ThreadPoolExecutor],
        view: Callable[[LayerChain], AbstractContextManager[Path]],
    ) -> None:
        self._store = store
        self._records = records
        self._pool = pool
        self._view = view

    def packed(self, chain: LayerChain, description: str, wanted: Compression) -> PackedLayer:
        """See `LayerStore.packed`."""
        from bakehouse.snapshots.compression import CompressingWriter
        from bakehouse.snapshots.packed import PackedLayer

        def record(blob: BlobWriter, compressor: CompressingWriter, created_s: float | None) -> str:
            digest, size = blob.commit()
            diff_id = compressor.diff_id
            layer = LayerRow(
                new_layer_id(),
                diff_id,
                chain.layers,
                time.time() if created_s is None else created_s,
                description,
                _PACKED,
                usage_count=1,
            )
            with self._store.db.transaction():
                self._store.layers.insert(layer)
                row = BlobRow(wanted.type, wanted.media_type, digest, size, diff_id)
                self._store.layers.add_blob(layer.id, row)
                self._records.hold([layer.id])
            return layer.id

        blob = self._store.blobs.writer()
        return PackedLayer(blob, CompressingWriter(blob, wanted, self._pool()), record)

    def blob(self, layer_id: str, wanted: Compression, epoch_s: int | None) -> LayerBlob:
        """See `LayerStore.blob`."""
        self._records.hold_existing([layer_id])
        found = self._known(layer_id, wanted, epoch_s)
        if found is None:
            with self._store.locks.locked(f"blob:{layer_id}"):
                found = self._known(layer_id, wanted, epoch_s)
                if found is None:
                    found = self._make(layer_id, wanted, epoch_s)
        descriptor = Descriptor(
            found.media_type, Digest(found.digest), found.size, dict(found.annotations), urls=found.urls
        )
        return LayerBlob(descriptor, Digest(found.diff_id))

    def blobs(self, chain: LayerChain, wanted: Compression, epoch_s: int | None) -> list[LayerBlob]:
        """All layers of a chain, lowest first, the missing ones made in parallel."""
        from concurrent.futures import ThreadPoolExecutor

        self._records.hold_existing(chain.layers)
        workers = max(1, min(_LAYERS_AT_ONCE, len(chain)))
        with ThreadPoolExecutor(workers, thread_name_prefix="layer") as pool:
            futures = [pool.submit(self.blob, layer_id, wanted, epoch_s) for layer_id in chain.layers]
            return [future.result() for future in futures]

    def _known(self, layer_id: str, wanted: Compression, epoch_s: int | None) -> BlobRow | None:
        from bakehouse.snapshots.blobmaking import variant_name

        rows = self._store.layers.blobs(layer_id)
        exact = variant_name(wanted.type, epoch_s)
        for row in rows:
            if row.variant == exact and self._records.can_have(layer_id, row):
                return row
        if wanted.force or self._records.row(layer_id).origin == _PACKED:
            # A packed layer's blob is compressed the default way because nobody had asked yet.
            return None
        for row in rows:
            if row.variant.partition("@")[2] == exact.partition("@")[2] and self._records.can_have(
                layer_id, row
            ):
                return row
        return None

    def _make(self, layer_id: str, wanted: Compression, epoch_s: int | None) -> BlobRow:
        from bakehouse.snapshots.blobmaking import BlobMaker

        maker = BlobMaker(self._store, self._pool())
        layer = self._records.row(layer_id)
        source = self._records.source_blob(layer_id)
        if source is not None:
            made = maker.convert(source, wanted, epoch_s)
        elif epoch_s is not None:
            # The plain form first: the rewritten one is derived from its bytes.
            plain = self._make(layer_id, replace(wanted, force=False), None)
            made = maker.convert(plain, wanted, epoch_s)
        else:
            made = self._from_directory(maker, layer, wanted)
        with self._store.db.transaction():
            self._store.layers.add_blob(layer_id, made)
            if epoch_s is None and layer.diff_id is None:
                self._store.layers.set_diff_id(layer_id, made.diff_id)
        return made

    def _from_directory(self, maker: BlobMaker, layer: LayerRow, wanted: Compression) -> BlobRow:
        base = LayerChain(layer.base)
        directory = self._store.path(SNAPSHOTS, layer.id, "fs")
        if not directory.is_dir():
            raise files_missing(layer.id)
        rediff = frozenset(os.fsencode(path) for path in layer.rediff)
        if not base:
            return maker.from_directory(directory, None, rediff, wanted)
        with self._view(base) as lower:
            return maker.from_directory(directory, lower, rediff, wanted)
