"""What the `oci` and `docker` exporters share: an image as one tar, or (`tar=false`) as a layout directory."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from bakehouse.engine.exporters.assemble import AssembledImage, assemble
from bakehouse.engine.exporters.model import ExportResult, ExportSpec, start_vertex
from bakehouse.engine.exporters.options import ImageOptions, parse_image_options
from bakehouse.engine.exporters.output import (
    check_directory_destination,
    check_file_destination,
    output_stream,
    translated,
)
from bakehouse.engine.exporters.push import ensure_layer_blob
from bakehouse.engine.exporters.response import image_response
from bakehouse.errors import DefinitionError
from bakehouse.go.jsontext import compact_json
from bakehouse.go.timestamps import format_time_ns
from bakehouse.oci.image import Descriptor, Index, Manifest
from bakehouse.oci.reference import Reference
from bakehouse.registry.archive import ArchiveWriter
from bakehouse.registry.layout import LAYOUT_FILE, OciLayout, blob_name, named
from bakehouse.values import replace

if TYPE_CHECKING:
    from bakehouse.engine.tree import EngineContext
    from bakehouse.progress.events import VertexReporter
    from bakehouse.solver.model import Cancellation

_CREATED_ANNOTATION = "org.opencontainers.image.created"
_CHUNK = 1 << 20


def normalized_names(names: tuple[str, ...]) -> list[str]:
    """The names as full references with a tag. Raises `DefinitionError` (code `invalid-reference`)."""
    out = []
    for name in names:
        try:
            out.append(str(Reference.parse(name)))
        except DefinitionError as error:
            raise DefinitionError(f"failed to parse {name}: {error.message}", code=error.code) from error
    return out


class ArchiveExporter:
    """Writes one image to a file, a stream or a layout directory. Subclasses say which dialect it is."""

    name = ""
    reads_files = False
    takes_blobs = True
    docker_manifest = False

    def __init__(self, spec: ExportSpec, *, now: Callable[[], datetime.datetime] | None = None) -> None:
        self._spec = spec
        self._now = now or (lambda: datetime.datetime.now(datetime.UTC))
        self._options, attributes = parse_image_options(spec.attrs)
        self._tar = attributes.flag("tar", True, empty=True)
        attributes.flag("prefer-image-digest", False, empty=True)
        self._names = normalized_names(self._options.names)
        if self._tar:
            check_file_destination(spec)
        else:
            check_directory_destination(spec)

    def check_result(self, result: ExportResult) -> None:
        """Raises `DefinitionError` for a result that this dialect cannot hold."""

    def export(self, result: ExportResult, context: EngineContext, cancel: Cancellation) -> dict[str, str]:
        self.check_result(result)
        vertex = start_vertex(context.reporter, self._spec, self.name)
        try:
            image = assemble(result, self._options, context, vertex, cancel)
            for layer in image.layers:
                ensure_layer_blob(context, image, layer)
            root = self._dated(image.root, result, self._options)
            self._write(image, root, context, vertex, cancel)
        except BaseException as error:
            vertex.fail(str(error))
            raise
        vertex.done()
        return image_response(image, root, self._names)

    def _dated(self, root: Descriptor, result: ExportResult, options: ImageOptions) -> Descriptor:
        """The root descriptor with the time of the export, or of the epoch that covers the whole result."""
        if _CREATED_ANNOTATION in root.annotations:
            return root
        epochs = {options.epoch_for(item.epoch_s) for item in result.platforms}
        epoch_s = epochs.pop() if len(epochs) == 1 else None
        seconds = int(self._now().timestamp()) if epoch_s is None else epoch_s
        created = format_time_ns(seconds * 1_000_000_000)
        return replace(root, annotations={**root.annotations, _CREATED_ANNOTATION: created})

    def _write(
        self,
        image: AssembledImage,
        root: Descriptor,
        context: EngineContext,
        vertex: VertexReporter,
        cancel: Cancellation,
    ) -> None:
        if self._tar:
            with vertex.status("sending tarball"), output_stream(self._spec) as out:
                self._write_tar(out, image, root, context, cancel)
            return
        dest = check_directory_destination(self._spec)
        layout = OciLayout(dest)
        with translated(dest), vertex.status("copying files"):
            for descriptor, raw in image.documents:
                layout.put(descriptor, [raw])
            for layer in image.layers:
                layout.put(layer, _blob_chunks(context, layer, cancel))
            layout.add(root, names=self._names, tags=() if self._names else ("latest",))

    def _write_tar(
        self,
        out: BinaryIO,
        image: AssembledImage,
        root: Descriptor,
        context: EngineContext,
        cancel: Cancellation,
    ) -> None:
        """Members sorted by name, as containerd's exporter writes them."""
        writer = ArchiveWriter(out)
        writer.directory("blobs/")
        blobs: dict[str, tuple[Descriptor, bytes | None]] = {
            blob_name(descriptor.digest): (descriptor, raw) for descriptor, raw in image.documents
        }
        for layer in image.layers:
            blobs.setdefault(blob_name(layer.digest), (layer, None))
        directory = ""
        for name in sorted(blobs):
            parent = name.rpartition("/")[0] + "/"
            if parent != directory:
                directory = parent
                writer.directory(directory)
            descriptor, raw = blobs[name]
            chunks = _blob_chunks(context, descriptor, cancel) if raw is None else iter((raw,))
            writer.file(name, descriptor.size, chunks)
        index = Index.build([named(root, name) for name in self._names] or [root], indented=False)
        writer.file("index.json", len(index.raw), [index.raw], mode=0o644)
        if self.docker_manifest and image.config is not None:
            raw = self._docker_manifest(image)
            writer.file("manifest.json", len(raw), [raw], mode=0o644)
        writer.file("oci-layout", len(LAYOUT_FILE), [LAYOUT_FILE])
        writer.close()

    def _docker_manifest(self, image: AssembledImage) -> bytes:
        """The `manifest.json` that `docker load` reads."""
        assert image.config is not None
        manifest = Manifest.parse(image.document(image.root.digest))
        tags = [Reference.parse(name).familiar() for name in self._names]
        layers = [blob_name(layer.digest) for layer in manifest.layers]
        entry = {
            "Config": blob_name(image.config.digest),
            "RepoTags": tags or None,
            "Layers": layers or None,
        }
        return compact_json([entry]).encode()


def _blob_chunks(context: EngineContext, layer: Descriptor, cancel: Cancellation) -> Iterator[bytes]:
    """A layer blob in pieces, verified while it is read."""
    with context.store.blobs.open(layer.digest) as stream:
        while chunk := stream.read(_CHUNK):
            cancel.check()
            yield chunk
