"""Caches in a directory of this machine: an OCI layout whose `index.json` names cache manifests by tag."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.engine.caches.attributes import (
    digest,
    directory,
    export_options,
    flag,
    manifest_form,
    required,
)
from bakehouse.engine.caches.hashed import hashed_name
from bakehouse.engine.caches.manifest import read_cache
from bakehouse.engine.caches.model import CacheSpec, ExportOptions, ImportedCache, OnBytes
from bakehouse.engine.caches.writing import CacheDocuments, blob_chunks, cache_documents, response
from bakehouse.engine.exporters.output import translated
from bakehouse.engine.sources.image_content import LayoutContent
from bakehouse.errors import BakehouseError, NotFoundError
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import MAX_MANIFEST_BYTES, Descriptor, Index, Manifest, detect_media_type
from bakehouse.oci.media_types import INDEXES, MANIFESTS
from bakehouse.registry.layout import REF_NAME_ANNOTATION, OciLayout, blob_name

if TYPE_CHECKING:
    from bakehouse.engine.caches.gathering import Gathered
    from bakehouse.engine.tree import EngineContext
    from bakehouse.oci.reference import Reference
    from bakehouse.progress.events import VertexReporter
    from bakehouse.solver.model import Cancellation
    from bakehouse.store import Store

_DEFAULT_TAG = "latest"


class LayoutBlobs:
    """Blobs of a layout directory. They belong to whoever runs the build, so no later build is told of them."""

    origin: Reference | None = None

    def __init__(self, store: Store, layout: OciLayout) -> None:
        self._layout = layout
        self._content = LayoutContent(store, layout)

    def has(self, descriptor: Descriptor) -> bool:
        return self._layout.has(descriptor.digest) and self._layout.size(descriptor.digest) == descriptor.size

    def fetch(self, descriptor: Descriptor, on_bytes: OnBytes) -> None:
        self._content.fetch(descriptor, on_bytes)

    def close(self) -> None:
        pass


class LocalSource:
    """`type=local,src=DIR[,digest=DIGEST][,tag=TAG]`. A directory without such a cache is passed over."""

    def __init__(self, spec: CacheSpec) -> None:
        self._src = required(spec, "src", "importer")
        self._layout = OciLayout(directory(spec, self._src))
        self._tag = spec.attrs.get("tag", _DEFAULT_TAG)
        self._root = digest(spec)
        self._absence: str | None = None
        found = self._found()
        attrs = dict(spec.attrs) | ({"digest": str(found)} if found else {})
        self._name = hashed_name("local", attrs)

    def _found(self) -> Digest | None:
        """The digest of the manifest to read; when there is none, why."""
        where = f"local cache import at {self._src} skipped"
        try:
            if self._root is None:
                tagged = [
                    entry
                    for entry in self._layout.index().manifests
                    if entry.annotations.get(REF_NAME_ANNOTATION) == self._tag
                ]
                if not tagged:
                    self._absence = f"{where}: no digest found for tag {self._tag}"
                    return None
                self._root = tagged[0].digest
            if not self._layout.has(self._root):
                self._absence = f"{where}: digest {self._root} unavailable"
        except NotFoundError:
            index = f"{self._src}/index.json"
            self._absence = (
                f"{where} due to err: could not read {index}: open {index}: no such file or directory"
            )
            return None
        except (BakehouseError, OSError) as error:
            self._absence = f"{where} due to err: {error}"
            return None
        return self._root

    @property
    def name(self) -> str:
        return self._name

    @property
    def absence(self) -> str | None:
        return self._absence

    def load(self, context: EngineContext, vertex: VertexReporter, cancel: Cancellation) -> ImportedCache:
        assert self._root is not None
        root = Descriptor("", self._root, self._layout.size(self._root))
        chains = read_cache(root, self._layout.read, lambda text: vertex.status(text).finish())
        return ImportedCache(chains, LayoutBlobs(context.store, self._layout))


class LocalTarget:
    """`type=local,dest=DIR[,tag=TAG][,reset=true]` and the options of every export and of manifests."""

    title = "exporting cache to client directory"

    def __init__(self, spec: CacheSpec) -> None:
        self._dest = directory(spec, required(spec, "dest", "exporter"))
        self._tag = spec.attrs.get("tag", _DEFAULT_TAG)
        self._form = manifest_form(spec)
        self._reset = flag(spec, "reset", False)
        self.options: ExportOptions = export_options(spec)
        self.id = spec.id

    def write(
        self, gathered: Gathered, context: EngineContext, vertex: VertexReporter, cancel: Cancellation
    ) -> dict[str, str]:
        documents = cache_documents(gathered, self._form, vertex)
        if documents is None:
            return {}
        layout = OciLayout(self._dest)
        with translated(self._dest):
            self._dest.mkdir(parents=True, exist_ok=True)
            for layer in documents.layers:
                with vertex.status(f"writing layer {layer.digest}"):
                    layout.put(layer, blob_chunks(context, gathered, layer, cancel))
            self._put_documents(layout, documents, vertex)
            layout.add(documents.root, tags=(self._tag,))
            if self._reset:
                _delete_unnamed(layout)
        return response(documents)

    def _put_documents(self, layout: OciLayout, documents: CacheDocuments, vertex: VertexReporter) -> None:
        for descriptor, raw, what in documents.small:
            with vertex.status(f"writing {what} {descriptor.digest}"):
                layout.put(descriptor, [raw])


def _delete_unnamed(layout: OciLayout) -> None:
    """Deletes every blob that nothing named in `index.json` leads to. Nothing goes when a manifest cannot be read."""
    kept = {blob_name(digest) for digest in _reachable(layout)}
    for path in sorted((layout.path / "blobs").glob("*/*")):
        if path.relative_to(layout.path).as_posix() not in kept and _is_blob(path):
            with suppress(FileNotFoundError):
                path.unlink()


def _is_blob(path: Path) -> bool:
    """Whether a file is a blob by its name; what others left there is theirs."""
    try:
        Digest(f"{path.parent.name}:{path.name}")
    except BakehouseError:
        return False
    return path.is_file() and not path.is_symlink()


def _reachable(layout: OciLayout) -> Iterator[Digest]:
    pending = list(layout.index().manifests)
    seen: set[Digest] = set()
    while pending:
        descriptor = pending.pop()
        if descriptor.digest in seen:
            continue
        seen.add(descriptor.digest)
        yield descriptor.digest
        if descriptor.media_type in MANIFESTS | INDEXES:
            pending += _children(layout, descriptor)


def _children(layout: OciLayout, descriptor: Descriptor) -> list[Descriptor]:
    try:
        raw = layout.read(descriptor, MAX_MANIFEST_BYTES)
    except NotFoundError:
        return []
    if detect_media_type(raw) in INDEXES:
        return list(Index.parse(raw).manifests)
    manifest = Manifest.parse(raw)
    return [manifest.config, *manifest.layers]
