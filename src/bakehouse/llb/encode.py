"""LLB values to protobuf: the canonical bytes of one op, and whole definitions (engine.md §1-§5).

The order of fields is that of BuildKit's Go encoder: in a message with a oneof the ordinary fields come first, the
oneof member last. It decides digests, so it must not be touched without a golden vector (engine.md §27.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bakehouse.llb.ops import (
    MOUNT_CACHE,
    MOUNT_SECRET,
    MOUNT_SSH,
    MOUNT_TMPFS,
    Chown,
    Copy,
    DiffOp,
    Edge,
    ExecOp,
    FileAction,
    FileOp,
    LlbPlatform,
    MergeOp,
    Meta,
    Metadata,
    MkDir,
    MkFile,
    Mount,
    Rm,
    SecretOpt,
    SourceOp,
    Symlink,
    User,
    Vertex,
)
from bakehouse.llb.wire import (
    append_varint,
    as_written,
    put_bytes,
    put_int,
    put_int_always,
    put_message,
    put_string,
    put_string_map,
    put_strings,
    utf8,
)
from bakehouse.values import dataclass


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source file that vertices point into. `definition` is the encoded graph that produced the file, or empty."""

    filename: str
    data: bytes
    language: str = "Dockerfile"
    definition: bytes = b""


def encode_op(vertex: Vertex) -> bytes:
    """The canonical bytes of pb.Op, whose sha256 is the vertex's digest.

    An empty `constraints` message is always there, as BuildKit's client writes it. Inputs are encoded first, without
    recursion, however deep the graph is. Raises `DefinitionError` (code `invalid-utf8`).
    """
    from bakehouse.llb.graph import ensure_digests

    ensure_digests(edge.vertex for edge in vertex.inputs)
    out = bytearray()
    for edge in vertex.inputs:
        put_message(out, 1, _input(edge))
    if vertex.platform is not None:
        put_message(out, 10, encode_platform(vertex.platform))
    put_message(out, 11, b"")
    field, encode = _BODIES[type(vertex.op)]
    put_message(out, field, encode(vertex.op))
    return bytes(out)


def encode_definition(
    edge: Edge | None, sources: Sequence[SourceInfo] = (), others: Mapping[str, SourceInfo] | None = None
) -> bytes:
    """The pb.Definition whose result is `edge`: ops depth first, the terminal op last, metadata and source map.

    `sources` are looked up by the file name in the vertices' `locations`; a location in a file that is not among
    them is left out. `others` are the files of vertices that another graph brought, by digest. None yields the empty
    definition, which stands for scratch. Map entries are sorted, so equal graphs give equal bytes.
    """
    if edge is None:
        return b""
    from bakehouse.llb.graph import collect

    graph = collect(edge)
    out = bytearray()
    for vertex in graph.vertices:
        put_message(out, 1, vertex.encoded)
    put_message(out, 1, encode_terminal(edge))
    metadata = dict(graph.metadata)
    metadata[graph.terminal_digest] = graph.terminal_metadata
    for digest in sorted(metadata):
        put_message(out, 2, _map_entry(digest, encode_metadata(metadata[digest])))
    put_message(out, 3, _source_map(graph.locations, sources, others or {}))
    return bytes(out)


def encode_terminal(edge: Edge) -> bytes:
    """The pseudo-op that ends a definition: one input, nothing else."""
    out = bytearray()
    put_message(out, 1, _input(edge))
    return bytes(out)


def encode_metadata(metadata: Metadata) -> bytes:
    """pb.OpMetadata."""
    out = bytearray()
    put_int(out, 1, metadata.ignore_cache)
    # Go checks the texts of ops only, and a description quotes the Dockerfile.
    put_string_map(out, 2, list(metadata.description.items()), as_written)
    if metadata.export_cache is not None:
        value = bytearray()
        put_int(value, 1, metadata.export_cache)
        put_message(out, 4, value)
    for cap in sorted(metadata.caps):
        entry = bytearray()
        put_message(entry, 1, utf8(cap))
        put_int_always(entry, 2, 1)
        put_message(out, 5, entry)
    if metadata.progress_group is not None:
        group = bytearray()
        put_string(group, 1, metadata.progress_group.id)
        put_bytes(group, 2, as_written(metadata.progress_group.name))
        put_int(group, 3, metadata.progress_group.weak)
        put_message(out, 6, group)
    if metadata.resources is not None:
        limits = metadata.resources
        value = bytearray()
        put_int(value, 1, limits.memory)
        put_int(value, 2, limits.memory_swap)
        put_int(value, 3, limits.cpu_shares)
        put_int(value, 4, limits.cpu_period)
        put_int(value, 5, limits.cpu_quota)
        put_string(value, 6, limits.cpuset_cpus)
        put_string(value, 7, limits.cpuset_mems)
        put_message(out, 7, value)
    return bytes(out)


def encode_platform(platform: LlbPlatform) -> bytes:
    """pb.Platform."""
    out = bytearray()
    put_string(out, 1, platform.architecture)
    put_string(out, 2, platform.os)
    put_string(out, 3, platform.variant)
    put_string(out, 4, platform.os_version)
    put_strings(out, 5, platform.os_features)
    return bytes(out)


