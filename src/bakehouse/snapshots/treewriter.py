"""Tar members to files beneath a directory. The archive is not trusted.

No member leaves the directory: parents are found by `directories`, the last component is never followed, what exists
is replaced rather than written through. In the overlay form whiteouts become 0/0 character devices and opaque markers
become an xattr (see `marks`). Behaviour follows containerd's archive.Apply.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from bakehouse.errors import IntegrityError
from bakehouse.lazy import regex
from bakehouse.linux.files import copy_data, fd_path, remove_tree, write_all
from bakehouse.linux.namespaces import is_privileged, may_create_devices
from bakehouse.snapshots.attributes import (
    OwnerPolicy,
    apply_to_file,
    apply_to_name,
    copy_attributes,
    shown,
)
from bakehouse.snapshots.directories import OPEN_DIR, Directories, LowerTree
from bakehouse.snapshots.marks import is_whiteout, make_whiteout, mark_opaque
from bakehouse.snapshots.tarformat import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARDLINK,
    OPAQUE_MARKER,
    REGULAR,
    SYMLINK,
    WHITEOUT_PREFIX,
    TarEntry,
)
from bakehouse.snapshots.tarreader import TarReader

_UNCLEAN = regex(rb"(?:^|/)\.{0,2}(?:/|$)")
_IN_ONE_READ = 1 << 20
_MAX_NAME = 255
_MAX_PATH = 4096
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def clean_path(path: bytes) -> bytes:
    """The member's path relative to the root, without `.`, `..` and doubled slashes; `..` stops at the root."""
    path = path.rstrip(b"/")
    if not _UNCLEAN.search(path):
        return path
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            if parts:
                parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


