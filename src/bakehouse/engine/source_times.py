"""The time of a remote source, which `SOURCE_DATE_EPOCH=context|NAME|STAGE` asks for (dockerfile.md §10.4)."""

from __future__ import annotations

import os

from bakehouse.engine.ops.file_archive import begins_archive
from bakehouse.engine.tree import EngineContext
from bakehouse.errors import IntegrityError
from bakehouse.llb.ops import SourceOp, Vertex
from bakehouse.solver.model import RunContext

_HEAD_BYTES = 1024
_NS = 1_000_000_000


def source_time(op: SourceOp, context: EngineContext, run: RunContext) -> int | None:
    """Seconds since the epoch: when the commit of a git source was made; the `Last-Modified` of an http source, else
    the time of the newest file in it when it is a tar; None when the source has no time. Call it in a worker thread."""
    vertex = Vertex(op)
    if op.identifier.startswith("git://"):
        from bakehouse.engine.sources.git import GitSource

        return GitSource(vertex, context).commit_time(run)
    from bakehouse.engine.sources.http import HttpSource

    source = HttpSource(vertex, context)
    modified = source.last_modified(run)
    if modified is not None:
        return modified
    (tree,) = source.run(run, ())
    with tree.mounted() as root, os.scandir(root) as entries:
        for entry in entries:
            return _newest_member(entry.path)
    return None


def _newest_member(path: str) -> int | None:
    from bakehouse.snapshots.compression import DecompressingReader
    from bakehouse.snapshots.tarformat import REGULAR
    from bakehouse.snapshots.tarreader import TarReader

    with open(path, "rb") as file:
        if not begins_archive(file.read(_HEAD_BYTES)):
            return None
        file.seek(0)
        try:
            times = [
                entry.mtime_ns // _NS
                for entry in TarReader(DecompressingReader(file))
                if entry.type == REGULAR
            ]
        except IntegrityError:
            # Not unpacked either: it is a plain file then.
            return None
    return max(times, default=None)