def _input(edge: Edge) -> bytes:
    out = bytearray()
    put_string(out, 1, edge.vertex.digest)
    put_int(out, 2, edge.index)
    return bytes(out)


def _map_entry(key: str, value: bytes) -> bytes:
    out = bytearray()
    put_message(out, 1, utf8(key))
    put_message(out, 2, value)
    return bytes(out)


def _source_map(
    locations: Mapping[str, Sequence[tuple[str, int, int]]],
    sources: Sequence[SourceInfo],
    others: Mapping[str, SourceInfo],
) -> bytes:
    """pb.Source. One pb.Range a line, character 0, as BuildKit's Dockerfile parser states them; a location whose
    last line lies before its first has no ranges."""
    known = {source.filename: source for source in sources}
    placed = {
        digest: [(others.get(digest) or known.get(name), first, last) for name, first, last in triples]
        for digest, triples in locations.items()
    }
    used = {id(file): file for triples in placed.values() for file, _, _ in triples if file is not None}
    indexes = {identity: index for index, identity in enumerate(used)}
    out = bytearray()
    for digest in sorted(placed):
        body = bytearray()
        for file, first, last in placed[digest]:
            if file is not None:
                put_message(body, 1, _location(indexes[id(file)], first, last))
        put_message(out, 1, _map_entry(digest, bytes(body)))
    for file in used.values():
        put_message(out, 2, _source_info(file))
    return bytes(out)


def _location(source_index: int, first: int, last: int) -> bytes:
    out = bytearray()
    put_int(out, 1, source_index)
    for line in range(first, last + 1):
        position = bytearray()
        put_int(position, 1, line)
        span = bytearray()
        put_message(span, 1, position)
        put_message(span, 2, position)
        put_message(out, 2, span)
    return bytes(out)


def _source_info(source: SourceInfo) -> bytes:
    out = bytearray()
    put_string(out, 1, source.filename)
    put_bytes(out, 2, source.data)
    if source.definition:
        put_message(out, 3, source.definition)
    put_string(out, 4, source.language)
    return bytes(out)


def _source(op: SourceOp) -> bytes:
    out = bytearray()
    put_string(out, 1, op.identifier)
    put_string_map(out, 2, list(op.attrs.items()))
    return bytes(out)


def _exec(op: ExecOp) -> bytes:
    out = bytearray()
    put_message(out, 1, _meta(op.meta))
    for mount in op.mounts:
        put_message(out, 2, _mount(mount))
    put_int(out, 3, op.network)
    put_int(out, 4, op.security)
    for secret in op.secret_env:
        body = bytearray()
        put_string(body, 1, secret.id)
        put_string(body, 2, secret.name)
        put_int(body, 3, secret.optional)
        put_message(out, 5, body)
    for device in op.cdi_devices:
        body = bytearray()
        put_string(body, 1, device.name)
        put_int(body, 2, device.optional)
        put_message(out, 6, body)
    return bytes(out)


def _meta(meta: Meta) -> bytes:
    out = bytearray()
    put_strings(out, 1, meta.args)
    put_strings(out, 2, meta.env)
    put_string(out, 3, meta.cwd)
    put_string(out, 4, meta.user)
    if meta.proxy_env is not None:
        proxy, body = meta.proxy_env, bytearray()
        put_string(body, 1, proxy.http_proxy)
        put_string(body, 2, proxy.https_proxy)
        put_string(body, 3, proxy.ftp_proxy)
        put_string(body, 4, proxy.no_proxy)
        put_string(body, 5, proxy.all_proxy)
        put_message(out, 5, body)
    for host, address in meta.extra_hosts:
        body = bytearray()
        put_string(body, 1, host)
        put_string(body, 2, address)
        put_message(out, 6, body)
    put_string(out, 7, meta.hostname)
    for ulimit in meta.ulimits:
        body = bytearray()
        put_string(body, 1, ulimit.name)
        put_int(body, 2, ulimit.soft)
        put_int(body, 3, ulimit.hard)
        put_message(out, 9, body)
    put_string(out, 10, meta.cgroup_parent)
    put_int(out, 11, meta.remove_mount_stubs_recursive)
    if meta.valid_exit_codes:
        packed = bytearray()
        for code in meta.valid_exit_codes:
            append_varint(packed, code)
        put_message(out, 12, packed)
    return bytes(out)


