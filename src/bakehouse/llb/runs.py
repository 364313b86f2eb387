"""Exec ops under construction: mounts, secrets, ssh sockets and the capabilities they ask for (engine.md §3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bakehouse.errors import DefinitionError
from bakehouse.llb import caps
from bakehouse.llb.draft import Constraints, InputList, Node, Output, SealDefaults, finish
from bakehouse.llb.ops import (
    CONTENT_CACHE_DEFAULT,
    MOUNT_BIND,
    MOUNT_CACHE,
    MOUNT_SECRET,
    MOUNT_SSH,
    MOUNT_TMPFS,
    NETWORK_SANDBOX,
    SECURITY_INSECURE,
    SECURITY_SANDBOX,
    CacheOpt,
    CdiDevice,
    Edge,
    ExecOp,
    LlbPlatform,
    Meta,
    Mount,
    SecretEnv,
    SecretOpt,
    Vertex,
)
from bakehouse.values import dataclass, replace

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SSH_AUTH_SOCK = "SSH_AUTH_SOCK"


@dataclass(frozen=True, slots=True)
class RunMount:
    """A mount of a tree, a cache or a tmpfs. `source` None is an empty tree; `no_output` discards what is written."""

    target: str
    source: Output | None = None
    selector: str = ""
    readonly: bool = False
    no_output: bool = False
    cache: CacheOpt | None = None
    tmpfs_size: int | None = None
    content_cache: int = CONTENT_CACHE_DEFAULT

    @property
    def has_output(self) -> bool:
        return not (self.readonly or self.no_output or self.cache is not None or self.tmpfs_size is not None)


@dataclass(frozen=True, slots=True)
class RunSecret:
    """A secret as a file at `target`, as the environment variable `env`, or both."""

    option: SecretOpt
    target: str | None
    env: str | None = None


@dataclass(frozen=True, slots=True)
class RunSsh:
    """An agent socket at `target`; empty: the engine's usual place, numbered."""

    option: SecretOpt
    target: str = ""


