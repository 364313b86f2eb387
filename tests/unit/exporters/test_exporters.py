"""Exporters against skopeo, umoci, a real registry, and the facts of engine.md §17."""

from __future__ import annotations

import base64
import io
import json
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.support.services import Registry
from tests.unit.exporters.conftest import AMD64, ARM64, Anonymous, Bench

from bakehouse.engine.exporters.make import make_exporter
from bakehouse.engine.exporters.model import ExportSpec
from bakehouse.errors import (
    BakehouseError,
    ConflictError,
    DefinitionError,
    EnvironmentFault,
    NotBuiltYetError,
)
from bakehouse.oci import Descriptor, Index, Manifest, Reference
from bakehouse.oci.validate import validate_image
from bakehouse.registry import OciLayout, RegistryClient

BASE = {"etc/base": b"base\n"}
TOP = {"top": b"top\n", "etc/more": b"more\n"}


def run(*arguments: str | Path) -> bytes:
    return subprocess.run([str(item) for item in arguments], check=True, capture_output=True).stdout


def faults(path: Path) -> list[str]:
    layout = OciLayout(path)
    return [
        str(finding)
        for root in layout.index().manifests
        for finding in validate_image(lambda descriptor: layout.read(descriptor, 1 << 30), root)
    ]


def test_oci_tar(bench: Bench, tmp_path: Path) -> None:
    dest = tmp_path / "out.tar"
    spec = ExportSpec("oci", {"name": "x:1,ghcr.io/a/b"}, dest=dest)
    response = bench.export(spec, bench.platform(BASE, TOP))
    with tarfile.open(dest) as archive:
        members = {member.name: member for member in archive}
        index = json.load(archive.extractfile("index.json"))  # type: ignore[arg-type]
    names = list(members)
    assert names == sorted(names)
    assert names[:2] == ["blobs", "blobs/sha256"]
    assert names[-2:] == ["index.json", "oci-layout"]
    assert {
        member.mode for name, member in members.items() if member.isreg() and name.startswith("blobs")
    } == {0o444}
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, 0)}
    entries = [entry["annotations"] for entry in index["manifests"]]
    assert [entry["io.containerd.image.name"] for entry in entries] == [
        "docker.io/library/x:1",
        "ghcr.io/a/b:latest",
    ]
    assert [entry["org.opencontainers.image.ref.name"] for entry in entries] == ["1", "latest"]
    assert all("org.opencontainers.image.created" in entry for entry in entries)
    assert index["manifests"][0]["platform"] == {"architecture": "amd64", "os": "linux"}
    assert response["image.name"] == "docker.io/library/x:1,ghcr.io/a/b:latest"
    assert response["containerimage.digest"] == index["manifests"][0]["digest"]
    descriptor = json.loads(base64.b64decode(response["containerimage.descriptor"]))
    assert descriptor["digest"] == response["containerimage.digest"]
    assert faults(dest) == []
    assert json.loads(run("skopeo", "inspect", f"oci-archive:{dest}:1"))["Layers"]


def test_layout_directory_unpacks_with_umoci(bench: Bench, tmp_path: Path) -> None:
    dest = tmp_path / "layout"
    spec = ExportSpec("oci", {"tar": "false", "name": "x:v1"}, dest=dest)
    bench.export(spec, bench.platform(BASE, TOP))
    assert faults(dest) == []
    run("umoci", "raw", "unpack", "--rootless", "--image", f"{dest}:v1", tmp_path / "root")
    assert (tmp_path / "root/etc/base").read_bytes() == b"base\n"
    assert (tmp_path / "root/top").read_bytes() == b"top\n"
    # A second export of the same name replaces the entry.
    bench.export(spec, bench.platform(BASE))
    assert len(OciLayout(dest).index().manifests) == 1
    assert not list(dest.rglob(".bakehouse*"))


