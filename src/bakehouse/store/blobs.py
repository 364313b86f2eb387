"""Content-addressed blobs: `blobs/<algorithm>/<hex>`, as in an OCI image layout.

A blob is written to the process's temporary directory on the same file system and renamed into place when its digest
is known, so a name never stands for half a blob. Nothing is synced to disk here: a killed process cannot harm a
finished blob, and after a crash of the machine `recovery` checks the blobs written shortly before it.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from bakehouse.errors import IntegrityError, NotFoundError
from bakehouse.linux.files import copy_data
from bakehouse.oci.digest import Digest
from bakehouse.store.faults import disk_errors

_ALGORITHMS = ("sha256", "sha384", "sha512")
_BUFFER = 1 << 18
#: A blob that somebody asked for within this time is not collected, even when nothing refers to it yet.
GRACE_S = 3600.0
_TOUCH_AFTER_S = 600.0


class VerifiedReader(io.RawIOBase):
    """Reads a blob once, front to end, and raises `IntegrityError` (`blob-corrupt`) instead of reporting the end of
    a blob whose bytes or size are not what its digest says. Stops one byte after the expected size."""

    def __init__(
        self, source: BinaryIO, digest: Digest, size: int | None, on_corrupt: Callable[[], None] | None = None
    ) -> None:
        super().__init__()
        self._source = source
        self._digest = digest
        self._size = size
        self._hash = hashlib.new(digest.algorithm)
        self._count = 0
        self._on_corrupt = on_corrupt
        self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes (all when negative); b"" only after everything was verified."""
        if size < 0:
            return self.readall()
        return self._checked(self._source.read(size)) if size else b""

    def readall(self) -> bytes:
        parts = []
        while data := self.read(1 << 20):
            parts.append(data)
        return b"".join(parts)

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _checked(self, data: bytes) -> bytes:
        self._hash.update(data)
        self._count += len(data)
        if self._size is not None and self._count > self._size:
            self._corrupt(f"longer than its {self._size} bytes")
        if not data and not self._ended:
            self._ended = True
            if self._size is not None and self._count != self._size:
                self._corrupt(f"has {self._count} bytes, expected {self._size}")
            if self._hash.hexdigest() != self._digest.encoded:
                self._corrupt(f"has digest {self._digest.algorithm}:{self._hash.hexdigest()}")
        return data

    def _corrupt(self, what: str) -> None:
        if self._on_corrupt is not None:
            self._on_corrupt()
        raise IntegrityError(
            f"blob {self._digest} is damaged: {what}",
            code="blob-corrupt",
            hint="It was set aside; build again to fetch or make it anew.",
        )

    def finish(self) -> None:
        """Reads what is left, so that the whole blob is verified."""
        while self.read(1 << 20):
            pass

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


class BlobWriter:
    """One blob in the making. A context manager; leaving without `commit` discards. Not thread-safe.

    After an error nothing of it remains. "Disk full" is `EnvironmentFault` (code `disk-full`).
    """

    def __init__(self, store: BlobStore, path: Path, algorithm: str) -> None:
        self._store = store
        self._path = path
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)
        self.size = 0
        self._file: io.BufferedWriter | None = None
        with disk_errors(path):
            self._file = io.BufferedWriter(io.FileIO(path, "x"), _BUFFER)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Appends; returns the number of bytes."""
        file = self._file
        if file is None:
            raise ValueError("write to a finished blob")
        self._hash.update(data)
        try:
            with disk_errors(self._path):
                file.write(data)
        except BaseException:
            self.discard()
            raise
        self.size += len(data)
        return len(data)

    @property
    def digest(self) -> Digest:
        """The digest of what has been written so far."""
        return Digest(f"{self._algorithm}:{self._hash.hexdigest()}")

    def commit(
        self, expected_digest: str | None = None, expected_size: int | None = None
    ) -> tuple[Digest, int]:
        """Puts the blob in its place; idempotent between processes. Returns its digest and size.

        Raises `IntegrityError` (`digest-mismatch`, `size-mismatch`) when it is not what was expected."""
        file = self._file
        if file is None:
            raise ValueError("commit of a finished blob")
        digest = self.digest
        try:
            if expected_size is not None and self.size != expected_size:
                raise IntegrityError(
                    f"blob {expected_digest or digest} has {self.size} bytes, expected {expected_size}",
                    code="size-mismatch",
                )
            if expected_digest is not None and digest != expected_digest:
                raise IntegrityError(
                    f"content has digest {digest}, expected {expected_digest}", code="digest-mismatch"
                )
            with disk_errors(self._path):
                os.fchmod(file.fileno(), 0o644)
                file.close()
                self._store.place(self._path, digest)
        except BaseException:
            self.discard()
            raise
        self._file = None
        return digest, self.size

    def discard(self) -> None:
        """Throws the blob away. Idempotent."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            # Closing flushes, which may fail again on a full disk; the raw file is what must be closed.
            file.raw.close()
        finally:
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.discard()


