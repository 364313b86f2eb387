"""Session fixtures: the real peers, base images, and a private home for every run of the command."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.cache_fixtures import actions, azure, cache_context, fresh, s3_server  # noqa: F401
from tests.support.command import Bakehouse
from tests.support.json_peer import JsonPeer
from tests.support.paths import peer
from tests.support.services import BuildKit, Registry, running_buildkit, running_registry

# The same examples in every run: what chance finds belongs to `make fuzz`, and then into a case.
settings.register_profile("default", max_examples=100, deadline=None, derandomize=True, database=None)
settings.register_profile("fuzz", max_examples=20_000, deadline=None)
settings.load_profile(os.environ.get("BAKEHOUSE_HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A real registry on loopback that serves the base images under their usual names."""
    with running_registry(tmp_path_factory.mktemp("registry")) as service:
        service.push_bases()
        yield service


@pytest.fixture(scope="session")
def buildkit(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[BuildKit]:
    """A real buildkitd whose docker.io is the loopback registry."""
    with running_buildkit(tmp_path_factory.mktemp("buildkit"), registry) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def buildx() -> Path:
    """The real buildx binary; `bake --print` needs no daemon."""
    return peer("buildx")


@pytest.fixture(scope="session")
def peer_dockerfile2llb() -> Path:
    """The helper that prints what BuildKit's own Dockerfile frontend makes of a Dockerfile."""
    return peer("dockerfile2llb")


@pytest.fixture(scope="session")
def dockerfile_syntax_peer() -> Iterator[JsonPeer]:
    """BuildKit's own Dockerfile parser, word lexer and pattern matcher, answering questions."""
    with JsonPeer(peer("dockerfilesyntax")) as running:
        yield running


@pytest.fixture(scope="session")
def progress_display_peer() -> Iterator[JsonPeer]:
    """BuildKit's own progress display, in virtual time."""
    with JsonPeer(peer("progressdisplay")) as running:
        yield running


@pytest.fixture
def bakehouse(tmp_path: Path, registry: Registry) -> Bakehouse:
    """The command with an empty home and store, docker.io mirrored by the loopback registry."""
    return Bakehouse(tmp_path / "home", registry)


@pytest.fixture
def offline(tmp_path: Path) -> Bakehouse:
    """The command with an empty home and store and no registry anywhere."""
    return Bakehouse(tmp_path / "home", None)


@pytest.fixture
def python() -> str:
    return sys.executable


def pytest_configure(config: pytest.Config) -> None:
    # A test must never read the developer's own settings or credentials.
    for name in list(os.environ):
        if name.startswith(("BAKEHOUSE_", "BUILDX_", "BUILDKIT_", "DOCKER_")) and name not in {
            "BAKEHOUSE_HYPOTHESIS_PROFILE",
            "BAKEHOUSE_BUILDX",
            "BAKEHOUSE_DOCKERFILE2LLB",
        }:
            del os.environ[name]
    os.environ.pop("SOURCE_DATE_EPOCH", None)
