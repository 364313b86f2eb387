"""A layer written straight from its source files into its compressed blob: the files move once.

It is unpacked to a directory only when somebody asks for a view of a chain that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bakehouse.snapshots.compression import CompressingWriter
from bakehouse.snapshots.tarformat import TarEntry
from bakehouse.snapshots.tarwriter import Source, TarWriter
from bakehouse.store.blobs import BlobWriter


class PackedLayer:
    """Made by `LayerStore.packed`. A context manager; leaving without `commit` discards. Not thread-safe.

    Members must come in the order of a layer tar: parents before their contents, names sorted in each directory.
    """

    def __init__(
        self,
        blob: BlobWriter,
        compressor: CompressingWriter,
        record: Callable[[BlobWriter, CompressingWriter, float | None], str],
    ) -> None:
        self._blob = blob
        self._compressor = compressor
        self._record = record
        self._tar = TarWriter(compressor)

    def add(self, entry: TarEntry, source: Source = None) -> None:
        """Appends one member. `source` holds its `entry.size` bytes: bytes, an open descriptor at its start
        (borrowed), or (directory descriptor, name); None for what has no data.

        Raises `IntegrityError` (`context-changed`) when the file is shorter or longer than `entry.size`."""
        self._tar.add(entry, source)

    def add_many(self, entries: Iterable[tuple[TarEntry, Source]]) -> None:
        """`add` for an iterable; much faster per member. Small files are best given as (directory fd, name)."""
        self._tar.add_many(entries)

    def whiteout(self, path: bytes) -> None:
        """Records that `path` of the chain below is deleted."""
        directory, slash, name = path.rpartition(b"/")
        self._tar.add(TarEntry(directory + slash + b".wh." + name, mode=0))

    @property
    def entries(self) -> int:
        """Members so far."""
        return self._tar.entries

    def commit(self, *, created_s: float | None = None) -> str:
        """Finishes blob and record; returns the layer id. Raises `EnvironmentFault` (`disk-full`)."""
        self._tar.finish()
        self._compressor.finish()
        return self._record(self._blob, self._compressor, created_s)

    def __enter__(self) -> PackedLayer:
        return self

    def __exit__(self, *exc: object) -> None:
        self._compressor.abandon()
        self._blob.discard()
