"""A context of any kind gives the files that it gives with buildx and BuildKit, and the errors are theirs.

What succeeds is baked in one run of each tool, a target a situation, into tars that are compared member by member.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from tests.support import bases
from tests.support.command import Bakehouse
from tests.support.gitrepos import SampleRepository, running_git_daemon, sample_repository
from tests.support.images import read_image
from tests.support.services import BuildKit, Registry
from tests.support.tars import members
from tests.support.web import WebServer, redirect, running_web_server

pytestmark = pytest.mark.peer

COPY_ALL = "FROM scratch\nCOPY . /\n"
WANTS = "FROM scratch\n# wanted:\nCOPY nothere /\n\n# end\n"
KINDS = """FROM scratch
COPY --from=dir f /dir/
COPY --from=git b /git/
COPY --from=web context /web/
COPY --from=layout /etc/passwd /layout/
COPY --from=image:v1 /etc/group /image/
"""
ALL_OF_SRC = "FROM scratch\nCOPY --from=src . /\n"
READS_SRC = 'FROM busybox\nRUN --mount=from=src,target=/in ["sh", "-c", "cp -r /in /out"]\n'


@dataclass(frozen=True)
class Situation:
    """Fields of a Bake target; `{web}`, `{daemon}` and `{commit}` stand for what the servers are."""

    id: str
    fields: dict[str, Any]


def main(id: str, context: str, **fields: Any) -> Situation:
    return Situation(id, {"context": context, **fields})


def named(id: str, text: str, /, **contexts: str) -> Situation:
    return Situation(id, {"context": "empty", "dockerfile-inline": text, "contexts": contexts})


REPOSITORY = "http://{web}/git/app.git"
SITUATIONS = [
    # C3: the table of git references.
    main("git-none", REPOSITORY),
    main("git-tag", REPOSITORY + "#mytag"),
    main("git-annotated-tag", REPOSITORY + "#annotated"),
    main("git-branch", REPOSITORY + "#mybranch"),
    main("git-pull-request", REPOSITORY + "#pull/42/head"),
    main("git-full-ref", REPOSITORY + "#refs/heads/mybranch"),
    main("git-folder", REPOSITORY + "#:myfolder"),
    main("git-branch-folder", REPOSITORY + "#main:myfolder"),
    main("git-tag-folder", REPOSITORY + "#mytag:myfolder"),
    main("git-other-branch-folder", REPOSITORY + "#mybranch:myfolder"),
    main("git-commit", REPOSITORY + "#{commit}"),
    main("git-query", REPOSITORY + "?ref=mytag&subdir=myfolder"),
    main("git-query-branch", REPOSITORY + "?branch=mybranch"),
    main("git-query-checksum", REPOSITORY + "?tag=mytag&checksum={commit}"),
    main("git-without-submodules", REPOSITORY + "?submodules=false"),
    main("git-daemon", "git://{daemon}/app.git#mybranch:myfolder"),
    main("git-lower-case", REPOSITORY + "#:lower"),
    main("git-other-dockerfile", REPOSITORY, dockerfile="other"),
    main("git-dockerfile-in-folder", REPOSITORY, dockerfile="myfolder/Dockerfile"),
    main("git-inline", REPOSITORY + "#mytag", **{"dockerfile-inline": "FROM scratch\nCOPY a /inline\n"}),
    main("git-local-dockerfile", REPOSITORY + "#mytag", dockerfile="cwd://local.Dockerfile"),
    # C6 and C7: files on the web.
    main("web-tar", "http://{web}/context.tar"),
    main("web-gzip", "http://{web}/context.tar.gz"),
    main("web-bzip2", "http://{web}/context.tar.bz2"),
    main("web-xz", "http://{web}/context.tar.xz"),
    main("web-zstd", "http://{web}/context.tar.zst"),
    main("web-tar-without-a-name", "http://{web}/download?id=7"),
    main("web-tar-other-dockerfile", "http://{web}/context.tar.gz", dockerfile="d/other"),
    main("web-tar-inline", "http://{web}/context.tar", **{"dockerfile-inline": "FROM scratch\nCOPY d /x\n"}),
    main("web-text", "http://{web}/text.Dockerfile"),
    main("web-redirect", "http://{web}/moved.tar"),
    # C2 and C7: local directories, Dockerfiles from elsewhere.
    main("directory", "dir"),
    main("directory-dockerfile-outside", "dir", dockerfile="../outside/Dockerfile"),
    main("directory-own-ignore-file", "dir", dockerfile="own"),
    main("directory-inline", "dir", **{"dockerfile-inline": COPY_ALL}),
    # B4 and C8: named contexts, by COPY --from, RUN --mount=from= and FROM.
    named("copy-directory", ALL_OF_SRC, src="dir"),
    named("mount-directory", READS_SRC, src="dir"),
    named("from-directory", "FROM src\nCOPY --from=src f /again\n", src="dir"),
    named("copy-git", ALL_OF_SRC, src=REPOSITORY + "#mytag"),
    named("mount-git", READS_SRC, src=REPOSITORY + "#:myfolder"),
    named("from-git", "FROM src\nCOPY --from=src a /again\n", src=REPOSITORY),
    named("copy-web", ALL_OF_SRC, src="http://{web}/context.tar"),
    named("mount-web", READS_SRC, src="http://{web}/text.Dockerfile"),
    named("from-web", "FROM src\nCOPY --from=src context /again\n", src="http://{web}/text.Dockerfile"),
    named("copy-image", "FROM scratch\nCOPY --from=src /etc/passwd /\n", src="docker-image://busybox"),
    named(
        "mount-image",
        'FROM busybox\nRUN --mount=from=src,target=/in ["cp", "/in/etc/passwd", "/p"]\n',
        src="docker-image://alpine",
    ),
    named(
        "from-image", 'FROM alpine:9.9\nRUN ["touch", "/made"]\n', **{"alpine:9.9": "docker-image://busybox"}
    ),
    named("copy-layout", "FROM scratch\nCOPY --from=src /etc/passwd /\n", src="oci-layout://layout"),
    named(
        "mount-layout",
        'FROM busybox\nRUN --mount=from=src,target=/in ["cp", "/in/etc/passwd", "/p"]\n',
        src="oci-layout://layout:latest",
    ),
    named("from-layout", 'FROM src\nRUN ["touch", "/made"]\n', src="oci-layout://layout:latest"),
    named("copy-target", ALL_OF_SRC, src="target:directory"),
    named("mount-target", READS_SRC, src="target:directory"),
    named("from-target", "FROM src\nCOPY --from=src folder/b /again\n", src="target:git-tag-folder"),
    named(
        "platform", "FROM base\nCOPY --from=base f /again\n", **{"base::linux/amd64": "dir", "base": "empty"}
    ),
    named("other-platform", "FROM base\n", **{"base::linux/arm64": "empty", "base": "dir"}),
    named("tagged-image-by-a-directory", "FROM base:v1\n", **{"base:v1": "dir", "base": "empty"}),
    named("latest-image", "FROM base:latest\n", base="dir"),
    named("layout-digest", "FROM src\n", src="oci-layout://layout@{layout}"),
    named("layout-tag-and-digest", "FROM src\n", src="oci-layout://layout:v9@{layout}"),
    named("called-like-the-main-ones", "FROM scratch\nCOPY --from=dockerfile f /\n", dockerfile="dir"),
    named("chained", "FROM src\nCOPY --from=src folder/b /third\n", src="target:from-target"),
    named("stage-replaced", "FROM busybox AS src\nRUN false\nFROM scratch\nCOPY --from=src . /\n", src="dir"),
    named("scratch", "FROM src\nCOPY --from=files f /\n", src="docker-image://scratch", files="dir"),
]


@dataclass(frozen=True)
class Servers:
    """What the situations are about, running."""

    web: WebServer
    daemon: str
    repository: SampleRepository
    root: Path

    def filled(self, value: Any) -> Any:
        """`value` with the placeholders replaced."""
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        if not isinstance(value, str):
            return value
        return (
            value.replace("{web}", self.web.host)
            .replace("{daemon}", self.daemon)
            .replace("{commit}", self.repository.first)
            .replace("{short}", self.repository.first[:7])
            .replace(
                "{layout}",
                json.loads((self.root / "layout/index.json").read_text())["manifests"][0]["digest"],
            )
        )


def archive(files: dict[str, str]) -> bytes:
    """A tar whose members have settled owners and times."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.mtime, member.mode = 1_500_000_000, 0o644
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


