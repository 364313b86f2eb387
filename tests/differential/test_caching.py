"""Which steps of a second build come from the cache: the same ones as in BuildKit.

A scenario builds a context, changes something, and builds again; both engines do so on the same files. The last state
of every step of both builds, read from `--progress=rawjson`, must be equal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.command import Bakehouse
from tests.support.services import BuildKit


@dataclass
class Scenario:
    """`files` are the context; `change` edits it between the builds; `first` and `second` are arguments of `build`;
    `reran` names (by a part) steps that the second build does not take from the cache, so that no scenario is vacuous.
    Without any, all steps come from there. (Sources, a step on nothing included, are asked every time.)"""

    dockerfile: str
    change: Callable[[Path], None] = lambda context: None
    first: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=lambda: {"a.txt": "a", "b.txt": "b"})
    reran: tuple[str, ...] = ()


def write(name: str, text: str) -> Callable[[Path], None]:
    def change(context: Path) -> None:
        (context / name).write_text(text)

    return change


def replace(old: str, new: str) -> Callable[[Path], None]:
    """Edits the Dockerfile."""

    def change(context: Path) -> None:
        text = (context / "Dockerfile").read_text()
        assert old in text
        (context / "Dockerfile").write_text(text.replace(old, new))

    return change


def rewrite(text: str) -> Callable[[Path], None]:
    """Another Dockerfile."""
    return write("Dockerfile", text)


def relink(context: Path) -> None:
    (context / "d" / "link").unlink()
    (context / "d" / "link").symlink_to("other")


def touch(context: Path) -> None:
    os.utime(context / "a.txt", (1_600_000_000, 1_600_000_000))


def chmod(context: Path) -> None:
    (context / "a.txt").chmod(0o755)


def rename(context: Path) -> None:
    (context / "a.txt").rename(context / "c.txt")


def nothing(context: Path) -> None:
    pass


COPY_AND_RUN = """\
FROM busybox
WORKDIR /app
COPY a.txt /app/
RUN cat /app/a.txt >/app/out
COPY b.txt /app/
RUN cat /app/b.txt >>/app/out
"""

COPY_ALL = """\
FROM busybox
COPY . /app/
RUN ls /app >/list
"""

FIRST = """\
FROM busybox AS one
COPY a.txt /
RUN cut -c1 /a.txt >/same
"""
SECOND = """\
FROM busybox AS two
COPY b.txt /
RUN cat /b.txt >/second
"""
LAST = """\
FROM busybox
COPY --from=one /same /same
COPY --from=two /second /second
RUN cat /same /second >/both
"""
STAGES = FIRST + SECOND + LAST

ARGS = """\
FROM busybox
ARG early=1
RUN echo early $early
ARG late=1
RUN echo only early matters >/x
RUN echo $late
"""

SCENARIOS = {
    "nothing-changed": Scenario(COPY_AND_RUN),
    "touched": Scenario(COPY_AND_RUN, touch),
    "mode-changed": Scenario(COPY_AND_RUN, chmod, reran=("COPY a.txt", "RUN cat /app/a.txt", "COPY b.txt")),
    "first-file-edited": Scenario(COPY_AND_RUN, write("a.txt", "A"), reran=("COPY a.txt", "COPY b.txt")),
    "second-file-edited": Scenario(COPY_AND_RUN, write("b.txt", "B"), reran=("COPY b.txt",)),
    "unused-file-added": Scenario(COPY_AND_RUN, write("new.txt", "n")),
    "file-added-to-whole-context": Scenario(COPY_ALL, write("new.txt", "n"), reran=("COPY . /app/",)),
    "file-renamed-in-whole-context": Scenario(COPY_ALL, rename, reran=("COPY . /app/", "RUN ls")),
    "ignored-file-edited": Scenario(
        COPY_ALL,
        write("b.txt", "B"),
        files={"a.txt": "a", "b.txt": "b", ".dockerignore": "b.txt\n.dockerignore\n"},
    ),
    "ignore-file-changed": Scenario(
        COPY_ALL,
        write(".dockerignore", "b.txt\n.dockerignore\nDockerfile\n"),
        files={"a.txt": "a", "b.txt": "b", ".dockerignore": ".dockerignore\nDockerfile\n"},
        reran=("COPY . /app/",),
    ),
    "edited-back": Scenario(COPY_AND_RUN, write("a.txt", "a")),
    "early-arg-changed": Scenario(ARGS, second=("--build-arg", "early=2"), reran=("RUN echo early",)),
    "late-arg-changed": Scenario(ARGS, second=("--build-arg", "late=2"), reran=("RUN echo 2",)),
    "default-of-arg-edited": Scenario(ARGS, replace("ARG late=1", "ARG late=2"), reran=("RUN echo 2",)),
    "undeclared-build-arg": Scenario(ARGS, second=("--build-arg", "unknown=2")),
    "unused-arg-added-at-the-top": Scenario(
        ARGS, replace("ARG early=1", "ARG unused=7\nARG early=1"), reran=("RUN echo early",)
    ),
    "proxy-arg-changed": Scenario(ARGS, second=("--build-arg", "HTTP_PROXY=http://127.0.0.1:9")),
    "env-changed": Scenario(
        "FROM busybox\nRUN echo before\nENV A=1\nRUN echo after\n",
        replace("A=1", "A=2"),
        reran=("RUN echo after",),
    ),
    "label-changed": Scenario('FROM busybox\nLABEL a=1\nRUN echo after\nCMD ["x"]\n', replace("a=1", "a=2")),
    "user-changed": Scenario(
        "FROM busybox\nUSER root\nRUN id\nCOPY a.txt /\n", replace("USER root", "USER 0"), reran=("RUN id",)
    ),
    "stage-edited-same-output": Scenario(STAGES, write("a.txt", "ab"), reran=("RUN cut",)),
    "stage-edited-other-output": Scenario(
        STAGES, write("a.txt", "zb"), reran=("RUN cut", "COPY --from=one", "RUN cat /same")
    ),
    "stages-reordered": Scenario(FIRST + SECOND + LAST, rewrite(SECOND + FIRST + LAST)),
    "another-target": Scenario(STAGES, first=("--target", "one"), reran=("RUN cat /b.txt",)),
    "target-of-the-whole": Scenario(STAGES, second=("--target", "two")),
    "copies-swapped": Scenario(
        STAGES,
        replace(
            "COPY --from=one /same /same\nCOPY --from=two /second /second\n",
            "COPY --from=two /second /second\nCOPY --from=one /same /same\n",
        ),
        reran=("COPY --from=one", "COPY --from=two"),
    ),
    "link-under-changed-base": Scenario(
        "FROM busybox\nRUN echo 1 >/x\nCOPY --link b.txt /b\nRUN cat /b\n",
        replace("echo 1", "echo 2"),
        reran=("RUN echo 2", "RUN cat /b"),
    ),
    "link-on-another-image": Scenario(
        "FROM busybox\nCOPY --link b.txt /b\n", replace("FROM busybox", "FROM alpine"), reran=("LINK COPY",)
    ),
    "bind-mount-content-edited": Scenario(
        "FROM busybox\nRUN --mount=target=/ctx cat /ctx/a.txt >/x\nRUN echo after\n",
        write("a.txt", "A"),
        reran=("RUN --mount", "RUN echo after"),
    ),
    "other-file-beside-bind-mount-edited": Scenario(
        "FROM busybox\nRUN --mount=source=a.txt,target=/a cat /a >/x\nRUN echo after\n", write("b.txt", "B")
    ),
    "bind-mount-from-stage-same-content": Scenario(
        "FROM busybox AS one\nRUN --mount=target=/ctx cut -c1 /ctx/a.txt >/same\n"
        "FROM busybox\nRUN --mount=from=one,source=/same,target=/same cat /same >/x\n",
        write("a.txt", "ab"),
        reran=("RUN --mount=target=/ctx",),
    ),
    "cache-mount": Scenario(
        "FROM busybox\nRUN --mount=type=cache,target=/cache date >>/cache/log\nCOPY a.txt /\n",
        write("a.txt", "A"),
        reran=("COPY a.txt",),
    ),
    "cache-mount-id-changed": Scenario(
        "FROM busybox\nRUN --mount=type=cache,id=one,target=/cache echo x\n", replace("id=one", "id=two")
    ),
    "cache-mount-target-changed": Scenario(
        "FROM busybox\nRUN --mount=type=cache,target=/cache echo x\n",
        replace("target=/cache", "target=/other"),
        reran=("RUN --mount",),
    ),
    "tmpfs-size-changed": Scenario(
        "FROM busybox\nRUN --mount=type=tmpfs,target=/t,size=1m echo x\n",
        replace("size=1m", "size=2m"),
        reran=("RUN --mount",),
    ),
    "network-changed": Scenario(
        "FROM busybox\nRUN --network=none echo x\n", replace("none", "default"), reran=("RUN --network",)
    ),
    "secret-changed": Scenario(
        "FROM busybox\nRUN --mount=type=secret,id=token wc -c /run/secrets/token\nRUN echo after\n",
        write("token", "other secret"),
        files={"token": "secret", "a.txt": "a"},
        first=("--secret", "id=token,src=token"),
        second=("--secret", "id=token,src=token"),
    ),
    "heredoc-edited": Scenario(
        "FROM scratch\nCOPY <<EOF /x\none\nEOF\nCOPY <<EOF /y\ntwo\nEOF\n",
        replace("two", "three"),
        reran=("COPY <<EOF /y",),
    ),
    "heredoc-on-scratch": Scenario("FROM scratch\nCOPY <<EOF /x\none\nEOF\n"),
    "workdir-on-scratch": Scenario("FROM scratch\nWORKDIR /w\nCOPY a.txt .\n", touch, reran=("WORKDIR /w",)),
    "comment-and-case-edited": Scenario(COPY_AND_RUN, replace("COPY a.txt", "# a remark\ncopy a.txt")),
    "whole-without-cache": Scenario(
        COPY_AND_RUN, second=("--no-cache",), reran=("COPY a.txt", "RUN cat /app/a.txt", "COPY b.txt")
    ),
    "heredoc-without-cache": Scenario(
        "FROM scratch\nCOPY <<EOF /x\none\nEOF\nCOPY a.txt /\n", second=("--no-cache",), reran=("COPY <<EOF",)
    ),
    "one-stage-without-cache": Scenario(STAGES, second=("--no-cache-filter", "one"), reran=("RUN cut",)),
    "last-stage-without-cache": Scenario(
        STAGES.replace("FROM busybox\n", "FROM busybox AS last\n"),
        second=("--no-cache-filter", "last"),
        reran=("COPY --from=one",),
    ),
    "stage-without-cache-under-another": Scenario(
        "FROM busybox AS one\nRUN date +%N >/x\nFROM one\nRUN echo above\n",
        second=("--no-cache-filter", "one"),
        reran=("RUN date", "RUN echo above"),
    ),
    "scratch-stage-without-cache": Scenario(
        "FROM scratch AS one\nCOPY <<EOF /x\none\nEOF\nFROM busybox\nCOPY --from=one /x /x\n",
        second=("--no-cache-filter", "one"),
        reran=("COPY <<EOF",),
    ),
    "owner-changed": Scenario(
        "FROM busybox\nCOPY --chown=1:1 a.txt /\n", replace("1:1", "2:2"), reran=("COPY --chown",)
    ),
    "destination-changed": Scenario(
        "FROM busybox\nCOPY a.txt /x\nRUN echo after\n", replace("/x", "/y"), reran=("COPY a.txt /y", "RUN")
    ),
    "wildcard-matches-another-file": Scenario(
        "FROM busybox\nCOPY *.txt /t/\n", write("c.txt", "c"), reran=("COPY *.txt",)
    ),
    "wildcard-other-file": Scenario("FROM busybox\nCOPY *.txt /t/\n", write("c.md", "c")),
    "symlink-target-changed": Scenario(
        "FROM busybox\nCOPY d /d\n",
        relink,
        files={"d/file": "x", "d/link -> file": ""},
        reran=("COPY d /d",),
    ),
    "empty-directory-added": Scenario(
        "FROM busybox\nCOPY d /d\n",
        lambda context: (context / "d" / "empty").mkdir(),
        files={"d/file": "x"},
        reran=("COPY d /d",),
    ),
    "epoch-changed": Scenario(
        COPY_AND_RUN,
        first=("--build-arg", "SOURCE_DATE_EPOCH=1600000000"),
        second=("--build-arg", "SOURCE_DATE_EPOCH=1600000001"),
        reran=("WORKDIR /app", "RUN cat /app/b.txt"),
    ),
}


def make_context(scenario: Scenario, context: Path) -> None:
    context.mkdir()
    for name, text in scenario.files.items():
        name, _, target = name.partition(" -> ")
        path = context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if target:
            path.symlink_to(target)
        else:
            path.write_text(text)
            path.chmod(0o644)
    (context / "Dockerfile").write_text(scenario.dockerfile)


def steps_of(progress: str) -> dict[str, bool]:
    """Whether each Dockerfile step of a rawjson stream was cached in the end, by its name without its number."""
    last: dict[str, dict[str, object]] = {}
    for line in progress.splitlines():
        if not line.startswith("{"):
            # A remark of buildx's beside its progress.
            continue
        for vertex in json.loads(line).get("vertexes") or ():
            last[vertex["digest"]] = vertex
    steps = {}
    for vertex in last.values():
        name = str(vertex["name"])
        # The digest of a base image stands in its name, and both engines pull the same one.
        if name.startswith("[") and not name.startswith(("[internal]", "[auth]")):
            assert not vertex.get("error"), vertex
            steps[name] = bool(vertex.get("cached"))
    return steps


@pytest.mark.peer
@pytest.mark.privileged
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_same_steps_are_cached(
    name: str, tmp_path: Path, bakehouse: Bakehouse, buildkit: BuildKit
) -> None:
    scenario = SCENARIOS[name]
    context = tmp_path / "context"
    make_context(scenario, context)
    # Other scenarios have built on this daemon: a text of our own keeps their steps apart from ours.
    unique = f"# {name}\n"
    (context / "Dockerfile").write_text(unique + scenario.dockerfile)
    buildkit.prune()

    def build(arguments: tuple[str, ...], folder: Path) -> tuple[dict[str, bool], dict[str, bool]]:
        flags = ["build", "--progress=rawjson", *arguments]
        theirs = buildkit.buildx(
            *flags,
            "--provenance=false",
            "--output",
            f"type=oci,dest={tmp_path / 'theirs.tar'}",
            ".",
            cwd=folder,
        )
        assert theirs.returncode == 0, theirs.stderr
        ours = bakehouse.run(*flags, "--output", f"type=oci,dest={tmp_path / 'ours.tar'}", ".", cwd=folder)
        return steps_of(ours.stderr), steps_of(theirs.stderr)

    build(scenario.first, context)
    scenario.change(context)
    ours, theirs = build(scenario.second, context)
    assert ours == theirs
    for part in scenario.reran:
        assert any(part in step and not cached for step, cached in ours.items()), (part, ours)
    if not scenario.reran:
        ran = [step for step, cached in ours.items() if not cached and " FROM " not in step]
        assert not ran, "say in the scenario which steps run"
