"""Every COPY and ADD form of `copy_cases` built by a real buildkitd and by this engine, both ways.

Compared are the members of every layer (order, type, mode, owner, size, content, links, times unless they are the
present moment), the digests of the file operations and the content keys, as BuildKit exports them in its cache.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.services import BuildKit, running_buildkit
from tests.unit.engine_files.copy_cases import CASES, make_context
from tests.unit.engine_files.engine import SmallEngine, small_engine
from tests.unit.engine_files.trees import listing, run_context

from bakehouse.dockerfile.lowering import LowerRequest, MetaResolver, lower
from bakehouse.engine.sources.local import HostTree
from bakehouse.errors import BakehouseError
from bakehouse.llb.ops import Edge, FileOp
from bakehouse.oci.platform import Platform
from bakehouse.session import Session

pytestmark = pytest.mark.peer

LINUX = Platform.parse("linux/amd64")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuildKit]:
    with running_buildkit(tmp_path_factory.mktemp("buildkit"), None) as running:
        yield running


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_context(tmp_path_factory.mktemp("context"))


@dataclass(frozen=True)
class PeerResult:
    """What BuildKit made: layer tars and cache record digests, or the last line of its error."""

    layers: list[bytes]
    records: set[str]
    error: str = ""


def by_buildkit(daemon: BuildKit, context: Path, dockerfile: str, scratch: Path) -> PeerResult:
    # Without this, directories of an earlier case's context keep the times at which their content changed.
    daemon.prune()
    source = scratch / "dockerfile"
    source.mkdir()
    (source / "Dockerfile").write_text(dockerfile)
    output, cache = scratch / "peer.tar", scratch / "cache"
    done = daemon.build(
        context,
        f"type=oci,dest={output},compression=uncompressed,force-compression=true",
        f"--export-cache=type=local,dest={cache},mode=max",
        dockerfile=source,
        check=False,
    )
    if done.returncode:
        return PeerResult([], set(), done.stderr.strip().splitlines()[-1])
    with tarfile.open(output) as archive:
        index = _json(archive, "index.json")
        manifest = _json(archive, _blob(index["manifests"][0]))
        if "manifests" in manifest:
            manifest = _json(archive, _blob(manifest["manifests"][0]))
        layers = [_read(archive, _blob(layer)) for layer in manifest["layers"]]
    return PeerResult(layers, _records(cache))


def _blob(descriptor: dict[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def _json(archive: tarfile.TarFile, name: str) -> Any:
    return json.loads(_read(archive, name))


def _records(cache: Path) -> set[str]:
    index = json.loads((cache / "index.json").read_text())
    manifest = json.loads((cache / _blob(index["manifests"][0])).read_text())
    descriptors = [manifest["config"]] if "config" in manifest else manifest["manifests"]
    for descriptor in descriptors:
        if "cacheconfig" in descriptor["mediaType"]:
            config = json.loads((cache / _blob(descriptor)).read_text())
            return {record["digest"] for record in config["records"]}
    raise AssertionError(f"no cache config among {descriptors}")


def lowered(dockerfile: str) -> Edge | None:
    class NoImages:
        def resolve_image_config(self, *args: object, **options: object) -> tuple[str, str, bytes]:
            raise AssertionError("no case has an image")

    resolver: MetaResolver = NoImages()
    request = LowerRequest(
        dockerfile=dockerfile.encode(), platforms=(LINUX,), build_platforms=(LINUX,), session_id="s"
    )
    return lower(request, resolver).platforms[0].edge


def sha(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def exported_records(engine: SmallEngine, edge: Edge) -> set[str]:
    """The digests under which BuildKit exports this engine's file operations and content keys."""
    found = set()
    pending = [edge]
    while pending:
        current = pending.pop()
        pending += current.vertex.inputs
        if not isinstance(current.vertex.op, FileOp):
            continue
        found.add(sha(f"{engine.keys[current.vertex.digest]}@{current.index}"))
        cache_map = engine.operation(current.vertex).cache_map(run_context())
        for key, source in zip(cache_map.inputs, current.vertex.inputs, strict=True):
            tree = engine.run(source)
            if key.content is not None and isinstance(tree, HostTree):
                found.add(sha(f"{key.content(tree)}@-1"))
    return found


@pytest.mark.parametrize("name", CASES)
def test_case(daemon: BuildKit, context: Path, tmp_path: Path, name: str) -> None:
    dockerfile = f"FROM scratch\n{CASES[name]}\n"
    peer = by_buildkit(daemon, context, dockerfile, tmp_path)
    for files_needed in (True, False):
        root = tmp_path / f"store-{files_needed}"
        with small_engine(root, Session(local_dirs={"context": context})) as engine:
            if peer.error:
                with pytest.raises(BakehouseError) as caught:
                    edge = lowered(dockerfile)
                    assert edge is not None
                    engine.run(edge, files_needed=files_needed)
                assert comparable(peer.error) in comparable(str(caught.value)) or known(peer.error)
                continue
            edge = lowered(dockerfile)
            assert edge is not None
            tree = engine.run(edge, files_needed=files_needed)
            ours = [listing(layer) for layer in engine.layers(tree)]
            assert ours == [listing(layer) for layer in peer.layers]
            assert exported_records(engine, edge) <= peer.records


def comparable(message: str) -> str:
    """The end of an error that does not name the peer's own directories and random references."""
    message = message.rpartition("failed to solve: ")[2].removeprefix("failed to load cache key: ")
    message = message.rpartition(": ")[0] + ": " + message.rpartition(": ")[2] if ": " in message else message
    if "of ref" in message:
        return message.partition("of ref")[2].partition(": ")[2]
    for phrase in ("cannot copy to non-directory", "cannot replace to directory"):
        if phrase in message:
            return phrase
    return message


def known(error: str) -> bool:
    """A truncated archive: BuildKit says `unexpected EOF`, this engine what is damaged."""
    return error.endswith("unexpected EOF")
