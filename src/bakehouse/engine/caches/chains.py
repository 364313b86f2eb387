"""Records of a cache as a graph in memory: put together from a solve or a config, and turned into a config.

An item is what BuildKit calls a record: a step's cache key, reached from any of the alternatives of every input.
Adding a step that an item stands for already (all inputs lead there) completes that item, so equal steps of several
results become one record. The rules are those of BuildKit's `cache/remotecache/v1`, so that both write the same.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bakehouse.engine.caches.config import (
    CacheConfig,
    ConfigLayer,
    ConfigRecord,
    ConfigResult,
    LayerNote,
    record_order,
)
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.values import dataclass


@dataclass(frozen=True, slots=True)
class CachedResult:
    """The layers of a result, lowest first, and when it was made (ns since the epoch)."""

    layers: tuple[Descriptor, ...]
    created_ns: int


class Item:
    """One record. `inputs[i]` holds the alternatives (item, selector) of input i; a root has none."""

    __slots__ = ("children", "digest", "inputs", "results")

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.inputs: list[dict[tuple[Item, str], None]] = []
        self.children: dict[tuple[str, int, str], dict[Item, None]] = {}
        self.results: list[CachedResult] = []

    def add_result(self, result: CachedResult) -> None:
        if result not in self.results:
            self.results.append(result)

    @property
    def best(self) -> CachedResult | None:
        """The newest result."""
        return max(self.results, key=lambda result: result.created_ns, default=None)

    def _lead_to(self, child: Item, index: int, selector: str) -> None:
        known = self.children.setdefault((selector, index, child.digest), {})
        if child not in known:
            known[child] = None
            while index >= len(child.inputs):
                child.inputs.append({})
            child.inputs[index][self, selector] = None


#: The alternatives of every input of a step.
Inputs = Sequence[Sequence[tuple[Item, str]]]


class Chains:
    """All records of one cache."""

    def __init__(self) -> None:
        self._roots: dict[str, Item] = {}

    def add(self, digest: str, inputs: Inputs = (), results: Iterable[CachedResult] = ()) -> Item:
        """The item of the step `digest` upon `inputs`, of which none may be empty; made or completed."""
        if not inputs:
            item = self._roots.setdefault(digest, Item(digest))
        else:
            item = self._known(digest, inputs) or Item(digest)
            below = set(_descendants(item))
            for index, choices in enumerate(inputs):
                for source, selector in choices:
                    # What comes out of the item is no input of it, though its key may say so.
                    if source not in below:
                        source._lead_to(item, index, selector)
        for result in results:
            item.add_result(result)
        return item

    def _known(self, digest: str, inputs: Inputs) -> Item | None:
        """The item that every input leads to already. Several become one."""
        found: dict[Item, None] | None = None
        for index, choices in enumerate(inputs):
            reached: dict[Item, None] = {}
            for source, selector in choices:
                reached |= source.children.get((selector, index, digest), {})
            found = reached if found is None else {item: None for item in found if item in reached}
        if not found:
            return None
        main, *others = found
        for other in others:
            # One that stands on the other stays itself: else it would stand on itself.
            if main not in _descendants(other) and other not in _descendants(main):
                _absorb(main, other)
        return main

    def items(self) -> list[Item]:
        """Every item once, inputs before consumers, in an order that depends on nothing but the graph's making."""
        order: list[Item] = []
        seen: set[Item] = set()
        for root in self._roots.values():
            for leaf in _descendants(root):
                if not leaf.children and leaf not in seen:
                    _collect(leaf, seen, order)
        return order


def _absorb(main: Item, other: Item) -> None:
    """Gives `main` what hangs on `other`."""
    for (selector, index, digest), children in other.children.items():
        for child in children:
            main.children.setdefault((selector, index, digest), {})[child] = None
            child.inputs = [
                {(main if source is other else source, text): None for source, text in choices}
                for choices in child.inputs
            ]
    for result in other.results:
        main.add_result(result)


def _descendants(item: Item) -> Iterator[Item]:
    """`item` and all that stand on it, each once."""
    seen = {item}
    stack = [item]
    while stack:
        current = stack.pop()
        yield current
        for children in current.children.values():
            for child in children:
                if child not in seen:
                    seen.add(child)
                    stack.append(child)


def _collect(item: Item, seen: set[Item], order: list[Item]) -> None:
    stack = [(item, False)]
    while stack:
        current, expanded = stack.pop()
        if expanded:
            order.append(current)
        elif current not in seen:
            seen.add(current)
            stack.append((current, True))
            for choices in reversed(current.inputs):
                stack += [(source, False) for source, _ in reversed(choices)]


# -- from a config ---------------------------------------------------------------------------------------------------


