"""Walking a context directory with BuildKit's filters (engine.md §11, dockerfile.md §11-§12).

Role: which files of a directory on this machine belong to a context: include and exclude patterns, and paths whose
symlink chains are followed. Hashing and copying do not belong here.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from bakehouse.engine.nodes import DirectoryTree, Node, check_depth, make_node, sort_names
from bakehouse.engine.path_patterns import Match, PathFilter, go_match
from bakehouse.errors import DeniedError, NotFoundError
from bakehouse.go.globs import has_wildcard
from bakehouse.go.paths import rooted_path


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
            _as_context_shows_it(child)
        return children

    def peek(self, node: Node, name: str) -> Node | None:
        """The child `name` of `node`, found without listing a directory that was not listed yet."""
        if node.children is not None or not node.is_directory:
            return self.children(node).get(name)
        with self._lock:
            check_depth(node)
            try:
                child = make_node(name, node, self._own_reader().directory(node))
            except PermissionError:
                # Listing it says what is wrong, as for any other directory.
                return self.children(node).get(name)
            except OSError as error:
                if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR):
                    return None
                raise
        if child is not None:
            _as_context_shows_it(child)
        return child

    def narrow(self, paths: Sequence[str]) -> None:
        """Makes the directories that lead to the relative `paths` show nothing else. Of a directory with a million
        files, one is then found without a look at the others."""
        wanted: _Names = {}
        for path in paths:
            _add(wanted, path.split("/"))
        pending: list[tuple[Node, _Names]] = [(self.root, wanted)]
        while pending:
            node, names = pending.pop()
            if node.children is not None or not node.is_directory:
                continue
            ordered = list(names)
            sort_names(ordered)
            found = {name: child for name in ordered if (child := self.peek(node, name)) is not None}
            if node.children is None:
                node.children = found
            for name, child in found.items():
                below = names[name]
                if below is not None:
                    pending.append((child, below))


#: Names in a directory, and what is wanted below each of them: None for everything.
_Names = dict[str, "_Names | None"]


def _add(names: _Names, parts: list[str]) -> None:
    for part in parts[:-1]:
        below = names.setdefault(part, {})
        if below is None:
            return
        names = below
    names[parts[-1]] = None


def _as_context_shows_it(node: Node) -> None:
    node.uid = node.gid = 0
    if stat.S_ISSOCK(node.mode):
        node.mode = stat.S_IFREG | stat.S_IMODE(node.mode)


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
    literal = selected.literal_includes
    if literal is not None and not any(_is_odd(path) for path in literal):
        tree.narrow(literal)
    if not selected.is_trivial:
        tree.root.children = _pruned(tree, tree.root, "", None, None, selected)


def _is_odd(path: str) -> bool:
    """Whether `path` is not simply names with slashes between them."""
    return any(part in ("", ".", "..") for part in path.split("/"))


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


def follow_links(tree: ContextDirectory, paths: Sequence[str]) -> list[str] | None:
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
    def __init__(self, tree: ContextDirectory) -> None:
        self._seen: dict[tuple[int, str], Node | None] = {}
        self.resolved: set[str] = set()
        self._tree = tree

    def add(self, path: str) -> None:
        pending = [path]
        while pending:
            targets = self._add_one(pending.pop(0))
            pending[:0] = targets

    def _add_one(self, path: str) -> list[str]:
        """Adds `path` up to its first symlink; returns the paths that the link leads to."""
        parts = [part for part in rooted_path(path).split("/") if part]
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
        if not has_wildcard(base):
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
            node = self._child(node, part) if node is not None else None
        return node

    def _child(self, node: Node, name: str) -> Node | None:
        key = (id(node), name)
        if key not in self._seen:
            self._seen[key] = self._tree.peek(node, name)
        return self._seen[key]