def test_docker_tar(bench: Bench, tmp_path: Path) -> None:
    dest = tmp_path / "docker.tar"
    response = bench.export(ExportSpec("docker", {"name": "x:1"}, dest=dest), bench.platform(BASE))
    with tarfile.open(dest) as archive:
        (entry,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
    config = response["containerimage.config.digest"].removeprefix("sha256:")
    assert entry["Config"] == f"blobs/sha256/{config}"
    assert entry["RepoTags"] == ["x:1"]
    assert json.loads(run("skopeo", "inspect", f"docker-archive:{dest}:x:1"))["Os"] == "linux"


def test_docker_refuses_several_platforms(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(
        DefinitionError, match="docker exporter does not currently support exporting manifest lists"
    ):
        bench.export(
            ExportSpec("docker", dest=tmp_path / "x.tar"),
            bench.platform(BASE),
            bench.platform(BASE, platform=ARM64),
            multi=True,
        )
    assert not (tmp_path / "x.tar").exists()


def test_standard_output_stays_open(bench: Bench) -> None:
    out = io.BytesIO()
    bench.export(ExportSpec("oci", stdout=out), bench.platform(BASE))
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        assert "index.json" in archive.getnames()


def test_image_store_and_index(bench: Bench) -> None:
    attrs = {
        "name": "multi",
        "annotation.a": "1",
        "annotation[linux/arm64].b": "2",
        "annotation-index.c": "3",
        "annotation-manifest-descriptor.d": "4",
        "annotation-index-descriptor.e": "5",
    }
    response = bench.export(
        ExportSpec("image", attrs),
        bench.platform(BASE),
        bench.platform(BASE, TOP, platform=ARM64),
        multi=True,
    )
    assert "containerimage.config.digest" not in response
    root = bench.store.images.get("docker.io/library/multi:latest")
    assert root is not None
    assert root.digest == response["containerimage.digest"]
    assert dict(root.annotations) == {"e": "5"}

    def read(descriptor: Descriptor) -> bytes:
        return bench.store.blobs.read(descriptor.digest, 1 << 30)

    assert validate_image(read, root) == []
    index = Index.parse(read(root))
    assert dict(index.annotations) == {"c": "3"}
    assert [member.platform for member in index.manifests] == [AMD64, ARM64]
    assert [dict(member.annotations) for member in index.manifests] == [{"d": "4"}] * 2
    annotations = [dict(Manifest.parse(read(member)).annotations) for member in index.manifests]
    assert annotations == [{"a": "1"}, {"a": "1", "b": "2"}]
    assert bench.statuses[0] == "exporting layers"
    assert f"exporting manifest list {root.digest}" in bench.statuses
    assert "naming to docker.io/library/multi:latest" in bench.statuses
    assert bench.vertices[-1].name == "exporting to image"
    assert bench.vertices[-1].completed


def test_push_is_read_back_by_skopeo(bench: Bench, bare_registry: Registry, tmp_path: Path) -> None:
    name = f"{bare_registry.host}/pushed/image:v1"
    response = bench.export(ExportSpec("registry", {"name": name}), bench.platform(BASE, TOP))
    run("skopeo", "copy", "--src-tls-verify=false", f"docker://{name}", f"oci:{tmp_path / 'back'}:v1")
    assert faults(tmp_path / "back") == []
    with RegistryClient(Anonymous()) as client:
        assert client.resolve(Reference.parse(name)).digest == response["containerimage.digest"]
    assert bench.store.images.list() == []
    assert "pushing layers" in bench.statuses
    assert f"pushing manifest for {name}@{response['containerimage.digest']}" in bench.statuses


def test_push_of_an_index_and_by_digest(bench: Bench, bare_registry: Registry) -> None:
    name = f"{bare_registry.host}/pushed/multi"
    response = bench.export(
        ExportSpec("image", {"name": name, "push": "", "push-by-digest": "true"}),
        bench.platform(BASE),
        bench.platform(TOP, platform=ARM64),
        multi=True,
    )
    path = f"pushed/multi/manifests/{response['containerimage.digest']}"
    found = bare_registry.get(path, accept="application/vnd.oci.image.index.v1+json")
    assert len(json.loads(found)["manifests"]) == 2
    with pytest.raises(Exception, match="404"):
        bare_registry.get("pushed/multi/manifests/latest")


def test_failed_push_names_the_image(bench: Bench) -> None:
    with pytest.raises(BakehouseError) as caught:
        bench.export(ExportSpec("registry", {"name": "127.0.0.1:1/x"}), bench.platform(BASE))
    assert str(caught.value).startswith(
        "failed to push 127.0.0.1:1/x:latest: cannot reach registry 127.0.0.1:1"
    )
    assert bench.vertices[-1].error


def test_docker_media_types(bench: Bench, tmp_path: Path) -> None:
    dest = tmp_path / "d.tar"
    bench.export(
        ExportSpec(
            "oci", {"oci-mediatypes": "false", "compression": "gzip", "force-compression": ""}, dest=dest
        ),
        bench.platform(BASE),
    )
    layout = OciLayout(dest)
    (root,) = layout.index().manifests
    manifest = Manifest.parse(layout.read(root))
    assert manifest.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert manifest.config.media_type == "application/vnd.docker.container.image.v1+json"
    assert manifest.layers[0].media_type == "application/vnd.docker.image.rootfs.diff.tar.gzip"
    assert faults(dest) == []


def test_rewritten_timestamps(bench: Bench, tmp_path: Path) -> None:
    dest = tmp_path / "e.tar"
    attrs = {"rewrite-timestamp": "true", "source-date-epoch": "1000"}
    bench.export(ExportSpec("oci", attrs, dest=dest), bench.platform(BASE))
    layout = OciLayout(dest)
    (root,) = layout.index().manifests
    assert root.annotations["org.opencontainers.image.created"] == "1970-01-01T00:16:40Z"
    manifest = Manifest.parse(layout.read(root))
    assert dict(manifest.layers[0].annotations) == {"buildkit/rewritten-timestamp": "1000"}
    config = json.loads(layout.read(manifest.config))
    assert config["created"] == config["history"][0]["created"] == "1970-01-01T00:16:40Z"
    raw = layout.read(manifest.layers[0], 1 << 20)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        assert {member.mtime for member in archive} == {1000}
    assert faults(dest) == []


def test_no_layers_says_null(bench: Bench, tmp_path: Path) -> None:
    dest = tmp_path / "empty.tar"
    bench.export(ExportSpec("oci", dest=dest), bench.platform())
    layout = OciLayout(dest)
    manifest = layout.read(layout.index().manifests[0])
    assert b'"layers": null' in manifest
    config = json.loads(layout.read(Manifest.parse(manifest).config))
    assert config["created"] is None
    assert config["rootfs"] == {"type": "layers", "diff_ids": None}
    assert config["history"] is None


def test_local_directory(bench: Bench, tmp_path: Path) -> None:
    dest = tmp_path / "files"
    spec = ExportSpec("local", dest=dest)
    assert bench.export(spec, bench.platform(BASE, TOP)) == {}
    assert stat.S_IMODE(dest.stat().st_mode) == 0o700
    assert (dest / "etc/base").read_bytes() == b"base\n"
    assert (dest / "top").stat().st_mtime == 1_500_000_000
    assert (dest / "top").stat().st_uid == os.getuid()
    (dest / "mine").write_text("kept")
    bench.export(
        ExportSpec("local", {"source-date-epoch": "7"}, dest=dest), bench.platform({"top": b"new\n"})
    )
    assert (dest / "top").read_bytes() == b"new\n"
    assert (dest / "top").stat().st_mtime == 7
    assert (dest / "mine").read_text() == "kept"
    bench.export(ExportSpec("local", {"mode": "delete"}, dest=dest), bench.platform({"only": b"1"}))
    assert os.listdir(dest) == ["only"]


def test_local_replaces_kinds_and_does_not_follow_links(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    dest = tmp_path / "files"
    dest.mkdir()
    (dest / "etc").symlink_to(outside)
    (dest / "top").mkdir()
    (dest / "top/old").write_text("old")
    bench.export(ExportSpec("local", dest=dest), bench.platform(BASE, TOP))
    assert os.listdir(outside) == []
    assert (dest / "etc").is_dir() and not (dest / "etc").is_symlink()
    assert (dest / "top").read_bytes() == b"top\n"


def test_local_platforms(bench: Bench, tmp_path: Path) -> None:
    both = (bench.platform(BASE), bench.platform(BASE, platform=ARM64))
    bench.export(ExportSpec("local", dest=tmp_path / "split"), *both, multi=True)
    assert sorted(os.listdir(tmp_path / "split")) == ["linux_amd64", "linux_arm64"]
    with pytest.raises(ConflictError) as caught:
        bench.export(
            ExportSpec("local", {"platform-split": "false"}, dest=tmp_path / "one"), *both, multi=True
        )
    assert str(caught.value) == (
        "cannot overwrite etc/base from linux/amd64 with linux/arm64 when split option is disabled"
    )
    assert sorted(os.listdir(tmp_path)) == ["split", "store"]


def test_tar_of_files(bench: Bench, tmp_path: Path) -> None:
    dest = tmp_path / "files.tar"
    bench.export(ExportSpec("tar", dest=dest), bench.platform(BASE, TOP))
    with tarfile.open(dest) as archive:
        assert archive.getnames() == ["etc", "etc/base", "etc/more", "top"]
    spec = ExportSpec("tar", {"source-date-epoch": "42"}, dest=dest)
    bench.export(spec, bench.platform(BASE), bench.platform(TOP, platform=ARM64), multi=True)
    with tarfile.open(dest) as archive:
        assert archive.getnames() == [
            "linux_amd64",
            "linux_amd64/etc",
            "linux_amd64/etc/base",
            "linux_arm64",
            "linux_arm64/etc",
            "linux_arm64/etc/more",
            "linux_arm64/top",
        ]
        assert {member.mtime for member in archive} == {42}


def test_failed_write_leaves_the_old_file(bench: Bench, tmp_path: Path) -> None:
    dest = tmp_path / "out.tar"
    dest.write_text("old")
    platform = bench.platform(BASE)
    layer = platform.chain.layers[0].removeprefix("sha256-")
    (bench.store.root / "blobs/sha256" / layer).write_bytes(b"damaged")
    with pytest.raises(BakehouseError):
        bench.export(ExportSpec("oci", dest=dest), platform)
    assert dest.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["out.tar", "store"]


def test_full_device_is_told(bench: Bench) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        bench.export(ExportSpec("oci", dest=Path("/dev/full")), bench.platform(BASE))
    assert caught.value.code == "disk-full"


def test_cacheonly(bench: Bench) -> None:
    assert bench.export(ExportSpec("cacheonly"), bench.platform(BASE)) == {}
    assert bench.events == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ExportSpec("nope"), "unknown output type 'nope'"),
        (ExportSpec("image", {"push": "maybe"}), "non-bool value specified for push"),
        (ExportSpec("image", {"oci-mediatypes": ""}), "non-bool value specified for oci-mediatypes"),
        (ExportSpec("image", {"compression": "lz4"}), "unsupported compression type lz4"),
        (
            ExportSpec("image", {"compression-level": "x"}),
            "non-integer value x specified for compression-level",
        ),
        (ExportSpec("image", {"source-date-epoch": "now"}), "invalid source-date-epoch"),
        (ExportSpec("image", {"name": "UPPER"}), "must be lowercase"),
        (ExportSpec("registry"), "pushing needs a name"),
        (
            ExportSpec("image", {"push": "", "push-by-digest": "", "name": "x:1"}),
            "can't push tagged ref docker.io/library/x:1 by digest",
        ),
        (
            ExportSpec("image", {"oci-artifact": "true", "oci-mediatypes": "false"}),
            'exporter option "oci-artifact=true" conflicts with "oci-mediatypes=false"',
        ),
        (
            ExportSpec("image", {"rewrite-timestamp": "true", "unpack": "true"}),
            'exporter option "rewrite-timestamp" conflicts with "unpack"',
        ),
        (ExportSpec("image", {"annotation-foo.k": "v"}), "unrecognized annotation type foo"),
        (ExportSpec("oci"), "needs a destination"),
        (ExportSpec("oci", dest=Path("/")), "destination file / is a directory"),
        (ExportSpec("local"), "needs a destination directory"),
        (ExportSpec("local", {"mode": "move"}, dest=Path("/")), 'invalid local exporter mode "move"'),
    ],
)
def test_bad_attributes_are_told_before_the_build(spec: ExportSpec, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        make_exporter(spec)
    assert message in str(caught.value)


def test_estargz_is_refused_by_name() -> None:
    with pytest.raises(NotBuiltYetError, match="estargz"):
        make_exporter(ExportSpec("image", {"compression": "estargz"}))


@pytest.mark.parametrize(
    ("attrs", "message"),
    [
        ({"annotation-index.k": "v"}, "index annotations not supported for single platform export"),
        (
            {"annotation-manifest-descriptor.k": "v", "oci-mediatypes": "false"},
            'cannot export annotations with "oci-mediatypes=false"',
        ),
    ],
)
def test_annotations_that_do_not_fit(bench: Bench, attrs: dict[str, str], message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        bench.export(ExportSpec("image", attrs), bench.platform(BASE))
    assert str(caught.value) == message
