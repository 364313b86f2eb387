"""Kernel-call wrappers against the running kernel."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.needs import needs_root

from bakehouse.linux import files, mounts, namespaces
from bakehouse.linux.locks import FileLock


def in_private_namespace(work: Callable[[], None]) -> None:
    """Runs `work` in a thread with its own mount namespace, which ends with the thread."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            namespaces.unshare(namespaces.CLONE_NEWNS)
            mounts.make_private()
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("opener", [files.open_in_root, files.walk_in_root])
def test_open_in_root_stays_inside(tmp_path: Path, opener: Callable[[int, str, int], int]) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "name").write_text("inside")
    (tmp_path / "name").write_text("outside")
    os.symlink("/etc", root / "abs")
    os.symlink("../../../../etc", root / "up")
    os.symlink("loop", root / "loop")
    fd = os.open(root, os.O_RDONLY)
    try:
        for path in ("etc/name", "/etc/name", "abs/name", "up/name", "../etc/name", "etc/../../etc/name"):
            got = opener(fd, path, os.O_RDONLY)
            try:
                assert os.read(got, 100) == b"inside", path
            finally:
                os.close(got)
        with pytest.raises(FileNotFoundError):
            opener(fd, "../name", os.O_RDONLY)
        with pytest.raises(OSError) as caught:
            opener(fd, "loop/x", os.O_RDONLY)
        assert caught.value.errno == errno.ELOOP
    finally:
        os.close(fd)


def test_remove_tree_handles_depth_beyond_path_max(tmp_path: Path) -> None:
    top = tmp_path / "deep"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("directory", dir_fd=fd)
        child = os.open("directory", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = child
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)
    os.symlink(tmp_path, top / "link")
    files.remove_tree(top)
    assert not top.exists()
    assert tmp_path.exists()
    files.remove_tree(top)


@needs_root
@pytest.mark.parametrize("depth", [3, 700])
def test_remove_tree_of_a_lower_layer(tmp_path: Path, depth: int) -> None:
    """Overlayfs answers EXDEV when a directory of a lower layer is renamed."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    lower = tmp_path / "lower" / "gone"
    lower.mkdir()
    fd = os.open(lower, os.O_RDONLY)
    for number in range(depth):
        for name in ("a", "b"):
            os.close(os.open(f"{name}{number}", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
        for name in ("empty", "directory"):
            os.mkdir(name, 0o500, dir_fd=fd)
        child = os.open("directory", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = child
    os.close(fd)
    (tmp_path / "lower" / "kept").write_text("kept")

    def work() -> None:
        merged, upper = tmp_path / "merged", tmp_path / "upper"
        mounts.overlay(merged, [tmp_path / "lower"], upper=upper, work=tmp_path / "work")
        try:
            (merged / "gone" / "new").mkdir()
            (merged / "gone" / "new" / "file").touch()
            before = len(os.listdir("/proc/self/fd"))
            files.remove_tree(merged / "gone")
            assert len(os.listdir("/proc/self/fd")) == before
            assert os.listdir(merged) == ["kept"]
        finally:
            mounts.umount(merged, mounts.MNT_DETACH)
        assert files.is_whiteout(os.lstat(upper / "gone"))
        assert os.listdir(upper) == ["gone"]

    in_private_namespace(work)
    assert lower.is_dir()


def test_copy_data_reports_a_short_source(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 5000)
    source = os.open(tmp_path / "a", os.O_RDONLY)
    target = os.open(tmp_path / "b", os.O_WRONLY | os.O_CREAT)
    try:
        assert files.copy_data(source, target, 6000) in (5000, 6000)
    finally:
        os.close(source)
        os.close(target)
    assert (tmp_path / "b").read_bytes() == b"x" * 5000


def test_whiteout_is_a_zero_device(tmp_path: Path) -> None:
    files.make_whiteout(tmp_path / "w")
    status = os.lstat(tmp_path / "w")
    assert files.is_whiteout(status)
    assert stat.S_ISCHR(status.st_mode)


def test_absent_xattr_is_none(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    assert files.get_xattr(tmp_path / "f", "user.absent") is None


def test_errors_carry_errno_and_path() -> None:
    with pytest.raises(OSError) as caught:
        mounts.umount("/no/such/mount/point")
    assert caught.value.errno in (errno.ENOENT, errno.EPERM)
    assert caught.value.filename == "/no/such/mount/point"


@needs_root
@pytest.mark.parametrize("call", [mounts._overlay_by_fsopen, mounts._overlay_by_mount])
def test_overlay_of_120_lowers(tmp_path: Path, call: Callable[..., None]) -> None:
    lowers = []
    for number in range(120):
        lower = tmp_path / f"a-directory-with-a-rather-long-name-so-that-options-overflow-{number:03d}"
        lower.mkdir()
        (lower / f"file{number}").touch()
        (lower / "same").write_text(str(number))
        lowers.append(lower)
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()

    def work() -> None:
        merged = tmp_path / "merged"
        call(merged, lowers, tmp_path / "upper", tmp_path / "work", [("index", "off"), ("volatile", None)])
        assert len(os.listdir(merged)) == 121
        assert (merged / "same").read_text() == "119"
        (merged / "file7").unlink()
        mounts.umount(merged)

    in_private_namespace(work)
    assert files.is_whiteout(os.lstat(tmp_path / "upper" / "file7"))


@needs_root
def test_can_mount_overlay_leaves_nothing(tmp_path: Path) -> None:
    assert mounts.can_mount_overlay(tmp_path) in (True, False)
    assert os.listdir(tmp_path) == []
    assert not mounts.can_mount_overlay("/proc")


def test_lock_excludes_and_survives_unlink(tmp_path: Path) -> None:
    first = FileLock.acquire(tmp_path / "l")
    assert first is not None
    assert FileLock.acquire(tmp_path / "l", wait=False) is None
    os.unlink(tmp_path / "l")
    second = FileLock.acquire(tmp_path / "l", wait=False)
    assert second is not None
    first.release()
    assert FileLock.acquire(tmp_path / "l", wait=False) is None
    second.release()


def test_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys,time;from bakehouse.linux.locks import FileLock;"
        "l=FileLock.acquire(sys.argv[1]);print('held',flush=True);time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "l")], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert FileLock.acquire(tmp_path / "l", wait=False) is None
        child.kill()
        child.wait()
    lock = FileLock.acquire(tmp_path / "l", wait=False)
    assert lock is not None
    lock.release()
