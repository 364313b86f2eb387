"""Brings images into the local image store from outside: root file system tars, OCI layouts, docker archives.

Everything read is untrusted: archives are parsed whole before a name is given, blobs are verified, sizes limited. A
name is set last, so a failed import leaves nothing but blobs that collection removes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bakehouse.errors import DefinitionError, IntegrityError, NotFoundError
from bakehouse.go.timestamps import format_time_ns
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import (
    MAX_CONFIG_BYTES,
    MAX_MANIFEST_BYTES,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    encode_config,
)
from bakehouse.oci.media_types import FOREIGN_LAYERS, OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from bakehouse.oci.platform import Platform
from bakehouse.oci.reference import Reference
from bakehouse.registry.layout import NAME_ANNOTATION, REF_NAME_ANNOTATION, OciLayout
from bakehouse.snapshots.compression import CompressingWriter, Compression, DecompressingReader
from bakehouse.snapshots.tarreader import TarReader
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from bakehouse.snapshots import LayerStore
    from bakehouse.store import Store

_CHUNK = 1 << 20
_MAX_DEPTH = 4
#: Compressed archives are unpacked to a temporary file; a bomb ends here.
_MAX_ARCHIVE_BYTES = 256 << 30
_LAYER_TYPES = {"gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD, "uncompressed": OCI_LAYER}


@dataclass(frozen=True, slots=True)
class ConfigChanges:
    """What an imported image's config says; empty members are left out."""

    cmd: Sequence[str] = ()
    entrypoint: Sequence[str] = ()
    env: Sequence[str] = ()
    workdir: str = ""
    user: str = ""
    labels: Mapping[str, str] | None = None

    def as_json(self) -> dict[str, object]:
        members: dict[str, object] = {
            "User": self.user,
            "Env": list(self.env),
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "WorkingDir": self.workdir,
            "Labels": dict(self.labels or {}),
        }
        return {name: value for name, value in members.items() if value}


class _Tee:
    """A source that copies what is read to a sink."""

    def __init__(self, source: DecompressingReader, sink: CompressingWriter) -> None:
        self._source = source
        self._sink = sink

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        if data:
            self._sink.write(data)
        return data


def import_rootfs(
    store: Store,
    layers: LayerStore,
    tar_stream: BinaryIO,
    name: str,
    *,
    platform: Platform | None = None,
    changes: ConfigChanges | None = None,
    created_s: int | None = None,
    compression: Compression | None = None,
) -> Descriptor:
    """Makes the root file system tar in `tar_stream` (plain, gzip, zstd, bzip2 or xz; read to its end, not closed) a
    one-layer image named `name` in the local image store; returns its manifest's descriptor.

    The layer's diff ID is the digest of the uncompressed tar. `created_s` defaults to now. Raises `IntegrityError`
    for a stream that is no sound tar and `DefinitionError` for a malformed name; then no image is named.
    """
    ref = Reference.parse(name)
    wanted = compression or Compression()
    with store.blobs.writer() as blob:
        writer = CompressingWriter(blob, wanted, layers.pool)
        try:
            entries = sum(1 for _ in TarReader(_Tee(DecompressingReader(tar_stream), writer)))
            if not entries:
                raise IntegrityError("the root file system archive is empty", code="tar-invalid")
            diff_id = Digest(writer.finish())
        finally:
            writer.abandon()
        digest, size = blob.commit()
    layer = Descriptor(wanted.media_type, digest, size)
    created = format_time_ns(int(time.time() if created_s is None else created_s) * 1_000_000_000)
    config_raw = _rootfs_config(platform or Platform.local(), changes or ConfigChanges(), diff_id, created)
    config = Descriptor.of(OCI_CONFIG, config_raw)
    manifest = Manifest.build(config, [layer])
    store.blobs.put(config_raw)
    store.blobs.put(manifest.raw)
    layers.adopt(diff_id, layer, None, description=f"imported as {ref.familiar()}")
    root = manifest.descriptor(platform=(platform or Platform.local()).normalized())
    store.images.tag(str(ref), root)
    return root


def _rootfs_config(platform: Platform, changes: ConfigChanges, diff_id: Digest, created: str) -> bytes:
    value: dict[str, object] = dict(platform.normalized().as_json())
    value["created"] = created
    value["config"] = changes.as_json()
    value["rootfs"] = {"type": "layers", "diff_ids": [str(diff_id)]}
    value["history"] = [{"created": created, "created_by": "bakehouse import"}]
    return encode_config(value)


def load_image(store: Store, path: Path, names: Sequence[str] = ()) -> list[tuple[str, Descriptor]]:
    """Loads every image of the OCI layout (directory or tar) or docker archive at `path`, the tar compressed or not,
    into the local image store. Returns (full name, descriptor) pairs.

    `names`, when given, replace the names that the archive states; an image without any name is an error
    (`DefinitionError`, code `image-unnamed`). Raises `IntegrityError` for broken archives, `NotFoundError` for
    missing blobs.
    """
    full_names = [str(Reference.parse(name)) for name in names]
    with ExitStack() as stack:
        layout = OciLayout(_plain_archive(store, path, stack))
        if layout.file("index.json", MAX_MANIFEST_BYTES) is not None:
            found = list(_load_layout(store, layout))
        else:
            found = list(_load_docker(store, layout))
    if full_names:
        if len({descriptor.digest for _, descriptor in found}) != 1:
            raise DefinitionError(f"{path} holds several images: name them in it", code="image-unnamed")
        found = [(name, found[0][1]) for name in full_names]
    for name, _ in found:
        if not name:
            raise DefinitionError(f"{path} gives its image no name: state one", code="image-unnamed")
    for name, descriptor in found:
        store.images.tag(name, descriptor)
    return found


