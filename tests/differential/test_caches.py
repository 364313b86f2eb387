"""Caches shared with BuildKit: what one exports is a hit in the other, for the same steps.

A scenario is built by both with an exported cache. Then each side, with an empty store, imports either cache after the
context has been changed, and the four builds must agree about every step. The records of both caches are compared too:
which steps, upon which inputs, with results of how many layers.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.cache_services import AzureStorage
from tests.support.command import Bakehouse
from tests.support.services import BuildKit, Registry
from tests.support.sources import make_files, serving_files, serving_repository

pytestmark = [pytest.mark.peer, pytest.mark.privileged]

LOCAL, REGISTRY, INLINE, SERVICE = "local", "registry", "inline", "azblob"


@dataclass
class Scenario:
    """`change` edits the context between export and import; `reran` names (by a part) what the import cannot help:
    everything else must come from the cache. `flags` belong to every build."""

    dockerfile: str
    place: str = LOCAL
    export: str = "mode=max"
    flags: tuple[str, ...] = ()
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

SOURCES = """\
FROM busybox AS fetched
ADD HTTP/file /file
ADD GIT#v1 /repo
RUN cat /file /repo/f >/both
FROM busybox
COPY --from=fetched /both /both
COPY b.txt /
ADD --unpack=true HTTP/tree.tar.gz /tree/
"""

PLATFORMS = """\
FROM --platform=$BUILDPLATFORM busybox AS build
ARG TARGETARCH
RUN echo $TARGETARCH >/arch
FROM scratch
COPY --from=build /arch /arch
COPY b.txt /
"""

SCENARIOS = {
    # a.txt begins as before, so what was cut of it is the same, and the step on it is found by its content.
    "content": Scenario(
        MANY,
        change=write("a.txt", "another"),
        reran=("COPY a.txt", "RUN cut", "from=one", "wc -c", "COPY --link", "/two", "/three"),
    ),
    # Stage `one` has no results in such a cache, but what stands on it is found by its key.
    "min": Scenario(
        MANY,
        export="mode=min,oci-mediatypes=false",
        change=write("b.txt", "other"),
        reran=("COPY b.txt", "tmpfs", "/two", "/three"),
    ),
    "inline": Scenario(
        MANY,
        place=INLINE,
        change=write("b.txt", "other"),
        reran=("COPY b.txt", "tmpfs", "/two", "/three"),
    ),
    "platforms": Scenario(
        PLATFORMS,
        place=REGISTRY,
        export="mode=max,image-manifest=false",
        flags=("--platform=linux/amd64,linux/arm64",),
        change=write("b.txt", "other"),
        reran=("[linux/amd64 stage-1 2/2] COPY b.txt", "[linux/arm64 stage-1 2/2] COPY b.txt"),
    ),
    "platforms-inline": Scenario(PLATFORMS, place=INLINE, flags=("--platform=linux/amd64,linux/arm64",)),
    "service": Scenario(PLATFORMS, place=SERVICE, change=write("b.txt", "other"), reran=("COPY b.txt",)),
    "sources": Scenario(SOURCES, place=REGISTRY, export="mode=max,compression=zstd,force-compression=true"),
}


@dataclass
class Side:
    """One of the two builders, and where its cache is."""

    name: str
    scenario: Scenario
    registry: Registry
    service: AzureStorage | None
    build: Callable[[tuple[str, ...]], str]

    def export(self) -> None:
        output = f"type=oci,dest={self.name}.tar"
        target = f"type=local,dest={self.name},{self.scenario.export}"
        if self.scenario.place == REGISTRY:
            target = f"type=registry,ref={self._ref},{self.scenario.export}"
        if self.service is not None:
            target = f"{self._in_service(self.service)},{self.scenario.export}"
        if self.scenario.place == INLINE:
            output = f"type=image,name={self._ref},push=true"
            target = "type=inline"
        self.build(("--output", output, "--cache-to", target))

    def steps(self, other: Side) -> dict[str, bool]:
        """Which steps are cached in a build that imports the cache of `other` into an empty store."""
        source = f"type=registry,ref={other._ref}"
        if self.scenario.place == LOCAL:
            source = f"type=local,src={other.name}"
        if other.service is not None:
            source = other._in_service(other.service)
        arguments = ("--output", f"type=oci,dest={self.name}.tar", "--cache-from", source)
        return cached_steps(self.build(arguments))

    @property
    def _ref(self) -> str:
        return f"{self.registry.host}/caches/{self.name}:{self.scenario.place}"

    def _in_service(self, service: AzureStorage) -> str:
        attrs = service.attrs(container="caches", name=self.name)
        return ",".join(["type=azblob", *(f"{key}={value}" for key, value in attrs.items())])

    def caches(self, folder: Path) -> list[dict[str, Any]]:
        """The configs of the cache, one for each image of an inline one, read without any of our code."""
        if self.scenario.place == LOCAL:
            return [_layout_config(folder / self.name)]
        if self.service is not None:
            content = self.service.containers["caches"][f"manifests/{self.name}"].content
            assert content is not None
            return [json.loads(content)]
        _, _, path = self._ref.partition("/")
        repository, _, tag = path.partition(":")
        return _registry_configs(self.registry, repository, tag)


def cached_steps(progress: str) -> dict[str, bool]:
    """Whether each Dockerfile step was found in a cache, by its name. BuildKit shows the fetching of a found result on
    the step as work of its own, before or after it says that the step is cached."""
    steps: dict[str, bool] = {}
    for line in progress.splitlines():
        for vertex in json.loads(line).get("vertexes") or () if line.startswith("{") else ():
            name = str(vertex["name"])
            if name.startswith("[") and "internal] " not in name and " FROM " not in name:
                assert not vertex.get("error"), vertex
                steps[name] = steps.get(name, False) or bool(vertex.get("cached"))
    return steps


def _layout_config(layout: Path) -> dict[str, Any]:
    def blob(digest: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())
        return value

    index = json.loads((layout / "index.json").read_text())
    manifest = blob(index["manifests"][0]["digest"])
    return blob((manifest.get("config") or manifest["manifests"][-1])["digest"])


def _registry_configs(registry: Registry, repository: str, tag: str) -> list[dict[str, Any]]:
    accept = ",".join(
        f"application/vnd.{name}+json"
        for name in ("oci.image.manifest.v1", "oci.image.index.v1", "docker.distribution.manifest.list.v2")
    )
    manifest = json.loads(registry.get(f"{repository}/manifests/{tag}", accept))
    members = manifest.get("manifests", ())
    if members and members[-1]["mediaType"] == "application/vnd.buildkit.cacheconfig.v0":
        return [json.loads(registry.get(f"{repository}/blobs/{members[-1]['digest']}"))]
    if members:
        return [
            config for item in members for config in _registry_configs(registry, repository, item["digest"])
        ]
    config: dict[str, Any] = json.loads(registry.get(f"{repository}/blobs/{manifest['config']['digest']}"))
    carried = config.get("moby.buildkit.cache.v0")
    if carried is None:
        return [config]
    layers = [{"parent": number - 1} for number in range(len(manifest["layers"]))]
    return [{"layers": layers, "records": json.loads(base64.b64decode(carried))}]


def shape(config: dict[str, Any]) -> set[str]:
    """Every record as a text that two builders must agree about: its digest, of how many layers its results are, and
    its inputs in the same form."""
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
        chains = [result["layers"] for result in record.get("chains", ())]
        inputs = [
            sorted(f"{link.get('selector', '')}>{text(link['link'])}" for link in choices)
            for choices in record.get("inputs", ())
        ]
        return f"({record['digest']} {results} {chains} {inputs})"

    return {text(number) for number in range(len(records))}


@contextmanager
def sides(
    scenario: Scenario, folder: Path, registry: Registry, buildkit: BuildKit
) -> Iterator[tuple[Side, Side]]:
    homes = iter(range(100))

    def ours(arguments: tuple[str, ...]) -> str:
        command = Bakehouse(folder / f"home{next(homes)}", registry)
        flags = ("build", "--progress=rawjson", "--provenance=false", *scenario.flags)
        return command.run(*flags, *arguments, "context", cwd=folder).stderr

    def theirs(arguments: tuple[str, ...]) -> str:
        buildkit.prune()
        flags = ("build", "--progress=rawjson", "--provenance=false", *scenario.flags)
        done = buildkit.buildx(*flags, *arguments, "context", cwd=folder)
        if done.returncode and " locked for " in done.stderr:
            # A directory to which the same blob is written twice at once makes BuildKit's own store stumble.
            return theirs(arguments)
        assert done.returncode == 0, done.stderr
        return done.stderr

    context = folder / "context"
    context.mkdir()
    with ExitStack() as stack:
        dockerfile = scenario.dockerfile
        if "HTTP" in dockerfile:
            make_files(folder / "served")
            url = stack.enter_context(serving_files(folder / "served"))
            repository = stack.enter_context(serving_repository(folder / "git"))
            dockerfile = dockerfile.replace("HTTP", url).replace("GIT", repository)
        (context / "Dockerfile").write_text(dockerfile)
        for path, text in scenario.files.items():
            (context / path).write_text(text)
        service = None
        if scenario.place == SERVICE:
            service = AzureStorage()
            stack.enter_context(service)
        yield (
            Side("ours", scenario, registry, service, ours),
            Side("theirs", scenario, registry, service, theirs),
        )


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_caches_serve_both(name: str, tmp_path: Path, registry: Registry, buildkit: BuildKit) -> None:
    scenario = SCENARIOS[name]
    with sides(scenario, tmp_path, registry, buildkit) as (ours, theirs):
        for side in (ours, theirs):
            side.export()
        assert [shape(config) for config in ours.caches(tmp_path)] == [
            shape(config) for config in theirs.caches(tmp_path)
        ]

        scenario.change(tmp_path / "context")
        expected = theirs.steps(theirs)
        for consumer, owner in ((ours, ours), (ours, theirs), (theirs, ours)):
            assert consumer.steps(owner) == expected, (consumer.name, owner.name)
    ran = [step for step, cached in expected.items() if not cached]
    assert all(any(part in step for step in ran) for part in scenario.reran), ran
    assert bool(ran) == bool(scenario.reran), ran
