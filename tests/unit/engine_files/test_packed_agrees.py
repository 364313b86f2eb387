"""Two ways to one layer: a prepared directory compared with its base, and the packed destination in memory.

Both must give the same tar, byte for byte, on generated trees and copies.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.support.needs import needs_root
from tests.unit.engine_files.trees import (
    TIME_NS,
    make_tree,
    packed_over,
    tar_of_difference,
    tar_of_packed,
)

from bakehouse.engine.nodes import TreeReader
from bakehouse.engine.ops import file_actions
from bakehouse.engine.ops.file_copy import Owner
from bakehouse.engine.ops.file_destination import Destination, DirectoryDestination
from bakehouse.engine.ops.file_packed import NeedsDirectory
from bakehouse.engine.sources.context_walk import ContextDirectory
from bakehouse.errors import BakehouseError
from bakehouse.llb.ops import Action, Copy, MkDir, MkFile, Symlink

pytestmark = needs_root

NAMES = ["a", "b", "c.txt", "é", "B"]
STAMP = 1_500_000_000_000_000_000


def apply(
    destination: Destination[object], source: ContextDirectory, reader: TreeReader, actions: list[Action]
) -> None:
    for action in actions:
        if isinstance(action, Copy):
            file_actions.copy(destination, action, None, source, reader, lambda path: False, lambda: None)
        elif isinstance(action, MkFile):
            file_actions.make_file(destination, action, Owner(7, 8))
        elif isinstance(action, MkDir):
            file_actions.make_directory(destination, action, None)
        else:
            assert isinstance(action, Symlink)
            file_actions.make_symlink(destination, action, Owner(9, 10))


def both(base: Path, source: Path, actions: list[Action], scratch: Path) -> tuple[object, object]:
    """The layer tars of both ways, or the messages of their errors."""
    return _directory(base, source, actions, scratch), _packed(base, source, actions)


def _directory(base: Path, source: Path, actions: list[Action], scratch: Path) -> object:
    upper = scratch / "upper"
    shutil.rmtree(upper, ignore_errors=True)
    shutil.copytree(base, upper, symlinks=True)
    _copy_times(base, upper)
    destination = DirectoryDestination(upper)
    with ExitStack() as stack:
        stack.callback(destination.close)
        tree = stack.enter_context(ContextDirectory(source))
        reader = stack.enter_context(tree.reader())
        try:
            apply(destination, tree, reader, actions)
        except (BakehouseError, OSError) as error:
            return str(error)
    return _without_now(upper, lambda: tar_of_difference(base, upper))


def _packed(base: Path, source: Path, actions: list[Action]) -> object:
    destination, tree = packed_over(base)
    assert tree is not None
    with tree, ContextDirectory(source) as context, context.reader() as reader:
        try:
            apply(destination, context, reader, actions)
        except NeedsDirectory:
            assume(False)
        except (BakehouseError, OSError) as error:
            return str(error)
        pending = [destination.root()]
        while pending:
            entry = pending.pop()
            for child in (entry.children or {}).values():
                assert child is not None
                child.mtime_ns = min(child.mtime_ns, 1_700_000_000_000_000_000)
                if child.children is not None:
                    pending.append(child)
        try:
            return tar_of_packed(destination)
        except NeedsDirectory:
            assume(False)
    return None


def _copy_times(source: Path, target: Path) -> None:
    for directory, _, _, descriptor in os.fwalk(source, topdown=False):
        relative = os.path.relpath(directory, source)
        for name in [*os.listdir(descriptor), "."]:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            path = target / relative / name
            os.chown(path, status.st_uid, status.st_gid, follow_symlinks=False)
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)


def _without_now(root: Path, then: object) -> object:
    """Times that are the present moment become one fixed moment."""
    limit = 1_700_000_000_000_000_000
    for _, _, _, descriptor in os.fwalk(root, topdown=False):
        for name in [*os.listdir(descriptor), "."]:
            if os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mtime_ns > limit:
                os.utime(name, ns=(limit, limit), dir_fd=descriptor, follow_symlinks=False)
    assert callable(then)
    return then()


paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
contents = st.one_of(
    st.sampled_from(["", "x", "hello\n", "y" * 5000]),
    st.tuples(st.just("link"), st.sampled_from(["a", "../b", "/c.txt", "b/a", "nowhere"])),
)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, str | tuple[str, str]]:
    files: dict[str, str | tuple[str, str]] = {}
    for path in draw(st.lists(paths, max_size=8, unique=True)):
        parents = path.split("/")[:-1]
        taken = any("/".join(parents[:n]) in files for n in range(1, len(parents) + 1))
        if not taken and not any(other.startswith(path + "/") for other in files):
            files[path] = draw(contents)
    regular = [name for name, what in files.items() if isinstance(what, str)]
    if regular and draw(st.booleans()):
        files["hard"] = ("hard", draw(st.sampled_from(regular)))
    return files


copies = st.builds(
    Copy,
    src=st.one_of(st.just("/"), paths.map("/".__add__), st.just("/*")),
    dest=st.sampled_from(["/", "/a", "/a/", "/new", "/new/dir/", "/b/c.txt", "/a/b/x"]),
    mode=st.sampled_from([-1, 0o640, 0o4755]),
    follow_symlink=st.booleans(),
    dir_copy_contents=st.booleans(),
    create_dest_path=st.just(True),
    allow_wildcard=st.booleans(),
    allow_empty_wildcard=st.booleans(),
    timestamp=st.sampled_from([-1, STAMP]),
    include_patterns=st.sampled_from([(), ("a",), ("**/c.txt", "b")]),
    exclude_patterns=st.sampled_from([(), ("b",), ("*", "!a/b")]),
    mode_str=st.sampled_from(["", "", "u+x,go=r"]),
)
actions = st.lists(
    st.one_of(
        copies,
        st.builds(MkFile, path=paths.map("/".__add__), mode=st.just(0o600), data=st.just(b"made")),
        st.builds(MkDir, path=paths.map("/".__add__), mode=st.just(0o711), make_parents=st.booleans()),
        st.builds(Symlink, oldpath=st.just("a"), newpath=paths.map("/".__add__)),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(base=trees(), source=trees(), steps=actions)
def test_both_ways_give_the_same_layer(
    base: dict[str, str | tuple[str, str]], source: dict[str, str | tuple[str, str]], steps: list[Action]
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        lower = make_tree(Path(scratch) / "base", dict(base))
        for _, _, _, descriptor in os.fwalk(lower):
            for name in os.listdir(descriptor):
                os.utime(name, ns=(1, TIME_NS - 7_000_000_001), dir_fd=descriptor, follow_symlinks=False)
        context = make_tree(Path(scratch) / "context", dict(source))
        directory_tar, packed_tar = both(lower, context, steps, Path(scratch))
        assert packed_tar == directory_tar