class BlobStore:
    """The blobs below `root` (`blobs/`). `new_path` names fresh files on the same file system."""

    def __init__(self, root: Path, new_path: Callable[[str], Path], quarantine: Path) -> None:
        self.root = root
        self._new_path = new_path
        self._quarantine = quarantine
        for algorithm in _ALGORITHMS:
            (root / algorithm).mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the blob is, or would be. To be read only."""
        checked = Digest(digest)
        return self.root / checked.algorithm / checked.encoded

    def has(self, digest: str) -> bool:
        """True when the blob is there; it is then safe from collection for an hour."""
        path = self.path(digest)
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return False
        now = time.time()
        if now - status.st_mtime > _TOUCH_AFTER_S:
            try:
                os.utime(path, (now, now))
            except FileNotFoundError:
                return False
            except PermissionError:
                pass
        return True

    def size(self, digest: str) -> int:
        """Bytes. Raises `NotFoundError` (`blob-missing`)."""
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            raise self._missing(digest) from None

    def open(self, digest: str, size: int | None = None) -> BinaryIO:
        """A reader that verifies the digest (and `size`) by the time it reports the end: see `VerifiedReader`.

        A damaged blob is moved to `quarantine/`. The caller closes. Raises `NotFoundError` (`blob-missing`)."""
        checked = Digest(digest)
        try:
            source = open(self.path(checked), "rb", buffering=0)  # noqa: SIM115
        except FileNotFoundError:
            raise self._missing(digest) from None
        reader = VerifiedReader(
            cast(BinaryIO, source), checked, size, on_corrupt=lambda: self.set_aside(checked)
        )
        return cast(BinaryIO, reader)

    def read(self, digest: str, limit: int) -> bytes:
        """The whole verified blob. Raises `IntegrityError` (`blob-too-large`) when it has more than `limit` bytes."""
        if self.size(digest) > limit:
            raise IntegrityError(
                f"blob {digest} is larger than the {limit} bytes expected of it", code="blob-too-large"
            )
        with self.open(digest) as reader:
            return reader.read()

    def writer(self, algorithm: str = "sha256") -> BlobWriter:
        return BlobWriter(self, self._new_path("blob"), algorithm)

    def put(self, data: bytes) -> Digest:
        """Stores `data` (nothing is written when it is there already)."""
        digest = Digest.of(data)
        if not self.has(digest):
            with self.writer() as writer:
                writer.write(data)
                writer.commit(digest)
        return digest

    def place(self, path: Path, digest: Digest) -> None:
        """Renames a complete, verified file into the store. Replacing an equal blob is harmless."""
        os.rename(path, self.path(digest))

    def link_or_copy(self, digest: str, dest: Path) -> None:
        """Makes `dest` (must not exist) hold the blob: a reflink or a copy, never a hard link, so that changing
        `dest` cannot change the store. On error no `dest` is left."""
        try:
            source = os.open(self.path(digest), os.O_RDONLY)
        except FileNotFoundError:
            raise self._missing(digest) from None
        try:
            target = os.open(dest, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                size = os.fstat(source).st_size
                with disk_errors(dest):
                    copied = copy_data(source, target, size)
                if copied != size:
                    raise IntegrityError(f"blob {digest} ended early", code="blob-corrupt")
            except BaseException:
                dest.unlink(missing_ok=True)
                raise
            finally:
                os.close(target)
        finally:
            os.close(source)

    def delete(self, digest: str) -> int:
        """Removes a blob; returns the bytes freed (0 when it was not there)."""
        path = self.path(digest)
        try:
            size = os.stat(path).st_size
            path.unlink()
        except FileNotFoundError:
            return 0
        return size

    def verify(self, digest: str) -> bool:
        """Reads the whole blob; False when it is missing or damaged (it is then set aside)."""
        try:
            with self.open(digest) as reader:
                while reader.read(1 << 20):
                    pass
        except (NotFoundError, IntegrityError):
            return False
        return True

    def set_aside(self, digest: Digest) -> None:
        """Moves a damaged blob out of the way, for inspection."""
        self._quarantine.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(self.path(digest), self._quarantine / digest.encoded)
        except FileNotFoundError:
            pass

    def __iter__(self) -> Iterator[Digest]:
        """Every blob, in no order."""
        for algorithm in _ALGORITHMS:
            for name in os.listdir(self.root / algorithm):
                yield Digest(f"{algorithm}:{name}")

    @staticmethod
    def _missing(digest: str) -> NotFoundError:
        return NotFoundError(f"blob {digest} is not in the store", code="blob-missing")
