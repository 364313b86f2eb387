"""Context directories: `local://NAME` sources and the tree they yield, read in place.

Role: a directory of the client's machine as a `Tree` that steps copy from and hash without a second copy of it.
Walking and filtering live in `context_walk`, remembered digests in `context_index`. Specification: engine.md §2, §8.2,
§9, §11.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.engine.contenthash import ContentHasher, combined_checksum, record_digest
from bakehouse.engine.nodes import Node, TreeReader, resolve, walk
from bakehouse.engine.sources.context_index import ContextIndex, ContextIndexes
from bakehouse.engine.sources.context_walk import ContextDirectory, filter_context
from bakehouse.engine.tree import EngineContext, Selection
from bakehouse.errors import DefinitionError, IntegrityError, NotFoundError
from bakehouse.go.paths import rooted_path
from bakehouse.llb.ops import SourceOp, Vertex
from bakehouse.solver.model import CacheMap, RunContext

if TYPE_CHECKING:
    from bakehouse.engine.tree import Tree
    from bakehouse.snapshots import LayerChain

_SCHEME = "local://"
_CAPABILITY = "security.capability"
_LARGE_FILE = 512 * 1024
_LAYERS_SPACE = "context-layer.v1"


class HostTree:
    """A filtered context directory. Walked once, when first looked at; thread-safe. Also a `nodes.FileTree`.

    Only files that a selection names are read. Files must not change while the tree is in use; one that does is
    reported (`context-changed`) where it is copied.
    """

    synced = True

    def __init__(
        self,
        directory: Path,
        context: EngineContext,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        follow: Sequence[str] | None = None,
        indexes: ContextIndexes | None = None,
    ) -> None:
        """`indexes` are those of the build; without them the tree keeps one for itself."""
        self.directory = directory
        self._indexes = indexes or ContextIndexes(context.store.path("contexts"))
        self._context = context
        self._filter = (tuple(include), tuple(exclude), None if follow is None else tuple(follow))
        self._lock = threading.RLock()
        self._tree: ContextDirectory | None = None
        self._index: ContextIndex | None = None
        self._looked_at_ns = 0
        self._with_xattrs: set[int] = set()
        self._contents: ContentHasher | None = None
        self._layer_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"HostTree({str(self.directory)!r})"

    @property
    def reference(self) -> str:
        """The name of the tree in messages."""
        return str(self.directory)

    # -- FileTree -------------------------------------------------------------------------------------------------

    @property
    def root(self) -> Node:
        return self._walked().root

    def children(self, node: Node) -> dict[str, Node]:
        return self._walked().children(node)

    def child(self, node: Node, name: str) -> Node | None:
        return self._walked().child(node, name)

    def reader(self) -> TreeReader:
        return self._walked().reader()

    def record(self, node: Node) -> str:
        if node.digest:
            return node.digest
        with self._lock:
            if not self._recall(node):
                xattrs = self._read_xattrs(node)
                with self._reading(node):
                    self._walked().hash_record(node, xattrs)
                self._remember(node, bool(xattrs))
        return node.digest

    def xattrs(self, node: Node) -> dict[str, bytes]:
        """What a copy of `node` carries. File capabilities are not lent: they count in digests, but in BuildKit's copy
        of a context the change of owner drops them."""
        if node.digest and id(node) not in self._with_xattrs:
            return {}
        with self._lock:
            found = self._read_xattrs(node)
        if not node.is_directory and _CAPABILITY in found:
            return {name: value for name, value in found.items() if name != _CAPABILITY}
        return found

    # -- Tree -----------------------------------------------------------------------------------------------------

    def checksum(self, selections: Sequence[Selection]) -> str:
        """BuildKit's content digest of `selections`. Raises `NotFoundError` for an absent literal path."""
        with self._lock:
            try:
                self._walked()
                self._hash_large_files(selections)
                if self._contents is None:
                    self._contents = ContentHasher(self)
                result = combined_checksum(self._contents, selections)
                assert self._index is not None
                self._index.save_in_time()
                return result
            finally:
                self.close()

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """The filtered context as a directory: a copy, made once for the same files."""
        with self._context.layers.view(self.chain()) as path:
            yield path

    def chain(self) -> LayerChain:
        """The filtered context as one layer, made once for the same files and times."""
        from bakehouse.engine.ops.file_copy import copy_whole_tree
        from bakehouse.snapshots import LayerChain

        with self._layer_lock:
            key = self._layer_key()
            known = self._context.store.kv.get(_LAYERS_SPACE, key)
            if known is not None:
                chain = LayerChain((known.decode("ascii"),))
                if self._context.layers.exists(chain):
                    return chain
            with self._context.layers.prepare(LayerChain(())) as active:
                copy_whole_tree(self, active.root)
                self.close()
                layer = active.commit(
                    description=f"context {self.directory.name}", record_type="source.local"
                )
            self._context.store.kv.put(_LAYERS_SPACE, key, layer.encode("ascii"))
            return LayerChain((layer,))

    def close(self) -> None:
        """Gives up descriptors; the tree opens them again when it is used. A build may have a thousand contexts, and a
        process a thousand descriptors."""
        with self._lock:
            if self._tree is not None:
                self._tree.close()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _walked(self) -> ContextDirectory:
        with self._lock:
            if self._tree is None:
                include, exclude, follow = self._filter
                self._index = self._indexes.of(self.directory)
                self._looked_at_ns = time.time_ns()
                tree = ContextDirectory(self.directory)
                filter_context(tree, include, exclude, follow)
                self._tree = tree
            return self._tree

    def _recall(self, node: Node) -> bool:
        """Whether the digest of `node` is known: by another thread meanwhile, or from an earlier build."""
        assert self._index is not None
        if node.digest:
            return True
        if node.is_directory:
            return False
        known = self._index.lookup(node)
        if known is None:
            return False
        node.digest = known[0]
        if known[1]:
            self._with_xattrs.add(id(node))
        return True

    def _remember(self, node: Node, has_xattrs: bool) -> None:
        assert self._index is not None
        if has_xattrs:
            self._with_xattrs.add(id(node))
        if not node.is_directory:
            self._index.remember(node, node.digest, has_xattrs, self._looked_at_ns)

    def _read_xattrs(self, node: Node) -> dict[str, bytes]:
        found = self._walked().xattrs(node)
        return {name: value for name, value in found.items() if not name.startswith("com.apple.")}

    @contextmanager
    def _reading(self, node: Node) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise IntegrityError(
                f"{node.path}: vanished from the build context while it was read",
                code="context-changed",
                hint="Build again when nothing writes to the context.",
            ) from error
        except PermissionError as error:
            raise NotFoundError(
                f"{node.path}: permission denied in the build context",
                code="context-unreadable",
                hint="Make the file readable, or name it in .dockerignore.",
            ) from error

    def _hash_large_files(self, selections: Sequence[Selection]) -> None:
        """Hashes the large files of literal selections on all processors; the rest is left to the ordinary walk."""
        large: dict[int, Node] = {}
        for selection in selections or (Selection(),):
            if selection.wildcard or selection.include_patterns or selection.exclude_patterns:
                continue
            _, start = resolve(self, rooted_path(selection.path), selection.follow_symlink)
            for node in walk(self, start) if start is not None else ():
                if node.size >= _LARGE_FILE and not self._recall(node):
                    large[id(node)] = node
        if len(large) < 2:
            return
        nodes = sorted(large.values(), key=lambda node: -node.size)
        from concurrent.futures import ThreadPoolExecutor

        workers = min(len(nodes), os.cpu_count() or 1, 8)
        with ThreadPoolExecutor(workers, "hash") as pool:
            for node, has_xattrs in pool.map(self._hashed, nodes):
                self._remember(node, has_xattrs)

    def _hashed(self, node: Node) -> tuple[Node, bool]:
        assert self._tree is not None
        with self._reading(node), self._tree.reader() as reader:
            xattrs = {
                name: value
                for name, value in reader.xattrs(node).items()
                if not name.startswith("com.apple.")
            }
            node.digest = record_digest(node, reader, xattrs)
            return node, bool(xattrs)

    def _layer_key(self) -> str:
        """Names the copy of this tree: its content and every modification time."""
        hasher = hashlib.sha256(self.checksum(()).encode("ascii"))
        for node in walk(self, self.root):
            if node.parent is not None:
                hasher.update(node.mtime_ns.to_bytes(16, "little", signed=True))
        return hasher.hexdigest()


