"""File trees as nodes in memory: what the content hash and the copy operation read from.

Role: one shape (`Node`, `FileTree`) for a context directory and for the mounted view of a layer chain, opened by
directory descriptors so that no symbolic link is ever followed by the kernel. Filtering (`sources.context_walk`),
hashing (`contenthash`) and writing (`ops.file_*`) do not belong here. Specification: engine.md §9, §11.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

from bakehouse.errors import DefinitionError, NotFoundError

#: Directories nested deeper than this are refused: every level costs a descriptor and a call frame.
MAX_DEPTH = 400
#: As many symbolic links as BuildKit follows in one resolution.
MAX_LINKS = 255

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO that took a file's place must not hang the build.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Node:
    """One file of a tree. `mode` is st_mode; `size` is 0 except for regular files; `link` is a symlink's target.

    `children` of a directory is None until it was listed; names are in byte order. `inode` identifies hard links
    together with `nlink` > 1. `digest` holds the content hash of the record once known (`sha256:…`).
    """

    __slots__ = (
        "children",
        "ctime_ns",
        "device",
        "digest",
        "gid",
        "inode",
        "link",
        "mode",
        "mtime_ns",
        "name",
        "nlink",
        "parent",
        "rdev",
        "size",
        "uid",
    )

    def __init__(self, name: str, parent: Node | None, status: os.stat_result) -> None:
        self.name = name
        self.parent = parent
        self.mode = mode = status.st_mode
        self.uid = status.st_uid
        self.gid = status.st_gid
        self.size = status.st_size if stat.S_ISREG(mode) else 0
        self.mtime_ns = status.st_mtime_ns
        self.ctime_ns = status.st_ctime_ns
        self.nlink = status.st_nlink
        self.inode = status.st_ino
        self.device = status.st_dev
        self.rdev = status.st_rdev
        self.link = ""
        self.children: dict[str, Node] | None = None
        self.digest = ""

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self.mode)

    @property
    def is_regular(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def path(self) -> str:
        """The absolute path in the tree; the root is `/`."""
        names = []
        node = self
        while node.parent is not None:
            names.append(node.name)
            node = node.parent
        return "/" + "/".join(reversed(names))

    @property
    def depth(self) -> int:
        count, node = 0, self
        while node.parent is not None:
            count += 1
            node = node.parent
        return count


class TreeReader:
    """Opens files of one tree relative to a stack of directory descriptors. For one thread at a time.

    Reading in tree order costs one `openat` a file. Every open uses O_NOFOLLOW.
    """

    def __init__(self, root: Node, root_path: Path) -> None:
        descriptor = os.open(root_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._stack: list[tuple[Node, int]] = [(root, descriptor)]

    def __enter__(self) -> TreeReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        while self._stack:
            os.close(self._stack.pop()[1])

    def directory(self, node: Node) -> int:
        """The descriptor of directory `node`; valid until another directory is asked for."""
        stack = self._stack
        if stack[-1][0] is node:
            return stack[-1][1]
        open_at = {id(held): position for position, (held, _) in enumerate(stack)}
        missing: list[Node] = []
        ancestor = node
        while id(ancestor) not in open_at:
            missing.append(ancestor)
            assert ancestor.parent is not None
            ancestor = ancestor.parent
        keep = open_at[id(ancestor)] + 1
        while len(stack) > keep:
            os.close(stack.pop()[1])
        for below in reversed(missing):
            descriptor = os.open(below.name, _DIRECTORY_FLAGS, dir_fd=stack[-1][1])
            stack.append((below, descriptor))
        return stack[-1][1]

    def open(self, node: Node) -> int:
        """A descriptor of regular file `node`; the caller closes it."""
        assert node.parent is not None
        return os.open(node.name, _FILE_FLAGS, dir_fd=self.directory(node.parent))

    def xattrs(self, node: Node) -> dict[str, bytes]:
        """The extended attributes of `node` itself (links are not followed); {} where there are none."""
        if node.parent is None:
            path = f"/proc/self/fd/{self._stack[0][1]}/."
        else:
            path = f"/proc/self/fd/{self.directory(node.parent)}/{node.name}"
        return read_xattrs(path)


def read_xattrs(path: str) -> dict[str, bytes]:
    """The extended attributes of `path` without following a link, less overlayfs's own bookkeeping."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.ENOSYS):
            return {}
        raise
    found = {}
    for name in names:
        if name.startswith(("trusted.overlay.", "user.overlay.")):
            continue
        try:
            found[name] = os.getxattr(path, name, follow_symlinks=False)
        except OSError:
            continue
    return found


def sort_names(names: list[str]) -> None:
    """Sorts file names in place by their bytes (code points differ only for names that are not UTF-8)."""
    names.sort()
    if not "".join(names).isascii():
        names.sort(key=os.fsencode)


