"""Remote definitions without a peer: archives, credentials, hostile servers and trees. What buildx answers too is
compared in `tests/differential/test_remote_bake.py`; here is what it cannot answer, and what nobody may learn."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Bakehouse, Terminal
from tests.support.gitrepos import git
from tests.support.web import Answer, WebServer, redirect, running_web_server

_SECRET = "s3cr3t-w0rd"
_DEFINITION = b"""\
target "default" {
  args = { where = BAKE_CMD_CONTEXT }
}
target "part" { context = "part" }
target "own" { context = "cwd://" }
"""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    with running_web_server(tmp_path / "web") as server:
        yield server


@pytest.fixture
def other(tmp_path: Path) -> Iterator[WebServer]:
    """Another host: another name, another port."""
    with running_web_server(tmp_path / "other", "127.0.0.2") as server:
        yield server


def printed(command: Bakehouse, *arguments: str, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(command.run("bake", "--print", *arguments, **options).stdout)[
        "target"
    ]
    return answer


def refused(command: Bakehouse, *arguments: str, **options: Any) -> str:
    done = command.run("bake", "--print", *arguments, check=False, **options)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    return done.stderr


def tar_of(members: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """A tar of files by name; a `TarInfo` is taken as it is."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def _zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


_PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar.zst": _zstd,
}


# -- archives ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", _PACKERS)
def test_an_archive_is_unpacked_and_searched(suffix: str, web: WebServer, offline: Bakehouse) -> None:
    """buildx means to, and fails."""
    content = tar_of({"docker-bake.hcl": _DEFINITION, "part/more.json": b'{"target": {"more": {}}}'})
    web.serve(f"/a.{suffix}", _PACKERS[suffix](content))
    url = f"{web.url()}/a.{suffix}"
    targets = printed(offline, url, "default", "part", "own")
    assert targets["default"] == {"context": url, "dockerfile": "Dockerfile", "args": {"where": "cwd://"}}
    assert targets["part"]["context"] == f"{url}#:part"
    assert targets["own"]["context"] == "."
    assert printed(offline, url, "-f", "part/more.json", "more")["more"]["context"] == url


def test_an_archive_is_known_by_its_content(web: WebServer, offline: Bakehouse) -> None:
    web.serve("/download.hcl", gzip.compress(tar_of({"docker-bake.json": b'{"target": {"default": {}}}'})))
    assert printed(offline, f"{web.url()}/download.hcl?id=1")["default"]["dockerfile"] == "Dockerfile"


def test_an_archive_without_a_definition_says_so(web: WebServer, offline: Bakehouse) -> None:
    web.serve("/a.tar", tar_of({"README": b"x"}))
    said = refused(offline, f"{web.url()}/a.tar")
    assert "ERROR: couldn't find a bake definition" in said
    assert "/a.tar holds none of the default files" in said
    said = refused(offline, f"{web.url()}/a.tar", "-f", "x.hcl")
    assert "ERROR: failed to solve: lstat x.hcl: no such file or directory" in said


