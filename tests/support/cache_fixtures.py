"""Fixtures of what keeps caches: services on loopback, and a small build with another machine that takes it over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cache_services import ActionsCache, AzureStorage, S3Server, running_s3
from tests.support.command import Bakehouse

CACHED_DOCKERFILE = """\
FROM scratch AS part
COPY a.txt /part
FROM scratch
COPY b.txt /first
COPY --from=part /part /second
"""


@pytest.fixture
def cache_context(tmp_path: Path) -> Path:
    """A context of three steps."""
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(CACHED_DOCKERFILE)
    (folder / "a.txt").write_text("a")
    (folder / "b.txt").write_text("b")
    return folder


@pytest.fixture
def fresh(tmp_path: Path) -> Bakehouse:
    """Another machine: the command with a store of its own."""
    return Bakehouse(tmp_path / "other", None)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def azure() -> Iterator[AzureStorage]:
    with AzureStorage() as server:
        assert isinstance(server, AzureStorage)
        yield server


@pytest.fixture
def actions() -> Iterator[ActionsCache]:
    with ActionsCache() as server:
        assert isinstance(server, ActionsCache)
        yield server
