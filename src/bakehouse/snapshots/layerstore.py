"""The layers of a store: records, directories, blobs, and who may delete them.

A layer is a directory in overlay form (`snapshots/<id>/fs`), a tar blob, or both; each is made from the other when
it is asked for. A directory of a tar that leaves parents out, or links to files of lower layers, suits one chain
only: `snapshots/<id>/fs-<chain key>`. `LayerStore` is the face of the room; here are the directories, in
`layerrecords` and `layerblobs` the rest.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.errors import BakehouseError, CancelledError, EnvironmentFault
from bakehouse.oci.image import Descriptor
from bakehouse.snapshots.chain import LayerChain
from bakehouse.snapshots.layerblobs import LayerBlob, LayerBlobs
from bakehouse.snapshots.layerrecords import SNAPSHOTS, FindFetch, LayerRecords, layer_id_of, new_layer_id
from bakehouse.store import Store
from bakehouse.store.faults import disk_errors
from bakehouse.store.gc import UsageRecord
from bakehouse.store.layers import DirectoryRow, LayerRow
from bakehouse.values import replace

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from bakehouse.snapshots.active import Active
    from bakehouse.snapshots.compression import Compression
    from bakehouse.snapshots.driver import Driver
    from bakehouse.snapshots.packed import PackedLayer
    from bakehouse.snapshots.unpacking import Unpacked
    from bakehouse.snapshots.views import Views

#: One row of `LayerStore.usage`.
LayerUsage = UsageRecord


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
        self._records = LayerRecords(store)
        self._blobs = LayerBlobs(store, self._records, lambda: self.pool, self.view)

    def find_missing_with(self, find: FindFetch) -> None:
        """Says where blobs come from that no `adopt` of this process told of: `find(digest, size)` gives what brings
        the blob into the store, or None. So a result of an earlier process can rest on a base that was never
        downloaded."""
        self._records.find_missing_with(find)

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
        """Makes a layer known by its diff ID and its blob; returns its id (`layer_id_of`). Idempotent.

        The blob that `descriptor` names may be remote: `fetch()` puts it into the store when it is needed. Its URLs
        are remembered, and those annotations that BuildKit remembers (`layerrecords.KEPT_ANNOTATIONS`)."""
        return self._records.adopt(diff_id, descriptor, fetch, created, description)

    def lend(self, layer_id: str, fetch: Callable[[], None]) -> None:
        """Says anew what brings the blob of a layer that this process has adopted."""
        self._records.lend(layer_id, fetch)

    def exists(self, chain: LayerChain) -> bool:
        """True when every layer can be had: from a directory, a local blob, or a fetch that `adopt` was given. The
        process then holds them."""
        return self._records.exists(chain)

    def release(self) -> None:
        """Lets other processes' collections delete what this one has touched."""
        self._records.release()

    def diff_id(self, layer_id: str) -> str | None:
        """The digest of the layer's uncompressed tar; None until that was made. Raises `NotFoundError`."""
        return self._records.row(layer_id).diff_id

    def created(self, layer_id: str) -> float:
        """Seconds since the epoch. Raises `NotFoundError`."""
        return self._records.row(layer_id).created_s

    def description(self, layer_id: str) -> str:
        return self._records.row(layer_id).description

    def size(self, layer_id: str) -> int:
        """Bytes on disk: directories and local blobs. Raises `NotFoundError`."""
        self._records.row(layer_id)
        blobs = {row.digest: row.size for row in self._store.layers.blobs(layer_id)}
        local = sum(size for digest, size in blobs.items() if self._store.blobs.path(digest).exists())
        return self._store.layers.directory_sizes().get(layer_id, 0) + local

    def usage(self) -> list[LayerUsage]:
        """Every layer with its size and uses, oldest first."""
        return [record for record in self._store.usage() if record.kind == "layer"]

    def delete(self, layer_ids: Sequence[str]) -> list[str]:
        """Deletes layers that no other process holds, with their files; returns their ids."""
        return self._records.delete(layer_ids)

    # Trees -----------------------------------------------------------------------------------------------------

    @contextmanager
    def view(self, chain: LayerChain) -> Iterator[Path]:
        """A directory that shows the merged tree; not to be written to. Unpacks and fetches what is missing. A
        further view of a chain that is being looked at costs nothing.

        Raises `NotFoundError` (`layer-missing`), `IntegrityError` (damaged blobs), `EnvironmentFault`."""
        with self._views.open(chain, lambda: self._directories(chain)) as path:
            yield path

    def make_ready(self, chain: LayerChain, *, unpacked: bool) -> bool:
        """Fetches layers of a chain that are not in the store yet, and unpacks them if asked to. False when one cannot
        be had or is not what it was said to be; it is forgotten then, so that nothing that rests on it is found again.

        Raises `EnvironmentFault` and `CancelledError`."""
        for index, layer_id in enumerate(chain.layers):
            try:
                if not self._records.is_here(layer_id):
                    if unpacked:
                        self._directory(chain, index)
                    else:
                        self._records.source_blob(layer_id)
            except (EnvironmentFault, CancelledError):
                raise
            except BakehouseError:
                self.delete([layer_id])
                return False
        return True

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
            self._records.hold(chain.layers)
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
        path = self._store.path(SNAPSHOTS, layer_id, row.name)
        return path if path.is_dir() else None

    def _unpack(self, chain: LayerChain, index: int) -> Path:
        from bakehouse.snapshots.unpacking import unpack_layer

        layer_id = chain.layers[index]
        below = chain.below(index)
        blob = self._records.local_blob(layer_id)
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
        home = self._store.path(SNAPSHOTS, layer_id)
        dest = home / name
        with self._store.db.transaction():
            self._records.row(layer_id)
            home.mkdir(exist_ok=True, mode=0o711)
            stale = self._store.owner.bury(dest)
            os.rename(source, dest)
            self._store.layers.add_directory(layer_id, DirectoryRow(base, name, unpacked.size))
        self._store.owner.empty([stale])
        return dest

    def _adopt_upper(self, upper: Path, row: LayerRow, size: int) -> str:
        layer_id = new_layer_id()
        home = self._store.path(SNAPSHOTS, layer_id)
        with self._store.db.transaction():
            self._store.layers.insert(replace(row, id=layer_id, last_used_s=time.time(), usage_count=1))
            self._store.layers.add_directory(layer_id, DirectoryRow("", "fs", size))
            self._records.hold([layer_id])
            home.mkdir(mode=0o711)
            os.rename(upper, home / "fs")
        return layer_id

    # Blobs -----------------------------------------------------------------------------------------------------

    def packed(
        self, chain: LayerChain, *, description: str = "", compression: Compression | None = None
    ) -> PackedLayer:
        """A layer on top of `chain` that goes straight into its blob; enter it as a context manager."""
        return self._blobs.packed(chain, description, compression or _default_compression())

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
        written as a blob right away (`packed`). With `rewrite_timestamp` (seconds since the epoch) modification times
        after it are lowered to it: another blob with another diff ID. The difference is the one against the chain
        that the layer was made on."""
        return self._blobs.blob(chain.layers[index], compression or _default_compression(), rewrite_timestamp)

    def blobs(
        self,
        chain: LayerChain,
        compression: Compression | None = None,
        *,
        rewrite_timestamp: int | None = None,
    ) -> list[LayerBlob]:
        """All layers of a chain, lowest first, the missing ones made in parallel."""
        return self._blobs.blobs(chain, compression or _default_compression(), rewrite_timestamp)

    def fetch(self, chain: LayerChain) -> None:
        """Brings the blobs of adopted layers into the store that are not there yet (before an export that needs
        them). Layers without a blob are left alone."""
        for layer_id in dict.fromkeys(chain.layers):
            self._records.source_blob(layer_id)


def _default_compression() -> Compression:
    from bakehouse.snapshots.compression import Compression

    return Compression()


__all__ = ["FindFetch", "LayerBlob", "LayerStore", "LayerUsage", "layer_id_of"]
