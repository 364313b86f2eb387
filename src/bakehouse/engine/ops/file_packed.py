"""A destination that lives in memory and becomes a layer blob straight from the source files.

Role: what a directory on disk with the base below it would hold, known by metadata only, and its difference to the base
as tar entries in BuildKit's order. No file is read before `entries` is iterated. What cannot be told without a real
directory (deletions, content comparisons) raises `NeedsDirectory`. Decision: design.md §3 point 5.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from typing import Protocol

from bakehouse.engine.nodes import DirectoryTree, Node
from bakehouse.engine.ops.file_destination import Content, Metadata

_CAPABILITY = "security.capability"


class NeedsDirectory(Exception):
    """The difference cannot be told from metadata alone; the caller starts over with a prepared directory."""


class BaseEntry(Protocol):
    """What is known of a file of the base."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    rdev: int
    link: str

    @property
    def size(self) -> int: ...


class Base(Protocol):
    """A read-only tree below the destination, asked by resolved components."""

    def lookup(self, components: tuple[str, ...]) -> BaseEntry | None: ...

    def capability(self, components: tuple[str, ...]) -> bytes: ...


class DirectoryBase:
    """The base as a mounted view."""

    def __init__(self, tree: DirectoryTree) -> None:
        self._tree = tree

    def lookup(self, components: tuple[str, ...]) -> Node | None:
        node: Node | None = self._tree.root
        for name in components:
            node = self._tree.child(node, name) if node is not None else None
        return node

    def capability(self, components: tuple[str, ...]) -> bytes:
        node = self.lookup(components)
        return b"" if node is None else self._tree.xattrs(node).get(_CAPABILITY, b"")


class Entry:
    """One file of the destination; hard links share one. `in_base` marks what the base has unchanged or, for a
    directory, has too; `replaced` is the base's entry of that name when this one took its place."""

    __slots__ = (
        "_size",
        "children",
        "content",
        "gid",
        "in_base",
        "link",
        "mode",
        "mtime_ns",
        "path",
        "rdev",
        "replaced",
        "uid",
        "xattrs",
    )

    def __init__(self, mode: int, mtime_ns: int) -> None:
        self.mode = mode
        self.uid = 0
        self.gid = 0
        self.mtime_ns = mtime_ns
        self.rdev = 0
        self.link = ""
        self.xattrs: dict[str, bytes] = {}
        self.content: Content | None = None
        self._size = 0
        self.children: dict[str, Entry | None] | None = {} if stat.S_ISDIR(mode) else None
        self.path: tuple[str, ...] = ()
        self.in_base = False
        self.replaced: BaseEntry | None = None

    @property
    def size(self) -> int:
        return self.content.size if self.content is not None else self._size

    def forget_content(self) -> None:
        self._size = self.size
        self.content = None