ARCHIVE = {
    "Dockerfile": COPY_ALL,
    ".dockerignore": "f\n",
    "f": "file\n",
    "d/g": "g\n",
    "d/other": "FROM scratch\nCOPY d /dd\n",
}


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    root = tmp_path_factory.mktemp("contexts")
    repositories = root / "repositories"
    with running_web_server(repositories) as web, running_git_daemon(repositories) as daemon:
        repository = sample_repository(repositories, web.url("git/module.git"))
        plain = archive(ARCHIVE)
        web.serve("context.tar", plain)
        web.serve("download?id=7", plain)
        web.serve("context.tar.gz", gzip.compress(plain))
        web.serve("context.tar.bz2", bz2.compress(plain))
        web.serve("context.tar.xz", lzma.compress(plain))
        web.serve("context.tar.zst", zstd.compress(plain))
        for name in ("tar", "tar.gz", "tar.bz2", "tar.xz"):
            (root / "work").mkdir(exist_ok=True)
            (root / f"work/context.{name}").write_bytes(web.answers[f"/context.{name}"].body)
        web.serve("text.Dockerfile", b"FROM scratch\nCOPY context /the-file\n")
        web.serve("other.Dockerfile", b"FROM scratch\nCOPY . /other/\n")
        web.serve("dated.tar", plain, Last_Modified="Thu, 02 Jan 2020 03:04:05 GMT")
        web.serve("readme", b"Read me\nfirst\n")
        web.serve("wants.Dockerfile", WANTS.encode())
        web.answers["/moved.tar"] = redirect("/context.tar")
        write(
            root / "work",
            {
                "all.Dockerfile": COPY_ALL,
                "kinds.Dockerfile": KINDS,
                "ignored.Dockerfile": "FROM scratch\nCOPY ignored /\n",
                "wants.Dockerfile": WANTS,
                "pattern.Dockerfile": "FROM scratch\nCOPY a*[ /\n",
                "none.Dockerfile": "FROM scratch\nCOPY none* /\n",
                "empty/.keep": "",
                "dir/Dockerfile": COPY_ALL,
                "dir/.dockerignore": "ignored\n",
                "dir/f": "f\n",
                "dir/ignored": "",
                "dir/own": COPY_ALL,
                "dir/own.dockerignore": "f\n",
                "outside/Dockerfile": "FROM scratch\nCOPY f /outside\n",
                "local.Dockerfile": "FROM scratch\nCOPY a /local\n",
            },
        )
        (root / "work/layout").symlink_to(bases.layout(next(b for b in bases.IMAGES if b.key == "busybox")))
        yield Servers(web, daemon, repository, root / "work")


