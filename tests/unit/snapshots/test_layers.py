"""Layers over a real store, with both drivers; diff IDs against a BuildKit export."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest
from tests.support.needs import needs_root
from tests.unit.snapshots.conftest import in_private_namespace
from tests.unit.snapshots.trees import describe, tar_of

from bakehouse.errors import EnvironmentFault, IntegrityError, NotFoundError
from bakehouse.linux import mounts
from bakehouse.linux.files import get_xattr, make_whiteout
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.snapshots import SCRATCH, Compression, LayerChain, LayerStore, TarEntry
from bakehouse.snapshots.tarformat import DIRECTORY, HARDLINK, REGULAR
from bakehouse.snapshots.trees import merge_layer
from bakehouse.store import PrunePolicy, Store

EMPTY = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN = Compression("uncompressed")


def members(store: Store, blob_digest: str) -> list[str]:
    with tarfile.open(store.blobs.path(blob_digest)) as archive:
        return [member.name for member in archive]


def commit(layers: LayerStore, chain: LayerChain, **files: str) -> LayerChain:
    with layers.prepare(chain) as active:
        for name, text in files.items():
            (active.root / name).write_text(text)
        return chain.then(active.commit())


def adopted(store: Store, layers: LayerStore, data: bytes, media_type: str = PLAIN.media_type) -> str:
    digest = store.blobs.put(data)
    return layers.adopt(digest, Descriptor(media_type, digest, len(data)))


# Against BuildKit ------------------------------------------------------------------------------------------------


def test_buildkits_layers_come_out_with_buildkits_diff_ids(
    store: Store, layers: LayerStore, tmp_path: Path
) -> None:
    """Every layer of `data/buildkit/layers.tar` is applied, its changes are made again in a writable tree, and the
    committed layer has the diff ID that BuildKit gave it."""
    home = Path(__file__).parent / "data" / "buildkit"
    with tarfile.open(home / "layers.tar") as archive:
        blobs = {
            member.name.rpartition("/")[2]: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile()
        }
    manifest = json.loads(blobs[json.loads(blobs["index.json"])["manifests"][0]["digest"][7:]])
    if "manifests" in manifest:
        manifest = json.loads(blobs[manifest["manifests"][0]["digest"][7:]])
    diff_ids = json.loads(blobs[manifest["config"]["digest"][7:]])["rootfs"]["diff_ids"]
    theirs = SCRATCH
    ours = SCRATCH
    for descriptor, diff_id in zip(manifest["layers"], diff_ids, strict=True):
        store.blobs.put(blobs[descriptor["digest"][7:]])
        theirs = theirs.then(layers.adopt(diff_id, Descriptor.from_json(descriptor)))
        with layers.view(theirs):
            directory = store.path("snapshots", theirs.layers[-1], "fs")
        with layers.prepare(ours) as active:
            merge_layer(directory, active.root, link=False)
            ours = ours.then(active.commit())
        assert layers.blob(ours, len(ours) - 1, PLAIN).diff_id == diff_id
    assert len(ours) == 7
    assert layers.diff_id(ours.layers[4]) == EMPTY
    with layers.view(theirs) as one, layers.view(ours) as two:
        assert describe(one) == describe(two)
    for index in range(len(theirs)):
        converted = layers.blob(theirs, index, Compression("zstd", force=True))
        assert converted.diff_id == diff_ids[index]


# Trees ---------------------------------------------------------------------------------------------------------


def test_changes_become_a_layer(store: Store, layers: LayerStore) -> None:
    with layers.prepare(SCRATCH) as active:
        root = active.root
        (root / "etc").mkdir()
        for name in ("kept", "gone", "same"):
            (root / "etc" / name).write_text(name)
        (root / "opt" / "sub").mkdir(parents=True)
        (root / "opt" / "old").touch()
        (root / "opt" / "sub" / "old").touch()
        os.link(root / "etc" / "kept", root / "etc" / "link")
        chain = SCRATCH.then(active.commit(description="base", created_s=5.0))
    with layers.prepare(chain) as active:
        root = active.root
        (root / "etc" / "gone").unlink()
        shutil.rmtree(root / "opt")
        (root / "opt" / "sub").mkdir(parents=True)
        (root / "opt" / "sub" / "new").write_text("new")
        (root / "fresh").mkdir()
        expected = describe(root)
        chain = chain.then(active.commit())
    with layers.view(chain) as root:
        assert describe(root) == expected
        assert sorted(os.listdir(root / "opt" / "sub")) == ["new"]
    base, change = layers.blobs(chain)
    assert members(store, base.descriptor.digest) == [
        "etc",
        "etc/gone",
        "etc/kept",
        "etc/link",
        "etc/same",
        "opt",
        "opt/old",
        "opt/sub",
        "opt/sub/old",
    ]
    assert members(store, change.descriptor.digest) == [
        "etc",
        "etc/.wh.gone",
        "fresh",
        "opt",
        "opt/.wh.old",
        "opt/sub",
        "opt/sub/new",
        "opt/sub/.wh.old",
    ]
    assert layers.created(chain.layers[0]) == 5.0
    assert layers.description(chain.layers[0]) == "base"
    assert layers.diff_id(chain.layers[1]) == change.diff_id


def test_a_file_of_the_same_size_and_time_that_took_anothers_place(store: Store, layers: LayerStore) -> None:
    """Files that are written within one tick of the kernel's clock bear the same time."""
    with layers.prepare(SCRATCH) as active:
        for name in ("one", "two"):
            (active.root / name).write_text(name)
            os.utime(active.root / name, ns=(1, 1_600_000_000_123_456_789))
        chain = SCRATCH.then(active.commit())
    with layers.prepare(chain) as active:
        os.rename(active.root / "one", active.root / "two")
        chain = chain.then(active.commit())
    assert members(store, layers.blob(chain, 1).descriptor.digest) == [".wh.one", "two"]
    with layers.view(chain) as root:
        assert (root / "two").read_text() == "one"


