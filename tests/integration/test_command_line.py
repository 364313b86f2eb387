"""The commands as a user types them: bake with its overrides and named contexts, images, import, run, du, prune."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import bases
from tests.support.command import Bakehouse
from tests.support.images import read_image
from tests.support.services import Registry, free_port


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def failure(result: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """Standard error of a run that failed as it should: one ERROR line, no traceback."""
    assert result.returncode == code, result.stderr
    assert sum(line.startswith("ERROR: ") for line in result.stderr.splitlines()) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


PROJECT = {
    "Dockerfile": (
        "FROM scratch AS base\nARG WORD=none\nCOPY a /a\nLABEL word=$WORD\nFROM base AS extra\nCOPY b /b\n"
    ),
    "a": "a\n",
    "b": "b\n",
}


# -- bake: what is built ----------------------------------------------------------------------------------------------


def test_group_and_matrix_build_every_target(offline: Bakehouse, tmp_path: Path) -> None:
    project = write(
        tmp_path / "p",
        PROJECT
        | {
            "docker-bake.hcl": (
                'group "default" { targets = ["plain", "word"] }\n'
                'target "plain" {\n  target = "extra"\n  output = ["type=oci,dest=plain.tar"]\n}\n'
                'target "word" {\n  matrix = { w = ["one", "two"] }\n  name = "word-${w}"\n  target = "base"\n'
                '  args = { WORD = w }\n  output = ["type=oci,dest=${w}.tar"]\n}\n'
            )
        },
    )
    offline.run("bake", cwd=project)
    assert sorted(read_image(project / "plain.tar").files) == ["a", "b"]
    for word in ("one", "two"):
        image = read_image(project / f"{word}.tar")
        assert image.config["config"]["Labels"] == {"word": word}
        assert sorted(image.files) == ["a"]


def test_overrides_change_the_build(offline: Bakehouse, tmp_path: Path) -> None:
    project = write(
        tmp_path / "p", PROJECT | {"docker-bake.hcl": 'target "default" {\n  tags = ["x:1"]\n}\n'}
    )
    offline.run(
        "bake",
        *("--set", "default.args.WORD=set", "--set", "default.target=base", "--set", "*.labels.more=yes"),
        *("--set", "*.platform=linux/arm64", "--set", "*.output=type=oci,dest=o.tar", "--set", "*.tags=y:2"),
        cwd=project,
    )
    image = read_image(project / "o.tar")
    assert image.config["config"]["Labels"] == {"word": "set", "more": "yes"}
    assert image.config["architecture"] == "arm64"
    assert sorted(image.files) == ["a"]
    with tarfile.open(project / "o.tar") as tar:
        index = tar.extractfile("index.json")
        assert index is not None
        (root,) = json.load(index)["manifests"]
    assert root["annotations"]["io.containerd.image.name"] == "docker.io/library/y:2"


def test_variables_of_the_command_line_and_the_environment(offline: Bakehouse, tmp_path: Path) -> None:
    project = write(
        tmp_path / "p",
        PROJECT
        | {
            "docker-bake.hcl": (
                'variable "WORD" { default = "file" }\n'
                'target "default" {\n  args = { WORD = WORD }\n  output = ["type=oci,dest=o.tar"]\n}\n'
            )
        },
    )
    for arguments, env, expected in (
        ((), {}, "file"),
        ((), {"WORD": "environment"}, "environment"),
        (("--var", "WORD=flag"), {"WORD": "environment"}, "flag"),
    ):
        offline.run("bake", *arguments, cwd=project, env=env)
        assert read_image(project / "o.tar").config["config"]["Labels"] == {"word": expected}


@pytest.mark.privileged
def test_no_cache_runs_again_and_filters_by_stage(bakehouse: Bakehouse, tmp_path: Path) -> None:
    project = write(
        tmp_path / "p",
        {
            "Dockerfile": "FROM busybox AS one\nRUN echo one > /one\nFROM one AS two\nRUN echo two > /two\n",
            "docker-bake.hcl": 'target "default" {}\n',
        },
    )
    bakehouse.run("bake", cwd=project)

    def cached(*arguments: str, command: str = "bake") -> list[str]:
        """The RUN steps that were taken from the cache."""
        text = bakehouse.run(command, "--progress=plain", *arguments, cwd=project).stderr
        blocks = [block for block in text.split("\n\n") if "RUN echo" in block]
        assert len(blocks) == 2, text
        return sorted(re.findall(r"RUN echo (\w+)", block)[0] for block in blocks if "CACHED" in block)

    assert cached() == ["one", "two"]
    assert cached("--no-cache") == []
    assert cached("--set", "*.no-cache=true") == []
    assert cached() == ["one", "two"]
    assert cached("--no-cache-filter=two", ".", command="build") == ["one"]


def test_pull_asks_the_registry_again(bakehouse: Bakehouse, registry: Registry, tmp_path: Path) -> None:
    """Without --pull an image of the local store serves; with it the registry's counts."""
    name = f"{registry.host}/cmd/pull:1"
    project = write(tmp_path / "p", {"Dockerfile": f"FROM {name}\nCOPY a /new\n", "a": "a"})
    registry.push_layout(bases.layout(bases.IMAGES[0]), "cmd/pull:1")
    stored = write(tmp_path / "s", {"Dockerfile": "FROM scratch\nCOPY only /only\n", "only": ""})
    bakehouse.run("build", "-t", name, ".", cwd=stored)
    bakehouse.run("build", "-o", "type=oci,dest=o.tar", ".", cwd=project)
    assert sorted(read_image(project / "o.tar").files) == ["new", "only"]
    bakehouse.run("build", "--pull", "-o", "type=oci,dest=o.tar", ".", cwd=project)
    assert "bin/busybox" in read_image(project / "o.tar").files