@pytest.fixture(scope="module")
def baked(
    servers: Servers, buildkit: BuildKit, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, Path]]:
    """(ours, theirs) of every situation: the tar that each tool exported."""
    out = tmp_path_factory.mktemp("baked")
    bakehouse = Bakehouse(out / "home", registry)
    for tool in ("ours", "theirs"):
        targets = {
            item.id: {
                **servers.filled(item.fields),
                "output": [f"type=tar,dest={out}/{tool}-{item.id}.tar"],
            }
            for item in SITUATIONS
        }
        definition = {"group": {"default": {"targets": list(targets)}}, "target": targets}
        (servers.root / f"{tool}.json").write_text(json.dumps(definition))
    allowed = ("--allow=fs=*",)
    theirs = buildkit.buildx("bake", "-f", "theirs.json", *allowed, cwd=servers.root)
    assert theirs.returncode == 0, theirs.stderr
    bakehouse.run("bake", "-f", "ours.json", *allowed, cwd=servers.root)
    return {item.id: (out / f"ours-{item.id}.tar", out / f"theirs-{item.id}.tar") for item in SITUATIONS}


@pytest.mark.privileged
@pytest.mark.parametrize("id", [item.id for item in SITUATIONS])
def test_files_are_buildkits(id: str, baked: dict[str, tuple[Path, Path]]) -> None:
    """Rows B1-B5, C1-C4 and C6-C8: the situation's name says which."""
    ours, theirs = baked[id]
    assert members(ours) == members(theirs)
    assert members(ours), "an empty result compares nothing"


