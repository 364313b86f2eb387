"""What each target lends its build: secrets, SSH agents, registry credentials."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bakehouse.bake import Target
from bakehouse.bake.checks import effective_ssh
from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.session import UPLOAD_HOST, CredentialSource, NoCredentials, Secret, Session, Upload
from bakehouse.values import dataclass


@dataclass(frozen=True, slots=True)
class Lent:
    """What one target was lent, by id."""

    secrets: Mapping[str, Secret]
    agents: Mapping[str, Path]


class Lender:
    """Finds what targets lend, each target's once. Relative paths start from `cwd`. A context manager, at whose end the
    agents are gone that were started for key files."""

    def __init__(
        self, environ: Mapping[str, str], cwd: Path, credentials: CredentialSource | None = None
    ) -> None:
        self._environ = environ
        self._cwd = cwd
        self.credentials = credentials or NoCredentials()
        self.uploads: dict[str, Upload] = {}
        self._known: dict[str, Lent] = {}
        self._key_agents: dict[tuple[Path, ...], Path] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Lender:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def lent(self, target: Target) -> Lent:
        """Raises `NotFoundError` for a secret's file that is not there, `DefinitionError` for an agent without one."""
        known = self._known.get(target.name)
        if known is None:
            known = self._known[target.name] = Lent(self._secrets(target), self._agents(target))
        return known

    def _key_agent(self, keys: tuple[Path, ...]) -> Path:
        """The socket of an agent with these keys, one for all targets that were lent the same."""
        from bakehouse.builders.key_agents import key_agent

        if keys not in self._key_agents:
            self._key_agents[keys] = self._stack.enter_context(key_agent(keys, self._environ))
        return self._key_agents[keys]

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
            text = self._environ.get("SSH_AUTH_SOCK", "")
            if not (text or entry.paths):
                raise DefinitionError(
                    f"invalid empty ssh agent socket for {id}: make sure SSH_AUTH_SOCK is set",
                    code="ssh-agent-missing",
                )
            paths = tuple(self._cwd / part for part in entry.paths or (text,))
            agents[id] = paths[0] if _is_socket(paths[0]) else self._key_agent(paths)
        return agents


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False
