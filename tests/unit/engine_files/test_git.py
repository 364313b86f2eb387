"""git sources against `git daemon` and local repositories on loopback."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.gitrepos import GIT_ENVIRONMENT, commit, git
from tests.support.web import running_web_server
from tests.unit.engine_files.engine import small_engine
from tests.unit.engine_files.trees import run_context

from bakehouse.engine.sources.git import GitReference
from bakehouse.engine.sources.git_command import Git, GitAccess, git_access
from bakehouse.errors import DefinitionError, IntegrityError, NotFoundError
from bakehouse.llb.ops import Edge, SourceOp, Vertex
from bakehouse.session import Secret, Session
from bakehouse.store import PrunePolicy, Store


@dataclass
class Remote:
    url: str
    first: str
    second: str
    tag_object: str


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    base = tmp_path_factory.mktemp("git")
    module = base / "module"
    module.mkdir()
    git(module, "init")
    (module / "inner").write_text("inner")
    git(module, "add", ".")
    git(module, "commit", "-m", "m")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    repository = base / "repo"
    repository.mkdir()
    git(repository, "init")
    (repository / "f").write_text("one")
    (repository / "run.sh").write_text("#!/bin/sh")
    os.chmod(repository / "run.sh", 0o755)
    (repository / "sub").mkdir()
    (repository / "sub/g").write_text("g")
    os.symlink("sub", repository / "link")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "1")
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "-a", "v1", "-m", "tag")
    (repository / "f").write_text("two")
    (repository / ".gitmodules").write_text(
        f'[submodule "m"]\n\tpath = m\n\turl = git://127.0.0.1:{port}/module\n'
    )
    git(repository, "add", ".")
    module_commit = git(module, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{module_commit},m")
    git(repository, "commit", "-m", "2")
    second = git(repository, "rev-parse", "HEAD")
    for path in (repository, module):
        git(path, "config", "uploadpack.allowAnySHA1InWant", "true")
    daemon = subprocess.Popen(
        [
            "git",
            "daemon",
            "--export-all",
            f"--base-path={base}",
            "--listen=127.0.0.1",
            f"--port={port}",
            "--reuseaddr",
        ],
        env=GIT_ENVIRONMENT
        | {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        tag = git(repository, "rev-parse", "v1")
        yield Remote(f"git://127.0.0.1:{port}/repo", first, second, tag)
    finally:
        daemon.terminate()
        daemon.wait()


def source(remote: Remote, fragment: str = "", **attrs: str) -> Edge:
    given = {f"git.{name}": value for name, value in attrs.items()} | {"git.fullurl": remote.url}
    address = remote.url.removeprefix("git://")
    return Edge(Vertex(SourceOp(f"git://{address}{'#' + fragment if fragment else ''}", given)))


def files(root: Path) -> dict[str, str]:
    found = {}
    for directory, names, regular in os.walk(root):
        names[:] = [name for name in names if name != ".git"]
        for name in regular:
            path = Path(directory) / name
            if name != ".git":
                found[str(path.relative_to(root))] = path.read_text()
    return found


def test_default_branch_with_submodules(tmp_path: Path, remote: Remote) -> None:
    edge = source(remote)
    with small_engine(tmp_path) as engine:
        with engine.run(edge).mounted() as root:
            found = files(root)
            assert (found["f"], found["m/inner"], found["sub/g"]) == ("two", "inner", "g")
            assert os.readlink(root / "link") == "sub"
            assert not (root / ".git").exists()
            assert os.stat(root / "run.sh").st_mode & 0o777 == 0o755
            assert os.stat(root / "f").st_mode & 0o777 == 0o644
        expected = hashlib.sha256(f"buildkit.source.v0:{remote.second}".encode()).hexdigest()
        assert engine.keys[edge.vertex.digest] == f"sha256:{expected}"


@pytest.mark.parametrize("name", ["v1", "refs/tags/v1", "COMMIT"])
def test_tag_and_commit(tmp_path: Path, remote: Remote, name: str) -> None:
    edge = source(remote, remote.first if name == "COMMIT" else name, checksum=remote.first[:10])
    with small_engine(tmp_path) as engine:
        with engine.run(edge).mounted() as root:
            assert files(root)["f"] == "one"
        expected = hashlib.sha256(f"buildkit.source.v0:{remote.first}".encode()).hexdigest()
        assert engine.keys[edge.vertex.digest] == f"sha256:{expected}"


def test_subdirectory(tmp_path: Path, remote: Remote) -> None:
    with small_engine(tmp_path) as engine:
        with engine.run(source(remote, "main:sub")).mounted() as root:
            assert sorted(os.listdir(root)) == ["g"]
        with pytest.raises(NotFoundError, match='invalid subdir nosub: failed to lstat "nosub"'):
            engine.run(source(remote, "main:nosub"))
        with pytest.raises(DefinitionError, match="contains non-directory"):
            engine.run(source(remote, "main:link"))


def test_git_directory_is_kept_when_asked(tmp_path: Path, remote: Remote) -> None:
    with small_engine(tmp_path) as engine:
        edge = source(remote, "v1", keepgitdir="true")
        with engine.run(edge).mounted() as root:
            assert git(root, "-c", "safe.directory=*", "rev-parse", "HEAD") == remote.first
            assert git(root, "-c", "safe.directory=*", "status", "--porcelain") == ""
            assert git(root, "-c", "safe.directory=*", "remote", "get-url", "origin") == remote.url
        key = f"buildkit.source.v0:{remote.tag_object}.git#refs/tags/v1"
        assert engine.keys[edge.vertex.digest] == "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def test_a_server_that_knows_nothing_of_git_gives_whole_histories(tmp_path: Path) -> None:
    """It hands out files, so that nothing can be left out; BuildKit asks it again without a depth."""
    with running_web_server(tmp_path / "web") as web:
        names = ("repo", "module")
        module = commit(web.root / "module.git", {"inner": "inner"})
        first = commit(web.root / "repo.git", {"f": "one"})
        git(web.root / "repo.git", "tag", "v1")
        (web.root / "repo.git/.gitmodules").write_text('[submodule "m"]\n\tpath = m\n\turl = ../module.git\n')
        git(web.root / "repo.git", "update-index", "--add", "--cacheinfo", f"160000,{module},m")
        (web.root / "repo.git/m").mkdir()
        last = commit(web.root / "repo.git", {"f": "two"})
        for name in names:
            git(web.root / f"{name}.git", "update-server-info")
        remote = Remote(web.url("files/repo.git"), first, last, "")
        with small_engine(tmp_path / "store") as engine:
            with engine.run(source(remote)).mounted() as root:
                assert files(root) == {
                    "f": "two",
                    "m/inner": "inner",
                    ".gitmodules": '[submodule "m"]\n\tpath = m\n\turl = ../module.git\n',
                }
            for fragment in ("v1", first):
                with engine.run(source(remote, fragment)).mounted() as root:
                    assert files(root) == {"f": "one"}
            with engine.run(source(remote, "v1", keepgitdir="true")).mounted() as root:
                assert git(root, "-c", "safe.directory=*", "rev-parse", "HEAD") == first
            with pytest.raises(NotFoundError, match="commit can not be found in the repository"):
                engine.run(source(remote, "f" * 40))


def test_commit_times_and_skipped_submodules(tmp_path: Path, remote: Remote) -> None:
    with small_engine(tmp_path) as engine:
        with engine.run(source(remote, mtime="commit", skipsubmodules="true")).mounted() as root:
            assert os.stat(root / "f").st_mtime == 1_500_000_000
            assert os.lstat(root / "link").st_mtime == 1_500_000_000
            assert not (root / "m/inner").exists()


def test_checkout_is_made_once(tmp_path: Path, remote: Remote) -> None:
    chains = []
    for _ in range(2):
        with small_engine(tmp_path) as engine:
            chains.append(engine.run(source(remote, "v1")).chain())
    assert chains[0] == chains[1]


def test_repository_and_checkout_are_pruned_when_nobody_uses_them(tmp_path: Path, remote: Remote) -> None:
    policy = PrunePolicy(all=True, filters=("type==source.git.checkout",))
    with small_engine(tmp_path) as engine:
        engine.run(source(remote, "v1"))
        assert sorted((record.kind, record.in_use) for record in engine.context.store.usage()) == [
            ("layer", True),
            ("mount", True),
        ]
        with Store.open(tmp_path) as other:
            assert other.prune(policy) == []
    with Store.open(tmp_path) as other:
        assert sorted(record.kind for record in other.prune(policy)) == ["layer", "mount"]
        assert os.listdir(other.path("git")) == []
    with small_engine(tmp_path) as engine, engine.run(source(remote, "v1")).mounted() as root:
        assert files(root)


def test_errors(tmp_path: Path, remote: Remote) -> None:
    with small_engine(tmp_path) as engine:
        with pytest.raises(NotFoundError, match='repository does not contain ref ad7b625, output: ""'):
            engine.run(source(remote, "ad7b625"))
        with pytest.raises(IntegrityError, match=f"expected checksum to match abc, got {remote.second}"):
            engine.run(source(remote, checksum="abc"))
        with pytest.raises(DefinitionError, match="expected hex commit hash"):
            engine.run(source(remote, checksum="xyz"))
        with pytest.raises(DefinitionError, match="git stderr"):
            engine.run(source(Remote(remote.url + "-missing", "", "", "")))


@pytest.mark.parametrize("reference", ["--upload-pack=touch x", "-x"])
def test_options_in_disguise_are_refused(reference: str) -> None:
    with pytest.raises(DefinitionError, match="invalid git reference"):
        GitReference.of(SourceOp(f"git://example.com/r#{reference}")).check()
    with pytest.raises(DefinitionError, match="invalid git reference"):
        GitReference.of(SourceOp("git://x", {"git.fullurl": f"{reference}@h:p"})).check()


def test_secrets_in_buildkits_order_and_never_as_arguments() -> None:
    attrs = {"git.authtokensecret": "GIT_AUTH_TOKEN", "git.authheadersecret": "GIT_AUTH_HEADER"}
    token = Secret("t", value=b"tok")
    session = Session(secrets={"GIT_AUTH_TOKEN": token})
    with git_access(attrs, "https://example.com/r.git", session) as access:
        assert access.authorization == "basic eC1hY2Nlc3MtdG9rZW46dG9r"
        assert access.scope == "https://example.com/r.git"
        environment = Git(run_context(), access)._environment()
        assert environment["GIT_CONFIG_VALUE_0"] == "Authorization: basic eC1hY2Nlc3MtdG9rZW46dG9r"
        assert "tok" not in repr(access)
    header = Session(
        secrets={"GIT_AUTH_HEADER.example.com": Secret("h", value=b"Bearer z"), "GIT_AUTH_TOKEN": token}
    )
    with git_access(attrs, "https://example.com/r.git", header) as access:
        assert access.authorization == "Bearer z"
    with git_access(attrs, "ssh://git@example.com/r.git", session) as access:
        assert access.authorization == ""
    assert isinstance(access, GitAccess)
