"""Output files that appear whole or not at all: written beside their place under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import os
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
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
        try:
            with open(handle, "wb", buffering=_BUFFER_BYTES) as stream:
                yield stream
            os.chmod(temporary, _file_mode(target))
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


@contextlib.contextmanager
def translated(dest: Path) -> Iterator[None]:
    """Turns failures of the file system into `EnvironmentFault` with the destination's name."""
    import errno

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
