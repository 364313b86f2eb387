"""A gathered cache as documents, for the backends that keep a manifest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bakehouse.engine.caches.chains import config_of
from bakehouse.engine.caches.config import CONFIG_TYPE, MAX_DOCUMENT_BYTES, encode_config
from bakehouse.engine.caches.manifest import ManifestForm
from bakehouse.go.jsontext import compact_json
from bakehouse.oci.image import Descriptor
from bakehouse.progress.events import STDERR
from bakehouse.snapshots import LayerChain
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from bakehouse.engine.caches.gathering import Gathered
    from bakehouse.engine.tree import EngineContext
    from bakehouse.progress.events import VertexReporter
    from bakehouse.solver.model import Cancellation

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class CacheDocuments:
    """What a cache consists of: distinct layer blobs, then small documents (descriptor, bytes, what it is called), the
    root last."""

    layers: tuple[Descriptor, ...]
    small: tuple[tuple[Descriptor, bytes, str], ...]

    @property
    def root(self) -> Descriptor:
        return self.small[-1][0]


def cache_documents(gathered: Gathered, form: ManifestForm, vertex: VertexReporter) -> CacheDocuments | None:
    """The documents of `gathered`; None when it has no layer, and so is of no use. Says so on `vertex`, and tells of
    documents that are too large to be read again."""
    config = config_of(gathered.chains)
    if not config.layers:
        vertex.status("skipping cache export for empty result").finish()
        return None
    raw = encode_config(config)
    described = Descriptor.of(CONFIG_TYPE, raw)
    # As BuildKit does, a blob is listed as often as the config does.
    listed = [gathered.layers[layer.blob] for layer in config.layers]
    root, manifest = form.encode(described, listed)
    what = "cache image manifest" if form.image else "cache manifest"
    layers = tuple({layer.digest: layer for layer in listed}.values())
    documents = CacheDocuments(layers, ((described, raw, "config"), (root, manifest, what)))
    for descriptor, _, name in documents.small:
        if descriptor.size > MAX_DOCUMENT_BYTES:
            text = f"warning: the {name} has {descriptor.size} bytes; more than {MAX_DOCUMENT_BYTES} are not read"
            vertex.log(STDERR, f"{text}, so this cache cannot be imported\n".encode())
    return documents


def response(documents: CacheDocuments) -> dict[str, str]:
    """What the build's response says of the cache."""
    return {"cache.manifest": compact_json(documents.root.as_json())}


def ensure_blob(context: EngineContext, gathered: Gathered, layer: Descriptor) -> None:
    """Brings a layer blob into the store when it is still elsewhere."""
    if not context.store.blobs.has(layer.digest):
        context.layers.fetch(LayerChain((gathered.layer_ids[layer.digest],)))


def blob_chunks(
    context: EngineContext, gathered: Gathered, layer: Descriptor, cancel: Cancellation
) -> Iterator[bytes]:
    """A layer blob in pieces, fetched when it is not here and verified while it is read."""
    ensure_blob(context, gathered, layer)
    with context.store.blobs.open(layer.digest) as stream:
        while chunk := stream.read(_CHUNK):
            cancel.check()
            yield chunk
