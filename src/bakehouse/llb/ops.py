"""LLB, BuildKit's build graph, as frozen values: one class an op, field for field (engine.md §1-§5).

A `Vertex` is one op with its inputs, platform and metadata; an `Edge` is one output of a vertex. The canonical
protobuf bytes and the digest of a vertex are made in `llb.encode`, and nowhere else; `Vertex.digest` calls it once.
Values equal to a protobuf default are absent on the wire, exactly as BuildKit's client leaves them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from bakehouse.values import dataclass, field

# NetMode
NETWORK_SANDBOX, NETWORK_HOST, NETWORK_NONE = 0, 1, 2
# SecurityMode
SECURITY_SANDBOX, SECURITY_INSECURE = 0, 1
# MountType
MOUNT_BIND, MOUNT_SECRET, MOUNT_SSH, MOUNT_CACHE, MOUNT_TMPFS = 0, 1, 2, 3, 4
# CacheSharingOpt
CACHE_SHARED, CACHE_PRIVATE, CACHE_LOCKED = 0, 1, 2
# MountContentCache
CONTENT_CACHE_DEFAULT, CONTENT_CACHE_ON, CONTENT_CACHE_OFF = 0, 1, 2


@dataclass(frozen=True, slots=True)
class LlbPlatform:
    """pb.Platform. All strings; empty = absent."""

    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceOp:
    """A source by identifier: `docker-image://`, `local://`, `git://`, `http(s)://`, `oci-layout://` (§2)."""

    identifier: str
    attrs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProxyEnv:
    http_proxy: str = ""
    https_proxy: str = ""
    ftp_proxy: str = ""
    no_proxy: str = ""
    all_proxy: str = ""


@dataclass(frozen=True, slots=True)
class Ulimit:
    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Meta:
    """The process of an ExecOp. `env` holds `K=V`; `extra_hosts` (host, ip) pairs."""

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: str = ""
    proxy_env: ProxyEnv | None = None
    extra_hosts: tuple[tuple[str, str], ...] = ()
    hostname: str = ""
    ulimits: tuple[Ulimit, ...] = ()
    cgroup_parent: str = ""
    remove_mount_stubs_recursive: bool = False
    valid_exit_codes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CacheOpt:
    id: str
    sharing: int = CACHE_SHARED


@dataclass(frozen=True, slots=True)
class SecretOpt:
    """Also SSHOpt, which has the same shape."""

    id: str
    uid: int = 0
    gid: int = 0
    mode: int = 0o400
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """pb.Mount. `input` indexes the vertex's inputs (-1: empty); `output` -1: discarded."""

    dest: str
    input: int = -1
    selector: str = ""
    output: int = 0
    readonly: bool = False
    mount_type: int = MOUNT_BIND
    tmpfs_size: int | None = None
    cache: CacheOpt | None = None
    secret: SecretOpt | None = None
    ssh: SecretOpt | None = None
    content_cache: int = CONTENT_CACHE_DEFAULT


@dataclass(frozen=True, slots=True)
class SecretEnv:
    id: str
    name: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class CdiDevice:
    name: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ExecOp:
    meta: Meta
    mounts: tuple[Mount, ...]
    network: int = NETWORK_SANDBOX
    security: int = SECURITY_SANDBOX
    secret_env: tuple[SecretEnv, ...] = ()
    cdi_devices: tuple[CdiDevice, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """pb.UserOpt: exactly one of `name` (looked up in the tree of `input`) and `id` is meant; `name` None = by id."""

    id: int = 0
    name: str | None = None
    input: int = 0


@dataclass(frozen=True, slots=True)
class Chown:
    user: User | None = None
    group: User | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    src: str
    dest: str
    owner: Chown | None = None
    mode: int = -1
    follow_symlink: bool = False
    dir_copy_contents: bool = False
    attempt_unpack: bool = False
    create_dest_path: bool = False
    allow_wildcard: bool = False
    allow_empty_wildcard: bool = False
    timestamp: int = -1
    include_patterns: tuple[str, ...] = ()
    exclude_patterns: tuple[str, ...] = ()
    always_replace: bool = False
    mode_str: str = ""
    required_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MkFile:
    path: str
    mode: int
    data: bytes
    owner: Chown | None = None
    timestamp: int = -1


@dataclass(frozen=True, slots=True)
class MkDir:
    path: str
    mode: int
    make_parents: bool = False
    owner: Chown | None = None
    timestamp: int = -1


@dataclass(frozen=True, slots=True)
class Rm:
    path: str
    allow_not_found: bool = False
    allow_wildcard: bool = False


@dataclass(frozen=True, slots=True)
class Symlink:
    oldpath: str
    newpath: str
    owner: Chown | None = None
    timestamp: int = -1


Action = Copy | MkFile | MkDir | Rm | Symlink


@dataclass(frozen=True, slots=True)
class FileAction:
    """Index space (§4): 0..len(inputs)-1 are the vertex's inputs, len(inputs)+k the result of action k, -1 none."""

    action: Action
    input: int = 0
    secondary_input: int = -1
    output: int = -1


@dataclass(frozen=True, slots=True)
class FileOp:
    actions: tuple[FileAction, ...]


@dataclass(frozen=True, slots=True)
class MergeOp:
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DiffOp:
    lower: int
    upper: int


Op = SourceOp | ExecOp | FileOp | MergeOp | DiffOp


@dataclass(frozen=True, slots=True)
class ProgressGroup:
    id: str
    name: str = ""
    weak: bool = False


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """pb.LinuxResources: limits of a step's process. 0 and empty mean not set; `memory` and `memory_swap` (both
    together) are bytes, -1 swap is unlimited; CPU times are microseconds."""

    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""


@dataclass(frozen=True, slots=True)
class Metadata:
    """pb.OpMetadata: outside the digest. `description` may hold `llb.customname` (the display name)."""

    ignore_cache: bool = False
    description: Mapping[str, str] = field(default_factory=dict)
    export_cache: bool | None = None
    caps: frozenset[str] = frozenset()
    progress_group: ProgressGroup | None = None
    resources: ResourceLimits | None = None


@dataclass(frozen=True)
class Vertex:
    """One op of the graph. Immutable; equal vertices have equal digests. Hash and equality go by digest.

    `locations` are (source name, first line, last line) triples of the Dockerfile lines that made it.
    """

    op: Op
    inputs: tuple["Edge", ...] = ()
    platform: LlbPlatform | None = None
    metadata: Metadata = field(default_factory=Metadata)
    locations: tuple[tuple[str, int, int], ...] = ()

    @cached_property
    def encoded(self) -> bytes:
        """The canonical bytes of pb.Op (§1.1): ordinary fields in number order, the oneof member last."""
        from bakehouse.llb.encode import encode_op

        return encode_op(self)

    @cached_property
    def digest(self) -> str:
        """`sha256:<hex>` of `encoded`."""
        import hashlib

        return "sha256:" + hashlib.sha256(self.encoded).hexdigest()

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Vertex) and self.digest == other.digest)

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def name(self) -> str:
        """The display name (§1.2)."""
        from bakehouse.llb.names import display_name

        return display_name(self)


@dataclass(frozen=True, slots=True)
class Edge:
    """Output number `index` of `vertex`."""

    vertex: Vertex
    index: int = 0
