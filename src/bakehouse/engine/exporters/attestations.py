"""Attestations beside an image: one manifest more in its index, with a layer a statement (engine.md §18.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bakehouse.go.jsontext import compact_json
from bakehouse.oci.image import (
    ATTESTATION_DIGEST_ANNOTATION,
    ATTESTATION_TYPE_ANNOTATION,
    Descriptor,
    Manifest,
)
from bakehouse.oci.media_types import IN_TOTO, OCI_CONFIG, OCI_EMPTY
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass, replace

if TYPE_CHECKING:
    from bakehouse.engine.attest.model import Attestation, AttestationBundle
    from bakehouse.engine.attest.statements import Subject
    from bakehouse.engine.exporters.model import ExportPlatform
    from bakehouse.engine.exporters.options import ImageOptions
    from bakehouse.engine.tree import EngineContext
    from bakehouse.snapshots import LayerBlob

ARTIFACT_TYPE = "application/vnd.docker.attestation.manifest.v1+json"
REFERENCE_TYPE = "attestation-manifest"
PREDICATE_TYPE_ANNOTATION = "in-toto.io/predicate-type"
_NOWHERE = Platform("unknown", "unknown")
_EMPTY = b"{}"

Document = tuple[Descriptor, bytes]


@dataclass(frozen=True, slots=True)
class AttestedImage:
    """The image that attestations are about: its manifest, its platform, under what options it is exported, and its
    layers' blobs."""

    manifest: Descriptor
    platform: Platform
    options: ImageOptions
    blobs: Sequence[LayerBlob]


def carried(
    attestations: Sequence[Attestation | AttestationBundle], options: ImageOptions
) -> Sequence[Attestation | AttestationBundle]:
    """Those for whose sake a single image becomes an index."""
    if options.inline_attestations:
        return attestations
    return [each for each in attestations if not getattr(each, "inline_only", False)]


def attestation_documents(
    item: ExportPlatform, image: AttestedImage, context: EngineContext
) -> list[Document]:
    """The statements, the config and the manifest, in the order in which they must be pushed. The manifest's descriptor
    is the one for the index. Raises what the statements' sources raise."""
    from bakehouse.engine.attest.statements import single_attestations, statement

    subjects = _subjects(image)
    layers: list[Document] = []
    for attestation in single_attestations(item.attestations, context, image.blobs, item.chain):
        raw = compact_json(statement(attestation, subjects, layers_exported=True)).encode()
        note = {PREDICATE_TYPE_ANNOTATION: attestation.predicate_type}
        layers.append((replace(Descriptor.of(IN_TOTO, raw), annotations=note), raw))
    config = _artifact_config() if image.options.oci_artifact else _image_config(layers)
    manifest = Manifest.build(
        config[0],
        [descriptor for descriptor, _ in layers],
        artifact_type=ARTIFACT_TYPE if image.options.oci_artifact else "",
        subject=image.manifest if image.options.oci_artifact else None,
    )
    marks = {
        ATTESTATION_DIGEST_ANNOTATION: str(image.manifest.digest),
        ATTESTATION_TYPE_ANNOTATION: REFERENCE_TYPE,
    }
    descriptor = manifest.descriptor(annotations=marks, platform=_NOWHERE)
    return [*layers, config, (descriptor, manifest.raw)]


def _subjects(image: AttestedImage) -> list[Subject]:
    from bakehouse.oci.purl import image_purl

    digest = image.manifest.digest
    algorithm, _, encoded = str(digest).partition(":")
    return [(image_purl(name, image.platform), {algorithm: encoded}) for name in image.options.names]


def _artifact_config() -> Document:
    return replace(Descriptor.of(OCI_EMPTY, _EMPTY), data=_EMPTY), _EMPTY


def _image_config(layers: Sequence[Document]) -> Document:
    """A config for tools that know manifests of images only: its layers are the statements."""
    value = {
        **_NOWHERE.as_json(),
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [str(descriptor.digest) for descriptor, _ in layers]},
    }
    raw = compact_json(value).encode()
    return Descriptor.of(OCI_CONFIG, raw), raw
