"""How layer directories become one tree: mounted as an overlay, or copied together.

A driver is given directories in overlay form (lowest first) and knows no records. Both leave a finished step as an
upper directory in overlay form, so layers do not tell which driver made them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bakehouse.errors import EnvironmentFault
from bakehouse.linux.files import get_xattr, remove_tree
from bakehouse.linux.mounts import MNT_DETACH, can_mount_overlay, overlay, umount
from bakehouse.linux.namespaces import in_user_namespace, is_privileged
from bakehouse.snapshots.changes import DELETE, UNMODIFIED, Change, double_walk
from bakehouse.snapshots.marks import make_whiteout, opaque_xattrs_of
from bakehouse.snapshots.trees import merge_layer

#: Overlayfs takes 500 lower directories; above this the tree is put together by copying.
MAX_OVERLAY_LAYERS = 480

_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Driver(Protocol):
    """`area` is a fresh directory of the caller's, on the store's file system; `at` a fresh empty mount point."""

    name: str

    def view(self, lowers: Sequence[Path], at: Path) -> None:
        """Makes `at` show the merged tree of at least one layer. `close` undoes it."""
        ...

    def prepare(self, lowers: Sequence[Path], area: Path, at: Path) -> Path:
        """Makes a writable merged tree and returns its root."""
        ...

    def finish(self, lowers_view: Path | None, area: Path, at: Path) -> Path:
        """Ends writing; returns the upper directory, within `area`. `lowers_view` shows the tree below."""
        ...

    def close(self, at: Path) -> None:
        """Takes away what was shown at `at`. Idempotent."""
        ...


def choose_driver(wanted: str, directory: Path) -> Driver:
    """The driver called `wanted` (`auto`, `overlay`, `copy`) for a store whose temporary files are in `directory`.

    Raises `EnvironmentFault` (`no-overlay`) when overlay is demanded and cannot be mounted."""
    if wanted == "copy":
        return CopyDriver()
    userxattr = in_user_namespace()
    if can_mount_overlay(directory, userxattr=userxattr):
        return OverlayDriver(userxattr)
    if wanted == "overlay":
        raise EnvironmentFault(
            f"overlayfs cannot be mounted below {directory}",
            code="no-overlay",
            hint="Run as root or in a user namespace (Linux 5.11), keep the store on ext4, xfs, btrfs or tmpfs,"
            " or choose the copy driver.",
        )
    return CopyDriver()


class OverlayDriver:
    """Overlayfs mounts in the calling thread's mount namespace."""

    name = "overlay"

    def __init__(self, userxattr: bool) -> None:
        self._userxattr = userxattr

    def view(self, lowers: Sequence[Path], at: Path) -> None:
        if len(lowers) > MAX_OVERLAY_LAYERS:
            CopyDriver().view(lowers, at)
            return
        # A read-only overlay needs two directories; the empty one also makes a single layer's whiteouts vanish.
        empty = at.with_name(at.name + ".empty")
        empty.mkdir()
        overlay(at, [empty, *lowers], userxattr=self._userxattr)

    def prepare(self, lowers: Sequence[Path], area: Path, at: Path) -> Path:
        upper, work = area / "fs", area / "work"
        upper.mkdir(mode=0o755)
        os.chmod(upper, 0o755)
        if not lowers:
            return upper
        work.mkdir()
        _inherit_owner(lowers[-1], upper)
        if len(lowers) > MAX_OVERLAY_LAYERS:
            base = area / "base"
            base.mkdir()
            CopyDriver().view(lowers, base)
            lowers = [base]
        overlay(at, lowers, upper=upper, work=work, userxattr=self._userxattr)
        return at

    def finish(self, lowers_view: Path | None, area: Path, at: Path) -> Path:
        if lowers_view is not None:
            self.close(at)
        return area / "fs"

    def close(self, at: Path) -> None:
        try:
            umount(at, MNT_DETACH)
        except OSError as error:
            # EINVAL: not a mount point, so what is there was put together by copying (or is gone already).
            if error.errno not in (errno.EINVAL, errno.ENOENT):
                raise
        remove_tree(at)
        remove_tree(at.with_name(at.name + ".empty"))


_COPIED = "copied"


class CopyDriver:
    """No mounts: views are trees of hard links to layer files, writable trees are copies."""

    name = "copy"

    def view(self, lowers: Sequence[Path], at: Path) -> None:
        for lower in lowers:
            merge_layer(lower, at, link=True)

    def prepare(self, lowers: Sequence[Path], area: Path, at: Path) -> Path:
        root = area / "merged"
        root.mkdir(mode=0o755)
        os.chmod(root, 0o755)
        for lower in lowers:
            merge_layer(lower, root, link=False)
        # When it was made: what has a later change time was touched.
        (area / _COPIED).touch()
        return root

    def finish(self, lowers_view: Path | None, area: Path, at: Path) -> Path:
        root = area / "merged"
        if lowers_view is None:
            return root
        upper = area / "fs"
        upper.mkdir(mode=0o755)
        os.chmod(upper, 0o755)
        _separate(root, lowers_view, upper, os.stat(area / _COPIED).st_ctime_ns)
        return upper

    def close(self, at: Path) -> None:
        remove_tree(at)


def _inherit_owner(lower: Path, upper: Path) -> None:
    status = os.stat(lower)
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(upper, status.st_uid, status.st_gid)