def test_inline_dockerfile_and_ignore_files(offline: Bakehouse, tmp_path: Path) -> None:
    """C2 with bake: the Dockerfile's own ignore file wins over the context's."""
    project = write(
        tmp_path / "p",
        {
            "docker-bake.hcl": (
                'target "inline" {\n  dockerfile-inline = <<EOT\nFROM scratch\nCOPY . /\nEOT\n'
                '  output = ["type=oci,dest=/o1.tar"]\n}\n'
                'target "file" {\n  dockerfile = "D"\n  output = ["type=oci,dest=/o2.tar"]\n}\n'
            ).replace("/o", f"{tmp_path}/o"),
            "D": "FROM scratch\nCOPY . /\n",
            ".dockerignore": "# comment\nD*\ndocker-bake.hcl\n*.log\n!kept.log\n",
            "D.dockerignore": "*\n!kept.log\n",
            "kept.log": "",
            "other.log": "",
            "text": "",
        },
    )
    offline.run("bake", "inline", "file", "--allow=fs.write=..", cwd=project)
    assert sorted(read_image(tmp_path / "o1.tar").files) == [".dockerignore", "kept.log", "text"]
    assert sorted(read_image(tmp_path / "o2.tar").files) == ["kept.log"]


def test_print_beside_a_build_is_the_same_definition(offline: Bakehouse, tmp_path: Path) -> None:
    project = write(
        tmp_path / "p", PROJECT | {"docker-bake.hcl": 'target "default" {\n  output = ["o"]\n}\n'}
    )
    printed = json.loads(offline.run("bake", "--print", "--set", "*.args.WORD=x", cwd=project).stdout)
    assert printed["target"]["default"]["args"] == {"WORD": "x"}
    assert not (project / "o").exists()
    assert not (offline.home / "store").exists()
    listed = offline.run("bake", "--list=targets", cwd=project).stdout.splitlines()
    assert [line.split() for line in listed] == [["TARGET", "DESCRIPTION"], ["default"]]
    assert "mutually exclusive" in failure(
        offline.run("bake", "--print", "--list=targets", cwd=project, check=False)
    )


def test_print_is_utf8_on_every_terminal(offline: Bakehouse, tmp_path: Path) -> None:
    definition = 'target "default" {\n  labels = { a = "ü☃" }\n}\n'
    project = write(tmp_path / "p", {"docker-bake.hcl": definition})
    printed = offline.run("bake", "--print", cwd=project, env={"PYTHONIOENCODING": "ascii"}).stdout
    assert json.loads(printed)["target"]["default"]["labels"] == {"a": "ü☃"}


def test_print_shows_flags(offline: Bakehouse, buildx: Path, tmp_path: Path) -> None:
    """As the real buildx prints them."""
    project = write(tmp_path / "p", PROJECT | {"docker-bake.hcl": 'target "default" {}\n'})
    environ = os.environ | {"BUILDX_CONFIG": str(tmp_path / "buildx")}
    for flags in (
        ["--sbom=true"],
        ["--provenance=mode=max"],
        ["--call=check"],
        ["--check"],
        ["--provenance=false"],
    ):
        theirs = subprocess.run(
            [buildx, "bake", "--print", *flags],
            cwd=project,
            capture_output=True,
            text=True,
            env=environ,
            check=True,
        )
        assert offline.run("bake", "--print", *flags, cwd=project).stdout == theirs.stdout


def test_metadata_of_every_target(offline: Bakehouse, tmp_path: Path) -> None:
    project = write(
        tmp_path / "p",
        PROJECT
        | {
            "docker-bake.hcl": (
                'group "default" { targets = ["x", "y"] }\ntarget "x" {\n  tags = ["x:1"]\n}\ntarget "y" {}\n'
            )
        },
    )
    offline.run("bake", "--metadata-file=m.json", cwd=project)
    told = json.loads((project / "m.json").read_text())
    assert sorted(told) == ["x", "y"]
    assert told["x"]["buildx.build.ref"] != told["y"]["buildx.build.ref"]
    assert told["x"]["image.name"] == "docker.io/library/x:1"
    listed = [json.loads(line) for line in offline.run("images", "--format=json").stdout.splitlines()]
    assert {row["digest"] for row in listed} >= {told["x"]["containerimage.digest"]}


