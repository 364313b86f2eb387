"""`include`: the resources of other files, loaded as a project of their own with its own directory and `.env`."""

from __future__ import annotations

from bakehouse.bake.compose.env_files import read_env_file
from bakehouse.bake.compose.merging import merge
from bakehouse.bake.compose.nodes import ComposeFailure, Node, go_string, joined, type_name
from bakehouse.bake.compose.resets import without
from bakehouse.go.paths import join_path, parent_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.bake.compose.model import Project
    from bakehouse.bake.compose.nodes import Path, Value

_SECTIONS = ("services", "volumes", "networks", "secrets", "configs", "models")
_NOTHING = "/dev/null"


class Include:
    """One element of `include`."""

    __slots__ = ("env_files", "paths", "place", "project_directory")

    def __init__(self, place: Node, paths: list[Node], project_directory: str, env_files: list[Node]) -> None:
        self.place = place
        self.paths = paths
        self.project_directory = project_directory
        self.env_files = env_files


def apply_include(project: Project, root: Node, included: Sequence[str], resets: Sequence[Path]) -> Node:
    """The document with the resources of what it includes below its own. Raises `ComposeFailure`."""
    section = root.get("include")
    if section is None:
        return root
    members = {key: member for key, member in root.value.items() if key != "include"}  # type: ignore[union-attr]
    root = root.like(members)
    for include in _includes(section):
        imported = _load(project, include, included)
        if imported is not None:
            root = _import(imported, root, resets)
    return root


def _includes(section: Node) -> list[Include]:
    if section.value is None:
        return []
    if not isinstance(section.value, list):
        raise ComposeFailure(
            f"`include` must be a list, got {go_string(section.value)}", section, at_key=True
        )
    decoder = _Decoder()
    out = [decoder.include(index, item) for index, item in enumerate(section.value)]
    if decoder.failures:
        failure = joined(decoder.failures)
        failure.message = f"decoding failed due to the following error(s):\n\n{failure.message}"
        raise failure
    return out


class _Decoder:
    """Reads the elements, and collects what is wrong with them."""

    def __init__(self) -> None:
        self.failures: list[ComposeFailure] = []

    def include(self, index: int, item: Node) -> Include:
        if isinstance(item.value, str):
            return Include(item, [item], "", [])
        if item.value is not None and not isinstance(item.value, dict):
            self._fail(item, f"'[{index}]' expected a map or struct, got \"{_kind(item.value)}\"")
        return Include(
            item,
            self._texts(item.get("path"), f"[{index}].path"),
            self._text(item.get("project_directory"), f"[{index}].project_directory"),
            self._texts(item.get("env_file"), f"[{index}].env_file"),
        )

    def _fail(self, node: Node, text: str) -> None:
        self.failures.append(ComposeFailure(text, node))

    def _text(self, node: Node | None, where: str) -> str:
        if node is None or node.value is None:
            return ""
        if not isinstance(node.value, str):
            name = type_name(node.value)
            self._fail(node, f"'{where}' expected type 'string', got unconvertible type '{name}'")
            return ""
        return node.value

    def _texts(self, node: Node | None, where: str) -> list[Node]:
        if node is None or node.value is None:
            return []
        items = node.value if isinstance(node.value, list) else [node]
        for item in items:
            if not isinstance(item.value, str):
                self._fail(item, f"'{where}' invalid type {type_name(node.value)} for string list")
                return []
        return items


def _kind(value: Value) -> str:
    """What Go calls the kind of a value."""
    return "slice" if isinstance(value, list) else type_name(value)


def _load(project: Project, include: Include, included: Sequence[str]) -> Node | None:
    loading = project.loading
    if not include.paths:
        # Its environment files are read all the same.
        _environment(project, include, include.project_directory)
        return None
    paths = [_path(project.directory, str(item.value)) for item in include.paths]
    if paths[0] in included:
        first, *others = [*included, paths[0]]
        chain = "".join(f"\n include {name}" for name in others)
        raise ComposeFailure(f"include cycle detected:\n{first}{chain}", include.place)
    directory, prefix = _directories(project, include, str(include.paths[0].value))
    environment = _environment(project, include, directory)
    # Files that are reached on several ways are loaded once; otherwise a few of them could mean millions of loads.
    key = (tuple(paths), directory, prefix, tuple(sorted(environment.items())))
    if key not in loading.included:
        files = [loading.read(path, item) for path, item in zip(paths, include.paths, strict=True)]
        loading.included[key] = project.included(directory, prefix, environment).load(files, included)
    return loading.included[key]


def _path(directory: str, path: str) -> str:
    return path if path.startswith("/") else join_path(directory, path)


def _directories(project: Project, include: Include, first: str) -> tuple[str, str]:
    """Where relative paths of the included files start: seen from the working directory, and from the including
    project."""
    wanted = include.project_directory
    if wanted == "":
        wanted = parent_path(first)
    elif not wanted.startswith("/"):
        directory = _path(project.directory, wanted)
        if not project.loading.disk.is_directory(directory):
            return directory, _relative(parent_path(wanted))
    return _path(project.directory, wanted), _relative(wanted)


def _relative(path: str) -> str:
    cleaned = join_path(path)
    return "" if cleaned == "." else cleaned


def _environment(project: Project, include: Include, directory: str) -> dict[str, str]:
    """The variables of the including project, then those of the environment files for names that it does not have."""
    loading = project.loading
    files: list[tuple[str, Node]] = []
    for item in include.env_files:
        name = str(item.value)
        if name == _NOTHING:
            continue
        path = _path(project.directory, name)
        absolute = name.startswith("/")
        if not loading.disk.exists(path):
            what = (
                f"couldn't find env file: {path}" if absolute else f"stat {path}: no such file or directory"
            )
            raise ComposeFailure(what, item, code="compose-file-not-found")
        if loading.disk.is_directory(path):
            raise ComposeFailure(f"{path} is {'a directory' if absolute else 'not a file'}", item)
        files.append((path, item))
    if not include.env_files:
        path = join_path(directory, ".env")
        if loading.disk.is_file(path):
            files.append((path, include.place))
    found: dict[str, str] = {}
    for path, item in files:
        read_env_file(loading, path, item, project.environment.get, found, loading.disk.absolute(path))
    return {**found, **project.environment}


def _import(imported: Node, root: Node, resets: Sequence[Path]) -> Node:
    """The resources of `imported` below those of the document, which win where both have one."""
    members = dict(root.value) if isinstance(root.value, dict) else {}
    for section in _SECTIONS:
        source = imported.get(section)
        if source is None or source.value is None:
            continue
        if not isinstance(source.value, dict):
            raise ComposeFailure(f"{section} must be a mapping", source, at_key=True)
        own = members.get(section)
        if own is not None and not isinstance(own.value, dict):
            raise ComposeFailure(f"{section} must be a mapping", own, at_key=True)
        resources = dict(own.value) if own is not None and isinstance(own.value, dict) else {}
        for name, resource in source.value.items():
            conflicting = resources.get(name)
            if conflicting is None:
                resources[name] = resource
                continue
            trimmed = without(source.like({section: source.like({name: resource})}), resets)
            inner = trimmed.get(section)
            kept = None if inner is None else inner.get(name)
            # What is taken away as a whole is still merged with, as in the peer.
            resources[name] = merge(kept or resource, conflicting, (section, name))
        members[section] = (own or source).like(resources)
    return root.like(members)