def _mount(mount: Mount) -> bytes:
    out = bytearray()
    put_int(out, 1, mount.input)
    put_string(out, 2, mount.selector)
    put_string(out, 3, mount.dest)
    put_int(out, 4, mount.output)
    put_int(out, 5, mount.readonly)
    put_int(out, 6, mount.mount_type)
    if mount.mount_type == MOUNT_TMPFS or mount.tmpfs_size is not None:
        body = bytearray()
        put_int(body, 1, mount.tmpfs_size or 0)
        put_message(out, 19, body)
    if mount.mount_type == MOUNT_CACHE and mount.cache is not None:
        body = bytearray()
        put_string(body, 1, mount.cache.id)
        put_int(body, 2, mount.cache.sharing)
        put_message(out, 20, body)
    if mount.mount_type == MOUNT_SECRET and mount.secret is not None:
        put_message(out, 21, _secret(mount.secret))
    if mount.mount_type == MOUNT_SSH and mount.ssh is not None:
        put_message(out, 22, _secret(mount.ssh))
    put_int(out, 24, mount.content_cache)
    return bytes(out)


def _secret(secret: SecretOpt) -> bytes:
    out = bytearray()
    put_string(out, 1, secret.id)
    put_int(out, 2, secret.uid)
    put_int(out, 3, secret.gid)
    put_int(out, 4, secret.mode)
    put_int(out, 5, secret.optional)
    return bytes(out)


def _file(op: FileOp) -> bytes:
    out = bytearray()
    for action in op.actions:
        put_message(out, 2, _action(action))
    return bytes(out)


def _action(action: FileAction) -> bytes:
    out = bytearray()
    put_int(out, 1, action.input)
    put_int(out, 2, action.secondary_input)
    put_int(out, 3, action.output)
    field, encode = _ACTIONS[type(action.action)]
    put_message(out, field, encode(action.action))
    return bytes(out)


def _copy(copy: Copy) -> bytes:
    out = bytearray()
    put_string(out, 1, copy.src)
    put_string(out, 2, copy.dest)
    _put_owner(out, 3, copy.owner)
    put_int(out, 4, copy.mode)
    put_int(out, 5, copy.follow_symlink)
    put_int(out, 6, copy.dir_copy_contents)
    put_int(out, 7, copy.attempt_unpack)
    put_int(out, 8, copy.create_dest_path)
    put_int(out, 9, copy.allow_wildcard)
    put_int(out, 10, copy.allow_empty_wildcard)
    put_int(out, 11, copy.timestamp)
    put_strings(out, 12, copy.include_patterns)
    put_strings(out, 13, copy.exclude_patterns)
    put_int(out, 14, copy.always_replace)
    put_string(out, 15, copy.mode_str)
    put_strings(out, 16, copy.required_paths)
    return bytes(out)


def _mkfile(action: MkFile) -> bytes:
    out = bytearray()
    put_string(out, 1, action.path)
    put_int(out, 2, action.mode)
    put_bytes(out, 3, action.data)
    _put_owner(out, 4, action.owner)
    put_int(out, 5, action.timestamp)
    return bytes(out)


def _mkdir(action: MkDir) -> bytes:
    out = bytearray()
    put_string(out, 1, action.path)
    put_int(out, 2, action.mode)
    put_int(out, 3, action.make_parents)
    _put_owner(out, 4, action.owner)
    put_int(out, 5, action.timestamp)
    return bytes(out)


def _rm(action: Rm) -> bytes:
    out = bytearray()
    put_string(out, 1, action.path)
    put_int(out, 2, action.allow_not_found)
    put_int(out, 3, action.allow_wildcard)
    return bytes(out)


def _symlink(action: Symlink) -> bytes:
    out = bytearray()
    put_string(out, 1, action.oldpath)
    put_string(out, 2, action.newpath)
    _put_owner(out, 3, action.owner)
    put_int(out, 4, action.timestamp)
    return bytes(out)


def _put_owner(out: bytearray, field: int, owner: Chown | None) -> None:
    if owner is None:
        return
    body = bytearray()
    if owner.user is not None:
        put_message(body, 1, _user(owner.user))
    if owner.group is not None:
        put_message(body, 2, _user(owner.group))
    put_message(out, field, body)


def _user(user: User) -> bytes:
    out = bytearray()
    if user.name is None:
        put_int_always(out, 2, user.id & 0xFFFFFFFF)
    else:
        named = bytearray()
        put_string(named, 1, user.name)
        put_int(named, 2, user.input)
        put_message(out, 1, named)
    return bytes(out)


def _merge(op: MergeOp) -> bytes:
    out = bytearray()
    for index in op.inputs:
        put_message(out, 1, _indexed(index))
    return bytes(out)


def _diff(op: DiffOp) -> bytes:
    out = bytearray()
    put_message(out, 1, _indexed(op.lower))
    put_message(out, 2, _indexed(op.upper))
    return bytes(out)


def _indexed(index: int) -> bytes:
    out = bytearray()
    put_int(out, 1, index)
    return bytes(out)


_BODIES: dict[type, tuple[int, Callable[[Any], bytes]]] = {
    ExecOp: (2, _exec),
    SourceOp: (3, _source),
    FileOp: (4, _file),
    MergeOp: (6, _merge),
    DiffOp: (7, _diff),
}
_ACTIONS: dict[type, tuple[int, Callable[[Any], bytes]]] = {
    Copy: (4, _copy),
    MkFile: (5, _mkfile),
    MkDir: (6, _mkdir),
    Rm: (7, _rm),
    Symlink: (8, _symlink),
}
