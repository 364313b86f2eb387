"""File calls that `os` lacks or spells awkwardly: openat2, renameat2, whiteouts, xattrs by descriptor-relative
name, data copies that share blocks where the file system can."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat

from bakehouse.linux.libc import SYS_OPENAT2, AnyPath, check, encoded, library

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

_FICLONE = 0x40049409
_COPY_CHUNK = 1 << 30
_READ_CHUNK = 1 << 20
_MAX_LINKS = 40
_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: What copy_file_range answers when two files cannot share the kernel's path.
_NO_RANGE_COPY = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.ETXTBSY, errno.EIO}
)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def openat2(dir_fd: int, path: AnyPath, flags: int, *, mode: int = 0, resolve: int = RESOLVE_IN_ROOT) -> int:
    """openat2(2) with O_CLOEXEC. Raises `OSError` ENOSYS before Linux 5.6 (and EPERM under old seccomp filters)."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    while True:
        result = library().syscall(
            ctypes.c_long(SYS_OPENAT2),
            ctypes.c_int(dir_fd),
            encoded(path),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        # EAGAIN: a rename raced with the walk and the kernel cannot prove that it stayed inside.
        if result >= 0 or ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            return check(result, path)


def open_in_root(root_fd: int, path: AnyPath, flags: int) -> int:
    """Opens `path` as a process with root directory `root_fd` would: `..` and absolute symlinks stay inside.

    Uses openat2 and, where the kernel lacks it, a walk of our own, which is as strict against a tree that nobody
    changes meanwhile.
    """
    try:
        return openat2(root_fd, path, flags, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    return walk_in_root(root_fd, path, flags)


def walk_in_root(root_fd: int, path: AnyPath, flags: int) -> int:
    """`open_in_root` without openat2: component by component, symlinks resolved by hand."""
    pending = [part for part in os.fsencode(path).split(b"/")[::-1] if part not in (b"", b".")]
    stack = [os.open(b".", os.O_PATH | os.O_DIRECTORY, dir_fd=root_fd)]
    links = 0
    try:
        while pending:
            part = pending.pop()
            if part == b"..":
                if len(stack) > 1:
                    os.close(stack.pop())
                continue
            status = os.stat(part, dir_fd=stack[-1], follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode) and (pending or not flags & os.O_NOFOLLOW):
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
                target = os.readlink(part, dir_fd=stack[-1])
                if target.startswith(b"/"):
                    while len(stack) > 1:
                        os.close(stack.pop())
                pending += [item for item in target.split(b"/")[::-1] if item not in (b"", b".")]
                continue
            if not pending:
                return os.open(part, flags | os.O_NOFOLLOW, dir_fd=stack[-1])
            stack.append(os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=stack[-1]))
        return os.open(b".", flags & ~os.O_NOFOLLOW, dir_fd=stack[-1])
    finally:
        for fd in stack:
            os.close(fd)


def renameat2(old_dir_fd: int, old: AnyPath, new_dir_fd: int, new: AnyPath, flags: int = 0) -> None:
    """renameat2(2) with RENAME_NOREPLACE or RENAME_EXCHANGE."""
    check(library().renameat2(old_dir_fd, encoded(old), new_dir_fd, encoded(new), flags), old, new)


def make_whiteout(name: AnyPath, *, dir_fd: int | None = None) -> None:
    """Creates overlayfs's mark of a deleted file: a character device 0/0. Linux lets any user make this one."""
    os.mknod(name, stat.S_IFCHR, 0, dir_fd=dir_fd)


def is_whiteout(status: os.stat_result) -> bool:
    """True for the status of an overlayfs whiteout."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def set_times(name: AnyPath, mtime_ns: int, *, dir_fd: int | None = None) -> None:
    """Sets access and modification time without following a symlink."""
    os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=dir_fd, follow_symlinks=False)


def get_xattr(path: AnyPath | int, name: str) -> bytes | None:
    """The value of one attribute; None when it is absent or the file system has no attributes.

    A path is not followed when it is a symlink; an int is an open (not O_PATH) descriptor.
    """
    try:
        if isinstance(path, int):
            return os.getxattr(path, name)
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return None
        raise


def list_xattrs(path: AnyPath | int) -> list[str]:
    """Names of all attributes, sorted; empty when the file system has none. Symlinks are not followed."""
    try:
        if isinstance(path, int):
            return sorted(os.listxattr(path))
        return sorted(os.listxattr(path, follow_symlinks=False))
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return []
        raise


def fd_path(dir_fd: int, name: bytes) -> bytes:
    """A path for calls that know no dir_fd (the xattr family): `name` below the open directory `dir_fd`."""
    return b"/proc/self/fd/%d/%s" % (dir_fd, name)


def clone_file(source_fd: int, target_fd: int) -> bool:
    """Makes `target_fd` share all blocks of `source_fd` (FICLONE). False where the file system cannot."""
    try:
        fcntl.ioctl(target_fd, _FICLONE, source_fd)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True


def copy_data(source_fd: int, target_fd: int, size: int) -> int:
    """Copies `size` bytes from the current offsets the cheapest way: reflink, copy_file_range, read and write.

    Returns the bytes copied: fewer than `size` when the source ended early. The target must be empty.
    """
    if size >= 4096 and clone_file(source_fd, target_fd):
        return size
    copied = 0
    while copied < size:
        try:
            count = os.copy_file_range(source_fd, target_fd, min(size - copied, _COPY_CHUNK))
        except OSError as error:
            if error.errno not in _NO_RANGE_COPY:
                raise
            return copied + _copy_by_hand(source_fd, target_fd, size - copied)
        if count == 0:
            # Some file systems answer 0 where reading still works; let read decide about the end.
            return copied + _copy_by_hand(source_fd, target_fd, size - copied)
        copied += count
    return copied


def _copy_by_hand(source_fd: int, target_fd: int, size: int) -> int:
    copied = 0
    while copied < size:
        data = os.read(source_fd, min(_READ_CHUNK, size - copied))
        if not data:
            break
        write_all(target_fd, data)
        copied += len(data)
    return copied


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Writes everything; os.write may stop early (always at 2 GiB)."""
    written = os.write(fd, data)
    while written < len(data):
        data = memoryview(data)[written:]
        written = os.write(fd, data)


def remove_tree(path: AnyPath) -> None:
    """Removes a directory tree of any depth; nothing happens when it is absent. Symlinks are not followed.

    Directories are moved up beside one another before they are emptied, so that neither path length, nor recursion,
    nor open descriptors grow with the depth; those that cannot be moved are emptied where they are. A directory that
    its owner may not read or write is opened up first.
    """
    try:
        root = os.open(path, _OPEN_DIR)
    except FileNotFoundError:
        return
    except PermissionError:
        os.chmod(path, 0o700)
        root = os.open(path, _OPEN_DIR)
    try:
        _open_up(root)
        moved = 0
        while names := os.listdir(root):
            for name in names:
                moved = _remove_entry(root, name, moved)
    finally:
        os.close(root)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass


def _open_up(fd: int) -> None:
    mode = os.fstat(fd).st_mode
    if mode & 0o700 != 0o700 and os.geteuid() != 0:
        os.fchmod(fd, 0o700)


def _remove_entry(root: int, name: str, moved: int) -> int:
    """Removes one entry of `root`; its sub-directories become entries of `root`. Returns the next free number."""
    if _removed_at_once(root, name):
        return moved
    fd = os.open(name, _OPEN_DIR, dir_fd=root)
    try:
        for child in os.listdir(fd):
            if not _removed_at_once(fd, child):
                moved = _move_up(fd, child, root, moved)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=root)
    return moved


