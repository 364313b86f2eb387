"""Owners, modes, times and extended attributes that a tar states, put on files.

The order owner, attributes, mode is the one in which the kernel does not undo what was set before. What an archive may
not steer (`trusted.*`, overlayfs's own marks) is never set. Making files is `treewriter`'s business.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple

from bakehouse.errors import EnvironmentFault, IntegrityError
from bakehouse.linux.files import fd_path, list_xattrs
from bakehouse.snapshots.tarformat import SYMLINK, TarEntry

_FORBIDDEN = ("trusted.", "user.overlay.")


class OwnerPolicy(NamedTuple):
    """Whose the files shall be: `forced` (uid, gid) instead of what the archive states; `keep` leaves it alone."""

    forced: tuple[int, int] | None = None
    keep: bool = False

    def apply(self, target: int | bytes, entry: TarEntry, dir_fd: int | None = None) -> None:
        """Sets the owner of an open file, or of a name in `dir_fd`, which is not followed.

        Raises `IntegrityError` (`tar-invalid`) for an impossible owner, `EnvironmentFault` (`owner-not-permitted`)
        for one that this process may not set."""
        if self.keep:
            return
        uid, gid = self.forced if self.forced is not None else (entry.uid, entry.gid)
        try:
            if isinstance(target, int):
                os.fchown(target, uid, gid)
            else:
                os.chown(target, uid, gid, dir_fd=dir_fd, follow_symlinks=False)
        except OverflowError:
            raise IntegrityError(
                f"invalid tar archive: {shown(entry.path)} has owner {uid}:{gid}", code="tar-invalid"
            ) from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EINVAL):
                raise
            raise EnvironmentFault(
                f"cannot give {shown(entry.path)} the owner {uid}:{gid}: {error.strerror}",
                code="owner-not-permitted",
                hint="Run as root, or in a user namespace that maps enough ids (/etc/subuid, /etc/subgid).",
            ) from error


def apply_to_file(fd: int, entry: TarEntry, owner: OwnerPolicy) -> None:
    """Owner, extended attributes and mode of an open file or directory; its time is the caller's."""
    owner.apply(fd, entry)
    for key, value in entry.xattrs:
        _set_xattr(fd, key, value)
    os.fchmod(fd, entry.mode)


def apply_to_name(dir_fd: int, name: bytes, entry: TarEntry, owner: OwnerPolicy) -> None:
    """The same, and the time, for what cannot be opened without side effects; the name is not followed."""
    owner.apply(name, entry, dir_fd)
    for key, value in entry.xattrs:
        _set_xattr(fd_path(dir_fd, name), key, value)
    if entry.type != SYMLINK:
        _change_mode(dir_fd, name, entry.mode)
    os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=dir_fd, follow_symlinks=False)


def _change_mode(dir_fd: int, name: bytes, mode: int) -> None:
    """chmod of a name that is left alone when it is a symbolic link (a hard link's target may be one)."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            os.chmod(b"/proc/self/fd/%d" % fd, mode)
    finally:
        os.close(fd)


def _set_xattr(target: int | bytes, key: str, value: bytes) -> None:
    """What the file system cannot hold, and user attributes on things that cannot have any, are left out, as
    containerd does."""
    if key.startswith(_FORBIDDEN):
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


def copy_attributes(source_fd: int, target_fd: int, status: os.stat_result) -> None:
    """Gives the open target owner, extended attributes and mode of the open source, whose status is `status`."""
    os.fchown(target_fd, status.st_uid, status.st_gid)
    for key in list_xattrs(source_fd):
        if key.startswith(_FORBIDDEN):
            continue
        try:
            os.setxattr(target_fd, key, os.getxattr(source_fd, key))
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
    os.fchmod(target_fd, stat.S_IMODE(status.st_mode))


def shown(path: bytes) -> str:
    """A path of an archive for messages."""
    return repr(path.decode("utf-8", "backslashreplace"))
