"""The directories of a tree that is being unpacked: finding a member's parent, making what is missing, final times.

Paths are walked as a process rooted in the tree would walk them, so that no symbolic link of the archive leads out of
it. Members themselves are `treewriter`'s business.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from bakehouse.errors import IntegrityError
from bakehouse.linux.files import open_in_root
from bakehouse.snapshots.attributes import copy_attributes, shown
from bakehouse.snapshots.marks import is_whiteout, mark_opaque

_CACHED = 128
_MAX_LINKS = 40
OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class LowerTree:
    """The merged tree below a layer, opened (by `opener`) when something is first looked up in it."""

    def __init__(self, opener: Callable[[], int] | None) -> None:
        self._opener = opener
        self._root = -1
        self.used = False

    @property
    def exists(self) -> bool:
        return self._opener is not None

    def open(self, path: bytes, flags: int) -> int:
        """Opens `path` within the tree. Raises `OSError` when it is not there."""
        assert self._opener is not None
        self.used = True
        if self._root < 0:
            self._root = self._opener()
        return open_in_root(self._root, path, flags | os.O_CLOEXEC)

    def close(self) -> None:
        if self._root >= 0:
            os.close(self._root)
            self._root = -1


class Directories:
    """Directories below the open directory `root`, which it takes over. Not thread-safe.

    With `opaque` (the attribute's name) the tree is in overlay form: a directory that takes the place of a whiteout is
    made opaque. Missing directories get mode 0755 and the owner that the kernel gives them, or the attributes of the
    directory of that name in `lower`.
    """

    def __init__(self, root: int, opaque: str | None, lower: LowerTree) -> None:
        self.root = root
        self._opaque = opaque
        self._lower = lower
        self._open: dict[bytes, int] = {}
        # What directories get at the end: time, and the mode where it would keep a plain user out meanwhile.
        self._pending: dict[bytes, tuple[int, int | None]] = {}

    def open(self, path: bytes) -> int:
        """A new descriptor of a directory that is there (b"": the root). Raises `OSError`."""
        return open_in_root(self.root, path or b".", OPEN_DIR)

    def parent(self, path: bytes) -> int:
        """An open descriptor of the directory `path`, made with its parents when missing. Borrowed until the next
        call of `parent`, `remember` or `forget_all_but`."""
        if not path:
            return self.root
        fd = self._open.get(path)
        if fd is not None:
            return fd
        try:
            fd = self.open(path)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            fd = self._make(path)
        self.remember(path, fd)
        return fd

    def mark_opaque(self, parent_fd: int, name: bytes) -> None:
        """Makes the directory `name` hide what is below. Only in the overlay form."""
        assert self._opaque is not None
        fd = os.open(name, OPEN_DIR | os.O_NOFOLLOW, dir_fd=parent_fd)
        try:
            mark_opaque(fd, self._opaque)
        finally:
            os.close(fd)

    def remember(self, path: bytes, fd: int) -> None:
        """Takes `fd` over as the descriptor of the directory `path`."""
        if len(self._open) >= _CACHED:
            self._forget()
        old = self._open.pop(path, None)
        if old is not None:
            os.close(old)
        self._open[path] = fd

    def forget_all_but(self, kept: int) -> None:
        """Closes every descriptor but `kept`: a directory or link through which paths were resolved goes away."""
        for path in [path for path, fd in self._open.items() if fd != kept]:
            os.close(self._open.pop(path))

    def _forget(self) -> None:
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def close(self) -> None:
        self._forget()
        os.close(self.root)

    # Making what archives leave out ----------------------------------------------------------------------------

    def _make(self, path: bytes) -> int:
        """Walks `path` within the root, following symbolic links even where they dangle, and makes what is missing."""
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
            target = self._step(done, part, path)
            if target is None:
                done.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise IntegrityError(
                    f"invalid tar archive: too many symbolic links on the way to {shown(path)}",
                    code="tar-invalid",
                )
            if target.startswith(b"/"):
                done.clear()
            pending += target.split(b"/")[::-1]
        return self.open(b"/".join(done))

    def _step(self, done: list[bytes], part: bytes, path: bytes) -> bytes | None:
        """Makes sure that `part` of the directory `done` is a directory; or returns a symbolic link's target."""
        here = self.open(b"/".join(done))
        try:
            try:
                status = os.stat(part, dir_fd=here, follow_symlinks=False)
            except FileNotFoundError:
                self._make_one(here, b"/".join([*done, part]), part)
                return None
            if stat.S_ISLNK(status.st_mode):
                return os.readlink(part, dir_fd=here)
            if is_whiteout(status) and self._opaque is not None:
                os.unlink(part, dir_fd=here)
                os.mkdir(part, 0o755, dir_fd=here)
                self.mark_opaque(here, part)
            elif not stat.S_ISDIR(status.st_mode):
                raise IntegrityError(
                    f"invalid tar archive: {shown(path)} is used as a directory but is not one",
                    code="tar-invalid",
                )
            return None
        finally:
            os.close(here)

    def _make_one(self, parent_fd: int, path: bytes, name: bytes) -> None:
        os.mkdir(name, 0o755, dir_fd=parent_fd)
        fd = os.open(name, OPEN_DIR | os.O_NOFOLLOW, dir_fd=parent_fd)
        try:
            os.fchmod(fd, 0o755)
            if self._lower.exists:
                self._resemble_lower(fd, path)
        finally:
            os.close(fd)

    def _resemble_lower(self, fd: int, path: bytes) -> None:
        try:
            lower = self._lower.open(path, OPEN_DIR)
        except OSError:
            return
        try:
            status = os.fstat(lower)
            copy_attributes(lower, fd, status)
            self._pending.setdefault(path, (status.st_mtime_ns, None))
        finally:
            os.close(lower)

    # Final times -----------------------------------------------------------------------------------------------

    def finish_later(self, path: bytes, mtime_ns: int, mode: int | None) -> None:
        """Notes the time, and perhaps the mode, that `finish` gives the directory."""
        self._pending[path] = (mtime_ns, mode)

    def drop(self, path: bytes) -> None:
        """Forgets what was noted of a directory that is removed, and of all below it."""
        prefix = path + b"/"
        for known in [key for key in self._pending if key == path or key.startswith(prefix)]:
            del self._pending[known]

    def finish(self) -> None:
        """Sets the times of directories, which making their entries had changed. Flushes nothing to disk."""
        for path, (mtime_ns, mode) in sorted(self._pending.items(), reverse=True):
            fd = self._open.get(path)
            if fd is not None:
                _finish_one(fd, mtime_ns, mode)
                continue
            fd = self._open_itself(path)
            if fd is None:
                continue
            try:
                _finish_one(fd, mtime_ns, mode)
            finally:
                os.close(fd)

    def _open_itself(self, path: bytes) -> int | None:
        """The directory of that very name; None when a later member put something else in its place."""
        parent, _, name = path.rpartition(b"/")
        try:
            parent_fd = self.open(parent)
        except OSError:
            return None
        try:
            return os.open(name, OPEN_DIR | os.O_NOFOLLOW, dir_fd=parent_fd)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            return None
        finally:
            os.close(parent_fd)


def _finish_one(fd: int, mtime_ns: int, mode: int | None) -> None:
    os.utime(fd, ns=(mtime_ns, mtime_ns))
    if mode is not None:
        os.fchmod(fd, mode)
