"""The `bake` command beside buildx's: which fault of a command line comes first, the metadata file, and privileges:
what a definition asks for and nobody granted is refused in buildx's words, at a terminal, without one, as JSON."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Bakehouse
from tests.support.gitrepos import write_files
from tests.support.paths import peer
from tests.support.pooled import asked
from tests.support.services import BuildKit, running_buildkit
from tests.support.web import WebServer, running_web_server

pytestmark = pytest.mark.peer

_DEFINITION = """\
target "host" { network = "host" }
target "insecure" { entitlements = ["security.insecure"] }
target "both" { entitlements = ["network.host", "security.insecure"] }
target "device" { entitlements = ["device"] }
target "agent" { ssh = ["default"] }
target "delete" { output = ["type=local,dest=out,mode=delete"] }
target "beside" { context = "../beside" }
target "above" { context = "../.." }
target "etc" { dockerfile = "/etc/passwd" }
target "context" { contexts = { x = "/etc", y = "../beside/deep", z = "/etc/ssl" } }
target "layout" { contexts = { x = "oci-layout:///etc:tag" } }
target "linked" { contexts = { x = "target:host" } }
target "secret" { secret = ["id=x,src=/etc/hostname"] }
target "write" { output = ["type=local,dest=../beside/new/deeper"] }
target "tar" { output = ["type=oci,dest=../beside/x.tar"] }
target "cache" {
  cache-from = ["type=local,src=/etc"]
  cache-to = ["type=local,dest=/etc/cache"]
}
target "same" {
  context = "../beside"
  output = ["type=local,dest=../beside"]
}
target "everything" {
  context = "../beside"
  network = "host"
  entitlements = ["security.insecure", "device"]
  ssh = ["default"]
  secret = ["id=x,src=/etc/hostname"]
  output = ["type=local,dest=../out,mode=delete"]
}
target "link" { context = "link" }
target "dangling" { output = ["type=local,dest=dangling"] }
target "likewise" { context = "../cwd-likewise" }
target "within" { context = "." }
target "mode" { output = ["type=local,dest=out,mode=nope"] }
"""
_FILES = {
    "cwd/docker-bake.hcl": _DEFINITION,
    "cwd/Dockerfile": "FROM scratch\nCOPY Dockerfile /\n",
    "cwd/link": "->../beside",
    "cwd/dangling": "->../nowhere/below",
    "beside/Dockerfile": "FROM scratch\nCOPY Dockerfile /\n",
    "beside/deep/x": "x",
    "cwd-likewise/Dockerfile": "FROM scratch\nCOPY Dockerfile /\n",
}


@dataclass(frozen=True)
class World:
    buildkit: BuildKit
    bakehouse: Bakehouse
    web: WebServer
    cwd: Path
    agent: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    import socket
    import tempfile

    root = tmp_path_factory.mktemp("privileges")
    write_files(root, _FILES)
    with (
        running_buildkit(root / "buildkit", None) as buildkit,
        running_web_server(root / "web") as web,
        tempfile.TemporaryDirectory(prefix="bkh-agent-") as folder,
        socket.socket(socket.AF_UNIX) as listening,
    ):
        listening.bind(f"{folder}/s")
        web.repository("p.git").commit({"docker-bake.hcl": _DEFINITION, "Dockerfile": "FROM scratch\n"})
        yield World(buildkit, Bakehouse(root / "home", None), web, root / "cwd", Path(folder, "s"))


@dataclass(frozen=True)
class Case:
    """A command line behind `bake`; `typed` is the answer at a terminal (None: there is none)."""

    line: str
    env: Mapping[str, str] = field(default_factory=dict)
    typed: str | None = None


def _case(line: str, typed: str | None = None, **env: str) -> Case:
    return Case(line, env, typed)


CASES = [
    _case("host"),
    _case("host -f docker-bake.hcl"),
    _case("insecure"),
    _case("both"),
    _case("device"),
    _case("agent"),
    _case("delete"),
    _case("beside"),
    _case("above"),
    _case("etc"),
    _case("context"),
    _case("layout"),
    _case("linked"),
    _case("secret"),
    _case("write"),
    _case("tar"),
    _case("cache"),
    _case("same"),
    _case("everything"),
    _case("link"),
    _case("dangling"),
    _case("mode"),
    _case("everything --allow fs=* --allow network.host"),
    _case("everything --allow fs.read=/etc --allow=fs.write=.. --allow ssh"),
    _case("both --allow security.insecure"),
    _case("beside --allow fs.write=../beside"),
    _case("beside --allow fs.read=../beside/deep"),
    _case("device --allow buildx.local.delete"),
    _case("host --allow nope"),
    _case("host --allow buildx.local.delete=1"),
    _case("host --set *.context=/etc"),
    _case("host --set *.secrets=id=x,src=/etc/hostname"),
    _case("everything", BUILDX_BAKE_ENTITLEMENTS_FS="1"),
    _case("everything", BUILDX_BAKE_ENTITLEMENTS_FS="0"),
    _case("beside", BUILDX_BAKE_ENTITLEMENTS_FS="maybe"),
    _case("beside", BAKE_ALLOW_REMOTE_FS_ACCESS="1"),
    _case("{web}/p.git host"),
    _case("{web}/p.git secret"),
    _case("{web}/p.git etc"),
    _case("{web}/p.git context"),
    _case("{web}/p.git write"),
    _case("{web}/p.git agent"),
    _case("{web}/p.git secret", BAKE_ALLOW_REMOTE_FS_ACCESS="0"),
    _case("{web}/p.git secret", BAKE_ALLOW_REMOTE_FS_ACCESS="nope"),
    _case("{web}/p.git secret", BAKE_ALLOW_REMOTE_FS_ACCESS="1", BUILDX_BAKE_ENTITLEMENTS_FS="1"),
    _case("host --progress=rawjson"),
    _case("everything --progress=rawjson"),
    _case("everything --progress=rawjson", BUILDX_BAKE_ENTITLEMENTS_FS="0"),
    _case("{web}/p.git secret --progress=rawjson"),
    _case("everything", typed="n\n"),
    _case("host", typed="\n"),
    _case("host", typed="yes\n"),
    _case("host", typed=" y\n"),
    _case("{web}/p.git secret", typed="n\n"),
    _case("beside", typed="N\n", BUILDX_BAKE_ENTITLEMENTS_FS="1"),
    # Granted, in different ways: what follows is a build, which works.
    _case("within", typed=""),
    _case("beside --set *.output=type=cacheonly", typed="y\n"),
    _case("beside --set *.output=type=cacheonly", typed="Y\n"),
    _case("beside --set *.output=type=cacheonly", BUILDX_BAKE_ENTITLEMENTS_FS="0"),
    _case("beside --set *.output=type=cacheonly --allow fs.read=.."),
    _case("beside --set *.output=type=cacheonly --allow fs=*"),
    _case("{web}/p.git secret --set *.output=type=cacheonly", BAKE_ALLOW_REMOTE_FS_ACCESS="1"),
]


def _id(case: Case) -> str:
    words = [*case.line.split(), *(f"{name}={value}" for name, value in case.env.items())]
    typed = (
        [] if case.typed is None else ["typed", repr(case.typed).strip("'").replace("\\n", "") or "nothing"]
    )
    return " ".join([*words, *typed])


def _run(argv: list[str], case: Case, cwd: Path, environ: Mapping[str, str]) -> tuple[int, str]:
    """Exit code, and what was printed for people."""
    if case.typed is None:
        done = subprocess.run(
            argv, cwd=cwd, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        return done.returncode, done.stderr
    controller, terminal = pty.openpty()
    try:
        with subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(environ),
            stdin=terminal,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stderr is not None
            os.close(terminal)
            terminal = -1
            said = b""
            deadline = time.monotonic() + 60
            asked = False
            while time.monotonic() < deadline:
                if select.select([process.stderr], [], [], 0.2)[0]:
                    data = os.read(process.stderr.fileno(), 65536)
                    if not data:
                        break
                    said += data
                if not asked and said.endswith(b"[y/N] "):
                    asked = True
                    os.write(controller, case.typed.encode())
            return process.wait(20), said.decode()
    finally:
        os.close(controller)
        if terminal >= 0:
            os.close(terminal)


def _told(code: int, text: str) -> tuple[int, list[str]]:
    """The exit code, and the lines about privileges: those of the display and our hints left out."""
    text = re.sub(r"^hint: .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^ERROR: target \S+: ", "ERROR: ", text, flags=re.MULTILINE)
    # The program as it was called.
    text = re.sub(r"^\S*(buildx|bakehouse) bake ", "PROGRAM bake ", text, flags=re.MULTILINE)
    start = text.find("Your build is requesting")
    if start < 0:
        start = text.find("ERROR: ") if code else len(text)
    lines = text[start:].splitlines() if start >= 0 else []
    lines = [re.sub(r"(\[y/N\] ).*", r"\1", line) for line in lines]
    # A build that goes on shows its progress from here.
    end = next((n for n, line in enumerate(lines) if line.startswith(("#", "[+]"))), len(lines))
    kept = lines[:end] + ([line for line in lines[end:] if line.startswith("ERROR: ")] if code else [])
    return code, [line for line in kept if line]


def _both(case: Case, world: World) -> list[tuple[int, list[str]]]:
    words = [word.format(web=world.web.url()) for word in case.line.split()]
    if not any(word.startswith("--progress") for word in words):
        words.append("--progress=plain")
    environ = world.bakehouse.environ | {"SSH_AUTH_SOCK": str(world.agent)} | dict(case.env)
    theirs = environ | {"BUILDX_CONFIG": str(world.buildkit.buildx_config)}
    return [
        _told(*_run(world.bakehouse.argv("bake", *words), case, world.cwd, environ)),
        _told(*_run([str(peer("buildx")), "bake", *words], case, world.cwd, theirs)),
    ]


Answers = Mapping[str, "Future[list[tuple[int, list[str]]]]"]


@pytest.fixture(scope="module")
def answers(world: World, request: pytest.FixtureRequest) -> Iterator[Answers]:
    test = test_refusals_read_as_buildx_prints_them
    with asked(test, CASES, _id, lambda case: _both(case, world), request) as found:
        yield found


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_refusals_read_as_buildx_prints_them(case: Case, answers: Answers) -> None:
    ours, theirs = answers[_id(case)].result()
    assert ours == theirs


def test_a_neighbour_whose_name_begins_alike_is_outside(world: World) -> None:
    """buildx takes `/work/app-secrets` for a part of `/work/app`."""
    ours, theirs = _both(_case("likewise --set *.output=type=cacheonly"), world)
    assert theirs == (0, [])
    assert ours[0] == 1
    assert " - Read access to path ../cwd-likewise" in ours[1]


_FAULTS = [
    _case("--call=x=y", BUILDX_BAKE_FILE="nope.hcl"),
    _case("-f docker-bake.hcl --call=x=y within", BUILDX_BAKE_FILE="nope.hcl"),
    _case("--call=x=y --policy=nope"),
    _case("--policy=nope --allow=nope"),
    _case("--policy=disabled=true,strict=true --allow=nope"),
    _case("--allow=nope --print --list=targets"),
    _case("--print --list=targets --progress=nope"),
    _case("--print --list-targets"),
    _case("--list=nope --progress=nope"),
    _case("--print --progress=nope -f nope.hcl"),
    _case("--print --progress=none"),
    _case("--print within", BUILDKIT_PROGRESS="nope"),
    _case("--print -f nope.hcl --var=x"),
    _case("--print -f empty.hcl --var=x"),
    _case("--print --var=x", BUILDX_BAKE_FILE_RELATIVE_PATHS="nope"),
    _case("--print --var=="),
    _case("--print -f broken.hcl", BUILDX_BAKE_FILE_RELATIVE_PATHS="nope"),
    _case("--print -f broken.hcl --var=x"),
    _case("--list=nope -f broken.hcl"),
    _case("--list=nope"),
    _case("--list=type=targets,format=nope nope"),
    _case("--list=targets nope --set nope.x=y"),
    _case("--list-targets --list-variables"),
    _case("--list=variables --list-targets"),
    _case("--print nope --set nope.x=y"),
    _case("--print within --set within.nope=y"),
    _case("--print host --call=outline --check"),
    _case("--print host --call=check --set host.call=x"),
    _case("--print within --sbom=true --provenance=mode=max --pull=false --no-cache --push"),
    _case("--print within --provenance=nope"),
    _case("--print within --metadata-file=/nowhere/at/all"),
    _case("--nope"),
    _case("--print --set"),
    _case("--print=nope"),
    _case("within --metadata-file=/nowhere/at/all --set *.output=type=cacheonly"),
]


def _first_fault(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    error = re.sub(r"^hint: .*\n", "", done.stderr.rpartition("ERROR: ")[2], flags=re.MULTILINE).strip()
    error = re.sub(r"^target \S+: |/\.m[^:]*|/\.tmp-m[^:]*", "", error)
    return done.returncode, done.stdout, error if done.returncode else ""


def _both_faults(case: Case, world: World) -> list[tuple[int, str, str]]:
    environ = world.bakehouse.environ | dict(case.env)
    out = []
    for argv, extra in (
        (world.bakehouse.argv("bake"), {}),
        ([str(peer("buildx")), "bake"], {"BUILDX_CONFIG": str(world.buildkit.buildx_config)}),
    ):
        done = subprocess.run(
            [*argv, *case.line.split()],
            cwd=world.cwd,
            env=environ | extra,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        out.append(_first_fault(done))
    return out


@pytest.fixture(scope="module")
def faults(world: World, request: pytest.FixtureRequest) -> Iterator[Mapping[str, Any]]:
    write_files(world.cwd, {"empty.hcl": "", "broken.hcl": "target {"})
    test = test_the_same_fault_comes_first
    with asked(test, _FAULTS, _id, lambda case: _both_faults(case, world), request) as found:
        yield found


@pytest.mark.parametrize("case", _FAULTS, ids=_id)
def test_the_same_fault_comes_first(case: Case, faults: Mapping[str, Any]) -> None:
    ours, theirs = faults[_id(case)].result()
    assert ours == theirs


_RESULTS = """\
target "base" { dockerfile-inline = "FROM scratch as b\\nCOPY Dockerfile /\\n" }
target "app" {
  contexts = { base = "target:base" }
  dockerfile-inline = "FROM base\\nCOPY Dockerfile /x\\n"
  tags = ["example.com/a:1", "example.com/b:2"]
  output = ["type=image", "type=cacheonly"]
}
target "two" {
  dockerfile-inline = "FROM scratch\\nCOPY Dockerfile /\\n"
  platforms = ["linux/amd64", "linux/arm64"]
  output = ["type=oci,dest=o.tar"]
  annotations = ["index:a=<b>&c"]
}
target "local" {
  dockerfile-inline = "FROM scratch\\nCOPY Dockerfile /\\n"
  output = ["type=local,dest=lo"]
}
target "archive" {
  dockerfile-inline = "FROM scratch\\nCOPY Dockerfile /\\n"
  tags = ["x"]
  output = ["type=docker,dest=d.tar"]
}
"""


def _shape(value: Any, key: str = "") -> Any:
    """A metadata file without what no two builds share: names of builds, digests, sizes and times."""
    if isinstance(value, dict):
        return {name: _shape(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_shape(item, key) for item in value]
    if key == "buildx.build.ref":
        return re.sub(r"^[a-z0-9]+/[a-z0-9]+/[a-z0-9]{25}$", "BUILDER/NODE/ID", value)
    if key in ("digest", "size", "containerimage.digest", "org.opencontainers.image.created", "vertex"):
        return type(value).__name__
    return type(value).__name__ if key == "containerimage.config.digest" else value


@pytest.mark.parametrize("warnings", ["", "1"])
def test_the_metadata_file_is_buildxs(world: World, tmp_path: Path, warnings: str) -> None:
    """Every target has its place, linked ones too; members and their order, escapes and layout are compared as text."""
    (tmp_path / "docker-bake.hcl").write_text(_RESULTS)
    (tmp_path / "Dockerfile").write_text("x")
    line = ["app", "two", "local", "archive", "--provenance=false", "--progress=quiet", "--metadata-file=m"]
    environ = {"BUILDX_METADATA_WARNINGS": warnings, "BUILDX_METADATA_PROVENANCE": "disabled"}
    world.bakehouse.run("bake", *line, cwd=tmp_path, env=environ)
    ours = (tmp_path / "m").read_text()
    done = subprocess.run(
        [str(peer("buildx")), "bake", *line],
        cwd=tmp_path,
        env=world.bakehouse.environ | environ | {"BUILDX_CONFIG": str(world.buildkit.buildx_config)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    theirs = (tmp_path / "m").read_text()
    shapes = [json.dumps(_shape(json.loads(text)), indent=2) for text in (ours, theirs)]
    assert shapes[0] == shapes[1]
    # The same text, but for what differs.
    assert ours == ours.rstrip("\n")
    assert re.sub(r'"[^"]*"|\d+', "", ours) == re.sub(r'"[^"]*"|\d+', "", theirs)
    assert ("buildx.build.warnings" in json.loads(ours)) == bool(warnings)
