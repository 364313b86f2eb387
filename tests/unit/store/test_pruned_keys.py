"""Pruning drops the cache keys of what it removed, and of nothing else."""

from __future__ import annotations

from pathlib import Path

from bakehouse.engine.pruning import prune
from bakehouse.store import PrunePolicy, Store


def test_keys_without_a_result_go_and_others_stay(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        keys = store.cachekeys
        keys.add_link("root", 0, "op", "", 0, "gone")
        keys.add_result("gone", "layers:nosuchlayer")
        keys.add_link("root", 0, "op2", "", 0, "kept")
        keys.add_result("kept", "layers:")
        prune(store, PrunePolicy(all=True))
        assert keys.results("gone") == []
        assert keys.query_links("root", 0, "op", "", 0) == []
        assert [record for record, _ in keys.results("kept")] == ["layers:"]
        assert keys.query_links("root", 0, "op2", "", 0) == ["kept"]