def test_unchanged_tree_is_the_canonical_empty_layer(layers: LayerStore) -> None:
    chain = commit(layers, SCRATCH, a="1")
    with layers.prepare(chain) as active:
        chain = chain.then(active.commit())
    assert layers.diff_id(chain.layers[1]) == EMPTY
    assert layers.blob(chain, 1, PLAIN).descriptor.size == 1024


def test_leaving_without_commit_discards(store: Store, layers: LayerStore) -> None:
    chain = commit(layers, SCRATCH, a="1")
    with layers.prepare(chain) as active:
        (active.root / "b").touch()
    with layers.view(chain) as root:
        assert os.listdir(root) == ["a"]
    assert os.listdir(store.root / "snapshots") == list(chain.layers)
    with pytest.raises(ValueError):
        active.commit()


def test_layers_are_independent_of_their_parent(layers: LayerStore) -> None:
    """A new directory of one chain merges with a directory of that name in another (MergeOp)."""
    one = SCRATCH
    with layers.prepare(commit(layers, SCRATCH, base="b")) as active:
        (active.root / "app").mkdir()
        (active.root / "app" / "one").touch()
        one = active.chain.then(active.commit())
    with layers.prepare(commit(layers, SCRATCH, other="o")) as active:
        (active.root / "app").mkdir()
        (active.root / "app" / "two").touch()
        two = active.chain.then(active.commit())
    with layers.view(one + two) as root:
        assert sorted(os.listdir(root / "app")) == ["one", "two"]
    with layers.view(LayerChain(two.layers[1:])) as root:
        assert os.listdir(root) == ["app"]


def test_views_are_shared(layers: LayerStore) -> None:
    chain = commit(layers, SCRATCH, a="1")
    with layers.view(chain) as first, layers.view(chain) as second:
        assert first == second
        with layers.view(SCRATCH) as empty:
            assert os.listdir(empty) == []
    assert not first.exists()


def test_chain_of_120_layers(layers: LayerStore) -> None:
    chain = SCRATCH
    for number in range(120):
        chain = chain.then(
            layers_packed(
                layers,
                chain,
                (TarEntry(b"f%d" % number), None),
                (TarEntry(b"same", size=3), b"%03d" % number),
            )
        )
    with layers.view(chain) as root:
        assert len(os.listdir(root)) == 121
        assert (root / "same").read_text() == "119"
    with layers.prepare(chain) as active:
        (active.root / "f3").unlink()
        chain = chain.then(active.commit())
    with layers.view(chain) as root:
        assert not (root / "f3").exists()


