"""The same layers and the same frontend config, exported by BuildKit and by us, must give the same digests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.services import BuildKit, running_buildkit
from tests.unit.exporters.conftest import Bench

from bakehouse.engine.exporters.model import ExportPlatform, ExportSpec
from bakehouse.engine.importer import load_image
from bakehouse.oci import Descriptor, ImageConfig, Index, Manifest
from bakehouse.registry import OciLayout
from bakehouse.snapshots import LayerChain

pytestmark = pytest.mark.peer
EPOCH = 1_700_000_000
DOCKERFILE = """\
FROM scratch
ENV A="<&>" B=2
COPY one /
LABEL z=1 a="x y"
EXPOSE 80 53/udp
COPY --chmod=600 two /d/
HEALTHCHECK --interval=5s CMD true
CMD ["/bin/sh", "-c", "x"]
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuildKit]:
    with running_buildkit(tmp_path_factory.mktemp("export-buildkit"), None) as service:
        yield service


def frontend_config(config: ImageConfig) -> bytes:
    """What the frontend handed the exporter: no layers, no times."""
    value = {key: item for key, item in config.value.items() if key not in ("rootfs", "created")}
    value["history"] = [
        {key: item for key, item in entry.items() if key != "created"} for entry in config.history
    ]
    return json.dumps(value).encode()


def adopted(bench: Bench, manifest: Manifest, config: ImageConfig) -> LayerChain:
    layers = bench.context.layers
    ids = [
        layers.adopt(diff_id, layer, None, created=2e9, description="from BuildKit")
        for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
    ]
    return LayerChain(tuple(ids))


@pytest.mark.parametrize(
    ("attrs", "platforms"),
    [
        ({}, "linux/amd64"),
        ({"oci-mediatypes": "false"}, "linux/amd64"),
        ({"annotation.k": "<v>", "annotation-manifest-descriptor.d": "1"}, "linux/amd64"),
        ({}, "linux/amd64,linux/arm64"),
        ({"annotation-index.i": "1", "annotation[linux/arm64].only": "2"}, "linux/amd64,linux/arm64"),
        ({"oci-mediatypes": "false"}, "linux/amd64,linux/arm64"),
    ],
)
def test_digests_agree(
    bench: Bench, daemon: BuildKit, tmp_path: Path, attrs: dict[str, str], platforms: str
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "one").write_text("1")
    (context / "two").write_text("2")
    (context / "Dockerfile").write_text(DOCKERFILE)
    theirs, ours = tmp_path / "theirs.tar", tmp_path / "ours.tar"
    output = ",".join(
        [f"type=oci,dest={theirs},name=x:1", *(f"{key}={value}" for key, value in attrs.items())]
    )
    daemon.build(context, output, f"platform={platforms}", f"build-arg:SOURCE_DATE_EPOCH={EPOCH}")

    ((_, root),) = load_image(bench.store, theirs)
    layout = OciLayout(theirs)
    members: list[Descriptor] = [root]
    if root.is_index:
        members = list(Index.parse(layout.read(root)).manifests)
    items = []
    for member in members:
        manifest = Manifest.parse(layout.read(member))
        config = ImageConfig.parse(layout.read(manifest.config))
        chain = adopted(bench, manifest, config)
        items.append(ExportPlatform(config.platform, chain, frontend_config(config), EPOCH))
    spec = ExportSpec("oci", {"name": "x:1", **attrs}, dest=ours)
    bench.export(spec, *items, multi=root.is_index)

    mine = OciLayout(ours)
    assert mine.file("index.json", 1 << 20) == layout.file("index.json", 1 << 20)
    assert sorted(mine._archive_members()) == sorted(layout._archive_members())
    assert ours.read_bytes() == theirs.read_bytes()