def test_failing_target_is_named(offline: Bakehouse, tmp_path: Path) -> None:
    """The text around the message: that of the real buildx."""
    project = write(
        tmp_path / "p",
        PROJECT | {"docker-bake.hcl": 'target "good" {}\ntarget "bad" {\n  dockerfile = "nofile"\n}\n'},
    )
    text = failure(offline.run("bake", "good", "bad", cwd=project, check=False))
    assert "ERROR: target bad: failed to solve: failed to read dockerfile: open nofile: no such file" in text
    text = failure(offline.run("bake", "bad", cwd=project, check=False))
    assert "ERROR: failed to solve: failed to read dockerfile: open nofile: no such file" in text


# -- bake: named contexts ---------------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server on loopback with one file, `payload`."""
    root = tmp_path / "web"
    root.mkdir()
    (root / "payload").write_text("from the web\n")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[str]:
    """git's own daemon on loopback; it serves what lies below `served`."""
    root = tmp_path / "served"
    root.mkdir()
    port = free_port()
    options = ["--export-all", f"--base-path={root}", "--listen=127.0.0.1", f"--port={port}", "--reuseaddr"]
    process = subprocess.Popen(["git", "daemon", *options, str(root)], start_new_session=True)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.02)
        yield f"git://127.0.0.1:{port}"
    finally:
        # The command is a parent of the daemon proper.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@pytest.mark.privileged
def test_named_contexts_of_every_kind(
    bakehouse: Bakehouse, registry: Registry, tmp_path: Path, web: str, git_server: str
) -> None:
    """B1, B2, B4: each kind in COPY --from and in a mount, images in FROM too."""
    git = tmp_path / "served" / "repo"
    write(git, {"tracked": "from git\n"})
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e@x", "commit", "-qm", "m"],
    ):
        subprocess.run(["git", *command], cwd=git, check=True)
    layout = tmp_path / "layout"
    shutil.copytree(bases.layout(next(base for base in bases.IMAGES if base.key == "alpine")), layout)
    project = write(
        tmp_path / "p",
        {
            "docker-bake.hcl": (
                'target "base" {\n'
                '  dockerfile-inline = "FROM busybox\\nRUN echo linked > /linked\\nENV LINKED=yes"\n}\n'
                'target "default" {\n  contexts = {\n'
                '    pinned = "docker-image://alpine:3.13"\n    dir = "../dir"\n    layout = "oci-layout://../layout:latest"\n'
                f'    web = "{web}/payload"\n    git = "{git_server}/repo#main"\n    base = "target:base"\n  }}\n'
                "}\n"
            ),
            "Dockerfile": (
                "FROM pinned AS one\nRUN --mount=from=layout,target=/l cp /l/etc/alpine-release /layout\n"
                "FROM base\nCOPY --from=one /etc/alpine-release /pinned\nCOPY --from=one /layout /layout\n"
                "COPY --from=dir file /dir\nCOPY --from=web context /web\nCOPY --from=git tracked /git\n"
                "RUN --mount=from=git,target=/g --mount=from=dir,target=/d "
                "cat /g/tracked /d/file /linked > /all; echo $LINKED >> /all\n"
            ),
        },
    )
    write(tmp_path / "dir", {"file": "from dir\n"})
    refused = failure(bakehouse.run("bake", cwd=project, check=False))
    assert " - Read access to path ../dir\n - Read access to path ../layout\n" in refused
    bakehouse.run("bake", "--allow=fs.read=..", "--set=*.output=type=local,dest=out", cwd=project)
    out = project / "out"
    for name, text in {
        "pinned": "3.13.0\n",
        "layout": "3.13.0\n",
        "dir": "from dir\n",
        "web": "from the web\n",
        "git": "from git\n",
        "all": "from git\nfrom dir\nlinked\nyes\n",
    }.items():
        assert (out / name).read_text() == text, name


def test_missing_named_context(offline: Bakehouse, tmp_path: Path) -> None:
    project = write(
        tmp_path / "p",
        PROJECT | {"docker-bake.hcl": 'target "default" {\n  contexts = { s = "nowhere" }\n}\n'},
    )
    words = "failed to get build context s: stat nowhere: no such file or directory"
    assert words in failure(offline.run("bake", cwd=project, check=False))
    text = failure(offline.run("build", "--build-context", "s=nowhere", ".", cwd=project, check=False))
    assert f"ERROR: failed to build: {words}" in text
    text = failure(offline.run("build", "--build-context", "s", ".", cwd=project, check=False))
    assert "invalid context value: s, expected key=value" in text


# -- bake: secrets and agents -----------------------------------------------------------------------------------------