def test_chain_of_500_layers(store: Store, layers: LayerStore) -> None:
    """More than overlayfs can stack: the tree below is put together by copying, and means the same."""
    count = 500
    chain = SCRATCH
    for number in range(count):
        entries: list[tuple[TarEntry, bytes | None]] = [
            (TarEntry(b"d", DIRECTORY, 0o755), None),
            (TarEntry(b"d/f%d" % number, REGULAR, 0o640, 5, 6, 10**9 * number, 3), b"%03d" % number),
            (TarEntry(b"same", REGULAR, 0o644, size=3), b"%03d" % number),
        ]
        if number % 10 == 9:
            # What the layer before brought goes; what this one brings has a second name.
            entries.append((TarEntry(b"d/.wh.f%d" % (number - 1)), None))
            entries.append((TarEntry(b"d/hard%d" % number, HARDLINK, linkname=b"d/f%d" % number), None))
        chain = chain.then(adopted(store, layers, tar_of(*entries)))
    wanted = {f"f{number}" for number in range(count) if number % 10 != 8}
    wanted |= {f"hard{number}" for number in range(9, count, 10)}
    with layers.view(chain) as root:
        assert set(os.listdir(root / "d")) == wanted
        assert (root / "same").read_text() == "499"
        assert (root / "d" / "hard9").samefile(root / "d" / "f9")
        status = (root / "d" / "f7").stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_mtime) == (0o640, 5, 6, 7)
    with layers.prepare(chain) as active:
        (active.root / "d" / "f3").unlink()
        (active.root / "d" / "f4").write_text("changed")
        (active.root / "d" / "new").mkdir()
        layer = active.commit()
    with layers.view(chain.then(layer)) as root:
        assert set(os.listdir(root / "d")) == wanted - {"f3"} | {"new"}
        assert (root / "d" / "f4").read_text() == "changed"
        assert (root / "d" / "f4").stat().st_uid == 5
    with layers.view(chain) as root:
        assert (root / "d" / "f3").read_text() == "003"
        assert (root / "d" / "f4").read_text() == "004"
    blob = layers.blob(chain.then(layer), count, PLAIN)
    assert members(store, blob.descriptor.digest) == ["d", "d/.wh.f3", "d/f4", "d/new"]


def test_a_store_on_overlayfs(tmp_path: Path) -> None:
    """As in a container whose root is overlayfs: no overlay can be mounted upon it, and it takes no whiteouts."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    mounts.overlay(
        tmp_path / "merged", [tmp_path / "lower"], upper=tmp_path / "upper", work=tmp_path / "work"
    )
    try:
        with pytest.raises(PermissionError):
            make_whiteout(tmp_path / "merged" / "whiteout")
        with Store.open(tmp_path / "merged" / "store") as store, LayerStore(store) as layers:
            check_marks(store, layers)
    finally:
        mounts.umount(tmp_path / "merged", mounts.MNT_DETACH)


def test_a_store_without_attributes(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that holds neither `trusted.*` nor `user.*` attributes, or a process that may not set them."""

    def refuse(target: object, key: str, *arguments: object, **options: object) -> None:
        assert key.endswith(".overlay.opaque")
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    with LayerStore(store, "copy") as layers:
        check_marks(store, layers)