def _plain_archive(store: Store, path: Path, stack: ExitStack) -> Path:
    """`path` itself, or an uncompressed copy of a compressed tar."""
    if path.is_dir():
        return path
    try:
        source = stack.enter_context(path.open("rb"))
    except FileNotFoundError as error:
        raise NotFoundError(f"{path}: no such file or directory", code="archive-not-found") from error
    reader = DecompressingReader(source, max_bytes=_MAX_ARCHIVE_BYTES)
    if _LAYER_TYPES.get(reader.kind) == OCI_LAYER:
        return path
    plain = stack.enter_context(store.temporary_dir()) / "archive.tar"
    with open(plain, "wb") as out:
        out.writelines(reader.chunks())
    return plain


def _load_layout(store: Store, layout: OciLayout) -> Iterator[tuple[str, Descriptor]]:
    """Copies every root of the index with all that it names; yields its name ("" for none)."""
    for root in layout.index().manifests:
        _copy_tree(store, layout, root, 0)
        name = root.annotations.get(NAME_ANNOTATION) or root.annotations.get(REF_NAME_ANNOTATION, "")
        annotations = {
            key: value
            for key, value in root.annotations.items()
            if key not in (NAME_ANNOTATION, REF_NAME_ANNOTATION)
        }
        clean = Descriptor(root.media_type, root.digest, root.size, annotations, root.platform)
        yield (str(Reference.parse(name)) if name else ""), clean


def _copy_tree(store: Store, layout: OciLayout, descriptor: Descriptor, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise IntegrityError("indexes are nested too deeply", code="invalid-manifest")
    if descriptor.is_index:
        raw = layout.read(descriptor)
        for member in Index.parse(raw).manifests:
            # An index may name platforms that the archive does not hold.
            if layout.has(member.digest):
                _copy_tree(store, layout, member, depth + 1)
        store.blobs.put(raw)
    elif descriptor.is_manifest:
        raw = layout.read(descriptor)
        manifest = Manifest.parse(raw)
        for blob in (manifest.config, *manifest.layers):
            if blob.media_type not in FOREIGN_LAYERS:
                _copy_blob(store, layout, blob)
        store.blobs.put(raw)
    else:
        raise IntegrityError(
            f"{layout.path}: {descriptor.media_type} is neither a manifest nor an index",
            code="invalid-manifest",
        )


def _copy_blob(store: Store, layout: OciLayout, blob: Descriptor) -> None:
    if store.blobs.has(blob.digest):
        return
    with layout.open(blob) as stream, store.blobs.writer(blob.digest.algorithm) as writer:
        for chunk in stream.chunks():
            writer.write(chunk)
        writer.commit(blob.digest, blob.size)


def _load_docker(store: Store, layout: OciLayout) -> Iterator[tuple[str, Descriptor]]:
    """The images of a docker archive older than OCI layouts: `manifest.json`, a config file, layer tars."""
    raw = layout.file("manifest.json", MAX_MANIFEST_BYTES)
    if raw is None:
        raise IntegrityError(
            f"{layout.path} is neither an OCI layout nor a docker archive", code="invalid-archive"
        )
    for entry in _docker_entries(raw):
        config_raw = layout.file(str(entry["Config"]), MAX_CONFIG_BYTES)
        if config_raw is None:
            raise NotFoundError(f"{layout.path}: {entry['Config']} is missing", code="blob-not-found")
        config = ImageConfig.parse(config_raw)
        names = _string_list(entry.get("RepoTags"))
        files = _string_list(entry.get("Layers"))
        if len(files) != len(config.diff_ids):
            raise IntegrityError(
                f"{layout.path}: {len(files)} layers for {len(config.diff_ids)} diff IDs",
                code="invalid-archive",
            )
        layers = [
            _docker_layer(store, layout, file, diff_id)
            for file, diff_id in zip(files, config.diff_ids, strict=True)
        ]
        manifest = Manifest.build(Descriptor.of(OCI_CONFIG, config_raw), layers)
        store.blobs.put(config_raw)
        store.blobs.put(manifest.raw)
        root = manifest.descriptor(platform=config.platform.normalized())
        for name in names or [""]:
            yield (str(Reference.parse(name)) if name else ""), root


def _docker_entries(raw: bytes) -> list[dict[str, object]]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise IntegrityError("manifest.json is not valid JSON", code="invalid-archive") from error
    if not isinstance(value, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("Config"), str) for entry in value
    ):
        raise IntegrityError("manifest.json is not a list of images", code="invalid-archive")
    return value


def _string_list(value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise IntegrityError("manifest.json: expected lists of strings", code="invalid-archive")
    return value


def _docker_layer(store: Store, layout: OciLayout, file: str, diff_id: Digest) -> Descriptor:
    """Stores one layer as it is and checks that it unpacks to its diff ID."""
    found = layout.open_file(file)
    if found is None:
        raise NotFoundError(f"{layout.path}: {file} is missing", code="blob-not-found")
    stream, _ = found
    with stream, store.blobs.writer() as writer:
        while chunk := stream.read(_CHUNK):
            writer.write(chunk)
        digest, size = writer.commit()
    with store.blobs.open(digest) as blob:
        reader = DecompressingReader(blob, digest=True)
        for _ in reader.chunks():
            pass
    media_type = _LAYER_TYPES.get(reader.kind)
    if media_type is None:
        raise IntegrityError(
            f"{file}: layers compressed with {reader.kind} are not supported", code="invalid-archive"
        )
    if reader.diff_id != diff_id:
        raise IntegrityError(
            f"{file} unpacks to {reader.diff_id}, the image config says {diff_id}", code="digest-mismatch"
        )
    return Descriptor(media_type, digest, size)
