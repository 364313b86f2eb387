"""A directory in memory for what must never reach a disk: configurations, secrets, sockets, runtime state.

It is a tmpfs mounted in the engine's own mount namespace, so it vanishes with the engine, however that ends.

    scratch/            mount point in the state directory, empty when seen from outside
      state/            the runtime's own state (--root)
      bundles/N/        config.json, pid, log.json, hosts; reused by one step after another
      files/            secrets and sockets of running steps, one random name each
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from bakehouse.errors import EnvironmentFault
from bakehouse.linux.mounts import MS_NODEV, MS_NOSUID, mount
from bakehouse.runtime.namespace import no_namespaces


class Scratch:
    """One scratch directory of one mount namespace."""

    __slots__ = ("bundles", "files", "path", "state")

    def __init__(self, path: Path) -> None:
        """Mounts a tmpfs at `path`, which is created when missing. Raises `EnvironmentFault` `no-namespaces`."""
        self.path = path
        self.state = path / "state"
        self.bundles = path / "bundles"
        self.files = path / "files"
        try:
            path.mkdir(mode=0o711, parents=True, exist_ok=True)
            mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0711")
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES):
                raise no_namespaces("nothing can be mounted") from error
            raise EnvironmentFault(
                f"cannot mount a tmpfs at {path}: {error.strerror}", code="no-scratch-directory"
            ) from error
        for directory in (self.state, self.bundles, self.files):
            directory.mkdir(mode=0o711)

    def new_name(self) -> Path:
        """A path below `files` that nobody can guess and nothing has."""
        return self.files / secrets.token_hex(16)

    def new_file(self, data: bytes, *, mode: int, uid: int = 0, gid: int = 0) -> Path:
        """A file that is never readable by others than it will be for in the end. The caller unlinks it."""
        path = self.new_name()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchown(fd, uid, gid)
            os.fchmod(fd, mode)
        return path
