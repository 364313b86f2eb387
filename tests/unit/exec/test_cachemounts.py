"""Sharing of cache mounts between steps and processes (engine.md §8.4)."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bakehouse.engine.ops.cachemounts import CacheMounts, CacheRequest
from bakehouse.errors import CancelledError
from bakehouse.llb.ops import CACHE_LOCKED, CACHE_PRIVATE, CACHE_SHARED
from bakehouse.solver.model import Cancellation
from bakehouse.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


def request(sharing: int, id: str = "id") -> CacheRequest:
    return CacheRequest(id, sharing, "a cache")


def test_shared_users_meet(store: Store) -> None:
    caches = CacheMounts(store)
    with ExitStack() as stack:
        first = stack.enter_context(caches.held(request(CACHE_SHARED), Cancellation()))
        assert stack.enter_context(caches.held(request(CACHE_SHARED), Cancellation())) == first


def test_private_users_are_apart_and_come_back(store: Store) -> None:
    caches = CacheMounts(store)
    with caches.held(request(CACHE_PRIVATE), Cancellation()) as first:
        with caches.held(request(CACHE_PRIVATE), Cancellation()) as second:
            assert first != second
    with caches.held(request(CACHE_PRIVATE), Cancellation()) as again:
        assert again == first


def test_a_locked_user_waits_for_the_other(store: Store) -> None:
    caches = CacheMounts(store)
    order: list[str] = []

    def late() -> None:
        with caches.held(request(CACHE_LOCKED), Cancellation()) as path:
            order.append(f"late {path.name}")

    with caches.held(request(CACHE_LOCKED), Cancellation()):
        thread = threading.Thread(target=late)
        thread.start()
        time.sleep(0.15)
        order.append("first done")
    thread.join()
    assert order == ["first done", "late data"]


def test_waiting_can_be_cancelled(store: Store) -> None:
    caches = CacheMounts(store)
    cancel = Cancellation()
    with caches.held(request(CACHE_LOCKED), Cancellation()):
        threading.Timer(0.05, cancel.cancel).start()
        with pytest.raises(CancelledError), caches.held(request(CACHE_LOCKED), cancel):
            raise AssertionError("the lock was not exclusive")


_HOLDER = """
import sys, time
from bakehouse.engine.ops.cachemounts import CacheMounts, CacheRequest
from bakehouse.solver.model import Cancellation
from bakehouse.store import Store
store = Store.open(sys.argv[1])
with CacheMounts(store).held(CacheRequest("id", 2, ""), Cancellation()) as path:
    (path / "mark").write_text("x")
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_lets_go(store: Store, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDER, str(store.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        cancel = Cancellation()
        threading.Timer(0.2, cancel.cancel).start()
        with pytest.raises(CancelledError), CacheMounts(store).held(request(CACHE_LOCKED), cancel):
            raise AssertionError("two processes held one locked cache")
        holder.kill()
    with CacheMounts(store).held(request(CACHE_LOCKED), Cancellation()) as path:
        assert (path / "mark").read_text() == "x"


def test_a_failed_seed_is_not_taken_for_content(store: Store) -> None:
    def broken(path: Path) -> None:
        (path / "half").write_text("")
        raise ZeroDivisionError

    caches = CacheMounts(store)
    bad = CacheRequest("id", CACHE_SHARED, "", "seed", broken)
    with pytest.raises(ZeroDivisionError), caches.held(bad, Cancellation()):
        pass
    good = CacheRequest("id", CACHE_SHARED, "", "seed", lambda path: None)
    with caches.held(good, Cancellation()) as path:
        assert list(path.iterdir()) == []


def test_discarding_spares_running_users_and_forgets_seeded_ones(store: Store) -> None:
    caches = CacheMounts(store)
    seeded = CacheRequest("id", CACHE_SHARED, "", "seed", lambda path: (path / "s").touch())
    with caches.held(seeded, Cancellation()) as path:
        (path / "more").touch()
    with caches.held(request(CACHE_SHARED), Cancellation()) as running:
        (running / "mine").touch()
        caches.discard("id")
        assert (running / "mine").exists()
        with caches.held(request(CACHE_SHARED), Cancellation()) as fresh:
            assert list(fresh.iterdir()) == []
    with caches.held(seeded, Cancellation()) as path:
        assert [p.name for p in path.iterdir()] == ["s"]
