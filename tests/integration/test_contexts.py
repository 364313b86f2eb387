"""Contexts and Dockerfiles of every kind, from servers on loopback, and what hostile ones try.

That the files are those that buildx and BuildKit see is compared in `tests/differential/test_contexts.py`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from backports import zstd

from tests.integration.test_bad_input import assert_store_is_clean, failure
from tests.support import bases
from tests.support.command import Bakehouse
from tests.support.gitrepos import SampleRepository, commit, git, sample_repository
from tests.support.web import Answer, WebServer, redirect, running_web_server

COPY_ALL = "FROM scratch\nCOPY . /\n"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with running_web_server(tmp_path_factory.mktemp("web")) as server:
        yield server


@pytest.fixture(scope="module")
def repository(web: WebServer) -> SampleRepository:
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


def test_only_what_is_used_is_read(offline: Bakehouse, tmp_path: Path) -> None:
    """C1: relative and absolute directories; a file that no step names may be anything, and as large as it likes."""
    work = tmp_path / "project"
    work.mkdir()
    (work / "Dockerfile").write_text("FROM scratch\nCOPY used/ /\n")
    (work / "used").mkdir()
    (work / "used/f").write_text("f")
    os.mkfifo(work / "pipe")
    with open(work / "huge", "wb") as file:
        file.truncate(1 << 40)
    for arguments, cwd in (((".",), work), (("project",), tmp_path), ((str(work),), tmp_path)):
        assert built(offline, tmp_path, *arguments, cwd=cwd) == {"f": "f"}


def test_a_shared_context_is_read_and_copied_once(offline: Bakehouse, tmp_path: Path, web: WebServer) -> None:
    """B5: two targets that link to a third, one that links to one of them, and a repository that all share."""
    url = web.url("git/shared.git")
    commit(web.root / "shared.git", {"g": "g"})
    (tmp_path / "f").write_text("f")
    inline = "FROM scratch\nCOPY --from=ctx f /{}\nCOPY --from=repo g /\n"
    definition = {
        "group": {"default": {"targets": ["one", "two"]}},
        "target": {
            "ctx": {"dockerfile-inline": "FROM scratch\nCOPY f /f\n"},
            **{
                name: {
                    "dockerfile-inline": inline.format(name),
                    "contexts": {"ctx": "target:ctx", "repo": url},
                    "output": [f"type=tar,dest={name}.tar"],
                }
                for name in ("one", "two")
            },
        },
    }
    (tmp_path / "docker-bake.json").write_text(json.dumps(definition))
    done = offline.run("bake", "--progress=rawjson", cwd=tmp_path)
    runs: dict[str, set[str]] = {}
    for line in done.stderr.splitlines():
        for vertex in json.loads(line).get("vertexes") or []:
            if vertex.get("completed") and not vertex.get("cached"):
                runs.setdefault(vertex["name"], set()).add(vertex["digest"])
    copies = [name for name in runs if name.endswith("COPY f /f")]
    assert len(copies) == 1
    assert len(runs[copies[0]]) == 1
    loads = [name for name in runs if name.endswith("load build context")]
    assert len(loads) == 1
    fetches = [name for name in runs if "load git source" in name]
    assert len(fetches) == 1
    assert len(list((offline.home / "store/git").iterdir())) == 1
    with tarfile.open(tmp_path / "two.tar") as tar:
        assert sorted(tar.getnames()) == ["g", "two"]


@pytest.mark.privileged
def test_a_step_on_a_shared_layout_runs_once(offline: Bakehouse, tmp_path: Path) -> None:
    """B4, B5: targets with contexts of their own share what does not come from these."""
    (tmp_path / "layout").symlink_to(
        bases.layout(next(base for base in bases.IMAGES if base.key == "busybox"))
    )
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
        (tmp_path / name / "Dockerfile").write_text(
            "FROM base\nRUN cat /proc/sys/kernel/random/uuid > /run-id\nCOPY f /\n"
        )
    definition = {
        "group": {"default": {"targets": ["one", "two"]}},
        "target": {
            name: {
                "context": name,
                "contexts": {"base": "oci-layout://layout"},
                "output": [f"type=local,dest=out-{name}"],
            }
            for name in ("one", "two")
        },
    }
    (tmp_path / "docker-bake.json").write_text(json.dumps(definition))
    done = offline.run("bake", "--allow=fs=*", "--progress=plain", cwd=tmp_path)
    assert (tmp_path / "out-one/run-id").read_text() == (tmp_path / "out-two/run-id").read_text()
    assert len(set(re.findall(r"^#\d+ \[.*RUN cat", done.stderr, re.MULTILINE))) == 1
    assert [(tmp_path / f"out-{name}/f").read_text() for name in ("one", "two")] == ["one", "two"]


def test_a_commit_is_fetched_once_and_shallow(
    offline: Bakehouse, tmp_path: Path, web: WebServer, repository: SampleRepository
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


def test_a_branch_that_moves_is_one_commit_in_one_build(
    offline: Bakehouse, tmp_path: Path, web: WebServer
) -> None:
    """C3: the Dockerfile and the files come from the same commit; the branch is asked for once."""
    commit(web.root / "moving.git", {"Dockerfile": COPY_ALL, "f": "1"})
    assert built(offline, tmp_path, web.url("git/moving.git#main"))["f"] == "1"
    listings = [item for item in web.asked("/git/moving.git/git-upload-pack") if item.method == "POST"]
    commit(web.root / "moving.git", {"f": "2"})
    before = len(web.requests)
    assert built(offline, tmp_path, web.url("git/moving.git#main"))["f"] == "2"
    assert len(web.requests) - before <= len(listings) + 2


def test_keeping_the_repository(
    offline: Bakehouse, tmp_path: Path, web: WebServer, repository: SampleRepository
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


def test_what_git_prints_is_shown(
    offline: Bakehouse, tmp_path: Path, web: WebServer, repository: SampleRepository
) -> None:
    """The answer to the question which commit it is; git's advice to people only when it is asked for."""
    keep = ("--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1", "--progress=plain")
    for advice in ("0", "1"):
        offline.run("prune", "--all", "--force")
        wanted = ("--build-arg", f"BUILDKIT_GIT_ADVICE={advice}")
        shown = offline.run("build", *keep, *wanted, web.url("git/app.git#mytag")).stderr
        assert f"{repository.first}\trefs/tags/mytag" in shown
        assert ("You are in 'detached HEAD' state." in shown) == (advice == "1")


