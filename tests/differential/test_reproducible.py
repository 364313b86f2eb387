"""Builds with a source date epoch and `rewrite-timestamp` are the same image here and in BuildKit, to the last byte of
its config.

The config names the diff ID of every layer, so equal config digests (image IDs) mean equal bytes of every layer, equal
history and equal settings: nothing about an image can differ that is not compression. Most cases are in `test_image`,
which compares the IDs of all that it builds; here is what needs outputs of its own.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.command import Bakehouse
from tests.support.images import Image, compare_config, read_image
from tests.support.services import BuildKit

EPOCH = 1_600_000_000
OLD = EPOCH - 1_000_000
NEW = EPOCH + 1_000_000


def make_context(directory: Path) -> Path:
    """Files, directories and links with times on both sides of the epoch, and one exactly on it."""
    (directory / "tree" / "sub").mkdir(parents=True)
    for name, time_s in (
        ("old", OLD),
        ("new", NEW),
        ("exact", EPOCH),
        ("tree/new", NEW),
        ("tree/sub/old", OLD),
    ):
        (directory / name).write_text(f"content of {name}\n")
        os.utime(directory / name, ns=(0, time_s * 10**9 + 123_456_789))
    os.symlink("old", directory / "link")
    os.utime(directory / "link", (NEW, NEW), follow_symlinks=False)
    os.link(directory / "new", directory / "hard")
    make_archive(directory / "archive.tar")
    for name, time_s in (("archive.tar", OLD), ("tree/sub", OLD), ("tree", NEW)):
        os.utime(directory / name, (time_s, time_s))
    return directory


def make_archive(path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, time_s in (("deep/down/old", OLD + 0.5), ("deep/down/new", NEW + 0.5)):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uid, info.gid = 4, time_s, 9, 10
            tar.addfile(info, io.BytesIO(b"data"))


def both(
    context: Path, output: Sequence[str], scratch: Path, bakehouse: Bakehouse, buildkit: BuildKit
) -> tuple[Image, Image]:
    """The image that each makes of `context`; `output` are attributes of the oci exporter."""
    ours, theirs = scratch / "ours.tar", scratch / "theirs.tar"
    common = ("--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}", ".")
    attributes = ",".join(("type=oci", "rewrite-timestamp=true", *output))
    # Directories of an earlier case's context would keep their times in the daemon.
    buildkit.prune()
    built = buildkit.buildx(
        "build", "--provenance=false", "--output", f"{attributes},dest={theirs}", *common, cwd=context
    )
    assert built.returncode == 0, built.stderr
    bakehouse.run("build", "--output", f"{attributes},dest={ours}", *common, cwd=context)
    return read_image(ours), read_image(theirs)


@pytest.mark.peer
@pytest.mark.privileged
def test_image_id_is_buildkits_whatever_the_compression(
    tmp_path: Path, bakehouse: Bakehouse, buildkit: BuildKit
) -> None:
    context = make_context(tmp_path / "context")
    (context / "Dockerfile").write_text("FROM busybox\nCOPY tree /tree\nRUN touch /file\n")
    ours, theirs = both(
        context, ("compression=zstd", "force-compression=true"), tmp_path, bakehouse, buildkit
    )
    assert ours.diff_ids == theirs.diff_ids, (ours.layer_names, theirs.layer_names)
    assert ours.config_digest == theirs.config_digest, "\n".join(compare_config(ours, theirs))
    notes = [[layer.get("annotations") for layer in image.manifest["layers"]] for image in (ours, theirs)]
    assert notes[0] == notes[1]
    types = [[layer["mediaType"] for layer in image.manifest["layers"]] for image in (ours, theirs)]
    assert types[0] == types[1]


@pytest.mark.peer
def test_without_rewriting_only_the_config_is_dated(
    tmp_path: Path, bakehouse: Bakehouse, buildkit: BuildKit
) -> None:
    """Files keep their own times, on either side of the epoch."""
    context = make_context(tmp_path / "context")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY old new link hard /\nENV A=b\n")
    ours, theirs = both(context, ("rewrite-timestamp=false",), tmp_path, bakehouse, buildkit)
    assert ours.files["new"].mtime == NEW
    assert ours.config["created"] == "2020-09-13T12:26:40Z"
    assert ours.config_digest == theirs.config_digest


@pytest.mark.peer
def test_same_image_from_any_store_with_any_history(tmp_path: Path, bakehouse: Bakehouse) -> None:
    """A second build in a store that has the layers in other forms gives the same bytes."""
    context = make_context(tmp_path / "context")
    (context / "Dockerfile").write_text("FROM busybox\nCOPY . /all\nRUN touch /file\n")
    outputs = []
    for number, attributes in enumerate(("", "compression=zstd,", "", "")):
        path = tmp_path / f"{number}.tar"
        extra = ("--no-cache",) if number == 3 else ()
        output = f"type=oci,rewrite-timestamp=true,{attributes}dest={path}"
        bakehouse.run(
            "build", *extra, "--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}", "--output", output, ".", cwd=context
        )
        outputs.append((read_image(path).config_digest, hashlib.sha256(path.read_bytes()).hexdigest()))
    assert len({image for image, _ in outputs}) == 1
    assert outputs[0] == outputs[2] == outputs[3]


# What a base image says of its layers ----------------------------------------------------------------------------

TOC = "containerd.io/snapshot/stargz/toc.digest"
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
#: Of each base layer: its media type and its URL.
BASE_LAYERS = (
    (GZIP, ""),
    (FOREIGN, "https://example.invalid/b"),
    (GZIP, "https://example.invalid/c"),
    (FOREIGN, ""),
)


def make_layout(root: Path) -> str:
    """An OCI layout whose image has the layers `BASE_LAYERS`, all annotated; returns the manifest's digest."""
    (root / "blobs" / "sha256").mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (root / "blobs" / "sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}

    diff_ids, layers = [], []
    for number, (media_type, url) in enumerate(BASE_LAYERS):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(tarfile.TarInfo(f"file{number}"))
        diff_ids.append("sha256:" + hashlib.sha256(buffer.getvalue()).hexdigest())
        layer = put(gzip.compress(buffer.getvalue(), mtime=0), media_type)
        layer["annotations"] = {
            "org.example": "dropped",
            TOC: "sha256:" + str(number) * 64,
            "io.containers.estargz.uncompressed-size": "10240",
            "containerd.io/distribution.source.registry": "internal",
        }
        layers.append(layer | ({"urls": [url]} if url else {}))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "history": [{"created_by": "x"}] * len(layers),
    }
    config["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "layers": layers,
    }
    manifest["config"] = put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")
    found = put(json.dumps(manifest).encode(), str(manifest["mediaType"]))
    platform = {"os": "linux", "architecture": "amd64"}
    (root / "index.json").write_text(
        json.dumps({"schemaVersion": 2, "manifests": [found | {"platform": platform}]})
    )
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return str(found["digest"])


