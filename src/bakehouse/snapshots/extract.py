"""Tar members to files beneath a directory, for layers and for ADD archives. The archive is not trusted.

No member leaves the directory: parents are opened as a process rooted there would open them, the last component is
never followed, existing things are replaced rather than written through. In the overlay form whiteouts become 0/0
character devices and opaque markers become an xattr. Behaviour follows containerd's archive.Apply.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bakehouse.errors import EnvironmentFault, IntegrityError
from bakehouse.linux.files import (
    copy_data,
    fd_path,
    is_whiteout,
    list_xattrs,
    make_whiteout,
    open_in_root,
    remove_tree,
    write_all,
)
from bakehouse.linux.namespaces import is_privileged, may_create_devices
from bakehouse.snapshots.compression import ByteSource, DecompressingReader
from bakehouse.snapshots.tarformat import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARDLINK,
    REGULAR,
    SYMLINK,
    TarEntry,
)
from bakehouse.snapshots.tarreader import TarLimits, TarReader
from bakehouse.store.faults import disk_errors

WHITEOUT_PREFIX = b".wh."
OPAQUE_MARKER = b".wh..wh..opq"
_UNCLEAN = re.compile(rb"(?:^|/)\.{0,2}(?:/|$)")
_IN_ONE_READ = 1 << 20
_CACHED_PARENTS = 128
_MAX_LINKS = 40
_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class ExtractResult:
    """Members read, bytes of file data, names of device nodes left out (no right to make them), and the kind of
    compression found."""

    entries: int
    size: int
    skipped: tuple[bytes, ...]
    compression: str


def extract_tar(
    stream: ByteSource,
    dest: Path | int,
    *,
    owner: tuple[int, int] | None = None,
    limits: TarLimits | None = None,
    on_entry: Callable[[TarEntry], None] | None = None,
    set_owner: bool = True,
) -> ExtractResult:
    """Unpacks a plain or compressed (gzip, zstd, bzip2, xz) tar below `dest`, a directory or a descriptor of one.

    Directories that exist are merged, other things replaced; names that begin with `.wh.` are ordinary. `owner`
    (uid, gid) replaces the owners that the archive states; `set_owner=False` leaves new files to the caller.
    Missing parents are made with mode 0755. Raises `IntegrityError` for a bad archive (what was unpacked by then
    stays) and `EnvironmentFault` (`disk-full`, `owner-not-permitted`).
    """
    reader = DecompressingReader(stream)
    tar = TarReader(reader, limits)
    root = os.dup(dest) if isinstance(dest, int) else os.open(dest, _OPEN_DIR)
    where = f"descriptor {dest}" if isinstance(dest, int) else os.fspath(dest)
    with TreeWriter(root, owner=owner, set_owner=set_owner) as tree, disk_errors(where):
        for entry in tar:
            if on_entry is not None:
                on_entry(entry)
            tree.write(entry, tar)
        tree.finish()
        return ExtractResult(tar.entries, tar.bytes, tuple(tree.skipped), reader.kind)


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
        owner: tuple[int, int] | None = None,
        set_owner: bool = True,
    ) -> None:
        self._root = root_fd
        self._opaque = opaque_xattr
        self._open_lower = open_lower
        self._lower = -1
        self._owner = owner
        self._set_owner = set_owner
        self._devices = may_create_devices()
        self._parents: dict[bytes, int] = {}
        # What directories get at the end: time, and the mode where it would keep a plain user out meanwhile.
        self._directories: dict[bytes, tuple[int, int | None]] = {}
        self._privileged = is_privileged()
        self._whiteouts: set[bytes] = set()
        self.used_lower = False
        self.size = 0
        self.skipped: list[bytes] = []

    def __enter__(self) -> TreeWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self._forget_parents()
        os.close(self._root)
        if self._lower >= 0:
            os.close(self._lower)

    # Members -----------------------------------------------------------------------------------------------

    def write(self, entry: TarEntry, tar: TarReader) -> None:
        """Writes one member; its data is read from `tar`, whose current member it must be."""
        path = clean_path(entry.path)
        if not path:
            return
        parent, _, name = path.rpartition(b"/")
        if len(name) > 255 or len(path) > 4096:
            raise IntegrityError("invalid tar archive: a name is too long", code="tar-invalid")
        kind = entry.type
        if kind in (CHARACTER, BLOCK_DEVICE) and not self._devices:
            self.skipped.append(path)
            return
        parent_fd = self._parent(parent)
        if self._opaque is not None and name.startswith(WHITEOUT_PREFIX):
            self._write_whiteout(parent_fd, parent, name, entry)
        elif kind == REGULAR:
            self._write_regular(parent_fd, path, name, entry, tar)
        elif kind == DIRECTORY:
            self._write_directory(parent_fd, path, name, entry)
        elif kind == HARDLINK:
            self._write_link(parent_fd, path, name, entry)
        else:
            self._write_special(parent_fd, path, name, entry)

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
            self._apply_attributes(fd, entry)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _write_directory(self, parent_fd: int, path: bytes, name: bytes, entry: TarEntry) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent_fd)
        except FileExistsError:
            status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                self._clear(parent_fd, path, name)
                os.mkdir(name, 0o700, dir_fd=parent_fd)
                if path in self._whiteouts and self._opaque is not None:
                    # The archive deletes the name and then makes it a directory: nothing below shows through.
                    os.setxattr(fd_path(parent_fd, name), self._opaque, b"y", follow_symlinks=False)
        fd = os.open(name, _OPEN_DIR | os.O_NOFOLLOW, dir_fd=parent_fd)
        try:
            late = not self._privileged and entry.mode & 0o700 != 0o700
            self._apply_attributes(fd, entry._replace(mode=entry.mode | 0o700) if late else entry)
        except BaseException:
            os.close(fd)
            raise
        self._directories[path] = (entry.mtime_ns, entry.mode if late else None)
        self._remember(path, fd)

    def _write_link(self, parent_fd: int, path: bytes, name: bytes, entry: TarEntry) -> None:
        target = clean_path(entry.linkname)
        target_parent, _, target_name = target.rpartition(b"/")
        if target == path:
            return
        try:
            target_fd = self._open_directory(target_parent)
        except OSError:
            target_fd = -1
        try:
            if target_fd < 0 or not _exists(target_name, target_fd):
                self._copy_up(target)
                if target_fd >= 0:
                    os.close(target_fd)
                target_fd = self._open_directory(target_parent)
            if stat.S_ISDIR(os.stat(target_name, dir_fd=target_fd, follow_symlinks=False).st_mode):
                raise IntegrityError(
                    f"invalid tar archive: {_shown(path)} is a hard link to a directory", code="tar-invalid"
                )
            parent_fd = self._parent(path.rpartition(b"/")[0])
            for _ in range(2):
                try:
                    os.link(
                        target_name,
                        name,
                        src_dir_fd=target_fd,
                        dst_dir_fd=parent_fd,
                        follow_symlinks=False,
                    )
                    break
                except FileExistsError:
                    self._clear(parent_fd, path, name)
        finally:
            if target_fd >= 0:
                os.close(target_fd)
        self._apply_to_name(parent_fd, path, name, entry)

    def _write_special(self, parent_fd: int, path: bytes, name: bytes, entry: TarEntry) -> None:
        for attempt in (1, 2):
            try:
                self._make_special(parent_fd, path, name, entry)
                break
            except FileExistsError:
                if attempt == 2:
                    raise
                self._clear(parent_fd, path, name)
        self._apply_to_name(parent_fd, path, name, entry)

    def _make_special(self, parent_fd: int, path: bytes, name: bytes, entry: TarEntry) -> None:
        if entry.type == SYMLINK:
            if not entry.linkname:
                raise IntegrityError(
                    f"invalid tar archive: the symbolic link {_shown(path)} has no target", code="tar-invalid"
                )
            os.symlink(entry.linkname, name, dir_fd=parent_fd)
        elif entry.type == FIFO:
            os.mkfifo(name, 0o600, dir_fd=parent_fd)
        else:
            if not (0 <= entry.devmajor < 1 << 32 and 0 <= entry.devminor < 1 << 32):
                raise IntegrityError(
                    f"invalid tar archive: {_shown(path)} has an impossible device number", code="tar-invalid"
                )
            form = stat.S_IFBLK if entry.type == BLOCK_DEVICE else stat.S_IFCHR
            os.mknod(name, form | 0o600, os.makedev(entry.devmajor, entry.devminor), dir_fd=parent_fd)

    def _write_whiteout(self, parent_fd: int, parent: bytes, name: bytes, entry: TarEntry) -> None:
        assert self._opaque is not None
        if name == OPAQUE_MARKER:
            os.setxattr(parent_fd, self._opaque, b"y")
            return
        if name.startswith(WHITEOUT_PREFIX * 2):
            return  # AUFS's own bookkeeping (.wh..wh.plnk and the like)
        hidden = name[len(WHITEOUT_PREFIX) :]
        if hidden in (b"", b".", b".."):
            raise IntegrityError(f"invalid tar archive: bad whiteout {_shown(name)}", code="tar-invalid")
        path = parent + b"/" + hidden if parent else hidden
        try:
            make_whiteout(hidden, dir_fd=parent_fd)
        except FileExistsError:
            # A whiteout concerns lower layers only. What this layer itself brought stays, but a directory of it
            # must not be merged with the lower one.
            status = os.stat(hidden, dir_fd=parent_fd, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                os.setxattr(fd_path(parent_fd, hidden), self._opaque, b"y", follow_symlinks=False)
            return
        self._whiteouts.add(path)

    # Attributes ----------------------------------------------------------------------------------------------

    def _apply_attributes(self, fd: int, entry: TarEntry) -> None:
        """Owner, then xattrs, then mode: changing the owner clears capabilities and set-id bits."""
        self._chown(fd, entry)
        for key, value in entry.xattrs:
            self._set_xattr(fd, key, value)
        os.fchmod(fd, entry.mode)

    def _apply_to_name(self, parent_fd: int, path: bytes, name: bytes, entry: TarEntry) -> None:
        """The same for what cannot be opened without side effects; the name is not followed."""
        self._chown(name, entry, dir_fd=parent_fd)
        for key, value in entry.xattrs:
            self._set_xattr(fd_path(parent_fd, name), key, value)
        if entry.type != SYMLINK:
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent_fd)
            try:
                if not stat.S_ISLNK(os.fstat(fd).st_mode):
                    os.chmod(b"/proc/self/fd/%d" % fd, entry.mode)
            finally:
                os.close(fd)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent_fd, follow_symlinks=False)

    def _chown(self, target: int | bytes, entry: TarEntry, dir_fd: int | None = None) -> None:
        if not self._set_owner:
            return
        uid, gid = self._owner if self._owner is not None else (entry.uid, entry.gid)
        try:
            if isinstance(target, int):
                os.fchown(target, uid, gid)
            else:
                os.chown(target, uid, gid, dir_fd=dir_fd, follow_symlinks=False)
        except OverflowError:
            raise IntegrityError(
                f"invalid tar archive: {_shown(entry.path)} has owner {uid}:{gid}", code="tar-invalid"
            ) from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EINVAL):
                raise
            raise EnvironmentFault(
                f"cannot give {_shown(entry.path)} the owner {uid}:{gid}: {error.strerror}",
                code="owner-not-permitted",
                hint="Run as root, or in a user namespace that maps enough ids (/etc/subuid, /etc/subgid).",
            ) from error

    @staticmethod
    def _set_xattr(target: int | bytes, key: str, value: bytes) -> None:
        """`trusted.*` is never taken from an archive (it steers overlayfs). What the file system cannot hold, and
        user attributes on things that cannot have any, are left out, as containerd does."""
        if key.startswith(("trusted.", "user.overlay.")):
            return
        try:
            if isinstance(target, int):
                os.setxattr(target, key, value)
            else:
                os.setxattr(target, key, value, follow_symlinks=False)
        except OSError as error:
            if error.errno == errno.ENOTSUP or (error.errno == errno.EPERM and key.startswith("user.")):
                return
            raise

    # Directories -----------------------------------------------------------------------------------------------

    def _parent(self, path: bytes) -> int:
        """An open descriptor of the directory `path`, made with its parents when missing. Borrowed."""
        if not path:
            return self._root
        fd = self._parents.get(path)
        if fd is not None:
            return fd
        try:
            fd = self._open_directory(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            fd = self._make_parents(path)
        self._remember(path, fd)
        return fd

    def _open_directory(self, path: bytes) -> int:
        return open_in_root(self._root, path or b".", _OPEN_DIR)

    def _remember(self, path: bytes, fd: int) -> None:
        if len(self._parents) >= _CACHED_PARENTS:
            self._forget_parents()
        old = self._parents.pop(path, None)
        if old is not None:
            os.close(old)
        self._parents[path] = fd

    def _forget_parents(self) -> None:
        for fd in self._parents.values():
            os.close(fd)
        self._parents.clear()

    def _make_parents(self, path: bytes) -> int:
        """Walks `path` within the root, following symbolic links even where they dangle, and makes what is missing,
        with the attributes of the lower tree's directory of that name."""
        pending = path.split(b"/")[::-1]
        done: list[bytes] = []
        links = 0
        while pending:
            part = pending.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                del done[-1:]
                continue
            here = self._open_directory(b"/".join(done))
            try:
                try:
                    status = os.stat(part, dir_fd=here, follow_symlinks=False)
                except FileNotFoundError:
                    self._make_implied(here, b"/".join([*done, part]), part)
                    done.append(part)
                    continue
                if stat.S_ISLNK(status.st_mode):
                    links += 1
                    if links > _MAX_LINKS:
                        raise IntegrityError(
                            f"invalid tar archive: too many symbolic links on the way to {_shown(path)}",
                            code="tar-invalid",
                        )
                    target = os.readlink(part, dir_fd=here)
                    if target.startswith(b"/"):
                        done.clear()
                    pending += target.split(b"/")[::-1]
                    continue
                if is_whiteout(status) and self._opaque is not None:
                    os.unlink(part, dir_fd=here)
                    os.mkdir(part, 0o755, dir_fd=here)
                    os.setxattr(fd_path(here, part), self._opaque, b"y", follow_symlinks=False)
                elif not stat.S_ISDIR(status.st_mode):
                    raise IntegrityError(
                        f"invalid tar archive: {_shown(path)} is used as a directory but is not one",
                        code="tar-invalid",
                    )
                done.append(part)
            finally:
                os.close(here)
        return self._open_directory(b"/".join(done))

    def _make_implied(self, parent_fd: int, path: bytes, name: bytes) -> None:
        os.mkdir(name, 0o755, dir_fd=parent_fd)
        fd = os.open(name, _OPEN_DIR | os.O_NOFOLLOW, dir_fd=parent_fd)
        try:
            os.fchmod(fd, 0o755)
            if self._owner is not None and self._set_owner:
                os.fchown(fd, *self._owner)
            if self._open_lower is None:
                return
            try:
                lower = open_in_root(self._lower_root(), path, _OPEN_DIR)
            except OSError:
                return
            try:
                status = os.fstat(lower)
                _copy_attributes(lower, fd, status)
                self._directories.setdefault(path, (status.st_mtime_ns, None))
            finally:
                os.close(lower)
        finally:
            os.close(fd)

    def _lower_root(self) -> int:
        assert self._open_lower is not None
        self.used_lower = True
        if self._lower < 0:
            self._lower = self._open_lower()
        return self._lower

    def _copy_up(self, path: bytes) -> None:
        """Brings a file of the lower tree into this one, so that it can be linked to."""
        if self._open_lower is None:
            raise _dangling(path)
        try:
            source = open_in_root(self._lower_root(), path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            raise _dangling(path) from None
        try:
            status = os.fstat(source)
            if not stat.S_ISREG(status.st_mode):
                raise _dangling(path)
            parent, _, name = path.rpartition(b"/")
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=self._parent(parent))
            try:
                copy_data(source, fd, status.st_size)
                _copy_attributes(source, fd, status)
                os.utime(fd, ns=(status.st_mtime_ns, status.st_mtime_ns))
                self.size += status.st_size
            finally:
                os.close(fd)
        finally:
            os.close(source)

    def _clear(self, parent_fd: int, path: bytes, name: bytes) -> None:
        """Removes what stands in the way of a member."""
        status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode):
            # Paths may have been resolved through it, under any name.
            for known in [key for key, fd in self._parents.items() if fd != parent_fd]:
                os.close(self._parents.pop(known))
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=parent_fd)
            return
        prefix = path + b"/"
        for known in [key for key in self._directories if key == path or key.startswith(prefix)]:
            del self._directories[known]
        remove_tree(fd_path(parent_fd, name))

    def finish(self) -> None:
        """Sets the times of directories, which making their entries had changed. Flushes nothing to disk."""
        for path, (mtime_ns, mode) in sorted(self._directories.items(), reverse=True):
            fd = self._parents.get(path)
            if fd is not None:
                _finish_directory(fd, mtime_ns, mode)
                continue
            try:
                parent, _, name = path.rpartition(b"/")
                parent_fd = self._open_directory(parent)
            except OSError:
                continue
            try:
                fd = os.open(name, _OPEN_DIR | os.O_NOFOLLOW, dir_fd=parent_fd)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise
                continue
            finally:
                os.close(parent_fd)
            try:
                _finish_directory(fd, mtime_ns, mode)
            finally:
                os.close(fd)


def _finish_directory(fd: int, mtime_ns: int, mode: int | None) -> None:
    os.utime(fd, ns=(mtime_ns, mtime_ns))
    if mode is not None:
        os.fchmod(fd, mode)


def _exists(name: bytes, dir_fd: int) -> bool:
    try:
        return not is_whiteout(os.stat(name, dir_fd=dir_fd, follow_symlinks=False))
    except OSError:
        return False


def _copy_attributes(source_fd: int, target_fd: int, status: os.stat_result) -> None:
    os.fchown(target_fd, status.st_uid, status.st_gid)
    for key in list_xattrs(source_fd):
        if key.startswith(("trusted.", "user.overlay.")):
            continue
        try:
            os.setxattr(target_fd, key, os.getxattr(source_fd, key))
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
    os.fchmod(target_fd, stat.S_IMODE(status.st_mode))


def _shown(path: bytes) -> str:
    return repr(path.decode("utf-8", "backslashreplace"))


def _dangling(path: bytes) -> IntegrityError:
    return IntegrityError(
        f"invalid tar archive: a hard link refers to {_shown(path)}, which does not exist", code="tar-invalid"
    )
