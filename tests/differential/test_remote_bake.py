"""Remote definitions: `bake URL --print` and `--list` give what buildx with a real BuildKit gives.

One buildkitd, one web server with git repositories, one git daemon; every situation goes through both commands. Where
ours differs on purpose the situation says so, and `docs/differences.md` says why.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.command import Bakehouse
from tests.support.gitrepos import Repository, git, running_git_daemon, write_files
from tests.support.paths import peer
from tests.support.pooled import asked
from tests.support.services import BuildKit, running_buildkit
from tests.support.sshserver import SshServer, running_sshd
from tests.support.web import Answer, WebServer, redirect, running_web_server

pytestmark = pytest.mark.peer

_DEFINITION = """\
variable "V" { default = "d" }
group "default" { targets = ["root", "part"] }
target "root" {
  description = "the whole tree"
  args = { v = V, c = BAKE_CMD_CONTEXT, p = BAKE_LOCAL_PLATFORM }
}
target "part" { context = "./x/../part/" }
target "up" { context = "part/../.." }
target "absolute" { context = "/etc" }
target "elsewhere" { context = "https://example.com/other.git#main:dir" }
target "image" { context = "docker-image://busybox" }
target "own" {
  context = "cwd://own"
  dockerfile = "absent.Dockerfile"
}
target "wd" {
  context = BAKE_CMD_CONTEXT
  dockerfile = "absent.Dockerfile"
}
target "owndockerfile" { dockerfile = "cwd://own/Own.Dockerfile" }
target "inline" {
  context = BAKE_CMD_CONTEXT
  dockerfile-inline = "FROM scratch\\nCOPY . /\\n"
}
target "named" {
  contexts = {
    a = "."
    b = "part"
    c = "cwd://own"
    d = "target:root"
    e = "docker-image://busybox"
    f = "https://example.com/x.git#r"
    g = "/abs"
  }
}
target "agent" { context = "git@example.com:a/b.git" }
target "key" { ssh = ["x=/nonexistent"] }
target "lost" { secret = ["id=x,src=lost"] }
target "joined" {
  contexts = { a = "part", b = ".", c = "cwd://own", d = "target:inline" }
  dockerfile = "Joined.Dockerfile"
}
target "joinedpart" {
  context = "part"
  contexts = { a = "part/deeper" }
  dockerfile = "deeper/Dockerfile"
}
target "quoted" { args = { a = "$${V} <&>" } }
"""
_TREE: Mapping[str, str | bytes | None] = {
    "docker-bake.hcl": _DEFINITION,
    "docker-bake.override.json": '{"target": {"root": {"labels": {"l": "override"}}}}',
    "part/docker-bake.hcl": 'target "default" { args = { in = "part" } }\n',
    "part/more.json": '{"target": {"default": {"args": {"json": "1"}}}}',
    "part/deeper/docker-bake.json": '{"target": {"default": {"context": "x"}}}',
    "Dockerfile": "FROM scratch\nCOPY Dockerfile *.json /\n",
    "Joined.Dockerfile": "FROM scratch\nCOPY --from=a . /a/\nCOPY --from=b bare /b/\nCOPY --from=c . /c/\n"
    "COPY --from=d local.hcl /d/\nCOPY bare /e/\n",
    ".dockerignore": "bare\n",
    "part/Dockerfile": "FROM scratch\nCOPY . /\n",
    "part/deeper/Dockerfile": "FROM scratch\nCOPY --from=a . /a/\nCOPY more.json /\n",
    "linked": "->part",
    "link.hcl": "->part/docker-bake.hcl",
    "outside.hcl": "->/etc/hostname",
    "above.hcl": "->../../../../../../etc/hostname",
    "round.hcl": "->round.hcl",
    "linkdir": "->part",
    "empty.hcl": "",
    "bare": 'target "default" { args = { x = "bare" } }\n',
    "binary.hcl": bytes(range(256)),
    "wrong.hcl": 'target "default" {\n  tags = [zz]\n}\n',
    "broken.json": '{"target": ',
    "space name.hcl": 'target "default" { args = { x = "blank" } }\n',
    "large.hcl": "# " + "x" * 3_000_000 + '\ntarget "default" { args = { x = "large" } }\n',
}
_OWN = {
    "local.hcl": 'target "mine" { args = { local = "yes" } }\n',
    "root.hcl": 'target "root" { args = { v = "local" } }\n',
    "nothing.hcl": "",
    "own/Own.Dockerfile": "FROM scratch\nCOPY more.jso[n] bar[e] /\n",
    "own/docker-bake.hcl": 'target "default" { args = { x = "own" } }\n',
    "own/Dockerfile": "FROM scratch\nCOPY . /\n",
}


@dataclass(frozen=True)
class World:
    """The servers, both commands, and the caller's directory."""

    web: WebServer
    other: WebServer
    words: Mapping[str, str]
    buildkit: BuildKit
    bakehouse: Bakehouse
    cwd: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("remote")
    with (
        running_buildkit(root / "buildkit", None) as buildkit,
        running_web_server(root / "web") as web,
        running_web_server(root / "other", "127.0.0.2") as other,
        running_git_daemon(root / "web") as daemon,
        running_sshd(root / "sshd") as sshd,
        _agent_with(sshd) as agent,
    ):
        commits = _fill(web, other)
        cwd = root / "cwd"
        write_files(cwd, _OWN)
        words = {
            "web": web.url(),
            "host": web.host,
            "other": other.url(),
            "git": f"git://{daemon}",
            "ssh": sshd.url(web.root),
            "agent": str(agent),
            "key": str(sshd.key),
            **commits,
        }
        yield World(web, other, words, buildkit, Bakehouse(root / "home", None), cwd)


