"""Caches in services (`gha`, `s3`, `azblob`): what `engine.caches.stores` keeps is a cache config whose layers say of
themselves what elsewhere a manifest says, and the blobs."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
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
from bakehouse.engine.caches.stores.model import CacheStore, open_cache_store
from bakehouse.engine.caches.writing import ensure_blob
from bakehouse.engine.side_by_side import side_by_side
from bakehouse.errors import DeniedError, IntegrityError
from bakehouse.go.timestamps import format_time_ns
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.oci.timestamps import parse_time_ns
from bakehouse.values import replace

if TYPE_CHECKING:
    from bakehouse.engine.caches.gathering import Gathered
    from bakehouse.engine.tree import EngineContext
    from bakehouse.oci.reference import Reference
    from bakehouse.progress.events import VertexReporter
    from bakehouse.solver.model import Cancellation
    from bakehouse.store import Store

_CHUNK = 1 << 18
_TITLES = {
    "gha": "exporting to GitHub Actions Cache",
    "s3": "exporting cache to Amazon S3",
    "azblob": "exporting cache to Azure Blob Storage",
}
#: Attributes that a name which everybody sees is not made of, not even hashed.
_SECRETS = frozenset({"token", "ghtoken", "access_key_id", "secret_access_key", "session_token"})
#: What other caches let one choose; services get what BuildKit gives them, gzip.
_COMPRESSION = ("compression", "compression-level", "force-compression")


def _opened(
    spec: CacheSpec, cancel: Cancellation, *, export: bool = False
) -> tuple[CacheStore, tuple[str, ...]]:
    def wait(seconds: float) -> None:
        cancel.wait(seconds)
        cancel.check()

    return open_cache_store(spec.type, spec.attrs, spec.environ, export=export, wait=wait)


class ServiceBlobs:
    """The blobs of an imported cache. They are the service's, so no later build is told of them."""

    origin: Reference | None = None

    def __init__(self, local: Store, store: CacheStore) -> None:
        self._local = local
        self._store = store

    def has(self, descriptor: Descriptor) -> bool:
        return self._store.has_blob(descriptor.digest)

    def fetch(self, descriptor: Descriptor, on_bytes: OnBytes) -> None:
        # One download a blob on this machine, whoever asks: other processes wait for it.
        with self._local.locks.locked(f"fetch:{descriptor.digest}"):
            if self._local.blobs.has(descriptor.digest):
                return
            with self._store.open_blob(descriptor.digest, descriptor.size) as stream:
                with self._local.blobs.writer(descriptor.digest.algorithm) as writer:
                    while chunk := stream.read(_CHUNK):
                        writer.write(chunk)
                        on_bytes(len(chunk))
                    writer.commit(descriptor.digest, descriptor.size)

    def close(self) -> None:
        self._store.close()


class ServiceSource:
    """An entry of `cache-from` in a service. A name under which nothing is stored is an empty cache."""

    absence: str | None = None

    def __init__(self, spec: CacheSpec) -> None:
        self._spec = spec
        self.name = hashed_name(spec.type, {k: v for k, v in spec.attrs.items() if k not in _SECRETS})
        try:
            store, _ = open_cache_store(spec.type, spec.attrs, spec.environ)
            store.close()
        except DeniedError:
            pass  # a token whose time is over makes no wrong definition: reading says so and the build goes on

    def load(self, context: EngineContext, vertex: VertexReporter, cancel: Cancellation) -> ImportedCache:
        store, names = _opened(self._spec, cancel)
        try:
            chains = [self._chains(store, name, vertex) for name in names]
        except BaseException:
            store.close()
            raise
        return ImportedCache(tuple(each for each in chains if each), ServiceBlobs(context.store, store))

    def _chains(self, store: CacheStore, name: str, vertex: VertexReporter) -> Chains | None:
        raw = store.get_document(name)
        if raw is None:
            return None
        config = parse_config(raw, MAX_STORED_BYTES)
        blobs = _described(config)
        if self._spec.type == "azblob":
            vertex.status(f"found {len(blobs)} layers in cache").finish()
        return chains_of(config, blobs)


def _described(config: CacheConfig) -> dict[Digest, Descriptor]:
    """The descriptors of all layers. Raises `IntegrityError` when one says nothing of itself."""
    blobs = {}
    for layer in config.layers:
        note = layer.note
        if note is None:
            raise IntegrityError("cache layer with missing annotations", code="invalid-cache-config")
        annotations = {DIFF_ID_ANNOTATION: str(note.diff_id)}
        if note.created_ns != NO_TIME_NS:
            annotations[CREATED_ANNOTATION] = format_time_ns(note.created_ns)
        blobs[layer.blob] = Descriptor(note.media_type, layer.blob, note.size, annotations=annotations)
    return blobs


class ServiceTarget:
    """An entry of `cache-to` in a service."""

    def __init__(self, spec: CacheSpec) -> None:
        self._spec = spec
        self.title = _TITLES[spec.type]
        self.id = spec.id
        attrs = {name: value for name, value in spec.attrs.items() if name not in _COMPRESSION}
        self.options: ExportOptions = export_options(replace(spec, attrs=attrs))
        store, _ = open_cache_store(spec.type, spec.attrs, spec.environ, export=True)
        store.close()

    def write(
        self, gathered: Gathered, context: EngineContext, vertex: VertexReporter, cancel: Cancellation
    ) -> dict[str, str]:
        store, names = _opened(self._spec, cancel, export=True)
        try:
            config = config_of(gathered.chains, noted=_notes(gathered.layers))
            digests = dict.fromkeys(layer.blob for layer in config.layers)
            tasks = (
                functools.partial(_put, store, gathered, context, vertex, cancel, digest)
                for digest in digests
            )
            side_by_side(tasks, store.upload_parallelism, "cache")
            for name in names:
                cancel.check()
                store.put_document(name, encode_config(config))
        finally:
            store.close()
        return {}


class _Checked:
    """A blob's stream that ends with an error when the build is cancelled."""

    def __init__(self, stream: BinaryIO, cancel: Cancellation) -> None:
        self._stream = stream
        self._cancel = cancel

    def read(self, count: int = -1, /) -> bytes:
        self._cancel.check()
        return self._stream.read(count)


@contextmanager
def _open(context: EngineContext, digest: Digest, cancel: Cancellation) -> Iterator[BinaryIO]:
    with context.store.blobs.open(digest) as stream:
        yield cast("BinaryIO", _Checked(stream, cancel))


def _notes(layers: Mapping[Digest, Descriptor]) -> dict[Digest, LayerNote]:
    notes = {}
    for digest, layer in layers.items():
        created = layer.annotations.get(CREATED_ANNOTATION)
        notes[digest] = LayerNote(
            layer.media_type,
            Digest(layer.annotations[DIFF_ID_ANNOTATION]),
            layer.size,
            parse_time_ns(created) if created else NO_TIME_NS,
        )
    return notes


def _put(
    store: CacheStore,
    gathered: Gathered,
    context: EngineContext,
    vertex: VertexReporter,
    cancel: Cancellation,
    digest: Digest,
) -> None:
    """Puts one blob where it is not yet."""
    cancel.check()
    if store.has_blob(digest):
        return
    layer = gathered.layers[digest]
    with vertex.status(f"writing layer {digest}"):
        ensure_blob(context, gathered, layer)
        store.put_blob(digest, layer.size, lambda: _open(context, digest, cancel))
