"""Caches shared with BuildKit: what one exports is a hit in the other, for the same steps.

A scenario is built by both with an exported cache. Then each side, with an empty store, imports either cache after the
context has been changed, and the four builds must agree about every step. The records of both caches are compared too:
which steps, upon which inputs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.differential.test_caching import steps_of
from tests.support.command import Bakehouse
from tests.support.services import BuildKit, Registry

pytestmark = [pytest.mark.peer, pytest.mark.privileged]


@dataclass
class Scenario:
    """`change` edits the context between export and import; `reran` names (by a part) what the import cannot help:
    everything else must come from the cache."""

    dockerfile: str
    export: str = "mode=max"
    change: Callable[[Path], None] = lambda context: None
    reran: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=lambda: {"a.txt": "a", "b.txt": "b"})


def write(name: str, text: str) -> Callable[[Path], None]:
    def change(context: Path) -> None:
        (context / name).write_text(text)

    return change


MANY = """\
FROM busybox AS one
WORKDIR /w
COPY a.txt /w/
RUN cut -c1 a.txt >same
FROM busybox AS two
COPY b.txt /
RUN --mount=type=tmpfs,target=/t --mount=type=cache,target=/c cat /b.txt >/two
FROM busybox
RUN echo hi >/hi
COPY --from=one /w/same /same
RUN --mount=type=bind,from=one,target=/m cat /m/w/same >/x
RUN --mount=type=bind,source=a.txt,target=/a.txt wc -c </a.txt >/count
COPY --link a.txt /linked
COPY --from=two /two /two
RUN cat /two >/three
"""

SCENARIOS = {
    # a.txt begins as before, so what was cut of it is the same, and the steps on it are found by their content.
    "content": Scenario(
        MANY,
        change=write("a.txt", "another"),
        reran=(
            "COPY a.txt",
            "RUN cut",
            "RUN --mount=type=bind,from=one",
            "wc -c",
            "COPY --link",
            "/two",
            "/three",
        ),
    ),
    "last-step": Scenario(
        MANY, change=write("b.txt", "other"), reran=("COPY b.txt", "tmpfs", "/two", "/three")
    ),
    "unchanged": Scenario(MANY),
    "min": Scenario(
        MANY,
        export="mode=min,oci-mediatypes=false",
        change=write("b.txt", "other"),
        reran=("COPY b.txt", "tmpfs", "/two", "/three"),
    ),
}


class Side:
    """One of the two builders. `folder` holds the context and the caches of both."""

    def __init__(self, name: str, build: Callable[[tuple[str, ...]], str]) -> None:
        self.name = name
        self._build = build

    def export(self, attributes: str) -> None:
        self._build(("--cache-to", f"type=local,dest={self.name},{attributes}"))

    def steps(self, source: str) -> dict[str, bool]:
        """Which steps are cached in a build that imports `source` into an empty store."""
        return steps_of(self._build(("--cache-from", f"type=local,src={source}")))


def sides(folder: Path, registry: Registry, buildkit: BuildKit) -> tuple[Side, Side]:
    homes = iter(range(100))

    def ours(arguments: tuple[str, ...]) -> str:
        command = Bakehouse(folder / f"home{next(homes)}", registry)
        flags = ("build", "--progress=rawjson", "--output", "type=oci,dest=ours.tar")
        return command.run(*flags, *arguments, "context", cwd=folder).stderr

    def theirs(arguments: tuple[str, ...]) -> str:
        buildkit.prune()
        flags = ("build", "--progress=rawjson", "--provenance=false", "--output", "type=oci,dest=theirs.tar")
        done = buildkit.buildx(*flags, *arguments, "context", cwd=folder)
        # A directory that is written the same blob twice at once makes BuildKit's own store stumble.
        if done.returncode and " locked for " in done.stderr:
            return theirs(arguments)
        assert done.returncode == 0, done.stderr
        return done.stderr

    return Side("ours", ours), Side("theirs", theirs)


def cache_config(layout: Path) -> dict[str, Any]:
    """The cache config in a directory, read without any of our code."""

    def blob(digest: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())
        return value

    index = json.loads((layout / "index.json").read_text())
    manifest = blob(index["manifests"][0]["digest"])
    return blob((manifest.get("config") or manifest["manifests"][-1])["digest"])


def shape(config: dict[str, Any]) -> set[str]:
    """Every record as a text that two builders must agree about: its digest, whether it has a result and of how many
    layers, and its inputs in the same form."""
    records, layers = config["records"], config["layers"]

    def depth(number: int) -> int:
        count = 0
        while number != -1:
            count += 1
            number = layers[number].get("parent", 0)
        return count

    def text(number: int) -> str:
        record = records[number]
        results = [depth(result["layer"]) for result in record.get("layers", ())]
        inputs = [
            sorted(f"{link.get('selector', '')}>{text(link['link'])}" for link in choices)
            for choices in record.get("inputs", ())
        ]
        return f"({record['digest']} {results} {inputs})"

    return {text(number) for number in range(len(records))}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_caches_serve_both(name: str, tmp_path: Path, registry: Registry, buildkit: BuildKit) -> None:
    scenario = SCENARIOS[name]
    context = tmp_path / "context"
    context.mkdir()
    # Cache mounts and steps of other scenarios are kept apart by the text of the Dockerfile.
    (context / "Dockerfile").write_text(scenario.dockerfile)
    for path, text in scenario.files.items():
        (context / path).write_text(text)
    ours, theirs = sides(tmp_path, registry, buildkit)
    ours.export(scenario.export)
    theirs.export(scenario.export)
    assert shape(cache_config(tmp_path / "ours")) == shape(cache_config(tmp_path / "theirs"))

    scenario.change(context)
    found = {
        (consumer.name, source): consumer.steps(source)
        for consumer in (ours, theirs)
        for source in ("ours", "theirs")
    }
    expected = found["theirs", "theirs"]
    for who, steps in found.items():
        assert steps == expected, who
    ran = [step for step, cached in expected.items() if not cached and " FROM " not in step]
    assert all(any(part in step for step in ran) for part in scenario.reran), ran
    assert bool(ran) == bool(scenario.reran), ran
