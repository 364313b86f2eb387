"""Whole trees: copying one, stacking layer directories into one, writing one as a tar (fsutil.WriteTar).

`copy_tree` and `write_tree_tar` serve the `local` and `tar` exporters; `merge_layer` is what the copy driver does
instead of mounting.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bakehouse.linux.files import copy_data, fd_path, get_xattr, list_xattrs, remove_tree
from bakehouse.linux.namespaces import is_privileged
from bakehouse.snapshots.compression import ByteSink
from bakehouse.snapshots.marks import is_opaque, is_whiteout
from bakehouse.snapshots.tarformat import HARDLINK, SYMLINK, TarEntry
from bakehouse.snapshots.tarwriter import Source, TarWriter, entry_of
from bakehouse.store.faults import disk_errors

_OVERLAY_XATTRS = ("trusted.overlay.", "user.overlay.")
_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINK = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP})
_HALF_SECOND_NS = 500_000_000


class TreeCopier:
    """Copies files with their attributes, keeping hard links among what one instance copies.

    `link` makes hard links to the source instead of copies (for trees that nobody writes to); `set_owner` gives
    copies the owner of the source; `overlay` reads whiteouts and opaque marks as an overlayfs layer means them.
    """

    def __init__(self, *, link: bool = False, set_owner: bool = True, overlay: bool = False) -> None:
        self._link = link
        self._set_owner = set_owner
        self._overlay = overlay
        self._copied: dict[tuple[int, int], str] = {}

    def copy(self, source: int, target: int, where: str) -> None:
        """Copies everything in the open directory `source` into the open directory `target`, whose path is `where`.
        Directories are merged; anything else that is in the way is replaced."""
        for name in sorted(os.listdir(source)):
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
            if self._overlay and is_whiteout(status):
                _remove(name, target)
            elif stat.S_ISDIR(status.st_mode):
                self._copy_directory(name, source, target, where, status)
            elif not stat.S_ISSOCK(status.st_mode):
                self._copy_file(name, source, target, where, status)

    def _copy_directory(
        self, name: str, source: int, target: int, where: str, status: os.stat_result
    ) -> None:
        child = os.open(name, _OPEN_DIR, dir_fd=source)
        try:
            if self._overlay and is_opaque(child):
                _remove(name, target)
            try:
                os.mkdir(name, 0o700, dir_fd=target)
            except FileExistsError:
                if not stat.S_ISDIR(os.stat(name, dir_fd=target, follow_symlinks=False).st_mode):
                    _remove(name, target)
                    os.mkdir(name, 0o700, dir_fd=target)
            copy = os.open(name, _OPEN_DIR, dir_fd=target)
            try:
                self.copy(child, copy, f"{where}/{name}")
                self._attributes(child, copy, status)
                os.utime(copy, ns=(status.st_mtime_ns, status.st_mtime_ns))
            finally:
                os.close(copy)
        finally:
            os.close(child)

    def _copy_file(self, name: str, source: int, target: int, where: str, status: os.stat_result) -> None:
        identity = (status.st_dev, status.st_ino)
        origin = self._copied.get(identity) if status.st_nlink > 1 else None
        for attempt in (1, 2):
            try:
                if self._link and self._linked(name, source, target):
                    return
                if origin is not None:
                    os.link(origin, name, dst_dir_fd=target, follow_symlinks=False)
                    return
                self._make(name, source, target, status)
                break
            except FileExistsError:
                if attempt == 2:
                    raise
                _remove(name, target)
        if status.st_nlink > 1:
            self._copied[identity] = f"{where}/{name}"

    @staticmethod
    def _linked(name: str, source: int, target: int) -> bool:
        try:
            os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return False
        return True

    def _make(self, name: str, source: int, target: int, status: os.stat_result) -> None:
        if stat.S_ISREG(status.st_mode):
            self._make_regular(name, source, target, status)
            return
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
        if self._set_owner:
            os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
        for key in _plain_xattrs(fd_path(source, os.fsencode(name))):
            value = get_xattr(fd_path(source, os.fsencode(name)), key)
            if value is not None:
                _set_xattr(fd_path(target, os.fsencode(name)), key, value)
        os.utime(name, ns=(status.st_mtime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)

    def _make_regular(self, name: str, source: int, target: int, status: os.stat_result) -> None:
        reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=source)
        try:
            writing = os.open(
                name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=target
            )
            try:
                copy_data(reading, writing, status.st_size)
                self._attributes(reading, writing, status)
                os.utime(writing, ns=(status.st_mtime_ns, status.st_mtime_ns))
            finally:
                os.close(writing)
        finally:
            os.close(reading)

    def _attributes(self, source: int, target: int, status: os.stat_result) -> None:
        """Owner, xattrs, mode, in the order in which the kernel does not undo them."""
        if self._set_owner:
            os.fchown(target, status.st_uid, status.st_gid)
        for key in _plain_xattrs(source):
            value = get_xattr(source, key)
            if value is not None:
                _set_xattr(target, key, value)
        os.fchmod(target, stat.S_IMODE(status.st_mode))


def _plain_xattrs(path: bytes | int) -> list[str]:
    return [key for key in list_xattrs(path) if not key.startswith(_OVERLAY_XATTRS)]


def _set_xattr(path: bytes | int, key: str, value: bytes) -> None:
    try:
        if isinstance(path, int):
            os.setxattr(path, key, value)
        else:
            os.setxattr(path, key, value, follow_symlinks=False)
    except OSError as error:
        # A file system without xattrs, or an attribute that only privilege may set (exports by plain users).
        if error.errno not in (errno.ENOTSUP, errno.EPERM):
            raise


def _remove(name: str, dir_fd: int) -> None:
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        pass
    except (IsADirectoryError, PermissionError):
        remove_tree(fd_path(dir_fd, os.fsencode(name)))


def copy_tree(source: Path, dest: Path, *, set_owner: bool | None = None) -> None:
    """Copies the contents of `source` into `dest` (made with mode 0755 when missing), sharing blocks where the file
    system can. Modes, times, xattrs, hard links and symbolic links are kept, owners when `set_owner` (default: when
    the process may). Existing directories are merged, existing files replaced one by one; nothing is followed.

    Raises `EnvironmentFault` (`disk-full`) and `OSError`; what was copied by then stays."""
    owner = is_privileged() if set_owner is None else set_owner
    with disk_errors(dest):
        dest.mkdir(parents=True, exist_ok=True, mode=0o755)
        _copy_between(source, dest, TreeCopier(set_owner=owner))


def merge_layer(layer: Path, dest: Path, *, link: bool) -> None:
    """Puts one overlay-form layer directory on top of the plain tree `dest`."""
    with disk_errors(dest):
        _copy_between(layer, dest, TreeCopier(link=link, overlay=True, set_owner=is_privileged()))


def _copy_between(source: Path, dest: Path, copier: TreeCopier) -> None:
    reading = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        writing = os.open(dest, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            copier.copy(reading, writing, os.path.abspath(dest))
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def write_tree_tar(
    root: Path, out: ByteSink | TarWriter, *, prefix: bytes = b"", max_mtime_s: int | None = None
) -> None:
    """Writes the contents of `root` as BuildKit's tar exporter does: path order, times rounded to seconds, all
    xattrs, hard links to the first name, no sockets, no entry for the root itself.

    With `out` a `TarWriter`, members are added to it (below `prefix`, whose entry is the caller's to add) and it is
    not finished, so that several trees fit into one archive; else the archive is complete.
    """
    tar = out if isinstance(out, TarWriter) else TarWriter(out, max_mtime_s=max_mtime_s)
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        tar.add_many(_tree_entries(top, prefix + b"/" if prefix else b"", prefix, {}))
    finally:
        os.close(top)
    if tar is not out:
        tar.finish()


def _tree_entries(
    directory: int, path: bytes, prefix: bytes, links: dict[tuple[int, int], bytes]
) -> Iterator[tuple[TarEntry, Source]]:
    for name in sorted(os.fsencode(item) for item in os.listdir(directory)):
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISSOCK(status.st_mode):
            continue
        entry = _tree_entry(directory, name, path + name, status, prefix)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            first = links.setdefault((status.st_dev, status.st_ino), path + name)
            if first != path + name and entry.type != SYMLINK:
                entry = entry._replace(type=HARDLINK, linkname=first, size=0)
        yield entry, (directory, name) if entry.size else None
        if stat.S_ISDIR(status.st_mode):
            child = os.open(name, _OPEN_DIR, dir_fd=directory)
            try:
                yield from _tree_entries(child, path + name + b"/", prefix, links)
            finally:
                os.close(child)


def _tree_entry(directory: int, name: bytes, path: bytes, status: os.stat_result, prefix: bytes) -> TarEntry:
    linkname = b""
    if stat.S_ISLNK(status.st_mode):
        linkname = os.readlink(name, dir_fd=directory)
        if prefix and linkname.startswith(b"/"):
            linkname = b"/" + prefix + linkname
    xattrs = []
    for key in _plain_xattrs(fd_path(directory, name)):
        value = get_xattr(fd_path(directory, name), key)
        if value is not None:
            xattrs.append((key, value))
    return entry_of(path, status, linkname=linkname)._replace(
        mtime_ns=status.st_mtime_ns + _HALF_SECOND_NS, xattrs=tuple(xattrs)
    )
