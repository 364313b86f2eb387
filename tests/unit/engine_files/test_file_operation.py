"""File operations on a real store: both ways to a layer, several actions, publishing, errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.engine_files.engine import SmallEngine, local, small_engine
from tests.unit.engine_files.trees import listing, make_tree, run_context

from bakehouse.engine.ops.file import FileOperation
from bakehouse.engine.ops.file_pack import PackedTree
from bakehouse.errors import BakehouseError, CancelledError, DefinitionError, IntegrityError, NotFoundError
from bakehouse.llb.ops import (
    Action,
    Chown,
    Copy,
    DiffOp,
    Edge,
    FileAction,
    FileOp,
    MergeOp,
    MkDir,
    MkFile,
    Rm,
    Symlink,
    User,
    Vertex,
)
from bakehouse.session import Session

FILES = {
    "f": "file\n",
    "dir/x": "x",
    "dir/sub/y": "y",
    "dir/hard": ("hard", "dir/x"),
    "dir/l": ("link", "x"),
}


def copy(src: str, dest: str, **more: object) -> Copy:
    """A copy with the settings of the Dockerfile's COPY."""
    return Copy(
        src,
        dest,
        follow_symlink=True,
        dir_copy_contents=True,
        create_dest_path=True,
        allow_wildcard=True,
        allow_empty_wildcard=True,
        **more,  # type: ignore[arg-type]
    )


def onto(below: Edge | None, *actions: Action, source: Edge | None = None) -> Edge:
    """`actions` in a row on top of `below`, copies from `source`."""
    inputs = [edge for edge in (below, source) if edge is not None]
    steps = []
    for number, action in enumerate(actions):
        main = len(inputs) + number - 1 if number else (0 if below is not None else -1)
        secondary = len(inputs) - 1 if isinstance(action, Copy) and source is not None else -1
        output = 0 if number == len(actions) - 1 else -1
        steps.append(FileAction(action, main, secondary, output))
    return Edge(Vertex(FileOp(tuple(steps)), tuple(inputs)))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    context = make_tree(tmp_path / "context", dict(FILES))
    return Session(local_dirs={"context": context})


def paths(layer: bytes) -> list[str]:
    return [str(member[0]) for member in listing(layer)]


@pytest.mark.parametrize("files_needed", [True, False])
def test_several_actions_make_one_layer(tmp_path: Path, session: Session, files_needed: bool) -> None:
    edge = onto(
        None,
        MkDir("/w/v", 0o711, make_parents=True, timestamp=10**9),
        copy("/dir", "/w/v/", timestamp=10**9),
        MkFile("/w/made", 0o640, b"data", timestamp=10**9, owner=Chown(User(3), User(4))),
        Symlink("made", "/w/link", timestamp=10**9),
        source=local(),
    )
    with small_engine(tmp_path / "store", session) as engine:
        tree = engine.run(edge, files_needed=files_needed)
        assert isinstance(tree, PackedTree) is not files_needed
        (layer,) = engine.layers(tree)
        found = {str(member[0]): member for member in listing(layer)}
        assert list(found) == [
            "w",
            "w/link",
            "w/made",
            "w/v",
            "w/v/hard",
            "w/v/l",
            "w/v/sub",
            "w/v/sub/y",
            "w/v/x",
        ]
        assert found["w/made"][2:6] == ("0o640", 3, 4, 1)
        assert found["w/v"][2:6] == ("0o711", 0, 0, 1)
        assert found["w/v/x"][1:2] + found["w/v/x"][7:8] == (b"1", "w/v/hard")
        with tree.mounted() as root:
            assert (root / "w/v/sub/y").read_text() == "y"


