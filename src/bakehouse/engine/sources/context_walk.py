"""Walking a context directory with BuildKit's filters (engine.md §11, dockerfile.md §11-§12).

Role: which files of a directory on this machine belong to a context: include and exclude patterns, and paths whose
symlink chains are followed. Hashing and copying do not belong here.
"""

from __future__ import annotations

import os
import posixpath
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from bakehouse.engine.nodes import DirectoryTree, Node
from bakehouse.engine.path_patterns import Match, PathFilter, contains_wildcards, go_match
from bakehouse.errors import DeniedError, NotFoundError


class ContextDirectory(DirectoryTree):
    """A directory of the user's machine as a context shows it: every owner is 0:0, a socket is an empty file."""

    def __init__(self, root_path: Path) -> None:
        super().__init__(_checked_root(root_path))
        self.synced = True
        # BuildKit never transfers the root: its time is that of the build, and a copy of `.` hands it on.
        self.root.mtime_ns = time.time_ns()

    def children(self, node: Node) -> dict[str, Node]:
        if node.children is not None:
            return node.children
        try:
            children = super().children(node)
        except PermissionError as error:
            raise DeniedError(
                f"{node.path}: permission denied in the build context",
                code="context-unreadable",
                hint="Make the directory readable, or name it in .dockerignore.",
            ) from error
        for child in children.values():
            child.uid = child.gid = 0
            if stat.S_ISSOCK(child.mode):
                child.mode = stat.S_IFREG | stat.S_IMODE(child.mode)
        return children


def _checked_root(path: Path) -> Path:
    resolved = Path(os.path.realpath(path))
    try:
        status = os.stat(resolved)
    except OSError as error:
        raise NotFoundError(
            f"build context {path}: {error.strerror}",
            code="context-not-found",
            hint="Name an existing directory as context.",
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise NotFoundError(f"build context {path}: not a directory", code="context-not-directory")
    return resolved


def filter_context(
    tree: ContextDirectory, include: Sequence[str], exclude: Sequence[str], follow: Sequence[str] | None
) -> None:
    """Drops from `tree` all that the filters do not select; directories above selected files stay.

    `follow` lists paths (wildcards allowed) that join the include patterns with all symlinks on their way."""
    patterns = list(include)
    if follow is not None:
        targets = follow_links(tree, follow)
        if targets is not None:
            patterns = _without_children(patterns + targets)
    selected = PathFilter(patterns, exclude)
    if not selected.is_trivial:
        tree.root.children = _pruned(tree, tree.root, "", None, None, selected)


def _pruned(
    tree: ContextDirectory, node: Node, path: str, include: Match, exclude: Match, selected: PathFilter
) -> dict[str, Node]:
    """The selected children of `node`, whose own subtrees are pruned already."""
    kept = {}
    for name, child in tree.children(node).items():
        below = f"{path}/{name}" if path else name
        wanted, included, excluded = selected.decide(below, include, exclude)
        if child.is_directory:
            if not wanted and not selected.may_match_below(below, included, excluded):
                continue
            try:
                child.children = _pruned(tree, child, below, included, excluded, selected)
            except DeniedError:
                if wanted:
                    raise
                continue
            wanted = wanted or bool(child.children)
        if wanted:
            kept[name] = child
    return kept


def follow_links(tree: DirectoryTree, paths: Sequence[str]) -> list[str] | None:
    """`paths` and the targets of all symlinks on their way, relative, sorted, without paths below another one.

    None when the root itself is among them: then nothing may be filtered."""
    resolver = _LinkResolver(tree)
    for path in paths:
        resolver.add(path)
    found = sorted(resolver.resolved, key=os.fsencode)
    return None if "." in found else _without_children(found)


def _without_children(paths: list[str]) -> list[str]:
    """Drops every path that directly follows, in the list, a path that it lies below."""
    kept: list[str] = []
    for path in paths:
        if not kept or not path.startswith(kept[-1] + "/"):
            kept.append(path)
    return kept


class _LinkResolver:
    def __init__(self, tree: DirectoryTree) -> None:
        self.resolved: set[str] = set()
        self._tree = tree

    def add(self, path: str) -> None:
        pending = [path]
        while pending:
            targets = self._add_one(pending.pop(0))
            pending[:0] = targets

    def _add_one(self, path: str) -> list[str]:
        """Adds `path` up to its first symlink; returns the paths that the link leads to."""
        parts = [part for part in posixpath.normpath("/" + path).split("/") if part]
        if not parts:
            self.resolved.add(".")
            return []
        current = ""
        for position, part in enumerate(parts):
            current = f"{current}/{part}" if current else part
            rest = "/".join(parts[position + 1 :])
            targets = self._targets(current)
            if targets or not rest:
                if current in self.resolved:
                    return []
                self.resolved.add(current)
                return [posixpath.join(target, rest) for target in targets]
        return []

    def _targets(self, path: str) -> list[str]:
        directory, _, base = path.rpartition("/")
        if not contains_wildcards(base):
            return self._target(path)
        parent = self._lookup(directory)
        if parent is None:
            return []
        found = []
        for name in self._tree.children(parent):
            if go_match(base, name):
                found += self._target(f"{directory}/{name}" if directory else name)
        return found

    def _target(self, path: str) -> list[str]:
        node = self._lookup(path)
        if node is None or not node.is_symlink:
            return []
        return [posixpath.normpath(posixpath.join("/", posixpath.dirname(path), node.link))]

    def _lookup(self, path: str) -> Node | None:
        node: Node | None = self._tree.root
        for part in path.split("/") if path else ():
            node = self._tree.child(node, part) if node is not None else None
        return node
