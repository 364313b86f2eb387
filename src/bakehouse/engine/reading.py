"""Reading single files of a tree that a stranger made: a Dockerfile in a repository, the head of a download."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from bakehouse.engine.tree import Tree
from bakehouse.errors import DefinitionError
from bakehouse.linux.files import open_in_root


def read_files(tree: Tree, paths: Sequence[str], limit: int) -> dict[str, bytes]:
    """At most `limit` bytes of each of `paths`; absent ones are left out. Links lead nowhere outside the tree.

    Call it in a worker thread of the engine. Raises `DefinitionError` (code `not-a-file`)."""
    out = {}
    with tree.mounted() as root:
        root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for path in paths:
                data = _read(root_fd, path, limit)
                if data is not None:
                    out[path] = data
        finally:
            os.close(root_fd)
    return out


def _read(root_fd: int, path: str, limit: int) -> bytes | None:
    try:
        # O_NONBLOCK: a FIFO must not hang the build.
        descriptor = open_in_root(root_fd, path.lstrip("/") or ".", os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise _unreadable(path, (error.strerror or "").lower()) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _unreadable(path, "not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        return file.read(limit)


def _unreadable(path: str, why: str) -> DefinitionError:
    return DefinitionError(f"open {path}: {why}", code="not-a-file")