def test_packed_layers_build_on_each_other_without_unpacking(tmp_path: Path, session: Session) -> None:
    first = onto(None, copy("/dir", "/a/", timestamp=0), source=local())
    second = onto(first, copy("/f", "/a/sub/", timestamp=0), source=local())
    third = onto(second, copy("/f", "/a/sub/y/z", timestamp=0), source=local())
    with small_engine(tmp_path / "store", session) as engine:
        tree = engine.run(second, files_needed=False)
        assert paths(engine.layers(tree)[1]) == ["a", "a/sub", "a/sub/f"]
        assert not list((tmp_path / "store" / "snapshots").iterdir())
        with pytest.raises(DefinitionError, match="mkdir /a/sub/y: not a directory"):
            engine.run(third, files_needed=False)


def test_unchanged_directories_are_left_out(tmp_path: Path, session: Session) -> None:
    first = onto(None, copy("/dir", "/a/", timestamp=0), source=local())
    again = onto(first, MkDir("/a/sub", 0o700, make_parents=True), source=None)
    with small_engine(tmp_path / "store", session) as engine:
        assert listing(engine.layers(engine.run(again, files_needed=False))[1]) == []


@pytest.mark.parametrize("files_needed", [True, False])
def test_removals_become_whiteouts(tmp_path: Path, session: Session, files_needed: bool) -> None:
    first = onto(None, copy("/dir", "/a/", timestamp=0), source=local())
    edge = onto(first, Rm("/a/*", allow_wildcard=True), Rm("/nope", allow_not_found=True))
    with small_engine(tmp_path / "store", session) as engine:
        layer = engine.layers(engine.run(edge, files_needed=files_needed))[1]
        assert paths(layer) == ["a", "a/.wh.hard", "a/.wh.l", "a/.wh.sub", "a/.wh.x"]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (Rm("/nope"), "stat /nope: no such file or directory"),
        (Rm("/"), "rmPath: invalid empty path"),
        (MkFile("/missing/f", 0o600, b""), "open /missing/f: no such file or directory"),
        (MkFile("/a/x/f", 0o600, b""), "open /a/x/f: not a directory"),
        (MkDir("/missing/d", 0o755), "mkdir /missing/d: no such file or directory"),
        (MkDir("/a/x/d", 0o755, make_parents=True), "lstat /a/x/d: not a directory"),
        (Symlink("t", "/a/x"), "symlink t /a/x: file exists"),
        (copy("/dir", "/a/x"), "cannot copy to non-directory: /a/x"),
        (copy("/f", "/a/x/"), "mkdir /a/x: not a directory"),
        (Copy("/nope", "/b", create_dest_path=True), "lstat /nope: no such file or directory"),
        (Copy("/*.zip", "/b", allow_wildcard=True, create_dest_path=True), r"/\*.zip not found"),
        (Copy("/f", "/no/b"), "failed to stat /no/b"),
    ],
)
@pytest.mark.parametrize("files_needed", [True, False])
def test_errors(tmp_path: Path, session: Session, action: Action, message: str, files_needed: bool) -> None:
    first = onto(None, copy("/dir", "/a/"), source=local())
    edge = onto(first, action, source=local() if isinstance(action, Copy) else None)
    with small_engine(tmp_path / "store", session) as engine:
        base = engine.run(first)
        operation = FileOperation(edge.vertex, engine.context)
        inputs = [base, *(engine.run(source) for source in edge.vertex.inputs[1:])]
        with pytest.raises(BakehouseError, match=message):
            operation.run(run_context(files_needed=files_needed), inputs)


def test_absent_source_fails_as_buildkit_words_it(tmp_path: Path, session: Session) -> None:
    edge = onto(None, copy("/nope", "/x"), source=local())
    with small_engine(tmp_path / "store", session) as engine:
        with pytest.raises(
            NotFoundError, match=r'failed to calculate checksum of ref .*: "/nope": not found'
        ):
            engine.run(edge)


