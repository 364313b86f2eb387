"""Standard input of a build: a Dockerfile, or an archive that is the context (dockerfile.md §13.2)."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator

from bakehouse.builders.context import MAX_DOCKERFILE_BYTES, checked_size
from bakehouse.errors import DefinitionError
from bakehouse.values import dataclass

#: As much as buildx looks at to tell an archive from a Dockerfile.
HEAD_BYTES = 1024
_CHUNK = 1 << 18
_POLL_S = 0.1
#: What `-f -` and a context `-` make of standard input.
DOCKERFILE, CONTEXT = "dockerfile", "context"


@dataclass(frozen=True, slots=True)
class StandardInput:
    """Standard input that a build is to read: descriptor `fd` is the Dockerfile, or the context, as `role` says.
    `dockerfile_named` says that -f names a Dockerfile besides."""

    fd: int
    role: str
    dockerfile_named: bool = False


class StdinArchive:
    """An archive on standard input as a `session.Upload`: its beginning was read already. Read once."""

    def __init__(self, head: bytes, fd: int) -> None:
        self._head = head
        self._fd = fd

    def chunks(self, check_cancelled: Callable[[], None]) -> Iterator[bytes]:
        """The bytes of the archive."""
        yield self._head
        while data := _read(self._fd, _CHUNK, check_cancelled):
            yield data


@dataclass(frozen=True, slots=True)
class StdinContents:
    """What was found on standard input: a Dockerfile, for a context without files when `without_files`; or an
    archive."""

    dockerfile: bytes | None = None
    without_files: bool = False
    archive: StdinArchive | None = None


def read_standard_input(given: StandardInput, check_cancelled: Callable[[], None]) -> StdinContents:
    """Reads as much of standard input as it takes to know what it is, and all of a Dockerfile.

    Raises `DefinitionError`: `ambiguous-dockerfile`, `dockerfile-too-large`.
    """
    from bakehouse.engine.ops.file_archive import begins_archive

    head = b""
    while len(head) < HEAD_BYTES and (data := _read(given.fd, HEAD_BYTES - len(head), check_cancelled)):
        head += data
    if given.role == CONTEXT and begins_archive(head):
        return StdinContents(archive=StdinArchive(head, given.fd))
    if given.role == CONTEXT and given.dockerfile_named and head:
        raise DefinitionError(
            "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles",
            code="ambiguous-dockerfile",
            hint="standard input holds no archive, and is taken for a Dockerfile; leave -f out",
        )
    parts = [head]
    size = len(head)
    while size <= MAX_DOCKERFILE_BYTES and (data := _read(given.fd, _CHUNK, check_cancelled)):
        parts.append(data)
        size += len(data)
    text = checked_size(b"".join(parts), "Dockerfile")
    return StdinContents(dockerfile=text, without_files=given.role == CONTEXT)


def _read(fd: int, size: int, check_cancelled: Callable[[], None]) -> bytes:
    """Some bytes, none at the end. Whoever writes may take his time: cancelling ends the wait."""
    while True:
        check_cancelled()
        ready, _, _ = select.select([fd], [], [], _POLL_S)
        if ready:
            return os.read(fd, size)
