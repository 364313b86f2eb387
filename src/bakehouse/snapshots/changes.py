"""What a tree changes upon another: the walks behind layer tars (BuildKit util/overlay, continuity fs.Changes).

Two forms of input exist. `upper_changes` reads an overlayfs upper directory, where deletions are whiteouts;
`double_walk` compares two full trees. Both yield changes in path order, a directory before its contents. The lower
tree is a mounted view; names in it are looked up relative to open directories, so that its symbolic links lead
nowhere.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from bakehouse.linux.files import fd_path, get_xattr
from bakehouse.snapshots.marks import is_whiteout

ADD = "add"
MODIFY = "modify"
DELETE = "delete"
#: A file that is the same as below but has several names: other names of it may have changed.
UNMODIFIED = "unmodified"

CAPABILITY = "security.capability"
_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 18


class Change(NamedTuple):
    """One changed path, relative to the root. `status` is the upper file's (a deleted one's lower status)."""

    kind: str
    path: bytes
    status: os.stat_result


def upper_changes(upper: int, lower: int | None, rediff: frozenset[bytes] = frozenset()) -> Iterator[Change]:
    """Changes of the overlayfs upper directory open as `upper` upon the merged tree open as `lower` (None: empty).

    `rediff` names directories that replaced a lower directory of the same name as a whole: they are compared file by
    file. Directories that are merely on the way to a change are not reported. Descriptors are borrowed.
    """
    return _walk_upper(upper, lower, b"", rediff)


def double_walk(
    upper: int, lower: int | None, prefix: bytes = b"", touched_since_ns: int | None = None
) -> Iterator[Change]:
    """Changes between two trees; whiteouts in `upper` count as absent. A removed directory is one change. What of
    `upper` has a change time from `touched_since_ns` on is known to have been touched (see `same_file`)."""
    lower_names = set(_names(lower)) if lower is not None else set()
    upper_statuses = {}
    for name in _names(upper):
        status = os.stat(name, dir_fd=upper, follow_symlinks=False)
        if not is_whiteout(status):
            upper_statuses[name] = status
    for name in sorted(lower_names | upper_statuses.keys()):
        path = prefix + name
        above = upper_statuses.get(name)
        below = None
        if name in lower_names and lower is not None:
            below = os.stat(name, dir_fd=lower, follow_symlinks=False)
        if above is None:
            assert below is not None
            yield Change(DELETE, path, below)
            continue
        if below is None:
            yield Change(ADD, path, above)
        else:
            assert lower is not None
            touched = touched_since_ns is not None and above.st_ctime_ns >= touched_since_ns
            if not same_file(below, above, lower, upper, name, touched=touched):
                yield Change(MODIFY, path, above)
            elif not stat.S_ISDIR(above.st_mode) and above.st_nlink > 1:
                yield Change(UNMODIFIED, path, above)
        if stat.S_ISDIR(above.st_mode):
            lower_dir = below is not None and stat.S_ISDIR(below.st_mode)
            with _Directory(upper, name) as child, _Directory(lower if lower_dir else None, name) as base:
                assert child is not None
                yield from double_walk(child, base, path + b"/", touched_since_ns)


def _walk_upper(upper: int, lower: int | None, prefix: bytes, rediff: frozenset[bytes]) -> Iterator[Change]:
    for name in sorted(_names(upper)):
        path = prefix + name
        status = os.stat(name, dir_fd=upper, follow_symlinks=False)
        below = _lower_status(lower, name)
        if is_whiteout(status):
            if below is not None:
                yield Change(DELETE, path, below)
            continue
        if below is None:
            yield Change(ADD, path, status)
        else:
            assert lower is not None
            if not same_file(below, status, lower, upper, name, touched=True):
                yield Change(MODIFY, path, status)
        if stat.S_ISDIR(status.st_mode):
            lower_dir = below is not None and stat.S_ISDIR(below.st_mode)
            with _Directory(upper, name) as child, _Directory(lower if lower_dir else None, name) as base:
                assert child is not None
                if path in rediff:
                    yield from double_walk(child, base, path + b"/", touched_since_ns=0)
                else:
                    yield from _walk_upper(child, base, path + b"/", rediff)


class _Directory:
    """`name` in the open directory `parent`, opened for the length of a `with` block; None for no parent."""

    __slots__ = ("_fd", "_name", "_parent")

    def __init__(self, parent: int | None, name: bytes) -> None:
        self._parent = parent
        self._name = name
        self._fd = -1

    def __enter__(self) -> int | None:
        if self._parent is None:
            return None
        self._fd = os.open(self._name, _OPEN_DIR, dir_fd=self._parent)
        return self._fd

    def __exit__(self, *exc: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _names(fd: int) -> list[bytes]:
    return [os.fsencode(name) for name in os.listdir(fd)]


def _lower_status(lower: int | None, name: bytes) -> os.stat_result | None:
    if lower is None:
        return None
    try:
        return os.stat(name, dir_fd=lower, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise


def same_file(
    below: os.stat_result,
    above: os.stat_result,
    lower: int,
    upper: int,
    name: bytes,
    *,
    touched: bool = False,
) -> bool:
    """continuity's notion of an unchanged file: mode, owner, device, capabilities; and for all but directories size
    and time. When both times lack a sub-second part (one of them came out of a tar), contents decide; and always for
    what is known to have been `touched`: files that were written within one tick of the kernel's clock bear the same
    time, and one of them may have taken the other's place."""
    if (below.st_dev, below.st_ino) == (above.st_dev, above.st_ino):
        return True
    if (below.st_mode, below.st_uid, below.st_gid, below.st_rdev) != (
        above.st_mode,
        above.st_uid,
        above.st_gid,
        above.st_rdev,
    ):
        return False
    directory = stat.S_ISDIR(above.st_mode)
    if not directory and (below.st_size != above.st_size or below.st_mtime_ns != above.st_mtime_ns):
        return False
    if get_xattr(fd_path(lower, name), CAPABILITY) != get_xattr(fd_path(upper, name), CAPABILITY):
        return False
    if directory or (above.st_mtime_ns % 1_000_000_000 and not touched):
        return True
    if stat.S_ISLNK(above.st_mode):
        return os.readlink(name, dir_fd=lower) == os.readlink(name, dir_fd=upper)
    return above.st_size == 0 or not stat.S_ISREG(above.st_mode) or _same_content(lower, upper, name)


def _same_content(lower: int, upper: int, name: bytes) -> bool:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    first = os.open(name, flags, dir_fd=lower)
    try:
        second = os.open(name, flags, dir_fd=upper)
        try:
            while True:
                one, two = os.read(first, _CHUNK), os.read(second, _CHUNK)
                if one != two:
                    return False
                if not one:
                    return True
        finally:
            os.close(second)
    finally:
        os.close(first)
