"""Checks a whole image: that every document parses, that digests and sizes hold, that its parts fit together.

Pure: blobs come from a reader that the caller lends. Follows OCI image-spec 1.1 where it says MUST.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Generator, Iterator

from bakehouse.errors import BakehouseError, IntegrityError
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor, ImageConfig, Index, Manifest
from bakehouse.oci.media_types import CONFIGS, DOCKER_MANIFEST, FOREIGN_LAYERS, OCI_EMPTY, layer_compression
from bakehouse.oci.platform import Platform
from bakehouse.oci.timestamps import parse_time_ns
from bakehouse.values import dataclass

ReadBlob = Callable[[Descriptor], bytes]
_MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: `code` is stable, `where` names the blob, `message` is for people."""

    code: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def validate_image(read_blob: ReadBlob, descriptor: Descriptor, *, layers: bool = True) -> list[Finding]:
    """Every fault of the image or index that `descriptor` names; an empty list means that it is sound.

    `read_blob` returns a blob's bytes, or raises a `BakehouseError` for a missing one. With `layers` their contents
    are read and their diff IDs recomputed (zstd layers are checked by digest only).
    """
    return list(_validate(read_blob, descriptor, layers, None, 0))


def _validate(
    read_blob: ReadBlob, descriptor: Descriptor, layers: bool, platform: Platform | None, depth: int
) -> Iterator[Finding]:
    where = str(descriptor.digest)
    raw = yield from _blob(read_blob, descriptor)
    if raw is None:
        return
    if depth > _MAX_DEPTH:
        yield Finding("nested-too-deeply", where, "indexes are nested too deeply")
        return
    try:
        if descriptor.is_index:
            index = Index.parse(raw)
            if index.media_type != descriptor.media_type:
                yield Finding(
                    "media-type", where, f"states {index.media_type}, is named {descriptor.media_type}"
                )
            for member in index.manifests:
                yield from _validate(read_blob, member, layers, member.platform, depth + 1)
        elif descriptor.is_manifest:
            manifest = Manifest.parse(raw)
            if manifest.media_type != descriptor.media_type:
                yield Finding(
                    "media-type", where, f"states {manifest.media_type}, is named {descriptor.media_type}"
                )
            yield from _validate_manifest(read_blob, manifest, where, layers, platform)
        else:
            yield Finding("media-type", where, f"{descriptor.media_type} is neither a manifest nor an index")
    except IntegrityError as error:
        yield Finding(error.code, where, error.message)


def _blob(read_blob: ReadBlob, descriptor: Descriptor) -> Generator[Finding, None, bytes | None]:
    where = str(descriptor.digest)
    try:
        return descriptor.verify(read_blob(descriptor))
    except IntegrityError as error:
        yield Finding(error.code, where, error.message)
    except BakehouseError as error:
        yield Finding("blob-missing", where, error.message)
    return None


def _validate_manifest(
    read_blob: ReadBlob, manifest: Manifest, where: str, layers: bool, platform: Platform | None
) -> Iterator[Finding]:
    if manifest.artifact_type or manifest.config.media_type == OCI_EMPTY:
        for layer in (manifest.config, *manifest.layers):
            yield from _blob(read_blob, layer)
        return
    if manifest.config.media_type not in CONFIGS:
        yield Finding("media-type", where, f"config has media type {manifest.config.media_type}")
    raw = yield from _blob(read_blob, manifest.config)
    config = None if raw is None else ImageConfig.parse(raw)
    if config is not None:
        yield from _validate_config(config, manifest, platform)
    for number, layer in enumerate(manifest.layers):
        kind = layer_compression(layer.media_type)
        if kind is None and config is not None and config.platform.os != "unknown":
            yield Finding("media-type", str(layer.digest), f"layer has media type {layer.media_type}")
        docker = layer.media_type.startswith("application/vnd.docker.")
        if kind is not None and docker != (manifest.media_type == DOCKER_MANIFEST):
            yield Finding(
                "media-type", str(layer.digest), f"{layer.media_type} does not belong in this manifest"
            )
        if layers and layer.media_type not in FOREIGN_LAYERS:
            diff_id = config.diff_ids[number] if config and number < len(config.diff_ids) else None
            yield from _validate_layer(read_blob, layer, kind, diff_id)


def _validate_config(config: ImageConfig, manifest: Manifest, platform: Platform | None) -> Iterator[Finding]:
    where = str(manifest.config.digest)
    if not config.platform.os or not config.platform.architecture:
        yield Finding("config-platform", where, "os and architecture must be stated")
    elif platform is not None and not platform.normalized().matches_strictly(config.platform):
        yield Finding("config-platform", where, f"is for {config.platform}, the index says {platform}")
    if len(config.diff_ids) != len(manifest.layers):
        count = f"{len(config.diff_ids)} diff IDs for {len(manifest.layers)} layers"
        yield Finding("layer-count", where, count)
    filled = [entry for entry in config.history if not entry.get("empty_layer")]
    if config.history and len(filled) != len(manifest.layers):
        yield Finding("history", where, f"{len(filled)} history entries for {len(manifest.layers)} layers")
    for entry in [*config.history, config.value]:
        created = entry.get("created")
        try:
            if created is not None:
                parse_time_ns(str(created))
        except BakehouseError as error:
            yield Finding("history", where, error.message)


def _validate_layer(
    read_blob: ReadBlob, layer: Descriptor, kind: str | None, diff_id: Digest | None
) -> Iterator[Finding]:
    raw = yield from _blob(read_blob, layer)
    if raw is None or diff_id is None or kind not in ("gzip", "uncompressed"):
        return
    try:
        found = "sha256:" + (_gunzipped(raw) if kind == "gzip" else hashlib.sha256(raw)).hexdigest()
    except zlib.error as error:
        yield Finding("layer-compression", str(layer.digest), f"is not a gzip stream: {error}")
        return
    if found != diff_id:
        yield Finding("diff-id", str(layer.digest), f"unpacks to {found}, the config says {diff_id}")


def _gunzipped(raw: bytes) -> hashlib._Hash:
    """The hash of the contents of all gzip members."""
    hasher = hashlib.sha256()
    while raw:
        member = zlib.decompressobj(31)
        pending = raw
        while not member.eof:
            hasher.update(member.decompress(pending, 1 << 20))
            pending = member.unconsumed_tail
            if not pending and not member.eof:
                rest = member.flush()
                hasher.update(rest)
                if not member.eof:
                    raise zlib.error("it ends early")
        raw = member.unused_data.lstrip(b"\0")
    return hasher
