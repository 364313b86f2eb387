"""Layer tars: from entries, and from the changes of a directory (containerd's archive.ChangeWriter).

Where entries come from a directory, the rules of BuildKit's layers hold: parents of a change are included once,
sockets are left out, times lose their fraction, deletions become `.wh.` members of time zero, a further name of a
file becomes a hard link to its first one, and `security.capability` is the only xattr.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from bakehouse.errors import IntegrityError
from bakehouse.linux.files import fd_path, get_xattr
from bakehouse.snapshots.changes import CAPABILITY, DELETE, UNMODIFIED, Change
from bakehouse.snapshots.compression import ByteSink
from bakehouse.snapshots.tarformat import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    END_OF_ARCHIVE,
    FIFO,
    HARDLINK,
    REGULAR,
    SYMLINK,
    WHITEOUT_PREFIX,
    TarEntry,
    encode_entry,
    padding,
)

#: Where the data of an entry is: bytes, an open file at its start (borrowed), a name in an open directory, nothing.
Source = bytes | int | tuple[int, bytes] | None

_BATCH = 1 << 20
_CHUNK = 1 << 20
_FORMS = {
    stat.S_IFREG: REGULAR,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class TarWriter:
    """Entries to tar bytes, handed to `out` in batches of about 1 MiB. Call `finish` once at the end.

    `max_mtime_s` lowers newer modification times. Not thread-safe.
    """

    def __init__(self, out: ByteSink, *, max_mtime_s: int | None = None) -> None:
        self._out = out
        self._max_mtime_s = max_mtime_s
        self._parts: list[bytes] = []
        self._size = 0
        self.entries = 0

    def add(self, entry: TarEntry, source: Source = None) -> None:
        """Appends one member. `source` must hold exactly `entry.size` bytes.

        Raises `IntegrityError` (`context-changed`) when it holds fewer or more."""
        self.add_many(((entry, source),))

    def add_many(self, entries: Iterable[tuple[TarEntry, Source]]) -> None:
        """`add` for many, the fast way."""
        parts, size, limit = self._parts, self._size, self._max_mtime_s
        for entry, source in entries:
            header = encode_entry(entry, limit)
            parts.append(header)
            size += len(header)
            self.entries += 1
            count = entry[6]
            if count:
                if type(source) is tuple and count < _CHUNK:
                    data = _read_small(source, entry)
                elif type(source) is bytes:
                    data = source
                    if len(data) != count:
                        raise changed_error(entry)
                else:
                    self._size = size
                    self._add_stream(entry, source)
                    size = self._size
                    continue
                parts.append(data)
                parts.append(padding(count))
                size += count + (-count % 512)
            if size >= _BATCH:
                self._size = size
                self.flush()
                size = 0
        self._size = size

    def _add_stream(self, entry: TarEntry, source: Source) -> None:
        if isinstance(source, tuple):
            fd = os.open(source[1], _READ, dir_fd=source[0])
            try:
                self._add_from(fd, entry)
            finally:
                os.close(fd)
        elif isinstance(source, int):
            self._add_from(source, entry)
        else:
            raise changed_error(entry)

    def _add_from(self, fd: int, entry: TarEntry) -> None:
        left = entry.size
        while left:
            data = os.read(fd, min(left, _CHUNK))
            if not data:
                raise changed_error(entry)
            left -= len(data)
            self._parts.append(data)
            self._size += len(data)
            if self._size >= _BATCH:
                self.flush()
        if os.read(fd, 1):
            raise changed_error(entry)
        self._parts.append(padding(entry.size))
        self._size += -entry.size % 512

    def flush(self) -> None:
        """Hands over what is buffered."""
        if self._parts:
            self._out.write(b"".join(self._parts))
            self._parts.clear()
            self._size = 0

    def finish(self) -> None:
        """Ends the archive."""
        self._parts.append(END_OF_ARCHIVE)
        self.flush()


def _read_small(source: tuple[int, bytes], entry: TarEntry) -> bytes:
    size = entry[6]
    fd = os.open(source[1], _READ, dir_fd=source[0])
    try:
        data = os.read(fd, size + 1)
        while len(data) < size and (more := os.read(fd, size + 1 - len(data))):
            data += more
    finally:
        os.close(fd)
    if len(data) != size:
        raise changed_error(entry)
    return data


def changed_error(entry: TarEntry) -> IntegrityError:
    return IntegrityError(
        f"{entry.path.decode('utf-8', 'backslashreplace')!r} changed while it was read",
        code="context-changed",
        hint="Build again when nothing else writes to the files.",
    )


def entry_of(
    path: bytes, status: os.stat_result, *, linkname: bytes = b"", capability: bytes | None = None
) -> TarEntry:
    """The entry of a file by its status. Sockets have none: they must be left out before."""
    kind = _FORMS[stat.S_IFMT(status.st_mode)]
    device = kind in (CHARACTER, BLOCK_DEVICE)
    return TarEntry(
        path,
        kind,
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        status.st_size if kind == REGULAR else 0,
        linkname,
        os.major(status.st_rdev) if device else 0,
        os.minor(status.st_rdev) if device else 0,
        ((CAPABILITY, capability),) if capability else (),
    )


class ChangeWriter:
    """Changes to members. `upper_fd` (borrowed) is the tree that holds the changed files."""

    def __init__(self, tar: TarWriter, upper_fd: int) -> None:
        self._tar = tar
        self._upper = upper_fd
        self._included: set[bytes] = set()
        self._link_sources: dict[int, bytes] = {}
        self._unmodified: dict[int, list[bytes]] = {}

    def write(self, change: Change) -> None:
        kind, path, status = change
        if kind == DELETE:
            directory, slash, name = path.rpartition(b"/")
            self._include_parents(path)
            self._tar.add(TarEntry(directory + slash + WHITEOUT_PREFIX + name, REGULAR, 0))
            return
        if stat.S_ISSOCK(status.st_mode):
            return
        extra: list[bytes] = []
        entry = self._entry(path, status)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            source = self._link_sources.get(status.st_ino)
            if source is not None:
                entry = entry._replace(type=HARDLINK, linkname=source, size=0)
            elif kind == UNMODIFIED:
                self._unmodified.setdefault(status.st_ino, []).append(path)
                return
            else:
                self._link_sources[status.st_ino] = path
                extra = self._unmodified.pop(status.st_ino, [])
        elif kind == UNMODIFIED:
            return
        self._include_parents(path)
        if entry.type == DIRECTORY:
            self._included.add(path)
        self._tar.add(entry, (self._upper, path) if entry.size else None)
        for other in extra:
            self._include_parents(other)
            self._tar.add(entry._replace(path=other, type=HARDLINK, linkname=path, size=0))

    def _entry(self, path: bytes, status: os.stat_result) -> TarEntry:
        linkname = os.readlink(path, dir_fd=self._upper) if stat.S_ISLNK(status.st_mode) else b""
        capability = (
            get_xattr(fd_path(self._upper, path), CAPABILITY) if _may_have_capability(status) else None
        )
        return entry_of(path, status, linkname=linkname, capability=capability)

    def _include_parents(self, path: bytes) -> None:
        parent = path.rpartition(b"/")[0]
        if not parent or parent in self._included:
            return
        self._included.add(parent)
        self._include_parents(parent)
        status = os.stat(parent, dir_fd=self._upper, follow_symlinks=False)
        self._tar.add(self._entry(parent, status))


def _may_have_capability(status: os.stat_result) -> bool:
    """The kernel keeps file capabilities on regular files only, but the attribute can be set on directories too."""
    return not stat.S_ISLNK(status.st_mode)
