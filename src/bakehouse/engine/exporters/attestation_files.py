"""Attestations in outputs that are files: a file a statement, at the top of its platform's tree (engine.md §17.4)."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.engine.exporters.filetree import FileOptions, platform_directory
from bakehouse.errors import ConflictError, DefinitionError
from bakehouse.go.jsontext import indented_json

if TYPE_CHECKING:
    from bakehouse.engine.attest.statements import Subject
    from bakehouse.engine.exporters.model import ExportPlatform, ExportResult
    from bakehouse.engine.tree import EngineContext

#: Nobody but who built is to read them.
ATTESTATION_MODE = 0o600


def attestation_files(
    item: ExportPlatform,
    root: Path | None,
    options: FileOptions,
    result: ExportResult,
    context: EngineContext,
) -> dict[str, bytes]:
    """What is attested of one platform, as files by name. They are about the files below `root` (None: there are none).
    Raises `ConflictError` (code `export-overlap`) for two of one name, and what the statements' sources raise."""
    wanted = [each for each in item.attestations if not getattr(each, "inline_only", False)]
    if not wanted:
        return {}
    from bakehouse.engine.attest.statements import single_attestations, statement

    subjects = [] if root is None else list(_subjects(os.fsencode(root), b""))
    out: dict[str, bytes] = {}
    for attestation in single_attestations(wanted, context):
        name = _name_of(attestation.path, item, options, result)
        if name in out:
            raise ConflictError(f"duplicate attestation path name {name}", code="export-overlap")
        out[name] = indented_json(statement(attestation, subjects, layers_exported=False)).encode()
    return out


def _name_of(path: str, item: ExportPlatform, options: FileOptions, result: ExportResult) -> str:
    name = options.attestation_prefix + posixpath.basename(path)
    if result.multi_platform and not options.split(result):
        stem, extension = posixpath.splitext(name)
        name = f"{stem}.{platform_directory(item.platform)}{extension}"
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise DefinitionError(
            f"{name!r} cannot be the name of an attestation file",
            code="invalid-attestation",
            hint="check filename= of the attestation, and attestation-prefix= of the output",
        )
    return name


def _subjects(root: bytes, below: bytes) -> Iterator[Subject]:
    """Path and digest of every regular file, directories where their names stand among the others."""
    with os.scandir(os.path.join(root, below)) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = below + b"/" + entry.name if below else entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _subjects(root, path)
        elif entry.is_file(follow_symlinks=False):
            with open(os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            yield path.decode("utf-8", "surrogateescape"), {"sha256": digest}
