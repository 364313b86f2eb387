"""Keys of vertex outputs and the links between them: what is found in the cache, and what is remembered there
(engine.md §8.1). When to look, and what to do when nothing is found, is the solver's business."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from bakehouse.solver.model import CacheMap

_RANDOM = "random:"


class KeyStore(Protocol):
    """The durable tables of keys, links and results (`store.cachekeys.CacheKeyStore`)."""

    def query_links(self, source_key: str, input: int, op: str, selector: str, output: int) -> list[str]: ...
    def add_link(
        self, source_key: str, input: int, op: str, selector: str, output: int, target: str
    ) -> None: ...
    def results(self, key: str) -> list[tuple[str, float]]: ...
    def add_result(self, key: str, record: str) -> None: ...
    def drop_result(self, key: str, record: str) -> None: ...
    def new_id(self) -> str: ...
    def batch(self) -> AbstractContextManager[object]: ...


def root_key(digest: str, output: int) -> str:
    """The key of a vertex output without inputs, or of a content digest (`output` -1)."""
    return "sha256:" + hashlib.sha256(f"{digest}@{output}".encode()).hexdigest()


def root_keys(cache_map: CacheMap, output: int) -> list[str]:
    """All root keys of an output; none of digests that are random, which nothing will ever meet again."""
    digests = dict.fromkeys((cache_map.digest, *cache_map.content_digests))
    return [root_key(digest, output) for digest in digests if not digest.startswith(_RANDOM)]


#: Keys of every input of a vertex, by the number of the input.
InputKeys = Sequence[Sequence[str]]


class KeyIndex:
    """Look-ups and links over a `KeyStore`. Thread-safe as far as the store is."""

    def __init__(self, store: KeyStore) -> None:
        self.store = store

    def match(self, cache_map: CacheMap, own: InputKeys, content: InputKeys, output: int) -> list[str]:
        """Ids that every input links to, in the order in which the first input names them."""
        found: dict[str, None] | None = None
        for number in range(len(cache_map.inputs)):
            targets = self._targets(cache_map, number, own[number], content[number], output)
            found = targets if found is None else {name: None for name in found if name in targets}
            if not found:
                return []
        return list(found or {})

    def leads_nowhere(self, cache_map: CacheMap, own: InputKeys, output: int) -> list[int]:
        """The inputs of which no own key leads to any id."""
        return [
            number
            for number in range(len(cache_map.inputs))
            if not self._targets(cache_map, number, own[number], (), output)
        ]

    def _targets(
        self, cache_map: CacheMap, number: int, own: Sequence[str], content: Sequence[str], output: int
    ) -> dict[str, None]:
        """The ids that keys of input `number` lead to."""
        targets: dict[str, None] = {}
        for selector, sources in ((cache_map.inputs[number].selector, own), ("", content)):
            for source in sources:
                linked = self.store.query_links(source, number, cache_map.digest, selector, output)
                targets |= dict.fromkeys(linked)
        return targets

    def link(self, cache_map: CacheMap, own: InputKeys, content: InputKeys, output: int, target: str) -> None:
        """Makes every known key of every input lead to `target`, so that the next search is a fast one."""
        self._add(_sources(cache_map, own, content), cache_map.digest, output, target)

    def missing_links(
        self, cache_map: CacheMap, own: InputKeys, content: InputKeys, output: int, target: str
    ) -> Callable[[], None] | None:
        """What `link` would write that is not there yet, as a function that writes it; None when all is there. Reading
        is cheap, while writing waits for every other writer of the store."""
        digest = cache_map.digest
        missing = [
            (number, selector, source)
            for number, selector, source in _sources(cache_map, own, content)
            if target not in self.store.query_links(source, number, digest, selector, output)
        ]
        return (lambda: self._add(missing, digest, output, target)) if missing else None

    def _add(self, sources: Iterable[tuple[int, str, str]], op: str, output: int, target: str) -> None:
        with self.store.batch():
            for number, selector, source in sources:
                self.store.add_link(source, number, op, selector, output, target)

    def ranked(self, keys: Iterable[str]) -> tuple[list[str], bool]:
        """`keys`, the one with the newest result first and those without any last; and whether any has one."""
        dated = []
        for position, key in enumerate(keys):
            results = self.store.results(key)
            newest = max((created for _, created in results), default=-1.0)
            dated.append((-newest, position, key))
        dated.sort()
        return [key for _, _, key in dated], bool(dated) and dated[0][0] <= 0

    @staticmethod
    def step(cache_map: CacheMap, own: InputKeys, content: InputKeys) -> str:
        """The name of the work that a vertex stands for, equal in every process; "" when an input (or the vertex
        itself, where it has none) has no key that could ever be met again."""
        if not cache_map.recorded or (not own and not root_keys(cache_map, 0)):
            return ""
        hasher = hashlib.sha256(cache_map.digest.encode())
        for number, key in enumerate(cache_map.inputs):
            # Content is the stronger name: two trees of one content may have been made by different steps.
            named = min(content[number], default="") or min(own[number], default="")
            if not named:
                return ""
            selector = "" if content[number] else key.selector
            hasher.update(f"\0{selector}\0{named}".encode())
        return "step-" + hasher.hexdigest()


def _sources(cache_map: CacheMap, own: InputKeys, content: InputKeys) -> Iterator[tuple[int, str, str]]:
    """(number of the input, selector, key) of every known key: content is a key of its own, without a selector."""
    for number, key in enumerate(cache_map.inputs):
        for source in own[number]:
            yield number, key.selector, source
        for source in content[number]:
            yield number, "", source
