"""Builds file trees on disk from short descriptions, and reads tars back, for the tests of this room."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

from bakehouse.engine.nodes import DirectoryTree
from bakehouse.engine.ops.file_destination import Destination
from bakehouse.engine.ops.file_pack import _members
from bakehouse.engine.ops.file_packed import DirectoryBase, PackedDestination
from bakehouse.progress.events import null_reporter
from bakehouse.snapshots.changes import double_walk
from bakehouse.snapshots.tarwriter import ChangeWriter, TarWriter
from bakehouse.solver.model import Cancellation, RunContext

TIME_NS = 1_600_000_000_500_000_000


def run_context(*, files_needed: bool = True) -> RunContext:
    return RunContext(null_reporter().vertex("sha256:0", "test"), Cancellation(), files_needed)


def make_tree(root: Path, files: dict[str, str | bytes | tuple[str, str]], mode: int = 0o644) -> Path:
    """`name` -> text is a file, `name/` -> "" a directory, ("link", target) a symlink, ("hard", other) a hard link.

    All times are TIME_NS; directories are 0755."""
    root.mkdir(parents=True, exist_ok=True)
    for name, what in files.items():
        path = root / name.rstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        elif isinstance(what, tuple):
            kind, target = what
            if kind == "link":
                os.symlink(target, path)
            else:
                os.link(root / target, path)
        else:
            path.write_bytes(what if isinstance(what, bytes) else what.encode())
            os.chmod(path, mode)
    for directory, _, _, descriptor in os.fwalk(root, topdown=False):
        os.chmod(directory, 0o755)
        for name in os.listdir(descriptor):
            os.utime(name, ns=(TIME_NS, TIME_NS), dir_fd=descriptor, follow_symlinks=False)
        os.utime(directory, ns=(TIME_NS, TIME_NS))
    return root


class Sink:
    def __init__(self) -> None:
        self.buffer = io.BytesIO()

    def write(self, data: bytes, /) -> object:
        return self.buffer.write(data)


def tar_of_difference(lower: Path, upper: Path) -> bytes:
    """The layer tar of what `upper` has over `lower`, by comparing both trees file by file."""
    sink = Sink()
    writer = TarWriter(sink)
    below, above = (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (lower, upper))
    try:
        changes = ChangeWriter(writer, above)
        for change in double_walk(above, below):
            changes.write(change)
    finally:
        os.close(below)
        os.close(above)
    writer.finish()
    return sink.buffer.getvalue()


def tar_of_packed(destination: PackedDestination) -> bytes:
    sink = Sink()
    writer = TarWriter(sink)
    writer.add_many(_members(destination, run_context()))
    writer.finish()
    return sink.buffer.getvalue()


def packed_over(base: Path | None) -> tuple[PackedDestination, DirectoryTree | None]:
    tree = None if base is None else DirectoryTree(base)
    return PackedDestination(None if tree is None else DirectoryBase(tree)), tree


def listing(data: bytes) -> list[tuple[object, ...]]:
    """What matters of every member, in order; current times (later than 2024) as "now"."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            content = hashlib.sha256(file.read()).hexdigest()[:12] if file is not None else ""
            time = "now" if member.mtime > 1_704_067_200 else int(member.mtime)
            found.append(
                (
                    member.name,
                    member.type,
                    oct(member.mode),
                    member.uid,
                    member.gid,
                    time,
                    member.size,
                    member.linkname,
                    content,
                )
            )
    return found


__all__ = ["Destination", "Sink", "listing", "make_tree", "packed_over", "run_context", "tar_of_difference"]
