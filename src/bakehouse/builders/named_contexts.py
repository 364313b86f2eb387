"""Named contexts of a target as the frontend takes them (dockerfile.md §13.4, bake.md §18)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bakehouse.bake import Target
from bakehouse.builders.context import context_identity, ignore_file_of
from bakehouse.builders.definition_tree import DefinitionTree
from bakehouse.dockerfile.lowering import InputContext, Lowered, LowerRequest
from bakehouse.errors import BakehouseError, DefinitionError, NotFoundError
from bakehouse.giturl import is_remote_url
from bakehouse.values import dataclass, field, replace

_IMAGE = "docker-image://"
_LAYOUT = "oci-layout://"
_TARGET = "target:"
#: Local sources of these names are the main ones.
_TAKEN = ("context", "dockerfile")


@dataclass(frozen=True, slots=True)
class LinkedTarget:
    """The result of another target: its graph, and the directories that the graph reads."""

    lowered: Lowered
    local_dirs: Mapping[str, Path]
    oci_layouts: Mapping[str, Path]


@dataclass(slots=True)
class NamedContexts:
    """The named contexts of one target. `specifiers`, `inputs` and `sessions` are fields of a `LowerRequest`;
    `local_dirs` maps `SESSION:NAME` of client directories, `oci_layouts` store names, to where they are; `linked` maps
    inputs to the targets whose results they are."""

    specifiers: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, InputContext] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    local_dirs: dict[str, Path] = field(default_factory=dict)
    oci_layouts: dict[str, Path] = field(default_factory=dict)
    linked: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        target: Target,
        cwd: Path,
        linked: Mapping[str, LinkedTarget],
        tree: DefinitionTree | None = None,
    ) -> NamedContexts:
        """Looks up what the values of `target.contexts` name; relative paths start from `cwd`, those of
        `target.tree_paths` lie in `tree`. Raises `NotFoundError` and `DefinitionError` for a directory or a layout that
        is not there."""
        found = cls()
        for name, value in sorted((target.contexts or {}).items()):
            # The name as the frontend looks it up: the familiar image name, no `:latest`.
            key = name.removesuffix(":latest")
            if tree is not None and name in target.tree_paths:
                found.specifiers[key] = f"input:{key}"
                found.inputs[key] = InputContext(tree.directory(target.tree_paths[name], name))
            elif value.startswith(_TARGET):
                found._add_target(key, value.removeprefix(_TARGET), linked)
            elif value.startswith(_IMAGE) or is_remote_url(value):
                found.specifiers[key] = value
            elif value.startswith(_LAYOUT):
                found._add_layout(key, value, cwd)
            else:
                found._add_directory(key, value, cwd)
        return found

    def applied_to(self, request: LowerRequest) -> LowerRequest:
        """`request` with these contexts."""
        return replace(
            request,
            named_contexts=self.specifiers,
            inputs=self.inputs,
            read_local=self._read_local,
            local_session_ids=self.sessions,
        )

    def _add_target(self, key: str, target: str, targets: Mapping[str, LinkedTarget]) -> None:
        linked = targets[target]
        platforms = linked.lowered.platforms
        for item in platforms:
            suffix = f"::{item.id}" if len(platforms) > 1 else ""
            # Named as buildx names them, after the number of the node that builds it, and the target.
            name = f"0-{target}{suffix}"
            self.specifiers[key + suffix] = f"input:{name}"
            self.inputs[name] = InputContext(item.edge, item.config)
            self.linked[name] = target
        self.local_dirs |= linked.local_dirs
        self.oci_layouts |= linked.oci_layouts

    def _add_directory(self, key: str, value: str, cwd: Path) -> None:
        path = value.removeprefix("cwd://")
        directory = _directory_of(cwd, path or ".", key)
        _, ignore = ignore_file_of(directory)
        session = context_identity(directory, ignore)
        local = f"_{key}" if key in _TAKEN else key
        self.specifiers[key] = f"local:{local}"
        self.sessions[local] = session
        self.local_dirs[f"{session}:{local}"] = directory

    def _add_layout(self, key: str, value: str, cwd: Path) -> None:
        from bakehouse.registry.layout import OciLayout

        path, tag, digest = split_layout(value.removeprefix(_LAYOUT))
        try:
            directory = _directory_of(cwd, path, key)
            if not digest:
                digest = str(OciLayout(directory).resolve(tag or "latest").digest)
        except BakehouseError as error:
            error.message = f'oci-layout reference "{value}" could not be resolved: {error.message}'
            raise
        store = (
            "layout-"
            + hashlib.sha256(f"layout\0{directory}".encode("utf-8", "surrogateescape")).hexdigest()[:24]
        )
        self.oci_layouts[store] = directory
        self.specifiers[key] = f"{_LAYOUT}{store}@{digest}"

    def _read_local(self, name: str, path: str) -> bytes | None:
        directory = self.local_dirs.get(f"{self.sessions.get(name, '')}:{name}")
        if directory is None:
            return None
        try:
            return (directory / path).read_bytes()
        except OSError:
            return None


def _directory_of(cwd: Path, path: str, name: str) -> Path:
    """The absolute form of a named context's directory. Raises `NotFoundError` or `DefinitionError`."""
    absolute = Path(os.path.abspath(cwd / path))
    if absolute.is_dir():
        return absolute
    if absolute.exists():
        raise DefinitionError(
            f"failed to get build context path {path}: not a directory", code="context-not-a-directory"
        )
    raise NotFoundError(
        f"failed to get build context {name}: stat {path}: no such file or directory",
        code="context-not-found",
        hint=f"{name} must be a directory, docker-image://, oci-layout://, a git or HTTP URL, or a target",
    )


def links_of(target: Target) -> Iterable[str]:
    """The names of the targets whose results are contexts of `target`."""
    return [
        value.removeprefix(_TARGET) for value in (target.contexts or {}).values() if value.startswith(_TARGET)
    ]


def split_layout(text: str) -> tuple[str, str, str]:
    """Path, tag and digest of `PATH[:TAG][@DIGEST]`; a tag holds no slash and a path may hold anything."""
    digest = ""
    head, at, tail = text.rpartition("@")
    if at and ":" in tail and "/" not in tail:
        text, digest = head, tail
    head, colon, tail = text.rpartition(":")
    if colon and tail and "/" not in tail:
        return head, tail, digest
    return text, "", digest
