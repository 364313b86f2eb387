"""The built image equals BuildKit's: config JSON field by field, root file system entry by entry, layer by layer; and,
with a source date epoch and rewritten times, it is the same image: equal config digests mean equal bytes of all layers.

The cases are in `tests/cases/build`, see `tests.support.buildcases`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support import buildcases, sources
from tests.support.buildcases import Batch, Case
from tests.support.command import Bakehouse
from tests.support.images import (
    compare_config,
    compare_files,
    compare_layers,
    compare_manifests,
    identities,
    read_image,
)
from tests.support.services import BuildKit, Registry

pytestmark = [pytest.mark.peer, pytest.mark.privileged]

CASES = buildcases.cases()
BATCH_SIZE = 30
BATCHES = [CASES[start : start + BATCH_SIZE] for start in range(0, len(CASES), BATCH_SIZE)]


def parameters(wanted: Callable[[Case], bool]) -> list[object]:
    """(batch number, case) of the wanted cases; those of one batch are tested by one worker."""
    return [
        pytest.param(number, case, id=case.id, marks=pytest.mark.xdist_group(f"images-{number}"))
        for number, batch in enumerate(BATCHES)
        for case in batch
        if wanted(case)
    ]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the placeholders of cases stand for."""
    root = tmp_path_factory.mktemp("sources")
    sources.make_files(root / "files")
    with ExitStack() as stack:
        yield {
            "HTTP": stack.enter_context(sources.serving_files(root / "files")),
            "GIT": stack.enter_context(sources.serving_repository(root / "git")),
            "AGENT": stack.enter_context(sources.serving_agent()),
        }


@pytest.fixture(scope="module")
def batch(
    tmp_path_factory: pytest.TempPathFactory, registry: Registry, buildkit: BuildKit, places: dict[str, str]
) -> Callable[[int], Batch]:
    """Builds a batch when it is first asked for."""
    built: dict[int, Batch] = {}

    def get(number: int) -> Batch:
        if number not in built:
            root = tmp_path_factory.mktemp(f"batch{number}")
            # What other tests left in the daemon could be found in its cache, with times of their own.
            buildkit.prune()
            ours = Bakehouse(root / "home", registry)
            built[number] = buildcases.build(BATCHES[number], root, places, ours, buildkit)
        return built[number]

    return get


def require_built(built: Batch, case: Case) -> None:
    for builder in ("theirs", "ours"):
        error = built.errors.get((builder, case.id))
        if error:
            pytest.fail(
                f"{builder} could not build it:\n" + "\n".join(error.splitlines()[-25:]), pytrace=False
            )


@pytest.mark.parametrize(("number", "case"), parameters(lambda case: not case.fails))
def test_image_is_buildkits(number: int, case: Case, batch: Callable[[int], Batch]) -> None:
    built = batch(number)
    require_built(built, case)
    differences = []
    for platform in case.platforms:
        ours = read_image(built.image("ours", case, "plain"), platform)
        theirs = read_image(built.image("theirs", case, "plain"), platform)
        differences += compare_manifests(ours, theirs) + compare_config(ours, theirs)
        differences += compare_layers(ours, theirs) + compare_files(ours, theirs, time.time())
    unexpected = [line for line in differences if not any(text in line for text in case.differs)]
    if unexpected:
        pytest.fail("\n".join(unexpected), pytrace=False)
    missing = [text for text in case.differs if not any(text in line for line in differences)]
    assert not missing, f"accepted differences that are gone: {missing}"


@pytest.mark.parametrize(("number", "case"), parameters(lambda case: case.dated))
def test_image_id_is_buildkits(number: int, case: Case, batch: Callable[[int], Batch]) -> None:
    built = batch(number)
    require_built(built, case)
    archives = [built.image(builder, case, "dated") for builder in ("ours", "theirs")]
    if identities(archives[0]) == identities(archives[1]):
        return
    differences = []
    for platform in case.platforms:
        ours, theirs = (read_image(archive, platform) for archive in archives)
        differences += (
            compare_manifests(ours, theirs) + compare_config(ours, theirs) + compare_layers(ours, theirs)
        )
        differences += compare_files(ours, theirs, 0)
        pairs = zip(ours.diff_ids, theirs.diff_ids, strict=False)
        differences += [f"layer {index} has other bytes" for index, (a, b) in enumerate(pairs) if a != b]
    pytest.fail("\n".join(differences), pytrace=False)


@pytest.mark.parametrize(("number", "case"), parameters(lambda case: bool(case.fails)))
def test_error_is_buildkits(number: int, case: Case, batch: Callable[[int], Batch]) -> None:
    built = batch(number)
    for builder in ("theirs", "ours"):
        error = built.errors.get((builder, case.id), "no error")
        missing = [texts for texts in case.fails if not any(text in error for text in texts.split(" || "))]
        assert not missing, f"{builder}: {missing} not in\n{error}"
        assert not built.image(builder, case, "plain").exists()
