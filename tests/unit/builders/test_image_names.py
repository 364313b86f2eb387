"""Finding images by what a user types; patterns follow Docker's `images --filter`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakehouse.builders.image_names import DANGLING, ImageFilter, describe, find_image
from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.oci.image import Descriptor
from bakehouse.store import Store

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def put_image(store: Store, name: str, labels: dict[str, str]) -> Descriptor:
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "config": {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": []},
        }
    ).encode()
    digest = store.blobs.put(config)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest,
                "size": len(config),
            },
            "layers": [],
        }
    ).encode()
    descriptor = Descriptor(MANIFEST, store.blobs.put(manifest), len(manifest))
    store.images.tag(name or f"{DANGLING}@{descriptor.digest}", descriptor)
    return descriptor


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        put_image(opened, "docker.io/library/app:latest", {"a": "1"})
        put_image(opened, "docker.io/team/app:2", {"a": "2", "b": ""})
        put_image(opened, "reg.example:5000/x/app:3", {})
        put_image(opened, "", {"c": "3"})
        yield opened


def matching(store: Store, text: str) -> list[str]:
    wanted = ImageFilter.parse(text)
    return [name for name, descriptor, _ in store.images.list() if wanted.matches(store, name, descriptor)]


def test_find_by_name_and_id(store: Store) -> None:
    for text in ("app", "app:latest", "docker.io/library/app", "library/app"):
        assert find_image(store, text)[0] == "docker.io/library/app:latest"
    descriptor = store.images.get("docker.io/team/app:2")
    assert descriptor is not None
    assert find_image(store, descriptor.digest.encoded[:12])[0] == "docker.io/team/app:2"
    config = str(describe(store, "docker.io/team/app:2", descriptor)["id"])
    assert config != str(descriptor.digest)
    assert find_image(store, config)[0] == "docker.io/team/app:2"
    with pytest.raises(NotFoundError) as caught:
        find_image(store, "ap")
    assert caught.value.hint == "did you mean app?"
    with pytest.raises(NotFoundError):
        find_image(store, "abc")


def test_filters(store: Store) -> None:
    assert matching(store, "reference=app") == ["docker.io/library/app:latest"]
    assert matching(store, "reference=app:*") == ["docker.io/library/app:latest"]
    assert matching(store, "reference=*/app") == ["docker.io/team/app:2"]
    assert matching(store, "reference=*/*/app") == ["reg.example:5000/x/app:3"]
    assert matching(store, "reference=team/[a-b]pp:?") == ["docker.io/team/app:2"]
    assert matching(store, "label=a") == ["docker.io/library/app:latest", "docker.io/team/app:2"]
    assert matching(store, "label=a=2") == ["docker.io/team/app:2"]
    assert matching(store, "label=b=") == ["docker.io/team/app:2"]
    assert len(matching(store, "dangling=true")) == 1
    assert len(matching(store, "dangling=false")) == 3
    for text in ("nosuch=1", "reference", "dangling=maybe"):
        with pytest.raises(DefinitionError):
            ImageFilter.parse(text)


def test_description(store: Store) -> None:
    descriptor = store.images.get("reg.example:5000/x/app:3")
    assert descriptor is not None
    found = describe(store, "reg.example:5000/x/app:3", descriptor)
    assert (found["repository"], found["tag"]) == ("reg.example:5000/x/app", "3")
    assert int(str(found["size"])) > 0
