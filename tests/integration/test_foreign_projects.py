"""Projects that other people wrote, built with the Dockerfiles they ship and run.

They are fetched as source packages from the package registry that pip is set up with, in pinned versions.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.integration.test_walkthroughs import fetch
from tests.support.command import Bakehouse
from tests.support.paths import CACHE
from tests.support.services import free_port, stop

pytestmark = pytest.mark.privileged


def source_package(name: str, version: str, tmp_path: Path) -> Path:
    """The unpacked source distribution `name==version`; downloads are kept in the cache folder."""
    folder = CACHE / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    pattern = f"{name}-{version}.tar.gz"
    if not (folder / pattern).exists():
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--no-binary",
                ":all:",
                "--dest",
                str(folder),
                f"{name}=={version}",
            ],
            check=True,
        )
    with tarfile.open(folder / pattern) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / f"{name}-{version}"


def test_pgcli_builds_and_runs(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """`FROM python`, `COPY . /app`, an editable install: a command-line program."""
    project = source_package("pgcli", "4.7.1", tmp_path)
    bakehouse.run("build", "-t", "pgcli", ".", cwd=project, timeout=900)
    assert "Version: 4.7.1" in bakehouse.run("run", "pgcli", "pgcli", "--version").stdout


def test_gunicorn_example_builds_and_answers(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """A Dockerfile below the context that copies the whole project and then one example of it; a server."""
    project = source_package("gunicorn", "27.0.1", tmp_path)
    bakehouse.run(
        "build", "-t", "chat", "-f", "examples/streaming_chat/Dockerfile", ".", cwd=project, timeout=900
    )
    port = free_port()
    process = bakehouse.start(
        "run",
        "-e",
        f"PORT={port}",
        "chat",
        "gunicorn",
        "streaming_chat.main:app",
        "-c",
        "streaming_chat/gunicorn_conf.py",
        "--bind",
        f"127.0.0.1:{port}",
    )
    try:
        assert "<html" in fetch(f"http://127.0.0.1:{port}/", process).lower()
    finally:
        stop(process)