@dataclass(frozen=True)
class Invocation:
    """Arguments of `build` and what stands on standard input: the name of a file that the servers' folder holds."""

    id: str
    arguments: tuple[str, ...]
    stdin: str = ""


STDIN = [
    Invocation("pattern-without-a-match", ("-f-", REPOSITORY), "none.Dockerfile"),
    Invocation("dockerfile-without-files", ("-",), "all.Dockerfile"),
    Invocation("dockerfile-for-a-directory", ("-f-", "dir"), "all.Dockerfile"),
    Invocation("dockerfile-for-a-repository", ("-f-", REPOSITORY + "#mytag"), "all.Dockerfile"),
    Invocation("dockerfile-for-an-archive", ("-f-", "http://{web}/context.tar"), "all.Dockerfile"),
    Invocation("tar", ("-",), "context.tar"),
    Invocation("gzip", ("-",), "context.tar.gz"),
    Invocation("bzip2", ("-",), "context.tar.bz2"),
    Invocation("xz", ("-",), "context.tar.xz"),
    Invocation("other-dockerfile", ("--file", "d/other", "-"), "context.tar.gz"),
    Invocation("web-dockerfile", ("-f", "http://{web}/other.Dockerfile", "-"), "context.tar.gz"),
    Invocation(
        "contexts-of-all-kinds",
        (
            *("--build-context", "dir=dir", "--build-context", "git=" + REPOSITORY + "#mytag:myfolder"),
            *(
                "--build-context",
                "web=http://{web}/context.tar",
                "--build-context",
                "layout=oci-layout://layout",
            ),
            *("--build-context", "image:v1=docker-image://busybox", "-f-", "empty"),
        ),
        "kinds.Dockerfile",
    ),
    Invocation("web-dockerfile-for-a-directory", ("-f", "http://{web}/other.Dockerfile", "dir")),
    Invocation("web-dockerfile-for-a-repository", ("-f", "http://{web}/other.Dockerfile", REPOSITORY)),
    Invocation("dockerfile-outside", ("-f", "outside/Dockerfile", "dir")),
    Invocation("dockerfile-in-a-repository", ("-f", "myfolder/Dockerfile", REPOSITORY)),
]


@dataclass(frozen=True)
class Ran:
    """One tool's run of an invocation: exit code, standard error, and the tar that it exported or would have."""

    code: int
    stderr: str
    tar: Path


@dataclass(frozen=True)
class Tools:
    """Both tools on the same arguments."""

    servers: Servers
    buildkit: BuildKit
    bakehouse: Bakehouse
    out: Path

    def run(self, invocation: Invocation) -> tuple[Ran, Ran]:
        """(ours, theirs)"""
        arguments = [self.servers.filled(item) for item in invocation.arguments]
        data = (self.servers.root / invocation.stdin).read_bytes() if invocation.stdin else b""
        tars = [self.out / f"{tool}-{invocation.id}.tar" for tool in ("ours", "theirs")]
        ours = self.bakehouse.run(
            *("build", "-o", f"type=tar,dest={tars[0]}", *arguments),
            cwd=self.servers.root,
            input=data,
            check=False,
        )
        theirs = self.buildkit.buildx(
            *("build", "--progress=plain", "-o", f"type=tar,dest={tars[1]}", *arguments),
            cwd=self.servers.root,
            input=data.decode("latin-1"),
            encoding="latin-1",
        )
        return (
            Ran(ours.returncode, ours.stderr, tars[0]),
            Ran(theirs.returncode, theirs.stderr, tars[1]),
        )


