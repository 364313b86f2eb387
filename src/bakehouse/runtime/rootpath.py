"""Paths inside a root directory, resolved as a process with that root would see them.

For trees that nobody changes meanwhile (before a step starts, after all its processes are gone). Parts of a path
that do not exist are kept as written, so that the result can name something yet to be made (containerd's
`fs.RootPath`).
"""

from __future__ import annotations

import errno
import os

_MAX_LINKS = 255


def resolve_in_root(root: str, path: str) -> str:
    """The host path of `path` below `root` with every symlink, the last included, resolved inside `root`.

    `root` must be absolute and free of symlinks; `..` never leaves it. Raises `OSError` ELOOP after 255 links.
    """
    pending = _parts(path)
    done: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            if done:
                done.pop()
            continue
        candidate = "/".join([root, *done, part])
        try:
            target = os.readlink(candidate)
        except OSError:
            # Not a symlink, or not there at all: either way the name stands for itself.
            done.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if target.startswith("/"):
            done.clear()
        pending += _parts(target)
    return "/".join([root, *done]) if done else root


def _parts(path: str) -> list[str]:
    """The components of `path`, last first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]
