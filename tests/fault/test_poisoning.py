"""An image that lies about its layers spoils itself, and no other image of the store.

A config names a layer's diff ID, and nobody can check it before the layer is unpacked. An image of a stranger may so
claim that its layer is that of a well-known base.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest
from backports import zstd

from tests.support import bases
from tests.support.command import Bakehouse
from tests.support.images import read_image
from tests.support.services import Registry

pytestmark = pytest.mark.privileged


def lying_layout(folder: Path, compression: str) -> Path:
    """busybox with another layer under its diff ID."""
    busybox = next(base for base in bases.IMAGES if base.key == "busybox")
    layout = folder / f"evil-{compression}"
    shutil.copytree(bases.layout(busybox), layout)
    blobs = layout / "blobs" / "sha256"

    def put(data: bytes) -> tuple[str, int]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return f"sha256:{digest}", len(data)

    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        info = tarfile.TarInfo("evil")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    packed = {"gzip": gzip.compress, "zstd": zstd.compress}[compression](raw.getvalue())
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"].partition(":")[2]).read_text())
    digest, size = put(packed)
    manifest["layers"][0] |= {
        "mediaType": f"application/vnd.oci.image.layer.v1.tar+{compression}",
        "digest": digest,
        "size": size,
    }
    digest, size = put(json.dumps(manifest).encode())
    index["manifests"][0] |= {"digest": digest, "size": size}
    (layout / "index.json").write_text(json.dumps(index))
    return layout


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_lying_image_does_not_get_into_others(
    compression: str, tmp_path: Path, bakehouse: Bakehouse, registry: Registry
) -> None:
    registry.push_layout(lying_layout(tmp_path, compression), f"evil/{compression}:1")
    evil, good = tmp_path / "evil", tmp_path / "good"
    evil.mkdir()
    good.mkdir()
    (evil / "Dockerfile").write_text(f"FROM {registry.host}/evil/{compression}:1\nLABEL a=b\n")
    (good / "Dockerfile").write_text("FROM busybox\nCOPY Dockerfile /\n")
    # The stranger's image, whose layer is nowhere unpacked, is itself exported as it is.
    bakehouse.run("build", f"--output=type=oci,dest={tmp_path}/evil.tar", ".", cwd=evil)
    for wanted in ("gzip", "zstd"):
        image = tmp_path / f"good-{wanted}.tar"
        bakehouse.run("build", f"--output=type=oci,dest={image},compression={wanted}", ".", cwd=good)
        files = read_image(image).files
        assert "bin/busybox" in files
        assert "evil" not in files
    (good / "Dockerfile").write_text("FROM busybox\nRUN test ! -e /evil\n")
    bakehouse.run("build", ".", cwd=good)
    # And who builds on the lie in earnest hears of it.
    (evil / "Dockerfile").write_text(f"FROM {registry.host}/evil/{compression}:1\nRUN true\n")
    done = bakehouse.run("build", ".", cwd=evil, check=False)
    assert done.returncode != 0
    assert "diff ID" in done.stderr
