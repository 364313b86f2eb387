"""What of a solve goes into a cache: the records that lead to its results, and the layers of those results.

The walk is BuildKit's (engine.md §8.5): from the key of each result down every link that the local store or an imported
cache knows, so that a consumer can match whatever way it comes. Results are those of the vertices of this solve: in
mode `max` of all, in mode `min` of the last ones and of those whose blobs are there anyway. A step is left out when an
input has no key that another build could ever have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from bakehouse.engine.caches.chains import CachedResult, Chains, Item
from bakehouse.engine.caches.keys import RecordLink
from bakehouse.engine.records import layers_of_record
from bakehouse.go.timestamps import format_time_ns
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.oci.media_types import distributable, layer_as
from bakehouse.values import dataclass, field, replace

if TYPE_CHECKING:
    from bakehouse.engine.tree import EngineContext, Tree
    from bakehouse.snapshots import Compression, LayerBlob

CREATED_ANNOTATION = "buildkit/createdat"
DIFF_ID_ANNOTATION = "containerd.io/uncompressed"
_PARALLEL_LAYERS = 4
_PACKED = "packed"


class Keys(Protocol):
    """What the walk asks of the keys of a solve (`keys.CombinedKeys`)."""

    def links_to(self, key: str) -> Sequence[RecordLink]: ...
    def results(self, key: str) -> Sequence[tuple[str, float]]: ...


@dataclass(frozen=True, slots=True)
class SolvedKeys:
    """What a solve knows of one target: the keys of its results, and those of all vertices below them with the number
    of inputs that their operation has."""

    results: tuple[str, ...]
    below: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Records with their results, and the layer of the layer store behind each blob."""

    chains: Chains
    layer_ids: Mapping[Digest, str]
    layers: Mapping[Digest, Descriptor]


class Gatherer:
    """Gathers one cache. `load` makes a tree of a record, None when its files are gone."""

    def __init__(
        self,
        keys: Keys,
        load: Callable[[str], Tree | None],
        context: EngineContext,
        compression: Compression,
        check_cancelled: Callable[[], None],
    ) -> None:
        self._keys = keys
        self._load = load
        self._context = context
        self._compression = compression
        self._check_cancelled = check_cancelled
        self._blobs: dict[str, Descriptor] = {}

    def gather(self, solved: SolvedKeys, *, all_results: bool) -> Gathered:
        """The cache of one target. Layer blobs that are needed are made; none is fetched."""
        chains = Chains()
        items = _Records(self._keys, chains, solved.below).of(solved.results)
        tops = [key for key in solved.results if items.get(key)]
        self._add_results(tops, items, _always)
        others = [key for key in items if key in solved.below and key not in tops]
        self._add_results(others, items, _always if all_results else self._is_there)
        blobs = self._blobs
        return Gathered(
            chains,
            {descriptor.digest: layer_id for layer_id, descriptor in blobs.items()},
            {descriptor.digest: descriptor for descriptor in blobs.values()},
        )

    def _is_there(self, record: str) -> bool:
        """Whether the blobs of a result need not be made for its sake."""
        layers = layers_of_record(record)
        return layers is None or all(
            layer_id in self._blobs or self._has_blob(layer_id) for layer_id in layers
        )

    def _has_blob(self, layer_id: str) -> bool:
        row = self._context.store.layers.get(layer_id)
        # A layer that was written as a blob right away would have none yet in BuildKit.
        return row is not None and row.origin != _PACKED and bool(self._context.store.layers.blobs(layer_id))

    def _add_results(
        self, keys: Iterable[str], items: Mapping[str, Sequence[Item]], wanted: Callable[[str], bool]
    ) -> None:
        found: list[tuple[str, tuple[str, ...], float]] = []
        for key in keys:
            self._check_cancelled()
            if self._keys.links_to(key):
                best = self._best(key, wanted)
                if best is not None:
                    found.append((key, *best))
        self._make_blobs([layer_id for _, layers, _ in found for layer_id in layers])
        for key, layers, created_s in found:
            stack = tuple(self._blobs[layer_id] for layer_id in layers)
            for item in items[key]:
                item.add_result(CachedResult(stack, round(created_s * 1e6) * 1000))

    def _best(self, key: str, wanted: Callable[[str], bool]) -> tuple[tuple[str, ...], float] | None:
        """The layers of the newest result that is still there."""
        for record, created_s in self._keys.results(key):
            if not wanted(record):
                return None
            tree = self._load(record)
            if tree is not None:
                return tree.chain().layers, created_s
        return None

    def _make_blobs(self, layer_ids: Iterable[str]) -> None:
        from concurrent.futures import ThreadPoolExecutor

        from bakehouse.snapshots import LayerChain

        missing = [layer_id for layer_id in dict.fromkeys(layer_ids) if layer_id not in self._blobs]
        if not missing:
            return

        def make(layer_id: str) -> LayerBlob:
            self._check_cancelled()
            return self._context.layers.blob(LayerChain((layer_id,)), 0, self._compression)

        with ThreadPoolExecutor(min(_PARALLEL_LAYERS, len(missing)), thread_name_prefix="cache") as pool:
            for layer_id, blob in zip(missing, pool.map(make, missing), strict=True):
                self._blobs[layer_id] = self._described(layer_id, blob)

    def _described(self, layer_id: str, blob: LayerBlob) -> Descriptor:
        """The blob as a cache lists it: with its diff ID and its time."""
        descriptor = blob.descriptor
        annotations = {**descriptor.annotations, DIFF_ID_ANNOTATION: str(blob.diff_id)}
        created_s = self._context.layers.created(layer_id)
        if created_s:
            annotations[CREATED_ANNOTATION] = format_time_ns(round(created_s * 1e6) * 1000)
        media_type = layer_as(distributable(descriptor.media_type), oci=True)
        return replace(descriptor, media_type=media_type, annotations=annotations, urls=())