def test_intermediate_results_can_be_published_and_copied_from(tmp_path: Path, session: Session) -> None:
    op = FileOp(
        (
            FileAction(MkFile("/one", 0o600, b"1"), -1, -1, 1),
            FileAction(MkFile("/two", 0o600, b"2"), 1, -1, -1),
            FileAction(Copy("/two", "/copied"), -1, 2, 0),
        )
    )
    vertex = Vertex(op, (local(),))
    with small_engine(tmp_path / "store", session) as engine:
        copied, one = engine.run(Edge(vertex, 0)), engine.run(Edge(vertex, 1))
        assert [paths(layer) for layer in engine.layers(copied)] == [["copied"]]
        assert [paths(layer) for layer in engine.layers(one)] == [["one"]]


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ((), "no actions"),
        ((FileAction(MkDir("/a", 0), 5, -1, 0),), "invalid input index 5"),
        ((FileAction(MkDir("/a", 0), 0, -1, 0),), "loop from index 0"),
        ((FileAction(MkDir("/a", 0), -1, -1, -1),), "no outputs"),
        ((FileAction(MkDir("/a", 0), -1, -1, 1),), "missing output index 0"),
        (
            (FileAction(MkDir("/a", 0), -1, -1, 0), FileAction(MkDir("/a", 0), -1, -1, 0)),
            "duplicate output 0",
        ),
    ],
)
def test_bad_indexes_are_refused(tmp_path: Path, actions: tuple[FileAction, ...], message: str) -> None:
    with small_engine(tmp_path / "store") as engine, pytest.raises(DefinitionError, match=message):
        FileOperation(Vertex(FileOp(actions)), engine.context)


def test_named_owner_comes_from_the_tree_it_names(tmp_path: Path, session: Session) -> None:
    base = onto(
        None,
        MkDir("/etc", 0o755),
        MkFile("/etc/passwd", 0o644, b"root:x:0:0::/:\nbob:x:1001:1002::/:/bin/sh\n"),
        MkFile("/etc/group", 0o644, b"staff:x:50:\n"),
    )
    bob, staff, ghost = (User(name=name, input=0) for name in ("bob", "staff", "ghost"))
    edge = onto(
        base,
        copy("/f", "/bob", owner=Chown(bob)),
        copy("/f", "/both", owner=Chown(bob, staff)),
        copy("/f", "/ghost", owner=Chown(ghost, ghost)),
        source=local(),
    )
    with small_engine(tmp_path / "store", session) as engine:
        members = listing(engine.layers(engine.run(edge))[1])
        assert [(member[0], member[3], member[4]) for member in members] == [
            ("bob", 1001, 1002),
            ("both", 1001, 50),
            ("ghost", 0, 0),
        ]


def test_destination_symlinks_never_lead_outside(tmp_path: Path, session: Session) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    base = onto(None, Symlink(str(outside), "/abs"), Symlink("../../../../../../tmp", "/up"))
    edge = onto(base, copy("/f", "/abs/"), copy("/f", "/up/bakehouse-must-not-appear"), source=local())
    with small_engine(tmp_path / "store", session) as engine:
        with engine.run(edge).mounted() as root:
            assert (root / str(outside).lstrip("/") / "f").read_text() == "file\n"
            assert (root / "tmp/bakehouse-must-not-appear").exists()
    assert os.listdir(outside) == []
    assert not Path("/tmp/bakehouse-must-not-appear").exists()


def test_source_symlinks_never_lead_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    context = make_tree(tmp_path / "context", {"l": ("link", str(tmp_path / "secret"))})
    with small_engine(tmp_path / "store", Session(local_dirs={"context": context})) as engine:
        with pytest.raises(NotFoundError):
            engine.run(onto(None, copy("/l", "/x"), source=local()))


def test_a_file_that_changes_while_packed_is_reported(tmp_path: Path, session: Session) -> None:
    edge = onto(None, copy("/", "/"), source=local())
    with small_engine(tmp_path / "store", session) as engine:
        tree = engine.run(local())
        operation = FileOperation(edge.vertex, engine.context)
        tree.checksum(())
        (session.local_dirs["context"] / "f").write_text("other content of another length")
        with pytest.raises(IntegrityError, match="changed"):
            operation.run(run_context(files_needed=False), [tree])
        (session.local_dirs["context"] / "f").unlink()
        with pytest.raises(IntegrityError, match="vanished"):
            operation.run(run_context(files_needed=False), [tree])