class LocalSource:
    """The operation of a `local://NAME` vertex. Its own key never matches across builds; consumers' content
    functions do (engine.md §8.2)."""

    def __init__(self, vertex: Vertex, context: EngineContext, indexes: ContextIndexes | None = None) -> None:
        assert isinstance(vertex.op, SourceOp)
        self._indexes = indexes
        self._name = vertex.op.identifier.removeprefix(_SCHEME)
        self._attrs = vertex.op.attrs
        self._context = context
        self._unique = os.urandom(16).hex()

    def cache_map(self, context: RunContext) -> CacheMap:
        text = json.dumps([self._unique, self._name, sorted(self._attrs.items())])
        return CacheMap("random:" + hashlib.sha256(text.encode()).hexdigest())

    def run(self, context: RunContext, inputs: Sequence[Tree]) -> list[Tree]:
        shared = self._context.session.local_dirs
        # Targets of one build may each share a directory of this name: their session ids tell them apart.
        session = self._attrs.get("local.session", "")
        directory = shared.get(f"{session}:{self._name}") or shared.get(self._name)
        if directory is None:
            raise NotFoundError(f'no access allowed to dir "{self._name}"', code="local-dir-not-shared")
        tree = HostTree(
            directory,
            self._context,
            include=self._list("local.includepattern"),
            exclude=self._list("local.excludepatterns"),
            follow=self._list("local.followpaths") if "local.followpaths" in self._attrs else None,
            indexes=self._indexes,
        )
        with context.reporter.status(f"reading {self._name}"):
            tree._walked()
            tree.close()
        return [tree]

    def _list(self, attribute: str) -> tuple[str, ...]:
        text = self._attrs.get(attribute)
        if not text:
            return ()
        with contextlib.suppress(ValueError):
            values = json.loads(text)
            if values is None:
                return ()
            if isinstance(values, list) and all(isinstance(value, str) for value in values):
                return tuple(values)
        raise DefinitionError(
            f"{attribute}: expected a JSON list of strings", code="invalid-source-attribute"
        )