@pytest.fixture(scope="module")
def ran(
    servers: Servers, buildkit: BuildKit, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Ran, Ran]]:
    """All invocations, several at once: they wait for each other's servers most of the time."""
    out = tmp_path_factory.mktemp("ran")
    tools = Tools(servers, buildkit, Bakehouse(out / "home", registry), out)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(tools.run, STDIN + ERRORS))
    return {item.id: result for item, result in zip(STDIN + ERRORS, results, strict=True)}


@pytest.mark.parametrize("id", [item.id for item in STDIN])
def test_standard_input(id: str, ran: dict[str, tuple[Ran, Ran]]) -> None:
    """Row C7: what `build` reads of standard input and of `-f` is what buildx reads."""
    ours, theirs = ran[id]
    assert theirs.code == 0, theirs.stderr
    assert ours.code == 0, ours.stderr
    assert members(ours.tar) == members(theirs.tar)


ERRORS = [
    Invocation("short-commit", (REPOSITORY + "#{short}",)),
    Invocation("no-such-branch", (REPOSITORY + "#nowhere",)),
    Invocation("no-such-folder", (REPOSITORY + "#:nowhere",)),
    Invocation("folder-is-a-link", (REPOSITORY + "#:link",)),
    Invocation("no-such-repository", ("http://{web}/git/none.git",)),
    Invocation("unknown-query", (REPOSITORY + "?what=ever",)),
    Invocation("two-references", (REPOSITORY + "?ref=mytag#main",)),
    Invocation("wrong-checksum", (REPOSITORY + "?ref=mytag&checksum=" + "0" * 40,)),
    Invocation("odd-checksum", (REPOSITORY + "?ref=mytag&checksum=xyz",)),
    Invocation("no-dockerfile", (REPOSITORY + "#:docs",)),
    Invocation("other-dockerfile-missing", ("-f", "nowhere", REPOSITORY)),
    Invocation("dockerfile-is-a-folder", ("-f", "myfolder", REPOSITORY)),
    Invocation("not-found", ("http://{web}/nothing",)),
    Invocation("dockerfile-not-found", ("-f", "http://{web}/nothing", "dir")),
    Invocation("text-that-is-no-dockerfile", ("http://{web}/readme",)),
    Invocation("copy-of-a-missing-file", ("http://{web}/wants.Dockerfile",)),
    Invocation("copy-of-a-missing-local-file", ("-f", "wants.Dockerfile", "dir")),
    Invocation("copy-of-an-ignored-file", ("-f", "ignored.Dockerfile", "dir")),
    Invocation("copy-without-files", ("-",), "wants.Dockerfile"),
    Invocation("malformed-pattern", ("-f-", REPOSITORY), "pattern.Dockerfile"),
    Invocation("ambiguous", ("-f", "x", "-"), "all.Dockerfile"),
    Invocation("archive-without-dockerfile", ("-f", "x", "-"), "context.tar.gz"),
    Invocation("path-missing", ("nowhere",)),
    Invocation("directory-without-dockerfile", ("empty",)),
    Invocation("context-missing", ("--build-context", "src=nowhere", "dir")),
    Invocation("context-is-a-file", ("--build-context", "src=local.Dockerfile", "dir")),
    Invocation("context-of-no-kind", ("--build-context", "src=what://ever", "dir")),
    Invocation("layout-without-the-tag", ("--build-context", "src=oci-layout://nowhere:x", "dir")),
]


