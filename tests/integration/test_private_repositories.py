"""Row C5: repositories that let in only who has a key or a token, and where these never turn up."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakehouse.engine.sources.known_hosts import scan_host_key
from tests.integration.test_bad_input import failure
from tests.support.command import Bakehouse
from tests.support.gitrepos import SampleRepository, commit, git, sample_repository
from tests.support.services import BuildKit
from tests.support.sshserver import SshServer, make_key, running_sshd
from tests.support.web import Answer, WebServer, redirect, running_web_server

TOKEN = "token-8f3a61c2"
COPY_ALL = "FROM scratch\nCOPY . /\n"


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> SampleRepository:
    root = tmp_path_factory.mktemp("repositories")
    return sample_repository(root, str(root / "module.git"))


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with running_web_server(tmp_path_factory.mktemp("web")) as server:
        commit(server.root / "secret.git", {"Dockerfile": COPY_ALL, "f": "private\n"})
        server.accept_token(TOKEN)
        server.authorizations.add("Custom header-55")
        yield server


def names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for temporary files of a build of its own, with a name short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="bkh-") as directory:
        yield Path(directory)


def agents_below(directory: Path) -> list[str]:
    """Sockets below `directory` of agents that builds started and that are still there."""
    found = []
    # Not by a pattern: what matches it may have ended when it is looked at.
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", number, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        found += [os.fsdecode(word) for word in words if word.startswith(bytes(directory / "bakehouse-ssh-"))]
    return found


def told(bakehouse: Bakehouse, *texts: str) -> bytes:
    """Everything that a build wrote down or said."""
    files = [path.read_bytes() for path in (bakehouse.home / "store").rglob("*") if path.is_file()]
    return b"".join(files) + "".join(texts).encode()


def test_key_files(
    offline: Bakehouse, tmp_path: Path, short: Path, ssh: SshServer, repository: SampleRepository
) -> None:
    """An agent of the build's own holds the key, and is gone with the build."""
    url = ssh.url(repository.path) + "#mytag:myfolder"
    done = offline.run(
        *("build", "--progress=plain", "--ssh", f"default={ssh.key}"),
        *("-o", f"type=tar,dest={tmp_path}/o.tar", url),
        env={"TMPDIR": str(short)},
    )
    assert names(tmp_path / "o.tar") == ["folder", "folder/Dockerfile", "folder/b"]
    secret = ssh.key.read_bytes().split(b"\n")[2]
    assert len(secret) > 40
    assert secret not in told(offline, done.stdout, done.stderr)
    assert agents_below(short) == []
    assert list(short.iterdir()) == []


def test_key_files_in_a_bake_file(
    offline: Bakehouse, tmp_path: Path, ssh: SshServer, repository: SampleRepository
) -> None:
    """Two targets with the same keys, relative to the working directory; a public half is not needed."""
    (tmp_path / "key").write_bytes(ssh.key.read_bytes())
    (tmp_path / "key").chmod(0o644)
    make_key(tmp_path / "other", "ecdsa", form="PEM")
    target = {"context": ssh.url(repository.path) + "#mybranch", "ssh": ["default=other,key"]}
    definition = {
        "group": {"default": {"targets": ["one", "two"]}},
        "target": {name: {**target, "output": [f"type=tar,dest={name}.tar"]} for name in ("one", "two")},
    }
    (tmp_path / "docker-bake.json").write_text(json.dumps(definition))
    offline.run("bake", "--allow=ssh", cwd=tmp_path)
    assert "a" in names(tmp_path / "one.tar")
    assert names(tmp_path / "one.tar") == names(tmp_path / "two.tar")


