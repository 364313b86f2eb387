"""Image assembly shared by the image, oci and docker exporters: layer blobs, config, manifest, index.

Byte forms and digests are BuildKit's (engine.md §17.2). Documents are made in memory; storing, pushing or writing
them is the exporter's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bakehouse.engine.exporters.annotations import parse_annotations
from bakehouse.engine.exporters.attestations import AttestedImage, attestation_documents, carried
from bakehouse.engine.exporters.imageconfig import LayerFacts, build_config
from bakehouse.engine.exporters.model import ExportPlatform, ExportResult
from bakehouse.engine.exporters.options import ImageOptions
from bakehouse.errors import DefinitionError
from bakehouse.go.timestamps import format_time_ns
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import (
    MAX_CONFIG_BYTES,
    MAX_MANIFEST_BYTES,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    load_object,
)
from bakehouse.oci.media_types import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    distributable,
    layer_as,
    nondistributable,
)
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass, field, replace

if TYPE_CHECKING:
    from bakehouse.engine.tree import EngineContext
    from bakehouse.progress.events import VertexReporter
    from bakehouse.snapshots import LayerBlob
    from bakehouse.solver.model import Cancellation

_INTERNAL_ANNOTATIONS = frozenset({"containerd.io/uncompressed", "buildkit/createdat"})
_SOURCE_ANNOTATION = "containerd.io/distribution.source."
REWRITTEN_ANNOTATION = "buildkit/rewritten-timestamp"
_PARALLEL_PLATFORMS = 4


@dataclass(frozen=True, slots=True)
class AssembledImage:
    """A complete image. `root` describes its manifest or index; `documents` are manifests, configs and the index in
    the order in which they must be pushed; `layers` the distinct layer blobs, lowest first; `layer_ids` names the
    layer of the layer store behind each blob."""

    root: Descriptor
    config: Descriptor | None
    documents: tuple[tuple[Descriptor, bytes], ...] = field(repr=False)
    layers: tuple[Descriptor, ...]
    layer_ids: Mapping[Digest, str] = field(default_factory=dict, repr=False)

    def document(self, digest: Digest) -> bytes:
        """The bytes of one of its documents."""
        return next(raw for descriptor, raw in self.documents if descriptor.digest == digest)

    def manifests(self) -> Iterator[tuple[Descriptor, bytes]]:
        """Manifests, then the index if there is one."""
        for descriptor, raw in self.documents:
            if descriptor.is_manifest or descriptor.is_index:
                yield descriptor, raw

    def configs(self) -> Iterator[tuple[Descriptor, bytes]]:
        for descriptor, raw in self.documents:
            if not (descriptor.is_manifest or descriptor.is_index):
                yield descriptor, raw


def assemble(
    result: ExportResult,
    options: ImageOptions,
    context: EngineContext,
    vertex: VertexReporter,
    cancel: Cancellation,
) -> AssembledImage:
    """Makes the image of `result`. Layer blobs are in the layer store afterwards (or still remote, when their
    compression needs no change); documents are not stored. Raises `DefinitionError` for conflicting options."""
    from_frontend, _ = parse_annotations(result.annotations)
    options = replace(options, annotations=options.annotations.merged(from_frontend))
    if not result.multi_platform and len(result.platforms) > 1:
        raise DefinitionError(
            "cannot export multiple platforms without multi-platform enabled", code="invalid-result"
        )
    platforms = [item.platform.normalized() for item in result.platforms]
    is_index = result.multi_platform or bool(carried(result.platforms[0].attestations, options))
    options.annotations.check(
        platforms, is_map=result.multi_platform, is_index=is_index, oci_types=options.oci_types
    )
    if is_index and not options.oci_types and any(item.attestations for item in result.platforms):
        raise DefinitionError(
            'cannot export attestations with "oci-mediatypes=false"',
            code="invalid-exporter-option",
            hint="Leave oci-mediatypes out, or the attestation: --provenance=false.",
        )
    with vertex.status("exporting layers"):
        blobs = _export_layers(result.platforms, options, context)
    cancel.check()
    caches = _inline_caches(result.platforms, blobs, options, vertex)
    if options.rewrite_timestamp:
        blobs = _rewrite_layers(result.platforms, blobs, options, context, vertex)
    if is_index:
        image = _indexed(result.platforms, blobs, caches, options, context, vertex)
    else:
        image = _single(result.platforms[0], blobs[0], caches[0], options, context, vertex)
    return replace(image, layer_ids=_layer_ids(result.platforms, blobs))


def _layer_ids(
    platforms: Sequence[ExportPlatform], blobs: Sequence[Sequence[LayerBlob]]
) -> dict[Digest, str]:
    return {
        blob.descriptor.digest: layer_id
        for item, layers in zip(platforms, blobs, strict=True)
        for layer_id, blob in zip(item.chain.layers, layers, strict=True)
    }


def _export_layers(
    platforms: Sequence[ExportPlatform], options: ImageOptions, context: EngineContext
) -> list[list[LayerBlob]]:
    """The layer blobs of every platform, platforms side by side."""

    def blobs(item: ExportPlatform) -> list[LayerBlob]:
        return list(context.layers.blobs(item.chain, options.compression))

    if len(platforms) == 1:
        return [blobs(platforms[0])]
    with ThreadPoolExecutor(_PARALLEL_PLATFORMS, thread_name_prefix="export") as pool:
        return list(pool.map(blobs, platforms))


def _inline_caches(
    platforms: Sequence[ExportPlatform],
    blobs: Sequence[Sequence[LayerBlob]],
    options: ImageOptions,
    vertex: VertexReporter,
) -> list[bytes | None]:
    """The cache that each platform's image carries, where one was asked for."""
    if all(item.inline_cache is None for item in platforms):
        return [None] * len(platforms)
    with vertex.status("preparing layers for inline cache"):
        return [
            item.inline_cache([blob.descriptor.digest for blob in layers], options.compression)
            if item.inline_cache is not None
            else None
            for item, layers in zip(platforms, blobs, strict=True)
        ]


