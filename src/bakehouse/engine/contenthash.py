"""BuildKit's content hash of files and trees (engine.md §9), exact to the byte.

Role: record pre-images, directory digests, and the digests of selections with wildcards and filters, over any
`nodes.FileTree`. Where trees come from and where digests are remembered does not belong here.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from bakehouse.engine.nodes import DirectoryTree, EmptyTree, FileTree, Node, TreeReader, resolve
from bakehouse.engine.path_patterns import (
    Match,
    PathFilter,
    split_wildcards,
)
from bakehouse.engine.tree import Selection
from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.go.globs import BadPatternError, has_wildcard, match_path
from bakehouse.go.paths import rooted_path

EMPTY_DIGEST = "sha256:" + hashlib.sha256(b"").hexdigest()

_CHUNK = 1 << 20
_TYPE_FLAGS = {
    stat.S_IFREG: "0",
    stat.S_IFLNK: "2",
    stat.S_IFCHR: "3",
    stat.S_IFBLK: "4",
    stat.S_IFDIR: "5",
    stat.S_IFIFO: "6",
    stat.S_IFSOCK: "0",  # BuildKit clears the socket bit, which leaves an empty regular file
}


def record_header(node: Node, xattrs: dict[str, bytes]) -> bytes:
    """The pre-image of a record up to the file's bytes. No mtime, no name."""
    kind = stat.S_IFMT(node.mode)
    permissions = 0o777 if kind == stat.S_IFLNK else stat.S_IMODE(node.mode)
    major = minor = 0
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        major, minor = os.major(node.rdev), os.minor(node.rdev)
    text = (
        f"namemode{permissions}uid{node.uid}gid{node.gid}size{node.size}typeflag{_TYPE_FLAGS[kind]}linkname"
    ).encode("ascii")
    text += os.fsencode(node.link) + b"unamegname" + b"devmajor%ddevminor%d" % (major, minor)
    if xattrs:
        for name in sorted(xattrs):
            if hashed_xattr(name):
                text += os.fsencode(name) + xattrs[name]
    return text


def hashed_xattr(name: str) -> bool:
    """Whether an extended attribute enters the hash."""
    return name == "security.capability" or not name.startswith(("security.", "system."))


def record_digest(node: Node, reader: TreeReader, xattrs: dict[str, bytes]) -> str:
    """The digest of one record; reads the file's bytes. Raises `OSError` when the file cannot be read."""
    hasher = hashlib.sha256(record_header(node, xattrs))
    if node.size and node.is_regular:
        descriptor = reader.open(node)
        try:
            hash_descriptor(hasher, descriptor, node.size)
        finally:
            os.close(descriptor)
    return "sha256:" + hasher.hexdigest()


def hash_descriptor(hasher: "hashlib._Hash", descriptor: int, size: int) -> None:
    """Feeds all bytes of `descriptor` (about `size`) to `hasher`."""
    if size < _CHUNK:
        data = os.read(descriptor, size + 1)
        hasher.update(data)
        if len(data) == size:
            return
    while data := os.read(descriptor, _CHUNK):
        hasher.update(data)


def combined_checksum(hasher: ContentHasher, selections: Sequence[Selection]) -> str:
    """The result of a content function: one digest over the digests of `selections`, even for a single one
    (engine.md §8.3). No selection means the whole tree."""
    digests = [hasher.checksum(selection) for selection in selections or (Selection(),)]
    return "sha256:" + hashlib.sha256("\0".join(digests).encode("ascii")).hexdigest()


class _Included:
    """One path met while a filtered selection is walked (unmatched parents are kept: a child may select them)."""

    __slots__ = ("exclude", "follow", "include", "included", "node", "path")

    def __init__(self, path: str, node: Node, follow: bool) -> None:
        self.path = path
        self.node = node
        self.follow = follow
        self.included = False
        self.include: Match = None
        self.exclude: Match = None