def _always(record: str) -> bool:
    return True


class _Records:
    """The items of every key that leads to some results."""

    def __init__(self, keys: Keys, chains: Chains, widths: Mapping[str, int]) -> None:
        self._keys = keys
        self._chains = chains
        self._widths = widths
        self._items: dict[str, list[Item]] = {}
        self._begun: set[str] = set()

    def of(self, keys: Iterable[str]) -> dict[str, list[Item]]:
        """Items by key, inputs before consumers; none for a key that no other build could find."""
        for key in keys:
            self._walk(key)
        return self._items

    def _walk(self, start: str) -> None:
        stack = [(start, False)]
        while stack:
            key, expanded = stack.pop()
            if expanded:
                self._items[key] = self._items_of(key)
            elif key not in self._begun:
                self._begun.add(key)
                stack.append((key, True))
                sources = dict.fromkeys(source for source, *_ in self._keys.links_to(key))
                stack += [(source, False) for source in sorted(sources, reverse=True)]

    def _items_of(self, key: str) -> list[Item]:
        links = self._keys.links_to(key)
        if not links:
            # Other keys than digests are made up: without a link nothing leads there.
            return [self._chains.add(key)] if key.startswith("sha256:") else []
        by_digest: dict[str, list[RecordLink]] = {}
        for link in sorted(links):
            by_digest.setdefault(link[3], []).append(link)
        out = []
        for digest, mine in by_digest.items():
            inputs = self._inputs(mine, self._widths.get(key, 0))
            if all(inputs):
                out.append(self._chains.add(digest, inputs))
        return out

    def _inputs(self, links: Sequence[RecordLink], width: int) -> list[list[tuple[Item, str]]]:
        """The alternatives of every input. A key being walked, below itself, has no items yet and is none."""
        width = max(width, max(number for _, number, _, _ in links) + 1)
        inputs: list[list[tuple[Item, str]]] = [[] for _ in range(width)]
        for source, number, selector, _ in links:
            inputs[number] += [(item, selector) for item in self._items.get(source, ())]
        return inputs
