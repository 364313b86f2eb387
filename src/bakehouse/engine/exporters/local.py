"""The `local` exporter: the result's files in a directory of this machine (engine.md §17.4).

The files are copied to a staging directory on the same file system first and moved into place by renames, so that an
export that fails half-way leaves the destination as it was, and no reader ever sees half a file. Files belong to the
user who builds, as with BuildKit's client.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.engine.exporters.attestation_files import ATTESTATION_MODE, attestation_files
from bakehouse.engine.exporters.filetree import check_platforms, parse_file_options, platform_directory
from bakehouse.engine.exporters.model import ExportPlatform, ExportResult, ExportSpec, start_vertex
from bakehouse.engine.exporters.output import check_directory_destination, translated
from bakehouse.errors import ConflictError
from bakehouse.linux.files import remove_tree
from bakehouse.snapshots import copy_tree

if TYPE_CHECKING:
    from bakehouse.engine.tree import EngineContext
    from bakehouse.solver.model import Cancellation

_STAGE_PREFIX = ".bakehouse-export-"


class LocalExporter:
    """Copies into `dest`: merged with what is there, or (`mode=delete`) replacing it."""

    name = "exporting to client directory"
    reads_files = True
    takes_blobs = False

    def __init__(self, spec: ExportSpec) -> None:
        self._spec = spec
        self._options = parse_file_options(spec.attrs)
        self._dest = check_directory_destination(spec)

    def export(self, result: ExportResult, context: EngineContext, cancel: Cancellation) -> dict[str, str]:
        """Has no response keys of its own. Raises `ConflictError` (code `export-overlap`) when two platforms have a
        file of one name and are not kept apart."""
        check_platforms(result)
        vertex = start_vertex(context.reporter, self._spec, self.name)
        try:
            with translated(self._dest), _stage(self._dest) as stage:
                owners: dict[str, str] = {}
                for item in result.platforms:
                    cancel.check()
                    label = item.platform.normalized().format_all()
                    split = self._options.split(result)
                    with vertex.status(f"copying files {label}" if split else "copying files"):
                        self._stage_platform(item, result, stage, split, label, owners, context)
                cancel.check()
                _settle(stage, self._dest, delete=self._options.delete)
        except BaseException as error:
            vertex.fail(str(error))
            raise
        vertex.done()
        return {}

    def _stage_platform(
        self,
        item: ExportPlatform,
        result: ExportResult,
        stage: Path,
        split: bool,
        label: str,
        owners: dict[str, str],
        context: EngineContext,
    ) -> None:
        target = stage / platform_directory(item.platform) if split else stage
        epoch_s = self._options.epoch_for(item.epoch_s)
        if split:
            target.mkdir(mode=0o755)
        attested: dict[str, bytes] = {}
        if item.chain.layers:
            with context.layers.view(item.chain) as root:
                if not split:
                    _claim(root, label, owners)
                copy_tree(root, target, set_owner=False)
                attested = attestation_files(item, root, self._options, result, context)
        else:
            attested = attestation_files(item, None, self._options, result, context)
        for name, data in attested.items():
            _write_private(target / name, data)
        if epoch_s is not None:
            _set_times(target, epoch_s * 1_000_000_000, with_top=split)


def _write_private(path: Path, data: bytes) -> None:
    """Writes an attestation, in place of a file of the result that has its name; to whole seconds, as BuildKit."""
    if _lstat(os.fspath(path)) is not None:
        _remove(os.fspath(path))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, ATTESTATION_MODE), "wb") as file:
        file.write(data)
    now = int(time.time())
    os.utime(path, (now, now))


def _claim(root: Path, label: str, owners: dict[str, str]) -> None:
    """Notes every file of a platform that shares its tree with others."""
    for directory, _, files in os.walk(root):
        for name in files:
            path = os.path.relpath(os.path.join(directory, name), root)
            if path in owners:
                raise ConflictError(
                    f"cannot overwrite {path} from {owners[path]} with {label} when split option is disabled",
                    code="export-overlap",
                )
            owners[path] = label


@contextlib.contextmanager
def _stage(dest: Path) -> Iterator[Path]:
    """An empty directory on the file system of `dest`: inside it when it exists (it may be a mount point), else
    beside it. Removed at the end, unless it became the destination."""
    parent = dest if dest.is_dir() else dest.parent
    parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=_STAGE_PREFIX, dir=parent))
    try:
        yield stage
    finally:
        if stage.exists():
            remove_tree(stage)


def _settle(stage: Path, dest: Path, *, delete: bool) -> None:
    """Moves the staged tree into place. A destination that did not exist appears at once, with mode 0700."""
    if not dest.exists():
        os.rename(stage, dest)
        return
    _merge(os.fspath(stage), os.fspath(dest), delete=delete, keep=stage.name)


def _merge(source: str, target: str, *, delete: bool, keep: str = "") -> None:
    """Moves every entry of `source` into `target`; directories are merged, anything else is replaced."""
    names = os.listdir(source)
    if delete:
        for name in set(os.listdir(target)) - set(names) - {keep}:
            _remove(os.path.join(target, name))
    for name in sorted(names):
        old, new = os.path.join(source, name), os.path.join(target, name)
        status = os.lstat(old)
        present = _lstat(new)
        if present is not None and stat.S_ISDIR(present.st_mode) != stat.S_ISDIR(status.st_mode):
            _remove(new)
            present = None
        if present is not None and stat.S_ISDIR(status.st_mode):
            _merge(old, new, delete=delete)
            shutil.copystat(old, new)
            os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
        else:
            os.rename(old, new)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _remove(path: str) -> None:
    if stat.S_ISDIR(os.lstat(path).st_mode):
        remove_tree(path)
    else:
        os.unlink(path)


def _set_times(top: Path, time_ns: int, *, with_top: bool) -> None:
    """Gives everything below `top` (deepest first, so that directories keep it) one modification time."""
    times = (time_ns, time_ns)
    for directory, directories, files in os.walk(top, topdown=False):
        for name in (*files, *directories):
            os.utime(os.path.join(directory, name), ns=times, follow_symlinks=False)
    if with_top:
        os.utime(top, ns=times)
