"""The marks of the overlay form: a deleted name, and a directory that hides the one below.

Overlayfs's own marks are used where they can be made: a character device 0/0, and an extended attribute. Some places
refuse them: a store on overlayfs itself (every container's root) takes no such device, one without extended attributes
or without the right to set them takes no such attribute. There a socket with mode 01000, which no tar holds and no
program makes, stands for the device, and such a socket named as in a layer tar for the attribute. The overlay driver
cannot work in such a place, so the kernel never reads them.
"""

from __future__ import annotations

import errno
import os
import stat

from bakehouse.linux import files
from bakehouse.linux.namespaces import in_user_namespace, is_privileged
from bakehouse.snapshots.tarformat import OPAQUE_MARKER

#: What overlayfs reads: as root of the machine, and in a user namespace.
OPAQUE_XATTRS = ("trusted.overlay.opaque", "user.overlay.opaque")
_STAND_IN = stat.S_IFSOCK | stat.S_ISVTX


def opaque_xattr() -> str:
    """The attribute that overlayfs reads in this process's user namespace."""
    return OPAQUE_XATTRS[1] if in_user_namespace() or not is_privileged() else OPAQUE_XATTRS[0]


def make_whiteout(name: bytes | str, *, dir_fd: int) -> None:
    """Marks `name` as deleted. Raises `FileExistsError` when something of that name is there."""
    try:
        files.make_whiteout(name, dir_fd=dir_fd)
    except PermissionError:
        os.mknod(name, _STAND_IN, dir_fd=dir_fd)


def is_whiteout(status: os.stat_result) -> bool:
    """True for the status of a mark of a deleted name."""
    return files.is_whiteout(status) or status.st_mode == _STAND_IN


def mark_opaque(directory: int, xattr: str) -> None:
    """Marks an open directory. Idempotent."""
    try:
        os.setxattr(directory, xattr, b"y")
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EPERM):
            raise
        try:
            os.mknod(OPAQUE_MARKER, _STAND_IN, dir_fd=directory)
        except FileExistsError:
            pass


def is_opaque(directory: int) -> bool:
    """True for an open directory that hides the one below."""
    if opaque_xattrs_of(directory):
        return True
    try:
        return is_whiteout(os.stat(OPAQUE_MARKER, dir_fd=directory, follow_symlinks=False))
    except FileNotFoundError:
        return False


def opaque_xattrs_of(directory: int) -> list[str]:
    """The names of the attributes by which an open directory is marked."""
    return [key for key in OPAQUE_XATTRS if files.get_xattr(directory, key) == b"y"]