@pytest.mark.privileged
def test_secrets_from_file_and_environment_stay_out_of_the_image(
    bakehouse: Bakehouse, tmp_path: Path
) -> None:
    project = write(
        tmp_path / "p",
        {
            "docker-bake.hcl": (
                'target "default" {\n  secret = ["id=file,src=secret.txt", "id=env,env=TOKEN", "type=env,id=IMPLIED"]\n'
                '  output = ["type=oci,dest=o.tar"]\n}\n'
            ),
            "Dockerfile": (
                "FROM busybox\n"
                "RUN --mount=type=secret,id=file --mount=type=secret,id=env,env=E --mount=type=secret,id=IMPLIED "
                "cat /run/secrets/file /run/secrets/IMPLIED | wc -c > /size; echo ${#E} >> /size\n"
            ),
            "secret.txt": "file-secret-8471",
        },
    )
    secrets = {"TOKEN": "env-secret-5523-long", "IMPLIED": "implied-secret-77"}
    done = bakehouse.run("bake", "--progress=plain", cwd=project, env=secrets)
    image = read_image(project / "o.tar")
    assert "size" in image.files
    bakehouse.run("bake", "--set=*.output=out", cwd=project, env=secrets)
    assert (project / "out/size").read_text() == "33\n20\n"
    blobs = b"".join(
        path.read_bytes()
        for path in (bakehouse.home / "store").rglob("*")
        if path.is_file() and path.stat().st_size < 500_000
    )
    told = done.stdout.encode() + done.stderr.encode() + blobs + (project / "o.tar").read_bytes()
    for secret in ("file-secret-8471", "env-secret-5523-long", "implied-secret-77"):
        assert secret.encode() not in told


