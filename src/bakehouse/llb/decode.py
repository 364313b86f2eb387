"""Protobuf definitions to LLB values: the inverse of `encode`, for graphs that come from elsewhere.

Input may be hostile: every index is checked, sizes are bounded by the data itself, and what this project cannot
execute (build and passthrough ops, worker filters) is refused by name. Load-time checks of an engine beyond
that (engine.md §1.3) are the engine's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from bakehouse.errors import IntegrityError, NotBuiltYetError
from bakehouse.llb.encode import SourceInfo
from bakehouse.llb.ops import (
    Action,
    CacheOpt,
    CdiDevice,
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
    Op,
    ProgressGroup,
    ProxyEnv,
    ResourceLimits,
    Rm,
    SecretEnv,
    SecretOpt,
    SourceOp,
    Symlink,
    Ulimit,
    User,
    Vertex,
)
from bakehouse.llb.wire import fields, message, number, text
from bakehouse.values import dataclass

T = TypeVar("T")
Locations = dict[str, tuple[tuple[str, int, int], ...]]
#: A line range that a source map states is expanded line by line when it is written again.
_MAX_LINES = 1 << 20


@dataclass(frozen=True, slots=True)
class Definition:
    """A decoded definition. `edge` is its result (None: scratch), `sources` the files its locations point into."""

    edge: Edge | None
    sources: tuple[SourceInfo, ...] = ()


class Fields:
    """The fields of one message, by number, in the order in which they came. The last one wins for single values."""

    def __init__(self, data: bytes) -> None:
        self._values: dict[int, list[int | bytes]] = {}
        for field, _, value in fields(data):
            self._values.setdefault(field, []).append(value)

    def __contains__(self, field: int) -> bool:
        return field in self._values

    def all(self, field: int) -> list[int | bytes]:
        """Every value of a field, as it was read."""
        return self._values.get(field, [])

    def text(self, field: int) -> str:
        return text(self._values[field][-1]) if field in self._values else ""

    def texts(self, field: int) -> tuple[str, ...]:
        return tuple(text(value) for value in self._values.get(field, ()))

    def number(self, field: int) -> int:
        return number(self._values[field][-1]) if field in self._values else 0

    def flag(self, field: int) -> bool:
        return bool(self.number(field))

    def raw(self, field: int) -> bytes:
        return message(self._values[field][-1]) if field in self._values else b""

    def messages(self, field: int) -> list[bytes]:
        return [message(value) for value in self._values.get(field, ())]

    def optional(self, field: int, read: Callable[[bytes], T]) -> T | None:
        return read(self.raw(field)) if field in self._values else None

    def numbers(self, field: int) -> tuple[int, ...]:
        """A repeated integer field, packed or not."""
        out: list[int] = []
        for value in self._values.get(field, ()):
            if isinstance(value, int):
                out.append(number(value))
                continue
            # A packed field is a run of varints; giving each the tag of field 1 lets one reader do both.
            position = 0
            while position < len(value):
                end = position
                while end < len(value) and value[end] & 0x80:
                    end += 1
                out.extend(number(item) for _, _, item in fields(b"\x08" + value[position : end + 1]))
                position = end + 1
        return tuple(out)

    def string_map(self, field: int) -> dict[str, str]:
        out: dict[str, str] = {}
        for entry in self.messages(field):
            pair = Fields(entry)
            out[pair.text(1)] = pair.text(2)
        return out


def decode_definition(data: bytes) -> Definition:
    """The graph that `data`, a pb.Definition, describes.

    Digests are recomputed from the values read, so re-encoding yields the digests a daemon would compute. Raises
    `IntegrityError` (codes `invalid-protobuf`, `invalid-definition`) or `NotBuiltYetError` (code `unsupported-op`).
    """
    top = Fields(data)
    ops = top.messages(1)
    if not ops:
        return Definition(None)
    sources = tuple(_source_info(raw) for raw in Fields(top.raw(3)).messages(2))
    metadata = {pair.text(1): _metadata(pair.raw(2)) for pair in map(Fields, top.messages(2))}
    locations = _locations(top.raw(3), sources)
    vertices: dict[str, Vertex] = {}
    for raw in ops[:-1]:
        key = "sha256:" + hashlib.sha256(raw).hexdigest()
        vertices[key] = decode_op(
            raw, vertices, metadata=metadata.get(key, Metadata()), locations=locations.get(key, ())
        )
    terminal = Fields(ops[-1])
    inputs = terminal.messages(1)
    if len(inputs) != 1 or not vertices:
        raise _invalid("the last op must have exactly one input and other ops before it")
    return Definition(_edge(inputs[0], vertices), sources)


def decode_op(
    data: bytes,
    vertices: dict[str, Vertex],
    *,
    metadata: Metadata | None = None,
    locations: tuple[tuple[str, int, int], ...] = (),
) -> Vertex:
    """The vertex that `data`, a pb.Op, describes. `vertices` are its possible inputs by the digest of their bytes."""
    op = Fields(data)
    if Fields(op.raw(11)).messages(1):
        raise NotBuiltYetError("worker constraints are not supported", code="unsupported-op")
    inputs = tuple(_edge(raw, vertices) for raw in op.messages(1))
    return Vertex(
        _body(op, len(inputs)), inputs, op.optional(10, _platform), metadata or Metadata(), locations
    )


def _body(op: Fields, input_count: int) -> Op:
    for field, name in ((5, "build"), (8, "passthrough")):
        if field in op:
            raise NotBuiltYetError(f"{name} ops are not supported", code="unsupported-op")
    if 2 in op:
        return _exec(op.raw(2), input_count)
    if 3 in op:
        source = Fields(op.raw(3))
        return SourceOp(source.text(1), source.string_map(2))
    if 4 in op:
        actions = tuple(_action(raw) for raw in Fields(op.raw(4)).messages(2))
        for position, action in enumerate(actions):
            _check_index(action.input, input_count + position)
            _check_index(action.secondary_input, input_count + position)
        return FileOp(actions)
    if 6 in op:
        merged = tuple(Fields(raw).number(1) for raw in Fields(op.raw(6)).messages(1))
        for index in merged:
            _check_index(index, input_count)
        return MergeOp(merged)
    if 7 in op:
        diff = Fields(op.raw(7))
        lower, upper = Fields(diff.raw(1)).number(1), Fields(diff.raw(2)).number(1)
        _check_index(lower, input_count)
        _check_index(upper, input_count)
        return DiffOp(lower, upper)
    raise _invalid("an op without a body stands before the last op")


def _edge(raw: bytes, vertices: dict[str, Vertex]) -> Edge:
    entry = Fields(raw)
    vertex = vertices.get(entry.text(1))
    if vertex is None:
        raise _invalid(f"missing input digest {entry.text(1)}")
    if entry.number(2) < 0:
        raise _invalid("negative input index")
    return Edge(vertex, entry.number(2))


def _check_index(index: int, limit: int) -> None:
    if not -1 <= index < limit:
        raise _invalid(f"input index {index} does not exist")


def _platform(raw: bytes) -> LlbPlatform:
    entry = Fields(raw)
    return LlbPlatform(entry.text(2), entry.text(1), entry.text(3), entry.text(4), entry.texts(5))


def _metadata(raw: bytes) -> Metadata:
    entry = Fields(raw)
    enabled = [cap.text(1) for cap in map(Fields, entry.messages(5)) if cap.flag(2)]
    return Metadata(
        ignore_cache=entry.flag(1),
        description={
            pair.text(1): pair.raw(2).decode("utf-8", "surrogateescape")
            for pair in map(Fields, entry.messages(2))
        },
        export_cache=entry.optional(4, lambda value: Fields(value).flag(1)),
        caps=frozenset(enabled),
        progress_group=entry.optional(6, _progress_group),
        resources=entry.optional(7, _resources),
    )


def _resources(raw: bytes) -> ResourceLimits:
    entry = Fields(raw)
    memory, swap, shares, period, quota = (entry.number(field) for field in range(1, 6))
    return ResourceLimits(memory, swap, shares, period, quota, entry.text(6), entry.text(7))


def _progress_group(raw: bytes) -> ProgressGroup:
    entry = Fields(raw)
    return ProgressGroup(entry.text(1), entry.raw(2).decode("utf-8", "surrogateescape"), entry.flag(3))


def _source_info(raw: bytes) -> SourceInfo:
    entry = Fields(raw)
    return SourceInfo(entry.text(1), entry.raw(2), entry.text(4), entry.raw(3))


def _locations(raw: bytes, sources: tuple[SourceInfo, ...]) -> Locations:
    out: Locations = {}
    for pair in map(Fields, Fields(raw).messages(1)):
        found = [_location(entry, sources) for entry in Fields(pair.raw(2)).messages(1)]
        out[pair.text(1)] = tuple(location for location in found if location is not None)
    return out


def _location(raw: bytes, sources: tuple[SourceInfo, ...]) -> tuple[str, int, int] | None:
    entry = Fields(raw)
    index = entry.number(1)
    if not 0 <= index < len(sources):
        return None
    name = sources[index].filename
    lines = [
        (Fields(span.raw(1)).number(1), Fields(span.raw(2)).number(1))
        for span in map(Fields, entry.messages(2))
    ]
    if not lines:
        return (name, 0, -1)
    first, last = min(start for start, _ in lines), max(end for _, end in lines)
    return (name, first, min(last, first + _MAX_LINES))


def _exec(raw: bytes, input_count: int) -> ExecOp:
    entry = Fields(raw)
    if 1 not in entry:
        raise _invalid("an exec op needs meta")
    mounts = tuple(_mount(mount) for mount in entry.messages(2))
    for mount in mounts:
        _check_index(mount.input, input_count)
    secrets = [Fields(secret) for secret in entry.messages(5)]
    devices = [Fields(device) for device in entry.messages(6)]
    return ExecOp(
        _meta(entry.raw(1)),
        mounts,
        entry.number(3),
        entry.number(4),
        tuple(SecretEnv(secret.text(1), secret.text(2), secret.flag(3)) for secret in secrets),
        tuple(CdiDevice(device.text(1), device.flag(2)) for device in devices),
    )


def _meta(raw: bytes) -> Meta:
    entry = Fields(raw)
    hosts = [Fields(host) for host in entry.messages(6)]
    ulimits = [Fields(ulimit) for ulimit in entry.messages(9)]
    return Meta(
        args=entry.texts(1),
        env=entry.texts(2),
        cwd=entry.text(3),
        user=entry.text(4),
        proxy_env=entry.optional(5, _proxy_env),
        extra_hosts=tuple((host.text(1), host.text(2)) for host in hosts),
        hostname=entry.text(7),
        ulimits=tuple(Ulimit(ulimit.text(1), ulimit.number(2), ulimit.number(3)) for ulimit in ulimits),
        cgroup_parent=entry.text(10),
        remove_mount_stubs_recursive=entry.flag(11),
        valid_exit_codes=entry.numbers(12),
    )


def _proxy_env(raw: bytes) -> ProxyEnv:
    entry = Fields(raw)
    return ProxyEnv(entry.text(1), entry.text(2), entry.text(3), entry.text(4), entry.text(5))


def _mount(raw: bytes) -> Mount:
    entry = Fields(raw)
    if entry.number(4) < -1:
        raise _invalid(f"mount output {entry.number(4)}")
    return Mount(
        dest=entry.text(3),
        input=entry.number(1),
        selector=entry.text(2),
        output=entry.number(4),
        readonly=entry.flag(5),
        mount_type=entry.number(6),
        tmpfs_size=entry.optional(19, lambda value: Fields(value).number(1)),
        cache=entry.optional(20, lambda value: CacheOpt(Fields(value).text(1), Fields(value).number(2))),
        secret=entry.optional(21, _secret),
        ssh=entry.optional(22, _secret),
        content_cache=entry.number(24),
    )


def _secret(raw: bytes) -> SecretOpt:
    entry = Fields(raw)
    return SecretOpt(entry.text(1), entry.number(2), entry.number(3), entry.number(4), entry.flag(5))


def _action(raw: bytes) -> FileAction:
    entry = Fields(raw)
    for field, read in _ACTIONS.items():
        if field in entry:
            return FileAction(
                read(Fields(entry.raw(field))), entry.number(1), entry.number(2), entry.number(3)
            )
    raise _invalid("a file action without a body")


def _copy(entry: Fields) -> Action:
    return Copy(
        src=entry.text(1),
        dest=entry.text(2),
        owner=entry.optional(3, _owner),
        mode=entry.number(4),
        follow_symlink=entry.flag(5),
        dir_copy_contents=entry.flag(6),
        attempt_unpack=entry.flag(7),
        create_dest_path=entry.flag(8),
        allow_wildcard=entry.flag(9),
        allow_empty_wildcard=entry.flag(10),
        timestamp=entry.number(11),
        include_patterns=entry.texts(12),
        exclude_patterns=entry.texts(13),
        always_replace=entry.flag(14),
        mode_str=entry.text(15),
        required_paths=entry.texts(16),
    )


def _mkfile(entry: Fields) -> Action:
    return MkFile(entry.text(1), entry.number(2), entry.raw(3), entry.optional(4, _owner), entry.number(5))


def _mkdir(entry: Fields) -> Action:
    return MkDir(entry.text(1), entry.number(2), entry.flag(3), entry.optional(4, _owner), entry.number(5))


def _rm(entry: Fields) -> Action:
    return Rm(entry.text(1), entry.flag(2), entry.flag(3))


def _symlink(entry: Fields) -> Action:
    return Symlink(entry.text(1), entry.text(2), entry.optional(3, _owner), entry.number(4))


_ACTIONS: dict[int, Callable[[Fields], Action]] = {4: _copy, 5: _mkfile, 6: _mkdir, 7: _rm, 8: _symlink}


def _owner(raw: bytes) -> Chown:
    entry = Fields(raw)
    return Chown(entry.optional(1, _user), entry.optional(2, _user))


def _user(raw: bytes) -> User:
    entry = Fields(raw)
    if 1 in entry:
        named = Fields(entry.raw(1))
        return User(0, named.text(1), named.number(2))
    return User(entry.number(2))


def _invalid(problem: str) -> IntegrityError:
    return IntegrityError(f"invalid LLB definition: {problem}", code="invalid-definition")
