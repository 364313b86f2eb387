"""Archives of strangers stay inside; odd but valid ones come out right."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest
from tests.unit.snapshots.trees import describe, tar_of

from bakehouse.errors import IntegrityError
from bakehouse.linux.files import get_xattr, is_whiteout
from bakehouse.snapshots import TarEntry, TarReader, copy_tree, extract_tar, write_tree_tar
from bakehouse.snapshots.treewriter import TreeWriter

LINK, HARD, DIR, FIFO, CHAR = b"2", b"1", b"5", b"6", b"3"
OPAQUE = "trusted.overlay.opaque"


def extracted(tmp_path: Path, *members: tuple[TarEntry, bytes | None]) -> Path:
    out = tmp_path / "out"
    out.mkdir()
    extract_tar(io.BytesIO(tar_of(*members)), out)
    return out


def applied(out: Path, *members: tuple[TarEntry, bytes | None], lower: Path | None = None) -> TreeWriter:
    """Applies members in overlay form."""
    out.mkdir(exist_ok=True)
    tar = TarReader(io.BytesIO(tar_of(*members)))
    open_lower = None if lower is None else (lambda: os.open(lower, os.O_RDONLY))
    with TreeWriter(os.open(out, os.O_RDONLY), opaque_xattr=OPAQUE, open_lower=open_lower) as tree:
        for entry in tar:
            tree.write(entry, tar)
        tree.finish()
        return tree


@pytest.mark.parametrize("path", [b"../evil", b"/evil", b"a/../../evil", b"./../evil", b"//evil"])
def test_dots_and_slashes_stop_at_the_root(tmp_path: Path, path: bytes) -> None:
    out = extracted(tmp_path, (TarEntry(path, size=1), b"x"))
    assert (out / "evil").read_bytes() == b"x"
    assert not (tmp_path / "evil").exists()


def test_symlinked_parents_resolve_inside(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    out = extracted(
        tmp_path,
        (TarEntry(b"abs", LINK, linkname=os.fsencode(tmp_path / "victim")), None),
        (TarEntry(b"abs/file", size=1), b"x"),
        (TarEntry(b"up", LINK, linkname=b"../../../../victim"), None),
        (TarEntry(b"up/file", size=1), b"y"),
    )
    assert os.listdir(tmp_path / "victim") == []
    assert (out / os.path.relpath(tmp_path / "victim", "/") / "file").read_bytes() == b"x"
    assert (out / "victim" / "file").read_bytes() == b"y"


def test_last_component_is_never_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("untouched")
    target = os.fsencode(tmp_path / "victim")
    out = extracted(
        tmp_path,
        (TarEntry(b"f", LINK, linkname=target), None),
        (TarEntry(b"f", size=1, mode=0o600), b"x"),
        (TarEntry(b"d", LINK, linkname=os.fsencode(tmp_path)), None),
        (TarEntry(b"d", DIR, 0o711), None),
    )
    assert (tmp_path / "victim").read_text() == "untouched"
    assert stat.S_IMODE(os.stat(tmp_path).st_mode) != 0o711
    assert (out / "f").read_bytes() == b"x"
    assert not (out / "d").is_symlink()


def test_hard_links_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("secret")
    for target in (b"../victim", os.fsencode(tmp_path / "victim"), b"nowhere", b""):
        with pytest.raises(IntegrityError):
            out = tmp_path / "o"
            out.mkdir(exist_ok=True)
            extract_tar(io.BytesIO(tar_of((TarEntry(b"h", HARD, linkname=target), None))), out)
    assert os.stat(tmp_path / "victim").st_nlink == 1


def test_hard_link_through_a_symlinked_parent_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("secret")
    (tmp_path / "out").mkdir()
    data = tar_of(
        (TarEntry(b"s", LINK, linkname=os.fsencode(tmp_path)), None),
        (TarEntry(b"h", HARD, linkname=b"s/victim"), None),
    )
    with pytest.raises(IntegrityError):
        extract_tar(io.BytesIO(data), tmp_path / "out")
    assert os.stat(tmp_path / "victim").st_nlink == 1


def test_things_replace_one_another(tmp_path: Path) -> None:
    out = extracted(
        tmp_path,
        (TarEntry(b"x", DIR, 0o755), None),
        (TarEntry(b"x/inner/deep", size=1), b"1"),
        (TarEntry(b"x", size=1), b"2"),
        (TarEntry(b"x", FIFO), None),
        (TarEntry(b"x", DIR, 0o700, mtime_ns=5 * 10**9), None),
        (TarEntry(b"x/again", size=1), b"3"),
        (TarEntry(b"x", DIR, 0o750, mtime_ns=7 * 10**9), None),
    )
    assert os.listdir(out / "x") == ["again"]
    assert stat.S_IMODE((out / "x").stat().st_mode) == 0o750
    assert (out / "x").stat().st_mtime == 7


def test_file_as_parent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        extracted(tmp_path, (TarEntry(b"f", size=1), b"x"), (TarEntry(b"f/g", size=1), b"x"))
    assert caught.value.code == "tar-invalid"


def test_symlink_loop_as_parent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        extracted(tmp_path, (TarEntry(b"l", LINK, linkname=b"l"), None), (TarEntry(b"l/g"), None))


def test_attributes_survive(tmp_path: Path) -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    out = extracted(
        tmp_path,
        (
            TarEntry(
                b"f",
                mode=0o4755,
                uid=12,
                gid=34,
                mtime_ns=10**18,
                xattrs=(("security.capability", capability),),
            ),
            None,
        ),
        (TarEntry(b"bad\xff", LINK, uid=5, gid=6, mtime_ns=-(10**9), linkname=b"\xfe"), None),
        (TarEntry(b"t", xattrs=(("trusted.overlay.opaque", b"y"),)), None),
        (TarEntry(b"null", CHAR, 0o666, devmajor=1, devminor=3), None),
    )
    status = (out / "f").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns) == (
        0o4755,
        12,
        34,
        10**18,
    )
    assert get_xattr(out / "f", "security.capability") == capability
    link = os.lstat(os.fsencode(out) + b"/bad\xff")
    assert (link.st_uid, link.st_gid, link.st_mtime) == (5, 6, 0)
    assert get_xattr(out / "t", "trusted.overlay.opaque") is None
    assert os.stat(out / "null").st_rdev == os.makedev(1, 3)


def test_owner_override_and_whiteout_names_are_ordinary_in_archives(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    data = tar_of((TarEntry(b"d/.wh.x", size=1, uid=9), b"x"))
    extract_tar(io.BytesIO(data), tmp_path / "out", owner=(7, 8))
    status = (tmp_path / "out" / "d" / ".wh.x").stat()
    assert (status.st_uid, status.st_gid) == (7, 8)
    # BuildKit's ADD --chown leaves parents that the archive does not hold to root.
    implied = (tmp_path / "out" / "d").stat()
    assert (implied.st_uid, implied.st_gid, stat.S_IMODE(implied.st_mode)) == (0, 0, 0o755)


def test_whiteouts_take_overlay_form(tmp_path: Path) -> None:
    tree = applied(
        tmp_path / "l",
        (TarEntry(b"d", DIR, 0o755), None),
        (TarEntry(b"d/.wh.gone"), None),
        (TarEntry(b"o", DIR, 0o755), None),
        (TarEntry(b"o/.wh..wh..opq"), None),
        (TarEntry(b"o/.wh..wh.plnk"), None),
        (TarEntry(b"o/kept"), None),
        (TarEntry(b".wh.re"), None),
        (TarEntry(b"re", DIR, 0o755), None),
        (TarEntry(b"own"), None),
        (TarEntry(b".wh.own"), None),
    )
    layer = tmp_path / "l"
    assert is_whiteout(os.lstat(layer / "d" / "gone"))
    assert get_xattr(layer / "o", OPAQUE) == b"y"
    assert os.listdir(layer / "o") == ["kept"]
    assert get_xattr(layer / "re", OPAQUE) == b"y"
    assert stat.S_ISREG(os.lstat(layer / "own").st_mode)
    assert not tree.used_lower


@pytest.mark.parametrize("name", [b".wh.", b".wh...", b"d/.wh.."])
def test_bad_whiteouts_are_refused(tmp_path: Path, name: bytes) -> None:
    with pytest.raises(IntegrityError):
        applied(tmp_path / "l", (TarEntry(name), None))


def test_implied_parents_look_like_the_lower_ones(tmp_path: Path) -> None:
    lower = tmp_path / "lower"
    (lower / "a" / "b").mkdir(parents=True)
    os.chmod(lower / "a", 0o2711)
    os.chown(lower / "a" / "b", 5, 6)
    os.utime(lower / "a" / "b", (100, 100))
    (lower / "file").write_text("data")
    os.chmod(lower / "file", 0o640)
    os.utime(lower / "file", (50, 50))
    tree = applied(
        tmp_path / "l",
        (TarEntry(b"a/b/c/f", size=1), b"x"),
        (TarEntry(b"other/hard", HARD, 0o640, mtime_ns=50 * 10**9, linkname=b"file"), None),
        lower=lower,
    )
    layer = tmp_path / "l"
    assert stat.S_IMODE((layer / "a").stat().st_mode) == 0o2711
    b = (layer / "a" / "b").stat()
    assert (b.st_uid, b.st_gid, b.st_mtime) == (5, 6, 100)
    assert stat.S_IMODE((layer / "a" / "b" / "c").stat().st_mode) == 0o755
    assert (layer / "file").samefile(layer / "other" / "hard")
    assert (layer / "file").read_text() == "data"
    assert tree.used_lower


def test_many_directories_at_once(tmp_path: Path) -> None:
    """More parents than are kept open."""
    members = [(TarEntry(b"d%d" % n, DIR, 0o755, mtime_ns=n * 10**9), None) for n in range(400)]
    members += [(TarEntry(b"d%d/f" % n), None) for n in range(400)]
    out = extracted(tmp_path, *members)
    assert [(out / f"d{n}").stat().st_mtime for n in range(400)] == list(range(400))
    assert len(os.listdir("/proc/self/fd")) < 100


def test_copy_tree_and_tree_tar_agree(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "d" / "e").mkdir(parents=True)
    (source / "d" / "f").write_bytes(b"x" * 10000)
    os.link(source / "d" / "f", source / "d" / "e" / "hard")
    os.symlink("f", source / "d" / "sym")
    os.mkfifo(source / "fifo")
    os.setxattr(source / "d" / "f", "user.note", b"n")
    os.chown(source / "d" / "f", 3, 4)
    os.chmod(source / "d", 0o2750)
    for path in [*source.rglob("*"), source]:
        os.utime(path, (1000, 1000), follow_symlinks=False)
    (tmp_path / "copy" / "d").mkdir(parents=True)
    (tmp_path / "copy" / "d" / "f").write_text("old")
    (tmp_path / "copy" / "kept").touch()
    copy_tree(source, tmp_path / "copy")
    (tmp_path / "copy" / "kept").unlink()
    assert describe(tmp_path / "copy") == describe(source)
    assert (tmp_path / "copy/d/f").samefile(tmp_path / "copy/d/e/hard")
    archive = io.BytesIO()
    write_tree_tar(source, archive)
    (tmp_path / "out").mkdir()
    extract_tar(io.BytesIO(archive.getvalue()), tmp_path / "out")
    assert describe(tmp_path / "out") == describe(source)
    assert get_xattr(tmp_path / "out/d/f", "user.note") == b"n"
    assert [e.path for e in TarReader(io.BytesIO(archive.getvalue()))] == [
        b"d/",
        b"d/e/",
        b"d/e/hard",
        b"d/f",
        b"d/sym",
        b"fifo",
    ]