def _separate(root: Path, lower: Path, upper: Path, copied_ns: int) -> None:
    """Moves what `root` changed upon `lower` into `upper`, as overlayfs would have left it there."""
    fds = [os.open(path, _OPEN_DIR) for path in (root, lower, upper)]
    try:
        changes = list(double_walk(fds[0], fds[1], touched_since_ns=copied_ns))
        inodes = {change.status.st_ino for change in changes if change.kind not in (DELETE, UNMODIFIED)}
        times: dict[bytes, tuple[os.stat_result, int]] = {}
        for change in changes:
            if change.kind == UNMODIFIED and change.status.st_ino not in inodes:
                continue
            _move(change, fds[0], fds[2], times)
        for path, (status, source) in reversed(times.items()):
            _dress(path, status, source, fds[2])
    finally:
        for fd in fds:
            os.close(fd)


def _move(change: Change, source: int, upper: int, made: dict[bytes, tuple[os.stat_result, int]]) -> None:
    kind, path, status = change
    parent = path.rpartition(b"/")[0]
    parts = parent.split(b"/") if parent else []
    for count in range(1, len(parts) + 1):
        directory = b"/".join(parts[:count])
        if directory not in made:
            made[directory] = (os.stat(directory, dir_fd=source, follow_symlinks=False), source)
            _open_for_moving(directory, source)
            os.mkdir(directory, 0o700, dir_fd=upper)
    if kind == DELETE:
        make_whiteout(path, dir_fd=upper)
    elif stat.S_ISDIR(status.st_mode):
        made[path] = (status, source)
        _open_for_moving(path, source)
        os.mkdir(path, 0o700, dir_fd=upper)
    else:
        os.rename(path, path, src_dir_fd=source, dst_dir_fd=upper)


def _open_for_moving(path: bytes, source: int) -> None:
    """A plain user cannot move files out of a directory that forbids him writing; the original mode is noted."""
    if not is_privileged():
        os.chmod(path, 0o700, dir_fd=source)


def _dress(path: bytes, status: os.stat_result, source: int, upper: int) -> None:
    """Gives a directory that was made for its contents the attributes of the original, deepest first."""
    target = os.open(path, _OPEN_DIR, dir_fd=upper)
    original = os.open(path, _OPEN_DIR, dir_fd=source)
    try:
        if is_privileged():
            os.fchown(target, status.st_uid, status.st_gid)
        for key in os.listxattr(original):
            value = get_xattr(original, key)
            if value is not None:
                os.setxattr(target, key, value)
        os.fchmod(target, stat.S_IMODE(status.st_mode))
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
    finally:
        os.close(original)
        os.close(target)


def has_opaque_marks(upper: int) -> bool:
    """True when some directory below the open directory `upper` is marked opaque."""
    with os.scandir(upper) as items:
        names = [os.fsencode(item.name) for item in items if item.is_dir(follow_symlinks=False)]
    for name in names:
        child = os.open(name, _OPEN_DIR, dir_fd=upper)
        try:
            if opaque_xattrs_of(child) or has_opaque_marks(child):
                return True
        finally:
            os.close(child)
    return False


def normalise_upper(upper: int, lower: int | None) -> list[bytes]:
    """Makes an overlay upper directory mean the same upon any tree, and returns the directories it replaced.

    Overlayfs marks every new directory in a merged one opaque. Upon the tree `lower` that it was made on, such a
    mark says nothing when there is no directory below; upon another tree it would hide that tree's files. Where a
    lower directory is hidden, its entries get whiteouts instead. Modification times are kept.
    """
    replaced: list[bytes] = []
    _normalise(upper, lower, b"", replaced)
    return replaced


def _normalise(upper: int, lower: int | None, prefix: bytes, replaced: list[bytes]) -> None:
    with os.scandir(upper) as items:
        names = [os.fsencode(item.name) for item in items if item.is_dir(follow_symlinks=False)]
    for name in names:
        child = os.open(name, _OPEN_DIR, dir_fd=upper)
        base = _lower_directory(lower, name)
        try:
            marks = opaque_xattrs_of(child)
            if marks:
                if base is not None:
                    replaced.append(prefix + name)
                    _hide_lower(child, base)
                for key in marks:
                    os.removexattr(child, key)
            _normalise(child, base, prefix + name + b"/", replaced)
        finally:
            os.close(child)
            if base is not None:
                os.close(base)


def _hide_lower(upper: int, lower: int) -> None:
    """Whiteouts for all that is in `lower` and not in `upper`, at any depth."""
    status = os.fstat(upper)
    present = set(os.listdir(upper))
    hidden = [name for name in os.listdir(lower) if name not in present]
    for name in hidden:
        make_whiteout(name, dir_fd=upper)
    if hidden:
        os.utime(upper, ns=(status.st_atime_ns, status.st_mtime_ns))
    for name in present:
        if not stat.S_ISDIR(os.stat(name, dir_fd=upper, follow_symlinks=False).st_mode):
            continue
        base = _lower_directory(lower, os.fsencode(name))
        if base is None:
            continue
        child = os.open(name, _OPEN_DIR, dir_fd=upper)
        try:
            _hide_lower(child, base)
        finally:
            os.close(child)
            os.close(base)


def _lower_directory(lower: int | None, name: bytes) -> int | None:
    if lower is None:
        return None
    try:
        return os.open(name, _OPEN_DIR, dir_fd=lower)
    except OSError:
        return None


__all__ = [
    "CopyDriver",
    "Driver",
    "OverlayDriver",
    "choose_driver",
    "has_opaque_marks",
    "normalise_upper",
]
