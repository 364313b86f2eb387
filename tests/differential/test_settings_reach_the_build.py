"""What a definition or a command line says really changes the build: every field and flag has its place in a table
here, and each place is a real build, compared with BuildKit's where BuildKit can be asked."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from bakehouse.bake.fields import FIELDS
from bakehouse.cli.options import BUILD
from tests.support import buildcases
from tests.support.command import Bakehouse
from tests.support.images import compare_config, compare_files, compare_layers, compare_manifests, read_image
from tests.support.paths import ROOT
from tests.support.services import BuildKit
from tests.support.sources import serving_agent

#: Each field, and cases of `tests/cases/build` that set it, or a test by name.
SHOWN_BY = {
    "annotations": ("fields/annotations", "fields/annotations-of-platforms"),
    "args": ("fields/args-and-labels", "run/variables"),
    "context": ("copy/forms",),  # every case names its context
    "contexts": ("fields/context-of-names",),
    "dockerfile": ("test_every_flag_reaches_the_build",),
    "dockerfile-inline": ("test_an_inline_dockerfile_is_the_one_that_is_built",),
    "entitlements": ("run/network-host", "run/security-insecure"),
    "extra-hosts": ("run/extra-hosts",),
    "inherits": ("test_an_inline_dockerfile_is_the_one_that_is_built",),
    "labels": ("fields/args-and-labels",),
    "network": ("fields/network-none", "fields/network-host"),
    "no-cache": ("fields/no-cache", "test_no_cache_runs_again_and_filters_by_stage"),
    "no-cache-filter": ("fields/no-cache-filter", "test_no_cache_runs_again_and_filters_by_stage"),
    "output": ("copy/forms",),  # every case is exported by it
    "platforms": ("stages/platforms-copy-only", "fields/annotations-of-platforms"),
    "pull": ("test_pull_asks_the_registry_again",),
    "resources": ("limits/memory", "limits/memory-and-swap", "limits/processors", "limits/processor-set"),
    "secret": ("mounts/secret-file", "mounts/secret-variable"),
    "shm-size": ("run/shm-size-and-ulimits",),
    "ssh": ("mounts/ssh",),
    "tags": ("fields/tags",),
    "target": ("fields/target",),
    "ulimits": ("run/shm-size-and-ulimits",),
}
#: Fields that say nothing about what is built, and those that are refused by name so far.
SAYS_NOTHING = {"description"}
REFUSED = {"attest", "cache-from", "cache-to", "call", "policy"}


def test_every_field_is_shown_by_something_that_is_there() -> None:
    assert set(SHOWN_BY) | SAYS_NOTHING | REFUSED == {field.name for field in FIELDS}
    cases = {case.id: case for case in buildcases.cases()}
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for field, places in SHOWN_BY.items():
        for place in places:
            if place.startswith("test_"):
                assert f"def {place}(" in sources
            elif field not in ("context", "output"):
                assert field in cases[place].fields, f"{place} does not set {field}"
            else:
                assert place in cases


DOCKERFILE = """\
FROM base AS first
ARG A
ARG B=default
RUN echo "$A $B" > /args; cat /etc/hosts > /hosts; hostname > /name; ls /sys/class/net > /net
RUN df -k /dev/shm | tail -n 1 | awk '{print $2}' > /shm; ulimit -n > /files
RUN --mount=type=secret,id=s,env=S wc -c < /run/secrets/s > /secret 2>/dev/null; echo ${#S} >> /secret
RUN --mount=type=ssh [ -S $SSH_AUTH_SOCK ] && echo agent > /agent
RUN for file in $(find /sys/fs/cgroup/ -name memory.limit_in_bytes -o -name memory.max -o -name cpu.shares \\
    -o -name cpu.weight -o -name cpuset.cpus); do echo "$(basename $file) $(cat $file)"; done | sort > /limits
COPY f /f
FROM first
RUN exit 1
"""

#: Flags and what they are given, for both `buildx build` and ours. `@` is the test's folder.
GIVEN = {
    "add-host": ("one.example=10.1.2.3", "two.example:::1"),
    "allow": ("network.host",),
    "annotation": ("a=1", "manifest-descriptor:b=2"),
    "build-arg": ("A=given", "B"),
    "build-context": ("base=docker-image://busybox:1.35",),
    "cpu-shares": ("700",),
    "cpuset-cpus": ("0",),
    "file": ("other/Some.Dockerfile",),
    "label": ("l=1", "m="),
    "memory": ("96m",),
    "network": ("none",),
    "no-cache": (),
    "resource": ("memory=80m",),
    "platform": ("linux/amd64",),
    "secret": ("id=s,src=secret.txt",),
    "shm-size": ("4m",),
    "ssh": ("default=$AGENT",),
    "tag": ("example/name:1", "second"),
    "target": ("first",),
    "ulimit": ("nofile=77:99",),
}
#: Flags that are about the run, not about what is built; elsewhere tested.
ABOUT_THE_RUN = {
    "attest",
    "cache-from",
    "cache-to",
    "call",
    "cgroup-parent",
    "check",
    "iidfile",
    "load",
    "metadata-file",
    "no-cache-filter",
    "output",
    "policy",
    "progress",
    "provenance",
    "pull",
    "push",
    "quiet",
    "sbom",
}


def test_every_flag_has_its_place() -> None:
    """What is hidden is accepted for old scripts' sake; of a limit's own flags the table has two."""
    there = {flag.name for flag in BUILD if not flag.hidden and not flag.unbuilt}
    assert there <= set(GIVEN) | ABOUT_THE_RUN
    refused = {flag.name for flag in BUILD if flag.unbuilt}
    assert not refused & set(GIVEN)


@pytest.mark.peer
@pytest.mark.privileged
def test_every_flag_reaches_the_build(tmp_path: Path, bakehouse: Bakehouse, buildkit: BuildKit) -> None:
    project = tmp_path / "project"
    (project / "other").mkdir(parents=True)
    (project / "other" / "Some.Dockerfile").write_text(DOCKERFILE)
    (project / "f").write_text("f\n")
    (project / "secret.txt").write_text("hidden")
    out = tmp_path / "out"
    with serving_agent() as agent:
        arguments = [
            f"--{flag}={value.replace('$AGENT', agent)}" for flag, values in GIVEN.items() for value in values
        ]
        arguments += [f"--{flag}" for flag, values in GIVEN.items() if not values]
        theirs = buildkit.buildx(
            "build",
            "--provenance=false",
            f"--output=type=oci,dest={tmp_path / 'theirs'}",
            *arguments,
            ".",
            cwd=project,
        )
        assert theirs.returncode == 0, theirs.stderr
        bakehouse.run("build", f"--output=type=oci,dest={tmp_path / 'ours'}", *arguments, ".", cwd=project)
        plain = [
            argument for argument in arguments if not argument.startswith(("--annotation", "--no-cache"))
        ]
        bakehouse.run("build", f"--output=type=local,dest={out}", *plain, ".", cwd=project)
    mine, other = read_image(tmp_path / "ours"), read_image(tmp_path / "theirs")
    differences = compare_manifests(mine, other) + compare_config(mine, other) + compare_layers(mine, other)
    assert differences + compare_files(mine, other, time.time()) == []
    # And each of them shows, so that two builders that ignore one are not taken for two that agree.
    assert (out / "args").read_text() == "given default\n"
    assert "10.1.2.3\tone.example" in (out / "hosts").read_text()
    assert (out / "net").read_text() == "lo\n"
    assert (out / "shm").read_text() == "4096\n"
    assert (out / "files").read_text() == "77\n"
    assert (out / "agent").read_text() == "agent\n"
    assert (out / "secret").read_text().split()[-1] == "6"
    limits = (out / "limits").read_text()
    assert re.search(rf"^memory\.(limit_in_bytes|max) {80 << 20}$", limits, re.MULTILINE)
    assert re.search(r"^cpu\.shares 700$|^cpu\.weight \d+$", limits, re.MULTILINE)
    assert mine.config["config"]["Labels"] == {"l": "1", "m": ""}


@pytest.mark.peer
@pytest.mark.parametrize(
    "value",
    [
        "memory",
        "disk=1g",
        "cpu-quota=much",
        "memory=lots",
        "cpuset-cpus=none",
        "memory-swap=-2",
        "cpuset-mems=3-1",
    ],
)
def test_a_bad_limit_is_told_as_buildx_tells_it(
    value: str, tmp_path: Path, bakehouse: Bakehouse, buildkit: BuildKit
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN true\n")
    theirs = buildkit.buildx("build", "--resource", value, ".", cwd=tmp_path)
    ours = bakehouse.run("build", "--resource", value, ".", cwd=tmp_path, check=False)
    assert (theirs.returncode, ours.returncode) == (1, 1)
    said = next(line for line in theirs.stderr.splitlines() if line.startswith("ERROR: "))
    wanted = re.sub(r"^ERROR: (failed to build: )?", "", said)
    assert wanted in ours.stderr, (said, ours.stderr)


@pytest.mark.privileged
def test_an_inline_dockerfile_is_the_one_that_is_built(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """Inherited fields count like the target's own, and an inline Dockerfile more than a file of the context."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "Dockerfile").write_text("FROM scratch\nRUN false\n")
    (project / "docker-bake.hcl").write_text(
        'target "parent" {\n  dockerfile-inline = "FROM busybox\\nARG V\\nRUN echo $V > /v"\n  args = { V = "1" }\n}\n'
        'target "default" {\n  inherits = ["parent"]\n  description = "d"\n  output = ["type=local,dest=out"]\n}\n'
    )
    bakehouse.run("bake", cwd=project)
    assert (project / "out" / "v").read_text() == "1\n"