@pytest.mark.peer
@pytest.mark.parametrize(
    "attributes",
    [
        "",
        ",prefer-nondist-layers=true",
        ",prefer-nondist-layers=true,oci-mediatypes=false",
        ",prefer-nondist-layers=true,rewrite-timestamp=true",
        ",prefer-nondist-layers=true,compression=zstd,force-compression=true",
    ],
)
def test_base_layers_keep_what_buildkit_keeps(
    attributes: str, tmp_path: Path, bakehouse: Bakehouse, buildkit: BuildKit
) -> None:
    digest = make_layout(tmp_path / "layout")
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM base\nCOPY Dockerfile /\n")
    arguments = ("--build-context", f"base=oci-layout://{tmp_path / 'layout'}@{digest}")
    manifests = []
    for name in ("ours", "theirs"):
        output = ("--output", f"type=oci,dest={tmp_path / name}{attributes}")
        epoch = ("--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}", ".")
        if name == "ours":
            bakehouse.run("build", *arguments, *output, *epoch, cwd=context)
        else:
            buildkit.prune()
            built = buildkit.buildx("build", "--provenance=false", *arguments, *output, *epoch, cwd=context)
            assert built.returncode == 0, built.stderr
        manifests.append(layers_and_blobs(tmp_path / name))
    (ours, our_blobs), (theirs, their_blobs) = manifests
    for number, layers in enumerate(zip(ours, theirs, strict=True)):
        present = [
            str(layer["digest"]) in blobs
            for layer, blobs in zip(layers, (our_blobs, their_blobs), strict=True)
        ]
        assert present[0] == present[1], f"layer {number} is in one archive only"
        if number == len(BASE_LAYERS) or "zstd" in attributes:
            # Compressed by each with its own program.
            for layer in layers:
                del layer["digest"], layer["size"]
    assert ours == theirs


def layers_and_blobs(archive: Path) -> tuple[list[dict[str, object]], set[str]]:
    """The layers that an OCI archive's manifest lists, and the digests of the blobs that it holds."""
    with tarfile.open(archive) as tar:
        blobs = {
            "sha256:" + name.rpartition("/")[2]: name
            for name in tar.getnames()
            if name.startswith("blobs/sha256/")
        }

        def document(name: str) -> dict[str, list[dict[str, object]]]:
            file = tar.extractfile(name)
            assert file is not None
            with file:
                return dict(json.load(file))

        root = document("index.json")["manifests"][0]["digest"]
        return document(blobs[str(root)])["layers"], set(blobs)
