"""OCI image layouts: a directory or an uncompressed tar of blobs with `index.json` (image-spec, image-layout.md).

    oci-layout          {"imageLayoutVersion":"1.0.0"}
    index.json          names and root descriptors
    blobs/sha256/HEX    content

Reading treats everything as untrusted. Writing to a directory is atomic by file: blobs are renamed into place, and
`index.json` is replaced under the lock file `index.json.lock` that BuildKit's client uses too.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from bakehouse.errors import DefinitionError, IntegrityError, NotFoundError
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import MAX_MANIFEST_BYTES, Descriptor, Index
from bakehouse.oci.reference import Reference
from bakehouse.registry.archive import ArchiveMember, read_members
from bakehouse.values import replace

LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'
NAME_ANNOTATION = "io.containerd.image.name"
REF_NAME_ANNOTATION = "org.opencontainers.image.ref.name"
_CHUNK = 1 << 20


def blob_name(digest: Digest) -> str:
    """The path of a blob inside a layout."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def ref_name(name: str) -> str:
    """The value of the ref.name annotation for an image name: tag and digest as containerd cuts them off."""
    try:
        ref = Reference.parse_exact(name)
    except DefinitionError:
        return name
    tag, digest = ref.tag or "", f"@{ref.digest}" if ref.digest else ""
    return f"{tag}{digest}"


def named(descriptor: Descriptor, name: str) -> Descriptor:
    """The descriptor as it stands in an index under image name `name`."""
    annotations = dict(descriptor.annotations)
    annotations[NAME_ANNOTATION] = name
    annotations[REF_NAME_ANNOTATION] = ref_name(name)
    return replace(descriptor, annotations=annotations)


