"""Pushes an assembled image: blobs side by side, then manifests, children before the root (engine.md §17.4)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import BytesIO
from typing import IO, TYPE_CHECKING

from bakehouse.engine.exporters.assemble import AssembledImage
from bakehouse.engine.side_by_side import side_by_side
from bakehouse.engine.sources.image import SOURCES_SPACE
from bakehouse.errors import BakehouseError, DefinitionError
from bakehouse.oci.image import Descriptor
from bakehouse.oci.media_types import FOREIGN_LAYERS
from bakehouse.oci.reference import Reference
from bakehouse.registry import RegistryClient, RegistryConfig
from bakehouse.snapshots import LayerChain
from bakehouse.values import replace

if TYPE_CHECKING:
    from bakehouse.engine.tree import EngineContext
    from bakehouse.progress.events import StatusReporter, VertexReporter
    from bakehouse.solver.model import Cancellation

_PARALLEL_BLOBS = 4


def push_reference(name: str, *, by_digest: bool) -> Reference:
    """Where a push of `name` goes. Raises `DefinitionError` for a malformed name, or a tag in a push by digest."""
    ref = Reference.parse_exact(name)
    if by_digest:
        if ref.tag or ref.digest:
            raise DefinitionError(f"can't push tagged ref {ref} by digest", code="invalid-exporter-option")
        return ref
    return Reference.parse(name)


def with_insecure(config: RegistryConfig, registry: str) -> RegistryConfig:
    """`config` in which `registry` may use plain http or any certificate."""
    host = replace(config.host(registry), insecure=True, plain_http=None)
    return replace(config, hosts={**config.hosts, registry: host})


class ImagePush:
    """One push of one image to one name. `client` belongs to the caller."""

    def __init__(
        self,
        image: AssembledImage,
        ref: Reference,
        context: EngineContext,
        client: RegistryClient,
        vertex: VertexReporter,
        cancel: Cancellation,
    ) -> None:
        self._image = image
        self._ref = ref
        self._context = context
        self._client = client
        self._vertex = vertex
        self._cancel = cancel
        self._lock = threading.Lock()

    def run(self) -> None:
        """Pushes. Idempotent. Raises what `RegistryClient` raises, prefixed `failed to push NAME`."""
        try:
            self._push_blobs()
            self._push_manifests()
        except BakehouseError as error:
            if error.category != "cancelled":
                error.message = f"failed to push {self._ref}: {error.message}"
                error.args = (error.message,)
            raise

    def _push_blobs(self) -> None:
        layers = [layer for layer in self._image.layers if layer.media_type not in FOREIGN_LAYERS]
        configs = list(self._image.configs())
        total = sum(layer.size for layer in layers) + sum(config.size for config, _ in configs)
        with self._vertex.status("pushing layers", total) as status:
            tasks: list[Callable[[], None]] = [
                lambda layer=layer: self._push_layer(layer, status)  # type: ignore[misc]
                for layer in layers
            ]
            tasks += [
                lambda config=config, raw=raw: self._push_config(config, raw, status)  # type: ignore[misc]
                for config, raw in configs
            ]
            side_by_side(tasks, _PARALLEL_BLOBS, "push")

    def _push_layer(self, layer: Descriptor, status: StatusReporter) -> None:
        self._cancel.check()
        how = self._client.push_blob(
            self._ref, layer, lambda: self._open(layer), self._mount_sources(layer), self._counter(status)
        )
        if how != "uploaded":
            self._counter(status)(layer.size)
        source = self._ref.name.encode()
        self._context.store.kv.put(SOURCES_SPACE, str(layer.digest), source)

    def _push_config(self, config: Descriptor, raw: bytes, status: StatusReporter) -> None:
        self._cancel.check()
        self._client.push_blob(self._ref, config, lambda: BytesIO(raw), (), self._counter(status))

    def _counter(self, status: StatusReporter) -> Callable[[int], None]:
        def count(size: int) -> None:
            self._cancel.check()
            with self._lock:
                status.advance(size)

        return count

    def _open(self, layer: Descriptor) -> IO[bytes]:
        """The blob of a layer, fetched first when it is still remote."""
        ensure_layer_blob(self._context, self._image, layer)
        return self._context.store.blobs.open(layer.digest)

    def _mount_sources(self, layer: Descriptor) -> list[Reference]:
        found = self._context.store.kv.get(SOURCES_SPACE, str(layer.digest))
        return [Reference.parse_exact(found.decode())] if found else []

    def _push_manifests(self) -> None:
        manifests = list(self._image.manifests())
        root = self._image.root
        name = f"pushing manifest for {self._ref.with_digest(root.digest)}"
        with self._vertex.status(name):
            for descriptor, raw in manifests:
                self._cancel.check()
                target = self._ref
                if descriptor.digest != root.digest:
                    target = Reference(self._ref.registry, self._ref.repository)
                self._client.push_manifest(target, raw, descriptor.media_type)


def ensure_layer_blob(context: EngineContext, image: AssembledImage, layer: Descriptor) -> None:
    """Brings a layer blob into the store when it is still in a registry or layout."""
    if not context.store.blobs.has(layer.digest):
        context.layers.fetch(LayerChain((image.layer_ids[layer.digest],)))


def push_image(
    image: AssembledImage,
    ref: Reference,
    context: EngineContext,
    registries: RegistryConfig,
    vertex: VertexReporter,
    cancel: Cancellation,
    *,
    insecure: bool = False,
) -> None:
    """Pushes `image` to `ref` with the session's credentials."""
    config = with_insecure(registries, ref.registry) if insecure else registries

    def wait(seconds: float) -> None:
        cancel.wait(seconds)
        cancel.check()

    with RegistryClient(context.session.credentials, config, wait=wait) as client:
        ImagePush(image, ref, context, client, vertex, cancel).run()


__all__ = ["ImagePush", "ensure_layer_blob", "push_image", "push_reference", "with_insecure"]