def test_submodules_name_no_directory_of_the_machine(
    offline: Bakehouse, tmp_path: Path, web: WebServer, repository: SampleRepository
) -> None:
    files = built(offline, tmp_path, web.url("git/app.git"))
    assert files["m/inner"] == "inner\n"
    assert files["m/.git"] == "gitdir: ../.git/modules/m\n"


def test_an_abbreviated_commit_is_refused(
    offline: Bakehouse, tmp_path: Path, web: WebServer, repository: SampleRepository
) -> None:
    """C3: in BuildKit's words."""
    text = failure(offline.run("build", web.url(f"git/app.git#{repository.first[:7]}"), check=False))
    assert f'repository does not contain ref {repository.first[:7]}, output: ""' in text
    assert_store_is_clean(offline)


@pytest.mark.parametrize("reference", ["--upload-pack=touch${IFS}/tmp/x", "-x", "--exec=sh"])
def test_a_reference_is_never_an_option_of_git(
    offline: Bakehouse, web: WebServer, repository: SampleRepository, reference: str
) -> None:
    text = failure(offline.run("build", web.url(f"git/app.git#{reference}"), check=False))
    assert "invalid git reference" in text


def test_an_address_is_never_an_option_of_git(offline: Bakehouse, tmp_path: Path) -> None:
    marker = tmp_path / "made"
    text = failure(offline.run("build", f"ssh://-oProxyCommand=touch%20{marker}/x.git", check=False), code=1)
    assert not marker.exists()
    assert "ERROR" in text


