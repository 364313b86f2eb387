"""`bakehouse debug llb`: the bytes that it writes are a definition that BuildKit's tools read, and the very graph that
BuildKit's own frontend makes of the same Dockerfile."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakehouse.llb.decode import decode_definition
from bakehouse.llb.graph import collect
from bakehouse.llb.ops import SourceOp
from bakehouse.oci.platform import Platform
from tests.support.command import Bakehouse
from tests.support.json_peer import JsonPeer
from tests.support.paths import peer
from tests.support.services import Registry

pytestmark = pytest.mark.peer

#: Dockerfile and options, the latter as words of the command line and as BuildKit's frontend takes them.
CASES: dict[str, tuple[str, list[str], dict[str, str]]] = {
    "scratch": ("FROM scratch\n", [], {}),
    "copy": ("FROM scratch\nCOPY a.txt /x/\nADD --chmod=600 sub/ /y/\nWORKDIR /w\n", [], {}),
    "stages": (
        "ARG BASE=alpine\nFROM $BASE AS build\nRUN --network=none echo $HTTP\n"
        "FROM scratch\nCOPY --from=build /bin /b\n",
        ["--build-arg=HTTP=1", "--label=a=b"],
        {"build-arg:HTTP": "1", "label:a": "b"},
    ),
    "steps": (
        "FROM alpine\nARG V\nENV X=$V\nRUN --mount=type=cache,target=/c --mount=type=secret,id=s <<E\necho $X\nE\n",
        ["--build-arg=V=v", "--add-host=h:10.0.0.1", "--shm-size=64m", "--ulimit=nofile=1:2"],
        {
            "build-arg:V": "v",
            "add-hosts": "h=10.0.0.1",
            "shm-size": "67108864",
            "ulimit": "nofile=1:2",
        },
    ),
    "target": (
        "FROM scratch AS one\nCOPY a.txt /\nFROM alpine AS two\nRUN true\n",
        ["--target=one", "--no-cache"],
        {"target": "one", "no-cache": ""},
    ),
    "platform": (
        "FROM --platform=$BUILDPLATFORM alpine AS b\nARG TARGETARCH\nRUN echo $TARGETARCH\n"
        "FROM scratch\nCOPY --from=b / /\n",
        ["--platform=linux/arm64"],
        {"platform": "linux/arm64"},
    ),
}


@pytest.fixture(scope="module")
def dockerfile2llb() -> Iterator[JsonPeer]:
    with JsonPeer(peer("dockerfile2llb")) as running:
        yield running


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Bakehouse:
    return Bakehouse(tmp_path_factory.mktemp("debug") / "home", registry)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("b")
    (tmp_path / "a.txt").write_text("a")
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_the_definition_is_buildkits(
    name: str, command: Bakehouse, context: Path, registry: Registry, dockerfile2llb: JsonPeer
) -> None:
    text, words, options = CASES[name]
    (context / "Dockerfile").write_text(text)
    written = _definition(command, context, *words)
    theirs = dockerfile2llb.ask(_question(text, options, _session(written), registry))
    assert "error" not in theirs, theirs
    (expected,) = theirs["platforms"].values()
    definition = base64.b64decode(expected["definition"] or "")
    ours = _dump(written)
    # Ops, digests and metadata as BuildKit's own tool reads them; the order of map entries in the bytes is by chance.
    assert ours == _dump(definition)
    assert [each["Digest"] for each in ours] == (expected["digests"] or [])
    assert _locations(written) == _locations(definition)


def _definition(command: Bakehouse, context: Path, *words: str) -> bytes:
    done = subprocess.run(
        command.argv("debug", "llb", *words, "."),
        cwd=context,
        env=command.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _dump(definition: bytes) -> list[dict[str, Any]]:
    """What `buildctl debug dump-llb` finds in a definition on standard input: an op a line."""
    done = subprocess.run(
        [str(peer("buildctl")), "debug", "dump-llb"], input=definition, capture_output=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def _locations(definition: bytes) -> tuple[object, ...]:
    """The lines of the Dockerfile that each op came from, and the Dockerfile."""
    decoded = decode_definition(definition)
    graph = None if decoded.edge is None else collect(decoded.edge)
    sources = [(source.filename, source.data, source.language) for source in decoded.sources]
    return None if graph is None else graph.locations, sources


def _session(definition: bytes) -> str:
    """The session id of the definition's local sources, which is the client's own matter."""
    decoded = decode_definition(definition)
    edges = [decoded.edge, *(decode_definition(source.definition).edge for source in decoded.sources)]
    for edge in edges:
        for vertex in () if edge is None else collect(edge).vertices:
            if isinstance(vertex.op, SourceOp) and vertex.op.identifier.startswith("local://"):
                return vertex.op.attrs["local.session"]
    return ""


def _question(text: str, options: dict[str, str], session: str, registry: Registry) -> dict[str, Any]:
    manifest = registry.get("library/alpine/manifests/latest", "application/vnd.oci.image.manifest.v1+json")
    config = registry.get(f"library/alpine/blobs/{json.loads(manifest)['config']['digest']}")
    image = {"digest": _digest(manifest), "config": base64.b64encode(config).decode()}
    return {
        "options": options,
        "locals": {"dockerfile": {"Dockerfile": base64.b64encode(text.encode()).decode()}, "context": {}},
        "images": {"docker.io/library/alpine:latest": image},
        "session_id": session,
        "build_platform": str(Platform.local()),
    }


def _digest(data: bytes) -> str:
    import hashlib

    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_forms_for_people(command: Bakehouse, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch AS a\nCOPY a.txt /\nFROM scratch\nCOPY --from=a / /\n")
    digests = [each["Digest"] for each in _dump(_definition(command, context))]
    shown = json.loads(command.run("debug", "llb", "--json", ".", cwd=context).stdout)
    assert [each["digest"] for each in shown] == digests[:-1]
    assert [list(each["op"]) for each in shown] == [["source"], ["file"], ["file"]]
    dot = command.run("debug", "llb", "--dot", ".", cwd=context).stdout
    assert dot.startswith("digraph {\n") and dot.count(" -> ") == 2
    assert all(digest in dot for digest in digests[:-1])


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["lb", "."], "unknown command: debug lb\nhint: did you mean `debug llb`?"),
        (["nonsense"], "unknown command: debug nonsense\nhint: there is: llb"),
        (["build", "."], "`bakehouse debug build` is not supported yet: no debugger is there"),
        (
            ["--json", "llb"],
            "unknown flag: --json\nhint: flags stand behind the command: `bakehouse debug llb …`",
        ),
        (["llb"], "'bakehouse debug llb' requires 1 argument, got 0"),
        (["llb", "--jso", "."], "unknown flag: --jso\nhint: did you mean --json?"),
        (["llb", "--json", "--dot", "."], "--json and --dot cannot be used together"),
        (["llb", "--check", "."], "--call and --check have no graph"),
        (
            ["llb", "--platform=linux/amd64", "--platform=linux/arm64", "-f", "good", "."],
            "there is one graph a platform, and 2 platforms: linux/amd64, linux/arm64\n"
            "hint: choose one, for example --platform=linux/amd64",
        ),
        (
            ["llb", "-f", "missing", "."],
            "failed to build: failed to solve: failed to read dockerfile: open missing",
        ),
    ],
)
def test_bad_input(words: list[str], error: str, offline: Bakehouse, tmp_path: Path) -> None:
    (tmp_path / "good").write_text("FROM scratch\n")
    done = offline.run("debug", *words, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"ERROR: {error}" in done.stderr


def test_errors_of_a_dockerfile_are_those_of_a_build(offline: Bakehouse, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY --from=later /x /\nFROM scratch AS later\n")
    told = [
        offline.run(*words, "--progress=quiet", "--target=nope", ".", cwd=tmp_path, check=False).stderr
        for words in (["build"], ["debug", "llb"])
    ]
    assert told[0] == told[1] != ""


def test_bytes_are_not_written_to_a_terminal(offline: Bakehouse, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    leader, follower = os.openpty()
    try:
        for words, code in ((["."], 1), (["--dot", "."], 0)):
            done = subprocess.run(
                offline.argv("debug", "llb", "--progress=quiet", *words),
                cwd=tmp_path,
                env=offline.environ,
                stdin=subprocess.DEVNULL,
                stdout=follower,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert done.returncode == code
            assert ("refusing to write a definition" in done.stderr) == (code == 1)
        assert os.read(leader, 9) == b"digraph {"
    finally:
        os.close(leader)
        os.close(follower)


def test_help(offline: Bakehouse) -> None:
    assert (
        offline.run("debug").stdout
        == offline.run("debug", "--help").stdout
        == offline.run("help", "debug").stdout
    )
    text = offline.run("debug", "llb", "--help").stdout
    assert text.startswith("Usage:  bakehouse debug llb [OPTIONS] PATH | URL | -\n")
    assert "--dot" in text and "--build-arg" in text
