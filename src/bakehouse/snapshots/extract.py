"""Unpacking an archive of a stranger into a directory, for ADD and imports.

What a member becomes is `treewriter`'s business; layers are unpacked by `unpacking`, which knows whiteouts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bakehouse.snapshots.attributes import OwnerPolicy
from bakehouse.snapshots.compression import ByteSource, DecompressingReader
from bakehouse.snapshots.directories import OPEN_DIR
from bakehouse.snapshots.tarformat import TarEntry
from bakehouse.snapshots.tarreader import TarLimits, TarReader
from bakehouse.snapshots.treewriter import TreeWriter
from bakehouse.store.faults import disk_errors
from bakehouse.values import dataclass

#: Times before 1970 or after 2262 become 0, as where BuildKit unpacks.
_MAX_TIME_NS = (1 << 63) - 1
#: What an archive may hold besides its files' data, however little that is.
_OVERHEAD_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class ExtractResult:
    """Members read, bytes of file data, names of device nodes left out (no right to make them), and the kind of
    compression found."""

    entries: int
    size: int
    skipped: tuple[bytes, ...]
    compression: str


def extract_tar(
    stream: ByteSource,
    dest: Path | int,
    *,
    owner: tuple[int, int] | None = None,
    limits: TarLimits | None = None,
    on_entry: Callable[[TarEntry], None] | None = None,
    set_owner: bool = True,
) -> ExtractResult:
    """Unpacks a plain or compressed (gzip, zstd, bzip2, xz) tar below `dest`, a directory or a descriptor of one.

    Directories that exist are merged, other things replaced; names that begin with `.wh.` are ordinary. `owner`
    (uid, gid) replaces the owners that the archive states; `set_owner=False` leaves all files to the caller.
    Parents that the archive leaves out are the process's own with mode 0755, whatever `owner` says. Raises
    `IntegrityError` for a bad archive (what was unpacked by then stays) and `EnvironmentFault` (`disk-full`,
    `owner-not-permitted`).
    """
    limits = limits or TarLimits()
    # Headers and padding, too, are no more than the files that they belong to, but for many small ones.
    reader = DecompressingReader(stream, max_bytes=2 * limits.bytes + _OVERHEAD_BYTES)
    tar = TarReader(reader, limits)
    root = os.dup(dest) if isinstance(dest, int) else os.open(dest, OPEN_DIR)
    where = f"descriptor {dest}" if isinstance(dest, int) else os.fspath(dest)
    policy = OwnerPolicy(owner, keep=not set_owner)
    with TreeWriter(root, owner=policy) as tree, disk_errors(where):
        for entry in tar:
            if on_entry is not None:
                on_entry(entry)
            if not 0 <= entry.mtime_ns <= _MAX_TIME_NS:
                entry = entry._replace(mtime_ns=0)
            tree.write(entry, tar)
        tree.finish()
        return ExtractResult(tar.entries, tar.bytes, tuple(tree.skipped), reader.kind)
