"""What is told of the git repository that a build's files come from (`BUILDX_GIT_INFO`, `BUILDX_GIT_LABELS`): commit,
remote, and where in it the directories of the build lie.

The git program is asked, once a command and directory, and only when somebody wants to know.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.engine.attest.materials import without_credentials
from bakehouse.go.values import FALSE, TRUE
from bakehouse.values import dataclass

REVISION_LABEL = "org.opencontainers.image.revision"
SOURCE_LABEL = "org.opencontainers.image.source"
ENTRYPOINT_LABEL = "com.docker.image.source.entrypoint"
_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Repository:
    """A work tree: its top directory, the commit that is checked out ("" for none yet), and the address of its remote
    without credentials."""

    root: str
    revision: str
    source: str

    def place_of(self, path: Path) -> str | None:
        """`path` from the top directory on; None outside of it."""
        place = os.path.relpath(os.path.realpath(path), self.root)
        return None if place.startswith("..") else place


class GitInfo:
    """Asks about directories of this machine. Not thread-safe, but harmless when two threads ask at once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._known: dict[str, Repository | None] = {}

    @property
    def told(self) -> bool:
        """Whether provenance is to tell of repositories: unless that is switched off."""
        return self._environ.get("BUILDX_GIT_INFO", "") not in FALSE

    @property
    def labelled(self) -> bool:
        """Whether images are to bear labels of it: not unless that is asked for."""
        return self._environ.get("BUILDX_GIT_LABELS", "") in {*TRUE, "full"}

    def repository(self, directory: Path) -> Repository | None:
        """The repository that `directory` is a part of, if any."""
        key = os.fspath(directory)
        if key not in self._known:
            self._known[key] = self._ask(key) if directory.is_dir() else None
        return self._known[key]

    def labels(self, directory: Path, dockerfile: Path) -> dict[str, str]:
        """The labels for an image made of `directory`."""
        found = self.repository(directory)
        if found is None:
            return {}
        labels = {REVISION_LABEL: found.revision, SOURCE_LABEL: found.source}
        place = os.path.relpath(os.path.abspath(dockerfile), found.root)
        if not place.startswith(".."):
            labels[ENTRYPOINT_LABEL] = place
        return {name: value for name, value in labels.items() if value}

    def attributes(self, directory: Path, local_dirs: Mapping[str, Path]) -> dict[str, str]:
        """The `vcs:` attributes of a build with `directory` as its context that reads the directories `local_dirs`."""
        found = self.repository(directory) if self.told else None
        if found is None:
            return {}
        out = {"vcs:revision": found.revision, "vcs:source": found.source}
        for name, path in local_dirs.items():
            place = found.place_of(path)
            if place is not None:
                out[f"vcs:localdir:{name}"] = place
        return {key: value for key, value in out.items() if value}

    # -- git ------------------------------------------------------------------------------------------------------

    def _ask(self, directory: str) -> Repository | None:
        inside = self._git(directory, "rev-parse", "--is-inside-work-tree", "--show-toplevel")
        lines = (inside or "").splitlines()
        if len(lines) != 2 or lines[0] != "true":
            return None
        revision = self._git(directory, "rev-parse", "--verify", "--quiet", "HEAD^{commit}") or ""
        if revision and self._is_dirty(directory):
            revision += "-dirty"
        return Repository(os.path.realpath(lines[1]), revision, without_credentials(self._remote(directory)))

    def _is_dirty(self, directory: str) -> bool:
        if self._environ.get("BUILDX_GIT_CHECK_DIRTY", "") not in TRUE:
            return False
        return self._git(directory, "status", "--porcelain", "--ignored") != ""

    def _remote(self, directory: str) -> str:
        """The address of the remote that the branch follows, else of `origin`, else of `upstream`."""
        branch = self._git(directory, "symbolic-ref", "-q", "HEAD")
        followed = branch and self._git(directory, "for-each-ref", "--format=%(upstream:remotename)", branch)
        for name in (followed, "origin", "upstream"):
            url = self._git(directory, "remote", "get-url", name) if name else None
            if url:
                return url
        return ""

    def _git(self, directory: str, *arguments: str) -> str | None:
        """What git prints, its first line's quotes left out; None when it fails, or is not there."""
        import subprocess

        argv: Sequence[str] = ("git", "-c", "log.showSignature=false", "-C", directory, *arguments)
        try:
            done = subprocess.run(
                argv,
                env={**self._environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode:
            return None
        return done.stdout.decode("utf-8", "surrogateescape").replace("'", "").rstrip("\n")
