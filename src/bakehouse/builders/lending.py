"""What each target lends its build: secrets, SSH agents, registry credentials."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from bakehouse.bake import Target
from bakehouse.bake.checks import effective_ssh
from bakehouse.errors import DefinitionError, NotBuiltYetError, NotFoundError
from bakehouse.session import UPLOAD_HOST, CredentialSource, NoCredentials, Secret, Session, Upload
from bakehouse.values import dataclass


@dataclass(frozen=True, slots=True)
class Lent:
    """What one target was lent, by id."""

    secrets: Mapping[str, Secret]
    agents: Mapping[str, Path]


class Lender:
    """Finds what targets lend, each target's once. Relative paths start from `cwd`."""

    def __init__(
        self, environ: Mapping[str, str], cwd: Path, credentials: CredentialSource | None = None
    ) -> None:
        self._environ = environ
        self._cwd = cwd
        self.credentials = credentials or NoCredentials()
        self.uploads: dict[str, Upload] = {}
        self._known: dict[str, Lent] = {}

    def lent(self, target: Target) -> Lent:
        """Raises `NotFoundError` for a secret's file that is not there, `DefinitionError` for an agent without one."""
        known = self._known.get(target.name)
        if known is None:
            known = self._known[target.name] = Lent(self._secrets(target), self._agents(target))
        return known

    def session(self, target: Target) -> Session:
        """What a source of `target` may ask for while the build is planned."""
        lent = self.lent(target)
        return Session(
            secrets=lent.secrets, ssh=lent.agents, credentials=self.credentials, uploads=self.uploads
        )

    def upload(self, stream: Upload) -> str:
        """Lends a stream to every target; the URL at which sources find it."""
        id = os.urandom(16).hex()
        self.uploads[id] = stream
        return f"http://{UPLOAD_HOST}/{id}"

    def _secrets(self, target: Target) -> dict[str, Secret]:
        secrets = {}
        for entry in target.secret or ():
            source = entry.resolved(self._environ)
            if source.env and source.env in self._environ:
                value = self._environ[source.env].encode("utf-8", "surrogateescape")
                secrets[entry.id] = Secret(entry.id, value=value)
            elif source.src:
                path = self._cwd / Path(source.src).expanduser()
                if not path.is_file():
                    raise NotFoundError(
                        f"failed to stat {source.src}: stat {source.src}: no such file or directory",
                        code="secret-not-found",
                        hint=f"secret {entry.id}: give a file with src=, or a variable with env=",
                    )
                secrets[entry.id] = Secret(entry.id, path=path)
        return secrets

    def _agents(self, target: Target) -> dict[str, Path]:
        agents = {}
        for entry in effective_ssh(target, None):
            id = entry.id or "default"
            text = entry.paths[0] if entry.paths else self._environ.get("SSH_AUTH_SOCK", "")
            if not text:
                raise DefinitionError(
                    f"invalid empty ssh agent socket for {id}: make sure SSH_AUTH_SOCK is set",
                    code="ssh-agent-missing",
                )
            path = Path(text)
            if len(entry.paths) > 1 or not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
                raise NotBuiltYetError(
                    f"ssh {id}: only an agent's socket can be forwarded so far, not key files",
                    hint="start ssh-agent, ssh-add the key, and give the socket (or nothing)",
                )
            agents[id] = path
        return agents