@contextmanager
def _agent_with(server: SshServer) -> Iterator[Path]:
    """The socket of an SSH agent that holds the key which `server` lets in."""
    with tempfile.TemporaryDirectory(prefix="bkh-agent-") as folder:
        socket = Path(folder, "s")
        process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
        try:
            for _ in range(100):
                if socket.exists():
                    break
                time.sleep(0.05)
            environ = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
            subprocess.run(["ssh-add", "-q", str(server.key)], env=environ, check=True)
            yield socket
        finally:
            process.terminate()
            process.wait()


def _fill(web: WebServer, other: WebServer) -> dict[str, str]:
    project = web.repository("p.git")
    first = project.commit(_TREE, tag="v1")
    dev = project.commit({"docker-bake.hcl": 'target "default" { args = { b = "dev" } }\n'}, branch="dev")
    git(project.work, "push", "--quiet", "origin", "dev:refs/pull/7/head")
    secret = web.repository("secret.git", password="s3cr3t")
    secret.commit({"docker-bake.hcl": 'target "default" {}\n', "Dockerfile": "FROM scratch\nCOPY . /\n"})
    web.repository("empty.git")
    web.repository("nothing.git").commit({"README": "x"})
    module = web.repository("module.git")
    module.commit({"docker-bake.hcl": 'target "default" { args = { x = "module" } }\n'})
    _with_submodule(web.repository("outer.git"), module)
    for path, body in (
        ("/b.hcl", b'target "default" { context = "part" }\n'),
        ("/b.json", b'{"target": {"default": {"context": "."}}}\n'),
        ("/local.hcl", b'target "own" { context = "own" }\n'),
        ("/bare", b'target "default" { args = { x = "bare" } }\n'),
        ("/long.hcl", b"# " + b"x" * 2000 + b'\ntarget "default" {}\n'),
        ("/huge.hcl", b"# " + b"x" * 3_000_000 + b'\ntarget "default" {}\n'),
        ("/wrong.hcl", b'target "default" {\n  tags = [zz]\n}\n'),
        ("/empty.hcl", b""),
        ("/binary.hcl", bytes(range(256))),
    ):
        web.serve(path, body)
    web.answers["/teapot.hcl"] = Answer(b"no", 418)
    web.answers["/moved.hcl"] = redirect(f"{other.url()}/there.hcl", 302)
    web.answers["/moved.git/info/refs"] = redirect(
        f"{web.url()}/p.git/info/refs?service=git-upload-pack", 301
    )
    other.serve("/there.hcl", b'target "default" { args = { x = "moved" } }\n')
    return {"first": first, "dev": dev}


def _with_submodule(outer: Repository, module: Repository) -> None:
    git(outer.work, "submodule", "add", "--quiet", str(module.bare), "sub")
    # Relative, so that it is fetched from the server that the outer one came from.
    write_files(outer.work, {".gitmodules": '[submodule "sub"]\n\tpath = sub\n\turl = ../module.git\n'})
    outer.commit({"README": "x"})