@pytest.mark.privileged
def test_two_targets_with_different_secrets_under_one_id(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """Each sees its own; a third that was lent none sees none."""
    project = write(
        tmp_path / "p",
        {
            "docker-bake.hcl": (
                'group "default" { targets = ["a", "b", "c"] }\n'
                'target "a" {\n  secret = ["id=t,src=sa"]\n  args = { W = "a" }\n  output = ["out-a"]\n}\n'
                'target "b" {\n  secret = ["id=t,src=sb"]\n  args = { W = "b" }\n  output = ["out-b"]\n}\n'
                'target "c" {\n  args = { W = "c" }\n  output = ["out-c"]\n}\n'
            ),
            "Dockerfile": (
                "FROM busybox\nARG W\n"
                "RUN --mount=type=secret,id=t cat /run/secrets/t > /seen || echo none > /seen\n"
            ),
            "sa": "secret of a\n",
            "sb": "secret of b\n",
        },
    )
    bakehouse.run("bake", cwd=project)
    assert (project / "out-a/seen").read_text() == "secret of a\n"
    assert (project / "out-b/seen").read_text() == "secret of b\n"
    assert (project / "out-c/seen").read_text() == "none\n"


@pytest.mark.privileged
def test_ssh_agent_socket(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """A real agent behind `--ssh`: the step talks to it over the forwarded socket."""
    path = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        while not path.exists():
            time.sleep(0.02)
        environ = os.environ | {"SSH_AUTH_SOCK": str(path)}
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True
        )
        subprocess.run(["ssh-add", "-q", str(tmp_path / "key")], check=True, env=environ)
        project = write(
            tmp_path / "p",
            {
                # Asks the agent for its keys (message 11): message 12 answers, with their number.
                "Dockerfile": (
                    "FROM python:3.12-slim\n"
                    "COPY ask.py /\n"
                    "RUN --mount=type=ssh,id=mine python3 /ask.py > /answer\n"
                ),
                "ask.py": (
                    "import os, socket\n"
                    "agent = socket.socket(socket.AF_UNIX)\n"
                    'agent.connect(os.environ["SSH_AUTH_SOCK"])\n'
                    'agent.sendall(b"\\0\\0\\0\\1\\x0b")\n'
                    "data = agent.recv(4096)\n"
                    "print(data[4], data[8])\n"
                ),
            },
        )
        bakehouse.run("build", "--ssh", f"mine={path}", "-o", "out", ".", cwd=project)
        assert (project / "out/answer").read_text() == "12 1\n"
        text = failure(bakehouse.run("build", "--ssh", "mine", ".", cwd=project, check=False))
        assert "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set" in text
    finally:
        agent.terminate()
        agent.wait()


# -- images, import, du, prune ----------------------------------------------------------------------------------------


@pytest.fixture
def images(offline: Bakehouse, tmp_path: Path) -> Bakehouse:
    """A store with `one/app:1`, `one/app:2`, `two:latest` and an image without a name."""
    project = write(
        tmp_path / "images", {"Dockerfile": "FROM scratch\nARG N\nLABEL n=$N\nCOPY Dockerfile /$N\n"}
    )
    for number, name in enumerate(("one/app:1", "one/app:2", "two")):
        offline.run("build", "--build-arg", f"N={number}", "-t", name, ".", cwd=project)
    offline.run("build", "--build-arg", "N=9", ".", cwd=project)
    return offline


def listed(command: Bakehouse, *arguments: str) -> list[str]:
    rows = [
        json.loads(line) for line in command.run("images", "--format=json", *arguments).stdout.splitlines()
    ]
    return sorted(f"{row['repository']}:{row['tag']}" for row in rows)


def test_images_lists_filters_and_removes(images: Bakehouse) -> None:
    everything = ["<none>:<none>", "one/app:1", "one/app:2", "two:latest"]
    assert listed(images) == everything
    assert listed(images, "one/app") == ["one/app:1", "one/app:2"]
    assert listed(images, "one/app:2") == ["one/app:2"]
    assert listed(images, "--filter=reference=*/app") == ["one/app:1", "one/app:2"]
    assert listed(images, "--filter=reference=t*") == ["two:latest"]
    assert listed(images, "--filter=label=n=1") == ["one/app:2"]
    assert listed(images, "--filter=label=n", "--filter=dangling=true") == ["<none>:<none>"]
    assert listed(images, "--filter=label=other") == []
    table = images.run("images").stdout.splitlines()
    assert table[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "STORED", "SIZE"]
    assert len(table) == 5
    ids = images.run("images", "-q").stdout.split()
    assert len(ids) == 4
    assert all(re.fullmatch("[0-9a-f]{12}", id) for id in ids)
    whole = images.run("images", "-q", "--no-trunc", "two").stdout.strip()
    assert re.fullmatch("sha256:[0-9a-f]{64}", whole)
    assert whole[7:19] in ids
    # By name, and by the beginning of an ID.
    assert images.run("images", "rm", "one/app:1", whole[7:20]).stdout.splitlines() == [
        "Untagged: docker.io/one/app:1",
        "Untagged: docker.io/library/two:latest",
    ]
    assert listed(images) == ["<none>:<none>", "one/app:2"]
    text = failure(images.run("images", "rm", "one/app:3", check=False))
    assert "did you mean one/app:2?" in text
    assert 'invalid filter "x=y"' in failure(images.run("images", "--filter=x=y", check=False))


def test_removed_images_are_pruned_and_the_rest_stays(images: Bakehouse) -> None:
    """du and prune: a named image's layers are shared, never removed; the others go."""
    du = images.run("du").stdout
    assert du.splitlines()[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert re.search(r"^Total:\t\t[0-9.]+k?B$", du, re.MULTILINE)
    images.run("images", "rm", "one/app:1")
    before = len(
        [
            line
            for line in images.run("du", "--format=json").stdout.splitlines()
            if not json.loads(line)["shared"]
        ]
    )
    assert before >= 1
    removed = images.run("prune", "--force", "--verbose").stdout
    assert removed.splitlines()[-1].startswith("Total:\t")
    left = [json.loads(line) for line in images.run("du", "--format=json").stdout.splitlines()]
    assert left
    assert all(record["shared"] for record in left)
    assert listed(images) == ["<none>:<none>", "one/app:2", "two:latest"]
    images.run("prune", "--force", "--all")
    assert listed(images) == ["one/app:2", "two:latest"]


def test_prune_filters_and_bad_values(images: Bakehouse) -> None:
    images.run("images", "rm", "one/app:1", "one/app:2", "two")
    assert "Total:\t0B" in images.run("prune", "--force", "--filter=until=24h").stdout
    assert "Total:\t0B" in images.run("prune", "--force", "--filter=type==exec.cachemount").stdout
    assert "Total:\t0B" in images.run("prune", "--force", "--max-used-space=10gb").stdout
    assert "Total:\t0B" not in images.run("prune", "--force").stdout
    assert 'unknown unit " days" in duration "5 days"' in failure(
        images.run("prune", "-f", "--filter=until=5 days", check=False)
    )
    assert "invalid filter" in failure(images.run("prune", "-f", "--filter=nosuch==1", check=False))
    failure(images.run("prune", "-f", "--max-used-space=lots", check=False))
    assert "invalid filter" in failure(images.run("du", "--filter=nosuch==1", check=False))


@pytest.mark.privileged
def test_prune_leaves_what_another_process_uses(bakehouse: Bakehouse, tmp_path: Path) -> None:
    project = write(
        tmp_path / "p",
        {"Dockerfile": "FROM busybox\nRUN echo big > /big\nRUN echo started; sleep 5; cat /big\n"},
    )
    process = bakehouse.start("build", "--progress=plain", ".", cwd=project)
    assert process.stderr is not None
    for line in process.stderr:
        if b"started" in line and b"RUN" not in line:
            break
    bakehouse.run("prune", "--force", "--all")
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 0, rest


@pytest.fixture
def root_tar(tmp_path: Path) -> Path:
    """busybox's root file system as a plain tar."""
    path = tmp_path / "root.tar"
    bases.make_busybox(path)
    return path


@pytest.mark.privileged
@pytest.mark.parametrize("tool", ["cat", "gzip -c", "bzip2 -c", "xz -c -0", "zstd -c -q"])
def test_import_of_a_root_file_system(offline: Bakehouse, root_tar: Path, tool: str) -> None:
    data = subprocess.run(tool.split(), input=root_tar.read_bytes(), capture_output=True, check=True).stdout
    done = offline.run("import", "-e", "A=b", "--cmd", '["sh", "-c", "echo $A"]', "-", "piped:1", input=data)
    assert re.fullmatch(r"docker.io/library/piped:1 sha256:[0-9a-f]{64}\n", done.stdout)
    (root_tar.parent / "f").write_bytes(data)
    offline.run("import", "f", "file:1", cwd=root_tar.parent)
    assert offline.run("run", "piped:1").stdout == "b\n"
    assert offline.run("run", "file:1", "cat", "/etc/group").stdout.startswith("root:x:0:")


@pytest.mark.privileged
@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive", "compressed", "stdin"])
def test_import_of_an_image(offline: Bakehouse, tmp_path: Path, kind: str) -> None:
    """What skopeo writes: a layout directory, both archives, one compressed, one on standard input."""
    layout = bases.layout(next(base for base in bases.IMAGES if base.key == "alpine"))
    form = {"oci": "oci", "docker-archive": "docker-archive", "stdin": "docker-archive"}.get(
        kind, "oci-archive"
    )
    path = tmp_path / "image"
    reference = "alp:7" if form == "docker-archive" else "docker.io/library/alp:7"
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "-q", f"oci:{layout}:latest", f"{form}:{path}:{reference}"],
        check=True,
        capture_output=True,
    )
    if kind == "compressed":
        subprocess.run(["gzip", str(path)], check=True)
        path = path.with_name("image.gz")
    if kind == "stdin":
        done = offline.run("import", "-", input=path.read_bytes())
    else:
        done = offline.run("import", str(path))
    assert done.stdout.startswith("docker.io/library/alp:7 sha256:")
    assert offline.run("run", "alp:7", "cat", "/etc/alpine-release").stdout == "3.13.0\n"
    offline.run("import", str(path), "renamed:1")
    assert offline.run("images", "-q", "renamed").stdout
    text = failure(offline.run("import", "--cmd", "x", str(path), "again", check=False))
    assert "options for the config do not apply" in text