def test_the_agent_of_the_user_needs_no_flag(
    offline: Bakehouse, tmp_path: Path, ssh: SshServer, repository: SampleRepository
) -> None:
    """As with buildx, for a main context that is fetched over SSH."""
    path = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        _until(path.exists)
        environ = os.environ | {"SSH_AUTH_SOCK": str(path)}
        subprocess.run(["ssh-add", "-q", str(ssh.key)], check=True, env=environ)
        offline.run(
            *("build", "-o", f"type=tar,dest={tmp_path}/o.tar", ssh.url(repository.path) + "#mytag"),
            env={"SSH_AUTH_SOCK": str(path)},
        )
    finally:
        agent.terminate()
        agent.wait()
    assert "a" in names(tmp_path / "o.tar")


def test_keys_of_a_step(bakehouse: Bakehouse, tmp_path: Path, ssh: SshServer) -> None:
    """`RUN --mount=type=ssh` sees the keys of the files and cannot take them away."""
    (tmp_path / "ask.py").write_text(
        "import os, socket\n"
        "def ask(kind):\n"
        "    s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK'])\n"
        "    s.sendall(bytes([0, 0, 0, 1, kind])); return s.recv(4096)[4:9].hex()\n"
        "print(ask(11), ask(19), ask(11))\n"
    )
    (tmp_path / "Dockerfile").write_text(
        "FROM python:3.12-slim\nCOPY ask.py /\nRUN --mount=type=ssh,id=mine,required python3 /ask.py > /answer\n"
    )
    bakehouse.run("build", "--ssh", f"mine={ssh.key}", "-o", "out", ".", cwd=tmp_path)
    assert (tmp_path / "out/answer").read_text() == "0c00000001 05 0c00000001\n"


def test_an_agent_does_not_outlive_a_killed_build(
    offline: Bakehouse, tmp_path: Path, short: Path, ssh: SshServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ssh://nobody@127.0.0.1:{silent.getsockname()[1]}/x.git"
        (tmp_path / "Dockerfile").write_text(f"FROM scratch\nADD {url} /\n")
        _kill_with_an_agent(offline, tmp_path, short, ssh)
    # The agent looks every ten seconds whether its companion lives.
    _until(lambda: not agents_below(short), timeout_s=25)


def _kill_with_an_agent(offline: Bakehouse, context: Path, short: Path, ssh: SshServer) -> None:
    process = offline.start("build", "--ssh", f"default={ssh.key}", str(context), env={"TMPDIR": str(short)})
    try:
        _until(lambda: agents_below(short))
    finally:
        process.kill()
        process.communicate()


def _until(ready: object, timeout_s: float = 60) -> None:
    assert callable(ready)
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.peer
def test_what_is_wrong_with_keys(
    offline: Bakehouse, buildkit: BuildKit, tmp_path: Path, ssh: SshServer, repository: SampleRepository
) -> None:
    """In buildx's words."""
    make_key(tmp_path / "locked", "ed25519", passphrase="secret words")
    (tmp_path / "text").write_text("no key\n")
    url = ssh.url(repository.path)
    for arguments in (
        ("--ssh", "default=locked"),
        ("--ssh", "default=text"),
        ("--ssh", "default=nowhere"),
        (),
    ):
        ours = failure(offline.run("build", *arguments, url, cwd=tmp_path, check=False))
        theirs = buildkit.buildx("build", *arguments, url, cwd=tmp_path).stderr
        assert _error(ours) == _error(theirs)
        assert "secret words" not in ours


def _error(stderr: str) -> str:
    text = stderr[stderr.rindex("ERROR: ") :].splitlines()[0]
    return text.replace("failed to build: ", "")


def test_the_wrong_key(
    offline: Bakehouse, tmp_path: Path, ssh: SshServer, repository: SampleRepository
) -> None:
    make_key(tmp_path / "other", "ed25519")
    arguments = ("--ssh", f"default={tmp_path}/other", ssh.url(repository.path))
    text = failure(offline.run("build", *arguments, check=False))
    assert "Permission denied (publickey)" in text


def test_host_keys_are_those_that_go_would_see(ssh: SshServer) -> None:
    """BuildKit scans the server's key with Go's SSH client, which prefers ECDSA."""
    kind = "ecdsa-sha2-nistp256"
    expected = f"[127.0.0.1]:{ssh.port} {kind} {ssh.host_keys[kind]}"
    assert scan_host_key(f"127.0.0.1:{ssh.port}") == expected
    assert scan_host_key("127.0.0.1:1") == ""
    assert scan_host_key("-oProxyCommand=x") == ""


@pytest.mark.peer
def test_buildkit_sees_the_same_host_key(
    buildkit: BuildKit,
    tmp_path: Path,
    ssh: SshServer,
    repository: SampleRepository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The key in BuildKit's graph, as its provenance tells it, is the one of ours: same graph, same cache keys."""
    metadata = tmp_path / "metadata.json"
    monkeypatch.setenv("BUILDX_METADATA_PROVENANCE", "max")
    done = buildkit.buildx(
        *("build", "--provenance=mode=max", "--metadata-file", str(metadata), "-o", "type=cacheonly"),
        *("--ssh", f"default={ssh.key}", ssh.url(repository.path) + "#mytag"),
    )
    assert done.returncode == 0, done.stderr
    found = re.findall(r'"git\.knownsshhosts": "([^"]*)"', metadata.read_text())
    assert set(found) == {scan_host_key(f"127.0.0.1:{ssh.port}")}


# -- tokens -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_AUTH_TOKEN", TOKEN),
        ("GIT_AUTH_TOKEN.{host}", TOKEN),
        ("GIT_AUTH_HEADER", "Custom header-55"),
        ("GIT_AUTH_HEADER.{host}", "Custom header-55"),
    ],
)
def test_tokens(offline: Bakehouse, tmp_path: Path, web: WebServer, name: str, value: str) -> None:
    """The secret opens the repository, and is in no layer, cache key, log or message."""
    id = name.replace("{host}", web.host)
    url = web.url("private/secret.git")
    done = offline.run(
        *("build", "--progress=plain", "--secret", f"id={id},env=THE_TOKEN"),
        *("-o", f"type=tar,dest={tmp_path}/o.tar", url),
        env={"THE_TOKEN": value},
    )
    assert "f" in names(tmp_path / "o.tar")
    everything = told(offline, done.stdout, done.stderr) + (tmp_path / "o.tar").read_bytes()
    assert value.encode() not in everything
    assert b"eC1hY2Nlc3MtdG9rZW46" not in everything