class RunNode(Node):
    """One process. `meta.env` already holds everything but what mounts add. The root is mounted at `/` and is output
    number 0; `root` None starts from an empty tree."""

    def __init__(
        self,
        root: Output | None,
        meta: Meta,
        constraints: Constraints,
        *,
        root_readonly: bool = False,
        platform: LlbPlatform | None = None,
        mounts: Sequence[RunMount] = (),
        secrets: Sequence[RunSecret] = (),
        ssh: Sequence[RunSsh] = (),
        devices: Sequence[CdiDevice] = (),
        network: int = NETWORK_SANDBOX,
        security: int = SECURITY_SANDBOX,
    ) -> None:
        root_mount = RunMount("/", root, readonly=root_readonly)
        self.mounts = sorted([root_mount, *mounts], key=lambda mount: mount.target.encode("utf-8", "replace"))
        self.meta = meta
        self.platform = platform
        self.secrets = tuple(secrets)
        self.ssh = tuple(
            replace(socket, target=socket.target or f"/run/buildkit/ssh_agent.{number}")
            for number, socket in enumerate(ssh)
        )
        self.devices = tuple(devices)
        self.network = network
        self.security = security
        self.constraints = constraints

    def output_index(self, target: str) -> int:
        """The output that holds what is written below `target`. Raises `KeyError` when nothing is kept of it."""
        targets = [mount.target for mount in self.mounts if mount.has_output]
        if target not in targets:
            raise KeyError(target)
        return targets.index(target)

    def dependencies(self) -> Sequence[Output]:
        return [mount.source for mount in self.mounts if mount.source is not None]

    def seal(self, edges: Callable[[Output], Edge], defaults: SealDefaults) -> Vertex:
        """Raises `DefinitionError` (code `invalid-run`) when there is nothing to run."""
        if not self.meta.args:
            raise DefinitionError(
                "arguments are required",
                code="invalid-run",
                hint="write what RUN is to run, or leave the line out",
            )
        inputs = InputList()
        mounts: list[Mount] = []
        outputs = 0
        for mount in self.mounts:
            index = -1 if mount.source is None else inputs.add(edges(mount.source))
            mounts.append(_tree_mount(mount, index, outputs if mount.has_output else -1))
            outputs += mount.has_output
        mounts += [
            Mount(secret.target, mount_type=MOUNT_SECRET, secret=secret.option)
            for secret in self.secrets
            if secret.target is not None
        ]
        mounts += [Mount(socket.target, mount_type=MOUNT_SSH, ssh=socket.option) for socket in self.ssh]
        op = ExecOp(
            self._meta(defaults),
            tuple(mounts),
            self.network,
            self.security,
            tuple(
                SecretEnv(secret.option.id, secret.env, secret.option.optional)
                for secret in self.secrets
                if secret.env is not None
            ),
            self.devices,
        )
        constraints = self.constraints.with_caps(*self._caps(defaults))
        platform = constraints.platform or self.platform or defaults.platform
        visits = [edges(output) for output in self.dependencies()]
        return finish(op, inputs.edges, constraints, platform, visits)

    def _meta(self, defaults: SealDefaults) -> Meta:
        env = self.meta.env
        names = {entry.partition("=")[0] for entry in env}
        if self.ssh and _SSH_AUTH_SOCK not in names:
            env = (*env, f"{_SSH_AUTH_SOCK}={self.ssh[0].target}")
        engine_sets_path = caps.EXEC_META_SETS_DEFAULT_PATH not in defaults.ignored_caps
        if not engine_sets_path and "PATH" not in names and defaults.platform.os != "windows":
            env = (*env, f"PATH={DEFAULT_PATH}")
        return replace(self.meta, env=env)

    def _caps(self, defaults: SealDefaults) -> set[str]:
        wanted = {caps.EXEC_META_BASE}
        conditions = (
            (
                caps.EXEC_META_SETS_DEFAULT_PATH,
                caps.EXEC_META_SETS_DEFAULT_PATH not in defaults.ignored_caps,
            ),
            (caps.EXEC_VALID_EXIT_CODE, bool(self.meta.valid_exit_codes)),
            (caps.EXEC_META_ULIMIT, bool(self.meta.ulimits)),
            (caps.EXEC_META_LINUX_RESOURCES, self.constraints.resources is not None),
            (caps.EXEC_META_NETWORK, self.network != NETWORK_SANDBOX),
            (caps.EXEC_META_SECURITY, self.security == SECURITY_INSECURE),
            (caps.EXEC_META_PROXY, self.meta.proxy_env is not None),
            (caps.EXEC_MOUNT_SECRET, bool(self.secrets)),
            (caps.EXEC_SECRET_ENV, any(secret.env is not None for secret in self.secrets)),
            (caps.EXEC_MOUNT_SSH, bool(self.ssh)),
            (caps.EXEC_META_CDI, bool(self.devices)),
        )
        wanted.update(cap for cap, needed in conditions if needed)
        for mount in self.mounts:
            wanted.update(_mount_caps(mount))
        return wanted


def _tree_mount(mount: RunMount, index: int, output: int) -> Mount:
    kind = MOUNT_BIND
    if mount.cache is not None:
        kind = MOUNT_CACHE
    if mount.tmpfs_size is not None:
        kind = MOUNT_TMPFS
    return Mount(
        mount.target,
        index,
        mount.selector,
        output,
        mount.readonly,
        kind,
        tmpfs_size=mount.tmpfs_size,
        cache=mount.cache,
        content_cache=mount.content_cache,
    )


def _mount_caps(mount: RunMount) -> set[str]:
    wanted = set()
    if mount.selector:
        wanted.add(caps.EXEC_MOUNT_SELECTOR)
    if mount.cache is not None:
        wanted |= {caps.EXEC_MOUNT_CACHE, caps.EXEC_MOUNT_CACHE_SHARING}
    elif mount.tmpfs_size is not None:
        wanted.add(caps.EXEC_MOUNT_TMPFS)
        if mount.tmpfs_size > 0:
            wanted.add(caps.EXEC_MOUNT_TMPFS_SIZE)
    elif mount.source is not None:
        wanted.add(caps.EXEC_MOUNT_BIND)
    if mount.content_cache != CONTENT_CACHE_DEFAULT:
        wanted.add(caps.EXEC_MOUNT_CONTENT_CACHE)
    return wanted
