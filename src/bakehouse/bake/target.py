"""The values Bake deals in: a target with one attribute a field, a group, and the resolved set of both.

What a field is called, how it merges, is overridden and printed stands in `fields`; here are only the shapes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from bakehouse.bake.entries import (
        Attest,
        CacheEntry,
        Output,
        PolicyEntry,
        Resources,
        SecretEntry,
        SshEntry,
    )


class ContextBase:
    """Directories that relative contexts were written in, for `BUILDX_BAKE_FILE_RELATIVE_PATHS` (bake.md §18).

    A base is None where a value has none (overrides, standard input); `default` serves a target whose context is
    never set; `reference` names the target whose context was copied by `context = target.X.context`.
    """

    __slots__ = ("context", "contexts", "default", "reference")

    def __init__(self) -> None:
        self.default: str | None = None
        self.context: str | None = None
        self.reference = ""
        self.contexts: dict[str, str] = {}

    def copy(self) -> ContextBase:
        out = ContextBase()
        out.default, out.context, out.reference = self.default, self.context, self.reference
        out.contexts = dict(self.contexts)
        return out


class Target:
    """One build. Attributes carry the names of bake.md §11 with underscores.

    None means "not set". In a target that `Definition.resolve` returned, every collection is set (an empty one where
    nothing was given), `context` and `dockerfile` are set, and `inherits` is empty. Collections are values: replace
    them, never change them in place, since targets share them. `linked` marks a target that is only in the result
    because another one uses it through a `target:` context. `tree_path` is the directory of a remote definition's tree
    that is the context (`.` for its root), which the printed `context` names as a URL; None when the context is
    something else. `tree_paths` are those of named contexts, in the form in which a target is built.
    """

    __slots__ = (
        "annotations",
        "args",
        "attest",
        "base",
        "cache_from",
        "cache_to",
        "call",
        "context",
        "contexts",
        "description",
        "dockerfile",
        "dockerfile_inline",
        "entitlements",
        "extra_hosts",
        "inherits",
        "labels",
        "linked",
        "name",
        "network",
        "no_cache",
        "no_cache_filter",
        "output",
        "platforms",
        "policy",
        "pull",
        "resources",
        "secret",
        "shm_size",
        "ssh",
        "tags",
        "target",
        "tree_path",
        "tree_paths",
        "ulimits",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.linked = False
        self.tree_path: str | None = None
        self.tree_paths: dict[str, str] = {}
        self.base: ContextBase | None = None
        self.description: str | None = None
        self.inherits: list[str] | None = None
        self.annotations: list[str] | None = None
        self.attest: list[Attest] | None = None
        self.context: str | None = None
        self.contexts: dict[str, str] | None = None
        self.dockerfile: str | None = None
        self.dockerfile_inline: str | None = None
        self.args: dict[str, str] | None = None
        self.labels: dict[str, str] | None = None
        self.tags: list[str] | None = None
        self.cache_from: list[CacheEntry] | None = None
        self.cache_to: list[CacheEntry] | None = None
        self.target: str | None = None
        self.secret: list[SecretEntry] | None = None
        self.ssh: list[SshEntry] | None = None
        self.platforms: list[str] | None = None
        self.output: list[Output] | None = None
        self.pull: bool | None = None
        self.no_cache: bool | None = None
        self.network: str | None = None
        self.no_cache_filter: list[str] | None = None
        self.shm_size: str | None = None
        self.ulimits: list[str] | None = None
        self.resources: Resources | None = None
        self.call: str | None = None
        self.entitlements: list[str] | None = None
        self.extra_hosts: dict[str, str] | None = None
        self.policy: list[PolicyEntry] | None = None

    def copy(self) -> Target:
        """A target that shares every collection with this one."""
        out = Target.__new__(Target)
        for slot in Target.__slots__:
            setattr(out, slot, getattr(self, slot))
        if self.base is not None:
            out.base = self.base.copy()
        return out

    def __repr__(self) -> str:
        return f"Target({self.name!r})"


class Group:
    """A named list of target and group names. `targets` is None when the definition says null."""

    __slots__ = ("description", "name", "targets")

    def __init__(self, name: str, targets: Iterable[str] | None = (), description: str = "") -> None:
        self.name = name
        self.targets: list[str] | None = None if targets is None else list(targets)
        self.description = description

    def __repr__(self) -> str:
        return f"Group({self.name!r}, {self.targets!r})"


class Resolved:
    """What one command asks for: targets by name (selected and linked) and the groups reached, `default` included."""

    __slots__ = ("granted", "groups", "targets")

    def __init__(self, groups: dict[str, Group], targets: dict[str, Target], granted: Granted) -> None:
        self.groups = groups
        self.targets = targets
        self.granted = granted


class Granted:
    """Entitlements that override values carry (bake.md §23): who names a path on the command line allows it."""

    __slots__ = ("fs_read", "fs_write", "network_host", "security_insecure")

    def __init__(self) -> None:
        self.fs_read: list[str] = []
        self.fs_write: list[str] = []
        self.network_host = False
        self.security_insecure = False
