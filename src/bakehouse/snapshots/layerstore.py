"""The layers of a store: records, directories, blobs, and who may delete them.

A layer is a directory in overlay form (`snapshots/<id>/fs`), a tar blob, or both; each is made from the other when
it is asked for. A directory of a tar that leaves parents out, or links to files of lower layers, suits one chain
only: `snapshots/<id>/fs-<chain key>`. Whatever a process touches it holds (a lease) until `release` or its end.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.errors import NotFoundError
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.oci.media_types import layer_compression
from bakehouse.snapshots.chain import LayerChain
from bakehouse.store import Store
from bakehouse.store.blobs import BlobWriter
from bakehouse.store.faults import disk_errors
from bakehouse.store.gc import UsageRecord
from bakehouse.store.layers import BlobRow, DirectoryRow, LayerRow
from bakehouse.store.owners import LAYER
from bakehouse.values import dataclass, replace

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from bakehouse.snapshots.active import Active
    from bakehouse.snapshots.blobmaking import BlobMaker
    from bakehouse.snapshots.compression import CompressingWriter, Compression
    from bakehouse.snapshots.driver import Driver
    from bakehouse.snapshots.packed import PackedLayer
    from bakehouse.snapshots.unpacking import Unpacked
    from bakehouse.snapshots.views import Views

#: One row of `LayerStore.usage`.
LayerUsage = UsageRecord

_SNAPSHOTS = "snapshots"
_PACKED = "packed"


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """One layer as an image lists it. The descriptor's blob may still be remote: see `LayerStore.fetch`."""

    descriptor: Descriptor
    diff_id: Digest


#: From the digest and size of a blob to what brings it into the store, or None.
FindFetch = Callable[[str, int], Callable[[], None] | None]


