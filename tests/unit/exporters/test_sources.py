"""Image resolving and the image source, over a real registry and OCI layouts."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.services import Registry
from tests.unit.exporters.conftest import AMD64, ARM64, Anonymous, Bench

from bakehouse.engine.exporters.model import ExportSpec
from bakehouse.engine.sources.image import ImageResolver, ImageSource
from bakehouse.errors import DefinitionError, IntegrityError, NotFoundError
from bakehouse.oci import Platform, Reference
from bakehouse.registry import RegistryClient
from bakehouse.solver.model import Cancellation, RunContext

FILES = {"etc/file": b"hello\n"}


def vertex(identifier: str, platform: Platform = AMD64, **attrs: str) -> Any:
    """An LLB vertex as far as a source op looks at it."""
    named = {key.replace("_", "."): value for key, value in attrs.items()}
    return SimpleNamespace(op=SimpleNamespace(identifier=identifier, attrs=named), platform=platform)


def run_context(bench: Bench) -> RunContext:
    reporter = bench.context.reporter.vertex("sha256:" + "0" * 64, "source")
    return RunContext(reporter, Cancellation())


@pytest.fixture
def pushed(bench: Bench, bare_registry: Registry, request: pytest.FixtureRequest) -> tuple[str, str]:
    """(name, digest) of an index for two platforms in the registry; the layer blobs are gone from the store."""
    suffix = hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    name = f"{bare_registry.host}/src/{suffix}:1"
    spec = ExportSpec("registry", {"name": name})
    platforms = (bench.platform(FILES), bench.platform({"arm": b"1"}, platform=ARM64))
    response = bench.export(spec, *platforms, multi=True)
    for item in platforms:
        bench.context.layers.delete(item.chain.layers)
    for digest in list(bench.store.blobs):
        bench.store.blobs.delete(digest)
    return name, response["containerimage.digest"]


def test_config_is_resolved_once(bench: Bench, pushed: tuple[str, str]) -> None:
    name, digest = pushed
    made: list[int] = []

    def client() -> RegistryClient:
        made.append(1)
        return RegistryClient(Anonymous())

    resolver = ImageResolver(bench.context, client)
    answers: list[tuple[str, str, bytes]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(resolver.resolve_image_config(name, AMD64)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    resolver.close()
    assert len(answers) == 4
    assert set(answers) == {(f"{name}@{digest}", digest, answers[0][2])}
    assert b'"Cmd":["x"]' in answers[0][2]
    assert made == [1]
    assert f"[internal] load metadata for {name}" in {event.name for event in bench.vertices}


def test_layers_come_when_they_are_needed(bench: Bench, pushed: tuple[str, str]) -> None:
    name, digest = pushed
    resolver = ImageResolver(bench.context)
    source = ImageSource(vertex(f"docker-image://{name}"), bench.context, resolver)
    context = run_context(bench)
    key = source.cache_map(context).digest
    # engine.md §8.2: sha256 over "buildkit.source.v0:" and the digest of the key's JSON.
    text = f'{{"Digest":"{digest}","OS":"linux","Arch":"amd64"}}'.encode()
    inner = "sha256:" + hashlib.sha256(text).hexdigest()
    assert key == "sha256:" + hashlib.sha256(f"buildkit.source.v0:{inner}".encode()).hexdigest()
    (tree,) = source.run(context, [])
    (layer,) = tree.chain().layers
    blob = layer.replace("sha256-", "sha256:")
    assert not bench.store.blobs.has(blob)
    with tree.mounted() as root:
        assert (root / "etc/file").read_bytes() == b"hello\n"
    assert bench.store.blobs.has(blob)
    assert any(status.startswith("resolve ") for status in bench.statuses)
    assert blob in bench.statuses
    resolver.close()


def test_retagging_mounts_instead_of_downloading(
    bench: Bench, pushed: tuple[str, str], bare_registry: Registry
) -> None:
    resolver = ImageResolver(bench.context)
    source = ImageSource(vertex(f"docker-image://{pushed[0]}"), bench.context, resolver)
    (tree,) = source.run(run_context(bench), [])
    platform = bench.platform()
    name = f"{bare_registry.host}/src/retagged:1"
    target = type(platform)(platform.platform, tree.chain(), platform.config)
    bench.export(ExportSpec("registry", {"name": name}), target)
    assert not bench.store.blobs.has(tree.chain().layers[0].replace("sha256-", "sha256:"))
    with RegistryClient(Anonymous()) as client:
        assert client.resolve(Reference.parse(name)).is_manifest
    resolver.close()


def test_missing_platform_names_the_others(bench: Bench, pushed: tuple[str, str]) -> None:
    name, digest = pushed
    resolver = ImageResolver(bench.context)
    with pytest.raises(NotFoundError) as caught:
        resolver.resolve_image_config(name, Platform("linux", "s390x"))
    assert str(caught.value) == f"{name}: no match for platform linux/s390x in manifest {digest}: not found"
    assert caught.value.hint == "The image is offered for: linux/amd64, linux/arm64."
    resolver.close()


def test_local_image_serves_first(bench: Bench) -> None:
    bench.export(ExportSpec("image", {"name": "127.0.0.1:1/local"}), bench.platform(FILES))
    resolver = ImageResolver(bench.context)
    pinned, digest, _ = resolver.resolve_image_config("127.0.0.1:1/local", AMD64)
    assert pinned == f"127.0.0.1:1/local:latest@{digest}"
    assert resolver.resolve_image_config(pinned, AMD64)[1] == digest
    (tree,) = ImageSource(vertex(f"docker-image://{pinned}"), bench.context, resolver).run(
        run_context(bench), []
    )
    with tree.mounted() as root:
        assert (root / "etc/file").exists()
    with pytest.raises(Exception, match="cannot reach registry"):
        resolver.resolve_image_config("127.0.0.1:1/local", AMD64, "pull")


def test_oci_layout_source(bench: Bench, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    response = bench.export(ExportSpec("oci", {"tar": "false"}, dest=layout), bench.platform(FILES))
    digest = response["containerimage.digest"]
    session: Any = bench.context.session
    session.oci_layouts["box"] = layout
    resolver = ImageResolver(bench.context)
    identifier = f"oci-layout://box@{digest}"
    assert resolver.resolve_image_config(identifier, AMD64)[:2] == (identifier, digest)
    source = ImageSource(
        vertex(f"oci-layout://docker.io/library/x@{digest}", oci_store="box"), bench.context, resolver
    )
    (tree,) = source.run(run_context(bench), [])
    with tree.mounted() as root:
        assert (root / "etc/file").read_bytes() == b"hello\n"
    with pytest.raises(NotFoundError, match="no OCI layout named 'other'"):
        resolver.resolve_image_config(f"oci-layout://other@{digest}", AMD64)


def test_checksum_and_layer_limit(bench: Bench, pushed: tuple[str, str]) -> None:
    resolver = ImageResolver(bench.context)
    name = f"docker-image://{pushed[0]}"
    wrong = ImageSource(vertex(name, image_checksum="sha256:" + "1" * 64), bench.context, resolver)
    with pytest.raises(IntegrityError, match="does not match expected checksum"):
        wrong.cache_map(run_context(bench))
    many = ImageSource(vertex(name, image_layerlimit="2"), bench.context, resolver)
    with pytest.raises(
        DefinitionError, match="layer limit 2 is greater than the number of layers in the image 1"
    ):
        many.cache_map(run_context(bench))
    with pytest.raises(DefinitionError, match="invalid layer limit 0"):
        ImageSource(vertex(name, image_layerlimit="0"), bench.context, resolver)
    resolver.close()
