"""Corners of a build that once went wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import bases
from tests.support.command import Bakehouse


def context_of(tmp_path: Path, dockerfile: str) -> Path:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(dockerfile)
    return context


@pytest.mark.privileged
def test_an_image_may_hold_the_same_layer_twice(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """Two steps that change nothing give the same (empty) layer; such an image runs and serves as a base."""
    context = context_of(tmp_path, "FROM busybox\nRUN true\nRUN echo x > /x\nRUN true || false\n")
    bakehouse.run("build", "-t", "twice", ".", cwd=context)
    assert bakehouse.run("run", "twice", "cat", "/x").stdout == "x\n"
    (context / "Dockerfile").write_text("FROM twice\nRUN cat /x > /y\nCMD cat /y\n")
    bakehouse.run("build", "-t", "child", ".", cwd=context)
    assert bakehouse.run("run", "child").stdout == "x\n"


def test_an_oci_layout_is_a_named_context(offline: Bakehouse, tmp_path: Path) -> None:
    """B4: `oci-layout://` by tag and by digest, in FROM and in COPY --from."""
    base = next(item for item in bases.IMAGES if item.key == "nginx")
    layout = bases.layout(base)
    context = context_of(
        tmp_path,
        "FROM base AS a\nFROM scratch\nCOPY --from=base /etc/nginx/nginx.conf /one\nCOPY --from=a /etc/passwd /two\n",
    )
    offline.run(
        "build",
        "--build-context",
        f"base=oci-layout://{layout}:latest",
        "-o",
        "type=local,dest=out",
        ".",
        cwd=context,
    )
    assert "listen 80" in (context / "out" / "one").read_text()
    assert "root:" in (context / "out" / "two").read_text()


@pytest.mark.parametrize(
    "line",
    [
        "docker/dockerfile:1",
        "docker/dockerfile:1.7-labs",
        "docker.io/docker/dockerfile:1.4",
        "docker/dockerfile",
    ],
)
def test_the_official_syntax_is_accepted_offline(offline: Bakehouse, tmp_path: Path, line: str) -> None:
    """D5."""
    context = context_of(tmp_path, f"# syntax={line}\nFROM scratch\nCOPY Dockerfile /\n")
    offline.run("build", ".", cwd=context)


def test_another_frontend_is_refused_by_name(offline: Bakehouse, tmp_path: Path) -> None:
    context = context_of(tmp_path, "# syntax=example/own:1\nFROM scratch\nCOPY Dockerfile /\n")
    done: subprocess.CompletedProcess[str] = offline.run("build", ".", cwd=context, check=False)
    assert done.returncode == 1
    assert "example/own:1 is not supported yet" in done.stderr
    assert ">>> # syntax=example/own:1" in done.stderr
