"""Caches in services: blobs, and a document of records whose layers say of themselves what a manifest says elsewhere.

Which service, and how it is spoken to, is the business of `stores`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO

from bakehouse.engine.caches.attributes import export_options
from bakehouse.engine.caches.chains import Chains, chains_of, config_of
from bakehouse.engine.caches.config import (
    MAX_STORED_BYTES,
    NO_TIME_NS,
    LayerNote,
    encode_config,
    parse_config,
)
from bakehouse.engine.caches.gathering import CREATED_ANNOTATION, DIFF_ID_ANNOTATION
from bakehouse.engine.caches.hashed import hashed_name
from bakehouse.engine.caches.model import CacheSpec, ExportOptions, ImportedCache, OnBytes
from bakehouse.engine.caches.stores.model import open_cache_store
from bakehouse.engine.caches.writing import ensure_blob
from bakehouse.errors import IntegrityError
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


class _Waiting:
    """Waits between attempts, as long as the build goes on."""

    def __init__(self) -> None:
        self.cancel: Cancellation | None = None

    def __call__(self, seconds: float) -> None:
        if self.cancel is None:
            time.sleep(seconds)
        else:
            self.cancel.wait(seconds)
            self.cancel.check()


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
        self._wait = _Waiting()
        self._store, self._names = open_cache_store(spec.type, spec.attrs, spec.environ, wait=self._wait)
        self._name = hashed_name(spec.type, _shown(spec.attrs))

    @property
    def name(self) -> str:
        return self._name

    def load(self, context: EngineContext, vertex: VertexReporter, cancel: Cancellation) -> ImportedCache:
        self._wait.cancel = cancel
        documents = [self._store.get_document(name) for name in self._names]
        chains = tuple(_chains(raw) for raw in documents if raw is not None)
        return ImportedCache(chains, StoredBlobs(context.store, self._store))


def _shown(attrs: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in attrs.items() if key not in _SECRETS}


def _chains(raw: bytes) -> Chains:
    config = parse_config(raw, MAX_STORED_BYTES)
    blobs: dict[Digest, Descriptor] = {}
    for layer in config.layers:
        note = layer.note
        if note is None:
            raise IntegrityError("cache layer with missing annotations", code="invalid-cache-config")
        annotations = {DIFF_ID_ANNOTATION: str(note.diff_id)}
        if note.created_ns != NO_TIME_NS:
            annotations[CREATED_ANNOTATION] = format_time_ns(note.created_ns)
        blobs[layer.blob] = Descriptor(note.media_type, layer.blob, note.size, annotations)
    return chains_of(config, blobs)


class StoredTarget:
    """`type=gha`, `s3` or `azblob` with the options of every export."""

    def __init__(self, spec: CacheSpec) -> None:
        self.title = _TITLES[spec.type]
        self.id = spec.id
        self.options: ExportOptions = export_options(spec)
        self._wait = _Waiting()
        self._store, self._names = open_cache_store(
            spec.type, spec.attrs, spec.environ, export=True, wait=self._wait
        )

    def write(
        self, gathered: Gathered, context: EngineContext, vertex: VertexReporter, cancel: Cancellation
    ) -> dict[str, str]:
        """Blobs first: a reader of the document finds all that it names."""
        self._wait.cancel = cancel
        try:
            config = config_of(gathered.chains, noted=_notes(gathered))
            self._put_layers([layer.blob for layer in config.layers], gathered, context, vertex, cancel)
            raw = encode_config(config)
            for name in self._names:
                cancel.check()
                self._store.put_document(name, raw)
        finally:
            self._store.close()
        return {}

    def _put_layers(
        self,
        blobs: list[Digest],
        gathered: Gathered,
        context: EngineContext,
        vertex: VertexReporter,
        cancel: Cancellation,
    ) -> None:
        def put(digest: Digest) -> None:
            cancel.check()
            layer = gathered.layers[digest]
            if self._store.has_blob(digest):
                return
            with vertex.status(f"writing layer {digest}"):
                ensure_blob(context, gathered, layer)

                def read() -> AbstractContextManager[BinaryIO]:
                    return context.store.blobs.open(digest, layer.size)

                self._store.put_blob(digest, layer.size, read)

        with ThreadPoolExecutor(self._store.upload_parallelism, thread_name_prefix="cache") as pool:
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
