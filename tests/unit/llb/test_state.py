"""The builder: what states keep, what deferred outputs become, how deep graphs may be."""

from __future__ import annotations

import pytest

from bakehouse.errors import InternalError
from bakehouse.llb import describe, ops, state
from bakehouse.llb.draft import Constraints, Output, SealDefaults
from bakehouse.llb.files import absolute_path, parse_owner
from bakehouse.llb.graph import collect
from bakehouse.llb.runs import RunMount

AMD64 = ops.LlbPlatform("linux", "amd64")
DEFAULTS = SealDefaults(AMD64, local_unique_id="unique")


def sealed(tree: state.State) -> ops.Vertex:
    edge = tree.seal(DEFAULTS)
    assert edge is not None
    return edge.vertex


def test_environment_moves_a_repeated_key_to_the_end() -> None:
    tree = state.scratch().with_env("A", "1").with_env("B", "2").with_env("A", "3")
    op = sealed(tree.run(["x"])).op
    assert isinstance(op, ops.ExecOp)
    assert op.meta.env == ("B=2", "A=3")


def test_states_are_immutable() -> None:
    base = state.scratch().with_env("A", "1")
    base.with_env("A", "2")
    assert dict(base.env) == {"A": "1"}


def test_local_source_without_session_is_unique() -> None:
    op = sealed(state.local("ctx", follow_paths=["a", "b"])).op
    assert isinstance(op, ops.SourceOp)
    assert op.attrs == {"local.followpaths": '["a","b"]', "local.unique": "unique"}


def test_local_source_of_a_session() -> None:
    op = sealed(state.local("ctx", session_id="s", exclude_patterns=["<x>"])).op
    assert isinstance(op, ops.SourceOp)
    assert op.attrs == {"local.session": "s", "local.excludepatterns": '["\\u003cx\\u003e"]'}


def test_exec_platform_comes_from_the_image_in_normal_form() -> None:
    arm = ops.LlbPlatform("linux", "arm64", "v8")
    vertex = sealed(state.image("docker.io/library/a:b", platform=arm).run(["x"]))
    assert vertex.platform == ops.LlbPlatform("linux", "arm64")
    assert vertex.inputs[0].vertex.platform == arm


def test_mounts_are_sorted_and_inputs_shared() -> None:
    base = state.image("docker.io/library/a:b", platform=AMD64)
    mounts = [
        RunMount("/z", base.output, readonly=True),
        RunMount("/b", base.output),
        RunMount("/a", cache=ops.CacheOpt("c")),
    ]
    vertex = sealed(base.run(["x"], mounts=mounts))
    assert isinstance(vertex.op, ops.ExecOp)
    assert len(vertex.inputs) == 1
    assert [(mount.dest, mount.input, mount.output) for mount in vertex.op.mounts] == [
        ("/", 0, 0),
        ("/a", -1, -1),
        ("/b", 0, 1),
        ("/z", 0, -1),
    ]


def test_merge_and_diff_drop_what_is_empty() -> None:
    tree = state.image("docker.io/library/a:b", platform=AMD64)
    assert state.merge([state.scratch(), tree]) == tree
    assert state.merge([]).output is None
    assert state.diff(state.scratch(), tree) == tree
    assert isinstance(sealed(state.diff(tree, state.scratch())).op, ops.DiffOp)
    merged = sealed(state.merge([tree, state.scratch().files([ops.MkDir("/a", 0o755)])]))
    assert merged.op == ops.MergeOp((0, 1))
    assert merged.platform is None


def test_deferred_output_is_asked_once_when_sealed() -> None:
    asked: list[int] = []

    def target() -> Output:
        asked.append(1)
        found = state.local("late", session_id="s").output
        assert found is not None
        return found

    late = state.State.of(Output.deferred(target))
    both = state.merge([late.run(["a"]), late.run(["b"])])
    assert asked == []
    names = [vertex.name for vertex in collect(both.seal(DEFAULTS) or pytest.fail()).vertices]
    assert names[:3] == ["local://late", "a", "b"]
    assert asked == [1]


def test_deferred_output_that_leads_to_itself() -> None:
    cell: list[Output] = []
    late = Output.deferred(lambda: cell[0])
    cell.append(late)
    with pytest.raises(InternalError):
        state.State.of(late).seal(DEFAULTS)


def test_graphs_deeper_than_the_recursion_limit() -> None:
    tree = state.scratch()
    for number in range(3000):
        tree = tree.run([str(number)])
    edge = tree.seal(DEFAULTS)
    assert edge is not None
    assert len(collect(edge).vertices) == 3000
    plain = ops.Vertex(ops.SourceOp("local://x"))
    for number in range(3000):
        op = ops.FileOp((ops.FileAction(ops.MkDir(f"/{number}", 0o755), 0, -1, 0),))
        plain = ops.Vertex(op, (ops.Edge(plain),))
    assert plain.digest.startswith("sha256:")


def test_equal_steps_join_their_names_and_lines() -> None:
    def step(name: str, line: int) -> state.State:
        place = Constraints(locations=(("Dockerfile", line, line),)).named(name)
        return state.image("docker.io/library/a:b", platform=AMD64, constraints=place)

    first, second = step("first", 1), step("second", 2)
    tree = first.files([second.copy_from(ops.Copy("/a", "/b"))])
    graph = collect(tree.seal(DEFAULTS) or pytest.fail())
    image = graph.vertices[0].digest
    assert len(graph.vertices) == 2
    assert graph.metadata[image].description == {"llb.customname": "second"}
    assert graph.locations[image] == (("Dockerfile", 1, 1), ("Dockerfile", 2, 2))


@pytest.mark.parametrize(
    ("parent", "path", "expected"),
    [
        ("/w", "a", "/w/a"),
        ("/w", "a/", "/w/a/"),
        ("/w", "a/.", "/w/a/."),
        ("/w", "/", "/"),
        ("/w", "/.", "/."),
        ("/w", "../../x", "/x"),
        ("w", "x//y", "/w/x/y"),
        ("/", "//x", "/x"),
    ],
)
def test_copy_destinations(parent: str, path: str, expected: str) -> None:
    assert absolute_path(parent, path, keep_slash=True) == expected


@pytest.mark.parametrize(
    ("text", "user", "group"),
    [
        ("5:6", ops.User(5), ops.User(6)),
        ("5", ops.User(5), None),
        ("root", ops.User(0), None),
        ("bob:", ops.User(0, "bob"), ops.User(0)),
        (":staff", ops.User(0), ops.User(0, "staff")),
        ("99999999999", ops.User(0, "99999999999"), None),
        ("-1", ops.User(0xFFFFFFFF), None),
    ],
)
def test_owners(text: str, user: ops.User, group: ops.User | None) -> None:
    assert parse_owner(text) == ops.Chown(user, group)


def test_descriptions_for_people() -> None:
    tree = state.image("docker.io/library/a:b", platform=AMD64).run(["echo", 'a "b"'])
    edge = tree.seal(DEFAULTS)
    entries = describe.describe(edge)
    assert [entry["name"] for entry in entries] == ["docker-image://docker.io/library/a:b", 'echo a "b"']
    assert entries[1]["op"]["exec"]["meta"]["args"] == ["echo", 'a "b"']
    dot = describe.to_dot(edge)
    assert 'label="echo a \\"b\\""' in dot
    assert f'"{entries[0]["digest"]}" -> "{entries[1]["digest"]}" [label="/"]' in dot
    assert describe.to_dot(None) == "digraph {\n}\n"
