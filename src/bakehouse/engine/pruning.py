"""Pruning as a whole: the store's records, then the cache keys whose results went with them (engine.md §20)."""

from __future__ import annotations

from bakehouse.engine.records import layers_of_record
from bakehouse.store import PrunePolicy, Store, UsageRecord


def prune(store: Store, policy: PrunePolicy) -> list[UsageRecord]:
    """Removes by one policy and returns what was removed, in order. Keys that lead to no result any more are dropped,
    so that the tables of a store that is pruned do not grow for ever. Safe beside builds of other processes."""
    removed = store.prune(policy)
    with store.db.transaction():
        there = {row.id for row in store.layers.all()}

        def is_alive(record: str) -> bool:
            layers = layers_of_record(record)
            return layers is not None and there.issuperset(layers)

        store.cachekeys.purge(is_alive)
    return removed
