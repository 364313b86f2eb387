"""Where file actions write: the interface, and a directory on disk behind it.

Role: primitive changes of a tree, one directory entry at a time, never through a symbolic link. What to change is
decided in `file_copy` and `file_actions`; the destination that becomes a layer blob without a directory is
`file_packed`. Names are `str` with surrogate escapes; times are ns since the epoch.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from bakehouse.engine.nodes import MAX_LINKS, Node, TreeReader
from bakehouse.errors import BakehouseError, DefinitionError, DeniedError, NotFoundError
from bakehouse.values import dataclass, field

D = TypeVar("D")

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_COPY_CHUNK = 1 << 20


@dataclass(slots=True)
class Metadata:
    """What to set on an entry. None leaves a value as it is; `mode` holds permission and special bits."""

    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    mtime_ns: int | None = None
    xattrs: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a regular file: `data`, or regular file `node` of the tree that `reader` reads."""

    data: bytes = b""
    reader: TreeReader | None = None
    node: Node | None = None

    @property
    def size(self) -> int:
        return self.node.size if self.node is not None else len(self.data)


class Destination(Protocol[D]):
    """A tree that actions change. `D` is an open directory; `enter` gives one that the caller must `leave`.

    `name` never holds a slash. Methods raise `OSError` with an errno; nothing follows a symlink.
    """

    def root(self) -> D: ...

    def enter(self, directory: D, name: str) -> D: ...

    def leave(self, directory: D) -> None: ...

    def mode(self, directory: D, name: str) -> int | None:
        """st_mode of an entry, or None when there is none."""
        ...

    def read_link(self, directory: D, name: str) -> str: ...

    def make_directory(self, directory: D, name: str, mode: int) -> None:
        """Makes a directory; below a set-group-id directory it inherits group and bit, as in the kernel."""
        ...

    def make_file(self, directory: D, name: str, content: Content) -> None: ...

    def make_hard_link(self, directory: D, name: str, target: tuple[str, ...]) -> None:
        """Links to the file at resolved components `target`."""
        ...

    def make_symlink(self, directory: D, name: str, target: str) -> None: ...

    def make_special(self, directory: D, name: str, mode: int, device: int) -> None: ...

    def remove(self, directory: D, name: str) -> None:
        """Removes an entry, a directory with all below it. Nothing happens when it is absent."""
        ...

    def apply(self, directory: D, name: str, metadata: Metadata) -> None: ...


