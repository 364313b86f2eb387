"""What a build does not need of its base image is never downloaded, in this process or in a later one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Bakehouse
from tests.support.images import read_image
from tests.support.services import Registry


def blobs(bakehouse: Bakehouse) -> int:
    """Bytes of the largest blob in the store: layers of the base are far larger than manifests and configs."""
    sizes = [path.stat().st_size for path in (bakehouse.home / "store/blobs/sha256").glob("*")]
    return max(sizes, default=0)


def test_pushing_on_top_of_a_registry_image_downloads_no_layer(
    bakehouse: Bakehouse, registry: Registry, tmp_path: Path
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {registry.host}/library/debian:bookworm-slim\nLABEL a=1\n")
    name = f"{registry.host}/lazy/labelled:1"
    bakehouse.run("build", "-t", name, "--push", "--provenance=false", ".", cwd=context)
    assert blobs(bakehouse) < 100_000
    manifest = registry.get("lazy/labelled/manifests/1", "application/vnd.oci.image.manifest.v1+json")
    assert b"layers" in manifest


@pytest.mark.privileged
def test_a_cached_copy_rests_on_a_base_that_a_later_process_fetches(
    bakehouse: Bakehouse, registry: Registry, tmp_path: Path
) -> None:
    """The first process makes a layer above a base whose files it never needed; the second is a full hit and only
    then, for an export that takes every layer, is the base downloaded."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "f").write_text("content\n")
    (context / "Dockerfile").write_text(f"FROM {registry.host}/library/busybox\nCOPY --link f /f\n")
    bakehouse.run("build", "-o", "type=cacheonly", ".", cwd=context)
    out = tmp_path / "out.tar"
    done = bakehouse.run("build", "--progress=plain", "-o", f"type=oci,dest={out}", ".", cwd=context)
    assert "CACHED" in done.stderr
    image = read_image(out)
    assert "bin/busybox" in image.files
    assert "f" in image.files
