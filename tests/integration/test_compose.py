"""A Compose project is baked: its services become images that hold what the files say."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.command import Bakehouse

_COMPOSE = """
services:
  web.app:
    image: example/web:${TAG:-dev}
    environment: {COMMIT: abc}
    build:
      context: ./web
      args: {GREETING: "hello $$USER", COMMIT: }
      labels: {team: a}
      additional_contexts: {common: "service:common"}
      secrets: [token]
      x-bake: {output: ["type=oci,dest=web.tar,tar=false"]}
  common:
    build:
      dockerfile_inline: |
        FROM scratch
        COPY shared.txt /
  db:
    image: postgres
secrets:
  token: {environment: TOKEN}
"""


def test_services_are_built_and_linked(offline: Bakehouse, tmp_path: Path) -> None:
    """A13, and the values of `build` reach the build: arguments, labels, a context that is another service."""
    (tmp_path / "web").mkdir()
    (tmp_path / "shared.txt").write_text("shared\n")
    (tmp_path / "compose.yaml").write_text(_COMPOSE)
    (tmp_path / ".env").write_text("TAG=1.4\n")
    (tmp_path / "web" / "Dockerfile").write_text(
        'FROM scratch\nARG GREETING COMMIT\nLABEL greeting="$GREETING" commit="$COMMIT"\nCOPY --from=common / /\n'
    )
    (tmp_path / "docker-bake.hcl").write_text('target "web_app" { labels = { from = "bake" } }\n')
    done = offline.run("bake", "--metadata-file", "meta.json", cwd=tmp_path, env={"TOKEN": "t"})
    assert "web_app" in done.stderr
    assert set(json.loads((tmp_path / "meta.json").read_text())) == {"web_app", "common"}
    layout = tmp_path / "web.tar"
    blobs = [path.read_bytes() for path in (layout / "blobs" / "sha256").iterdir()]
    config = next(json.loads(blob) for blob in blobs if blob.startswith(b"{") and b'"rootfs"' in blob)
    assert config["config"]["Labels"] == {
        "greeting": "hello $USER",
        "commit": "abc",
        "team": "a",
        "from": "bake",
    }
    assert b"example/web:1.4" in (layout / "index.json").read_bytes()
    assert len(config["rootfs"]["diff_ids"]) == 1


def test_files_outside_the_working_directory_need_a_word(offline: Bakehouse, tmp_path: Path) -> None:
    """What an environment file says ends up in an image, so reading one is a privilege as a context is."""
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "keys.env").write_text("KEY=hunter2\n")
    (project / "Dockerfile").write_text("FROM scratch\nARG KEY\nLABEL key=$KEY\nCOPY Dockerfile /\n")
    (project / "compose.yaml").write_text("services: {a: {env_file: ../keys.env, build: {args: [KEY]}}}\n")
    done = offline.run("bake", cwd=project, check=False)
    assert done.returncode == 1
    assert "Read access to path ../keys.env" in done.stderr
    assert "hunter2" not in done.stderr
    offline.run("bake", "--allow", "fs.read=..", cwd=project)


def test_a_fault_builds_nothing(offline: Bakehouse, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  a:\n    build:\n      contxt: .\n")
    done = offline.run("bake", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "compose.yaml:4\n--------------------\n   2 |       a:\n   3 |         build:\n"
        "   4 | >>>       contxt: .\n   5 |     \n--------------------\n"
        "ERROR: services.a.build additional properties 'contxt' not allowed\n"
        'hint: Did you mean "context"?\n'
    )