def test_a_dockerfile_from_the_web_in_a_bake_file(offline: Bakehouse, tmp_path: Path, web: WebServer) -> None:
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
    offline: Bakehouse, tmp_path: Path, web: WebServer
) -> None:
    """C7: the context is the one file, whatever it holds."""
    url = web.serve("notes", b"just a text")
    (tmp_path / "Dockerfile").write_text(COPY_ALL)
    assert built(offline, tmp_path, "-f", str(tmp_path / "Dockerfile"), url) == {"context": "just a text"}


def test_a_missing_file_in_a_remote_context(offline: Bakehouse, web: WebServer) -> None:
    """C7, C9: the file's name, the Dockerfile's lines and a marker; exit 1, nothing exported."""
    url = web.serve("wants.Dockerfile", b"FROM scratch\n\nCOPY nothere /\n\n# end\n")
    text = failure(offline.run("build", "-t", "x", url, check=False))
    assert '"/nothere": not found' in text
    assert "   3 | >>> COPY nothere /" in text
    assert "   1 |     FROM scratch" in text
    assert "context:3" in text
    assert offline.run("images").stdout.count("\n") <= 1
    assert_store_is_clean(offline)


def test_servers_that_fail(offline: Bakehouse, web: WebServer) -> None:
    web.answers["/loop"] = redirect("/loop")
    web.answers["/broken"] = Answer(b"oops", 500)
    web.answers["/short"] = Answer(b"FROM scratch\n", 200, {"Content-Length": "4000", "Connection": "close"})
    for path, words in {
        # As buildx, which looks for a policy beside the Dockerfile first.
        "nothing": "failed to stat policy file Dockerfile.rego: failed to load cache key: invalid response status 404",
        "broken": "invalid response status 500",
        "loop": "stopped after 10 redirects",
        "short": "ended too early",
    }.items():
        text = failure(offline.run("build", web.url(path), check=False))
        assert words in text
    text = failure(offline.run("build", "http://127.0.0.1:1/x", check=False))
    assert "cannot fetch http://127.0.0.1:1/x: connection refused" in text
    assert_store_is_clean(offline)


# -- standard input -----------------------------------------------------------------------------------------------


