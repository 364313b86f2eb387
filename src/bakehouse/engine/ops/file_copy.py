"""Copying files between trees the way BuildKit's COPY does (engine.md §4, dockerfile.md §7).

Role: the copy algorithm over a source `FileTree` and a `Destination`: where things land, what is merged or replaced,
whose metadata wins, filters, hard links. Archives are `file_archive`, the other actions `file_actions`.
"""

from __future__ import annotations

import contextlib
import errno
import posixpath
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic

from bakehouse.engine.nodes import FileTree, Node, TreeReader, resolve
from bakehouse.engine.ops.file_destination import (
    Content,
    D,
    Destination,
    DirectoryDestination,
    Metadata,
    failure,
    make_directories,
    mode_at,
    open_directory,
    resolve_in,
)
from bakehouse.engine.ops.file_modes import ModeChange
from bakehouse.engine.path_patterns import Match, PathFilter, go_match, split_wildcards
from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.go.paths import rooted_path
from bakehouse.llb.ops import Copy
from bakehouse.values import dataclass

DEFAULT_DIRECTORY_MODE = 0o755


@dataclass(frozen=True, slots=True)
class Owner:
    """A numeric owner that an action sets."""

    uid: int
    gid: int


@dataclass(slots=True)
class _Level(Generic[D]):
    """A directory being copied: its source, where it goes, and its open destination once that exists."""

    source: Node
    above: "_Level[D] | None"
    name: str
    path: tuple[str, ...]
    directory: D | None
    created: bool = False


