"""What archives hold, for comparison."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path


def members(path: Path) -> dict[str, tuple[object, ...]]:
    """Every member of a tar but for its time: type, mode, owner, link, content."""
    with tarfile.open(path) as tar:
        return {
            member.name: (
                member.type,
                member.mode,
                member.uid,
                member.gid,
                member.linkname,
                "" if _names_a_machine(member) else hashlib.sha256(_content(tar, member)).hexdigest(),
            )
            for member in tar
        }


def _names_a_machine(member: tarfile.TarInfo) -> bool:
    """BuildKit's checkouts of submodules name the directory of the daemon that made them."""
    return member.isreg() and member.name.endswith("m/.git")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member) if member.isreg() else None
    return file.read() if file is not None else b""