def test_import_of_what_is_no_image(offline: Bakehouse, root_tar: Path, tmp_path: Path) -> None:
    assert "nofile: no such file or directory" in failure(offline.run("import", "nofile", "x", check=False))
    assert "needs a name" in failure(offline.run("import", str(root_tar), check=False))
    failure(offline.run("import", "-", "x", input=b"this is no tar\n" * 100, check=False))
    failure(offline.run("import", "-", "x", input=root_tar.read_bytes()[:300_000], check=False))
    failure(offline.run("import", "-", "x", input=b"", check=False))
    (tmp_path / "empty").mkdir()
    failure(offline.run("import", str(tmp_path / "empty"), "x", check=False))
    failure(offline.run("import", str(root_tar), "Not A Name", check=False))
    assert offline.run("images", "-q").stdout == ""


# -- run --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def box(offline: Bakehouse, root_tar: Path) -> Bakehouse:
    """A store with one image, `box`."""
    offline.run("import", "-e", "FROM_IMAGE=1", "-w", "/tmp", str(root_tar), "box")
    return offline


@pytest.mark.privileged
def test_run_environment_user_workdir_and_entrypoint(box: Bakehouse) -> None:
    def out(*arguments: str, env: dict[str, str] | None = None) -> str:
        return box.run("run", *arguments, env=env).stdout

    assert out("box", "sh", "-c", "pwd; echo $FROM_IMAGE") == "/tmp\n1\n"
    assert (
        out(
            "-e", "FROM_IMAGE=2", "-e", "HOST", "box", "sh", "-c", "echo $FROM_IMAGE $HOST", env={"HOST": "h"}
        )
        == "2 h\n"
    )
    assert (
        out("-w", "/new/dir", "-u", "bob", "box", "sh", "-c", "pwd; id -un; echo $HOME")
        == "/new/dir\nbob\n/home/bob\n"
    )
    assert out("-u", "123:45", "box", "sh", "-c", "id -u; id -g") == "123\n45\n"
    assert out("--entrypoint", "echo", "box", "a", "b") == "a b\n"
    assert (
        out(
            "--hostname",
            "named",
            "--add-host",
            "db:10.0.0.9",
            "box",
            "sh",
            "-c",
            "hostname; grep db /etc/hosts",
        )
        == "named\n10.0.0.9\tdb\n"
    )
    assert out("--network", "none", "box", "ls", "/sys/class/net").split() == ["lo"]
    # Flags behind the image belong to the command.
    assert out("box", "echo", "--help", "-D", "--builder", "x") == "--help -D --builder x\n"


@pytest.mark.privileged
def test_run_exit_codes(box: Bakehouse) -> None:
    assert box.run("run", "box", "sh", "-c", "exit 42", check=False).returncode == 42
    assert box.run("run", "box", "sh", "-c", "sh -c 'kill -TERM $$'; exit $?", check=False).returncode == 143
    missing = box.run("run", "box", "nosuch", check=False)
    assert missing.returncode == 127
    assert '"nosuch": executable file not found in $PATH' in missing.stderr
    assert box.run("run", "box", "/etc/passwd", check=False).returncode == 126
    assert "no command" in failure(box.run("run", "box", check=False))
    text = failure(box.run("run", "bx", "true", check=False))
    assert "ERROR: bx is not in the local image store, and " in text
    assert "did you mean box" in text
    assert "'bakehouse run' requires an image" in failure(box.run("run", "-e", "A=1", check=False))
    assert "--publish is not supported yet" in failure(box.run("run", "-p", "80:80", "box", check=False))
    assert "the input device is not a TTY" in failure(box.run("run", "-it", "box", check=False))