class LayerStore:
    """Thread-safe; any number of processes share a store. `close` releases threads and leases."""

    def __init__(self, store: Store, driver: str = "auto", *, threads: int | None = None) -> None:
        """`driver` is `auto`, `overlay` or `copy`; `threads` the number that compress (default: the processors)."""
        self._store = store
        self._wanted_driver = driver
        self._threads = threads or len(os.sched_getaffinity(0))
        # What is made when first used: probing for overlayfs and starting threads cost milliseconds.
        self._setup = threading.RLock()
        self._chosen: Driver | None = None
        self._shown: Views | None = None
        self._compressors: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._held: set[str] = set()
        self._fetchers: dict[str, Callable[[], None]] = {}
        self._find_fetch: FindFetch | None = None

    def find_missing_with(self, find: FindFetch) -> None:
        """Says where blobs come from that no `adopt` of this process told of: `find(digest, size)` gives what brings
        the blob into the store, or None. So a result of an earlier process can rest on a base that was never
        downloaded."""
        self._find_fetch = find

    def _fetcher(self, layer_id: str) -> Callable[[], None] | None:
        """What brings the layer's blob into the store, if anything can."""
        known = self._fetchers.get(layer_id)
        if known is not None or self._find_fetch is None:
            return known
        for row in self._store.layers.blobs(layer_id):
            if "@" not in row.variant:
                found = self._find_fetch(row.digest, row.size)
                if found is not None:
                    self._fetchers[layer_id] = found
                    return found
        return None

    @property
    def _driver(self) -> Driver:
        from bakehouse.snapshots.driver import choose_driver

        with self._setup:
            if self._chosen is None:
                self._chosen = choose_driver(self._wanted_driver, self._store.owner.directory)
            return self._chosen

    @property
    def _views(self) -> Views:
        from bakehouse.snapshots.views import Views

        with self._setup:
            if self._shown is None:
                self._shown = Views(self._driver, self._store.owner.new_mount_point)
            return self._shown

    @property
    def pool(self) -> ThreadPoolExecutor:
        """The threads that compress."""
        from concurrent.futures import ThreadPoolExecutor

        with self._setup:
            if self._compressors is None:
                self._compressors = ThreadPoolExecutor(self._threads, thread_name_prefix="compress")
            return self._compressors

    @property
    def driver_name(self) -> str:
        """`overlay` or `copy`: what is in use."""
        return self._driver.name

    def close(self) -> None:
        """Ends the compressing threads and gives the leases back. Idempotent."""
        with self._setup:
            pool, self._compressors = self._compressors, None
        if pool is not None:
            pool.shutdown()
        self.release()

    def __enter__(self) -> LayerStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Records ---------------------------------------------------------------------------------------------------

    def adopt(
        self,
        diff_id: str,
        descriptor: Descriptor,
        fetch: Callable[[], None] | None = None,
        *,
        created: float | None = None,
        description: str = "",
    ) -> str:
        """Makes a layer known by its diff ID; returns its id. Idempotent by diff ID.

        The blob that `descriptor` names may be remote: `fetch()` puts it into the store when it is needed."""
        checked = Digest(diff_id)
        layer_id = layer_id_of(checked)
        blob = BlobRow(
            layer_compression(descriptor.media_type) or "gzip",
            descriptor.media_type,
            descriptor.digest,
            descriptor.size,
            checked,
        )
        with self._store.db.transaction():
            self._store.layers.insert(
                LayerRow(
                    layer_id,
                    checked,
                    created_s=time.time() if created is None else created,
                    description=description,
                    origin="adopted",
                )
            )
            known = self._store.layers.blobs(layer_id)
            if not any(row.digest == blob.digest for row in known):
                self._store.layers.add_blob(layer_id, blob)
            self._hold([layer_id])
        if fetch is not None:
            with self._lock:
                self._fetchers[layer_id] = fetch
        return layer_id

    def exists(self, chain: LayerChain) -> bool:
        """True when every layer can be had: from a directory, a local blob, or a fetch that `adopt` was given. The
        process then holds them."""
        wanted = [layer_id for layer_id in chain.layers if layer_id not in self._held]
        if wanted:
            with self._store.db.transaction():
                if len(self._store.layers.existing(wanted)) != len(set(wanted)):
                    return False
                if not all(self._obtainable(layer_id) for layer_id in wanted):
                    return False
                self._hold(wanted)
        self._store.layers.touch(chain.layers)
        return True

    def _obtainable(self, layer_id: str) -> bool:
        if layer_id in self._fetchers or self._store.path(_SNAPSHOTS, layer_id).is_dir():
            return True
        if any(self._store.blobs.has(row.digest) for row in self._store.layers.blobs(layer_id)):
            return True
        return self._fetcher(layer_id) is not None

    def _hold(self, layer_ids: Iterable[str]) -> None:
        new = [layer_id for layer_id in layer_ids if layer_id not in self._held]
        if new:
            self._store.owner.lease(LAYER, new)
            self._held.update(new)

    def release(self) -> None:
        """Lets other processes' collections delete what this one has touched."""
        if not self._held:
            return
        self._store.layers.flush()
        self._store.owner.release(LAYER, list(self._held))
        self._held.clear()

    def _row(self, layer_id: str) -> LayerRow:
        row = self._store.layers.get(layer_id)
        if row is None:
            raise NotFoundError(
                f"layer {layer_id} is not in the store",
                code="layer-missing",
                hint="It was removed by a cleanup; build again.",
            )
        return row

    def diff_id(self, layer_id: str) -> str | None:
        """The digest of the layer's uncompressed tar; None until that was made. Raises `NotFoundError`."""
        return self._row(layer_id).diff_id

    def created(self, layer_id: str) -> float:
        """Seconds since the epoch. Raises `NotFoundError`."""
        return self._row(layer_id).created_s

    def description(self, layer_id: str) -> str:
        return self._row(layer_id).description

    def size(self, layer_id: str) -> int:
        """Bytes on disk: directories and local blobs. Raises `NotFoundError`."""
        self._row(layer_id)
        blobs = {row.digest: row.size for row in self._store.layers.blobs(layer_id)}
        local = sum(size for digest, size in blobs.items() if self._store.blobs.path(digest).exists())
        return self._store.layers.directory_sizes().get(layer_id, 0) + local

    def usage(self) -> list[LayerUsage]:
        """Every layer with its size and uses, oldest first."""
        return [record for record in self._store.usage() if record.kind == "layer"]

    def delete(self, layer_ids: Sequence[str]) -> list[str]:
        """Deletes layers that no other process holds, with their files; returns their ids."""
        gone = self._store.collector.delete_layers(layer_ids, force=True)
        with self._lock:
            self._held.difference_update(gone)
            for layer_id in gone:
                self._fetchers.pop(layer_id, None)
        self._store.owner.release(LAYER, gone)
        return gone

    # Trees -----------------------------------------------------------------------------------------------------

    @contextmanager
    def view(self, chain: LayerChain) -> Iterator[Path]:
        """A directory that shows the merged tree; not to be written to. Unpacks and fetches what is missing. A
        further view of a chain that is being looked at costs nothing.

        Raises `NotFoundError` (`layer-missing`), `IntegrityError` (damaged blobs), `EnvironmentFault`."""
        with self._views.open(chain, lambda: self._directories(chain)) as path:
            yield path

    def prepare(self, chain: LayerChain) -> Active:
        """A writable tree on top of `chain`; enter it as a context manager."""
        from bakehouse.snapshots.active import Active

        owner = self._store.owner
        return Active(
            chain,
            self._driver,
            self._directories(chain),
            owner.new_path("active"),
            owner.new_mount_point(),
            self.view,
            self._adopt_upper,
        )

    def _directories(self, chain: LayerChain) -> list[Path]:
        """The layer directories of a chain, lowest first.

        A difference may occur twice (two steps that changed nothing, say). The upper occurrence hides the lower one
        whole, and overlayfs refuses a directory that is named twice, so only the upper one is given."""
        found = [self._directory(chain, index) for index in range(len(chain))]
        with self._store.db.transaction():
            self._hold(chain.layers)
        self._store.layers.touch(chain.layers)
        return list(dict.fromkeys(reversed(found)))[::-1]

    def _directory(self, chain: LayerChain, index: int) -> Path:
        layer_id = chain.layers[index]
        path = self._existing_directory(chain, index)
        if path is not None:
            return path
        with self._store.locks.locked(f"unpack:{layer_id}"):
            # Another process may have unpacked it while we waited.
            path = self._existing_directory(chain, index)
            return path if path is not None else self._unpack(chain, index)

    def _existing_directory(self, chain: LayerChain, index: int) -> Path | None:
        layer_id = chain.layers[index]
        row = self._store.layers.directory(layer_id, ("", chain.below(index).key))
        if row is None:
            return None
        path = self._store.path(_SNAPSHOTS, layer_id, row.name)
        return path if path.is_dir() else None

    def _unpack(self, chain: LayerChain, index: int) -> Path:
        from bakehouse.snapshots.unpacking import unpack_layer

        layer_id = chain.layers[index]
        below = chain.below(index)
        blob = self._local_blob(layer_id)
        with self._store.temporary_dir() as area, ExitStack() as views:

            def open_lower() -> int:
                path = views.enter_context(self.view(below))
                return os.open(path, os.O_RDONLY | os.O_DIRECTORY)

            with disk_errors(area):
                unpacked = unpack_layer(self._store.blobs, blob, area / "fs", open_lower if below else None)
            base = below.key if unpacked.bound else ""
            name = f"fs-{base}" if base else "fs"
            return self._place(layer_id, area / "fs", base, name, unpacked)

    def _place(self, layer_id: str, source: Path, base: str, name: str, unpacked: Unpacked) -> Path:
        home = self._store.path(_SNAPSHOTS, layer_id)
        dest = home / name
        with self._store.db.transaction():
            self._row(layer_id)
            home.mkdir(exist_ok=True, mode=0o711)
            stale = self._store.owner.bury(dest)
            os.rename(source, dest)
            self._store.layers.add_directory(layer_id, DirectoryRow(base, name, unpacked.size))
        self._store.owner.empty([stale])
        return dest

    def _adopt_upper(self, upper: Path, row: LayerRow, size: int) -> str:
        layer_id = _new_id()
        home = self._store.path(_SNAPSHOTS, layer_id)
        with self._store.db.transaction():
            self._store.layers.insert(replace(row, id=layer_id, last_used_s=time.time(), usage_count=1))
            self._store.layers.add_directory(layer_id, DirectoryRow("", "fs", size))
            self._hold([layer_id])
            home.mkdir(mode=0o711)
            os.rename(upper, home / "fs")
        return layer_id

    # Blobs -----------------------------------------------------------------------------------------------------

    def packed(
        self, chain: LayerChain, *, description: str = "", compression: Compression | None = None
    ) -> PackedLayer:
        """A layer on top of `chain` that goes straight into its blob; enter it as a context manager."""
        from bakehouse.snapshots.compression import CompressingWriter, Compression
        from bakehouse.snapshots.packed import PackedLayer

        wanted = compression or Compression()

        def record(blob: BlobWriter, compressor: CompressingWriter, created_s: float | None) -> str:
            digest, size = blob.commit()
            layer_id = _new_id()
            diff_id = compressor.diff_id
            with self._store.db.transaction():
                self._store.layers.insert(
                    LayerRow(
                        layer_id,
                        diff_id,
                        chain.layers,
                        time.time() if created_s is None else created_s,
                        description,
                        _PACKED,
                        usage_count=1,
                    )
                )
                row = BlobRow(wanted.type, wanted.media_type, digest, size, diff_id)
                self._store.layers.add_blob(layer_id, row)
                self._hold([layer_id])
            return layer_id

        blob = self._store.blobs.writer()
        return PackedLayer(blob, CompressingWriter(blob, wanted, self.pool), record)

    def blob(
        self,
        chain: LayerChain,
        index: int,
        compression: Compression | None = None,
        *,
        rewrite_timestamp: int | None = None,
    ) -> LayerBlob:
        """Layer number `index` of `chain` as a tar blob, made once and remembered.

        A blob that exists is taken as it is, whatever its compression, unless `compression.force` or the layer was
        written as a blob right away (`packed`). With
        `rewrite_timestamp` (seconds since the epoch) modification times after it are lowered to it: another blob
        with another diff ID. The difference is the one against the chain that the layer was made on."""
        from bakehouse.snapshots.compression import Compression

        wanted = compression or Compression()
        layer_id = chain.layers[index]
        self._hold_now(layer_id)
        found = self._known_blob(layer_id, wanted, rewrite_timestamp)
        if found is None:
            with self._store.locks.locked(f"blob:{layer_id}"):
                found = self._known_blob(layer_id, wanted, rewrite_timestamp)
                if found is None:
                    found = self._make_blob(layer_id, wanted, rewrite_timestamp)
        descriptor = Descriptor(found.media_type, Digest(found.digest), found.size)
        return LayerBlob(descriptor, Digest(found.diff_id))

    def _hold_now(self, layer_id: str) -> None:
        if layer_id not in self._held:
            with self._store.db.transaction():
                self._row(layer_id)
                self._hold([layer_id])

    def _known_blob(self, layer_id: str, wanted: Compression, epoch_s: int | None) -> BlobRow | None:
        from bakehouse.snapshots.blobmaking import variant_name

        rows = self._store.layers.blobs(layer_id)
        exact = variant_name(wanted.type, epoch_s)
        for row in rows:
            if row.variant == exact and self._can_have(layer_id, row):
                return row
        if wanted.force or self._row(layer_id).origin == _PACKED:
            # A packed layer's blob is compressed the default way because nobody had asked yet.
            return None
        for row in rows:
            if row.variant.partition("@")[2] == exact.partition("@")[2] and self._can_have(layer_id, row):
                return row
        return None

    def _can_have(self, layer_id: str, row: BlobRow) -> bool:
        return self._store.blobs.has(row.digest) or (
            "@" not in row.variant and self._fetcher(layer_id) is not None
        )

    def _make_blob(self, layer_id: str, wanted: Compression, epoch_s: int | None) -> BlobRow:
        from bakehouse.snapshots.blobmaking import BlobMaker

        maker = BlobMaker(self._store, self.pool)
        layer = self._row(layer_id)
        source = self._source_blob(layer_id, fetch=True)
        if source is not None:
            made = maker.convert(source, wanted, epoch_s)
        else:
            if epoch_s is not None:
                # The plain form first: the rewritten one is derived from its bytes.
                plain = self._make_blob(layer_id, replace(wanted, force=False), None)
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
        directory = self._store.path(_SNAPSHOTS, layer.id, "fs")
        if not directory.is_dir():
            raise NotFoundError(
                f"the files of layer {layer.id} are not in the store",
                code="layer-missing",
                hint="Build again.",
            )
        rediff = frozenset(os.fsencode(path) for path in layer.rediff)
        if not base:
            return maker.from_directory(directory, None, rediff, wanted)
        with self.view(base) as lower:
            return maker.from_directory(directory, lower, rediff, wanted)

    def blobs(
        self,
        chain: LayerChain,
        compression: Compression | None = None,
        *,
        rewrite_timestamp: int | None = None,
    ) -> list[LayerBlob]:
        """All layers of a chain, lowest first, the missing ones made in parallel."""
        from concurrent.futures import ThreadPoolExecutor

        self._directories_for_blobs(chain)
        with ThreadPoolExecutor(max(1, min(4, len(chain))), thread_name_prefix="layer") as pool:
            futures = [
                pool.submit(self.blob, chain, index, compression, rewrite_timestamp=rewrite_timestamp)
                for index in range(len(chain))
            ]
            return [future.result() for future in futures]

    def _directories_for_blobs(self, chain: LayerChain) -> None:
        with self._store.db.transaction():
            known = self._store.layers.existing(chain.layers)
            for layer_id in chain.layers:
                if layer_id not in known:
                    self._row(layer_id)
            self._hold(chain.layers)

    def fetch(self, chain: LayerChain) -> None:
        """Brings the blobs of adopted layers into the store that are not there yet (before an export that needs
        them). Layers without a blob are left alone."""
        for layer_id in dict.fromkeys(chain.layers):
            self._source_blob(layer_id, fetch=True)

    def _source_blob(self, layer_id: str, *, fetch: bool) -> BlobRow | None:
        """A plain-time blob of the layer that is in the store, fetched when need be; None when there is none."""
        rows = [row for row in self._store.layers.blobs(layer_id) if "@" not in row.variant]
        for row in rows:
            if self._store.blobs.has(row.digest):
                return row
        fetcher = self._fetcher(layer_id)
        if not fetch or fetcher is None or not rows:
            return None
        with self._store.locks.locked(f"fetch:{layer_id}"):
            if not any(self._store.blobs.has(row.digest) for row in rows):
                fetcher()
        for row in rows:
            if self._store.blobs.has(row.digest):
                return row
        raise NotFoundError(f"fetching layer {layer_id} did not bring its blob", code="blob-missing")

    def _local_blob(self, layer_id: str) -> BlobRow:
        self._hold_now(layer_id)
        found = self._source_blob(layer_id, fetch=True)
        if found is None:
            raise NotFoundError(
                f"the files of layer {layer_id} are not in the store",
                code="layer-missing",
                hint="Build again.",
            )
        return found


def layer_id_of(diff_id: str) -> str:
    """The id of an adopted layer."""
    checked = Digest(diff_id)
    return f"{checked.algorithm}-{checked.encoded}"


def _new_id() -> str:
    """A fresh layer id: 25 characters, as BuildKit's."""
    return base64.b32encode(os.urandom(16)).decode("ascii").lower()[:25]


__all__ = ["LayerBlob", "LayerStore", "LayerUsage", "layer_id_of"]