class FileTree(Protocol):
    """A readable tree of nodes. `synced` marks a context, whose root has no metadata of its own (engine.md §9)."""

    @property
    def root(self) -> Node: ...

    @property
    def synced(self) -> bool: ...

    def children(self, node: Node) -> dict[str, Node]:
        """The children of directory `node` by name in byte order; empty for anything else."""
        ...

    def child(self, node: Node, name: str) -> Node | None:
        """The child `name` of `node`, or None."""
        ...

    def reader(self) -> TreeReader:
        """A new reader; the caller closes it."""
        ...

    def record(self, node: Node) -> str:
        """The content hash of one node's record, `sha256:…` (engine.md §9)."""
        ...

    def xattrs(self, node: Node) -> dict[str, bytes]:
        """The extended attributes that a copy of `node` carries."""
        ...


class DirectoryTree:
    """The tree of a directory on disk, listed as far as it is asked for. Thread-safe. A `FileTree`."""

    def __init__(self, root_path: Path) -> None:
        self.root_path = root_path
        self.synced = False
        self.root = Node("", None, os.lstat(root_path))
        self._lock = threading.RLock()
        self._reader: TreeReader | None = TreeReader(self.root, root_path)

    def __enter__(self) -> DirectoryTree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _own_reader(self) -> TreeReader:
        if self._reader is None:
            self._reader = TreeReader(self.root, self.root_path)
        return self._reader

    def reader(self) -> TreeReader:
        return TreeReader(self.root, self.root_path)

    def children(self, node: Node) -> dict[str, Node]:
        if node.children is not None:
            return node.children
        if not node.is_directory:
            return {}
        with self._lock:
            if node.children is None:
                check_depth(node)
                directory = self._own_reader().directory(node)
                names = os.listdir(directory)
                sort_names(names)
                node.children = {
                    name: made for name in names if (made := make_node(name, node, directory)) is not None
                }
            return node.children

    def child(self, node: Node, name: str) -> Node | None:
        return self.children(node).get(name)

    def record(self, node: Node) -> str:
        if not node.digest:
            with self._lock:
                self.hash_record(node, self.xattrs(node))
        return node.digest

    def hash_record(self, node: Node, xattrs: dict[str, bytes]) -> None:
        """Reads `node` and sets its digest."""
        from bakehouse.engine.contenthash import record_digest

        with self._lock:
            node.digest = record_digest(node, self._own_reader(), xattrs)

    def xattrs(self, node: Node) -> dict[str, bytes]:
        with self._lock:
            return self._own_reader().xattrs(node)


class EmptyTree:
    """Scratch: a root directory without entries. A `FileTree`."""

    def __init__(self) -> None:
        self.synced = True
        self.root = Node("", None, os.stat_result((stat.S_IFDIR | 0o755, *([0] * 9))))
        self.root.children = {}

    def children(self, node: Node) -> dict[str, Node]:
        return node.children or {}

    def child(self, node: Node, name: str) -> Node | None:
        return None

    def reader(self) -> TreeReader:
        raise NotFoundError("an empty tree has no files to open")

    def record(self, node: Node) -> str:
        raise NotFoundError("an empty tree has no files to hash")

    def xattrs(self, node: Node) -> dict[str, bytes]:
        return {}


def make_node(name: str, parent: Node, directory: int) -> Node | None:
    """The node of `name` in the open `directory`; None when it vanished in the meantime."""
    try:
        node = Node(name, parent, os.stat(name, dir_fd=directory, follow_symlinks=False))
        if stat.S_ISLNK(node.mode):
            node.link = os.readlink(name, dir_fd=directory)
    except FileNotFoundError:
        return None
    return node


def check_depth(node: Node) -> None:
    if node.depth >= MAX_DEPTH:
        raise DefinitionError(
            f"{node.path[:200]}…: directories are nested more than {MAX_DEPTH} deep", code="tree-too-deep"
        )


def walk(tree: FileTree, node: Node) -> Iterator[Node]:
    """`node` and all below it, a directory before its children, names in byte order."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        if current.is_directory:
            stack.extend(reversed(tree.children(current).values()))


def resolve(
    tree: FileTree,
    path: str,
    follow_last: bool,
    too_many: Callable[[], Exception] = lambda: NotFoundError("too many links", code="too-many-links"),
) -> tuple[str, Node | None]:
    """Resolves `path` beneath the root: (canonical path without symlinks, node or None when absent).

    Symlinks in parents are always followed, the last one with `follow_last`; `..` never leaves the root; components
    that do not exist are taken as they stand. Raises what `too_many` makes after 255 links.
    """
    stack: list[tuple[str, Node | None]] = [("", tree.root)]
    remaining = [part for part in reversed(path.split("/")) if part]
    links = 0
    while remaining:
        part = remaining.pop()
        if part == ".":
            continue
        if part == "..":
            if len(stack) > 1:
                stack.pop()
            continue
        above = stack[-1][1]
        found = tree.child(above, part) if above is not None else None
        if found is None or not found.is_symlink or (not remaining and not follow_last):
            stack.append((part, found))
            continue
        links += 1
        if links > MAX_LINKS:
            raise too_many()
        if found.link.startswith("/"):
            del stack[1:]
        remaining.extend(piece for piece in reversed(found.link.split("/")) if piece)
    return "/" + "/".join(name for name, _ in stack[1:]), stack[-1][1]