def chains_of(config: CacheConfig, blobs: Mapping[Digest, Descriptor]) -> Chains:
    """The records of `config`; results of which a blob is not among `blobs` are left out."""
    chains = Chains()
    layers = _Layers(config.layers, blobs)
    items: dict[int, Item] = {}
    for number in record_order(config.records):
        record = config.records[number]
        inputs = [[(items[link], selector) for selector, link in choices] for choices in record.inputs]
        results = [layers.stacked(result) for result in record.results]
        results += [layers.listed(result) for result in record.chained]
        found = [result for result in results if result is not None]
        items[number] = chains.add(record.digest, inputs, found)
    return chains


class _Layers:
    """Layers of a config as descriptors; equal stacks share one tuple."""

    def __init__(self, layers: Sequence[ConfigLayer], blobs: Mapping[Digest, Descriptor]) -> None:
        self._layers = layers
        self._blobs = blobs
        self._stacks: dict[int, tuple[Descriptor, ...] | None] = {-1: ()}

    def stacked(self, result: ConfigResult) -> CachedResult | None:
        stack = self._stack(result.layers[-1])
        return None if stack is None else CachedResult(stack, result.created_ns)

    def listed(self, result: ConfigResult) -> CachedResult | None:
        found = [self._blobs.get(self._layers[number].blob) for number in result.layers]
        descriptors = tuple(descriptor for descriptor in found if descriptor is not None)
        return CachedResult(descriptors, result.created_ns) if len(descriptors) == len(found) else None

    def _stack(self, number: int) -> tuple[Descriptor, ...] | None:
        pending = []
        while number not in self._stacks:
            pending.append(number)
            number = self._layers[number].parent
        stack = self._stacks[number]
        for above in reversed(pending):
            descriptor = self._blobs.get(self._layers[above].blob)
            stack = None if stack is None or descriptor is None else (*stack, descriptor)
            self._stacks[above] = stack
        return stack


# -- to a config -----------------------------------------------------------------------------------------------------


def config_of(chains: Chains, *, noted: Mapping[Digest, LayerNote] | None = None) -> CacheConfig:
    """The config of `chains`, in BuildKit's order. Layers carry the `noted` facts, where there are any."""
    items = chains.items()
    layers = _LayerTable()
    tops = [layers.top(item.best.layers) if item.best and item.best.layers else None for item in items]
    moved, sorted_layers = layers.sorted(noted or {})
    order = sorted(range(len(items)), key=lambda number: _record_key(items[number]))
    numbers = {items[old]: new for new, old in enumerate(order)}
    records = []
    for old in order:
        item, top = items[old], tops[old]
        results: tuple[ConfigResult, ...] = ()
        if top is not None and item.best is not None:
            results = (ConfigResult((moved[top],), item.best.created_ns),)
        inputs = tuple(
            tuple(sorted(((text, numbers[source]) for source, text in choices), key=lambda entry: entry[1]))
            for choices in item.inputs
        )
        records.append(ConfigRecord(item.digest, inputs, results))
    return CacheConfig(sorted_layers, tuple(records))


def _record_key(item: Item) -> tuple[object, ...]:
    """What BuildKit sorts records by."""
    inputs = []
    for choices in item.inputs:
        texts = sorted((text, source.digest) for source, text in choices)
        inputs.append((len(texts), texts))
    return item.digest, len(inputs), inputs


class _LayerTable:
    """Blobs upon blobs as numbered rows, each stack of blobs once."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Digest, int], int] = {}

    def top(self, layers: Sequence[Descriptor]) -> int:
        number = -1
        for layer in layers:
            number = self._numbers.setdefault((layer.digest, number), len(self._numbers))
        return number

    def sorted(self, noted: Mapping[Digest, LayerNote]) -> tuple[dict[int, int], tuple[ConfigLayer, ...]]:
        """(new number by the present one, the layers in their new order: by blob, then by what the parent's number
        was before, as BuildKit sorts them)."""
        order = sorted(self._numbers.items(), key=lambda entry: entry[0])
        moved = {old: new for new, (_, old) in enumerate(order)}
        moved[-1] = -1
        rows = tuple(ConfigLayer(blob, moved[parent], noted.get(blob)) for (blob, parent), _ in order)
        return moved, rows


def stable_ids(items: Sequence[Item]) -> dict[Item, str]:
    """A key for every item, equal wherever the item and all that it stands on are equal: a root's own digest, for
    others 25 characters made from its digest and its inputs. `items` is in the order of `Chains.items`."""
    ids: dict[Item, str] = {}
    for item in items:
        if not item.inputs:
            ids[item] = item.digest
            continue
        hasher = hashlib.sha256(item.digest.encode())
        for index, choices in enumerate(item.inputs):
            for source, text in sorted((ids[source], selector) for source, selector in choices):
                hasher.update(f"\0{index}\0{source}\0{text}".encode())
        ids[item] = base64.b32encode(hasher.digest()).decode("ascii").lower()[:25]
    return ids