@dataclass(frozen=True)
class Case:
    """One command line behind `bake`; braces name words of the `World`."""

    name: str
    line: str
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""


def _case(name: str, line: str, *, stdin: str = "", **env: str) -> Case:
    return Case(name, line, env, stdin)


CASES = [
    _case("http-git", "{web}/p.git"),
    _case("git-daemon", "{git}/p.git"),
    _case("branch", "{web}/p.git#dev"),
    _case("tag", "{git}/p.git#v1 part"),
    _case("commit", "{web}/p.git#{first} part root"),
    _case("pull-request", "{web}/p.git#refs/pull/7/head"),
    _case("pull-request-short", "{web}/p.git#pull/7/head"),
    _case("subdirectory", "{web}/p.git#:part"),
    _case("branch-and-subdirectory", "{web}/p.git#main:part"),
    _case("subdirectory-of-a-subdirectory", "{web}/p.git#main:part -f deeper/docker-bake.json"),
    _case("query-ref", "{web}/p.git?ref=dev"),
    _case("query-branch", "{web}/p.git?branch=main part up"),
    _case("query-tag-and-checksum", "{git}/p.git?tag=v1&checksum={first} part"),
    _case("query-commit", "{git}/p.git?branch=dev&commit={dev}"),
    _case("query-subdir", "{web}/p.git?subdir=part&ref=main -f deeper/docker-bake.json"),
    _case("query-subdir-and-context", "{web}/p.git?subdir=part&ref=main --set default.context=a/b"),
    _case("query-flags", "{web}/p.git?keep-git-dir=true&submodules=0 part"),
    _case("query-and-fragment", "{web}/p.git?ref=main#main:part"),
    _case("submodule", "{web}/outer.git -f sub/docker-bake.hcl"),
    _case("no-submodules", "{web}/outer.git?submodules=false -f sub/docker-bake.hcl"),
    _case("user-in-the-url", "http://joe:word@{host}/p.git part"),
    _case("every-context", "{web}/p.git root part up absolute elsewhere image own named owndockerfile"),
    _case("context-of-the-caller", "{web}/p.git wd inline"),
    _case("contexts-by-override", "{web}/p.git root --set root.context=part/../x --set root.contexts.n=y"),
    _case("variables", "{web}/p.git root --var V=given", V="environment"),
    _case("variables-of-the-environment", "{web}/p.git root", V="environment"),
    _case("flags", "{web}/p.git root --push --no-cache --set *.platform=linux/arm64"),
    _case("reescaped", "{web}/p.git quoted"),
    _case("two-remotes", "{web}/p.git {web}/p.git#dev root wd"),
    _case("second-remote-is-a-file", "{web}/p.git https://example.com/x root"),
    _case("file-and-remote-context", "{web}/b.hcl {web}/p.git"),
    _case("named-file", "{web}/p.git -f part/docker-bake.hcl"),
    _case("named-files-in-order", "{web}/p.git#:part -f more.json -f docker-bake.hcl"),
    _case("name-from-the-root", "{web}/p.git -f /part/docker-bake.hcl"),
    _case("name-above-the-root", "{web}/p.git -f ../../part/docker-bake.hcl"),
    _case("name-with-a-blank", "{web}/p.git -f space\\ name.hcl"),
    _case("unknown-kind", "{web}/p.git -f bare"),
    _case("link-within", "{web}/p.git -f link.hcl"),
    _case("file-below-a-link", "{web}/p.git -f linkdir/docker-bake.hcl"),
    _case("link-out", "{web}/p.git -f outside.hcl"),
    _case("link-above", "{web}/p.git -f above.hcl"),
    _case("passwords-of-this-machine", "{web}/p.git -f ../../../../../../etc/passwd"),
    _case("directory-as-file", "{web}/p.git -f part"),
    _case("missing-file", "{web}/p.git -f nope.hcl"),
    _case("empty-file", "{web}/p.git -f empty.hcl"),
    _case("binary-file", "{web}/p.git -f binary.hcl"),
    _case("wrong-file", "{web}/p.git -f wrong.hcl"),
    _case("broken-json", "{web}/p.git -f broken.json"),
    _case("three-megabytes-in-a-tree", "{web}/p.git -f large.hcl"),
    _case("stdin-is-not-in-the-tree", "{web}/p.git -f -", stdin='target "x" {}'),
    _case("local-file-beside", "{web}/p.git -f cwd://local.hcl -f docker-bake.hcl root mine"),
    _case("local-files-come-last", "{web}/p.git -f cwd://root.hcl -f docker-bake.hcl root"),
    _case("local-file-and-default-ones", "{web}/p.git -f cwd://root.hcl root"),
    _case("local-stdin", "{web}/p.git -f cwd://- x", stdin='target "x" {}'),
    _case("missing-local-file", "{web}/p.git -f cwd://nope.hcl"),
    _case("empty-local-file", "{web}/p.git -f cwd://nothing.hcl root"),
    _case("no-definition", "{web}/nothing.git"),
    _case("no-definition-but-a-local-one", "{web}/nothing.git -f cwd://local.hcl mine"),
    _case("files-of-the-environment", "{web}/p.git", BUILDX_BAKE_FILE="own/docker-bake.hcl"),
    _case("absent-files-of-the-environment", "{web}/p.git", BUILDX_BAKE_FILE="part/docker-bake.hcl"),
    _case(
        "relative-paths", "{web}/p.git -f part/deeper/docker-bake.json", BUILDX_BAKE_FILE_RELATIVE_PATHS="1"
    ),
    _case(
        "relative-paths-of-links", "{web}/p.git named -f docker-bake.hcl", BUILDX_BAKE_FILE_RELATIVE_PATHS="1"
    ),
    _case(
        "relative-paths-of-a-local-file",
        "{web}/p.git -f cwd://own/docker-bake.hcl",
        BUILDX_BAKE_FILE_RELATIVE_PATHS="1",
    ),
    _case("relative-paths-of-a-url", "{web}/b.hcl", BUILDX_BAKE_FILE_RELATIVE_PATHS="1"),
    _case("list-targets", "--list targets {web}/p.git"),
    _case("list-variables", "--list type=variables,format=json --var V=x {web}/p.git"),
    _case("http-file", "{web}/b.hcl"),
    _case("http-json", "{web}/b.json"),
    _case("http-unknown-kind", "{web}/bare"),
    _case("http-with-a-query", "{web}/b.hcl?x=y"),
    _case("http-ignores-names", "{web}/b.hcl -f nope.hcl"),
    _case("http-and-a-local-file", "{web}/b.hcl -f cwd://local.hcl mine default"),
    _case("http-redirection", "{web}/moved.hcl"),
    _case("http-not-found", "{web}/nope.hcl"),
    _case("http-teapot", "{web}/teapot.hcl"),
    _case("http-wrong-file", "{web}/wrong.hcl"),
    _case("http-empty-file", "{web}/empty.hcl"),
    _case("http-binary-file", "{web}/binary.hcl"),
    _case("url-as-file", "-f {web}/b.hcl"),
    _case("url-behind-a-name", "root {web}/p.git -f own/docker-bake.hcl"),
    _case("unknown-target", "{web}/p.git nope"),
    _case("dockerfile-of-the-caller", "{web}/p.git own --set own.dockerfile=Own.Dockerfile"),
    _case("agent-missing", "{web}/p.git agent"),
    _case("ssh-key-missing", "{web}/p.git key"),
    _case("secret-missing", "{web}/p.git lost"),
    _case("query-unknown", "{web}/p.git?nope=1"),
    _case("query-empty", "{web}/p.git?ref="),
    _case("query-twice", "{web}/p.git?ref=a&ref=b"),
    _case("query-conflict", "{web}/p.git?tag=v1&branch=main"),
    _case("query-against-fragment", "{web}/p.git?ref=dev#main"),
    _case("token", "{web}/secret.git", BUILDX_BAKE_GIT_AUTH_TOKEN="s3cr3t"),
    _case("token-in-lower-case", "{web}/secret.git", buildx_bake_git_auth_token="s3cr3t"),
    _case("header", "{web}/secret.git", BUILDX_BAKE_GIT_AUTH_HEADER="Bearer s3cr3t"),
    _case("ssh", "{ssh}/p.git part", SSH_AUTH_SOCK="{agent}"),
    _case("ssh-with-a-key", "{ssh}/p.git#dev", BUILDX_BAKE_GIT_SSH="{key}", SSH_AUTH_SOCK="{agent}"),
    _case("ssh-with-another-agent", "{ssh}/p.git#dev", BUILDX_BAKE_GIT_SSH="{agent}"),
    _case("ssh-with-its-own-agents", "{ssh}/p.git key", SSH_AUTH_SOCK="{agent}"),
    _case("ssh-missing-repository", "{ssh}/missing.git -f a.hcl", SSH_AUTH_SOCK="{agent}"),
    # With names given, buildx tells what went wrong with the repository, too.
    _case("missing-ref", "{web}/p.git#nope -f a.hcl"),
    _case("short-commit", "{web}/p.git#1234567 -f a.hcl"),
    _case("wrong-checksum", "{web}/p.git?checksum=1234567 -f a.hcl"),
    _case("empty-repository", "{web}/empty.git -f a.hcl"),
    _case("ssh-without-agent", "ssh://git@127.0.0.1:1/x.git -f a.hcl"),
    _case("scp-style-without-agent", "git@127.0.0.1:x.git -f a.hcl"),
    _case("missing-repository", "{web}/missing.git -f a.hcl"),
    _case("missing-daemon-repository", "{git}/missing.git -f a.hcl"),
    _case("wrong-token", "{web}/secret.git -f a.hcl", BUILDX_BAKE_GIT_AUTH_TOKEN="wr0ng"),
    _case("no-token", "{web}/secret.git -f a.hcl"),
]

