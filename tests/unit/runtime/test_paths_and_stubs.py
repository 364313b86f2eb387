"""Paths stay inside a root; mount stubs vanish by BuildKit's rule (engine.md §23)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bakehouse.runtime.rootpath import resolve_in_root
from bakehouse.runtime.stubs import MountStubs, make_directories


@pytest.mark.parametrize(
    ("links", "path", "expected"),
    [
        ({}, "/a/b", "/a/b"),
        ({}, "../../a/./b//c/..", "/a/b"),
        ({"x": "/etc"}, "/x/passwd", "/etc/passwd"),
        ({"x": "../../../../etc"}, "/x/passwd", "/etc/passwd"),
        ({"x": "y", "y": "d/z"}, "x/1", "/d/z/1"),
        ({"x": "/"}, "/x", ""),
    ],
)
def test_paths_resolve_as_with_that_root(
    tmp_path: Path, links: dict[str, str], path: str, expected: str
) -> None:
    for name, target in links.items():
        os.symlink(target, tmp_path / name)
    assert resolve_in_root(os.fspath(tmp_path), path) == os.fspath(tmp_path) + expected


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    os.symlink("b", tmp_path / "a")
    os.symlink("a", tmp_path / "b")
    with pytest.raises(OSError) as caught:
        resolve_in_root(os.fspath(tmp_path), "/a")
    assert caught.value.errno == errno.ELOOP


def _make(root: Path, path: str, content: str | None = None) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        (root / path).mkdir()
    else:
        (root / path).write_text(content)


def _entries(root: Path) -> list[str]:
    return sorted(os.fspath(p.relative_to(root)) for p in root.rglob("*"))


def test_recursive_stubs_go_with_the_parents_made_for_them(tmp_path: Path) -> None:
    _make(tmp_path, "keep")
    stubs = MountStubs(os.fspath(tmp_path), ["/a/b/c", "/keep/x"], recursive=True)
    for path in ("a/b/c", "keep/x"):
        _make(tmp_path, path)
    for path in ("etc/resolv.conf", "etc/hosts"):
        _make(tmp_path, path, "")
    stubs.remove()
    assert _entries(tmp_path) == ["keep"]


def test_without_recursion_only_the_mount_point_goes(tmp_path: Path) -> None:
    stubs = MountStubs(os.fspath(tmp_path), ["/a/b/c"], recursive=False)
    _make(tmp_path, "a/b/c")
    stubs.remove()
    assert _entries(tmp_path) == ["a", "a/b"]


def test_what_a_step_put_there_stays(tmp_path: Path) -> None:
    stubs = MountStubs(os.fspath(tmp_path), ["/d/m", "/file", "/e/m"], recursive=True)
    _make(tmp_path, "d/m")
    _make(tmp_path, "d/other", "mine")
    _make(tmp_path, "file", "not empty")
    _make(tmp_path, "e/m/inside")
    stubs.remove()
    assert _entries(tmp_path) == ["d", "d/other", "e", "e/m", "e/m/inside", "file"]


def test_what_was_there_before_stays_even_when_empty(tmp_path: Path) -> None:
    _make(tmp_path, "etc/hosts", "")
    _make(tmp_path, "empty")
    MountStubs(os.fspath(tmp_path), ["/empty"], recursive=True).remove()
    assert _entries(tmp_path) == ["empty", "etc", "etc/hosts"]


def test_the_parent_keeps_its_times(tmp_path: Path) -> None:
    _make(tmp_path, "etc")
    stubs = MountStubs(os.fspath(tmp_path), [], recursive=True)
    _make(tmp_path, "etc/hosts", "")
    os.utime(tmp_path / "etc", ns=(1_000_000_007, 2_000_000_009))
    stubs.remove()
    status = os.stat(tmp_path / "etc")
    assert (status.st_atime_ns, status.st_mtime_ns) == (1_000_000_007, 2_000_000_009)


def test_a_link_put_in_place_of_a_stubs_directory_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    _make(root, "victim/m")
    stubs = MountStubs(os.fspath(root), ["/d/m"], recursive=True)
    os.symlink("victim", root / "d")
    stubs.remove()
    assert _entries(root) == ["victim", "victim/m"] or (root / "victim/m").is_dir()


def test_directories_are_made_with_an_owner_and_0755(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_directories(os.fspath(tmp_path), "/a/b", os.getuid(), os.getgid())
    finally:
        os.umask(before)
    assert [os.stat(tmp_path / p).st_mode & 0o7777 for p in ("a", "a/b")] == [0o755, 0o755]
    (tmp_path / "f").write_text("x")
    with pytest.raises(NotADirectoryError):
        make_directories(os.fspath(tmp_path), "/f/g")
