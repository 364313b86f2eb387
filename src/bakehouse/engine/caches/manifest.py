"""The manifests of caches in registries and directories (engine.md §19.2), read and made.

Two forms exist: an OCI image manifest whose config is the cache config and whose layers are the blobs, and the older
index that lists the blobs and then the config. An image is a cache too when its config carries records.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence

from bakehouse.engine.caches.chains import Chains, chains_of
from bakehouse.engine.caches.config import CONFIG_TYPE, MAX_DOCUMENT_BYTES, parse_config, parse_records
from bakehouse.engine.caches.gathering import CREATED_ANNOTATION, DIFF_ID_ANNOTATION
from bakehouse.engine.exporters.imageconfig import INLINE_CACHE_MEMBER
from bakehouse.errors import DefinitionError, IntegrityError
from bakehouse.go.jsontext import compact_json
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import (
    MAX_CONFIG_BYTES,
    MAX_MANIFEST_BYTES,
    Descriptor,
    Index,
    Manifest,
    detect_media_type,
    load_object,
)
from bakehouse.oci.media_types import DOCKER_INDEX, INDEXES, MANIFESTS, OCI_INDEX, OCI_MANIFEST, layer_as
from bakehouse.oci.timestamps import normal_time
from bakehouse.values import dataclass, replace

DESCRIPTION_ANNOTATION = "buildkit/description"
#: An image of more manifests than this is no image.
_MAX_MANIFESTS = 200

#: Reads a verified document of at most so many bytes.
ReadDocument = Callable[[Descriptor, int], bytes]


@dataclass(frozen=True, slots=True)
class ManifestForm:
    """`image` is the newer form; `oci` says which family of media types the older one has."""

    image: bool = True
    oci: bool = True

    @property
    def media_type(self) -> str:
        if self.image:
            return OCI_MANIFEST
        return OCI_INDEX if self.oci else DOCKER_INDEX

    def encode(self, config: Descriptor, layers: Sequence[Descriptor]) -> tuple[Descriptor, bytes]:
        """The manifest of a cache, and its descriptor."""
        blobs = [
            replace(layer, media_type=layer_as(layer.media_type, oci=self.oci)).as_json() for layer in layers
        ]
        value: dict[str, object] = {"schemaVersion": 2, "mediaType": self.media_type}
        if self.image:
            value |= {"config": config.as_json(), "layers": blobs}
        else:
            value["manifests"] = [*blobs, config.as_json()]
        raw = compact_json(value).encode()
        return Descriptor.of(self.media_type, raw), raw


def read_cache(root: Descriptor, read: ReadDocument, said: Callable[[str], None]) -> tuple[Chains, ...]:
    """The records of the cache or image `root`. `said` is told what kind of manifest it is.

    Raises `IntegrityError` for what is neither, is larger than a cache may be, or is damaged."""
    if root.size > MAX_DOCUMENT_BYTES:
        raise _too_large(root)
    raw = read(root, MAX_DOCUMENT_BYTES)
    media_type = detect_media_type(raw)
    if media_type not in MANIFESTS | INDEXES:
        raise IntegrityError("unsupported or uninferrable manifest type", code="invalid-manifest")
    said(f"inferred cache manifest type: {media_type}")
    config, blobs = _members(raw, media_type)
    if config is None:
        return tuple(_inline_caches(raw, read))
    if config.size > MAX_DOCUMENT_BYTES:
        raise _too_large(config)
    return (chains_of(parse_config(read(config, MAX_DOCUMENT_BYTES)), _by_digest(blobs)),)


def _too_large(descriptor: Descriptor) -> IntegrityError:
    return IntegrityError(
        f"blob {descriptor.digest} is too large ({descriptor.size} > {MAX_DOCUMENT_BYTES})",
        code="manifest-too-large",
        hint="Neither BuildKit nor Bakehouse reads a larger cache: export it with mode=min, or one for each target.",
    )


def _members(raw: bytes, media_type: str) -> tuple[Descriptor | None, list[Descriptor]]:
    """The descriptor of the cache config, None when there is none, and those of the blobs."""
    value = load_object(raw, "cache manifest", MAX_DOCUMENT_BYTES)
    if media_type in INDEXES:
        entries = _descriptors(value.get("manifests"))
        configs = [entry for entry in entries if entry.media_type == CONFIG_TYPE]
        return (configs[-1] if configs else None), [e for e in entries if e.media_type != CONFIG_TYPE]
    config = value.get("config")
    found = Descriptor.from_json(config, "cache manifest") if config is not None else None
    is_cache = found is not None and found.media_type == CONFIG_TYPE
    return (found if is_cache else None), _descriptors(value.get("layers"))


def _descriptors(value: object) -> list[Descriptor]:
    if value is not None and not isinstance(value, list):
        raise IntegrityError(
            "invalid cache manifest: expected a list of descriptors", code="invalid-manifest"
        )
    return [Descriptor.from_json(item, "cache manifest") for item in value or ()]


def _by_digest(blobs: Iterable[Descriptor]) -> Mapping[Digest, Descriptor]:
    return {blob.digest: blob for blob in blobs}


# -- images that carry their own -------------------------------------------------------------------------------------


def _inline_caches(raw: bytes, read: ReadDocument) -> list[Chains]:
    """The caches of every image that a manifest or index leads to."""
    seen: set[Digest] = set()
    pending = [raw]
    caches = []
    while pending:
        document = pending.pop()
        if detect_media_type(document) in MANIFESTS:
            caches += _inline_cache(Manifest.parse(document), read)
            continue
        for member in Index.parse(document).manifests:
            if member.digest not in seen:
                seen.add(member.digest)
                if len(seen) > _MAX_MANIFESTS:
                    raise IntegrityError(f"more than {_MAX_MANIFESTS} manifests", code="invalid-manifest")
                pending.append(read(member, MAX_MANIFEST_BYTES))
    return caches


def _inline_cache(manifest: Manifest, read: ReadDocument) -> list[Chains]:
    if not manifest.layers:
        return []
    config = load_object(read(manifest.config, MAX_CONFIG_BYTES), "image config", MAX_CONFIG_BYTES)
    carried = config.get(INLINE_CACHE_MEMBER)
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if carried is None or not isinstance(diff_ids, list) or len(diff_ids) != len(manifest.layers):
        return []
    try:
        records = base64.b64decode(carried if isinstance(carried, str) else "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise IntegrityError(
            f"invalid {INLINE_CACHE_MEMBER}: {error}", code="invalid-cache-config"
        ) from error
    parsed = parse_records(records, [layer.digest for layer in manifest.layers])
    notes = _history_notes(config, len(manifest.layers))
    layers = [
        replace(layer, annotations={**layer.annotations, **note, DIFF_ID_ANNOTATION: str(diff_id)})
        for layer, note, diff_id in zip(manifest.layers, notes, diff_ids, strict=True)
    ]
    return [chains_of(parsed, _by_digest(layers))]


def _history_notes(config: Mapping[str, object], count: int) -> list[dict[str, str]]:
    """When and by what each layer was made, as annotations."""
    history = config.get("history")
    notes: list[dict[str, str]] = []
    for entry in history if isinstance(history, list) else ():
        if not isinstance(entry, dict) or entry.get("empty_layer"):
            continue
        note = {}
        if isinstance(entry.get("created"), str):
            try:
                note[CREATED_ANNOTATION] = normal_time(entry["created"])
            except DefinitionError:
                note = {}
        if isinstance(entry.get("created_by"), str) and entry["created_by"]:
            note[DESCRIPTION_ANNOTATION] = entry["created_by"]
        notes.append(note)
    return (notes + [{} for _ in range(count)])[:count]