@pytest.mark.privileged
def test_run_standard_input_and_volumes(box: Bakehouse, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    assert (
        box.run("run", "-i", "box", "sha256sum", input=data).stdout.split()[0]
        == hashlib.sha256(data).hexdigest()
    )
    assert box.run("run", "box", "cat", input="unseen").stdout == ""
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "in").write_text("in\n")
    box.run("run", "-v", f"{tmp_path}/v:/v", "box", "sh", "-c", "cat /v/in > /v/out; echo x > /discarded")
    assert (tmp_path / "v" / "out").read_text() == "in\n"
    assert box.run("run", "box", "ls", "/discarded", check=False).returncode == 1
    done = box.run("run", "-v", f"{tmp_path}/v:/v:ro", "box", "touch", "/v/no", check=False)
    assert done.returncode == 1
    assert "Read-only" in done.stderr
    assert "does not exist" in failure(
        box.run("run", "-v", f"{tmp_path}/none:/v", "box", "true", check=False)
    )
    assert "invalid volume" in failure(box.run("run", "-v", "x", "box", "true", check=False))


def _started(box: Bakehouse, script: str) -> subprocess.Popen[bytes]:
    process = box.start("run", "box", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.privileged
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_reach_the_process(box: Bakehouse, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    process = _started(
        box, f"trap 'echo got {name}; exit 5' {name}; echo ready; while :; do sleep 0.05; done"
    )
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (5, f"got {name}\n".encode())


@pytest.mark.privileged
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_without_a_handler_ends_at_once(box: Bakehouse, number: signal.Signals) -> None:
    """The first process of a container never gets a signal that it does not handle; it ends all the same."""
    process = _started(box, "echo ready; sleep 300; echo never")
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (128 + number, b"", b"")
    assert time.monotonic() - began < 5


@pytest.mark.privileged
def test_a_stubborn_process_is_killed_by_the_third_signal(box: Bakehouse) -> None:
    process = _started(box, "trap : TERM; echo ready; while :; do sleep 0.05; done")
    for _ in range(3):
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 130


# -- the command itself -----------------------------------------------------------------------------------------------


def test_help_of_every_command(offline: Bakehouse) -> None:
    overview = offline.run("--help").stdout
    assert offline.run().stdout == overview
    commands = re.findall(
        r"^  ([a-z]+) +\S", overview.partition("Commands:")[2].partition("Options:")[0], re.MULTILINE
    )
    assert {"bake", "build", "run", "images", "import", "du", "prune", "version"} <= set(commands)
    for command in commands:
        text = offline.run(command, "--help").stdout
        assert text.startswith(f"Usage:  bakehouse {command}")
        assert offline.run("help", command).stdout == text
        assert offline.run(command, "-h").stdout == text


def test_flags_of_buildx_are_all_known(offline: Bakehouse, buildx: Path, tmp_path: Path) -> None:
    """Each flag that the real buildx shows is built or refused by name, never unknown."""
    write(tmp_path, {"docker-bake.hcl": 'target "default" {}\n'})
    for command, arguments in (("build", ["nowhere"]), ("bake", ["nosuch"])):
        text = subprocess.run(
            [buildx, command, "--help"],
            capture_output=True,
            text=True,
            env=os.environ | {"BUILDX_CONFIG": str(tmp_path)},
        ).stdout
        flags = re.findall(r"--([a-z-]+)(?: (string|stringArray|strings|bytes|ulimit))?  ", text)
        assert len(flags) > 15
        for name, kind in flags:
            if name == "help":
                continue
            spelled = f"--{name}=x" if kind else f"--{name}"
            done = offline.run(command, spelled, *arguments, cwd=tmp_path, check=False)
            assert done.returncode == 1
            assert "unknown flag" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["biuld"], "ERROR: unknown command: biuld\nhint: did you mean `build`?\n"),
        (["zzz"], "ERROR: unknown command: zzz\nhint: `bakehouse --help` lists the commands\n"),
        (["bake", "--no-chache"], "ERROR: unknown flag: --no-chache\nhint: did you mean --no-cache?\n"),
        (["build", "-zq", "."], "ERROR: unknown shorthand flag: 'z' in -zq\n"),
        (["build", ".", "--tag"], "ERROR: flag needs an argument: --tag\n"),
        (["build", ".", "-t"], "ERROR: flag needs an argument: 't' in -t\n"),
        (["build", "--label", "=x", "."], 'ERROR: invalid key-value pair "=x": empty key\n'),
        (
            ["build", "--quiet=maybe", "."],
            'ERROR: invalid argument "maybe" for "-q, --quiet" flag: '
            'strconv.ParseBool: parsing "maybe": invalid syntax\n',
        ),
        (
            ["build", "--progress=bogus", "."],
            "ERROR: invalid progress mode bogus\nhint: Use one of auto, plain, tty, quiet, rawjson.\n",
        ),
        (
            ["bake", "--progress=none"],
            "ERROR: invalid progress mode none\nhint: Use one of auto, plain, tty, quiet, rawjson.\n",
        ),
        (
            ["imagetools", "inspect"],
            "ERROR: `bakehouse imagetools` is not supported yet: registry tools are not there\n",
        ),
        (
            ["--builder", "other", "bake"],
            "ERROR: --builder other is not supported yet: only the embedded engine (`embedded`) is there\n",
        ),
    ],
)
def test_wrong_command_lines(offline: Bakehouse, tmp_path: Path, arguments: list[str], expected: str) -> None:
    done = offline.run(*arguments, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)