def tar_of(*members: tuple[str, bytes | str | None], **options: object) -> bytes:
    """A tar: (name, content), (name, link target as text) or (name, None) for a directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as tar:  # type: ignore[call-overload]
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVE = (("Dockerfile", COPY_ALL.encode()), ("f", b"file"))


@pytest.mark.parametrize(
    "packed",
    [
        tar_of(*ARCHIVE, format=tarfile.USTAR_FORMAT),
        tar_of(*ARCHIVE, format=tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 2000}),
        tar_of(*ARCHIVE, ("l" * 150, b""), format=tarfile.GNU_FORMAT),
        tar_of(("./" + "d" * 120 + "/f", b""), *ARCHIVE, format=tarfile.PAX_FORMAT),
        zstd.compress(tar_of(*ARCHIVE)),
        zstd.compress(tar_of(*ARCHIVE), level=19) + b"\x50\x2a\x4d\x18\x04\0\0\0skip",
    ],
    ids=["ustar", "global-pax", "gnu", "pax", "zstd", "zstd-skippable"],
)
def test_archives_on_standard_input(offline: Bakehouse, tmp_path: Path, packed: bytes) -> None:
    """C7: what is an archive is seen by its content, beyond what buildx recognises."""
    assert built(offline, tmp_path, "-", input=packed)["f"] == "file"
    assert_store_is_clean(offline)


def test_an_ignore_file_in_an_archive_has_no_effect(offline: Bakehouse, tmp_path: Path) -> None:
    packed = tar_of(*ARCHIVE, (".dockerignore", b"f\n"))
    assert "f" in built(offline, tmp_path, "-", input=packed)


def test_the_same_archive_again_is_cached(offline: Bakehouse, tmp_path: Path) -> None:
    built(offline, tmp_path, "-", input=tar_of(*ARCHIVE))
    done = offline.run(
        "build", "--progress=plain", "-o", f"type=tar,dest={tmp_path}/o", "-", input=tar_of(*ARCHIVE)
    )
    assert re.search(r"COPY \. /\n#\d+ CACHED", done.stderr)


def test_an_archive_is_no_longer_than_its_pipe_is_open(offline: Bakehouse, tmp_path: Path) -> None:
    """C7: an interrupt while standard input is awaited ends the build at once and leaves nothing."""
    for head in (b"", b"FROM scratch\n", tar_of(*ARCHIVE)[:2048]):
        process = subprocess.Popen(
            offline.argv("build", "-t", "x", "-"),
            env=offline.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(head)
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not (offline.home / "store/bakehouse.db").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, stderr = process.communicate(timeout=60)
        assert time.monotonic() - started < 4
        assert process.returncode == 130, stderr
        assert b"Traceback" not in stderr
        assert_store_is_clean(offline)


def test_two_readers_of_standard_input(offline: Bakehouse) -> None:
    """C7: refused before anything is read."""
    text = failure(offline.run("build", "-f", "-", "-", check=False, input=b"FROM scratch\n"))
    assert "invalid argument: can't use stdin for both build context and dockerfile" in text


# -- hostile archives ---------------------------------------------------------------------------------------------


def test_members_stay_beneath_the_root(offline: Bakehouse, tmp_path: Path, web: WebServer) -> None:
    """C6, C7: `..`, absolute names, and names behind links lead nowhere outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    packed = tar_of(
        ("Dockerfile", COPY_ALL.encode()),
        ("../../../../../../../../../../escaped", b"1"),
        (f"{outside}/absolute", b"2"),
        ("link", str(outside)),
        ("link/behind", b"3"),
        ("up", "../../../../../../../../.."),
        ("up/behind-up", b"4"),
        ("dir", None),
        ("dir/a", "/etc/passwd"),
    )
    for arguments, data in ((("-",), packed), ((web.serve("evil.tar", packed),), None)):
        done = offline.run(
            "build", "-o", f"type=tar,dest={tmp_path}/o.tar", *arguments, input=data, check=False
        )
        assert done.returncode in (0, 1)
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr
        assert list(outside.iterdir()) == []
        assert not Path("/escaped").exists()
        assert not Path("/behind-up").exists()
        assert_store_is_clean(offline)


def test_a_dockerfile_that_is_a_link_is_read_inside_its_context(
    offline: Bakehouse, tmp_path: Path, web: WebServer
) -> None:
    packed = tar_of(
        ("Dockerfile", "/etc/hostname"), ("etc/hostname", b"FROM scratch\nCOPY f /\n"), ("f", b"x")
    )
    assert built(offline, tmp_path, "-", input=packed) == {"f": "x"}
    text = failure(
        offline.run("build", "-", input=tar_of(("Dockerfile", "../../etc/passwd"), ("f", b"")), check=False)
    )
    assert "failed to read dockerfile: open Dockerfile: no such file or directory" in text


