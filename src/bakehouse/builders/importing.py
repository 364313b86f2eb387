"""Taking images in: a root file system tar, or an OCI or Docker image archive, into the local image store."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from bakehouse.builders.embedded import open_engine
from bakehouse.builders.settings import Settings
from bakehouse.engine.engine import Engine
from bakehouse.engine.importer import ConfigChanges, import_rootfs, load_image
from bakehouse.errors import DefinitionError, IntegrityError, NotFoundError
from bakehouse.lazy import regex
from bakehouse.oci.platform import Platform
from bakehouse.oci.reference import Reference
from bakehouse.snapshots.compression import DecompressingReader
from bakehouse.snapshots.tarreader import TarReader
from bakehouse.values import dataclass

#: Top-level members that make a tar an image archive, and ones that make it a root file system.
_ARCHIVE_MEMBERS = {b"oci-layout", b"index.json", b"manifest.json", b"repositories", b"blobs"}
_ROOT_MEMBERS = {b"etc", b"usr", b"bin", b"lib", b"var", b"dev", b"proc", b"tmp", b"home", b"root", b"sbin"}
#: Older docker archives begin with the layers' directories, named by image ID, or with the config `ID.json`.
_LAYER_DIRECTORY = regex(rb"[0-9a-f]{64}(\.json|\.tar)?")
_PEEK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """`path` None means the stream of standard input; `name` may be empty for archives that carry names; `changes` go
    into the config of an imported root file system."""

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
    with open_engine(settings, environ) as engine, ExitStack() as stack:
        if request.path is not None and request.path.is_dir():
            return _load(engine, request, request.path)
        stream = stdin if request.path is None else stack.enter_context(open(request.path, "rb"))
        peeked = stream.read(_PEEK_BYTES)
        if _is_image_archive(peeked):
            path = request.path
            if path is None:
                path = stack.enter_context(engine.store.temporary_dir()) / "archive"
                with open(path, "wb") as file:
                    file.write(peeked)
                    shutil.copyfileobj(stream, file, _PEEK_BYTES)
            return _load(engine, request, path)
        return _import_rootfs(engine, request, cast(BinaryIO, _Rejoined(peeked, stream)))


def _load(engine: Engine, request: ImportRequest, path: Path) -> list[tuple[str, str]]:
    if request.changes is not None or request.platform:
        raise DefinitionError(
            f"{path.name} is an image with a config of its own: options for the config do not apply",
            code="import-options",
            hint="leave them out, or build an image from it with a Dockerfile",
        )
    names = [request.name] if request.name else []
    loaded = engine.call(lambda: load_image(engine.store, path, names))
    return [(name, str(descriptor.digest)) for name, descriptor in loaded]


def _import_rootfs(engine: Engine, request: ImportRequest, stream: BinaryIO) -> list[tuple[str, str]]:
    if not request.name:
        raise DefinitionError(
            "an imported root file system needs a name",
            code="image-unnamed",
            hint="for example `bakehouse import root.tar base:latest`",
        )
    platform = Platform.parse(request.platform) if request.platform else None
    descriptor = engine.call(
        lambda: import_rootfs(
            engine.store, engine.layers, stream, request.name, platform=platform, changes=request.changes
        )
    )
    return [(str(Reference.parse(request.name)), str(descriptor.digest))]


class _Rejoined:
    """A stream whose beginning was read already."""

    def __init__(self, beginning: bytes, rest: BinaryIO) -> None:
        self._beginning = BytesIO(beginning)
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        return self._beginning.read(size) or self._rest.read(size)


def _is_image_archive(beginning: bytes) -> bool:
    """Whether the tar (compressed or not) that begins so is an OCI layout or a docker archive rather than a root file
    system. The first telling member decides."""
    try:
        for entry in TarReader(DecompressingReader(BytesIO(beginning))):
            top = entry.path.removeprefix(b"./").split(b"/", 1)[0]
            if top in _ARCHIVE_MEMBERS or _LAYER_DIRECTORY.fullmatch(top):
                return True
            if top in _ROOT_MEMBERS:
                return False
    except IntegrityError:
        # The beginning ends in the middle of a member, or this is no tar: whoever reads it all will say so.
        pass
    return False