def _rewrite_layers(
    platforms: Sequence[ExportPlatform],
    blobs: list[list[LayerBlob]],
    options: ImageOptions,
    context: EngineContext,
    vertex: VertexReporter,
) -> list[list[LayerBlob]]:
    """Lowers file times to the epoch in every layer that the build added to its base image."""
    out: list[list[LayerBlob]] = []
    for item, layers in zip(platforms, blobs, strict=True):
        epoch_s = options.epoch_for(item.epoch_s)
        if epoch_s is None:
            out.append(layers)
            continue
        kept = _base_diff_ids(item)
        name = f"rewriting layers with source-date-epoch {epoch_s} ({format_time_ns(epoch_s * 10**9)})"
        with vertex.status(name):
            rewritten: list[LayerBlob] = []
            for index, layer in enumerate(layers):
                if index < len(kept) and layer.diff_id == kept[index]:
                    rewritten.append(layer)
                    continue
                kept = kept[:index]
                blob = context.layers.blob(item.chain, index, options.compression, rewrite_timestamp=epoch_s)
                note = {REWRITTEN_ANNOTATION: str(epoch_s)}
                rewritten.append(replace(blob, descriptor=replace(blob.descriptor, annotations=note)))
            out.append(rewritten)
    return out


def _base_diff_ids(item: ExportPlatform) -> tuple[Digest, ...]:
    return ImageConfig.parse(item.base_config).diff_ids if item.base_config else ()


def _image_of(
    item: ExportPlatform,
    blobs: Sequence[LayerBlob],
    inline_cache: bytes | None,
    options: ImageOptions,
    context: EngineContext,
    vertex: VertexReporter,
    platform: Platform | None,
) -> tuple[Manifest, Descriptor, bytes]:
    """Manifest, config descriptor and config bytes of one platform."""
    annotations = options.annotations.for_platform(platform)
    layers = [_public(blob.descriptor, options) for blob in blobs]
    config_raw = build_config(
        item.config,
        item.platform,
        _facts(item, blobs, context),
        epoch_s=options.epoch_for(item.epoch_s),
        base_config=item.base_config,
        inline_cache=inline_cache,
    )
    config = Descriptor.of(OCI_CONFIG if options.oci_types else DOCKER_CONFIG, config_raw)
    manifest = Manifest.build(
        config,
        layers,
        media_type=OCI_MANIFEST if options.oci_types else DOCKER_MANIFEST,
        annotations=annotations.manifest,
    )
    vertex.status(f"exporting manifest {Digest.of(manifest.raw)}").finish()
    vertex.status(f"exporting config {config.digest}").finish()
    return manifest, config, config_raw