class Copier(Generic[D]):
    """Runs copy actions from one source tree into one destination. Close it afterwards.

    `check` is called once a directory and raises to cancel."""

    def __init__(
        self,
        source: FileTree,
        destination: Destination[D],
        reader: TreeReader | None,
        action: Copy,
        owner: Owner | None,
        check: Callable[[], None],
    ) -> None:
        self._source = source
        self._destination = destination
        self._reader = reader
        self._action = action
        self._owner = owner
        self._check = check
        self._time = None if action.timestamp == -1 else action.timestamp
        self._change = ModeChange(action.mode_str) if action.mode_str else None
        self._mode = None if action.mode == -1 or action.mode_str else action.mode
        self._filter = PathFilter(action.include_patterns, action.exclude_patterns)
        self._filtered = not self._filter.is_trivial
        self._links: dict[tuple[int, int], tuple[str, ...]] = {}

    def copy(self, source_path: str) -> None:
        """Copies one source (no wildcards in it) to the action's destination."""
        self._links.clear()
        dest = clean_path(self._action.dest)
        head, tail = posixpath.split(dest)
        ensured = resolve_in(self._destination, dest if tail in ("", ".") else head)
        made = self._make_directories(ensured)
        target = resolve_in(self._destination, posixpath.normpath(dest))
        _, node = resolve(self._source, posixpath.normpath(source_path), self._action.follow_symlink)
        if node is None:
            raise failure("lstat", source_path, errno.ENOENT)
        target, more = self._prepare_target(node, source_path, target)
        self._copy_top(node, target)
        for directory in (*reversed(more), *reversed(made)):
            self._restore_time(directory)

    def _make_directories(self, components: tuple[str, ...]) -> list[tuple[str, ...]]:
        mode = DEFAULT_DIRECTORY_MODE if self._mode is None else self._mode
        return make_directories(
            self._destination, components, mode, created_metadata(self._owner, self._time)
        )

    def _restore_time(self, components: tuple[str, ...]) -> None:
        if self._time is None:
            return
        with open_directory(self._destination, components[:-1]) as above:
            if above is not None:
                self._destination.apply(above, components[-1], Metadata(mtime_ns=self._time))

    def _prepare_target(
        self, node: Node, source_path: str, target: tuple[str, ...]
    ) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Where `node` lands, and the directories made for it."""
        present = mode_at(self._destination, target)
        contents = self._action.dir_copy_contents and node.is_directory
        into = present is not None and (node.is_directory or stat.S_ISDIR(present))
        if into and not contents:
            name = posixpath.basename(source_path.rstrip("/"))
            target = (*target, name) if name not in ("", ".") else target
        parent = target if contents and present is None else target[:-1]
        return target, self._make_directories(parent)

    def _copy_top(self, node: Node, target: tuple[str, ...]) -> None:
        if not target:
            self._copy_into_root(node)
            return
        with open_directory(self._destination, target[:-1]) as above:
            if above is None:
                raise failure("lstat", target[:-1], errno.ENOENT)
            top = _Level(node, None, "", target[:-1], above, True)
            if node.is_directory:
                self._top_directory(node, top, target)
            else:
                self._copy_file(node, above, target)

    def _copy_into_root(self, node: Node) -> None:
        if not node.is_directory:
            raise DefinitionError("cannot replace to directory / with file", code="file-over-directory")
        level = _Level(node, None, "", (), self._destination.root(), True)
        self._copy_children(level, "", None, None)

    def _top_directory(self, node: Node, top: _Level[D], target: tuple[str, ...]) -> None:
        """The named source directory: one that exists keeps mode and owner and takes only the source's time."""
        assert top.directory is not None
        name = target[-1]
        present = self._destination.mode(top.directory, name)
        self._replace_if_asked(node, top.directory, name, present)
        created = self._directory_only(node, top.directory, target, False)
        self._descend(_Level(node, top, name, target, None), "", None, None)
        if created:
            self._destination.apply(top.directory, name, self._metadata(node))
        elif present is not None:
            time = node.mtime_ns if self._time is None else self._time
            self._destination.apply(top.directory, name, Metadata(mtime_ns=time))

    def _descend(self, level: _Level[D], path: str, include: Match, exclude: Match) -> None:
        """Copies the children of a directory that exists in the destination."""
        assert level.above is not None and level.above.directory is not None
        with self._opened(level.above.directory, level.name) as directory:
            level.directory, level.created = directory, True
            self._copy_children(level, path, include, exclude)

    @contextmanager
    def _opened(self, directory: D, name: str) -> Iterator[D]:
        below = self._destination.enter(directory, name)
        try:
            yield below
        finally:
            self._destination.leave(below)

    def _copy_children(self, level: _Level[D], path: str, include: Match, exclude: Match) -> None:
        self._check()
        for name, child in self._source.children(level.source).items():
            below = f"{path}/{name}" if path else name
            wanted, included, excluded = True, None, None
            if self._filtered:
                wanted, included, excluded = self._filter.decide(below, include, exclude)
            if child.is_directory:
                if wanted or self._filter.may_match_below(below, included, excluded):
                    self._copy_directory(child, level, below, wanted, included, excluded)
            elif wanted:
                self._ensure(level)
                assert level.directory is not None
                self._copy_file(child, level.directory, (*level.path, name))

    def _copy_directory(
        self, node: Node, above: _Level[D], path: str, wanted: bool, include: Match, exclude: Match
    ) -> None:
        """A directory below the source. One that is not wanted itself is made only when something in it is."""
        level = _Level(node, above, node.name, (*above.path, node.name), None)
        if not wanted:
            try:
                self._copy_children(level, path, include, exclude)
            finally:
                if level.directory is not None:
                    self._destination.leave(level.directory)
            return
        self._ensure(above)
        assert above.directory is not None
        present = self._destination.mode(above.directory, node.name)
        self._replace_if_asked(node, above.directory, node.name, present)
        self._directory_only(node, above.directory, level.path, True)
        self._descend(level, path, include, exclude)
        self._destination.apply(above.directory, node.name, self._metadata(node))

    def _ensure(self, level: _Level[D]) -> None:
        """Makes the unwanted directories on the way to something wanted, with their source's metadata."""
        if level.created:
            return
        assert level.above is not None
        self._ensure(level.above)
        above = level.above.directory
        assert above is not None
        if self._directory_only(level.source, above, level.path, True):
            self._destination.apply(above, level.name, self._metadata(level.source))
        level.directory = self._destination.enter(above, level.name)
        level.created = True

    def _directory_only(self, node: Node, above: D, target: tuple[str, ...], overwrite: bool) -> bool:
        """Makes a directory (True), or takes the one that is there, with the source's mode when `overwrite`."""
        present = self._destination.mode(above, target[-1])
        if present is None:
            self._destination.make_directory(above, target[-1], stat.S_IMODE(node.mode))
            return True
        if not stat.S_ISDIR(present):
            raise DefinitionError(
                f"cannot copy to non-directory: {_text(target)}",
                code="copy-to-non-directory",
                hint="Remove what is in the way first, or copy to another place.",
            )
        if overwrite:
            self._destination.apply(above, target[-1], Metadata(mode=stat.S_IMODE(node.mode)))
        return False

    def _replace_if_asked(self, node: Node, above: D, name: str, present: int | None) -> None:
        if present is None or not self._action.always_replace:
            return
        if not (node.is_directory and stat.S_ISDIR(present)):
            self._destination.remove(above, name)

    def _copy_file(self, node: Node, above: D, target: tuple[str, ...]) -> None:
        """Anything but a directory; replaces what has its name unless that is a directory."""
        destination, name = self._destination, target[-1]
        present = destination.mode(above, name)
        if present is not None:
            self._replace_if_asked(node, above, name, present)
            if stat.S_ISDIR(present) and not self._action.always_replace:
                raise DefinitionError(
                    f"cannot replace to directory {_text(target)} with file", code="file-over-directory"
                )
            destination.remove(above, name)
        kind = stat.S_IFMT(node.mode)
        if kind == stat.S_IFREG:
            self._make_regular(node, above, target)
        elif kind == stat.S_IFLNK:
            destination.make_symlink(above, name, node.link)
        else:
            destination.make_special(above, name, node.mode, node.rdev)
        destination.apply(above, name, self._metadata(node))

    def _make_regular(self, node: Node, above: D, target: tuple[str, ...]) -> None:
        if node.nlink > 1:
            identity = (node.device, node.inode)
            known = self._links.get(identity)
            if known is not None:
                self._destination.make_hard_link(above, target[-1], known)
                return
            self._links[identity] = target
        self._destination.make_file(above, target[-1], Content(reader=self._reader, node=node))

    def _metadata(self, node: Node) -> Metadata:
        owner = self._owner
        mode: int | None = None
        if not node.is_symlink:
            mode = stat.S_IMODE(node.mode)
            if self._change is not None:
                mode = self._change.apply(node.mode)
            elif self._mode is not None:
                mode = self._mode & 0o7777
        return Metadata(
            node.uid if owner is None else owner.uid,
            node.gid if owner is None else owner.gid,
            mode,
            node.mtime_ns if self._time is None else self._time,
            self._source.xattrs(node),
        )


