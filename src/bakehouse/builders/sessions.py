"""What targets lend their build, as `Session` values (session room), and which targets can share one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.builders.lending import Lender, Lent
from bakehouse.builders.named_contexts import links_of
from bakehouse.builders.plan import PlannedTarget
from bakehouse.engine.graph import post_order
from bakehouse.llb.ops import ExecOp, Vertex
from bakehouse.session import Secret, Session


def compatible_groups(
    planned: Mapping[str, PlannedTarget], lender: Lender
) -> list[tuple[list[str], Session]]:
    """Partitions targets so that within a part no secret or SSH agent means two things to steps that use it; each part
    is one solve. A target's steps see what the target itself was lent, never what only another one was.

    Nearly always there is one part. Targets that others link to come before them.
    """
    groups: list[_Part] = []
    for name in linked_first(planned):
        item = planned[name]
        lent = lender.lent(item.target)
        used = _used_ids(item, [planned[link] for link in links_of(item.target)])
        for part in groups:
            if part.takes(lent, used):
                break
        else:
            part = _Part()
            groups.append(part)
        part.add(name, lent, used)
    return [(part.names, _session(planned, part.names, part.secrets, part.agents, lender)) for part in groups]


class _Part:
    """Targets that share a session. `demands` are the ids that their steps use, with what they stand for (None:
    nothing, since the target was lent none)."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.secrets: dict[str, Secret] = {}
        self.agents: dict[str, Path] = {}
        self._demands: dict[tuple[str, str], object] = {}

    def takes(self, lent: Lent, used: frozenset[tuple[str, str]]) -> bool:
        mine = _as_demands(lent)
        known = _as_demands(Lent(self.secrets, self.agents))
        return (
            all(known.get(key, value) == value for key, value in mine.items())
            and all(known.get(key) == mine.get(key) or key not in known for key in used)
            and all(mine.get(key, value) == value for key, value in self._demands.items())
        )

    def add(self, name: str, lent: Lent, used: frozenset[tuple[str, str]]) -> None:
        self.names.append(name)
        self.secrets.update(lent.secrets)
        self.agents.update(lent.agents)
        mine = _as_demands(lent)
        self._demands.update({key: mine.get(key) for key in used})


def _as_demands(lent: Lent) -> dict[tuple[str, str], object]:
    return {("secret", id): value for id, value in lent.secrets.items()} | {
        ("ssh", id): value for id, value in lent.agents.items()
    }


def linked_first(planned: Mapping[str, PlannedTarget]) -> list[str]:
    """The names of all targets, those that others link to before them, otherwise in their order."""
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in order:
            for link in links_of(planned[name].target):
                visit(link)
            order[name] = None

    for name in planned:
        visit(name)
    return list(order)


def _used_ids(item: PlannedTarget, linked: Sequence[PlannedTarget]) -> frozenset[tuple[str, str]]:
    """(kind, id) of the secrets and agents that the target's own steps mount; linked targets' are not its own."""
    foreign = {vertex.digest for other in linked for vertex in _vertices(other)}
    used: set[tuple[str, str]] = set()
    for vertex in _vertices(item):
        if isinstance(vertex.op, ExecOp) and vertex.digest not in foreign:
            used |= {("secret", mount.secret.id) for mount in vertex.op.mounts if mount.secret is not None}
            used |= {("ssh", mount.ssh.id) for mount in vertex.op.mounts if mount.ssh is not None}
            used |= {("secret", entry.id) for entry in vertex.op.secret_env}
    return frozenset(used)


def _vertices(item: PlannedTarget) -> list[Vertex]:
    return post_order([platform.edge for platform in item.lowered.platforms if platform.edge is not None])


def _session(
    planned: Mapping[str, PlannedTarget],
    names: Sequence[str],
    secrets: dict[str, Secret],
    agents: dict[str, Path],
    lender: Lender,
) -> Session:
    local_dirs: dict[str, Path] = {}
    layouts: dict[str, Path] = {}
    for name in names:
        local_dirs |= planned[name].local_dirs
        layouts |= planned[name].oci_layouts
    return Session(local_dirs, secrets, agents, layouts, lender.credentials, lender.uploads)
