"""The `image` exporter: the local image store, and with `push=true` a registry. `registry` is `image,push=true`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakehouse.engine.exporters.assemble import AssembledImage, assemble
from bakehouse.engine.exporters.model import ExportResult, ExportSpec, start_vertex
from bakehouse.engine.exporters.options import parse_image_options
from bakehouse.engine.exporters.push import ensure_layer_blob, push_image, push_reference
from bakehouse.engine.exporters.response import image_response
from bakehouse.errors import DefinitionError
from bakehouse.oci.platform import Platform, best_match
from bakehouse.oci.reference import Reference

if TYPE_CHECKING:
    from bakehouse.engine.tree import EngineContext
    from bakehouse.progress.events import VertexReporter
    from bakehouse.solver.model import Cancellation


class ImageExporter:
    """Names an image in the local image store, pushes it, or both.

    Attributes: those of engine.md §17.1. `store` is on by default, except for type `registry`, which only pushes.
    """

    name = "exporting to image"
    reads_files = False

    def __init__(self, spec: ExportSpec) -> None:
        self._spec = spec
        self._options, attributes = parse_image_options(spec.attrs, inline_attestations=True)
        registry = spec.type == "registry"
        self._push = attributes.flag("push", registry, empty=True)
        self._by_digest = attributes.flag("push-by-digest", False, empty=True)
        self._insecure = attributes.flag("registry.insecure", False, empty=True)
        self._store = attributes.flag("store", not registry, empty=True)
        self._unpack = attributes.flag("unpack", False, empty=True)
        self._canonical = attributes.flag("name-canonical", False, empty=True)
        self._dangling_prefix = attributes.text("dangling-name-prefix")
        self._dangling_empty_only = attributes.flag("danging-name-empty-only", False, empty=True)
        if self._unpack and self._options.rewrite_timestamp:
            raise DefinitionError(
                'exporter option "rewrite-timestamp" conflicts with "unpack"', code="invalid-exporter-option"
            )
        # An image without a name is not kept, and one that is only pushed may be mounted where it goes.
        self.takes_blobs = self._store and bool(self._options.names or self._dangling_prefix)
        for name in self._options.names:
            push_reference(name, by_digest=self._push and self._by_digest)
        if self._push and not self._options.names and not self._dangling_prefix:
            raise DefinitionError(
                "pushing needs a name: give a tag, or name=REPOSITORY in the output",
                code="invalid-exporter-option",
            )

    def export(self, result: ExportResult, context: EngineContext, cancel: Cancellation) -> dict[str, str]:
        vertex = start_vertex(context.reporter, self._spec, self.name)
        try:
            response = self._export(result, context, vertex, cancel)
        except BaseException as error:
            vertex.fail(str(error))
            raise
        vertex.done()
        return response

    def _export(
        self, result: ExportResult, context: EngineContext, vertex: VertexReporter, cancel: Cancellation
    ) -> dict[str, str]:
        image = assemble(result, self._options, context, vertex, cancel)
        names, canonical = self._names(image)
        if self._store:
            self._keep(image, names, canonical, context, vertex)
            if self._unpack and names:
                self._unpack_image(result, names, context, vertex)
        if self._push:
            for name in names:
                ref = push_reference(name, by_digest=self._by_digest)
                push_image(
                    image, ref, context, self._spec.registries, vertex, cancel, insecure=self._insecure
                )
        return image_response(image, image.root, names)

    def _names(self, image: AssembledImage) -> tuple[list[str], bool]:
        """The full names to give, and whether each also gets its `NAME@DIGEST` form."""
        names = [str(push_reference(name, by_digest=self._by_digest)) for name in self._options.names]
        canonical = self._canonical
        if self._dangling_prefix and not (self._dangling_empty_only and names):
            canonical = canonical and bool(names)
            names.append(f"{self._dangling_prefix}@{image.root.digest}")
        return names, canonical

    def _keep(
        self,
        image: AssembledImage,
        names: list[str],
        canonical: bool,
        context: EngineContext,
        vertex: VertexReporter,
    ) -> None:
        """Stores documents, fetches blobs that are still remote, then names the image: a name is never incomplete."""
        for _, raw in image.documents:
            context.store.blobs.put(raw)
        if not names:
            return
        for layer in image.layers:
            ensure_layer_blob(context, image, layer)
        for name in names:
            with vertex.status(f"naming to {name}"):
                context.store.images.tag(name, image.root)
                if canonical and "@" not in name:
                    ref = Reference.parse(name).with_digest(image.root.digest)
                    context.store.images.tag(str(ref), image.root)

    def _unpack_image(
        self, result: ExportResult, names: list[str], context: EngineContext, vertex: VertexReporter
    ) -> None:
        """Makes the files of this machine's platform ready; a result without that platform is left packed."""
        found = best_match(Platform.local(), [item.platform for item in result.platforms])
        if found is None or not result.platforms[found].chain.layers:
            return
        for name in names:
            with vertex.status(f"unpacking to {name}"), context.layers.view(result.platforms[found].chain):
                pass