class PackedDestination:
    """The `Destination` in memory. An open directory is its `Entry`; nothing is held open."""

    def __init__(self, base: Base | None) -> None:
        self._base = base
        self._top = Entry(stat.S_IFDIR | 0o755, time.time_ns())
        self._top.in_base = base is not None

    def root(self) -> Entry:
        return self._top

    def leave(self, directory: Entry) -> None:
        return

    def enter(self, directory: Entry, name: str) -> Entry:
        entry = self._find(directory, name)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if entry.children is None:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return entry

    def mode(self, directory: Entry, name: str) -> int | None:
        entry = self._find(directory, name)
        return None if entry is None else entry.mode

    def read_link(self, directory: Entry, name: str) -> str:
        entry = self._find(directory, name)
        assert entry is not None
        return entry.link

    def make_directory(self, directory: Entry, name: str, mode: int) -> None:
        if self._replaced(directory, name) is not None:
            raise NeedsDirectory  # would be an opaque directory
        self._add(directory, name, Entry(stat.S_IFDIR | mode, time.time_ns()))

    def make_file(self, directory: Entry, name: str, content: Content) -> None:
        entry = Entry(stat.S_IFREG | 0o600, time.time_ns())
        entry.content = content
        self._add(directory, name, entry)

    def make_hard_link(self, directory: Entry, name: str, target: tuple[str, ...]) -> None:
        holder: Entry = self._top
        for part in target[:-1]:
            holder = self.enter(holder, part)
        linked = self._find(holder, target[-1])
        assert linked is not None
        self._add(directory, name, linked, linked=True)

    def make_symlink(self, directory: Entry, name: str, target: str) -> None:
        entry = Entry(stat.S_IFLNK | 0o777, time.time_ns())
        entry.link = target
        self._add(directory, name, entry)

    def make_special(self, directory: Entry, name: str, mode: int, device: int) -> None:
        entry = Entry(mode, time.time_ns())
        entry.rdev = device
        self._add(directory, name, entry)

    def remove(self, directory: Entry, name: str) -> None:
        entry = self._find(directory, name)
        if entry is None:
            return
        assert directory.children is not None
        if entry.in_base or entry.replaced is not None:
            directory.children[name] = None
        else:
            del directory.children[name]
        directory.mtime_ns = time.time_ns()

    def apply(self, directory: Entry, name: str, metadata: Metadata) -> None:
        entry = self._find(directory, name)
        assert entry is not None
        if metadata.uid is not None and metadata.gid is not None:
            entry.uid = metadata.uid
            entry.gid = metadata.gid
        if metadata.mode is not None:
            entry.mode = stat.S_IFMT(entry.mode) | metadata.mode
        if metadata.mtime_ns is not None:
            entry.mtime_ns = metadata.mtime_ns
        if metadata.xattrs:
            entry.xattrs = {**entry.xattrs, **metadata.xattrs}

    # -- inside ---------------------------------------------------------------------------------------------------

    def _find(self, directory: Entry, name: str) -> Entry | None:
        children = directory.children
        assert children is not None
        if name in children:
            return children[name]
        if not directory.in_base or self._base is None:
            return None
        path = (*directory.path, name)
        known = self._base.lookup(path)
        if known is None:
            return None
        entry = children[name] = _copy_of(known, path)
        return entry

    def _replaced(self, directory: Entry, name: str) -> BaseEntry | None:
        if not directory.in_base or self._base is None:
            return None
        return self._base.lookup((*directory.path, name))

    def _add(self, directory: Entry, name: str, entry: Entry, linked: bool = False) -> None:
        if self._find(directory, name) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        assert directory.children is not None
        if directory.in_base:
            entry.replaced = self._replaced(directory, name)
        if entry.children is not None:
            entry.path = (*directory.path, name)
        if directory.mode & stat.S_ISGID and not linked:
            entry.gid = directory.gid
            if entry.children is not None:
                entry.mode |= stat.S_ISGID
        directory.children[name] = entry
        directory.mtime_ns = time.time_ns()

    # -- the difference -------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[tuple[tuple[str, ...], Entry, str | None]]:
        """(components, entry, path of the hard link it repeats or None) of all that differs from the base, with the
        parent directories of everything, in the order of a layer tar. Raises `NeedsDirectory` before the first one."""
        self._check_removals(self._top)
        yield from _Difference(self._base).below(self._top, ())

    def _check_removals(self, directory: Entry) -> None:
        pending = [directory]
        while pending:
            children = pending.pop().children
            for child in (children or {}).values():
                if child is None:
                    raise NeedsDirectory
                if child.replaced is not None and _needs_content(child, child.replaced):
                    raise NeedsDirectory
                if child.children:
                    pending.append(child)

    def freeze(self) -> "PackedListing":
        """The finished tree as a base for the next layer; the contents are let go."""
        pending = [self._top]
        while pending:
            for child in (pending.pop().children or {}).values():
                if child is None:
                    continue
                if child.children is None:
                    child.forget_content()
                    child.replaced = None
                else:
                    pending.append(child)
        return PackedListing(self._top, self._base)


