"""Writing a finished `PackedDestination` into a layer blob, source files read once (design.md §3 point 5).

Role: the base that destination paths are looked up in, the tar entries with their bytes, and the tree that results,
which remembers its listing so that the next packed layer needs no unpacked copy of this one.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack

from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.nodes import DirectoryTree
from bakehouse.engine.ops.file_packed import Base, DirectoryBase, Entry, PackedDestination, PackedListing
from bakehouse.engine.tree import EngineContext, Tree
from bakehouse.errors import IntegrityError
from bakehouse.snapshots import LayerChain, TarEntry
from bakehouse.snapshots.tarformat import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARDLINK,
    REGULAR,
    SYMLINK,
)
from bakehouse.snapshots.tarwriter import Source
from bakehouse.solver.model import RunContext

_CAPABILITY = "security.capability"
_CHECK_EVERY = 1024
_TYPES = {
    stat.S_IFREG: REGULAR,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}


class PackedTree(LayerTree):
    """A `LayerTree` whose top layers were packed in this process and are known by their listing, over `floor`."""

    __slots__ = ("floor", "listing")

    def __init__(
        self, chain: LayerChain, context: EngineContext, listing: PackedListing, floor: LayerChain
    ) -> None:
        super().__init__(chain, context)
        self.listing = listing
        self.floor = floor


def open_base(below: Tree | None, stack: ExitStack) -> Base | None:
    """What destination paths are looked up in; a view that it takes is held open by `stack`. None for scratch."""
    if below is None:
        return None
    if isinstance(below, PackedTree):
        lower = None
        if below.floor.layers:
            lower = _directory_base(LayerTree(below.floor, below.context), stack)
        return below.listing.over(lower)
    if not below.chain().layers:
        return None
    return _directory_base(below, stack)


def _directory_base(tree: Tree, stack: ExitStack) -> DirectoryBase:
    root = stack.enter_context(tree.mounted())
    return DirectoryBase(stack.enter_context(DirectoryTree(root)))


def write_packed(
    destination: PackedDestination,
    below: Tree | None,
    context: EngineContext,
    description: str,
    run: RunContext,
) -> Tree:
    """Writes what differs from the base as one layer; returns the tree with it on top."""
    chain = below.chain() if below is not None else LayerChain(())
    floor = below.floor if isinstance(below, PackedTree) else chain
    with context.layers.packed(chain, description=description) as packed:
        try:
            packed.add_many(_members(destination, run))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise _vanished(error) from error
            raise
        layer = packed.commit()
    return PackedTree(chain.then(layer), context, destination.freeze(), floor)


def _vanished(error: OSError) -> IntegrityError:
    return IntegrityError(
        f"{os.fsdecode(error.filename or '')!r} vanished while it was copied",
        code="context-changed",
        hint="Build again when nothing writes to the files that are copied.",
    )


def _members(destination: PackedDestination, run: RunContext) -> Iterator[tuple[TarEntry, Source]]:
    for count, (components, entry, link) in enumerate(destination.entries()):
        if count % _CHECK_EVERY == 0:
            run.cancel.check()
        path = os.fsencode("/".join(components))
        if link is not None:
            yield _member(path, entry)._replace(type=HARDLINK, linkname=os.fsencode(link), size=0), None
        else:
            yield _member(path, entry), _source(entry)


def _source(entry: Entry) -> Source:
    content = entry.content
    if content is None or not content.size:
        return None
    if content.node is None:
        return content.data
    assert content.reader is not None and content.node.parent is not None
    return content.reader.directory(content.node.parent), os.fsencode(content.node.name)


def _member(path: bytes, entry: Entry) -> TarEntry:
    kind = _TYPES[stat.S_IFMT(entry.mode)]
    major = minor = 0
    if kind in (CHARACTER, BLOCK_DEVICE):
        major, minor = os.major(entry.rdev), os.minor(entry.rdev)
    # As containerd's layer writer, a layer keeps file capabilities and no other extended attribute.
    capability = entry.xattrs.get(_CAPABILITY)
    return TarEntry(
        path,
        kind,
        stat.S_IMODE(entry.mode),
        entry.uid,
        entry.gid,
        entry.mtime_ns,
        entry.size if kind == REGULAR else 0,
        os.fsencode(entry.link),
        major,
        minor,
        () if capability is None else ((_CAPABILITY, capability),),
    )