#: The cases that are errors, so that two wrong command lines do not pass for agreement.
_ERRORS = {
    "no-submodules",
    "link-out",
    "link-above",
    "passwords-of-this-machine",
    "directory-as-file",
    "missing-file",
    "empty-file",
    "binary-file",
    "wrong-file",
    "broken-json",
    "stdin-is-not-in-the-tree",
    "missing-local-file",
    "no-definition",
    "files-of-the-environment",
    "absent-files-of-the-environment",
    "http-not-found",
    "http-teapot",
    "http-wrong-file",
    "http-empty-file",
    "http-binary-file",
    "url-as-file",
    "url-behind-a-name",
    "unknown-target",
    "dockerfile-of-the-caller",
    "agent-missing",
    "ssh-key-missing",
    "secret-missing",
    "query-unknown",
    "query-empty",
    "query-twice",
    "query-conflict",
    "query-against-fragment",
    "ssh-with-another-agent",
    "ssh-missing-repository",
    "missing-ref",
    "short-commit",
    "wrong-checksum",
    "empty-repository",
    "ssh-without-agent",
    "scp-style-without-agent",
    "missing-repository",
    "missing-daemon-repository",
    "wrong-token",
    "no-token",
}


def _name(case: Case) -> str:
    return case.name


def _error(text: str) -> str:
    """What stands behind `ERROR: `, without what we add: the target's name, hints, further findings."""
    found = re.split("\n(?:hint|also): ", text.rpartition("ERROR: ")[2])[0].strip()
    # BuildKit hides who logs in, too.
    found = re.sub(r"ssh://[^@/\s]+@", "ssh://USER@", found)
    return re.sub(r"^target \S+: ", "", found)


