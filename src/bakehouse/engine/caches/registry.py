"""Caches in registries: under a tag of their own, or, to be read, inside images that carry theirs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import IO, TYPE_CHECKING

from bakehouse.engine.caches.attributes import export_options, flag, manifest_form, required
from bakehouse.engine.caches.manifest import read_cache
from bakehouse.engine.caches.model import CacheSpec, ExportOptions, ImportedCache, OnBytes
from bakehouse.engine.caches.writing import CacheDocuments, cache_documents, ensure_blob, response
from bakehouse.engine.exporters.push import with_insecure
from bakehouse.engine.side_by_side import side_by_side
from bakehouse.engine.sources.image import SOURCES_SPACE
from bakehouse.engine.sources.image_content import RegistryContent
from bakehouse.errors import BakehouseError
from bakehouse.oci.image import Descriptor
from bakehouse.oci.reference import Reference
from bakehouse.registry import RegistryClient

if TYPE_CHECKING:
    from bakehouse.engine.caches.gathering import Gathered
    from bakehouse.engine.tree import EngineContext
    from bakehouse.progress.events import VertexReporter
    from bakehouse.solver.model import Cancellation

_PARALLEL_BLOBS = 4


class _Place:
    """A reference and how its registry is spoken to."""

    def __init__(self, spec: CacheSpec, role: str) -> None:
        self.text = required(spec, "ref", role)
        self.ref = Reference.parse(self.text)
        self.insecure = flag(spec, "registry.insecure", False)
        self._config = with_insecure(spec.registries, self.ref.registry) if self.insecure else spec.registries

    def client(self, context: EngineContext, cancel: Cancellation) -> RegistryClient:
        def wait(seconds: float) -> None:
            cancel.wait(seconds)
            cancel.check()

        return RegistryClient(context.session.credentials, self._config, wait=wait)


class RepositoryBlobs:
    """Blobs of a repository. Thread-safe."""

    def __init__(
        self, client: RegistryClient, content: RegistryContent, ref: Reference, *, told: bool
    ) -> None:
        self._client = client
        self._content = content
        self._ref = ref
        #: A registry that only this entry calls insecure is none that a later build may ask.
        self.origin: Reference | None = ref if told else None

    def has(self, descriptor: Descriptor) -> bool:
        return self._client.has_blob(self._ref, descriptor.digest)

    def fetch(self, descriptor: Descriptor, on_bytes: OnBytes) -> None:
        self._content.fetch(descriptor, on_bytes)

    def close(self) -> None:
        self._client.close()


class RegistrySource:
    """`type=registry,ref=REF[,registry.insecure=true]`: a cache, or an image with a cache inside."""

    absence: str | None = None

    def __init__(self, spec: CacheSpec) -> None:
        self._place = _Place(spec, "importer")

    @property
    def name(self) -> str:
        return self._place.text

    def load(self, context: EngineContext, vertex: VertexReporter, cancel: Cancellation) -> ImportedCache:
        client = self._place.client(context, cancel)
        try:
            return self._load(client, context, vertex)
        except BaseException:
            client.close()
            raise

    def _load(self, client: RegistryClient, context: EngineContext, vertex: VertexReporter) -> ImportedCache:
        ref = self._place.ref
        try:
            root = client.resolve(ref)
        except BakehouseError as error:
            error.message = f"failed to configure registry cache importer: {error.message}"
            raise
        content = RegistryContent(context.store, client, ref.with_digest(root.digest))
        chains = read_cache(root, content.document, lambda text: vertex.status(text).finish())
        return ImportedCache(chains, RepositoryBlobs(client, content, ref, told=not self._place.insecure))


class RegistryTarget:
    """`type=registry,ref=REF[,registry.insecure=true]` and the options of every export and of manifests."""

    title = "exporting cache to registry"

    def __init__(self, spec: CacheSpec) -> None:
        self._place = _Place(spec, "exporter")
        self._form = manifest_form(spec)
        self.options: ExportOptions = export_options(spec)
        self.id = spec.id

    def write(
        self, gathered: Gathered, context: EngineContext, vertex: VertexReporter, cancel: Cancellation
    ) -> dict[str, str]:
        documents = cache_documents(gathered, self._form, vertex)
        if documents is None:
            return {}
        with self._place.client(context, cancel) as client:
            _Push(client, self._place.ref, gathered, context, vertex, cancel).run(documents)
        return response(documents)


class _Push:
    """One cache on its way to a repository: layers side by side, then the config, then the manifest under its tag."""

    def __init__(
        self,
        client: RegistryClient,
        ref: Reference,
        gathered: Gathered,
        context: EngineContext,
        vertex: VertexReporter,
        cancel: Cancellation,
    ) -> None:
        self._client = client
        self._ref = ref
        self._gathered = gathered
        self._context = context
        self._vertex = vertex
        self._cancel = cancel

    def run(self, documents: CacheDocuments) -> None:
        tasks = (functools.partial(self._push_layer, layer) for layer in documents.layers)
        side_by_side(tasks, _PARALLEL_BLOBS, "cache")
        for descriptor, raw, what in documents.small:
            with self._vertex.status(f"writing {what} {descriptor.digest}"):
                self._cancel.check()
                self._push_document(descriptor, raw, last=descriptor is documents.root)

    def _push_layer(self, layer: Descriptor) -> None:
        self._cancel.check()
        with self._vertex.status(f"writing layer {layer.digest}"), _saying("error writing layer blob"):
            self._client.push_blob(
                self._ref, layer, lambda: self._open(layer), self._mount_sources(layer), self._count
            )
        self._context.store.kv.put(SOURCES_SPACE, str(layer.digest), self._ref.name.encode())

    def _open(self, layer: Descriptor) -> IO[bytes]:
        ensure_blob(self._context, self._gathered, layer)
        return self._context.store.blobs.open(layer.digest)

    def _count(self, count: int) -> None:
        self._cancel.check()

    def _mount_sources(self, layer: Descriptor) -> list[Reference]:
        found = self._context.store.kv.get(SOURCES_SPACE, str(layer.digest))
        return [Reference.parse_exact(found.decode())] if found else []

    def _push_document(self, descriptor: Descriptor, raw: bytes, *, last: bool) -> None:
        if last:
            with _saying("error writing manifest blob"):
                self._client.push_manifest(self._ref, raw, descriptor.media_type)
        else:
            with _saying("error writing config blob"):
                self._client.push_blob(self._ref, descriptor, lambda: BytesIO(raw), (), self._count)


@contextmanager
def _saying(what: str) -> Iterator[None]:
    """Puts what was being done in front of an error's message."""
    try:
        yield
    except BakehouseError as error:
        if error.category != "cancelled":
            error.message = f"{what}: {error.message}"
            error.args = (error.message,)
        raise