def _public(layer: Descriptor, options: ImageOptions) -> Descriptor:
    """The descriptor of a layer as it stands in a manifest."""
    annotations: Mapping[str, str] = {}
    if options.oci_types:
        annotations = {
            key: value
            for key, value in layer.annotations.items()
            if key not in _INTERNAL_ANNOTATIONS and not key.startswith(_SOURCE_ANNOTATION)
        }
    # A layer is foreign when it can be had elsewhere, whatever it was called when it came.
    urls = layer.urls if options.prefer_nondist_layers else ()
    media_type = nondistributable(layer.media_type) if urls else distributable(layer.media_type)
    media_type = layer_as(media_type, oci=options.oci_types)
    return Descriptor(media_type, layer.digest, layer.size, annotations, urls=urls)


def _facts(item: ExportPlatform, blobs: Sequence[LayerBlob], context: EngineContext) -> list[LayerFacts]:
    facts = []
    for layer_id, blob in zip(item.chain.layers, blobs, strict=True):
        row = context.store.layers.get(layer_id)
        created_ns = round(row.created_s * 1e6) * 1000 if row is not None and row.created_s else None
        facts.append(LayerFacts(Digest(blob.diff_id), created_ns, row.description if row else ""))
    return facts


def _single(
    item: ExportPlatform,
    blobs: Sequence[LayerBlob],
    inline_cache: bytes | None,
    options: ImageOptions,
    context: EngineContext,
    vertex: VertexReporter,
) -> AssembledImage:
    manifest, config, config_raw = _image_of(item, blobs, inline_cache, options, context, vertex, None)
    platform = Platform.from_config(load_object(config_raw, "image config", MAX_CONFIG_BYTES)).normalized()
    descriptor_annotations = options.annotations.for_platform(None).manifest_descriptor
    root = manifest.descriptor(annotations=descriptor_annotations, platform=platform)
    documents = ((config, config_raw), (root, manifest.raw))
    return AssembledImage(root, config, documents, _distinct(manifest.layers))


def _indexed(
    platforms: Sequence[ExportPlatform],
    blobs: Sequence[Sequence[LayerBlob]],
    caches: Sequence[bytes | None],
    options: ImageOptions,
    context: EngineContext,
    vertex: VertexReporter,
) -> AssembledImage:
    documents: list[tuple[Descriptor, bytes]] = []
    members: list[Descriptor] = []
    attested: list[Descriptor] = []
    layers: list[Descriptor] = []
    for item, layer_blobs, cache in zip(platforms, blobs, caches, strict=True):
        platform = item.platform.normalized()
        manifest, config, config_raw = _image_of(item, layer_blobs, cache, options, context, vertex, platform)
        annotations = options.annotations.for_platform(platform).manifest_descriptor
        members.append(manifest.descriptor(annotations=annotations, platform=platform))
        documents += [(config, config_raw), (members[-1], manifest.raw)]
        layers.extend(manifest.layers)
        if item.attestations:
            about = AttestedImage(manifest.descriptor(), platform, options, layer_blobs)
            made = attestation_documents(item, about, context)
            vertex.status(f"exporting attestation manifest {made[-1][0].digest}").finish()
            attested.append(made[-1][0])
            documents += made
    members += attested
    whole = options.annotations.for_platform(None)
    index = Index.build(
        members,
        media_type=OCI_INDEX if options.oci_types else DOCKER_INDEX,
        annotations=whole.index,
    )
    if len(index.raw) > MAX_MANIFEST_BYTES:
        raise DefinitionError("the index has too many annotations or platforms", code="invalid-result")
    root = index.descriptor(annotations=whole.index_descriptor)
    vertex.status(f"exporting manifest list {root.digest}").finish()
    documents.append((root, index.raw))
    return AssembledImage(root, None, tuple(documents), _distinct(layers))


def _distinct(layers: Sequence[Descriptor]) -> tuple[Descriptor, ...]:
    return tuple({layer.digest: layer for layer in layers}.values())
