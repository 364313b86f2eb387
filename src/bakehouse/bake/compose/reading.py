"""Files that a Compose file names: read below the working directory's view of the world, with a limit."""

from __future__ import annotations

import os
import stat

from bakehouse.bake.compose.nodes import ComposeFailure
from bakehouse.go.text import os_error_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.compose.nodes import Node

#: Larger files are refused: no hand or generator writes one, and a special file has no end.
MAX_FILE_BYTES = 16 << 20


class Disk:
    """The caller's files; relative paths start from `cwd`. `files` are the paths read so far."""

    def __init__(self, cwd: str) -> None:
        self._cwd = cwd
        self.files: list[str] = []

    def absolute(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._cwd, path))

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(os.path.join(self._cwd, path))

    def is_file(self, path: str) -> bool:
        """Whether there is something at `path` that is no directory."""
        full = os.path.join(self._cwd, path)
        return os.path.exists(full) and not os.path.isdir(full)

    def exists(self, path: str) -> bool:
        return os.path.exists(os.path.join(self._cwd, path))

    def read(self, path: str, place: Node | None) -> bytes:
        """The content of a file. Raises `ComposeFailure` at `place`."""
        try:
            descriptor = os.open(os.path.join(self._cwd, path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            raise self._failure("open", path, error, place) from None
        try:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise ComposeFailure(f"read {path}: is a directory", place, code="compose-file-unreadable")
            chunks = []
            size = 0
            while chunk := os.read(descriptor, 1 << 20):
                size += len(chunk)
                if size > MAX_FILE_BYTES:
                    limit = f"{MAX_FILE_BYTES >> 20} MiB"
                    raise ComposeFailure(
                        f"{path} is larger than {limit}", place, code="compose-file-unreadable"
                    )
                chunks.append(chunk)
            self.files.append(path)
            return b"".join(chunks)
        except OSError as error:
            raise self._failure("read", path, error, place) from None
        finally:
            os.close(descriptor)

    def _failure(
        self, verb: str, path: str, error: OSError | ValueError, place: Node | None
    ) -> ComposeFailure:
        text = f"{verb} {path}: invalid argument"
        if isinstance(error, OSError):
            text = os_error_text(verb, path, error)
        missing = isinstance(error, FileNotFoundError)
        code = "compose-file-not-found" if missing else "compose-file-unreadable"
        return ComposeFailure(text, place, code=code)
