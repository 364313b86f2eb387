"""Output files that appear whole or not at all: written beside their place without a name, which they get at the end.

So a build that is killed leaves nothing in the user's directory. Where the file system knows no nameless files, a
temporary name takes their part.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bakehouse.engine.exporters.model import ExportSpec
from bakehouse.errors import DefinitionError, EnvironmentFault

_BUFFER_BYTES = 1 << 20


def check_file_destination(spec: ExportSpec) -> None:
    """Raises `DefinitionError` (code `invalid-destination`) when `spec` names no place for one file."""
    if spec.stdout is None and spec.dest is None:
        raise DefinitionError(
            f"output type {spec.type} needs a destination: dest=FILE, or dest=- for standard output",
            code="invalid-destination",
        )
    if spec.stdout is None and spec.dest is not None and spec.dest.is_dir():
        raise DefinitionError(f"destination file {spec.dest} is a directory", code="invalid-destination")


def check_directory_destination(spec: ExportSpec) -> Path:
    """The destination directory. Raises `DefinitionError` (code `invalid-destination`)."""
    if spec.dest is None or spec.stdout is not None:
        raise DefinitionError(
            f"output type {spec.type} needs a destination directory: dest=DIR", code="invalid-destination"
        )
    if spec.dest.exists() and not spec.dest.is_dir():
        raise DefinitionError(f"destination directory {spec.dest} is a file", code="invalid-destination")
    return spec.dest


@contextlib.contextmanager
def output_stream(spec: ExportSpec) -> Iterator[BinaryIO]:
    """A binary stream for the output file of `spec`; the file takes its place when the block ends well.

    A destination that is no regular file (a pipe, `/dev/null`) is written directly. Raises `EnvironmentFault`
    (`disk-full`, `output-unwritable`).
    """
    if spec.stdout is not None:
        yield spec.stdout
        spec.stdout.flush()
        return
    assert spec.dest is not None
    with translated(spec.dest):
        if _is_special(spec.dest):
            with open(spec.dest, "wb", buffering=_BUFFER_BYTES) as stream:
                yield stream
            return
        # The file behind a symlink is what shall be replaced, not the link.
        target = Path(os.path.realpath(spec.dest))
        target.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(target) as stream:
            yield stream


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `target` when the block ends well."""
    handle = _nameless_file(target.parent)
    temporary = None
    if handle is None:
        handle, temporary = tempfile.mkstemp(prefix=_prefix(target), dir=target.parent)
    try:
        with open(handle, "wb", buffering=_BUFFER_BYTES) as stream:
            yield stream
            stream.flush()
            os.fchmod(handle, _file_mode(target))
            temporary = temporary or _named(handle, target)
        if temporary:
            os.replace(temporary, target)
    except BaseException:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise


def _prefix(target: Path) -> str:
    return f".{target.name[:100]}."


def _nameless_file(directory: Path) -> int | None:
    """A file without a name that may be given one, or None where there is no such thing."""
    try:
        return os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        # EISDIR and ENOENT come from kernels and file systems that do not know the flag.
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL):
            return None
        raise


def _named(handle: int, target: Path) -> str:
    """Gives a nameless file the name `target`, or, when that is taken, another one in its directory, and returns it: a
    link cannot replace a file. "" when there is nothing left to rename."""
    source = f"/proc/self/fd/{handle}"
    # Only with a directory descriptor does Python follow the link in /proc to the file itself.
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(source, target.name, src_dir_fd=directory, dst_dir_fd=directory)
            return ""
        while True:
            name = _prefix(target) + secrets.token_hex(6)
            with contextlib.suppress(FileExistsError):
                os.link(source, name, src_dir_fd=directory, dst_dir_fd=directory)
                return os.fspath(target.parent / name)
    finally:
        os.close(directory)


@contextlib.contextmanager
def translated(dest: Path) -> Iterator[None]:
    """Turns failures of the file system into `EnvironmentFault` with the destination's name."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise EnvironmentFault(
            f"cannot write {dest}: {error.strerror or error}",
            code="disk-full" if full else "output-unwritable",
            hint="Free some space or choose another destination." if full else None,
        ) from error


def _is_special(path: Path) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def _file_mode(target: Path) -> int:
    """The mode of the file that is replaced, else what a new file gets from the umask."""
    try:
        return stat.S_IMODE(os.stat(target).st_mode)
    except FileNotFoundError:
        return 0o666 & ~_umask()


def _umask() -> int:
    # Reading the umask by setting it would race with other threads; the kernel shows it.
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022
