"""A layer blob to a directory in overlay form."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bakehouse.errors import IntegrityError
from bakehouse.snapshots.compression import DecompressingReader, Prefetched
from bakehouse.snapshots.marks import opaque_xattr
from bakehouse.snapshots.tarreader import TarLimits, TarReader
from bakehouse.snapshots.treewriter import TreeWriter
from bakehouse.store.blobs import BlobStore
from bakehouse.store.layers import BlobRow
from bakehouse.values import dataclass


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Bytes of file data, and whether the directory suits only the chain that it was unpacked upon."""

    size: int
    bound: bool


def unpack_layer(
    blobs: BlobStore, blob: BlobRow, dest: Path, open_lower: Callable[[], int] | None
) -> Unpacked:
    """Unpacks `blob` to the new directory `dest`. `open_lower` opens the merged tree below, when it is needed.

    Digest, size and diff ID are verified by the time this returns. Raises `IntegrityError`; `dest` is then to be
    thrown away."""
    dest.mkdir(mode=0o755)
    os.chmod(dest, 0o755)
    root = os.open(dest, os.O_RDONLY | os.O_DIRECTORY)
    with (
        TreeWriter(root, opaque_xattr=opaque_xattr(), open_lower=open_lower) as tree,
        blobs.open(blob.digest, blob.size) as file,
    ):
        reader = DecompressingReader(file, digest=True)
        # Reading a plain tar ahead gains nothing; inflating one does.
        with ExitStack() as stack:
            source = reader if reader.kind == "uncompressed" else stack.enter_context(Prefetched(reader))
            tar = TarReader(source, TarLimits())
            for entry in tar:
                tree.write(entry, tar)
            tree.finish()
        if reader.diff_id != blob.diff_id:
            raise IntegrityError(
                f"layer blob {blob.digest} has diff ID {reader.diff_id}, expected {blob.diff_id}",
                code="diff-id-mismatch",
            )
        return Unpacked(tree.size, tree.used_lower)