def created_metadata(owner: Owner | None, time: int | None) -> Metadata:
    """What a directory that is made on the way gets besides its mode."""
    if owner is None:
        return Metadata(mtime_ns=time)
    return Metadata(owner.uid, owner.gid, None, time)


def clean_path(path: str) -> str:
    """`path` absolute and clean, its trailing `/` or `/.` kept because it makes the destination a directory."""
    cleaned = rooted_path(path)
    if path.endswith("/."):
        return cleaned + ("." if cleaned == "/" else "/.")
    if path.endswith("/") and cleaned != "/":
        return cleaned + "/"
    return cleaned


def resolve_wildcards(tree: FileTree, path: str, follow: bool) -> list[str]:
    """The paths of `tree` that `path` matches, in tree order; a path without wildcards stands for itself.

    Raises `NotFoundError` when the directory before the first wildcard is absent."""
    literal, pattern = split_wildcards(path)
    if not pattern:
        return [literal]
    base, node = resolve(tree, literal, follow)
    if node is None:
        raise failure("lstat", base, errno.ENOENT)
    prefix = "" if base == "/" else base
    return [f"{prefix}/{found}" for found in _matches(tree, node, "", pattern)]


def _matches(tree: FileTree, node: Node, path: str, pattern: str) -> Iterator[str]:
    any_depth = "[" in pattern  # Go lets a bracket expression match a slash
    for name, child in tree.children(node).items():
        below = f"{path}/{name}" if path else name
        if go_match(pattern, below):
            yield below
        elif child.is_directory and (any_depth or below.count("/") < pattern.count("/")):
            yield from _matches(tree, child, below, pattern)


def sources_of(tree: FileTree, action: Copy) -> list[str]:
    """The source paths that a copy action names. Raises when a wildcard that must match matches nothing."""
    source = clean_path(action.src)
    if not action.allow_wildcard:
        return [source]
    found = resolve_wildcards(tree, source, action.follow_symlink)
    if not found and not action.allow_empty_wildcard:
        raise NotFoundError(f"{source} not found", code="path-not-found")
    return found


def copy_whole_tree(tree: FileTree, root: Path) -> None:
    """Copies all of `tree` into the empty directory `root`, metadata included."""
    destination = DirectoryDestination(root)
    action = Copy("/", "/", dir_copy_contents=True, create_dest_path=True)
    try:
        with contextlib.closing(tree.reader()) as reader:
            Copier(tree, destination, reader, action, None, lambda: None).copy("/")
    finally:
        destination.close()


def _text(components: tuple[str, ...]) -> str:
    return "/" + "/".join(components)
