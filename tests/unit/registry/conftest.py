"""A real docker-registry of this folder's tests, and one with a scripted server in front."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.services import Registry, running_registry


@pytest.fixture(scope="session")
def bare_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An empty registry on loopback."""
    with running_registry(tmp_path_factory.mktemp("bare-registry")) as service:
        yield service
