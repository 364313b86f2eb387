"""Taking images in: a root file system tar, or an OCI or Docker image archive, into the local image store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bakehouse.builders.embedded import open_engine
from bakehouse.builders.settings import Settings
from bakehouse.engine.importer import ConfigChanges, import_rootfs, load_image
from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.oci.platform import Platform
from bakehouse.snapshots.compression import DecompressingReader
from bakehouse.snapshots.tarreader import TarReader

#: Top-level members that make a tar an image archive, and ones that make it a root file system.
_ARCHIVE_MEMBERS = {b"oci-layout", b"index.json", b"manifest.json", b"repositories", b"blobs"}
_ROOT_MEMBERS = {b"etc", b"usr", b"bin", b"lib", b"var", b"dev", b"proc", b"tmp", b"home", b"root", b"sbin"}


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """`path` None means the stream of standard input, which is always a root file system; `name` may be empty for
    archives that carry names; `changes` go into the config of an imported root file system."""

    path: Path | None
    name: str = ""
    platform: str = ""
    changes: ConfigChanges | None = None


def import_image(
    request: ImportRequest, settings: Settings, environ: Mapping[str, str], stdin: BinaryIO
) -> list[tuple[str, str]]:
    """Imports; returns (full name, digest) of every image named. Raises `NotFoundError` for a missing file,
    `DefinitionError` without a name, `IntegrityError` for what is no sound archive; then nothing is named."""
    if request.path is not None and not request.path.exists():
        raise NotFoundError(f"{request.path}: no such file or directory", code="import-not-found")
    with open_engine(settings, environ) as engine:
        if request.path is not None and _is_image_archive(request.path):
            names = [request.name] if request.name else []
            path = request.path
            loaded = engine.call(lambda: load_image(engine.store, path, names))
            return [(name, str(descriptor.digest)) for name, descriptor in loaded]
        if not request.name:
            raise DefinitionError(
                "an imported root file system needs a name",
                code="image-unnamed",
                hint="for example `bakehouse import root.tar base:latest`",
            )
        platform = Platform.parse(request.platform) if request.platform else None
        stream = stdin if request.path is None else open(request.path, "rb")  # noqa: SIM115
        try:
            descriptor = engine.call(
                lambda: import_rootfs(
                    engine.store, engine.layers, stream, request.name, platform=platform, changes=request.changes
                )
            )
        finally:
            if request.path is not None:
                stream.close()
        return [(request.name, str(descriptor.digest))]


def _is_image_archive(path: Path) -> bool:
    """Whether `path` is an OCI layout or an image archive rather than a root file system."""
    if path.is_dir():
        return True
    with open(path, "rb") as file:
        for entry in TarReader(DecompressingReader(file)):
            top = entry.path.removeprefix(b"./").split(b"/", 1)[0]
            if top in _ARCHIVE_MEMBERS:
                return True
            if top in _ROOT_MEMBERS:
                return False
    return False
