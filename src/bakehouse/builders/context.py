"""The local side of a build: where the Dockerfile and its ignore file are, and what they say (dockerfile.md §11.1,
§13.2). Reading only; nothing is hashed or copied here."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.values import dataclass

#: BuildKit's frontend refuses larger ones, and nobody writes them.
MAX_DOCKERFILE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DockerfileText:
    """A Dockerfile as read: `name` is how errors call it, `data` its bytes, `ignore_name` and `ignore` those of the
    ignore file that applies to its context (`ignore_name` empty when there is none)."""

    name: str
    data: bytes
    ignore_name: str = ""
    ignore: bytes = b""

    def without_ignore_file(self) -> DockerfileText:
        """The same Dockerfile, for a context to which no ignore file applies."""
        return DockerfileText(self.name, self.data)


def read_dockerfile(context: Path, dockerfile: Path) -> DockerfileText:
    """Reads `dockerfile` (absolute, or relative to `context`) and the ignore file that goes with it.

    A Dockerfile named `Dockerfile` that is absent falls back to `dockerfile`. `NAME.dockerignore` beside the
    Dockerfile wins over `.dockerignore` at the context's root. Raises `NotFoundError` in BuildKit's words.
    """
    path = dockerfile if dockerfile.is_absolute() else context / dockerfile
    data = _read(path)
    if data is None and path.name == "Dockerfile":
        data = _read(path.with_name("dockerfile"))
        path = path if data is None else path.with_name("dockerfile")
    if data is None:
        raise missing_dockerfile(path.name, f"looked for {path}")
    specific = path.with_name(path.name + ".dockerignore")
    ignore = _read(specific)
    ignore_name = specific.name if ignore is not None else ""
    if ignore is None:
        ignore = _read(context / ".dockerignore")
        ignore_name = ".dockerignore" if ignore is not None else ""
    return DockerfileText(path.name, data, ignore_name, ignore or b"")


def missing_dockerfile(name: str, looked: str) -> NotFoundError:
    """The error for a Dockerfile that is not there, in BuildKit's words. `looked` says where it was looked for."""
    return NotFoundError(
        f"failed to read dockerfile: open {name}: no such file or directory",
        code="dockerfile-not-found",
        hint=f"{looked}; name another one with -f (build) or `dockerfile` (bake)",
    )


def checked_size(data: bytes, name: str) -> bytes:
    """`data` unless it is too large for a Dockerfile. Raises `DefinitionError`."""
    if len(data) > MAX_DOCKERFILE_BYTES:
        raise DefinitionError(
            f"failed to read dockerfile: {name} exceeds maximum allowed size of {MAX_DOCKERFILE_BYTES} bytes",
            code="dockerfile-too-large",
        )
    return data


def ignore_file_of(context: Path) -> tuple[str, bytes]:
    """(name, content) of the `.dockerignore` at the root of `context`; empty ones when there is none."""
    try:
        return ".dockerignore", (context / ".dockerignore").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return "", b""


def require_directory(cwd: Path, path: str) -> Path:
    """The absolute form of a main context's directory, relative to `cwd`. Raises `NotFoundError` or
    `DefinitionError`."""
    absolute = Path(os.path.abspath(cwd / path))
    if not absolute.exists():
        raise NotFoundError(
            f'unable to prepare context: path "{path}" not found',
            code="context-not-found",
            hint="the context must be a directory, or a git or HTTP URL",
        )
    if not absolute.is_dir():
        raise DefinitionError(
            f'unable to prepare context: path "{path}" is not a directory', code="context-not-a-directory"
        )
    return absolute


def context_identity(directory: Path, ignore: bytes) -> str:
    """The session id that local sources of this directory bear: equal for two targets that show the same files, so
    that their vertices are one, and different for directories that only share a name."""
    text = os.fsencode(os.path.realpath(directory)) + b"\0" + ignore
    return "ctx-" + hashlib.sha256(text).hexdigest()[:32]


def _read(path: Path) -> bytes | None:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_DOCKERFILE_BYTES + 1)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise DefinitionError(
            f"failed to read dockerfile: {error.strerror}: {path}", code="dockerfile-unreadable"
        ) from error
    return checked_size(data, path.name)