def check_marks(store: Store, layers: LayerStore) -> None:
    """Deletions and replaced directories, of a tar and of a step, come out as they went in."""
    assert layers.driver_name == "copy"
    base = adopted(
        store,
        layers,
        tar_of(
            *((TarEntry(name, DIRECTORY, 0o755), None) for name in (b"d", b"o", b"r")),
            *((TarEntry(name), None) for name in (b"d/gone", b"d/kept", b"o/hidden", b"r/hidden", b"x")),
        ),
    )
    marked = adopted(
        store,
        layers,
        tar_of(
            (TarEntry(b"d", DIRECTORY, 0o755), None),
            (TarEntry(b"d/.wh.gone"), None),
            (TarEntry(b"o", DIRECTORY, 0o755, mtime_ns=5 * 10**9), None),
            (TarEntry(b"o/.wh..wh..opq"), None),
            (TarEntry(b"o/new"), None),
            (TarEntry(b".wh.r"), None),
            (TarEntry(b"r", DIRECTORY, 0o755), None),
            (TarEntry(b"r/new"), None),
        ),
    )
    chain = LayerChain((base, marked))
    with layers.view(chain) as root:
        assert {name: os.listdir(root / name) for name in ("d", "o", "r")} == {
            "d": ["kept"],
            "o": ["new"],
            "r": ["new"],
        }
        assert (root / "o").stat().st_mtime == 5
    with layers.prepare(chain) as active:
        (active.root / "x").unlink()
        shutil.rmtree(active.root / "d")
        (active.root / "d").mkdir()
        (active.root / "d" / "new").touch()
        chain = chain.then(active.commit())
    with layers.view(chain) as root:
        assert sorted(os.listdir(root)) == ["d", "o", "r"]
        assert os.listdir(root / "d") == ["new"]
    blob = layers.blob(chain, 2, PLAIN)
    assert members(store, blob.descriptor.digest) == ["d", "d/.wh.kept", "d/new", ".wh.x"]


def layers_packed(layers: LayerStore, chain: LayerChain, *entries: tuple[TarEntry, bytes | None]) -> str:
    with layers.packed(chain, compression=Compression("zstd")) as packed:
        packed.add_many(entries)
        return packed.commit()


def test_opaque_directories_and_whiteouts_of_a_tar(store: Store, layers: LayerStore) -> None:
    base = tar_of(*((TarEntry(name), None) for name in (b"d/a", b"d/b", b"e/a", b"f")))
    top = tar_of(
        (TarEntry(b"d/.wh..wh..opq"), None),
        (TarEntry(b"d/new"), None),
        (TarEntry(b"e/.wh.a"), None),
        (TarEntry(b".wh.f"), None),
    )
    chain = LayerChain((adopted(store, layers, base), adopted(store, layers, top)))
    with layers.view(chain) as root:
        assert sorted(describe(root)) == ["d", "d/new", "e"]


def test_a_tar_without_parents_suits_each_chain(store: Store, layers: LayerStore) -> None:
    one = adopted(store, layers, tar_of((TarEntry(b"d", b"5", 0o700, uid=7), None)))
    two = adopted(store, layers, tar_of((TarEntry(b"d", b"5", 0o711, uid=8), None)))
    top = adopted(store, layers, tar_of((TarEntry(b"d/f"), None)))
    for below, owner in ((one, 7), (two, 8), (one, 7)):
        with layers.view(LayerChain((below, top))) as root:
            assert (root / "d").stat().st_uid == owner
            assert (root / "d" / "f").exists()


def test_capabilities_names_and_links_survive_a_commit(store: Store, layers: LayerStore) -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    chain = commit(layers, SCRATCH, a="1")
    with layers.prepare(chain) as active:
        root = os.fsencode(active.root)
        for name in (b"cap", b"bad\xff", b"n" * 250):
            with open(root + b"/" + name, "wb") as file:
                file.write(name)
        os.setxattr(root + b"/cap", "security.capability", capability)
        os.link(root + b"/cap", root + b"/zz")
        chain = chain.then(active.commit())
    blob = layers.blob(chain, 1)
    again = layers.adopt(blob.diff_id, blob.descriptor)
    with layers.view(LayerChain((again,))) as view, layers.view(chain) as made:
        expected = describe(made)
        del expected["a"]
        assert describe(view) == expected
        assert get_xattr(view / "cap", "security.capability") == capability
        assert (view / "cap").samefile(view / "zz")


def test_removed_again_files_leave_no_trace(store: Store, layers: LayerStore) -> None:
    chain = commit(layers, SCRATCH, a="1")
    with layers.prepare(chain) as active:
        (active.root / "tmp").write_text("x")
        (active.root / "tmp").unlink()
        os.utime(active.root / "a", (1, 1))
        chain = chain.then(active.commit())
    assert members(store, layers.blob(chain, 1).descriptor.digest) == ["a"]


# Blobs -----------------------------------------------------------------------------------------------------------


def test_packed_layer(store: Store, layers: LayerStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"from disk")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with layers.packed(SCRATCH, description="COPY") as packed:
            packed.add(TarEntry(b"d", b"5", 0o755))
            packed.add(TarEntry(b"d/f", size=9), (fd, b"file"))
            packed.add_many([(TarEntry(b"d/g", size=3), b"abc")])
            chain = SCRATCH.then(packed.commit(created_s=3.0))
    finally:
        os.close(fd)
    assert not store.path("snapshots", chain.layers[0]).exists()
    assert layers.exists(chain)
    with layers.view(chain) as root:
        assert (root / "d" / "f").read_text() == "from disk"
    blob = layers.blob(chain, 0)
    expected = tar_of(
        (TarEntry(b"d", b"5", 0o755), None),
        (TarEntry(b"d/f", size=9), b"from disk"),
        (TarEntry(b"d/g", size=3), b"abc"),
    )
    assert blob.diff_id == Digest.of(expected) == layers.diff_id(chain.layers[0])
    with pytest.raises(RuntimeError), layers.packed(SCRATCH):
        raise RuntimeError
    assert len(list(store.blobs)) == 1


def test_compression_setting_applies_to_new_blobs_only(layers: LayerStore) -> None:
    chain = commit(layers, SCRATCH, a="1" * 5000)
    first = layers.blob(chain, 0)
    assert first.descriptor.media_type == GZIP
    assert layers.blob(chain, 0, Compression("zstd")) == first
    forced = layers.blob(chain, 0, Compression("zstd", force=True))
    assert forced.descriptor.media_type.endswith("+zstd")
    assert forced.diff_id == first.diff_id
    assert layers.blob(chain, 0, Compression("zstd", force=True, level=9)) == forced


def test_rewritten_timestamps(store: Store, layers: LayerStore) -> None:
    with layers.prepare(SCRATCH) as active:
        for name, when in (("old", 100), ("new", 5000)):
            (active.root / name).touch()
            os.utime(active.root / name, (when, when))
        chain = SCRATCH.then(active.commit())
    plain = layers.blob(chain, 0)
    lowered = layers.blob(chain, 0, rewrite_timestamp=1000)
    assert layers.blob(chain, 0) == plain
    assert layers.blob(chain, 0, rewrite_timestamp=1000) == lowered
    with tarfile.open(store.blobs.path(lowered.descriptor.digest)) as archive:
        assert {member.name: member.mtime for member in archive} == {"old": 100, "new": 1000}
    assert lowered.diff_id != plain.diff_id == layers.diff_id(chain.layers[0])


def test_remote_layers_are_fetched_once_when_needed(store: Store, layers: LayerStore) -> None:
    data = tar_of((TarEntry(b"f"), None))
    digest = Digest.of(data)
    calls: list[int] = []

    def fetch() -> None:
        calls.append(1)
        store.blobs.put(data)

    descriptor = Descriptor(PLAIN.media_type, digest, len(data))
    chain = SCRATCH.then(layers.adopt(digest, descriptor, fetch))
    assert layers.adopt(digest, descriptor, fetch) == chain.layers[0]
    assert layers.exists(chain)
    assert layers.blob(chain, 0).descriptor == descriptor
    assert calls == []
    for _ in range(2):
        with layers.view(chain) as root:
            assert os.listdir(root) == ["f"]
    layers.fetch(chain)
    assert calls == [1]


def test_facts_of_base_blobs_are_given_back(layers: LayerStore) -> None:
    """BuildKit keeps the URLs of a base layer and the annotations of lazy pullers (checked in test_reproducible)."""
    toc = "containerd.io/snapshot/stargz/toc.digest"
    first = Descriptor(
        GZIP, EMPTY, 5, {toc: "sha256:t", "org.example": "dropped"}, urls=("https://one.invalid/blob",)
    )
    layer = layers.adopt(EMPTY, first, lambda: None)
    (blob,) = layers.blobs(SCRATCH.then(layer))
    assert blob.descriptor == Descriptor(GZIP, EMPTY, 5, {toc: "sha256:t"}, urls=first.urls)
    second = Descriptor(GZIP, EMPTY, 5, {toc: "sha256:other"}, urls=("https://two.invalid/blob",))
    assert layers.adopt(EMPTY, second) == layer
    (blob,) = layers.blobs(SCRATCH.then(layer))
    assert blob.descriptor.annotations == {toc: "sha256:t"}
    assert blob.descriptor.urls == (*first.urls, *second.urls)


def test_damaged_blobs_are_refused(store: Store, layers: LayerStore) -> None:
    data = tar_of((TarEntry(b"f", size=2000), bytes(2000)))
    wrong = LayerChain((layers.adopt(EMPTY, Descriptor(PLAIN.media_type, store.blobs.put(data), len(data))),))
    with pytest.raises(IntegrityError) as caught, layers.view(wrong):
        pass
    assert caught.value.code == "diff-id-mismatch"
    chain = LayerChain((adopted(store, layers, data),))
    path = store.blobs.path(Digest.of(data))
    path.write_bytes(data[:-700])
    with pytest.raises(IntegrityError), layers.view(chain):
        pass
    assert (
        not any((store.root / "snapshots").iterdir())
        or not store.path("snapshots", chain.layers[0], "fs").exists()
    )


def test_unknown_layers(layers: LayerStore) -> None:
    chain = LayerChain(("nope",))
    assert not layers.exists(chain)
    with pytest.raises(NotFoundError) as caught, layers.view(chain):
        pass
    assert caught.value.code == "layer-missing"


# Processes -------------------------------------------------------------------------------------------------------


def test_threads_share_views_and_blobs(layers: LayerStore) -> None:
    chain = commit(layers, commit(layers, SCRATCH, a="1"), b="2")
    results: list[object] = []

    def work() -> None:
        for _ in range(10):
            with layers.view(chain) as root:
                results.append(tuple(sorted(os.listdir(root))))
            results.append(layers.blobs(chain)[1].diff_id)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 120
    assert set(results) == {("a", "b"), layers.diff_id(chain.layers[1])}


_PROCESS = """
import io, os, sys
from bakehouse.linux import mounts, namespaces
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor
from bakehouse.snapshots import SCRATCH, LayerStore
from bakehouse.store import Store
namespaces.unshare(namespaces.CLONE_NEWNS); mounts.make_private()
with Store.open(sys.argv[1]) as store, LayerStore(store) as layers:
    with open(sys.argv[2], "rb") as file: data = file.read()
    digest = store.blobs.put(data)
    for _ in range(5):
        wanted = Descriptor("application/vnd.oci.image.layer.v1.tar", digest, len(data))
        chain = SCRATCH.then(layers.adopt(digest, wanted))
        with layers.view(chain) as root: assert len(os.listdir(root)) == 50
        with layers.prepare(chain) as active:
            (active.root / "new").write_text("x"); os.utime(active.root / "new", (1, 1))
            top = chain.then(active.commit())
        print(layers.blob(top, 1).diff_id)
        print("ready", flush=True)
        if len(sys.argv) > 3:
            with layers.prepare(top) as active:
                (active.root / "half").write_text("x")
                print("active", flush=True)
                sys.stdin.read()
"""


def test_two_processes_commit_the_same(tmp_path: Path) -> None:
    (tmp_path / "tar").write_bytes(tar_of(*((TarEntry(b"f%02d" % n), None) for n in range(50))))
    arguments = [sys.executable, "-c", _PROCESS, str(tmp_path / "store"), str(tmp_path / "tar")]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert len({line for output in outputs for line in output if line != "ready"}) == 1
    with Store.open(tmp_path / "store") as store, LayerStore(store) as layers:
        assert len([record for record in layers.usage() if record.id.startswith("sha256-")]) == 1
        assert len(layers.usage()) == 11
        removed = store.prune(PrunePolicy(all=True))
        assert len(removed) == 11
        assert os.listdir(store.root / "snapshots") == []
        assert list(store.blobs) == []


