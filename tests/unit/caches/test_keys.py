"""Keys of caches beside the store's: what is found, what is kept of it, and which result comes first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bakehouse.engine.caches.chains import CachedResult, Chains
from bakehouse.engine.caches.keys import CacheIndex, CombinedKeys, Found
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.solver.lookup import root_key
from bakehouse.store import Store

LAYER = Descriptor("", Digest("sha256:" + "a" * 64), 1)
BASE = root_key("sha256:base", 0)
CONTENT = root_key("sha256:content", -1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "store")
    yield opened
    opened.close()


def cache(created_ns: int = 5_000_000_000) -> CacheIndex:
    """base → step (output 1 of op "o") → top of two inputs, the second of them known by content."""
    chains = Chains()
    base, content = chains.add(BASE), chains.add(CONTENT)
    step = chains.add(root_key("o", 1), [[(base, "s")]])
    chains.add(root_key("t", 0), [[(step, "")], [(content, "")]], [CachedResult((LAYER,), created_ns)])
    return CacheIndex(chains)


def found_top(keys: CombinedKeys) -> str:
    (step,) = keys.query_links(BASE, 0, "o", "s", 1)
    (top,) = keys.query_links(step, 0, "t", "", 0)
    assert keys.query_links(CONTENT, 1, "t", "", 0) == [top]
    return top


def test_links_of_a_cache_are_found_by_operation_output_and_selector(store: Store) -> None:
    keys = CombinedKeys(store.cachekeys)
    assert keys.query_links(BASE, 0, "o", "s", 1) == []
    keys.add(cache())
    top = found_top(keys)
    assert keys.query_links(BASE, 0, "o", "", 1) == []
    assert keys.query_links(BASE, 0, "o", "s", 0) == []
    assert keys.query_links(BASE, 1, "o", "s", 1) == []
    ((record, created_s),) = keys.results(top)
    assert created_s == 5.0
    found = Found.of_record(record)
    assert found is not None
    assert keys.result(found).layers == (LAYER,)


def test_what_is_kept_is_found_without_the_cache(store: Store) -> None:
    keys = CombinedKeys(store.cachekeys)
    keys.add(cache())
    top = found_top(keys)
    keys.keep(top, "layers:x", 5.0)
    # The record of the cache is equally old: the store's own comes first.
    assert keys.results(top)[0][0] == "layers:x"
    later = CombinedKeys(store.cachekeys)
    assert found_top(later) == top
    assert later.results(top) == [("layers:x", 5.0)]


def test_links_that_led_nowhere_are_not_kept(store: Store) -> None:
    keys = CombinedKeys(store.cachekeys)
    keys.add(cache())
    (step,) = keys.query_links(BASE, 0, "o", "s", 1)
    (top,) = keys.query_links(step, 0, "t", "", 0)
    keys.query_links(CONTENT, 1, "t", "", 0)
    keys.keep(step, "layers:step", 1.0)
    assert store.cachekeys.links_to(top) == []
    assert store.cachekeys.links_to(step) == [(BASE, 0, "o", "s", 1)]


def test_a_step_has_one_key_in_every_cache(store: Store) -> None:
    keys = CombinedKeys(store.cachekeys)
    keys.add(cache(1_000_000_000))
    keys.add(cache(2_000_000_000))
    top = found_top(keys)
    records = keys.results(top)
    # The newest first, as in BuildKit.
    assert [created for _, created in records] == [2.0, 1.0]
    keys.drop_result(top, records[0][0])
    assert keys.results(top) == records[1:]


def test_links_of_the_store_and_of_caches_in_one_form(store: Store) -> None:
    keys = CombinedKeys(store.cachekeys)
    keys.add(cache())
    top = found_top(keys)
    store.cachekeys.add_link("other", 0, "t", "", 0, top)
    assert {(source, digest) for source, _, _, digest in keys.links_to(top)} == {
        ("other", root_key("t", 0)),
        *((source, root_key("t", 0)) for source in (keys.query_links(BASE, 0, "o", "s", 1)[0], CONTENT)),
    }