class TreeWriter:
    """Writes members below the open directory `root_fd`, which it takes over. A context manager. Not thread-safe.

    With `opaque_xattr` (its name) the overlay form is written. `open_lower` opens the tree below when it is needed: for
    parents that the archive leaves out and for hard links to files that it does not hold. `used_lower` then tells
    that the result suits only that tree. Call `finish` after the last member: only then directories have their times.
    """

    def __init__(
        self,
        root_fd: int,
        *,
        opaque_xattr: str | None = None,
        open_lower: Callable[[], int] | None = None,
        owner: OwnerPolicy | None = None,
    ) -> None:
        self._opaque = opaque_xattr
        self._lower = LowerTree(open_lower)
        self._directories = Directories(root_fd, opaque_xattr, self._lower)
        self._owner = owner or OwnerPolicy()
        self._devices = may_create_devices()
        self._privileged = is_privileged()
        self._whiteouts: set[bytes] = set()
        self.size = 0
        self.skipped: list[bytes] = []

    def __enter__(self) -> TreeWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self._directories.close()
        self._lower.close()

    @property
    def used_lower(self) -> bool:
        return self._lower.used

    def write(self, entry: TarEntry, tar: TarReader) -> None:
        """Writes one member; its data is read from `tar`, whose current member it must be."""
        path = clean_path(entry.path)
        if not path:
            return
        parent, _, name = path.rpartition(b"/")
        if len(name) > _MAX_NAME or len(path) > _MAX_PATH:
            raise IntegrityError("invalid tar archive: a name is too long", code="tar-invalid")
        kind = entry.type
        if kind in (CHARACTER, BLOCK_DEVICE) and not self._devices:
            self.skipped.append(path)
            return
        parent_fd = self._directories.parent(parent)
        if self._opaque is not None and name.startswith(WHITEOUT_PREFIX):
            self._write_whiteout(parent_fd, parent, name, self._opaque)
        elif kind == REGULAR:
            self._write_regular(parent_fd, path, name, entry, tar)
        elif kind == DIRECTORY:
            self._write_directory(parent_fd, path, name, entry)
        elif kind == HARDLINK:
            self._write_link(path, name, entry)
        else:
            self._write_special(parent_fd, path, name, entry)

    def finish(self) -> None:
        """Gives directories their times. Call it once, after the last member."""
        self._directories.finish()

    # Files and directories -------------------------------------------------------------------------------------

    def _write_regular(
        self, parent_fd: int, path: bytes, name: bytes, entry: TarEntry, tar: TarReader
    ) -> None:
        try:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent_fd)
        except FileExistsError:
            self._clear(parent_fd, path, name)
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent_fd)
        try:
            if entry.size:
                if entry.size <= _IN_ONE_READ:
                    write_all(fd, tar.read())
                else:
                    for piece in tar.data():
                        write_all(fd, piece)
                self.size += entry.size
            apply_to_file(fd, entry, self._owner)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _write_directory(self, parent_fd: int, path: bytes, name: bytes, entry: TarEntry) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent_fd)
        except FileExistsError:
            self._make_room_for_directory(parent_fd, path, name)
        fd = os.open(name, OPEN_DIR | os.O_NOFOLLOW, dir_fd=parent_fd)
        try:
            late = not self._privileged and entry.mode & 0o700 != 0o700
            apply_to_file(fd, entry._replace(mode=entry.mode | 0o700) if late else entry, self._owner)
        except BaseException:
            os.close(fd)
            raise
        self._directories.finish_later(path, entry.mtime_ns, entry.mode if late else None)
        self._directories.remember(path, fd)

    def _make_room_for_directory(self, parent_fd: int, path: bytes, name: bytes) -> None:
        """Directories are merged; anything else of that name is replaced by a new directory."""
        status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            return
        self._clear(parent_fd, path, name)
        os.mkdir(name, 0o700, dir_fd=parent_fd)
        if path in self._whiteouts and self._opaque is not None:
            # The archive deletes the name and then makes it a directory: nothing below shows through.
            self._directories.mark_opaque(parent_fd, name)

    def _write_special(self, parent_fd: int, path: bytes, name: bytes, entry: TarEntry) -> None:
        try:
            _make_special(parent_fd, path, name, entry)
        except FileExistsError:
            self._clear(parent_fd, path, name)
            _make_special(parent_fd, path, name, entry)
        apply_to_name(parent_fd, name, entry, self._owner)

    # Hard links ------------------------------------------------------------------------------------------------

    def _write_link(self, path: bytes, name: bytes, entry: TarEntry) -> None:
        target = clean_path(entry.linkname)
        if target == path:
            return
        target_name = target.rpartition(b"/")[2]
        target_fd = self._directory_of_target(target)
        try:
            if stat.S_ISDIR(os.stat(target_name, dir_fd=target_fd, follow_symlinks=False).st_mode):
                raise IntegrityError(
                    f"invalid tar archive: {shown(path)} is a hard link to a directory", code="tar-invalid"
                )
            # Copying the target up may have closed the descriptor that `write` had.
            parent_fd = self._directories.parent(path.rpartition(b"/")[0])
            try:
                _link(target_fd, target_name, parent_fd, name)
            except FileExistsError:
                self._clear(parent_fd, path, name)
                _link(target_fd, target_name, parent_fd, name)
        finally:
            os.close(target_fd)
        apply_to_name(parent_fd, name, entry, self._owner)

    def _directory_of_target(self, target: bytes) -> int:
        """The open directory that holds a link's target, which is brought from the lower tree when need be."""
        directory, _, name = target.rpartition(b"/")
        try:
            fd = self._directories.open(directory)
        except OSError:
            pass
        else:
            if _exists(name, fd):
                return fd
            os.close(fd)
        self._copy_up(target)
        return self._directories.open(directory)

    def _copy_up(self, path: bytes) -> None:
        """Brings a file of the lower tree into this one, so that it can be linked to."""
        if not self._lower.exists:
            raise _dangling(path)
        try:
            source = self._lower.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            raise _dangling(path) from None
        try:
            status = os.fstat(source)
            if not stat.S_ISREG(status.st_mode):
                raise _dangling(path)
            parent, _, name = path.rpartition(b"/")
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=self._directories.parent(parent))
            try:
                copy_data(source, fd, status.st_size)
                copy_attributes(source, fd, status)
                os.utime(fd, ns=(status.st_mtime_ns, status.st_mtime_ns))
                self.size += status.st_size
            finally:
                os.close(fd)
        finally:
            os.close(source)

    # What goes away --------------------------------------------------------------------------------------------

    def _write_whiteout(self, parent_fd: int, parent: bytes, name: bytes, opaque: str) -> None:
        if name == OPAQUE_MARKER:
            mark_opaque(parent_fd, opaque)
            return
        if name.startswith(WHITEOUT_PREFIX * 2):
            return  # AUFS's own bookkeeping (.wh..wh.plnk and the like)
        hidden = name[len(WHITEOUT_PREFIX) :]
        if hidden in (b"", b".", b".."):
            raise IntegrityError(f"invalid tar archive: bad whiteout {shown(name)}", code="tar-invalid")
        try:
            make_whiteout(hidden, dir_fd=parent_fd)
        except FileExistsError:
            # A whiteout concerns lower layers only. What this layer itself brought stays, but a directory of it
            # must not be merged with the lower one.
            status = os.stat(hidden, dir_fd=parent_fd, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                self._directories.mark_opaque(parent_fd, hidden)
            return
        self._whiteouts.add(parent + b"/" + hidden if parent else hidden)

    def _clear(self, parent_fd: int, path: bytes, name: bytes) -> None:
        """Removes what stands in the way of a member."""
        status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode):
            # Paths may have been resolved through it, under any name.
            self._directories.forget_all_but(parent_fd)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=parent_fd)
            return
        self._directories.drop(path)
        remove_tree(fd_path(parent_fd, name))


def _make_special(parent_fd: int, path: bytes, name: bytes, entry: TarEntry) -> None:
    if entry.type == SYMLINK:
        if not entry.linkname:
            raise IntegrityError(
                f"invalid tar archive: the symbolic link {shown(path)} has no target", code="tar-invalid"
            )
        os.symlink(entry.linkname, name, dir_fd=parent_fd)
    elif entry.type == FIFO:
        os.mkfifo(name, 0o600, dir_fd=parent_fd)
    else:
        if not (0 <= entry.devmajor < 1 << 32 and 0 <= entry.devminor < 1 << 32):
            raise IntegrityError(
                f"invalid tar archive: {shown(path)} has an impossible device number", code="tar-invalid"
            )
        form = stat.S_IFBLK if entry.type == BLOCK_DEVICE else stat.S_IFCHR
        os.mknod(name, form | 0o600, os.makedev(entry.devmajor, entry.devminor), dir_fd=parent_fd)


def _link(target_fd: int, target_name: bytes, parent_fd: int, name: bytes) -> None:
    os.link(target_name, name, src_dir_fd=target_fd, dst_dir_fd=parent_fd, follow_symlinks=False)


def _exists(name: bytes, dir_fd: int) -> bool:
    try:
        return not is_whiteout(os.stat(name, dir_fd=dir_fd, follow_symlinks=False))
    except OSError:
        return False


def _dangling(path: bytes) -> IntegrityError:
    return IntegrityError(
        f"invalid tar archive: a hard link refers to {shown(path)}, which does not exist", code="tar-invalid"
    )