def test_killed_process_leaves_no_active_tree(tmp_path: Path) -> None:
    (tmp_path / "tar").write_bytes(tar_of(*((TarEntry(b"f%02d" % n), None) for n in range(50))))
    arguments = [sys.executable, "-c", _PROCESS, str(tmp_path / "store"), str(tmp_path / "tar"), "wait"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "active\n":
            pass
        with Store.open(tmp_path / "store") as store:
            held = {record.id for record in store.usage() if record.in_use}
            assert len(held) == 2
            assert store.prune(PrunePolicy(all=True)) == []
        process.send_signal(signal.SIGKILL)
        process.wait()
    with Store.open(tmp_path / "store") as store:
        assert [name for name in os.listdir(store.root / "tmp") if store.owner.name not in name] == []
        assert not any(record.in_use for record in store.usage())
        with LayerStore(store) as layers:
            (top,) = [record.id for record in layers.usage() if record.parents]
            with layers.view(LayerChain((*store.layers.get(top).base, top))) as root:  # type: ignore[union-attr]
                assert (root / "new").exists()
                assert not (root / "half").exists()


def test_delete_and_prune(store: Store, layers: LayerStore) -> None:
    chain = commit(layers, commit(layers, SCRATCH, a="1"), b="2")
    digest = layers.blob(chain, 1).descriptor.digest
    assert store.prune(PrunePolicy(all=True)) == []
    assert layers.size(chain.layers[1]) > 0
    assert layers.delete([chain.layers[1]]) == [chain.layers[1]]
    assert not store.blobs.has(digest)
    assert not layers.exists(chain)
    layers.release()
    assert [record.id for record in store.prune(PrunePolicy(all=True))] == [chain.layers[0]]


@needs_root
@pytest.mark.parametrize("driver", ["overlay", "copy"])
def test_full_disk(tmp_path: Path, driver: str) -> None:
    def work() -> list[str | None]:
        mounts.mount("tmpfs", tmp_path, "tmpfs", 0, "size=6m")
        seen: list[str | None] = []
        with Store.open(tmp_path / "store") as store, LayerStore(store, driver) as layers:
            chain = commit(layers, SCRATCH, a="1")
            with pytest.raises(EnvironmentFault) as caught, layers.packed(chain, compression=PLAIN) as packed:
                for number in range(100):
                    packed.add(TarEntry(b"%d" % number, size=1 << 16), os.urandom(1 << 16))
                packed.commit()
            seen.append(caught.value.code)
            data = tar_of((TarEntry(b"big", size=3 << 20), bytes(3 << 20)))
            big = LayerChain((adopted(store, layers, data),))
            with pytest.raises(EnvironmentFault) as caught, layers.view(big):
                pass
            seen.append(caught.value.code)
            assert os.listdir(store.owner.directory) == ["mounts"]
            layers.delete(big.layers)
            chain = commit(layers, chain, b="2")
            with layers.view(chain) as root:
                seen += sorted(os.listdir(root))
        return seen

    assert in_private_namespace(work) == ["disk-full", "disk-full", "a", "b"]


def test_overlay_can_be_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    monkeypatch.setattr("bakehouse.snapshots.driver.can_mount_overlay", lambda *a, **k: False)
    with LayerStore(store) as layers:
        assert layers.driver_name == "copy"
    with LayerStore(store, "overlay") as layers, pytest.raises(EnvironmentFault) as caught:
        layers.prepare(SCRATCH)
    assert caught.value.code == "no-overlay"


def test_unpacked_bytes_need_not_be_in_one_stream(store: Store, layers: LayerStore) -> None:
    """gzip members of other writers, cut anywhere."""
    import gzip

    data = tar_of((TarEntry(b"f", size=300_000), os.urandom(300_000)))
    packed = b"".join(gzip.compress(data[start : start + 70_001]) for start in range(0, len(data), 70_001))
    digest = store.blobs.put(packed)
    layer = layers.adopt(Digest.of(data), Descriptor(GZIP, digest, len(packed)))
    with layers.view(LayerChain((layer,))) as root:
        assert (root / "f").stat().st_size == 300_000
    assert io.BytesIO(packed).read(2) == b"\x1f\x8b"
