"""What targets lend their build, as `Session` values (session room), and which targets can share one."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.bake import Target
from bakehouse.builders.plan import PlannedTarget
from bakehouse.errors import DefinitionError, NotBuiltYetError, NotFoundError
from bakehouse.session import CredentialSource, Secret, Session


def compatible_groups(
    planned: Mapping[str, PlannedTarget], environ: Mapping[str, str], cwd: Path, credentials: CredentialSource
) -> list[tuple[list[str], Session]]:
    """Partitions targets so that no secret or SSH id means two things within a part; each part is one solve.

    Nearly always there is one part. Order is kept.
    """
    groups: list[tuple[list[str], dict[str, Secret], dict[str, Path]]] = []
    for name, item in planned.items():
        secrets = target_secrets(item.target, environ, cwd)
        agents = target_agents(item.target, environ)
        for names, known, sockets in groups:
            if all(known.get(key, value) == value for key, value in secrets.items()) and all(
                sockets.get(key, value) == value for key, value in agents.items()
            ):
                names.append(name)
                known.update(secrets)
                sockets.update(agents)
                break
        else:
            groups.append(([name], secrets, agents))
    return [
        (names, _session(planned, names, secrets, agents, credentials)) for names, secrets, agents in groups
    ]


def _session(
    planned: Mapping[str, PlannedTarget],
    names: Sequence[str],
    secrets: dict[str, Secret],
    agents: dict[str, Path],
    credentials: CredentialSource,
) -> Session:
    local_dirs: dict[str, Path] = {}
    layouts: dict[str, Path] = {}
    for name in names:
        local_dirs |= planned[name].local_dirs
        layouts |= planned[name].oci_layouts
    return Session(local_dirs, secrets, agents, layouts, credentials)


def target_secrets(target: Target, environ: Mapping[str, str], cwd: Path) -> dict[str, Secret]:
    """The secrets of a target by id. Raises `NotFoundError` for a file that is not there."""
    secrets = {}
    for entry in target.secret or ():
        source = entry.resolved(environ)
        if source.env and source.env in environ:
            secrets[entry.id] = Secret(entry.id, value=environ[source.env].encode("utf-8", "surrogateescape"))
        elif source.src:
            path = cwd / Path(source.src).expanduser()
            if not path.is_file():
                raise NotFoundError(
                    f"failed to stat {source.src}: stat {source.src}: no such file or directory",
                    code="secret-not-found",
                    hint=f"secret {entry.id}: give a file with src=, or a variable with env=",
                )
            secrets[entry.id] = Secret(entry.id, path=path)
    return secrets


def target_agents(target: Target, environ: Mapping[str, str]) -> dict[str, Path]:
    """The SSH agent sockets of a target by id."""
    agents = {}
    for entry in target.ssh or ():
        id = entry.id or "default"
        text = entry.paths[0] if entry.paths else environ.get("SSH_AUTH_SOCK", "")
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
