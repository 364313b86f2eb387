"""Caches in services: blobs, and a document of records whose layers say of themselves what a manifest says elsewhere.

Which service, and how it is spoken to, is the business of `stores`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from bakehouse.engine.caches.attributes import export_options
from bakehouse.engine.caches.chains import Chains, chains_of, config_of
from bakehouse.engine.caches.config import (
    MAX_STORED_BYTES,
    NO_TIME_NS,
    CacheConfig,
    LayerNote,
    encode_config,
    parse_config,
)
from bakehouse.engine.caches.gathering import CREATED_ANNOTATION, DIFF_ID_ANNOTATION
from bakehouse.engine.caches.hashed import hashed_name
from bakehouse.engine.caches.model import CacheSpec, ExportOptions, ImportedCache, OnBytes
from bakehouse.engine.caches.stores.model import open_cache_store
from bakehouse.engine.caches.writing import ensure_blob
from bakehouse.errors import DeniedError, IntegrityError
from bakehouse.go.timestamps import format_time_ns
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.oci.timestamps import parse_time_ns

if TYPE_CHECKING:
    from bakehouse.engine.caches.gathering import Gathered
    from bakehouse.engine.caches.stores.model import CacheStore
    from bakehouse.engine.tree import EngineContext
    from bakehouse.oci.reference import Reference
    from bakehouse.progress.events import VertexReporter
    from bakehouse.solver.model import Cancellation
    from bakehouse.store import Store

_CHUNK = 1 << 20
_TITLES = {
    "gha": "exporting to GitHub Actions Cache",
    "s3": "exporting cache to Amazon S3",
    "azblob": "exporting cache to Azure Blob Storage",
}
#: Attributes that a name in the progress must not be made of, not even hashed.
_SECRETS = frozenset(
    {"token", "ghtoken", "access_key_id", "secret_access_key", "session_token", "account_key"}
)


def _waiting(cancel: Cancellation) -> Callable[[float], None]:
    """Waits between attempts, as long as the build goes on."""

    def wait(seconds: float) -> None:
        cancel.wait(seconds)
        cancel.check()

    return wait


class _Checked:
    """A blob's stream, at whose reading a cancelled build ends."""

    def __init__(self, stream: BinaryIO, cancel: Cancellation) -> None:
        self._stream = stream
        self._cancel = cancel

    def read(self, count: int = -1, /) -> bytes:
        self._cancel.check()
        return self._stream.read(count)


class StoredBlobs:
    """Blobs in a service. A later build asks for them only when it is told of the cache again: it may have another
    token."""

    origin: Reference | None = None

    def __init__(self, local: Store, store: CacheStore) -> None:
        self._local = local
        self._store = store

    def has(self, descriptor: Descriptor) -> bool:
        return self._store.has_blob(descriptor.digest)

    def fetch(self, descriptor: Descriptor, on_bytes: OnBytes) -> None:
        blobs = self._local.blobs
        with self._local.locks.locked(f"fetch:{descriptor.digest}"):
            if blobs.has(descriptor.digest):
                return
            with (
                self._store.open_blob(descriptor.digest, descriptor.size) as stream,
                blobs.writer(descriptor.digest.algorithm) as writer,
            ):
                while chunk := stream.read(_CHUNK):
                    if writer.size + len(chunk) > descriptor.size:
                        raise IntegrityError(
                            f"blob {descriptor.digest} is larger than the {descriptor.size} bytes stated",
                            code="size-mismatch",
                        )
                    writer.write(chunk)
                    on_bytes(len(chunk))
                writer.commit(descriptor.digest, descriptor.size)

    def close(self) -> None:
        self._store.close()