class VerifiedReader:
    """A stream over one blob that checks size and digest: reading to the end proves the content.

    `read` raises `IntegrityError` (`size-mismatch`, `digest-mismatch`) at the latest when the end is reached.
    """

    def __init__(self, stream: BinaryIO, descriptor: Descriptor) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._hash = descriptor.digest.hasher()
        self._left = descriptor.size

    def read(self, count: int = -1, /) -> bytes:
        wanted = self._left if count < 0 else min(count, self._left)
        data = self._stream.read(wanted) if wanted else b""
        self._left -= len(data)
        self._hash.update(data)
        if wanted and not data:
            raise IntegrityError(
                f"blob {self._descriptor.digest}: {self._left} bytes are missing", code="size-mismatch"
            )
        if not self._left and self._hash.hexdigest() != self._descriptor.digest.encoded:
            raise IntegrityError(
                f"blob {self._descriptor.digest}: the content has a different digest", code="digest-mismatch"
            )
        return data

    def chunks(self) -> Iterator[bytes]:
        """The whole blob in pieces."""
        while chunk := self.read(_CHUNK):
            yield chunk
        if not self._descriptor.size:
            self._descriptor.verify(b"")

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> VerifiedReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class OciLayout:
    """The layout at `path`. A directory may be read and written, a tar file only read. Keeps no file open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._members: dict[str, ArchiveMember] | None = None

    @property
    def is_archive(self) -> bool:
        return self.path.is_file()

    # -- reading ---------------------------------------------------------------------------------------------

    def index(self) -> Index:
        """The layout's `index.json`. Raises `NotFoundError` (code `layout-not-found`) when there is none and
        `IntegrityError` when it is malformed."""
        raw = self.file("index.json", MAX_MANIFEST_BYTES)
        if raw is None:
            raise NotFoundError(
                f"{self.path} is not an OCI layout: it has no index.json", code="layout-not-found"
            )
        return Index.parse(raw)

    def resolve(self, name: str) -> Descriptor:
        """The root descriptor that `name` means: a digest, an image name or a tag; an empty name means the only
        one. Raises `NotFoundError` (code `layout-image-not-found`) naming what is there."""
        manifests = self.index().manifests
        if not name and len(manifests) == 1:
            return manifests[0]
        for descriptor in manifests:
            if name == descriptor.digest or descriptor.annotations.get(NAME_ANNOTATION) == name:
                return descriptor
        for descriptor in manifests:
            if descriptor.annotations.get(REF_NAME_ANNOTATION) == name:
                return descriptor
        known = sorted({item.annotations.get(REF_NAME_ANNOTATION, str(item.digest)) for item in manifests})
        raise NotFoundError(
            f"{self.path}: no image {name!r} in this OCI layout (it has {', '.join(known) or 'none'})",
            code="layout-image-not-found",
        )

    def has(self, digest: Digest) -> bool:
        return self._size(blob_name(digest)) is not None

    def size(self, digest: Digest) -> int:
        """The size of a blob in bytes. Raises `NotFoundError` (code `blob-not-found`)."""
        size = self._size(blob_name(digest))
        if size is None:
            raise self._missing(digest)
        return size

    def open(self, descriptor: Descriptor) -> VerifiedReader:
        """A verifying stream over a blob. Raises `NotFoundError` (code `blob-not-found`)."""
        stream = self._open(blob_name(descriptor.digest))
        if stream is None:
            raise self._missing(descriptor.digest)
        return VerifiedReader(stream, descriptor)

    def read(self, descriptor: Descriptor, limit: int = MAX_MANIFEST_BYTES) -> bytes:
        """A whole small blob, verified. Raises `IntegrityError` above `limit` bytes."""
        if descriptor.size > limit:
            raise IntegrityError(
                f"blob {descriptor.digest} is larger than {limit} bytes", code="blob-too-large"
            )
        with self.open(descriptor) as stream:
            return b"".join(stream.chunks())

    def file(self, name: str, limit: int) -> bytes | None:
        """A small file of the layout by name (`index.json`, a docker archive's `manifest.json`), None when absent."""
        stream = self._open(name)
        if stream is None:
            return None
        with stream:
            raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise IntegrityError(f"{self.path}: {name} is larger than {limit} bytes", code="invalid-archive")
        return raw

    def open_file(self, name: str) -> tuple[BinaryIO, int] | None:
        """A raw stream over a file of the layout and its size; None when absent."""
        size = self._size(name)
        stream = self._open(name) if size is not None else None
        return None if stream is None or size is None else (stream, size)

    def _missing(self, digest: Digest) -> NotFoundError:
        return NotFoundError(f"{self.path}: blob {digest} is missing", code="blob-not-found")

    def _archive_members(self) -> dict[str, ArchiveMember]:
        if self._members is None:
            with self._open_path(self.path) as file:
                self._members = read_members(file)
        return self._members

    def _open_path(self, path: Path) -> BinaryIO:
        try:
            return open(path, "rb")
        except FileNotFoundError as error:
            raise NotFoundError(f"{path}: no such file or directory", code="layout-not-found") from error

    def _member(self, name: str) -> ArchiveMember | None:
        members = self._archive_members()
        found = members.get(name)
        for _ in range(8):  # docker archives link repeated layers
            if found is None or not found.link:
                return found
            found = members.get(found.link)
        return None

    def _size(self, name: str) -> int | None:
        if self.is_archive:
            member = self._member(name)
            return None if member is None else member.size
        try:
            return os.stat(self.path / name).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _open(self, name: str) -> BinaryIO | None:
        if self.is_archive:
            member = self._member(name)
            if member is None:
                return None
            file = self._open_path(self.path)
            return _Section(file, member.offset, member.size)  # type: ignore[return-value]
        try:
            return open(self.path / name, "rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    # -- writing ---------------------------------------------------------------------------------------------

    def put(self, descriptor: Descriptor, chunks: Iterable[bytes]) -> None:
        """Writes a blob of this directory layout, unless it is there; verified, then renamed into place."""
        import tempfile

        target = self.path / blob_name(descriptor.digest)
        if self._size(blob_name(descriptor.digest)) == descriptor.size:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".bakehouse-", dir=target.parent)
        try:
            with open(handle, "wb") as file:
                hasher: hashlib._Hash = descriptor.digest.hasher()
                for chunk in chunks:
                    hasher.update(chunk)
                    file.write(chunk)
                if file.tell() != descriptor.size or hasher.hexdigest() != descriptor.digest.encoded:
                    raise IntegrityError(
                        f"blob {descriptor.digest}: the content is different", code="digest-mismatch"
                    )
            os.chmod(temporary, 0o444)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def add(self, descriptor: Descriptor, names: Sequence[str] = (), tags: Sequence[str] = ()) -> None:
        """Enters a root descriptor into `index.json` under image `names` and bare `tags` (none: unnamed), replacing
        entries of the same name. Its blobs must be there already."""
        self.path.mkdir(parents=True, exist_ok=True)
        entries = [named(descriptor, name) for name in names]
        for tag in tags:
            annotations = {**descriptor.annotations, REF_NAME_ANNOTATION: tag}
            entries.append(replace(descriptor, annotations=annotations))
        with self._locked_index():
            present = self.file("index.json", MAX_MANIFEST_BYTES)
            manifests = list(Index.parse(present).manifests) if present else []
            for entry in entries or [descriptor]:
                if entries:
                    manifests = [item for item in manifests if _names_of(item) != _names_of(entry)]
                manifests.append(entry)
            self._replace("oci-layout", LAYOUT_FILE)
            self._replace("index.json", Index.build(manifests, indented=False).raw)

    @contextlib.contextmanager
    def _locked_index(self) -> Iterator[None]:
        path = self.path / "index.json.lock"
        while True:
            with open(path, "wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not _is_at(lock, path):
                    continue  # its last holder removed the file while we waited
                try:
                    yield
                finally:
                    with contextlib.suppress(OSError):
                        os.unlink(path)
                return

    def _replace(self, name: str, content: bytes) -> None:
        import tempfile

        handle, temporary = tempfile.mkstemp(prefix=".bakehouse-", dir=self.path)
        try:
            with open(handle, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o644)
            os.replace(temporary, self.path / name)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _names_of(descriptor: Descriptor) -> tuple[str, str]:
    annotations = descriptor.annotations
    return annotations.get(REF_NAME_ANNOTATION, ""), annotations.get(NAME_ANNOTATION, "")


class _Section:
    """A part of a file as a stream of its own; closing it closes the file."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        file.seek(offset)
        self._file = file
        self._left = size

    def read(self, count: int = -1, /) -> bytes:
        wanted = self._left if count < 0 else min(count, self._left)
        data = self._file.read(wanted) if wanted else b""
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> _Section:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
