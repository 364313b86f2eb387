"""Git repositories for tests, with settled authors and times, and git's own protocol on loopback."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.services import free_port, stop, wait_for_port

GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_AUTHOR_DATE": "1500000000 +0000",
    "GIT_COMMITTER_DATE": "1500000000 +0000",
}


def git(directory: Path, *arguments: str) -> str:
    """Runs git in `directory` with settled names and times and no settings of the machine; its output."""
    command = ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(
        command, cwd=directory, env=GIT_ENVIRONMENT, check=True, capture_output=True, text=True
    ).stdout.strip()


def write_files(root: Path, files: Mapping[str, str | bytes | None]) -> None:
    """Writes `files`, by path below `root`. A text that begins with `->` is a symbolic link; None removes a file."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        elif isinstance(content, bytes):
            path.write_bytes(content)
        elif content.startswith("->"):
            path.symlink_to(content[2:])
        else:
            path.write_text(content)


def commit(repository: Path, files: Mapping[str, str | bytes | None], message: str = "m") -> str:
    """Writes `files` and commits everything; the commit. Makes the repository when there is none."""
    if not (repository / ".git").exists():
        repository.mkdir(parents=True, exist_ok=True)
        git(repository, "init")
        # What a public host allows: any commit that it has may be asked for.
        git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    write_files(repository, files)
    git(repository, "add", "-A")
    git(repository, "commit", "--allow-empty", "-m", message)
    return git(repository, "rev-parse", "HEAD")


class Repository:
    """A repository below a server's root: `bare` is what is served, `work` where commits are made."""

    def __init__(self, root: Path, name: str) -> None:
        self.bare = root / name
        self.work = root.parent / f"work-{root.name}-{name}"
        self.work.mkdir(parents=True)
        self.bare.mkdir(parents=True)
        git(self.bare, "init", "--quiet", "--bare", ".")
        git(self.bare, "config", "uploadpack.allowAnySHA1InWant", "true")
        git(self.bare, "config", "http.receivepack", "false")
        git(self.work, "init", "--quiet", ".")
        git(self.work, "remote", "add", "origin", str(self.bare))

    def commit(self, files: Mapping[str, str | bytes | None], *, branch: str = "main", tag: str = "") -> str:
        """Commits `files` on top of `branch` (made when it is not there) and publishes it; the commit's name."""
        if git(self.work, "branch", "--show-current") != branch:
            known = git(self.work, "branch", "--list", branch)
            git(self.work, "checkout", "--quiet", *([branch] if known else ["-b", branch]))
        write_files(self.work, files)
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "--allow-empty", "-m", "change")
        if tag:
            git(self.work, "tag", "-a", "-m", tag, tag)
        git(self.work, "push", "--quiet", "--tags", "origin", branch)
        return git(self.work, "rev-parse", "HEAD")


@dataclass(frozen=True)
class SampleRepository:
    """`app.git`, with a submodule, branches, tags and a pull request; `first` is the commit that most of them name."""

    path: Path
    first: str
    last: str


_SAMPLE = {
    "Dockerfile": "FROM scratch\nCOPY . /\n",
    "other": "FROM scratch\nCOPY a /other\n",
    ".dockerignore": "a\n",
    "a": "one\n",
    "myfolder/Dockerfile": "FROM scratch\nCOPY . /folder/\n",
    "myfolder/b": "b\n",
    "docs/text": "no Dockerfile here\n",
    "lower/dockerfile": "FROM scratch\nCOPY . /lower/\n",
}


def sample_repository(root: Path, submodule_url: str) -> SampleRepository:
    """Makes `root/app.git` and `root/module.git`, which `submodule_url` must lead to."""
    commit(root / "module.git", {"inner": "inner\n"})
    path = root / "app.git"
    first = commit(path, _SAMPLE)
    os.symlink("a", path / "link")
    (path / "run.sh").write_text("#!/bin/sh\n")
    (path / "run.sh").chmod(0o755)
    first = commit(path, {"a": "two\n"})
    git(path, "tag", "mytag")
    git(path, "tag", "-a", "annotated", "-m", "tag")
    git(path, "branch", "mybranch")
    git(path, "update-ref", "refs/pull/42/head", first)
    (path / ".gitmodules").write_text(f'[submodule "m"]\n\tpath = m\n\turl = {submodule_url}\n')
    module = git(root / "module.git", "rev-parse", "HEAD")
    git(path, "update-index", "--add", "--cacheinfo", f"160000,{module},m")
    (path / "m").mkdir()
    git(path, "add", ".gitmodules")
    git(path, "commit", "-m", "submodule")
    last = git(path, "rev-parse", "HEAD")
    return SampleRepository(path, first, last)


@contextmanager
def running_git_daemon(root: Path) -> Iterator[str]:
    """git's own protocol for the repositories below `root`; `127.0.0.1:PORT`."""
    port = free_port()
    process = subprocess.Popen(
        [
            *("git", "daemon", "--export-all", f"--base-path={root}", "--reuseaddr"),
            *("--listen=127.0.0.1", f"--port={port}", str(root)),
        ],
        env=GIT_ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        wait_for_port(port)
        yield f"127.0.0.1:{port}"
    finally:
        # The daemon's children go with its session.
        stop(process)