class ContentHasher:
    """Digests of selections of one tree. Directory digests are remembered while the hasher lives."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree
        self._contents: dict[int, str] = {}
        self._owned: DirectoryTree | None = None

    @classmethod
    def of_directory(cls, root: Path) -> ContentHasher:
        """Over a directory on disk whose root has metadata of its own; close it (or use `with`) afterwards."""
        tree = DirectoryTree(root)
        hasher = cls(tree)
        hasher._owned = tree
        return hasher

    @classmethod
    def of_nothing(cls) -> ContentHasher:
        """Over scratch: `/` has the digest of nothing, every other path is absent."""
        return cls(EmptyTree())

    def __enter__(self) -> ContentHasher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned is not None:
            self._owned.close()

    def checksum(self, selection: Selection) -> str:
        """The digest of one selection. Raises `NotFoundError` for an absent literal or required path."""
        path = rooted_path(selection.path)
        if isinstance(self._tree, EmptyTree):
            return self._nothing(path)
        wildcard = selection.wildcard and has_wildcard(path)
        if not wildcard and not selection.include_patterns and not selection.exclude_patterns:
            return self._plain(path, selection.follow_symlink)
        return self._filtered(path, wildcard, selection)

    @staticmethod
    def _nothing(path: str) -> str:
        if path == "/":
            return EMPTY_DIGEST
        raise NotFoundError(f"{path}: no such file or directory", code="path-not-found")

    def _plain(self, path: str, follow: bool) -> str:
        _, node = resolve(self._tree, path, follow)
        if node is None:
            raise not_found(path)
        return self._contents_digest(node) if node.is_directory else self._tree.record(node)

    def header(self, node: Node) -> str:
        """The digest of a directory's own metadata."""
        if node.parent is None and self._tree.synced:
            return EMPTY_DIGEST
        return self._tree.record(node)

    def _contents_digest(self, node: Node) -> str:
        known = self._contents.get(id(node))
        if known is not None:
            return known
        hasher = hashlib.sha256(b"\0" + self.header(node).encode("ascii"))
        for suffix, digest in self._child_digests(node, b""):
            hasher.update(suffix + digest.encode("ascii"))
        result = self._contents[id(node)] = "sha256:" + hasher.hexdigest()
        return result

    def _child_digests(self, node: Node, prefix: bytes) -> Iterator[tuple[bytes, str]]:
        for name, child in self._tree.children(node).items():
            suffix = prefix + b"\0" + os.fsencode(name)
            if child.is_directory:
                yield suffix, self._contents_digest(child)
                # BuildKit skips a child directory by seeking behind name byte 0xff, so names that begin with that
                # byte are met again, as entries of the directory above.
                yield from self._late_entries(child, suffix)
            else:
                yield suffix, self._tree.record(child)

    def _late_entries(self, node: Node, prefix: bytes) -> Iterator[tuple[bytes, str]]:
        children = self._tree.children(node)
        last = next(reversed(children), "")
        if not last.startswith("\udcff"):
            return
        for suffix, digest in self._child_digests(node, prefix):
            if suffix[len(prefix) + 1 :].startswith(b"\xff"):
                yield suffix, digest

    # -- wildcard, include, exclude -------------------------------------------------------------------------------

    def _filtered(self, path: str, wildcard: bool, selection: Selection) -> str:
        prefix, included = self._included_paths(path, wildcard, selection)
        if not included:
            return EMPTY_DIGEST
        if len(included) == 1 and posixpath.basename(path) == posixpath.basename(included[0].path):
            return self._entry_digest(included[0])
        hasher = hashlib.sha256()
        for entry in included:
            below = entry.path.removeprefix(prefix)
            key = os.fsencode(below).replace(b"/", b"\0") or b"\0"
            hasher.update(key + self._entry_digest(entry).encode("ascii"))
        return "sha256:" + hasher.hexdigest()

    def _entry_digest(self, entry: _Included) -> str:
        if entry.node.is_directory:
            return self.header(entry.node)
        if entry.follow and entry.node.is_symlink:
            return self._plain(entry.path, True)
        return self._tree.record(entry.node)

    def _start(self, path: str, wildcard: bool) -> tuple[str, Node | None]:
        """(path prefix as the user named it, node where the walk starts)."""
        if not wildcard:
            return ("" if path == "/" else path), resolve(self._tree, path, False)[1]
        literal, pattern = split_wildcards(path)
        if literal == "/":
            return "", self._tree.root
        return literal, resolve(self._tree, literal, bool(pattern))[1]

    def _included_paths(self, path: str, wildcard: bool, selection: Selection) -> tuple[str, list[_Included]]:
        prefix, start = self._start(path, wildcard)
        selected: list[_Included] = []
        if start is not None:
            patterns = PathFilter(selection.include_patterns, selection.exclude_patterns)
            walker = _FilteredWalk(self._tree, path, wildcard, patterns, selection.follow_symlink)
            walker.visit(start, prefix, [])
            selected = walker.selected
        for required in selection.required_paths:
            if not any(entry.path.startswith(required) for entry in selected):
                raise not_found(required)
        return prefix, selected


