"""Keys of imported caches beside those of the local store: one `solver.lookup.KeyStore` made of both.

An imported cache is an index in memory that is only read. Its keys are made from what they name (`stable_ids`), so the
same step has the same key whenever it is imported, and keys of several caches meet. When a result is taken from a
cache, the links that led to it and the result enter the local store under these keys: the next build finds it there
without the cache.

A cache knows an operation and its output only as one digest (`root_key`); links of the local store keep them apart.
Every link that a look-up found is therefore noted in the local store's form, and those are what is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

from bakehouse.engine.caches.chains import CachedResult, Chains, stable_ids
from bakehouse.solver.lookup import root_key
from bakehouse.store.cachekeys import CacheKeyStore
from bakehouse.values import dataclass

_PREFIX = "cache:"

#: (source key, input, op digest, selector, output)
LocalLink = tuple[str, int, str, str, int]
#: (source key, input, selector, digest of the record): a link as a cache knows it.
RecordLink = tuple[str, int, str, str]


class CacheIndex:
    """The keys of one cache: what links lead where, and what the keys' results are."""

    def __init__(self, chains: Chains) -> None:
        self._targets: dict[RecordLink, list[str]] = {}
        self._sources: dict[str, list[RecordLink]] = {}
        self._results: dict[str, list[CachedResult]] = {}
        items = chains.items()
        ids = stable_ids(items)
        for item in items:
            key = ids[item]
            if item.results:
                self._results[key] = sorted(item.results, key=lambda result: -result.created_ns)
            for number, choices in enumerate(item.inputs):
                for source, selector in choices:
                    link = (ids[source], number, selector, item.digest)
                    self._targets.setdefault(link, []).append(key)
                    self._sources.setdefault(key, []).append(link)

    def targets(self, link: RecordLink) -> Sequence[str]:
        return self._targets.get(link, ())

    def links_to(self, key: str) -> Sequence[RecordLink]:
        return self._sources.get(key, ())

    def results(self, key: str) -> Sequence[CachedResult]:
        """The results of `key`, the newest first."""
        return self._results.get(key, ())


@dataclass(frozen=True, slots=True)
class Found:
    """An imported result: its key, the number of the cache that has it, and which of the key's results it is there."""

    key: str
    cache: int
    number: int

    def __str__(self) -> str:
        return f"{_PREFIX}{self.cache}:{self.number}:{self.key}"

    @staticmethod
    def of_record(record: str) -> Found | None:
        """The result that a record's text names; None for a record of the local store."""
        if not record.startswith(_PREFIX):
            return None
        _, cache, number, key = record.split(":", 3)
        return Found(key, int(cache), int(number))


class CombinedKeys:
    """The `KeyStore` of a solve with imported caches. What is written goes to the local store. Thread-safe."""

    def __init__(self, local: CacheKeyStore) -> None:
        self._local = local
        self._lock = threading.Lock()
        self._caches: list[CacheIndex] = []
        self._noted: dict[str, dict[LocalLink, None]] = {}
        self._dropped: set[str] = set()

    def add(self, cache: CacheIndex) -> int:
        """Makes a cache known; returns its number."""
        with self._lock:
            self._caches = [*self._caches, cache]
            return len(self._caches) - 1

    # -- KeyStore ------------------------------------------------------------------------------------------------

    def query_links(self, source_key: str, input: int, op: str, selector: str, output: int) -> list[str]:
        found = dict.fromkeys(self._local.query_links(source_key, input, op, selector, output))
        if self._caches:
            imported = [
                target
                for cache in self._caches
                for target in cache.targets((source_key, input, selector, root_key(op, output)))
            ]
            with self._lock:
                for target in imported:
                    self._noted.setdefault(target, {})[source_key, input, op, selector, output] = None
            found |= dict.fromkeys(imported)
        return list(found)

    def add_link(self, source_key: str, input: int, op: str, selector: str, output: int, target: str) -> None:
        self._local.add_link(source_key, input, op, selector, output, target)

    def results(self, key: str) -> list[tuple[str, float]]:
        """Those of the local store and of every cache, the newest first; of equally old ones, the local one."""
        found = self._local.results(key)
        for cache, index in enumerate(self._caches):
            for number, result in enumerate(index.results(key)):
                record = str(Found(key, cache, number))
                if record not in self._dropped:
                    found.append((record, result.created_ns / 1e9))
        found.sort(key=lambda entry: -entry[1])
        return found

    def add_result(self, key: str, record: str) -> None:
        self._local.add_result(key, record)

    def drop_result(self, key: str, record: str) -> None:
        if Found.of_record(record) is None:
            self._local.drop_result(key, record)
        else:
            self._dropped.add(record)

    def new_id(self) -> str:
        return self._local.new_id()

    def batch(self) -> AbstractContextManager[object]:
        return self._local.batch()

    # -- for the engine ------------------------------------------------------------------------------------------

    def result(self, found: Found) -> CachedResult:
        """The imported result that a record names."""
        return self._caches[found.cache].results(found.key)[found.number]

    def keep(self, key: str, record: str, created_s: float) -> None:
        """Enters an imported result into the local store as `record`, with the links by which it was found."""
        with self._lock:
            links = [(target, link) for target in self._way_to(key) for link in self._noted[target]]
        with self._local.batch():
            for target, link in links:
                self._local.add_link(*link, target)
            self._local.add_result(key, record, created_s)

    def _way_to(self, key: str) -> Iterable[str]:
        """`key` and every imported key that the noted links lead through on the way to it."""
        seen: dict[str, None] = {}
        pending = [key]
        while pending:
            target = pending.pop()
            if target in self._noted and target not in seen:
                seen[target] = None
                pending += [source for source, *_ in self._noted[target]]
        return seen

    def links_to(self, key: str) -> list[RecordLink]:
        """Every link that leads to `key`, in the local store or a cache, as a cache writes it."""
        found = dict.fromkeys(
            (source, input, selector, root_key(op, output))
            for source, input, op, selector, output in self._local.links_to(key)
        )
        for cache in self._caches:
            found |= dict.fromkeys(cache.links_to(key))
        return list(found)
