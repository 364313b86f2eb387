"""Helpers of the snapshot tests: describing trees, making tars."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from bakehouse.snapshots import TarEntry, TarWriter
from bakehouse.snapshots.tarwriter import Source


def describe(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything about a tree that layers carry: form, mode, owner, seconds, contents, link target, device."""
    found: dict[str, tuple[object, ...]] = {}
    top = os.fsencode(root)
    for base, directories, files in os.walk(top):
        for name in (*directories, *files):
            path = os.path.join(base, name)
            status = os.lstat(path)
            content: object = None
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
                content = status.st_rdev
            found[os.fsdecode(os.path.relpath(path, top))] = (
                stat.filemode(status.st_mode),
                status.st_uid,
                status.st_gid,
                int(status.st_mtime),
                content,
            )
    return found


def tar_of(*members: tuple[TarEntry, Source]) -> bytes:
    out = io.BytesIO()
    writer = TarWriter(out)
    writer.add_many(members)
    writer.finish()
    return out.getvalue()
