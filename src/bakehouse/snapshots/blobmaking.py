"""Making the tar blob of a layer: from its directory, or from another blob of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.errors import IntegrityError
from bakehouse.snapshots.changes import upper_changes
from bakehouse.snapshots.compression import CompressingWriter, Compression, DecompressingReader
from bakehouse.snapshots.retime import lower_times
from bakehouse.snapshots.tarwriter import ChangeWriter, TarWriter
from bakehouse.store import Store
from bakehouse.store.layers import BlobRow

if TYPE_CHECKING:
    from concurrent.futures import Executor

_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def variant_name(kind: str, epoch_s: int | None) -> str:
    """How one form of a layer's tar is recorded: `gzip`, or `gzip@0` for timestamps lowered to 0. The compression
    level is not part of it: BuildKit too reuses a blob whatever its level."""
    return kind if epoch_s is None else f"{kind}@{epoch_s}"


class BlobMaker:
    """Writes blobs into the store; recording them is the caller's."""

    def __init__(self, store: Store, pool: Executor) -> None:
        self._store = store
        self._pool = pool

    def from_directory(
        self, directory: Path, lower: Path | None, rediff: frozenset[bytes], compression: Compression
    ) -> BlobRow:
        """The difference that the overlay-form `directory` makes to the merged tree `lower` (None: nothing)."""

        def fill(out: CompressingWriter) -> None:
            upper_fd = os.open(directory, _OPEN_DIR)
            lower_fd = os.open(lower, _OPEN_DIR) if lower is not None else None
            try:
                tar = TarWriter(out)
                writer = ChangeWriter(tar, upper_fd)
                for change in upper_changes(upper_fd, lower_fd, rediff):
                    writer.write(change)
                tar.finish()
            finally:
                os.close(upper_fd)
                if lower_fd is not None:
                    os.close(lower_fd)

        return self._written(fill, compression, None)

    def convert(self, source: BlobRow, compression: Compression, epoch_s: int | None) -> BlobRow:
        """The same tar in another compression, with times after `epoch_s` lowered to it.

        Raises `IntegrityError` (`blob-corrupt`, `diff-id-mismatch`) when the source is not what it should be."""

        def fill(out: CompressingWriter) -> None:
            with self._store.blobs.open(source.digest, source.size) as file:
                reader = DecompressingReader(file, digest=True)
                if epoch_s is None:
                    for piece in reader.chunks():
                        out.write(piece)
                else:
                    lower_times(reader, out, epoch_s)
            if reader.diff_id != source.diff_id:
                raise IntegrityError(
                    f"layer blob {source.digest} has diff ID {reader.diff_id}, expected {source.diff_id}",
                    code="diff-id-mismatch",
                )

        return self._written(fill, compression, epoch_s)

    def _written(
        self, fill: Callable[[CompressingWriter], None], compression: Compression, epoch_s: int | None
    ) -> BlobRow:
        with self._store.blobs.writer() as blob:
            out = CompressingWriter(blob, compression, self._pool)
            try:
                fill(out)
                diff_id = out.finish()
            finally:
                out.abandon()
            digest, size = blob.commit()
        return BlobRow(variant_name(compression.type, epoch_s), compression.media_type, digest, size, diff_id)
