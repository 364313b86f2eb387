"""`RUN --mount`: bind, cache, tmpfs, secret and ssh mounts (dockerfile.md §8.2)."""

from __future__ import annotations

from collections.abc import Sequence

from bakehouse.dockerfile import mounts as kinds
from bakehouse.dockerfile.instructions import RunCommand
from bakehouse.dockerfile.lowering.conversion import Conversion
from bakehouse.dockerfile.lowering.outline import Lent
from bakehouse.dockerfile.lowering.paths import WINDOWS, is_absolute, to_slash
from bakehouse.dockerfile.lowering.stages import SCRATCH, StageState
from bakehouse.dockerfile.mounts import Mount
from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.go.paths import base_name, clean_path, join_path
from bakehouse.go.text import quote
from bakehouse.llb import caps, state
from bakehouse.llb.draft import Constraints
from bakehouse.llb.ops import (
    CACHE_LOCKED,
    CACHE_PRIVATE,
    CACHE_SHARED,
    CacheOpt,
    Chown,
    MkDir,
    SecretOpt,
    User,
)
from bakehouse.llb.runs import RunMount, RunSecret, RunSsh
from bakehouse.llb.state import State
from bakehouse.values import dataclass, field, replace

_SHARING = {kinds.PRIVATE: CACHE_PRIVATE, kinds.LOCKED: CACHE_LOCKED}
_CACHE_DIRECTORY = "/cache"


@dataclass(slots=True)
class RunMounts:
    """The mounts of one RUN by kind."""

    trees: list[RunMount] = field(default_factory=list)
    secrets: list[RunSecret] = field(default_factory=list)
    ssh: list[RunSsh] = field(default_factory=list)


def lower_mounts(
    conversion: Conversion, stage: StageState, command: RunCommand, sources: Sequence[StageState]
) -> RunMounts:
    """The mounts of `command`; `sources` are the stages that they name, one each. Raises `DockerfileError`."""
    out = RunMounts()
    for mount, source in zip(command.mounts, sources, strict=True):
        if mount.from_ == "" and mount.type == kinds.CACHE:
            mount = replace(mount, from_=SCRATCH)
        if mount.from_ and not source.dispatched:
            raise DockerfileError(
                f"cannot mount from stage {quote(mount.from_)} to {quote(mount.target)}, stage needs to be defined "
                "before current command",
                code="stage-not-defined-yet",
            )
        if mount.type == kinds.SECRET:
            secret = _secret(stage, mount)
            out.secrets.append(secret)
            stage.outline.secrets.setdefault(secret.option.id, Lent(mount.required, command.location))
        elif mount.type == kinds.SSH:
            out.ssh.append(_ssh(mount))
            stage.outline.ssh.setdefault(mount.cache_id or "default", Lent(mount.required, command.location))
        else:
            out.trees.append(_tree(conversion, stage, mount, source))
            reader = source.paths if mount.from_ else stage.context_paths
            reader.add(join_path("/", mount.source))
    return out


def _tree(conversion: Conversion, stage: StageState, mount: Mount, source: StageState) -> RunMount:
    tree = source.state if mount.from_ else conversion.context
    if mount.type == kinds.TMPFS:
        tree = state.scratch()
    target = _target(stage, mount)
    selector = join_path("/", mount.source)
    if selector == "/":
        selector = ""
        if (mount.uid, mount.gid, mount.mode) != (None, None, None):
            tree = _owned_cache(mount, tree)
            selector = _CACHE_DIRECTORY
    discarded = mount.type == kinds.BIND and conversion.supports(caps.EXEC_MOUNT_BIND_READ_WRITE_NO_OUTPUT)
    return RunMount(
        target,
        tree.output,
        selector=selector,
        readonly=mount.read_only,
        no_output=discarded and not mount.read_only,
        cache=_cache_option(conversion, mount),
        tmpfs_size=mount.size_limit if mount.type == kinds.TMPFS else None,
    )


def _target(stage: StageState, mount: Mount) -> str:
    target = mount.target
    if not clean_path(target).startswith("/"):
        target = join_path("/", stage.state.directory, target)
    if target == "/":
        raise DockerfileError(
            f"invalid mount target {quote(target)}",
            code="invalid-mount-target",
            hint="Name a directory below the root with target=.",
        )
    return target


def _cache_option(conversion: Conversion, mount: Mount) -> CacheOpt | None:
    if mount.type != kinds.CACHE:
        return None
    identifier = mount.cache_id or clean_path(mount.target)
    sharing = _SHARING.get(mount.cache_sharing, CACHE_SHARED)
    return CacheOpt(f"{conversion.request.cache_mount_namespace}/{identifier}", sharing)


def _owned_cache(mount: Mount, tree: State) -> State:
    """`tree` with a directory of the owner and mode that the mount asks for."""
    owner = Chown(User(mount.uid or 0), User(mount.gid or 0))
    make = MkDir(_CACHE_DIRECTORY, 0o755 if mount.mode is None else mount.mode, owner=owner)
    return tree.files([make], Constraints().named("[internal] setting cache mount permissions"))


def _secret(stage: StageState, mount: Mount) -> RunSecret:
    windows = stage.os == WINDOWS
    target = to_slash(mount.target, stage.os)
    identifier = mount.source or mount.cache_id or (base_name(target) if target else "")
    if not identifier:
        raise DockerfileError("one of source, target required", code="invalid-mount")
    if windows and target and not is_absolute(target, WINDOWS):
        raise DockerfileError(
            f"secret target {quote(target)} must be an absolute path with forward slashes on Windows, e.g. "
            f"--mount=type=secret,id={identifier},target=C:/path/to/secret",
            code="invalid-mount-target",
        )
    destination: str | None = target or None
    if mount.env is None and destination is None:
        if windows:
            raise DockerfileError(
                f"secret target is required on Windows, e.g. --mount=type=secret,id={identifier},"
                "target=C:/path/to/secret",
                code="invalid-mount-target",
            )
        destination = "/run/secrets/" + base_name(identifier)
    return RunSecret(_option(mount, identifier, 0o400), destination, mount.env)


def _ssh(mount: Mount) -> RunSsh:
    if mount.source:
        raise DockerfileError("ssh does not support source", code="invalid-mount")
    return RunSsh(_option(mount, mount.cache_id, 0o600), mount.target)


def _option(mount: Mount, identifier: str, default_mode: int) -> SecretOpt:
    mode = default_mode if mount.mode is None else mount.mode
    return SecretOpt(identifier, mount.uid or 0, mount.gid or 0, mode, not mount.required)
