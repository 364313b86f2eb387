"""Canonical bytes against the golden vectors of engine.md §27.1, and the way back."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakehouse.errors import BakehouseError, DefinitionError, IntegrityError, NotBuiltYetError
from bakehouse.llb import ops
from bakehouse.llb.decode import Fields, decode_definition, decode_op
from bakehouse.llb.encode import SourceInfo, encode_definition, encode_terminal
from bakehouse.llb.graph import collect
from bakehouse.llb.wire import put_int, put_message

AMD64 = ops.LlbPlatform("linux", "amd64")


def local() -> ops.Vertex:
    return ops.Vertex(ops.SourceOp("local://ctx"))


def copied() -> ops.Vertex:
    copy = ops.Copy("/", "/", dir_copy_contents=True, create_dest_path=True)
    return ops.Vertex(ops.FileOp((ops.FileAction(copy, -1, 0, 0),)), (ops.Edge(local()),))


def executed() -> ops.Vertex:
    op = ops.ExecOp(ops.Meta(("/bin/sh", "-c", "true")), (ops.Mount("/", 0),))
    return ops.Vertex(op, (ops.Edge(copied()),), AMD64)


@pytest.mark.parametrize(
    ("vertex", "digest"),
    [
        (local(), "3fcf59d22dd1986d075d7e9ecd92b2114d71b20758c7ef16807f9253e1c71c60"),
        (
            ops.Vertex(ops.SourceOp("docker-image://docker.io/library/alpine:latest"), platform=AMD64),
            "a7f9733e307dd352c82d43053b783dd17bb2ec2c36214908ce393e41545c8b51",
        ),
        (copied(), "078b05e98dc96b9d7e0136011f5f7a7b1b8ab9608849b81da20eaf90e45b82c2"),
        (executed(), "0541ef43dd84cb3d958ae5f7368cddb13d322a908e446c5c3639c08b31b476aa"),
    ],
    ids=["local", "image", "file", "exec"],
)
def test_golden_digests(vertex: ops.Vertex, digest: str) -> None:
    assert vertex.digest == "sha256:" + digest


def test_golden_bytes_of_an_image_source() -> None:
    vertex = ops.Vertex(ops.SourceOp("docker-image://docker.io/library/alpine:latest"), platform=AMD64)
    expected = bytes.fromhex("520e0a05616d64363412056c696e75785a001a300a2e")
    assert vertex.encoded == expected + b"docker-image://docker.io/library/alpine:latest"


def test_golden_terminal() -> None:
    encoded = encode_terminal(ops.Edge(executed()))
    expected = "ff0815d4a1764c67747098abd038e3e3081be0c8628c9231cb014ca0f3a06b26"
    assert hashlib.sha256(encoded).hexdigest() == expected


def test_definition_lists_inputs_first_and_the_terminal_last() -> None:
    definition = Fields(encode_definition(ops.Edge(executed()))).messages(1)
    assert definition == [
        local().encoded,
        copied().encoded,
        executed().encoded,
        encode_terminal(ops.Edge(executed())),
    ]


def test_scratch_is_the_empty_definition() -> None:
    assert encode_definition(None) == b""
    assert decode_definition(b"").edge is None


def every_op() -> ops.Edge:
    """A graph that uses every field of every op."""
    image = ops.Vertex(
        ops.SourceOp("docker-image://docker.io/library/a:b", {"image.resolvemode": "pull"}),
        platform=ops.LlbPlatform("windows", "arm", "v7", "10.0", ("a", "b")),
    )
    owner = ops.Chown(ops.User(0), ops.User(0, "staff", 0))
    actions = (
        ops.FileAction(ops.MkDir("/d", 0o755, True, owner, 5), 0, -1, -1),
        ops.FileAction(ops.MkFile("/f", 0o644, b"\x00\xff", None, -1), 2, -1, -1),
        ops.FileAction(ops.Symlink("a", "b", owner), 3, -1, -1),
        ops.FileAction(ops.Rm("/x", True, True), 4, -1, -1),
        ops.FileAction(
            ops.Copy(
                "/s",
                "/t/",
                owner,
                0,
                True,
                True,
                True,
                True,
                True,
                True,
                7,
                ("i",),
                ("e",),
                True,
                "u+x",
                ("r",),
            ),
            5,
            1,
            0,
        ),
    )
    files = ops.Vertex(ops.FileOp(actions), (ops.Edge(image), ops.Edge(local())))
    mounts = (
        ops.Mount("/", 0),
        ops.Mount("/c", -1, "/sel", -1, True, ops.MOUNT_CACHE, cache=ops.CacheOpt("id", ops.CACHE_LOCKED)),
        ops.Mount("/t", -1, output=-1, mount_type=ops.MOUNT_TMPFS, tmpfs_size=64),
        ops.Mount("/s", mount_type=ops.MOUNT_SECRET, secret=ops.SecretOpt("s", 1, 2, 0o400, True)),
        ops.Mount("/h", mount_type=ops.MOUNT_SSH, ssh=ops.SecretOpt("h", 1, 2, 0o600, True)),
        ops.Mount("/o", 1, output=1, content_cache=ops.CONTENT_CACHE_OFF),
    )
    meta = ops.Meta(
        ("a", "", "b"),
        ("K=V",),
        "/w",
        "u",
        ops.ProxyEnv("a", "b", "c", "d", "e"),
        (("h", "1.2.3.4"),),
        "host",
        (ops.Ulimit("nofile", 1, -1),),
        "/cg",
        True,
        (0, 300, -1),
    )
    executed = ops.Vertex(
        ops.ExecOp(
            meta,
            mounts,
            ops.NETWORK_HOST,
            ops.SECURITY_INSECURE,
            (ops.SecretEnv("i", "n", True),),
            (ops.CdiDevice("d", True),),
        ),
        (ops.Edge(files), ops.Edge(image)),
        AMD64,
        ops.Metadata(
            True,
            {"llb.customname": "x"},
            False,
            frozenset({"exec.meta.base"}),
            ops.ProgressGroup("g", "n", True),
        ),
        (("Dockerfile", 2, 4),),
    )
    merged = ops.Vertex(ops.MergeOp((0, 1)), (ops.Edge(executed, 1), ops.Edge(files)))
    return ops.Edge(ops.Vertex(ops.DiffOp(0, -1), (ops.Edge(merged),)))


def test_every_field_survives_the_way_there_and_back() -> None:
    sources = (SourceInfo("Dockerfile", b"FROM x\n", definition=encode_definition(ops.Edge(local()))),)
    encoded = encode_definition(every_op(), sources)
    decoded = decode_definition(encoded)
    assert decoded.edge is not None
    assert decoded.sources == sources
    before, after = collect(every_op()), collect(decoded.edge)
    assert [vertex.op for vertex in after.vertices] == [vertex.op for vertex in before.vertices]
    assert after.metadata == before.metadata
    assert after.locations == before.locations
    assert encode_definition(decoded.edge, sources) == encoded


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(DefinitionError) as caught:
        _ = ops.Vertex(ops.SourceOp("local://\udcff")).digest
    assert caught.value.code == "invalid-utf8"


def test_unknown_ops_are_refused_by_name() -> None:
    for field, name in ((5, "build"), (8, "passthrough")):
        raw = bytearray()
        put_message(raw, field, b"")
        with pytest.raises(NotBuiltYetError, match=name):
            decode_op(bytes(raw), {})


@pytest.mark.parametrize("index", [-2, 1, 99])
def test_indexes_outside_of_the_inputs_are_refused(index: int) -> None:
    action, body = bytearray(), bytearray()
    put_int(action, 1, index)
    put_message(action, 6, b"")
    put_message(body, 2, action)
    raw = bytearray()
    put_message(raw, 4, body)
    with pytest.raises(IntegrityError, match="input index"):
        decode_op(bytes(raw), {})


@given(st.binary(max_size=200))
def test_hostile_definitions_raise_our_errors_only(data: bytes) -> None:
    try:
        decode_definition(data)
    except BakehouseError:
        pass


@given(st.integers(0, 400), st.integers(0, 255))
def test_damaged_definitions_raise_our_errors_only(position: int, value: int) -> None:
    damaged = bytearray(encode_definition(every_op()))
    damaged[position % len(damaged)] = value
    try:
        decode_definition(bytes(damaged))
    except BakehouseError:
        pass