class DirectoryDestination:
    """A directory on disk. An open directory is a descriptor."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self._root)

    def root(self) -> int:
        return self._root

    def enter(self, directory: int, name: str) -> int:
        return os.open(name, _DIRECTORY_FLAGS, dir_fd=directory)

    def leave(self, directory: int) -> None:
        if directory != self._root:
            os.close(directory)

    def mode(self, directory: int, name: str) -> int | None:
        try:
            return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return None

    def read_link(self, directory: int, name: str) -> str:
        return os.readlink(name, dir_fd=directory)

    def make_directory(self, directory: int, name: str, mode: int) -> None:
        os.mkdir(name, 0o700, dir_fd=directory)
        inherited = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode & stat.S_ISGID
        os.chmod(name, mode | inherited, dir_fd=directory)

    def make_file(self, directory: int, name: str, content: Content) -> None:
        target = os.open(
            name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory
        )
        try:
            if content.node is None:
                _write_all(target, content.data)
            elif content.node.size:
                assert content.reader is not None
                source = content.reader.open(content.node)
                try:
                    _copy_bytes(source, target, content.node.size)
                finally:
                    os.close(source)
        finally:
            os.close(target)

    def make_hard_link(self, directory: int, name: str, target: tuple[str, ...]) -> None:
        with open_directory(self, target[:-1]) as holder:
            if holder is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            os.link(target[-1], name, src_dir_fd=holder, dst_dir_fd=directory, follow_symlinks=False)

    def make_symlink(self, directory: int, name: str, target: str) -> None:
        os.symlink(target, name, dir_fd=directory)

    def make_special(self, directory: int, name: str, mode: int, device: int) -> None:
        os.mknod(name, mode, device, dir_fd=directory)

    def remove(self, directory: int, name: str) -> None:
        import shutil

        mode = self.mode(directory, name)
        if mode is None:
            return
        if stat.S_ISDIR(mode):
            shutil.rmtree(name, dir_fd=directory)
        else:
            os.unlink(name, dir_fd=directory)

    def apply(self, directory: int, name: str, metadata: Metadata) -> None:
        if metadata.uid is not None and metadata.gid is not None:
            os.chown(name, metadata.uid, metadata.gid, dir_fd=directory, follow_symlinks=False)
        if metadata.mode is not None:
            os.chmod(name, metadata.mode, dir_fd=directory)
        for key, value in metadata.xattrs.items():
            try:
                os.setxattr(f"/proc/self/fd/{directory}/{name}", key, value, follow_symlinks=False)
            except OSError as error:
                # As in BuildKit, an attribute that cannot be kept never fails a copy.
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                    raise
        if metadata.mtime_ns is not None:
            times = (metadata.mtime_ns, metadata.mtime_ns)
            os.utime(name, ns=times, dir_fd=directory, follow_symlinks=False)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _copy_bytes(source: int, target: int, size: int) -> None:
    """Copies a file inside the kernel where it can."""
    copied = 0
    try:
        while copied < size:
            step = os.copy_file_range(source, target, size - copied)
            if step == 0:
                break
            copied += step
    except OSError as error:
        if copied or error.errno not in (
            errno.ENOSYS,
            errno.EXDEV,
            errno.EPERM,
            errno.EIO,
            errno.EOPNOTSUPP,
            errno.EINVAL,
        ):
            raise
    while data := os.read(source, _COPY_CHUNK):
        _write_all(target, data)


# -- paths in a destination ---------------------------------------------------------------------------------------


def resolve_in(destination: Destination[D], path: str) -> tuple[str, ...]:
    """The components of `path` beneath the root with every symlink followed, the last one too; what does not exist
    is taken as it stands. `..` never leaves the root."""
    resolved: list[str] = []
    remaining = [part for part in reversed(path.split("/")) if part]
    links = 0
    while remaining:
        part = remaining.pop()
        if part == ".":
            continue
        if part == "..":
            del resolved[-1:]
            continue
        link = _link_at(destination, resolved, part)
        if link is None:
            resolved.append(part)
            continue
        links += 1
        if links > MAX_LINKS:
            raise DefinitionError(f"{path}: too many links", code="too-many-links")
        if link.startswith("/"):
            resolved.clear()
        remaining.extend(piece for piece in reversed(link.split("/")) if piece)
    return tuple(resolved)


def _link_at(destination: Destination[D], parents: list[str], name: str) -> str | None:
    with open_directory(destination, tuple(parents)) as directory:
        if directory is None:
            return None
        mode = destination.mode(directory, name)
        if mode is None or not stat.S_ISLNK(mode):
            return None
        return destination.read_link(directory, name)


@contextmanager
def open_directory(destination: Destination[D], components: tuple[str, ...]) -> Iterator[D | None]:
    """The directory at resolved `components`, or None where there is none."""
    current = destination.root()
    found = True
    try:
        for name in components:
            mode = destination.mode(current, name)
            if mode is None or not stat.S_ISDIR(mode):
                found = False
                break
            below = destination.enter(current, name)
            destination.leave(current)
            current = below
        yield current if found else None
    finally:
        destination.leave(current)


def mode_at(destination: Destination[D], components: tuple[str, ...]) -> int | None:
    """st_mode at resolved `components`; the root is a directory."""
    if not components:
        return stat.S_IFDIR | 0o755
    with open_directory(destination, components[:-1]) as directory:
        return None if directory is None else destination.mode(directory, components[-1])


def make_directories(
    destination: Destination[D], components: tuple[str, ...], mode: int, metadata: Metadata
) -> list[tuple[str, ...]]:
    """Makes the directories that are missing on the way to resolved `components`; returns those it made.

    Where something else is in the way it raises what BuildKit's walk down the path meets: `lstat /file/below: not a
    directory`, or `mkdir /path: not a directory` at the end."""
    made: list[tuple[str, ...]] = []
    for count in range(1, len(components) + 1):
        path = components[:count]
        with open_directory(destination, path[:-1]) as above:
            assert above is not None
            present = destination.mode(above, path[-1])
            if present is None:
                destination.make_directory(above, path[-1], mode & 0o777)
                destination.apply(above, path[-1], metadata)
                made.append(path)
            elif not stat.S_ISDIR(present):
                if count < len(components):
                    raise failure("lstat", components[: count + 1], errno.ENOTDIR)
                raise failure("mkdir", path, errno.ENOTDIR)
    return made


def failure(operation: str, path: tuple[str, ...] | str, number: int) -> BakehouseError:
    """An error worded as Go words it: `mkdir /x: not a directory`."""
    text = path if isinstance(path, str) else "/" + "/".join(path)
    reason = os.strerror(number)
    message = f"{operation} {text}: {reason[:1].lower()}{reason[1:]}"
    if number == errno.ENOENT:
        return NotFoundError(message, code="path-not-found")
    if number in (errno.EACCES, errno.EPERM):
        return DeniedError(message, code="permission-denied")
    return DefinitionError(message, code="file-operation-failed")
