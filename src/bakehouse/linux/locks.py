"""flock(2): advisory locks that the kernel drops when their owner dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import os

from bakehouse.linux.libc import AnyPath


class FileLock:
    """An open, flocked file. Not inherited by programs that are started (O_CLOEXEC). `release` is idempotent."""

    __slots__ = ("_fd", "path")

    def __init__(self, fd: int, path: AnyPath) -> None:
        self._fd = fd
        self.path = path

    @classmethod
    def acquire(cls, path: AnyPath, *, shared: bool = False, wait: bool = True) -> FileLock | None:
        """Locks `path` (created when missing, mode 0600). Without `wait`, None when somebody else holds it.

        A lock file that was unlinked between open and lock is noticed and made anew, so unlinking one while holding
        its lock is allowed.
        """
        operation = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, operation)
                if _still_named(fd, path):
                    return cls(fd, path)
            except OSError as error:
                os.close(fd)
                if error.errno == errno.EWOULDBLOCK:
                    return None
                raise
            os.close(fd)

    def release(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


def _still_named(fd: int, path: AnyPath) -> bool:
    try:
        named = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    held = os.fstat(fd)
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
