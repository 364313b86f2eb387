"""The cache key of an ExecOp (engine.md §8.2-§8.3): digest pre-image, selectors, content functions.

The pre-image is BuildKit's JSON byte for byte, so that caches agree. Running the step does not belong here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from bakehouse.engine.ops.file_keys import content_function
from bakehouse.engine.tree import Selection, Tree
from bakehouse.errors import DefinitionError
from bakehouse.go.jsontext import compact_json
from bakehouse.go.paths import rooted_path
from bakehouse.llb.ops import (
    CACHE_SHARED,
    CONTENT_CACHE_DEFAULT,
    CONTENT_CACHE_OFF,
    CONTENT_CACHE_ON,
    MOUNT_BIND,
    MOUNT_CACHE,
    CacheOpt,
    ExecOp,
    LlbPlatform,
    Meta,
    Mount,
    SecretOpt,
)
from bakehouse.oci.platform import Platform
from bakehouse.solver.model import CacheMap, InputKey
from bakehouse.values import dataclass

_TYPE = "buildkit.exec.v0"


def exec_cache_map(op: ExecOp, platform: LlbPlatform | None, input_count: int) -> CacheMap:
    """The cache map of `op` on `platform` (None: this machine's). Raises `DefinitionError` `invalid-mount`."""
    dependencies = _mount_dependencies(op.mounts, input_count)
    return CacheMap(_sha256(exec_preimage(op, platform)), tuple(d.key() for d in dependencies))


def exec_preimage(op: ExecOp, platform: LlbPlatform | None) -> bytes:
    """The bytes whose sha256 is the op's cache digest."""
    value: dict[str, object] = {"Type": _TYPE, "Exec": _exec_json(op)}
    if platform is None:
        local = Platform.local()
        platform = LlbPlatform(local.os, local.architecture, local.variant)
    value["OS"] = platform.os
    value["Arch"] = platform.architecture
    _put(value, "Variant", platform.variant)
    _put(value, "OSVersion", platform.os_version)
    _put(value, "OSFeatures", list(platform.os_features))
    return compact_json(value).encode()


def _put(target: dict[str, object], name: str, value: object) -> None:
    """Go's `omitempty`: zero values stay out."""
    if value:
        target[name] = value


def _exec_json(op: ExecOp) -> dict[str, object]:
    value: dict[str, object] = {"meta": _meta_json(op.meta)}
    if not _only_plain_root(op.mounts):
        _put(value, "mounts", [_mount_json(mount) for mount in op.mounts])
    _put(value, "network", op.network)
    _put(value, "security", op.security)
    secret_env: list[dict[str, object]] = []
    for secret in op.secret_env:
        entry: dict[str, object] = {}
        _put(entry, "ID", secret.id)
        _put(entry, "name", secret.name)
        _put(entry, "optional", secret.optional)
        secret_env.append(entry)
    _put(value, "secretenv", secret_env)
    devices: list[dict[str, object]] = []
    for device in op.cdi_devices:
        entry = {}
        _put(entry, "name", device.name)
        _put(entry, "optional", device.optional)
        devices.append(entry)
    _put(value, "cdiDevices", devices)
    return value


def _only_plain_root(mounts: Sequence[Mount]) -> bool:
    """One writable bind of the whole input at `/`: left out of the key for old versions' sake. The selector was
    blanked before, so it does not matter here."""
    if len(mounts) != 1:
        return False
    mount = mounts[0]
    return (
        mount.dest == "/"
        and not mount.readonly
        and mount.mount_type == MOUNT_BIND
        and mount.cache is None
        and mount.ssh is None
        and mount.secret is None
    )


def _meta_json(meta: Meta) -> dict[str, object]:
    """Proxy settings and the addresses of extra hosts are not part of the key."""
    value: dict[str, object] = {}
    _put(value, "args", list(meta.args))
    _put(value, "env", list(meta.env))
    _put(value, "cwd", meta.cwd)
    _put(value, "user", meta.user)
    _put(value, "extraHosts", [{"Host": host} if host else {} for host, _ in meta.extra_hosts])
    _put(value, "hostname", meta.hostname)
    ulimits: list[dict[str, object]] = []
    for ulimit in meta.ulimits:
        entry: dict[str, object] = {}
        _put(entry, "Name", ulimit.name)
        _put(entry, "Soft", ulimit.soft)
        _put(entry, "Hard", ulimit.hard)
        ulimits.append(entry)
    _put(value, "ulimit", ulimits)
    _put(value, "cgroupParent", meta.cgroup_parent)
    _put(value, "removeMountStubsRecursive", meta.remove_mount_stubs_recursive)
    _put(value, "validExitCodes", list(meta.valid_exit_codes))
    return value


def _mount_json(mount: Mount) -> dict[str, object]:
    """The selector is blanked: it enters through the input's key."""
    value: dict[str, object] = {}
    _put(value, "input", mount.input)
    _put(value, "dest", mount.dest)
    _put(value, "output", mount.output)
    _put(value, "readonly", mount.readonly)
    _put(value, "mountType", mount.mount_type)
    if mount.tmpfs_size is not None:
        value["TmpfsOpt"] = {"size": mount.tmpfs_size} if mount.tmpfs_size else {}
    if mount.cache is not None:
        value["cacheOpt"] = _cache_json(mount.cache, mount.dest)
    if mount.secret is not None:
        value["secretOpt"] = _secret_json(mount.secret)
    if mount.ssh is not None:
        value["SSHOpt"] = _secret_json(mount.ssh)
    _put(value, "contentCache", mount.content_cache)
    return value


def _cache_json(cache: CacheOpt, dest: str) -> dict[str, object]:
    """Only the ids that the Dockerfile frontend makes up itself (`DEST`, `NAMESPACE/DEST`) enter the key."""
    value: dict[str, object] = {}
    _, slash, behind = cache.id.partition("/")
    if cache.sharing == CACHE_SHARED and (cache.id == dest or (slash and behind == dest)):
        _put(value, "ID", cache.id)
    return value


def _secret_json(secret: SecretOpt) -> dict[str, object]:
    value: dict[str, object] = {}
    _put(value, "ID", secret.id)
    _put(value, "uid", secret.uid)
    _put(value, "gid", secret.gid)
    _put(value, "mode", secret.mode)
    _put(value, "optional", secret.optional)
    return value


@dataclass(slots=True)
class _Dependency:
    """How one input is used: the paths mounted of it, in mount order, and whether its content may be the key."""

    selectors: list[str]
    by_content: bool = False

    def key(self) -> InputKey:
        if not self.selectors:
            return InputKey()
        selector = _sha256("\0".join(self.selectors).encode("utf-8", "surrogateescape"))
        return InputKey(selector, _content_function(self.selectors) if self.by_content else None)


def _mount_dependencies(mounts: Sequence[Mount], input_count: int) -> list[_Dependency]:
    dependencies = [_Dependency([]) for _ in range(input_count)]
    for mount in mounts:
        if mount.mount_type not in (MOUNT_BIND, MOUNT_CACHE) or mount.input == -1:
            continue
        if not 0 <= mount.input < input_count:
            raise DefinitionError(
                f"invalid mount {mount.dest}: input {mount.input} does not exist", code="invalid-mount"
            )
        selector = rooted_path(mount.selector)
        dependency = dependencies[mount.input]
        dependency.selectors.append(selector)
        # The last mount of an input decides, as in BuildKit.
        dependency.by_content = _keyed_by_content(mount, selector)
    return dependencies


def _keyed_by_content(mount: Mount, selector: str) -> bool:
    """Safe where no unselected file of the input can reach a result: it has no output, cannot be written, or all of
    it is selected. Not done for the root unless asked for: hashing a whole system costs more than it saves."""
    safe = mount.output == -1 or mount.readonly or selector == "/"
    if mount.content_cache == CONTENT_CACHE_OFF:
        return False
    if mount.content_cache == CONTENT_CACHE_ON and not safe:
        raise DefinitionError(
            f"invalid mount {mount.dest}: its content cannot be a cache key, because it is written to and only a "
            "part of its input is mounted",
            code="invalid-mount",
        )
    if mount.content_cache == CONTENT_CACHE_DEFAULT and mount.dest == "/":
        return False
    return safe


def _content_function(selectors: Sequence[str]) -> Callable[[Tree], str]:
    paths = _without_covered(selectors)
    if "/" in paths:
        selections = [Selection("/")]
    else:
        selections = [Selection(path, follow_symlink=True) for path in paths]
    return content_function(selections)


def _without_covered(paths: Sequence[str]) -> list[str]:
    """Drops doubles and paths below others, and sorts; a single path stays as it is."""
    distinct = set(paths)

    def covered(path: str) -> bool:
        return any(path != other and path.startswith(other.rstrip("/") + "/") for other in distinct)

    return sorted(path for path in distinct if not covered(path))


def _sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