def test_without_a_token_or_with_a_wrong_one(offline: Bakehouse, web: WebServer) -> None:
    url = web.url("private/secret.git")
    text = failure(offline.run("build", url, check=False))
    assert "could not read Username" in text
    assert "GIT_AUTH_TOKEN" in text.split("hint:")[1]
    wrong = ("--secret", "id=GIT_AUTH_TOKEN,env=T")
    text = failure(offline.run("build", *wrong, url, check=False, env={"T": "wrong-token-77"}))
    assert "fatal: " in text
    assert "wrong-token-77" not in text


def test_a_password_in_the_address_is_not_shown(offline: Bakehouse, web: WebServer) -> None:
    url = f"http://me:pass-99@{web.host}/private/secret.git"
    text = failure(offline.run("build", "--progress=plain", url, check=False))
    assert b"pass-99" not in told(offline, text)
    assert "http://me:xxxxx@" in text


def test_a_login_in_the_address_opens_the_repository_and_is_no_argument(
    offline: Bakehouse, tmp_path: Path, web: WebServer
) -> None:
    """Arguments of processes can be read by every user of the machine. The submodule has a relative address."""
    real, programs, seen = shutil.which("git"), tmp_path / "programs", tmp_path / "seen"
    programs.mkdir()
    for name in ("git", "sh"):
        program = programs / name
        program.write_text(f'#!/bin/bash\necho "$0 $*" >> {seen}\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)
    assert real is not None
    web.authorizations.add("Basic " + base64.b64encode(b"some@one:pass:word-31").decode())
    with_submodule = commit(web.root / "outer.git", {"Dockerfile": COPY_ALL})
    (web.root / "outer.git/.gitmodules").write_text('[submodule "m"]\n\tpath = m\n\turl = ../secret.git\n')
    module = git(web.root / "secret.git", "rev-parse", "HEAD")
    git(web.root / "outer.git", "update-index", "--add", "--cacheinfo", f"160000,{module},m")
    (web.root / "outer.git/m").mkdir()
    assert commit(web.root / "outer.git", {}) != with_submodule
    done = offline.run(
        *("build", "--progress=plain", "-o", f"type=tar,dest={tmp_path}/o.tar"),
        f"http://some%40one:pass%3Aword-31@{web.host}/private/outer.git",
        env={"PATH": f"{programs}:{os.environ['PATH']}"},
    )
    assert "m/f" in names(tmp_path / "o.tar")
    arguments = seen.read_text()
    assert f"ls-remote -- http://{web.host}/private/outer.git" in arguments
    for text in (arguments, told(offline, done.stdout, done.stderr).decode("latin-1")):
        assert "word-31" not in text


def test_a_login_goes_to_no_other_host(
    offline: Bakehouse, web: WebServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Not by a redirect, and not by a submodule elsewhere."""
    asking = Answer(b"no", 401, {"WWW-Authenticate": 'Basic realm="elsewhere"'})
    with running_web_server(tmp_path_factory.mktemp("elsewhere")) as elsewhere:
        target = f"http://localhost:{elsewhere.host.rpartition(':')[2]}/r.git"
        query = "?service=git-upload-pack"
        elsewhere.answers[f"/r.git/info/refs{query}"] = asking
        web.answers[f"/away.git/info/refs{query}"] = redirect(f"{target}/info/refs{query}")
        failure(offline.run("build", f"http://me:pass-98@{web.host}/away.git", check=False))
        assert elsewhere.requests
        before = len(elsewhere.requests)
        commit(web.root / "linked.git", {"Dockerfile": COPY_ALL})
        (web.root / "linked.git/.gitmodules").write_text(f'[submodule "m"]\n\tpath = m\n\turl = {target}\n')
        some_commit = git(web.root / "linked.git", "rev-parse", "HEAD")
        git(web.root / "linked.git", "update-index", "--add", "--cacheinfo", f"160000,{some_commit},m")
        (web.root / "linked.git/m").mkdir()
        commit(web.root / "linked.git", {})
        failure(offline.run("build", f"http://me:pass-98@{web.host}/git/linked.git", check=False))
        assert len(elsewhere.requests) > before
        assert all("authorization" not in request.headers for request in elsewhere.requests)


def test_a_token_goes_to_no_other_host(
    offline: Bakehouse, tmp_path: Path, web: WebServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A redirect of git's is refused then; that of a download is followed without the token."""
    with running_web_server(tmp_path_factory.mktemp("elsewhere")) as elsewhere:
        commit(elsewhere.root / "r.git", {"Dockerfile": COPY_ALL})
        query = "?service=git-upload-pack"
        for path in (f"/moved.git/info/refs{query}", "/moved.git/HEAD", "/moved.tar"):
            target = f"http://localhost:{elsewhere.host.rpartition(':')[2]}/git/r.git{path[10:]}"
            web.answers[path] = redirect(target)
        secrets = (
            *("--secret", "id=GIT_AUTH_TOKEN,env=T", "--secret", "id=HTTP_AUTH_TOKEN_127.0.0.1,env=T"),
        )
        text = failure(offline.run("build", *secrets, web.url("moved.git"), check=False, env={"T": TOKEN}))
        assert "which the credential is not for" in text
        assert elsewhere.requests == []
        offline.run("build", *secrets, web.url("moved.tar"), check=False, env={"T": TOKEN})
        assert elsewhere.requests
        assert all("authorization" not in request.headers for request in elsewhere.requests)
        assert any("authorization" in request.headers for request in web.asked("/moved.git"))