def _removed_at_once(dir_fd: int, name: str) -> bool:
    """Removes what is not a directory with entries; False for one, which can then be opened and written to."""
    try:
        os.unlink(name, dir_fd=dir_fd)
        return True
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):
        pass
    try:
        os.rmdir(name, dir_fd=dir_fd)
        return True
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if os.geteuid() != 0:
        os.chmod(name, 0o700, dir_fd=dir_fd)
    return False


def _move_up(fd: int, child: str, root: int, moved: int) -> int:
    while True:
        moved += 1
        try:
            renameat2(fd, child, root, f".remove-{moved}", RENAME_NOREPLACE)
            return moved
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        # Overlayfs renames no directory that comes from a lower layer.
        _remove_in_place(fd, child)
        return moved


def _remove_in_place(parent: int, name: str) -> None:
    """Removes the directory `name` of `parent` from its leaves up, with one open descriptor, whatever the depth."""
    path = [name]
    fd = os.open(name, _OPEN_DIR, dir_fd=parent)
    try:
        pending = [os.listdir(fd)]
        while path:
            if pending[-1]:
                child = pending[-1].pop()
                if not _removed_at_once(fd, child):
                    path.append(child)
                    fd = _exchanged(fd, os.open(child, _OPEN_DIR, dir_fd=fd))
                    pending.append(os.listdir(fd))
            else:
                pending.pop()
                emptied = path.pop()
                fd = _exchanged(fd, _open_below(parent, path))
                os.rmdir(emptied, dir_fd=fd)
    finally:
        os.close(fd)


def _exchanged(old: int, new: int) -> int:
    os.close(old)
    return new


def _open_below(parent: int, path: list[str]) -> int:
    """The directory at `path`, opened component by component: the path may be longer than a call takes."""
    fd = os.dup(parent)
    for name in path:
        try:
            below = os.open(name, _OPEN_DIR, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd
