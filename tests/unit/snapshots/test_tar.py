"""Tar headers against Go's writer; reading against GNU tar, Python's tarfile and broken input."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.snapshots.trees import describe, tar_of

from bakehouse.errors import DefinitionError, IntegrityError
from bakehouse.snapshots import Compression, TarEntry, TarLimits, TarReader, TarWriter, extract_tar
from bakehouse.snapshots.compression import CompressingWriter, DecompressingReader
from bakehouse.snapshots.retime import lower_times
from bakehouse.snapshots.tarformat import encode_entry

DATA = Path(__file__).parent / "data"


def go_cases() -> list[dict[str, object]]:
    """Made by `data/go_headers.go.txt` with Go's archive/tar, used as containerd uses it."""
    return [json.loads(line) for line in (DATA / "go_headers.jsonl").read_text().splitlines()]


def decoded(case: dict[str, object], key: str) -> bytes:
    return base64.b64decode(str(case[key]))


@pytest.mark.parametrize("case", go_cases(), ids=lambda case: base64.b64decode(case["NameB64"])[:24].hex())
def test_headers_are_gos(case: dict[str, object]) -> None:
    capability = decoded(case, "Cap")
    entry = TarEntry(
        decoded(case, "NameB64").removesuffix(b"/"),
        bytes([int(str(case["Type"]))]),
        int(str(case["Mode"])),
        int(str(case["Uid"])),
        int(str(case["Gid"])),
        int(str(case["Mtime"])) * 1_000_000_000 + 999,
        int(str(case["Size"])),
        decoded(case, "Link"),
        int(str(case["Major"])),
        int(str(case["Minor"])),
        (("security.capability", capability),) if capability else (),
    )
    header = decoded(case, "Header")
    assert encode_entry(entry) == header
    read = next(iter(TarReader(io.BytesIO(header), TarLimits(bytes=1 << 60))))
    assert read._replace(mtime_ns=0) == entry._replace(path=decoded(case, "NameB64"), mtime_ns=0)
    assert read.mtime_ns // 1_000_000_000 == int(str(case["Mtime"]))


names = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name and b"/" not in name)


@given(
    names,
    st.integers(0, 0o7777),
    st.integers(0, 2**32 - 2),
    st.integers(-(2**40), 2**60),
    st.binary(max_size=2000),
    names,
)
def test_what_is_written_is_read(
    name: bytes, mode: int, uid: int, mtime_ns: int, data: bytes, link: bytes
) -> None:
    file = TarEntry(name, mode=mode, uid=uid, gid=uid // 3, mtime_ns=mtime_ns, size=len(data))
    symlink = TarEntry(b"d/" + name, b"2", 0o777, linkname=link)
    reader = TarReader(io.BytesIO(tar_of((file, data), (symlink, None))))
    members = iter(reader)
    assert next(members) == file._replace(mtime_ns=mtime_ns // 10**9 * 10**9)
    assert reader.read() == data
    assert next(members) == symlink
    assert next(members, None) is None


def test_python_reads_what_is_written(tmp_path: Path) -> None:
    data = tar_of(
        (TarEntry(b"d", b"5", 0o755), None),
        (TarEntry(b"d/" + b"n" * 200, size=3, uid=4_000_000), b"abc"),
        (TarEntry("é".encode(), size=0), b""),
    )
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [(m.name, m.uid, m.size) for m in archive] == [
            ("d", 0, 0),
            ("d/" + "n" * 200, 4_000_000, 3),
            ("é", 0, 0),
        ]


@pytest.mark.parametrize("form", ["gnu", "oldgnu", "pax", "ustar", "v7"])
def test_gnu_tar_archives(tmp_path: Path, form: str) -> None:
    source = tmp_path / "source"
    long = "n" * (60 if form in ("ustar", "v7") else 180)
    (source / "d").mkdir(parents=True)
    (source / "d" / "file").write_bytes(b"content" * 1000)
    (source / "d" / long).write_text("long")
    os.symlink(long, source / "link")
    os.link(source / "d" / "file", source / "hard")
    for path in [*source.rglob("*"), source]:
        os.utime(path, (1_600_000_000, 1_600_000_000), follow_symlinks=False)
    archive = tmp_path / "a.tar"
    subprocess.run(["tar", "-C", source, "--format", form, "-cf", archive, "."], check=True)
    (tmp_path / "out").mkdir()
    with open(archive, "rb") as file:
        result = extract_tar(file, tmp_path / "out")
    assert result.compression == "uncompressed"
    assert describe(tmp_path / "out") == describe(source)
    assert (tmp_path / "out" / "hard").samefile(tmp_path / "out" / "d" / "file")


@pytest.mark.parametrize(
    "options", [["--format=gnu"], *(["--format=pax", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0"))]
)
def test_sparse_archives(tmp_path: Path, options: list[str]) -> None:
    source = tmp_path / "sparse"
    with open(source, "wb") as file:
        for number in range(30):
            file.seek(number * 200_000 + 5000)
            file.write(b"data %d" % number)
        file.truncate(7_000_000)
    subprocess.run(["tar", "-C", tmp_path, "-S", *options, "-cf", tmp_path / "a.tar", "sparse"], check=True)
    assert (tmp_path / "a.tar").stat().st_size < 1_000_000
    (tmp_path / "out").mkdir()
    with open(tmp_path / "a.tar", "rb") as archive:
        if options[-1].endswith("0.0"):
            with pytest.raises(IntegrityError) as caught:
                extract_tar(archive, tmp_path / "out")
            assert caught.value.code == "tar-sparse-unsupported"
            return
        extract_tar(archive, tmp_path / "out")
    assert (tmp_path / "out" / "sparse").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst"])
def test_compressed_archives(tmp_path: Path, suffix: str) -> None:
    data = tar_of((TarEntry(b"f", size=100_000), b"x" * 100_000))
    if suffix == "zst":
        from backports import zstd

        packed = zstd.compress(data[:5000]) + zstd.compress(data[5000:])
    elif suffix == "gz":
        packed = gzip.compress(data[:5000]) + gzip.compress(data[5000:]) + bytes(100)
    else:
        import bz2
        import lzma

        packed = {"bz2": bz2.compress, "xz": lzma.compress}[suffix](data)
    (tmp_path / "out").mkdir()
    extract_tar(io.BytesIO(packed), tmp_path / "out")
    assert (tmp_path / "out" / "f").stat().st_size == 100_000


def test_truncated_and_damaged_archives(tmp_path: Path) -> None:
    data = tar_of((TarEntry(b"f", size=3000), os.urandom(3000)), (TarEntry(b"g", size=1), b"x"))
    for end in (100, 700, 2000, 3000, 3700):
        with pytest.raises(IntegrityError) as caught:
            list(TarReader(io.BytesIO(data[:end])))
        assert caught.value.code == "tar-truncated", end
    damaged = bytearray(data)
    damaged[3] ^= 1
    with pytest.raises(IntegrityError) as caught:
        list(TarReader(io.BytesIO(bytes(damaged))))
    assert caught.value.code == "tar-invalid"
    packed = gzip.compress(data)
    for broken in (packed[:-9], packed[:40], packed[:20] + b"\xff" * 10 + packed[30:]):
        with pytest.raises(IntegrityError):
            DecompressingReader(io.BytesIO(broken)).read()


@given(st.binary(max_size=1600))
def test_noise_is_an_integrity_error_or_nothing(noise: bytes) -> None:
    for data in (noise, tar_of((TarEntry(b"f", size=5), b"abcde"))[:512] + noise):
        try:
            for _ in TarReader(DecompressingReader(io.BytesIO(data))):
                pass
        except IntegrityError:
            pass


def test_limits() -> None:
    data = tar_of((TarEntry(b"f", size=5), b"abcde"), (TarEntry(b"g", size=5), b"abcde"))
    for limits in (TarLimits(entries=1), TarLimits(bytes=9)):
        with pytest.raises(IntegrityError) as caught:
            list(TarReader(io.BytesIO(data), limits))
        assert caught.value.code == "archive-too-large"
    with pytest.raises(IntegrityError) as caught:
        list(TarReader(io.BytesIO(tar_of((TarEntry(b"n" * 3000), None))), TarLimits(header=2000)))
    assert caught.value.code == "archive-too-large"
    with pytest.raises(IntegrityError):
        DecompressingReader(io.BytesIO(gzip.compress(bytes(100_000))), max_bytes=1000).read()


def test_changed_files_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        for size in (4, 6, 2_000_000):
            with pytest.raises(IntegrityError) as caught:
                tar_of((TarEntry(b"f", size=size), (fd, b"f")))
            assert caught.value.code == "context-changed"
    finally:
        os.close(fd)
    with pytest.raises(IntegrityError):
        tar_of((TarEntry(b"f", size=4), b"12345"))


@pytest.mark.parametrize("kind", ["gzip", "zstd", "uncompressed"])
def test_compressed_bytes_do_not_depend_on_threads(kind: str) -> None:
    data = b"".join(os.urandom(500) + bytes(1500) for _ in range(2500))
    results = []
    for threads, step in ((1, 1 << 20), (2, 777), (4, len(data))):
        with ThreadPoolExecutor(threads) as pool:
            out = io.BytesIO()
            writer = CompressingWriter(out, Compression(kind), pool)
            for start in range(0, len(data), step):
                writer.write(data[start : start + step])
            results.append((writer.finish(), out.getvalue()))
    assert results[0] == results[1] == results[2]
    diff_id, packed = results[0]
    reader = DecompressingReader(io.BytesIO(packed), digest=True)
    assert reader.read() == data
    assert reader.diff_id == diff_id
    assert reader.kind == kind
    if kind == "gzip":
        assert gzip.decompress(packed) == data
        # mtime 0, unknown system: nothing of this machine is in the header
        assert packed[:4] + packed[4:8] + packed[9:10] == b"\x1f\x8b\x08\x00\0\0\0\0\xff"


def test_compression_is_checked() -> None:
    for arguments in (("lz4",), ("gzip", 10), ("zstd", 23), ("gzip", -1)):
        with pytest.raises(DefinitionError):
            Compression(*arguments)


def test_times_are_lowered_as_if_written_so() -> None:
    members = [
        (TarEntry(b"d", b"5", 0o755, mtime_ns=9 * 10**9), None),
        (TarEntry(b"d/" + b"n" * 150, size=700, mtime_ns=50 * 10**9, uid=3_000_000), bytes(700)),
        (TarEntry(b"far", mtime_ns=9_000_000_000 * 10**9), None),
        (TarEntry(b"old", mtime_ns=-3 * 10**9), None),
    ]
    expected = io.BytesIO()
    writer = TarWriter(expected, max_mtime_s=10)
    writer.add_many(members)
    writer.finish()
    got = io.BytesIO()
    lower_times(DecompressingReader(io.BytesIO(tar_of(*members))), got, 10)
    assert got.getvalue() == expected.getvalue()
