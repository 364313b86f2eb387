"""A tree made of layers: what images, steps and copies yield.

Role: the `Tree` of a `LayerChain`. Reading and hashing go through the layer store's read-only view; checksums are
remembered per (chain, selections) in the store, because a chain never changes. Making layers does not belong here.
Specification: engine.md §9.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.engine.contenthash import ContentHasher, combined_checksum
from bakehouse.engine.tree import EngineContext, Selection

if TYPE_CHECKING:
    from bakehouse.snapshots import LayerChain

_SPACE = "contenthash.v1"


class LayerTree:
    """The merged tree of `chain`. Equal chains make equal trees. Thread-safe."""

    __slots__ = ("_chain", "_context")

    def __init__(self, chain: LayerChain, context: EngineContext) -> None:
        self._chain = chain
        self._context = context

    def __repr__(self) -> str:
        return f"LayerTree({self._chain!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LayerTree) and self._chain == other._chain

    def __hash__(self) -> int:
        return hash(self._chain)

    def mounted(self) -> AbstractContextManager[Path]:
        """A directory that shows the merged tree; shared by all who look at the same chain."""
        view: AbstractContextManager[Path] = self._context.layers.view(self._chain)
        return view

    def chain(self) -> LayerChain:
        return self._chain

    @property
    def reference(self) -> str:
        """The name of the chain in messages."""
        return str(self._chain.key)

    @property
    def context(self) -> EngineContext:
        """The engine that the tree belongs to."""
        return self._context

    def checksum(self, selections: Sequence[Selection]) -> str:
        """BuildKit's content digest of `selections`; computed once per (chain, selections) in the life of a store.

        Raises `NotFoundError` (`"/nope": not found`) for a literal path that is absent."""
        key = self._key(selections)
        known = self._context.store.kv.get(_SPACE, key)
        if known is not None:
            return known.decode("ascii")
        result = self._computed(selections)
        self._context.store.kv.put(_SPACE, key, result.encode("ascii"))
        return result

    def _computed(self, selections: Sequence[Selection]) -> str:
        if not self._chain.layers:
            return combined_checksum(ContentHasher.of_nothing(), selections)
        with self.mounted() as root, ContentHasher.of_directory(root) as hasher:
            return combined_checksum(hasher, selections)

    def _key(self, selections: Sequence[Selection]) -> str:
        parts = [
            [
                s.path,
                s.wildcard,
                s.follow_symlink,
                s.include_patterns,
                s.exclude_patterns,
                s.required_paths,
            ]
            for s in selections
        ]
        text = json.dumps([list(self._chain.layers), parts], ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()
