"""Mount stubs: the empty files and directories that a runtime makes so that something can be mounted over them.

What was not in the tree before a step, and is still empty after it, must not reach the layer. BuildKit's rule to the
letter (engine.md §23): same entries removed, same time stamps restored, in the same order.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from bakehouse.go.paths import rooted_path
from bakehouse.runtime.rootpath import resolve_in_root

_ALWAYS = ("/etc/resolv.conf", "/etc/hosts")
_COVERED = ("/dev", "/proc", "/sys")
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})


class MountStubs:
    """Remembers which mount points are missing from a tree. Make it before the step, call `remove` after."""

    __slots__ = ("_paths", "_root")

    def __init__(self, root: str, dests: Sequence[str], *, recursive: bool) -> None:
        """`root` is absolute and free of symlinks. With `recursive`, parents made for a stub are stubs too."""
        self._root = root
        self._paths: list[str] = []
        for dest in (*_ALWAYS, *dests):
            path = rooted_path(dest)
            if path != "/":
                self._note(path, recursive)

    def _note(self, dest: str, recursive: bool) -> None:
        try:
            path = resolve_in_root(self._root, dest)
        except OSError:
            return
        while path != self._root and _missing(path):
            self._paths.append(path)
            if not recursive:
                return
            path = os.path.dirname(path)

    def make_directories(self, mounts: Sequence[tuple[str, bool]]) -> None:
        """Makes the missing mount points, 0755 whatever the runtime would give them (crun gives 1755): a step that puts
        something beside one keeps it. `mounts` are (destination, whether it is a directory) of the step's mounts; what
        lies inside another mount, or one that every step has, is not made here. `/dev` itself stays in the layer."""
        covers = [rooted_path(dest) for dest, _ in mounts] + list(_COVERED)
        for dest, directory in (("/dev", True), *mounts):
            path = rooted_path(dest)
            if any(path.startswith(cover + "/") for cover in covers):
                continue
            try:
                make_directories(self._root, path if directory else os.path.dirname(path))
            except OSError:
                # The runtime meets the same obstacle, and its words are what a user sees of it.
                continue

    def remove(self) -> None:
        """Removes the stubs that are still empty. The parent keeps the times that it had just before."""
        for path in self._paths:
            try:
                self._remove_one(path)
            except OSError:
                # A step may leave anything here (an immutable file, a mount of its own): what stays, stays.
                continue

    def _remove_one(self, path: str) -> None:
        parent = os.path.dirname(path)
        # A step may have put a symlink where a stub's directory was.
        if resolve_in_root(self._root, path[len(self._root) :]) != path:
            return
        status = os.lstat(path)
        directory = stat.S_ISDIR(status.st_mode)
        if not directory and status.st_size != 0:
            return
        before = os.stat(parent)
        if directory:
            try:
                os.rmdir(path)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    return
                raise
        else:
            os.unlink(path)
        os.utime(parent, ns=(before.st_atime_ns, before.st_mtime_ns))


def _missing(path: str) -> bool:
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno in _ABSENT
    return False


def make_directories(root: str, dest: str, uid: int = 0, gid: int = 0) -> None:
    """Creates the directory `dest` below `root` with missing parents, mode 0755 and the given owner; what exists is
    left alone. Raises `OSError`, `NotADirectoryError` when a file is in the way."""
    path = resolve_in_root(root, dest)
    missing: list[str] = []
    while path != root and _missing(path):
        missing.append(path)
        path = os.path.dirname(path)
    for name in reversed(missing):
        os.mkdir(name, 0o755)
        os.chmod(name, 0o755)
        os.chown(name, uid, gid)
    if missing:
        return
    if not os.path.isdir(path):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), dest)
