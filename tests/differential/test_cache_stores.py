"""Caches in services are shared with BuildKit: names of objects, their layout, and the protocol.

BuildKit exports a cache into a service. The store reads all of it and writes a copy into an empty one, which must hold
the same names; a BuildKit that has forgotten everything then builds from the copy, and nothing runs again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakehouse.engine.caches.stores.model import open_cache_store
from bakehouse.oci.digest import Digest
from tests.support.cache_services import ActionsCache, AzureStorage, running_s3
from tests.support.command import Bakehouse
from tests.support.services import BuildKit, Registry

pytestmark = pytest.mark.peer

#: Enough for several parts, and for their kind of upload in each service.
LARGE = 18 * 1024 * 1024


@dataclass
class Place:
    """Somewhere to keep a cache: attributes for both, and the names of what is there."""

    attrs: dict[str, str]
    names: Callable[[], list[str]]


@dataclass
class Pair:
    """Two empty places of one type. `environ` is ours alone: the daemon is told everything."""

    type: str
    first: Place
    second: Place
    environ: Mapping[str, str]


def s3(stack: ExitStack, root: Path) -> Pair:
    server = stack.enter_context(running_s3(root))

    def place(bucket: str) -> Place:
        server.make_bucket(bucket)
        more = {"prefix": "some/where/", "name": "first;second"}
        return Place(server.attrs(bucket, **more), lambda: server.keys(bucket))

    return Pair("s3", place("cache-one"), place("cache-two"), {})


def azblob(stack: ExitStack, root: Path) -> Pair:
    server = AzureStorage()
    stack.enter_context(server)

    def place(container: str) -> Place:
        def names() -> list[str]:
            return [name for name, blob in server.containers[container].items() if blob.content is not None]

        attrs = server.attrs(container=container, prefix="some/where", name="first;second")
        return Place(attrs, names)

    return Pair("azblob", place("cache-one"), place("cache-two"), {})


def gha(version: int) -> Callable[[ExitStack, Path], Pair]:
    def pair(stack: ExitStack, root: Path) -> Pair:
        def place() -> Place:
            server = ActionsCache()
            stack.enter_context(server)
            # A pull request: its own scope can be written, that of the branch it goes to can be read.
            environ = server.environ(version, ("refs/pull/7/merge", 3), ("refs/heads/main", 1))
            attrs = {"scope": "app", "token": environ["ACTIONS_RUNTIME_TOKEN"]}
            attrs["url_v2" if version == 2 else "url"] = server.url
            return Place(attrs, server.keys)

        return Pair("gha", place(), place(), {})

    return pair


@pytest.fixture(params=[s3, azblob, gha(1), gha(2)], ids=["s3", "azblob", "gha-v1", "gha-v2"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield request.param(stack, tmp_path / "service")


def option(pair: Pair, place: Place, **more: str) -> str:
    return ",".join(f"{name}={value}" for name, value in {"type": pair.type, **place.attrs, **more}.items())


def copy_cache(pair: Pair) -> int:
    """Reads the cache of the first place and writes all of it to the second; how many blobs it had."""
    source, names = open_cache_store(pair.type, pair.first.attrs, pair.environ)
    target, written = open_cache_store(pair.type, pair.second.attrs, pair.environ, export=True)
    raw = source.get_document(names[0])
    assert raw is not None
    layers = json.loads(raw)["layers"]
    for layer in layers:
        digest, size = Digest(layer["blob"]), layer["annotations"]["size"]
        assert source.has_blob(digest)
        with source.open_blob(digest, size) as stream:
            assert Digest.of(stream.read()) == digest
        assert not target.has_blob(digest)
        target.put_blob(digest, size, lambda: source.open_blob(digest, size))  # noqa: B023
        assert target.has_blob(digest)
    for name in written:
        target.put_document(name, raw)
    source.close()
    target.close()
    return len(layers)


def cached_steps(progress: str) -> set[str]:
    """The steps that came from a cache, by `--progress=rawjson`. (A step that is shown once more,
    while its layers are fetched, was cached all the same.)"""
    lines = [json.loads(line) for line in progress.splitlines() if line.startswith("{")]
    vertices = [vertex for line in lines for vertex in line.get("vertexes") or ()]
    names = [vertex["name"].partition("] ")[2] for vertex in vertices if vertex.get("cached")]
    return {name for name in names if name.startswith(("COPY ", "RUN "))}


def test_buildkit_and_the_store_read_what_the_other_wrote(
    pair: Pair, buildkit: BuildKit, tmp_path: Path
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    large = os.urandom(LARGE)
    (context / "large").write_bytes(large)
    (context / "small").write_text(f"of {pair.type}")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY large /\nCOPY small /\n")

    output = tmp_path / "out.tar"
    export = f"--export-cache={option(pair, pair.first, mode='max')}"
    buildkit.build(context, f"type=tar,dest={output}", export)
    assert copy_cache(pair) == 2
    assert sorted(pair.second.names()) == sorted(pair.first.names())

    buildkit.prune()
    output.unlink()
    import_ = f"--import-cache={option(pair, pair.second)}"
    done = buildkit.build(context, f"type=tar,dest={output}", import_, "--progress=rawjson")
    assert cached_steps(done.stderr) == {"COPY large /", "COPY small /"}
    with tarfile.open(output) as archive:
        read = archive.extractfile("large")
        assert read is not None
        assert hashlib.file_digest(read, "sha256").digest() == hashlib.sha256(large).digest()


STEPS = """\
FROM busybox AS one
COPY small /
RUN wc -c </small >/size
FROM busybox
COPY --from=one /size /
RUN cat /size >/copy
"""


@pytest.mark.privileged
def test_builds_take_over_what_the_other_builder_did(
    pair: Pair, buildkit: BuildKit, registry: Registry, tmp_path: Path
) -> None:
    """The whole command: one exports into the first place and the other imports from there, and the other way round."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "small").write_text(f"of {pair.type}")
    (context / "Dockerfile").write_text(STEPS)

    def ours(home: str, *flags: str) -> set[str]:
        command = Bakehouse(tmp_path / home, registry)
        output = ("--progress=rawjson", "--output=type=oci,dest=ours.tar")
        return cached_steps(command.run("build", *output, *flags, "context", cwd=tmp_path).stderr)

    def theirs(*flags: str) -> set[str]:
        buildkit.prune()
        output = ("--progress=rawjson", "--provenance=false", "--output=type=oci,dest=theirs.tar")
        done = buildkit.buildx("build", *output, *flags, "context", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return cached_steps(done.stderr)

    steps = {line for line in STEPS.splitlines() if not line.startswith("FROM")}
    ran = [ours("first", f"--cache-to={option(pair, pair.first, mode='max')}")]
    ran += [theirs(f"--cache-to={option(pair, pair.second, mode='max')}")]
    assert ran == [set(), set()]
    assert theirs(f"--cache-from={option(pair, pair.first)}") == steps
    assert ours("second", f"--cache-from={option(pair, pair.second)}") == steps