#: What is said differently, of a run or on purpose, and what stands for it in the comparison.
SAME = {
    r"checksum of ref \S+:": "checksum of ref:",
    # buildx looks for a policy file in remote contexts; its builds may fail there first.
    r"failed to stat policy file Dockerfile.rego: ": "",
    r"failed to solve: failed to read (dockerfile|downloaded context): ": "",
    # A Go value that is printed.
    r"\{(\S+) <nil>\}": r"\1",
    # Why a layout cannot be used is said in words of our own.
    r"(?s)could not be resolved: .*": "could not be resolved",
}


def last_words(stderr: str) -> str:
    text = stderr[stderr.rindex("ERROR: ") :].partition("\nhint:")[0].strip()
    for pattern, replacement in SAME.items():
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize("id", [item.id for item in ERRORS])
def test_errors_are_buildkits(id: str, ran: dict[str, tuple[Ran, Ran]]) -> None:
    """Rows C3, C7 and C9: the same words, exit code 1, and nothing exported."""
    ours, theirs = ran[id]
    assert theirs.code == 1
    assert last_words(ours.stderr) == last_words(theirs.stderr)
    assert excerpt(ours.stderr) == excerpt(theirs.stderr)
    assert ours.code == 1
    assert not ours.tar.exists()


def excerpt(stderr: str) -> list[str]:
    """The lines of the Dockerfile that an error shows."""
    return [line.rstrip() for line in stderr.splitlines() if re.match(r" +\d+ \| ", line)]


EPOCHS = {
    "git": {"context": REPOSITORY},
    "tar": {"context": "http://{web}/context.tar.gz"},
    "dated-tar": {"context": "http://{web}/dated.tar"},
    # BuildKit takes no other Dockerfile with this context.
    "text": {"context": "http://{web}/text.Dockerfile", "dockerfile-inline": None},
    "directory": {"context": "dir"},
    "named": {"contexts": {"src": REPOSITORY + "#mytag"}, "args": {"SOURCE_DATE_EPOCH": "src"}},
    "stage": {
        "args": {"SOURCE_DATE_EPOCH": "src"},
        "dockerfile-inline": "FROM scratch AS src\nADD http://{web}/dated.tar /\nFROM scratch\nCOPY f /\n",
    },
}


def test_times_of_contexts(
    servers: Servers, buildkit: BuildKit, bakehouse: Bakehouse, tmp_path: Path
) -> None:
    """`SOURCE_DATE_EPOCH=context`, the name of a context, of a stage: the time of its source is that of the image."""
    inline = "FROM scratch\nCOPY . /\n"
    for tool in ("ours", "theirs"):
        targets = {
            name: {
                "context": "dir",
                "dockerfile-inline": inline,
                "args": {"SOURCE_DATE_EPOCH": "context"},
                **servers.filled(fields),
                "output": [f"type=oci,dest={tmp_path}/{tool}-{name}.tar"],
                "attest": ["type=provenance,disabled=true"],
            }
            for name, fields in EPOCHS.items()
        }
        del targets["text"]["dockerfile-inline"]
        definition = {"group": {"default": {"targets": list(targets)}}, "target": targets}
        (servers.root / f"epochs-{tool}.json").write_text(json.dumps(definition))
    theirs = buildkit.buildx("bake", "-f", "epochs-theirs.json", "--allow=fs=*", cwd=servers.root)
    assert theirs.returncode == 0, theirs.stderr
    bakehouse.run("bake", "-f", "epochs-ours.json", "--allow=fs=*", cwd=servers.root)
    created = {
        name: [
            read_image(tmp_path / f"{tool}-{name}.tar").config.get("created") for tool in ("ours", "theirs")
        ]
        for name in EPOCHS
    }
    now = created.pop("directory"), created.pop("text")
    assert all(ours == theirs for ours, theirs in created.values()), created
    assert created["git"][0] == "2017-07-14T02:40:00Z"
    assert created["dated-tar"][0] == "2020-01-02T03:04:05Z"
    # Neither has a time: the image is as old as it is.
    assert all(ours[:4] == theirs[:4] for ours, theirs in now)