class PackedListing:
    """What packed layers hold, as the base of the next one; below them, what their own base holds."""

    def __init__(self, top: Entry, base: Base | None) -> None:
        self._top = top
        self._base = base

    def over(self, base: Base | None) -> "PackedListing":
        """The same listing with its lowest base (a view that was closed meanwhile) opened anew."""
        lower = self._base.over(base) if isinstance(self._base, PackedListing) else base
        return PackedListing(self._top, lower)

    def lookup(self, components: tuple[str, ...]) -> BaseEntry | None:
        entry: Entry = self._top
        for position, name in enumerate(components):
            if entry.children is None:
                return None
            below = entry.children.get(name)
            if below is None:
                if entry.in_base and self._base is not None:
                    return self._base.lookup(components)
                return None
            entry = below
            if position + 1 < len(components) and entry.children is None:
                return None
        return entry

    def capability(self, components: tuple[str, ...]) -> bytes:
        found = self.lookup(components)
        if isinstance(found, Entry) and not found.in_base:
            return found.xattrs.get(_CAPABILITY, b"")
        return b"" if self._base is None else self._base.capability(components)


class _Difference:
    """Walks a destination in byte order of names; unchanged directories appear only above something that changed."""

    def __init__(self, base: Base | None) -> None:
        self._base = base
        self._links: dict[int, str] = {}
        self._pending: list[tuple[tuple[str, ...], Entry]] = []

    def below(
        self, directory: Entry, path: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], Entry, str | None]]:
        children = directory.children or {}
        names = [name for name, child in children.items() if child is not None]
        names.sort()
        if not "".join(names).isascii():
            names.sort(key=os.fsencode)
        for name in names:
            child = children[name]
            assert child is not None
            here = (*path, name)
            if child.children is None:
                if stat.S_ISSOCK(child.mode):
                    continue  # a tar cannot hold one
                if not child.in_base and not self._same(child, here):
                    yield from self._flushed()
                    yield here, child, self._link(child, here)
            else:
                yield from self._directory(child, here)

    def _directory(
        self, entry: Entry, path: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], Entry, str | None]]:
        self._pending.append((path, entry))
        if not self._same(entry, path):
            yield from self._flushed()
        yield from self.below(entry, path)
        if self._pending and self._pending[-1][1] is entry:
            self._pending.pop()

    def _flushed(self) -> Iterator[tuple[tuple[str, ...], Entry, str | None]]:
        for path, entry in self._pending:
            yield path, entry, None
        self._pending.clear()

    def _link(self, entry: Entry, path: tuple[str, ...]) -> str | None:
        if not stat.S_ISREG(entry.mode):
            return None
        known = self._links.setdefault(id(entry), "/".join(path))
        return known if known != "/".join(path) else None

    def _same(self, entry: Entry, path: tuple[str, ...]) -> bool:
        """BuildKit's test for an entry that was touched but is as before (times of directories do not count)."""
        before = entry.replaced
        if entry.in_base and self._base is not None:
            before = self._base.lookup(path)
        if before is None or self._base is None:
            return False
        if (entry.mode, entry.uid, entry.gid, entry.rdev) != (
            before.mode,
            before.uid,
            before.gid,
            before.rdev,
        ):
            return False
        if entry.children is None and (entry.size != before.size or entry.mtime_ns != before.mtime_ns):
            return False
        wanted = entry.xattrs.get(_CAPABILITY)
        if entry.in_base and wanted is None:
            return True
        return (wanted or b"") == self._base.capability(path)


def _needs_content(entry: Entry, before: BaseEntry) -> bool:
    """Whether only their bytes can tell two files apart: equal metadata with whole-second times."""
    return (
        entry.children is None
        and entry.mtime_ns % 1_000_000_000 == 0
        and (entry.mode, entry.uid, entry.gid, entry.rdev, entry.size, entry.mtime_ns)
        == (before.mode, before.uid, before.gid, before.rdev, before.size, before.mtime_ns)
    )


def _copy_of(known: BaseEntry, path: tuple[str, ...]) -> Entry:
    entry = Entry(known.mode, known.mtime_ns)
    entry.uid = known.uid
    entry.gid = known.gid
    entry.rdev = known.rdev
    entry.link = known.link
    entry._size = known.size
    entry.path = path
    entry.in_base = True
    return entry