def test_empty_folder(offline: Bakehouse, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "couldn't find a bake definition" in failure(offline.run("bake", cwd=empty, check=False))
    assert "open Dockerfile: no such file or directory" in failure(
        offline.run("build", ".", cwd=empty, check=False)
    )
    assert "requires 1 argument" in failure(offline.run("build", cwd=empty, check=False))
    assert offline.run("images").stdout.split()[0] == "REPOSITORY"
    assert offline.run("du").stdout.endswith("Total:\t\t0B\n")
    assert not list(empty.iterdir())


def test_dockerfile_on_standard_input(offline: Bakehouse, tmp_path: Path) -> None:
    context = write(tmp_path / "c", {"a": "a\n"})
    offline.run("build", "-f", "-", "-o", "out", ".", cwd=context, input="FROM scratch\nCOPY a /b\n")
    assert (context / "out/b").read_text() == "a\n"
    offline.run("build", "-t", "text", "-", cwd=context, input="FROM scratch\nENV A=1\n")
    text = failure(offline.run("build", "-", cwd=context, input="FROM scratch\nCOPY a /b\n", check=False))
    assert ">>> COPY a /b" in text
    assert '"/a": not found' in text
    text = failure(offline.run("build", "-f", "x", "-", cwd=context, input="FROM scratch\n", check=False))
    assert "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles" in text
    failure(offline.run("build", "-f", "-", "-", cwd=context, input="FROM scratch\n", check=False))


def test_only_the_files_that_the_dockerfile_uses_are_read(offline: Bakehouse, tmp_path: Path) -> None:
    """C1: a named pipe would hang whoever opened it, a large file would be seen in the transfer."""
    context = write(tmp_path / "c", {"Dockerfile": "FROM scratch\nCOPY used /\n", "used": "u"})
    os.mkfifo(context / "pipe")
    (context / "large").write_bytes(b"x" * 5_000_000)
    for argument, cwd in ((".", context), ("c", tmp_path), (str(context), Path("/"))):
        done = offline.run(
            "build", "--progress=rawjson", "-o", f"{tmp_path}/out", argument, cwd=cwd, timeout=60
        )
        assert (tmp_path / "out/used").read_text() == "u"
        totals = [
            status.get("current", 0)
            for line in done.stderr.splitlines()
            for status in json.loads(line).get("statuses", ())
        ]
        assert max(totals) < 1_000_000


def test_output_into_head(offline: Bakehouse, tmp_path: Path) -> None:
    """A reader that leaves early: no traceback, no hang."""
    write(tmp_path, PROJECT | {"docker-bake.hcl": "".join(f'target "t{n}" {{}}\n' for n in range(3000))})
    shell = " ".join([*offline.argv("bake", "--print", "'*'"), "| head -1; exit ${PIPESTATUS[0]}"])
    for command in (shell, shell.replace("--print '*'", "--progress=plain t1 2>&1")):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=offline.environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr == ""
        assert done.stdout.count("\n") == 1
        assert done.returncode in (0, 141)


def test_printing_imports_nothing_of_the_engine(offline: Bakehouse, tmp_path: Path) -> None:
    write(tmp_path, {"docker-bake.hcl": 'target "default" {}\n'})
    script = (
        "import sys; from bakehouse.cli.main import main; code = main(['bake', '--print']); "
        "loaded = {name.split('.')[1] for name in sys.modules if name.startswith('bakehouse.')}; "
        "print(code, *sorted(loaded & {'builders', 'engine', 'store', 'progress', 'llb', 'dockerfile', 'registry'}), "
        "*[name for name in ('urllib3', 'dataclasses', 'typing', 're', 'json') if name in sys.modules], "
        "file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=offline.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.split()[0] == "0"
    assert set(done.stderr.split()[1:]) <= {"re"}


def test_a_build_without_a_registry_does_not_load_http(offline: Bakehouse, tmp_path: Path) -> None:
    write(tmp_path, PROJECT)
    script = (
        "import sys; from bakehouse.cli.main import main; code = main(['build', '-q', '.']); "
        "print(code, 'urllib3' in sys.modules, 'ssl' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=offline.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "0 False False\n"