class _FilteredWalk:
    """Walks below one node and collects what a wildcard and filters include, parents' headers with it."""

    def __init__(
        self,
        tree: FileTree,
        path: str,
        wildcard: bool,
        patterns: PathFilter,
        follow: bool,
    ) -> None:
        self.selected: list[_Included] = []
        self._tree = tree
        self._base = "" if path == "/" else path
        self._skip_top_header = path == "/"
        self._wildcard = wildcard
        self._patterns = patterns
        self._follow = follow
        self._matched_at = ""

    def visit(self, node: Node, name: str, parents: list[_Included]) -> None:
        """Visits `node`, called `name` in the user's words, below the directory headers `parents`."""
        if not node.is_directory:
            if self._matches(name):
                self._consider(node, name, parents)
            return
        header = None
        if not (name == self._base and self._skip_top_header) and self._matches(name):
            header = self._consider(node, name, parents)
        if not self._worth_entering(name, header):
            return
        if header is not None:
            parents.append(header)
        for child_name, child in self._tree.children(node).items():
            self.visit(child, f"{name}/{child_name}", parents)
        if header is not None:
            parents.pop()

    def _worth_entering(self, name: str, header: _Included | None) -> bool:
        if header is not None:
            return self._patterns.may_match_below(self._relative(name), header.include, header.exclude)
        # Without brackets, which may match a slash, a pattern matches only names of as many components.
        return not self._wildcard or "[" in self._base or name.count("/") < self._base.count("/")

    def _consider(self, node: Node, name: str, parents: list[_Included]) -> _Included:
        entry = _Included(name, node, self._follow and not parents)
        above = parents[-1] if parents else None
        wanted, entry.include, entry.exclude = self._patterns.decide(
            self._relative(name), above.include if above else None, above.exclude if above else None
        )
        if wanted:
            for selected in (*parents, entry):
                if not selected.included:
                    selected.included = True
                    self.selected.append(selected)
        return entry

    def _matches(self, name: str) -> bool:
        """In wildcard mode: whether `name` matches the pattern or lies below a directory that did."""
        if not self._wildcard:
            return True
        if self._matched_at and name.startswith(self._matched_at + "/"):
            return True
        if not _matches_whole(self._base, name):
            return False
        self._matched_at = name
        return True

    def _relative(self, name: str) -> str:
        top = self._matched_at if self._wildcard else self._base
        return (name + "/").removeprefix(top + "/").removesuffix("/")


def _matches_whole(pattern: str, name: str) -> bool:
    try:
        return match_path(pattern, name)
    except BadPatternError as error:
        raise DefinitionError(str(error), code="bad-pattern") from None


def not_found(path: str) -> NotFoundError:
    return NotFoundError(f'"{path}": not found', code="path-not-found")