def test_what_an_archive_names_lies_beneath_its_root(
    web: WebServer, offline: Bakehouse, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.hcl"
    outside.write_text('target "default" { args = { stolen = "yes" } }\n')
    members = {
        "link.hcl": link("link.hcl", str(outside)),
        "up.hcl": link("up.hcl", "../" * 12 + str(outside)),
        "dir": link("dir", str(tmp_path)),
        "../escaped.hcl": b'target "default" {}\n',
        "pipe.hcl": link("pipe.hcl", "", tarfile.FIFOTYPE),
    }
    web.serve("/a.tar", tar_of(members))
    for name in ("link.hcl", "up.hcl", "dir/outside.hcl", f"../../../..{outside}"):
        assert "no such file or directory" in refused(offline, f"{web.url()}/a.tar", "-f", name)
    assert "open pipe.hcl: not a regular file" in refused(offline, f"{web.url()}/a.tar", "-f", "pipe.hcl")
    assert not list(tmp_path.rglob("escaped.hcl")) or all(
        offline.home in path.parents for path in tmp_path.rglob("escaped.hcl")
    )


def test_an_archive_bomb_is_refused_before_it_is_unpacked(web: WebServer, offline: Bakehouse) -> None:
    huge = tarfile.TarInfo("zeros")
    huge.size = 1 << 40
    web.serve("/bomb.tar.gz", gzip.compress(huge.tobuf() + bytes(1 << 20)))
    started = time.monotonic()
    said = refused(offline, f"{web.url()}/bomb.tar.gz")
    assert "invalid tar archive" in said
    assert time.monotonic() - started < 30
    web.serve("/torn.tar.gz", gzip.compress(tar_of({"docker-bake.hcl": _DEFINITION}))[:-20])
    assert "ERROR: failed to solve: " in refused(offline, f"{web.url()}/torn.tar.gz")


# -- single files -----------------------------------------------------------------------------------------------------


def test_a_file_is_read_whole(web: WebServer, offline: Bakehouse, tmp_path: Path) -> None:
    """buildx takes the first 1024 bytes of it."""
    comment = b"# " + b"x" * 2_000_000 + b"\n"
    web.serve("/long.hcl", comment + b'target "default" { args = { a = "end" } }\n')
    assert printed(offline, f"{web.url()}/long.hcl")["default"]["args"] == {"a": "end"}


def test_a_file_above_two_mebibytes_is_refused(web: WebServer, offline: Bakehouse) -> None:
    web.serve("/huge.hcl", b"# " + b"x" * (3 << 20) + b'\ntarget "default" {}\n')
    said = refused(offline, f"{web.url()}/huge.hcl")
    assert "non-archive definition URL bigger than maximum allowed size (2.097MB)" in said
    assert "hint: " in said


def test_a_wrong_file_is_shown_with_its_address_and_lines(web: WebServer, offline: Bakehouse) -> None:
    web.serve("/wrong.hcl", b'target "default" {\n  tags = [zz]\n}\n')
    said = refused(offline, f"{web.url()}/wrong.hcl")
    assert "   2 | >>>   tags = [zz]" in said
    assert f"ERROR: {web.url()}/wrong.hcl:2,11-13: Unknown variable" in said


def test_errors_of_a_web_server_are_told(web: WebServer, offline: Bakehouse) -> None:
    web.answers["/broken.hcl"] = Answer(b"oops", 500)
    web.answers["/round.hcl"] = redirect(f"{web.url()}/round.hcl", 302)
    said = refused(offline, f"{web.url()}/broken.hcl")
    assert "ERROR: failed to solve: failed to load cache key: invalid response status 500" in said
    assert f"hint: The server answered so for {web.url()}/broken.hcl." in said
    assert "ERROR: failed to solve: " in refused(offline, f"{web.url()}/round.hcl")
    said = refused(offline, "http://127.0.0.1:1/b.hcl")
    assert "ERROR: failed to solve: failed to load cache key: cannot fetch http://127.0.0.1:1/b.hcl" in said


def test_a_silent_server_is_waited_for_until_one_interrupts(web: WebServer, offline: Bakehouse) -> None:
    web.slow["/slow.hcl"] = 20
    web.slow["/slow.git/info/refs"] = 20
    web.serve("/slow.hcl", b"")
    for name in ("slow.hcl", "slow.git"):
        running = offline.start("bake", "--print", f"{web.url()}/{name}")
        deadline = time.monotonic() + 30
        while not any(name in request.path for request in web.requests):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        output, messages = running.communicate(timeout=15)
        assert running.returncode == 130
        assert output == b""
        assert b"Canceled" in messages


# -- repositories -----------------------------------------------------------------------------------------------------


def test_what_is_wrong_with_a_repository_is_told(web: WebServer, offline: Bakehouse) -> None:
    """buildx only says that there is no definition, unless -f names one."""
    web.repository("empty.git")
    project = web.repository("p.git")
    project.commit({"docker-bake.hcl": _DEFINITION})
    for url, expected in (
        ("missing.git", "not found"),
        ("empty.git", "could not find default branch for repository"),
        ("p.git#main:nope", 'invalid subdir nope: failed to lstat "nope"'),
        ("p.git#" + "a" * 40, "a" * 40),
    ):
        said = refused(offline, f"{web.url()}/{url}")
        assert "ERROR: failed to solve: " in said
        assert expected in said


def test_a_tree_is_fetched_once(web: WebServer, offline: Bakehouse) -> None:
    web.repository("p.git").commit({"docker-bake.hcl": _DEFINITION})
    printed(offline, f"{web.url()}/p.git")
    web.requests.clear()
    printed(offline, f"{web.url()}/p.git")
    # What a branch points to is asked for each time, its files only once.
    assert not any("fetch" in request.path for request in web.requests)
    assert len(offline.run("bake", "--print", "--progress=plain", f"{web.url()}/p.git").stderr) < 2000


def test_a_dockerfile_of_the_caller_serves_a_directory_of_the_tree(
    web: WebServer, offline: Bakehouse, tmp_path: Path
) -> None:
    """buildx looks for it inside the directory of the tree."""
    web.repository("p.git").commit({"docker-bake.hcl": _DEFINITION, "part/a": "from the tree"})
    (tmp_path / "cwd").mkdir()
    (tmp_path / "cwd" / "Mine").write_text("FROM scratch\nCOPY a /\n")
    line = ["bake", f"{web.url()}/p.git", "part", "--set=part.dockerfile=cwd://Mine"]
    offline.run(*line, "--set=part.output=out", cwd=tmp_path / "cwd")
    assert (tmp_path / "cwd" / "out" / "a").read_text() == "from the tree"


def test_an_archive_is_built(web: WebServer, offline: Bakehouse, tmp_path: Path) -> None:
    members = {"docker-bake.hcl": _DEFINITION, "Dockerfile": b"FROM scratch\nCOPY Dockerfile /\n"}
    packed = gzip.compress(
        tar_of({**members, "part/Dockerfile": b"FROM scratch\nCOPY . /\n", "part/a": b"x"})
    )
    web.serve("/a.tar.gz", packed)
    sets = ["--set=default.output=out", "--set=part.output=part"]
    offline.run("bake", f"{web.url()}/a.tar.gz", "default", "part", *sets, cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["Dockerfile"]
    assert sorted(path.name for path in (tmp_path / "part").iterdir()) == ["Dockerfile", "a"]


def test_a_definition_and_its_contexts_are_of_one_commit(
    web: WebServer, offline: Bakehouse, tmp_path: Path
) -> None:
    """A branch is looked up once a command, however many targets use it."""
    project = web.repository("p.git")
    project.commit({"docker-bake.hcl": _DEFINITION, "Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    project.commit({"part/Dockerfile": "FROM scratch\nCOPY . /\n"})
    web.requests.clear()
    sets = ["--set=default.output=out", "--set=part.output=part", "--set=part.contexts.x=part"]
    offline.run("bake", f"{web.url()}/p.git", "default", "part", *sets, cwd=tmp_path)
    asked = [request for request in web.requests if request.path.endswith("service=git-upload-pack")]
    # The default branch, its commit, the files.
    assert len(asked) == 3


# -- credentials ------------------------------------------------------------------------------------------------------


def nothing_shows(command: Bakehouse, *words: str) -> Callable[[subprocess.CompletedProcess[str]], None]:
    """A check that a run has not printed any of `words`, and that the store does not hold them."""

    def check(done: subprocess.CompletedProcess[str]) -> None:
        for word in words:
            assert word not in done.stdout + done.stderr
            found = subprocess.run(["grep", "-r", "-l", "--", word, str(command.home)], capture_output=True)
            assert found.stdout == b""

    return check


@pytest.mark.parametrize("progress", ["plain", "rawjson", "quiet"])
def test_credentials_show_nowhere(progress: str, web: WebServer, offline: Bakehouse) -> None:
    web.repository("private.git", password=_SECRET).commit({"docker-bake.hcl": _DEFINITION})
    check = nothing_shows(offline, _SECRET)
    url = f"{web.url()}/private.git"
    for variable, value in (
        ("TOKEN", _SECRET),
        ("HEADER", f"Bearer {_SECRET}"),
        ("TOKEN", f"wrong-{_SECRET}"),
    ):
        env = {f"BUILDX_BAKE_GIT_AUTH_{variable}": value}
        done = offline.run("-D", "bake", "--print", f"--progress={progress}", url, env=env, check=False)
        assert done.returncode == (1 if value.startswith("wrong") else 0), done.stderr
        check(done)
    assert any(request.authorization == f"Bearer {_SECRET}" for request in web.requests)


def test_a_password_in_the_address_is_used_and_not_shown(web: WebServer, offline: Bakehouse) -> None:
    url = f"http://joe:{_SECRET}@{web.host}"
    web.serve("/b.hcl", b'target "default" {}\n')
    web.repository("p.git").commit({"docker-bake.hcl": _DEFINITION})
    done = offline.run("bake", "--print", "--progress=plain", f"{url}/b.hcl")
    assert _SECRET not in done.stderr
    assert web.requests[-1].authorization.startswith("Basic ")
    done = offline.run("bake", "--print", "--progress=plain", f"{url}/p.git")
    assert f"load git source http://joe:xxxxx@{web.host}/p.git" in done.stderr
    assert _SECRET not in done.stderr
    for name in ("missing.git", "missing.hcl", "p.git#nope"):
        assert _SECRET not in refused(offline, f"{url}/{name}", "--progress=plain")


def test_credentials_go_to_no_other_host(web: WebServer, other: WebServer, offline: Bakehouse) -> None:
    """git itself would send the header of the first host along to where it was sent."""
    other.repository("p.git").commit({"docker-bake.hcl": _DEFINITION})
    web.answers["/p.git/info/refs"] = redirect(f"{other.url()}/p.git/info/refs?service=git-upload-pack", 302)
    web.answers["/b.hcl"] = redirect(f"{other.url()}/b.hcl", 302)
    other.serve("/b.hcl", b'target "default" {}\n')
    env = {"BUILDX_BAKE_GIT_AUTH_TOKEN": _SECRET}
    said = refused(offline, f"{web.url()}/p.git", env=env)
    assert f"redirects to {other.host}, which the credential is not for" in said
    assert f"{other.url()}/p.git" in said
    printed(offline, f"http://joe:{_SECRET}@{web.host}/b.hcl", env=env)
    assert other.requests
    assert {request.authorization for request in other.requests} == {""}
    # Without a credential nothing keeps git from going where it is sent.
    assert printed(offline, f"{web.url()}/p.git")["default"]["context"] == f"{web.url()}/p.git"


def test_contexts_of_the_same_host_get_the_credential_and_others_do_not(
    web: WebServer, other: WebServer, offline: Bakehouse, tmp_path: Path
) -> None:
    definition = (
        'target "default" {\n  context = BAKE_CMD_CONTEXT\n  contexts = { x = "." }\n  output = ["out"]\n}\n'
    )
    dockerfile = "FROM scratch\nCOPY --from=x docker-bake.hcl /\nCOPY . /\n"
    web.repository("private.git", password=_SECRET).commit({"docker-bake.hcl": definition})
    web.repository("app.git", password=_SECRET).commit({"Dockerfile": dockerfile, "a": "x"})
    other.repository("app.git").commit({"Dockerfile": dockerfile, "b": "x"})
    other.repository("private.git", password=_SECRET).commit({"Dockerfile": dockerfile})
    env = {"BUILDX_BAKE_GIT_AUTH_TOKEN": _SECRET}
    url = f"{web.url()}/private.git"
    offline.run("bake", url, f"{web.url()}/app.git", cwd=tmp_path, env=env)
    assert (tmp_path / "out" / "a").exists()
    # Nor does the named context, which is private itself, lend it to the main one.
    done = offline.run("bake", url, f"{other.url()}/private.git", cwd=tmp_path, env=env, check=False)
    assert "could not read Username" in done.stderr
    offline.run("bake", url, f"{other.url()}/app.git", cwd=tmp_path, env=env, check=False)
    assert other.requests
    assert {request.authorization for request in other.requests} == {""}


def test_credentials_follow_a_repository_that_moved_on_its_host(web: WebServer, offline: Bakehouse) -> None:
    web.repository("new.git", password=_SECRET).commit({"docker-bake.hcl": _DEFINITION})
    web.answers["/old.git/info/refs"] = redirect(
        f"{web.url()}/new.git/info/refs?service=git-upload-pack", 301
    )
    env = {"BUILDX_BAKE_GIT_AUTH_TOKEN": _SECRET}
    url = f"{web.url()}/old.git"
    assert printed(offline, url, env=env)["default"]["context"] == url


def test_submodules_of_other_hosts_get_no_credential(
    web: WebServer, other: WebServer, offline: Bakehouse, tmp_path: Path
) -> None:
    module = other.repository("module.git")
    module.commit({"docker-bake.hcl": b'target "default" {}\n'})
    outer = web.repository("outer.git", password=_SECRET)
    git(outer.work, "submodule", "add", "--quiet", str(module.bare), "sub")
    (outer.work / ".gitmodules").write_text(
        f'[submodule "sub"]\n\tpath = sub\n\turl = {other.url()}/module.git\n'
    )
    outer.commit({})
    env = {"BUILDX_BAKE_GIT_AUTH_TOKEN": _SECRET}
    printed(offline, f"{web.url()}/outer.git", "-f", "sub/docker-bake.hcl", env=env)
    assert other.requests
    assert {request.authorization for request in other.requests} == {""}


# -- the terminal -----------------------------------------------------------------------------------------------------


def test_one_is_asked_between_fetching_and_building(
    web: WebServer, offline: Bakehouse, tmp_path: Path
) -> None:
    """The display gives the terminal up for the question, and begins anew behind it."""
    definition = 'target "default" {\n  secret = ["id=x,src=/etc/hostname"]\n  output = ["out"]\n}\n'
    web.repository("p.git").commit({"docker-bake.hcl": definition, "Dockerfile": "FROM scratch\nCOPY . /\n"})
    (tmp_path / "cwd").mkdir()
    window = Terminal(offline, tmp_path, 100, 40, {})
    try:
        line = f"cd {tmp_path / 'cwd'} && bakehouse bake {web.url()}/p.git; echo code=$?"
        window.type(line)
        asked = window.wait_for(r"continue\? \[y/N\] ?$")
        assert re.search(r"^\[\+\] Building \d+\.\ds \(1/1\) FINISHED", asked, re.MULTILINE), asked
        assert " - Read access to path /etc/hostname" in asked
        assert "remote-definitions" not in asked
        assert window.cursor_is_visible()
        window.type("n")
        assert "ERROR: additional privileges requested" in window.wait_for("code=1")
        assert not (tmp_path / "cwd" / "out").exists()
        window.type("clear; " + line)
        window.wait_for(r"continue\? \[y/N\] ?$")
        window.type("y")
        done = window.wait_for("code=0")
        assert "exporting to client directory" in done.partition("[y/N]")[2]
        assert (tmp_path / "cwd" / "out" / "docker-bake.hcl").read_text() == definition
    finally:
        window.close()
