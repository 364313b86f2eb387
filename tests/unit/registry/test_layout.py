"""OCI layouts and image archives: against GNU tar and Python's tarfile, and against hostile input."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakehouse.errors import IntegrityError, NotFoundError
from bakehouse.oci import Descriptor, Digest
from bakehouse.oci.media_types import OCI_MANIFEST
from bakehouse.registry import OciLayout
from bakehouse.registry.archive import ArchiveWriter, read_members
from bakehouse.registry.layout import ref_name

ROOT = Descriptor.of(OCI_MANIFEST, b"{}")


def test_written_archives_are_what_gnu_tar_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with open(path, "wb") as out:
        writer = ArchiveWriter(out)
        writer.directory("blobs/")
        writer.file("blobs/a", 5, [b"he", b"llo"])
        writer.file("empty", 0, [])
        writer.close()
    listing = subprocess.run(
        ["tar", "-tvf", path, "--utc"], check=True, capture_output=True, text=True
    ).stdout
    assert listing.splitlines() == [
        "drwxr-xr-x 0/0               0 1970-01-01 00:00 blobs/",
        "-r--r--r-- 0/0               5 1970-01-01 00:00 blobs/a",
        "-r--r--r-- 0/0               0 1970-01-01 00:00 empty",
    ]
    with open(path, "rb") as file:
        assert {name: member.size for name, member in read_members(file).items()} == {
            "blobs/a": 5,
            "empty": 0,
        }


def test_wrong_size_is_refused() -> None:
    with pytest.raises(IntegrityError, match="expected 4 bytes, got 5"):
        ArchiveWriter(io.BytesIO()).file("a", 4, [b"hello"])


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_of_every_dialect(format: int) -> None:
    long = "./" + "directory/" * 15 + "file" if format == tarfile.USTAR_FORMAT else "d/" * 200 + "file"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for name in ("plain", long):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("x/link")
        link.type, link.linkname = tarfile.SYMTYPE, "../plain"
        archive.addfile(link)
    members = read_members(out)
    assert set(members) == {"plain", long.removeprefix("./"), "x/link"}
    assert members["x/link"].link == "plain"
    found = members[long.removeprefix("./")]
    assert out.getvalue()[found.offset : found.offset + found.size] == b"abc"


@given(st.binary(max_size=4096))
def test_garbage_is_refused_or_read(raw: bytes) -> None:
    try:
        read_members(io.BytesIO(raw))
    except IntegrityError as error:
        assert error.code == "invalid-archive"


@given(st.integers(min_value=0, max_value=511), st.integers(min_value=1, max_value=255))
def test_damaged_headers(position: int, change: int) -> None:
    out = io.BytesIO()
    writer = ArchiveWriter(out)
    writer.file("blobs/a", 5, [b"hello"])
    writer.close()
    raw = bytearray(out.getvalue())
    raw[position] ^= change
    try:
        members = read_members(io.BytesIO(bytes(raw)))
    except IntegrityError:
        return
    # Only the checksum field's padding can change without notice.
    assert set(members) == {"blobs/a"}


def test_directory_round_trip(tmp_path: Path) -> None:
    layout = OciLayout(tmp_path / "new")
    with pytest.raises(NotFoundError, match=r"no index\.json"):
        layout.index()
    layout.put(ROOT, [b"{", b"}"])
    layout.add(ROOT, names=["docker.io/library/x:1"])
    layout.add(ROOT, tags=["latest"])
    layout.add(ROOT, names=["docker.io/library/x:1"])
    assert json.loads((tmp_path / "new/oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert len(layout.index().manifests) == 2
    for name in ("docker.io/library/x:1", "1", "latest", str(ROOT.digest)):
        assert layout.resolve(name).digest == ROOT.digest
    assert layout.read(ROOT) == b"{}"
    with pytest.raises(NotFoundError, match="it has 1, latest"):
        layout.resolve("2")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_wrong_blob_is_not_kept(tmp_path: Path) -> None:
    layout = OciLayout(tmp_path)
    with pytest.raises(IntegrityError):
        layout.put(ROOT, [b"[]"])
    assert not layout.has(ROOT.digest)
    assert list((tmp_path / "blobs/sha256").iterdir()) == []


@pytest.mark.parametrize("content", [b"[]", b"{", b"{} "])
def test_damaged_blob_is_noticed(tmp_path: Path, content: bytes) -> None:
    layout = OciLayout(tmp_path)
    layout.put(ROOT, [b"{}"])
    path = tmp_path / "blobs/sha256" / ROOT.digest.encoded
    path.unlink()
    path.write_bytes(content)
    if content == b"{} ":
        assert layout.read(ROOT) == b"{}"  # a longer file: no byte beyond the stated size is taken
        return
    with pytest.raises(IntegrityError):
        layout.read(ROOT)


def test_writers_take_turns(tmp_path: Path) -> None:
    layouts = [OciLayout(tmp_path) for _ in range(8)]
    threads = [
        threading.Thread(target=layout.add, args=(ROOT, (), (f"t{number}",)))
        for number, layout in enumerate(layouts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(OciLayout(tmp_path).index().manifests) == 8


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("docker.io/library/x:1", "1"),
        (f"x:1@{Digest.of(b'')}", f"1@{Digest.of(b'')}"),
        ("no reference!", "no reference!"),
    ],
)
def test_ref_name(name: str, expected: str) -> None:
    assert ref_name(name) == expected
