"""Context directories: filters, followed links, remembered digests, the copy for mounts."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from tests.unit.engine_files.engine import local, small_engine
from tests.unit.engine_files.trees import TIME_NS, make_tree

from bakehouse.engine import contenthash
from bakehouse.engine.nodes import walk
from bakehouse.engine.sources.context_index import ContextIndex
from bakehouse.engine.sources.context_walk import ContextDirectory, filter_context, follow_links
from bakehouse.engine.sources.local import HostTree
from bakehouse.engine.tree import Selection
from bakehouse.errors import NotFoundError
from bakehouse.session import Session

#: dockerfile.md §11.3
TREE = dict.fromkeys(
    [
        ".git/HEAD",
        "Dockerfile",
        "README.md",
        "top.txt",
        "a/1.md",
        "a/b/2.md",
        "a/b/k.txt",
        "x/y/z.txt",
        "node_modules/m/i.js",
    ],
    "",
)


def kept(root: Path, include: list[str], exclude: list[str], follow: list[str] | None = None) -> set[str]:
    tree = ContextDirectory(root)
    with tree:
        filter_context(tree, include, exclude, follow)
        return {node.path[1:] + ("/" if node.is_directory else "") for node in walk(tree, tree.root)} - {"/"}


@pytest.mark.parametrize(
    ("exclude", "gone", "there"),
    [
        (["*.md"], {"README.md"}, {"a/1.md"}),
        (["**/*.md"], {"README.md", "a/1.md", "a/b/2.md"}, {"a/b/"}),
        (["**/*.md", "!README.md"], {"a/1.md", "a/b/2.md"}, {"README.md"}),
        (["a"], {"a/", "a/1.md", "a/b/", "a/b/k.txt"}, {"x/y/z.txt"}),
        (["a/*"], {"a/1.md", "a/b/"}, {"a/"}),
        (["a/*", "!a/b/2.md"], {"a/1.md", "a/b/k.txt"}, {"a/", "a/b/", "a/b/2.md"}),
        (["*/y"], {"x/y/", "x/y/z.txt"}, {"x/"}),
        (["**/b"], {"a/b/", "a/b/2.md"}, {"a/1.md"}),
        (["*", "!a/b"], {"a/1.md", "top.txt", "x/"}, {"a/", "a/b/", "a/b/2.md", "a/b/k.txt"}),
        (["*", "!top.txt"], {"README.md", "a/", "x/"}, {"top.txt"}),
        (["**", "!x/y/z.txt"], {"a/", "top.txt"}, {"x/", "x/y/", "x/y/z.txt"}),
        (["[^a]"], {"x/", "x/y/"}, {"a/1.md", "node_modules/m/i.js"}),
        (["to**xt"], set(), {"top.txt"}),
    ],
)
def test_dockerignore_examples(tmp_path: Path, exclude: list[str], gone: set[str], there: set[str]) -> None:
    make_tree(tmp_path, dict(TREE))
    found = kept(tmp_path, [], exclude)
    assert not gone & found
    assert there <= found


def test_followed_paths_bring_the_links_and_their_targets(tmp_path: Path) -> None:
    make_tree(
        tmp_path,
        {
            "dir/x": "",
            "dir/y": "",
            "real/x": "",
            "link": ("link", "dir"),
            "abs": ("link", "/real/x"),
            "chain": ("link", "link/x"),
            "up": ("link", "../../dir/y"),
            "other": "",
        },
    )
    assert kept(tmp_path, [], [], ["link/x"]) == {"link", "dir/", "dir/x"}
    assert kept(tmp_path, [], [], ["abs"]) == {"abs", "real/", "real/x"}
    assert kept(tmp_path, [], [], ["chain"]) == {"chain", "link", "dir/", "dir/x"}
    assert kept(tmp_path, [], [], ["up"]) == {"up", "dir/", "dir/y"}
    assert kept(tmp_path, [], [], ["l*"]) == {"link", "dir/", "dir/x", "dir/y"}
    assert follow_links(ContextDirectory(tmp_path), ["a", "."]) is None
    assert "other" in kept(tmp_path, [], [], ["/"])


def test_owner_is_root_and_a_socket_is_an_empty_file(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": "x"})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
    with ContextDirectory(tmp_path) as tree:
        children = tree.children(tree.root)
        assert children["s"].is_regular
        assert (children["s"].size, children["f"].uid, children["f"].gid) == (0, 0, 0)


def test_missing_context_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"build context .*/nope: No such file or directory"):
        ContextDirectory(tmp_path / "nope")


def test_unshared_directory_is_refused(tmp_path: Path) -> None:
    with small_engine(tmp_path / "store") as engine, pytest.raises(NotFoundError, match='dir "other"'):
        engine.run(local("other"))


def old_tree(root: Path, files: dict[str, str]) -> None:
    make_tree(root, dict(files))
    time.sleep(0.25)  # older than the margin in which a change might go unnoticed


def test_unchanged_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = tmp_path / "context"
    old_tree(context, {"a": "1", "b": "2", "sub/c": "3"})
    read: list[str] = []
    original = contenthash.record_digest

    def counting(node: object, *rest: object) -> str:
        read.append(node.path)  # type: ignore[attr-defined]
        return original(node, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(contenthash, "record_digest", counting)
    with small_engine(tmp_path / "store") as engine:
        first = HostTree(context, engine.context).checksum([Selection("/")])
        assert {"/a", "/b", "/sub/c"} <= set(read)
        read.clear()
        assert HostTree(context, engine.context).checksum([Selection("/")]) == first
        assert [path for path in read if path != "/sub"] == []
        status = os.stat(context / "b")
        (context / "b").write_text("X")
        os.utime(context / "b", ns=(status.st_atime_ns, status.st_mtime_ns))
        assert HostTree(context, engine.context).checksum([Selection("/")]) != first
        assert [path for path in read if path != "/sub"] == ["/b"]


def test_only_selected_files_are_read(tmp_path: Path) -> None:
    context = make_tree(tmp_path / "context", {"wanted": "x", "secret": "y"})
    os.chmod(context / "secret", 0)
    with small_engine(tmp_path / "store") as engine:
        tree = HostTree(context, engine.context)
        tree.checksum([Selection("/wanted")])
        assert tree.children(tree.root)["secret"].digest == ""


def test_a_file_that_just_changed_is_not_remembered(tmp_path: Path) -> None:
    context = make_tree(tmp_path / "context", {"a": "1"})
    with ContextDirectory(context) as tree:
        node = tree.children(tree.root)["a"]
        index = ContextIndex(tmp_path / "index")
        index.remember(node, "sha256:" + "0" * 64, False, node.ctime_ns + 50_000_000)
        assert index.lookup(node) is None
        index.remember(node, "sha256:" + "0" * 64, True, node.ctime_ns + 3_000_000_000)
        index.save()
        assert ContextIndex(tmp_path / "index").lookup(node) == ("sha256:" + "0" * 64, True)


@pytest.mark.parametrize("damage", [b"", b"x", b"bakehouse context index 1\n" + b"\0" * 200])
def test_a_damaged_index_is_an_empty_one(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "index"
    path.write_bytes(damage)
    context = make_tree(tmp_path / "context", {"a": "1"})
    with ContextDirectory(context) as tree:
        assert ContextIndex(path).lookup(tree.children(tree.root)["a"]) is None


def test_mounted_is_a_filtered_copy_made_once(tmp_path: Path) -> None:
    context = make_tree(
        tmp_path / "context", {"d/f": "x", "d/g": ("hard", "d/f"), "l": ("link", "d"), "no": "n"}
    )
    with small_engine(tmp_path / "store", Session(local_dirs={"context": context})) as engine:
        tree = engine.run(local(excludepatterns='["no"]'))
        with tree.mounted() as root:
            assert sorted(os.listdir(root)) == ["d", "l"]
            status = os.stat(root / "d/f")
            assert (status.st_mtime_ns, status.st_nlink) == (TIME_NS, 2)
        assert HostTree(context, engine.context, exclude=["no"]).chain() == tree.chain()


def test_large_files_are_hashed_in_parallel_with_the_same_result(tmp_path: Path) -> None:
    context = tmp_path / "context"
    make_tree(context, {f"big{number}": bytes([number]) * 600_000 for number in range(3)})
    with small_engine(tmp_path / "store") as engine:
        parallel = HostTree(context, engine.context).checksum([Selection("/")])
    single = contenthash.ContentHasher(ContextDirectory(context))
    assert parallel == contenthash.combined_checksum(single, [Selection("/")])
