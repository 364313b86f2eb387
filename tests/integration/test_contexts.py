"""Contexts and Dockerfiles of every kind, from servers on loopback, and what hostile ones try.

That the files are those that buildx and BuildKit see is compared in `tests/differential/test_contexts.py`.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_bad_input import assert_store_is_clean, failure
from tests.support.command import Bakehouse
from tests.support.remotes import Answer, SampleRepository, Web, commit, git, running_web, sample_repository

COPY_ALL = "FROM scratch\nCOPY . /\n"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(tmp_path_factory.mktemp("web")) as server:
        yield server


@pytest.fixture(scope="module")
def repository(web: Web) -> SampleRepository:
    return sample_repository(web.root, web.url("git/module.git"))


def built(bakehouse: Bakehouse, tmp_path: Path, *arguments: str, **options: object) -> dict[str, str]:
    """Builds into a tar; the text of every file in it by name."""
    dest = tmp_path / "out.tar"
    bakehouse.run("build", "-o", f"type=tar,dest={dest}", *arguments, **options)  # type: ignore[arg-type]
    out = {}
    with tarfile.open(dest) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            if file is not None:
                out[member.name] = file.read().decode("utf-8", "replace")
    return out


def test_a_commit_is_fetched_once_and_shallow(
    offline: Bakehouse, tmp_path: Path, web: Web, repository: SampleRepository
) -> None:
    """C3: a second build of the same commit transfers nothing; history is never fetched."""
    url = web.url(f"git/app.git#{repository.first}")
    assert built(offline, tmp_path, url)["a"] == "two\n"
    stores = list((offline.home / "store/git").iterdir())
    assert len(stores) == 1
    assert (stores[0] / "shallow").exists()
    before = len(web.requests)
    assert built(offline, tmp_path, url)["a"] == "two\n"
    assert len(web.requests) == before


def test_a_branch_that_moves_is_one_commit_in_one_build(offline: Bakehouse, tmp_path: Path, web: Web) -> None:
    """C3: the Dockerfile and the files come from the same commit; the branch is asked for once."""
    commit(web.root / "moving.git", {"Dockerfile": COPY_ALL, "f": "1"})
    assert built(offline, tmp_path, web.url("git/moving.git#main"))["f"] == "1"
    listings = [item for item in web.asked("/git/moving.git/git-upload-pack") if item.method == "POST"]
    commit(web.root / "moving.git", {"f": "2"})
    before = len(web.requests)
    assert built(offline, tmp_path, web.url("git/moving.git#main"))["f"] == "2"
    assert len(web.requests) - before <= len(listings) + 2


def test_keeping_the_repository(
    offline: Bakehouse, tmp_path: Path, web: Web, repository: SampleRepository
) -> None:
    """C4: `.git` is there on demand and only then, and is a repository of the one commit."""
    url = web.url("git/app.git#mybranch")
    assert not any(name.startswith(".git/") for name in built(offline, tmp_path, url))
    keep = ("--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1")
    assert any(name.startswith(".git/") for name in built(offline, tmp_path, *keep, url))
    dest = tmp_path / "tree"
    offline.run("build", "-o", str(dest), *keep, url)
    assert git(dest, "rev-parse", "HEAD") == repository.first
    assert git(dest, "status", "--porcelain") == ""
    assert git(dest, "remote", "get-url", "origin") == web.url("git/app.git")


def test_submodules_name_no_directory_of_the_machine(
    offline: Bakehouse, tmp_path: Path, web: Web, repository: SampleRepository
) -> None:
    files = built(offline, tmp_path, web.url("git/app.git"))
    assert files["m/inner"] == "inner\n"
    assert files["m/.git"] == "gitdir: ../.git/modules/m\n"


def test_an_abbreviated_commit_is_refused(
    offline: Bakehouse, tmp_path: Path, web: Web, repository: SampleRepository
) -> None:
    """C3: in BuildKit's words."""
    text = failure(offline.run("build", web.url(f"git/app.git#{repository.first[:7]}"), check=False))
    assert f'repository does not contain ref {repository.first[:7]}, output: ""' in text
    assert_store_is_clean(offline)


@pytest.mark.parametrize("reference", ["--upload-pack=touch${IFS}/tmp/x", "-x", "--exec=sh"])
def test_a_reference_is_never_an_option_of_git(
    offline: Bakehouse, web: Web, repository: SampleRepository, reference: str
) -> None:
    text = failure(offline.run("build", web.url(f"git/app.git#{reference}"), check=False))
    assert "invalid git reference" in text


def test_an_address_is_never_an_option_of_git(offline: Bakehouse, tmp_path: Path) -> None:
    marker = tmp_path / "made"
    text = failure(offline.run("build", f"ssh://-oProxyCommand=touch%20{marker}/x.git", check=False), code=1)
    assert not marker.exists()
    assert "ERROR" in text


def test_a_dockerfile_from_the_web_in_a_bake_file(offline: Bakehouse, tmp_path: Path, web: Web) -> None:
    """C7: for `bake` as for `build -f URL`."""
    url = web.serve("plain.Dockerfile", b"FROM scratch\nCOPY f /g\n")
    (tmp_path / "f").write_text("f")
    definition = {"target": {"default": {"dockerfile": url, "output": ["type=tar,dest=o.tar"]}}}
    (tmp_path / "docker-bake.json").write_text(json.dumps(definition))
    offline.run("bake", cwd=tmp_path)
    with tarfile.open(tmp_path / "o.tar") as tar:
        assert tar.getnames() == ["g"]
    assert built(offline, tmp_path, "-f", url, ".", cwd=tmp_path) == {"g": "f"}


def test_a_text_context_with_a_dockerfile_from_elsewhere(
    offline: Bakehouse, tmp_path: Path, web: Web
) -> None:
    """C7: the context is the one file, whatever it holds."""
    url = web.serve("notes", b"just a text")
    (tmp_path / "Dockerfile").write_text(COPY_ALL)
    assert built(offline, tmp_path, "-f", str(tmp_path / "Dockerfile"), url) == {"context": "just a text"}


def test_a_missing_file_in_a_remote_context(offline: Bakehouse, web: Web) -> None:
    """C7, C9: the file's name, the Dockerfile's lines and a marker; exit 1, nothing exported."""
    url = web.serve("wants.Dockerfile", b"FROM scratch\n\nCOPY nothere /\n\n# end\n")
    text = failure(offline.run("build", "-t", "x", url, check=False))
    assert '"/nothere": not found' in text
    assert "   3 | >>> COPY nothere /" in text
    assert "   1 |     FROM scratch" in text
    assert "context:3" in text
    assert offline.run("images").stdout.count("\n") <= 1
    assert_store_is_clean(offline)


def test_servers_that_fail(offline: Bakehouse, web: Web) -> None:
    web.answers["/loop"] = Answer(b"", 302, {"Location": "/loop"})
    web.answers["/broken"] = Answer(b"oops", 500)
    web.answers["/short"] = Answer(b"FROM scratch\n", 200, {"Content-Length": "4000", "Connection": "close"})
    for path, words in {
        "nothing": "failed to read downloaded context: failed to load cache key: invalid response status 404",
        "broken": "invalid response status 500",
        "loop": "stopped after 10 redirects",
        "short": "ended too early",
    }.items():
        text = failure(offline.run("build", web.url(path), check=False))
        assert words in text
    text = failure(offline.run("build", "http://127.0.0.1:1/x", check=False))
    assert "cannot fetch http://127.0.0.1:1/x: connection refused" in text
    assert_store_is_clean(offline)
