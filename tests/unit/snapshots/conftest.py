"""A store on the test's temporary directory and a private mount namespace, as the engine gives its threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from bakehouse.linux import mounts, namespaces
from bakehouse.snapshots import LayerStore
from bakehouse.store import Store

T = TypeVar("T")


def in_private_namespace(work: Callable[[], T]) -> T:
    """Runs `work` in a thread whose mounts nobody else sees; they end with the thread."""
    outcome: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            namespaces.unshare(namespaces.CLONE_NEWNS)
            mounts.make_private()
            outcome.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return outcome[0]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


@pytest.fixture(params=["overlay", "copy"])
def layers(request: pytest.FixtureRequest, store: Store) -> Iterator[LayerStore]:
    """Each test runs with both drivers."""
    with LayerStore(store, request.param, threads=2) as opened:
        yield opened


@pytest.fixture(autouse=True)
def private_mounts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Puts the test's own thread into a namespace of its own once; mounts of a failed test go with the process."""
    namespaces.unshare(namespaces.CLONE_NEWNS)
    mounts.make_private()
    yield
