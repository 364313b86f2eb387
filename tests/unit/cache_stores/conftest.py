from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.cache_services import ActionsCache, AzureStorage, S3Server, running_s3


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


class Clock:
    """Notes how long would have been waited, and does not wait."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()