def _excerpt(text: str) -> list[str]:
    return [
        line.rstrip()
        for line in text.partition("\nalso: ")[0].splitlines()
        if re.match(r" +\d+ \| |\S+:\d+$", line)
    ]


def _answer(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    return {
        "code": done.returncode,
        "output": done.stdout,
        "error": _error(done.stderr) if done.returncode else "",
        "excerpt": _excerpt(done.stderr),
    }


def _environ(case: Case, world: World) -> dict[str, str]:
    return {name: value.format(**world.words) for name, value in case.env.items()}


def _words(case: Case, world: World) -> list[str]:
    blank = "\0"
    words = case.line.replace("\\ ", blank).split()
    own = [] if "--list" in words else ["--print"]
    return [*own, "--progress=quiet", *(word.replace(blank, " ").format(**world.words) for word in words)]


def _both(case: Case, world: World) -> tuple[dict[str, object], dict[str, object]]:
    words = _words(case, world)
    environ = world.bakehouse.environ | _environ(case, world)
    theirs = subprocess.run(
        [str(peer("buildx")), "bake", *words],
        cwd=world.cwd,
        env=environ | {"BUILDX_CONFIG": str(world.buildkit.buildx_config)},
        input=case.stdin,
        capture_output=True,
        text=True,
        errors="surrogateescape",
    )
    ours = world.bakehouse.run(
        "bake", *words, cwd=world.cwd, env=_environ(case, world), input=case.stdin, check=False
    )
    return _answer(ours), _answer(theirs)


Answers = Mapping[str, "Future[tuple[dict[str, object], dict[str, object]]]"]


@pytest.fixture(scope="module")
def answers(world: World, request: pytest.FixtureRequest) -> Iterator[Answers]:
    test = test_ours_answers_as_buildx_does
    with asked(test, CASES, _name, lambda case: _both(case, world), request) as found:
        yield found


@pytest.fixture(scope="module")
def built(
    world: World, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Answers]:
    root = tmp_path_factory.mktemp("built")
    test = test_what_is_built_is_what_buildx_builds
    with asked(
        test, BUILDS, _name, lambda case: _both_build(case, world, root / case.name), request
    ) as found:
        yield found


def _both_build(case: Case, world: World, root: Path) -> tuple[dict[str, object], dict[str, object]]:
    words = [word.format(**world.words) for word in case.line.split()]
    answers: list[dict[str, object]] = []
    for name in ("ours", "theirs"):
        out = root / name
        # buildx grants a path that `--set` names only when it is there.
        out.mkdir(parents=True)
        line = ["bake", "--progress=quiet", *words, f"--set=*.output=type=local,dest={out}"]
        if name == "ours":
            done = world.bakehouse.run(*line, cwd=world.cwd, env=_environ(case, world), check=False)
        else:
            environ = world.bakehouse.environ | _environ(case, world)
            done = subprocess.run(
                [str(peer("buildx")), *line],
                cwd=world.cwd,
                env=environ | {"BUILDX_CONFIG": str(world.buildkit.buildx_config)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
        error = _error(done.stderr) if done.returncode else ""
        error = re.sub(r"checksum of ref \S+: ", "checksum of ref REF: ", error)
        answers.append({"code": done.returncode, "error": error, "files": _files(out)})
    return answers[0], answers[1]


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_ours_answers_as_buildx_does(case: Case, answers: Answers) -> None:
    ours, theirs = answers[case.name].result()
    assert ours == theirs
    assert (ours["code"] != 0) == (case.name in _ERRORS)


BUILDS = [
    _case("the-tree", "{web}/p.git root"),
    _case("a-commit", "{git}/p.git#{first} root"),
    _case("a-directory", "{web}/p.git part"),
    _case(
        "a-directory-above",
        "{web}/p.git up --set up.dockerfile=part/Dockerfile --set up.context=../../part/..",
    ),
    _case("a-link-to-a-directory", "{web}/p.git part --set part.context=linked"),
    _case("an-absolute-directory", "{web}/p.git part --set part.context=/part"),
    _case("a-missing-directory", "{web}/p.git part --set part.context=nope"),
    _case("a-missing-dockerfile", "{web}/p.git part --set part.dockerfile=nope"),
    _case("a-subdirectory-of-the-url", "{web}/p.git#:part default"),
    _case("named-contexts", "{web}/p.git joined"),
    _case("named-contexts-of-a-directory", "{web}/p.git joinedpart"),
    _case("a-missing-named-context", "{web}/p.git joinedpart --set joinedpart.contexts.a=nope"),
    _case("the-callers-files", "{web}/p.git inline"),
    _case("two-remotes", "{web}/p.git {web}/p.git#:part inline"),
    _case("two-remotes-and-a-branch", "{web}/p.git {git}/p.git#dev inline"),
    _case("the-callers-dockerfile", "{web}/p.git owndockerfile"),
    _case("the-callers-absent-dockerfile", "{web}/p.git wd"),
    _case("a-file-on-the-web", "{web}/local.hcl own"),
    _case("over-ssh", "{ssh}/p.git part --allow ssh", SSH_AUTH_SOCK="{agent}"),
    _case("over-ssh-without-leave", "{ssh}/p.git root", SSH_AUTH_SOCK="{agent}"),
    _case("a-context-over-ssh", "{web}/p.git {ssh}/p.git#:part inline --allow ssh", SSH_AUTH_SOCK="{agent}"),
    _case("a-private-repository", "{web}/secret.git", BUILDX_BAKE_GIT_AUTH_TOKEN="s3cr3t"),
]


def _files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", BUILDS, ids=_name)
def test_what_is_built_is_what_buildx_builds(case: Case, built: Answers) -> None:
    """Acceptance A15 and A16, and every place that a context of a remote definition can mean."""
    ours, theirs = built[case.name].result()
    assert ours == theirs
    assert bool(ours["files"]) == (ours["code"] == 0)


def test_the_situations_are_many() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 100