class StoredSource:
    """`type=gha`, `s3` or `azblob`; the attributes are the service's. A service that has no such cache has an empty
    one."""

    absence: str | None = None

    def __init__(self, spec: CacheSpec) -> None:
        self._spec = spec
        self._name = hashed_name(spec.type, _shown(spec.attrs))
        try:
            self._open(time.sleep)[0].close()
        except DeniedError:
            # A token whose time is over is no wrong definition: reading says so, and the build goes on.
            pass

    @property
    def name(self) -> str:
        return self._name

    def load(self, context: EngineContext, vertex: VertexReporter, cancel: Cancellation) -> ImportedCache:
        store, names = self._open(_waiting(cancel))
        try:
            documents = [store.get_document(name) for name in names]
            chains = tuple(self._chains(raw, vertex) for raw in documents if raw is not None)
        except BaseException:
            store.close()
            raise
        return ImportedCache(chains, StoredBlobs(context.store, store))

    def _open(self, wait: Callable[[float], None]) -> tuple[CacheStore, tuple[str, ...]]:
        return open_cache_store(self._spec.type, self._spec.attrs, self._spec.environ, wait=wait)

    def _chains(self, raw: bytes, vertex: VertexReporter) -> Chains:
        config = parse_config(raw, MAX_STORED_BYTES)
        blobs = _described(config)
        if self._spec.type == "azblob":
            vertex.status(f"found {len(blobs)} layers in cache").finish()
        return chains_of(config, blobs)


def _shown(attrs: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in attrs.items() if key not in _SECRETS}


def _described(config: CacheConfig) -> dict[Digest, Descriptor]:
    """The descriptors of all layers. Raises `IntegrityError` when one says nothing of itself."""
    blobs: dict[Digest, Descriptor] = {}
    for layer in config.layers:
        note = layer.note
        if note is None:
            raise IntegrityError("cache layer with missing annotations", code="invalid-cache-config")
        annotations = {DIFF_ID_ANNOTATION: str(note.diff_id)}
        if note.created_ns != NO_TIME_NS:
            annotations[CREATED_ANNOTATION] = format_time_ns(note.created_ns)
        blobs[layer.blob] = Descriptor(note.media_type, layer.blob, note.size, annotations)
    return blobs


class StoredTarget:
    """`type=gha`, `s3` or `azblob` with the options of every export."""

    def __init__(self, spec: CacheSpec) -> None:
        self.title = _TITLES[spec.type]
        self.id = spec.id
        self.options: ExportOptions = export_options(spec)
        self._spec = spec
        self._open(time.sleep)[0].close()

    def _open(self, wait: Callable[[float], None]) -> tuple[CacheStore, tuple[str, ...]]:
        spec = self._spec
        return open_cache_store(spec.type, spec.attrs, spec.environ, export=True, wait=wait)

    def write(
        self, gathered: Gathered, context: EngineContext, vertex: VertexReporter, cancel: Cancellation
    ) -> dict[str, str]:
        """Blobs first: a reader of the document finds all that it names."""
        store, names = self._open(_waiting(cancel))
        try:
            config = config_of(gathered.chains, noted=_notes(gathered))
            self._put_layers(
                store, [layer.blob for layer in config.layers], gathered, context, vertex, cancel
            )
            raw = encode_config(config)
            for name in names:
                cancel.check()
                store.put_document(name, raw)
        finally:
            store.close()
        return {}

    @staticmethod
    def _put_layers(
        store: CacheStore,
        blobs: list[Digest],
        gathered: Gathered,
        context: EngineContext,
        vertex: VertexReporter,
        cancel: Cancellation,
    ) -> None:
        def put(digest: Digest) -> None:
            cancel.check()
            layer = gathered.layers[digest]
            if store.has_blob(digest):
                return
            with vertex.status(f"writing layer {digest}"):
                ensure_blob(context, gathered, layer)

                @contextmanager
                def read() -> Iterator[BinaryIO]:
                    with context.store.blobs.open(digest, layer.size) as stream:
                        yield cast("BinaryIO", _Checked(stream, cancel))

                store.put_blob(digest, layer.size, read)

        with ThreadPoolExecutor(store.upload_parallelism, thread_name_prefix="cache") as pool:
            futures = [pool.submit(put, digest) for digest in dict.fromkeys(blobs)]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                for future in futures:
                    future.cancel()
                raise


def _notes(gathered: Gathered) -> dict[Digest, LayerNote]:
    notes = {}
    for digest, layer in gathered.layers.items():
        created = layer.annotations.get(CREATED_ANNOTATION)
        created_ns = parse_time_ns(created) if created else NO_TIME_NS
        notes[digest] = LayerNote(
            layer.media_type, Digest(layer.annotations[DIFF_ID_ANNOTATION]), layer.size, created_ns
        )
    return notes