def test_cancellation_leaves_nothing(tmp_path: Path, session: Session) -> None:
    edge = onto(None, copy("/", "/"), source=local())
    with small_engine(tmp_path / "store", session) as engine:
        tree = engine.run(local())
        for files_needed in (True, False):
            context = run_context(files_needed=files_needed)
            context.cancel.cancel()
            with pytest.raises(CancelledError):
                FileOperation(edge.vertex, engine.context).run(context, [tree])
        assert engine.context.layers.usage() == []


def both_engines(tmp_path: Path, session: Session, edge: Edge) -> list[list[bytes]]:
    found = []
    for number, needed in enumerate((True, False)):
        with small_engine(tmp_path / f"store{number}", session) as engine:
            found.append(engine.layers(engine.run(edge, files_needed=needed)))
    return found


def test_both_ways_give_the_same_diff_ids(tmp_path: Path, session: Session) -> None:
    first = onto(None, copy("/", "/app/", timestamp=10**9, mode=0o750), source=local())
    second = onto(first, copy("/dir/*", "/other/", timestamp=2 * 10**9), source=local())
    directory, packed = both_engines(tmp_path, session, second)
    assert directory == packed


def merge(*edges: Edge) -> Edge:
    return Edge(Vertex(MergeOp(tuple(range(len(edges)))), edges))


def test_merge_stacks_and_diff_takes_apart(tmp_path: Path, session: Session) -> None:
    a = onto(None, MkFile("/a", 0o600, b"a"))
    b = onto(None, MkFile("/b", 0o600, b"b"))
    ab = merge(a, b)
    rest = Edge(Vertex(DiffOp(0, 1), (a, ab)))
    nothing = Edge(Vertex(DiffOp(0, 1), (ab, ab)))
    with small_engine(tmp_path / "store", session) as engine:
        assert [paths(layer) for layer in engine.layers(engine.run(ab))] == [["a"], ["b"]]
        assert engine.run(rest).chain() == engine.run(b).chain()
        assert engine.run(nothing).chain().layers == ()


def test_diff_of_unrelated_trees_has_whiteouts(tmp_path: Path, session: Session) -> None:
    a = onto(
        None, MkDir("/d", 0o755, timestamp=0), MkFile("/d/gone", 0o600, b"a"), MkFile("/same", 0o600, b"s")
    )
    b = onto(None, MkDir("/d", 0o755, timestamp=0), MkFile("/d/new", 0o600, b"b"))
    edge = Edge(Vertex(DiffOp(0, 1), (a, b)))
    with small_engine(tmp_path / "store", session) as engine:
        (layer,) = engine.layers(engine.run(edge))
        assert paths(layer) == ["d", "d/.wh.gone", "d/new", ".wh.same"]


def key(engine: SmallEngine, edge: Edge) -> str:
    return engine.operation(edge.vertex).cache_map(run_context()).digest


def test_merge_and_diff_keys(tmp_path: Path) -> None:
    """The pre-images of engine.md §8.2, spelled out."""
    import hashlib

    a, b = onto(None, MkFile("/a", 0o600, b"a")), onto(None, MkFile("/b", 0o600, b"b"))
    merged = b'{"Type":"buildkit.merge.v0","Merge":{"inputs":[{},{"input":1}]}}'
    difference = b'{"Type":"buildkit.diff.v0","Diff":{"lower":{"input":-1},"upper":{}}}'
    with small_engine(tmp_path / "store") as engine:
        assert key(engine, merge(a, b)) == "sha256:" + hashlib.sha256(merged).hexdigest()
        edge = Edge(Vertex(DiffOp(-1, 0), (a,)))
        assert key(engine, edge) == "sha256:" + hashlib.sha256(difference).hexdigest()