def test_archives_that_are_damaged(offline: Bakehouse, tmp_path: Path, web: WebServer) -> None:
    whole = gzip.compress(tar_of(*ARCHIVE, ("big", os.urandom(300_000))))
    bombs = {
        "cut": whole[: len(whole) // 2],
        "bad-crc": whole[:-8] + b"\0\0\0\0" + whole[-4:],
        "cut-tar": tar_of(*ARCHIVE, ("big", b"x" * 100_000))[:20_000],
        "header": tar_of(*ARCHIVE)[:512] + b"\xff" * 5000,
    }
    for name, data in bombs.items():
        text = failure(offline.run("build", "-t", "x", "-", input=data, check=False))
        assert "failed to read dockerfile: " in text, name
        assert_store_is_clean(offline)
    text = failure(offline.run("build", "-t", "x", web.serve("cut.tgz", bombs["cut"]), check=False))
    assert "failed to stat policy file Dockerfile.rego: the gzip stream is damaged: it ends early" in text


def test_a_member_that_claims_more_than_it_has(offline: Bakehouse) -> None:
    member = tarfile.TarInfo("huge")
    member.size = 1 << 50
    packed = tar_of(*ARCHIVE)[:2048] + member.tobuf(tarfile.GNU_FORMAT)
    text = failure(offline.run("build", "-", input=packed, check=False))
    assert "tar" in text
    assert_store_is_clean(offline)


def test_devices_in_an_archive_are_files_of_the_context_only(offline: Bakehouse, tmp_path: Path) -> None:
    """C6: as in BuildKit, where the right to make them is there; never opened."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind in (("null", tarfile.CHRTYPE), ("fifo", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.devmajor, member.devminor = kind, 1, 3
            tar.addfile(member)
        text = b"FROM scratch\nCOPY f /\n"
        for name, data in (("Dockerfile", text), ("f", b"f")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert built(offline, tmp_path, "-", input=buffer.getvalue()) == {"f": "f"}
    text_ = failure(offline.run("build", "-f", "fifo", "-", input=buffer.getvalue(), check=False))
    assert "failed to read dockerfile: open fifo: not a regular file" in text_


def test_a_dockerfile_that_is_too_large(offline: Bakehouse, tmp_path: Path, web: WebServer) -> None:
    """C7: BuildKit's limit, and buildx's for one from the web; nothing larger is taken into memory."""
    big = b"#" * (16 * 1024 * 1024 + 1)
    words = "failed to read dockerfile: Dockerfile exceeds maximum allowed size of 16777216 bytes"
    assert words in failure(offline.run("build", "-f-", str(tmp_path), input=big, check=False))
    assert words in failure(offline.run("build", "-", input=tar_of(("Dockerfile", big)), check=False))
    url = web.serve("big.Dockerfile", b"#" * (2 * 1024 * 1024 + 1))
    text = failure(offline.run("build", "-f", url, str(tmp_path), check=False))
    assert f"Dockerfile {url} bigger than allowed max size (2.097MB)" in text


def test_archives_that_hold_too_much(offline: Bakehouse, tmp_path: Path, web: WebServer) -> None:
    """A small download may unpack to a full disk: what an archive may hold is a setting, of `ADD` and of a context."""
    settings = offline.home / "config/bakehouse/config.toml"
    context = tmp_path / "context"
    context.mkdir()
    with tarfile.open(context / "bomb.tar.gz", "w:gz") as tar:
        for name, size in (("Dockerfile", 13), ("zeros", 3 << 20)):
            member = tarfile.TarInfo(name)
            member.size = size
            tar.addfile(member, io.BytesIO(b"FROM scratch\n" if size == 13 else bytes(size)))
    bomb = (context / "bomb.tar.gz").read_bytes()
    assert len(bomb) < 10_000
    (context / "Dockerfile").write_text("FROM scratch\nADD bomb.tar.gz /\n")
    builds = (str(context), web.serve("bomb.tar.gz", bomb))
    settings.write_text('max-unpacked = "2MiB"\n')
    for build in builds:
        text = offline.run("build", "-o", f"type=tar,dest={tmp_path}/o.tar", build, check=False).stderr
        assert "more than 2097152 bytes" in text
        assert "max-unpacked in the settings file" in text
        assert not (tmp_path / "o.tar").exists()
    kept = [path for path in (offline.home / "store").rglob("zeros") if path.stat().st_size]
    assert kept == []
    settings.write_text('max-unpacked = "4MiB"\n')
    for build in builds:
        offline.run("build", build)
