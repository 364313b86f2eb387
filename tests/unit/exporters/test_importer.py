"""Imports: root file systems, archives that skopeo makes, archives that nobody should make."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.unit.exporters.conftest import AMD64, Bench, tar_of

from bakehouse.engine.exporters.model import ExportSpec
from bakehouse.engine.importer import ConfigChanges, import_rootfs, load_image
from bakehouse.errors import BakehouseError, DefinitionError, IntegrityError
from bakehouse.oci import Descriptor, Digest, Manifest
from bakehouse.oci.validate import validate_image
from bakehouse.snapshots import LayerChain, layer_id_of

ROOTFS = {"bin/sh": b"#!\n", "etc/os": b"x" * 2_000_000}


def faults(bench: Bench, root: Descriptor) -> list[str]:
    def read(descriptor: Descriptor) -> bytes:
        return bench.store.blobs.read(descriptor.digest, 1 << 30)

    return [str(finding) for finding in validate_image(read, root)]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_rootfs_becomes_an_image(bench: Bench, compress: type[bytes]) -> None:
    raw = tar_of(ROOTFS)
    root = import_rootfs(
        bench.store,
        bench.context.layers,
        io.BytesIO(compress(raw)),
        "base",
        platform=AMD64,
        changes=ConfigChanges(cmd=["/bin/sh"], env=["A=1"], workdir="/w"),
        created_s=1000,
    )
    assert bench.store.images.get("docker.io/library/base:latest") == root
    assert faults(bench, root) == []
    manifest = Manifest.parse(bench.store.blobs.read(root.digest, 1 << 20))
    config = json.loads(bench.store.blobs.read(manifest.config.digest, 1 << 20))
    assert config["rootfs"]["diff_ids"] == [Digest.of(raw)]
    assert config["config"] == {"Env": ["A=1"], "Cmd": ["/bin/sh"], "WorkingDir": "/w"}
    assert config["created"] == "1970-01-01T00:16:40Z"
    chain = LayerChain((layer_id_of(Digest.of(raw), manifest.layers[0].digest),))
    with bench.context.layers.view(chain) as view:
        assert (view / "bin/sh").read_bytes() == b"#!\n"


@pytest.mark.parametrize("raw", [b"", b"not a tar at all" * 100, tar_of(ROOTFS)[:5000], bytes(1024)])
def test_what_is_no_rootfs_names_nothing(bench: Bench, raw: bytes) -> None:
    with pytest.raises(IntegrityError):
        import_rootfs(bench.store, bench.context.layers, io.BytesIO(raw), "base")
    assert bench.store.images.list() == []


@pytest.mark.parametrize("packed", [False, True])
def test_oci_archive_is_loaded(bench: Bench, tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "image.tar"
    response = bench.export(ExportSpec("oci", {"name": "x:1"}, dest=path), bench.platform(ROOTFS))
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    ((name, root),) = load_image(bench.store, path)
    assert (name, root.digest) == ("docker.io/library/x:1", response["containerimage.digest"])
    assert bench.store.images.get(name) == root
    assert faults(bench, root) == []


def test_docker_archive_of_skopeo_is_loaded(bench: Bench, tmp_path: Path) -> None:
    layout, archive = tmp_path / "layout", tmp_path / "docker.tar"
    bench.export(ExportSpec("oci", {"tar": "false", "name": "x:v1"}, dest=layout), bench.platform(ROOTFS))
    source, target = f"oci:{layout}:v1", f"docker-archive:{archive}:saved:2"
    subprocess.run(["skopeo", "copy", "--insecure-policy", source, target], check=True, capture_output=True)
    ((name, root),) = load_image(bench.store, archive)
    assert name == "docker.io/library/saved:2"
    assert faults(bench, root) == []
    assert load_image(bench.store, archive, ["other:3"]) == [("docker.io/library/other:3", root)]


def test_unnamed_image_needs_a_name(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    bench.export(ExportSpec("oci", dest=path), bench.platform(ROOTFS))
    with pytest.raises(DefinitionError) as caught:
        load_image(bench.store, path)
    assert caught.value.code == "image-unnamed"
    assert [name for name, _ in load_image(bench.store, path, ["x"])] == ["docker.io/library/x:latest"]


def archive_of(path: Path, members: dict[str, bytes]) -> Path:
    path.write_bytes(tar_of(members))
    return path


@pytest.mark.parametrize(
    "members",
    [
        {"other": b""},
        {"manifest.json": b"{}"},
        {"manifest.json": b'[{"Config":1}]'},
        {"manifest.json": b'[{"Config":"c","Layers":["../../etc/passwd"]}]', "c": b"{}"},
        {"manifest.json": b'[{"Config":"../../../../etc/passwd"}]'},
        {"index.json": b'{"schemaVersion":2,"manifests":[{"digest":"x","size":1}]}'},
    ],
)
def test_broken_archives(bench: Bench, tmp_path: Path, members: dict[str, bytes]) -> None:
    with pytest.raises(BakehouseError):
        load_image(bench.store, archive_of(tmp_path / "a.tar", members), ["x"])
    assert bench.store.images.list() == []


def test_docker_layer_must_have_its_diff_id(bench: Bench, tmp_path: Path) -> None:
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]},
        }
    ).encode()
    members = {"manifest.json": b'[{"Config":"c","Layers":["l"]}]', "c": config, "l": tar_of({"a": b""})}
    with pytest.raises(IntegrityError, match="unpacks to"):
        load_image(bench.store, archive_of(tmp_path / "a.tar", members), ["x"])


def test_damaged_archive(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    bench.export(ExportSpec("oci", {"name": "x"}, dest=path), bench.platform(ROOTFS))
    with tarfile.open(path) as archive:
        big = max(archive, key=lambda member: member.size)
    with open(path, "r+b") as file:
        file.seek(big.offset_data + 100)
        file.write(b"damage")
    bench.store.blobs.delete("sha256:" + big.name.rpartition("/")[2])
    with pytest.raises(IntegrityError, match="different digest"):
        load_image(bench.store, path)
