"""Caches as a user meets them: attributes, absent and damaged caches, and what a later build does without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.differential.test_caching import steps_of
from tests.support.command import Bakehouse
from tests.support.services import Registry
from tests.unit.registry.scripted import Reply, Request, scripted

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def build(command: Bakehouse, cache_context: Path, *arguments: str, check: bool = True) -> str:
    """The progress of a build in `context`, as JSON lines."""
    flags = ("build", "--progress=rawjson", "--output=type=oci,dest=../image.tar")
    return command.run(*flags, *arguments, ".", cwd=cache_context, check=check).stderr


def ran(progress: str) -> list[str]:
    """The steps that were not cached, without the reading of files and caches."""
    others = (" internal] ", "] importing cache ", "] exporting ")
    return [
        name
        for name, cached in steps_of(progress).items()
        if not cached and not any(part in name for part in others)
    ]


def blob(command: Bakehouse, digest: str) -> Path:
    """Where the store of `command` has a blob."""
    return command.home / "store" / "blobs" / digest.replace(":", "/")


def errors(progress: str) -> dict[str, str]:
    """The error of every vertex that has one, by its name."""
    found = {}
    for line in progress.splitlines():
        for vertex in json.loads(line).get("vertexes", ()) if line.startswith("{") else ():
            if vertex.get("error"):
                found[vertex["name"]] = vertex["error"]
    return found


def test_a_cache_serves_another_machine_and_is_needed_once(
    offline: Bakehouse, fresh: Bakehouse, cache_context: Path
) -> None:
    build(offline, cache_context, "--cache-to", "type=local,dest=../cache,mode=max")
    assert len(ran(build(fresh, cache_context))) == 3
    fresh.run("prune", "--all", "--force")
    assert ran(build(fresh, cache_context, "--cache-from", "type=local,src=../cache")) == []
    # What was taken from the cache is in the store now, layers and all.
    assert ran(build(fresh, cache_context)) == []


def test_an_absent_cache_is_passed_over(offline: Bakehouse, cache_context: Path) -> None:
    progress = build(
        offline,
        cache_context,
        *("--cache-from", "type=local,src=nowhere"),
        *("--cache-from", f"type=local,src=nowhere,digest=sha256:{'0' * 64}"),
    )
    assert len(ran(progress)) == 3
    assert sorted(errors(progress).values()) == [
        "local cache import at nowhere skipped due to err: could not read nowhere/index.json: "
        "open nowhere/index.json: no such file or directory",
        f"local cache import at nowhere skipped: digest sha256:{'0' * 64} unavailable",
    ]


def test_reset_deletes_what_no_tag_needs(offline: Bakehouse, cache_context: Path, tmp_path: Path) -> None:
    blobs = tmp_path / "cache" / "blobs" / "sha256"

    def export(*attributes: str) -> set[str]:
        build(
            offline, cache_context, "--cache-to", ",".join(["type=local,dest=../cache,mode=max", *attributes])
        )
        return {path.name for path in blobs.iterdir()}

    export("tag=kept")
    (blobs / "notes.txt").write_text("of another program")
    (cache_context / "a.txt").write_text("changed")
    stale = export()
    (cache_context / "a.txt").write_text("changed again")
    left = export("reset=true")
    assert stale - left
    assert {entry["digest"].partition(":")[2] for entry in _tags(tmp_path / "cache")} <= left
    assert "notes.txt" in left
    for tag in ("kept", "latest"):
        other = Bakehouse(tmp_path / tag, None)
        progress = build(other, cache_context, "--cache-from", f"type=local,src=../cache,tag={tag}")
        assert errors(progress) == {}
        assert len(ran(progress)) == (0 if tag == "latest" else 2)


def _tags(layout: Path) -> list[dict[str, str]]:
    manifests: list[dict[str, str]] = json.loads((layout / "index.json").read_text())["manifests"]
    assert len(manifests) == 2
    return manifests


def read_only(request: Request) -> Reply:
    """A registry that has nothing and takes nothing."""
    if request.path == "/v2/":
        return 200, {}, b""
    if request.method in ("GET", "HEAD"):
        return 404, {}, b""
    return (
        405,
        {"Content-Type": "application/json"},
        b'{"errors":[{"code":"UNSUPPORTED","message":"read-only"}]}',
    )


def test_a_registry_that_takes_nothing(offline: Bakehouse, cache_context: Path) -> None:
    with scripted(read_only) as server:
        ref = f"{server.host}/app:cache"
        progress = build(offline, cache_context, "--cache-from", ref, "--cache-to", ref, check=False)
        told = errors(progress)
        assert told.pop(f"importing cache manifest from {ref}") == (
            f"failed to configure registry cache importer: {ref}: not found"
        )
        assert told.pop("exporting cache to registry").startswith("error writing layer blob: ")
        assert not told
        assert "failed to solve: error writing layer blob: " in progress.splitlines()[-1]
        ref += ",ignore-error=true"
        assert list(errors(build(offline, cache_context, "--cache-to", f"type=registry,ref={ref}"))) == [
            "exporting cache to registry"
        ]


def test_the_response_names_the_cache(offline: Bakehouse, cache_context: Path, tmp_path: Path) -> None:
    build(offline, cache_context, "--cache-to", "type=local,dest=../cache", "--metadata-file", "../meta.json")
    described = json.loads((tmp_path / "meta.json").read_text())["cache.manifest"]
    stored = json.loads((tmp_path / "cache" / "index.json").read_text())["manifests"][0]
    assert json.loads(described)["digest"] == stored["digest"]


def test_caches_of_a_bake(offline: Bakehouse, fresh: Bakehouse, cache_context: Path) -> None:
    """Two targets with a cache each; an import of one serves the steps that both have."""
    (cache_context / "docker-bake.hcl").write_text(
        """\
group "default" { targets = ["part", "whole"] }
target "part" {
  target = "part"
  output = ["type=cacheonly"]
  cache-to = ["type=local,dest=../part"]
}
target "whole" {
  output = ["type=cacheonly"]
  cache-to = ["type=local,dest=../whole"]
}
"""
    )
    offline.run("bake", "--allow=fs=..", cwd=cache_context)
    arguments = ("bake", "--progress=rawjson", "--allow=fs=..", "--set=*.cache-to=")
    first = fresh.run(*arguments, "--set=part.cache-from=type=local,src=../part", cwd=cache_context).stderr
    assert sorted(ran(first)) == [
        "[whole stage-1 1/2] COPY b.txt /first",
        "[whole stage-1 2/2] COPY --from=part /part /second",
    ]
    names = {vertex["name"] for line in first.splitlines() for vertex in json.loads(line).get("vertexes", ())}
    assert any(name.startswith("[part] importing cache manifest from local:") for name in names)


def test_a_place_outside_needs_a_word(offline: Bakehouse, cache_context: Path, tmp_path: Path) -> None:
    """Directories outside the working one are read and written only when that was granted."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (cache_context / "docker-bake.hcl").write_text(
        'target "default" {\n cache-from = ["type=local,src=../in"]\n cache-to = ["type=local,dest=../out"]\n}\n'
    )
    done = offline.run("bake", cwd=cache_context, check=False)
    assert done.returncode == 1
    assert " - Read access to path ../in\n" in done.stderr
    assert " - Write access to path ../out\n" in done.stderr


@pytest.mark.privileged
def test_a_push_beside_the_cache_downloads_nothing(
    bakehouse: Bakehouse, registry: Registry, cache_context: Path, tmp_path: Path
) -> None:
    """Everything is found in a cache of the registry that the image goes to: its layers are mounted there."""
    (cache_context / "Dockerfile").write_text("FROM busybox\nCOPY a.txt /\nRUN cat /a.txt >/b\n")
    place = f"{registry.host}/lazy"
    bakehouse.run("build", "--cache-to", f"{place}/cache", "-o", "type=cacheonly", ".", cwd=cache_context)
    other = Bakehouse(tmp_path / "other", registry)
    arguments = ("--cache-from", f"{place}/cache", "-t", f"{place}/image", "--push", "--provenance=false")
    progress = other.run("build", "--progress=rawjson", *arguments, ".", cwd=cache_context).stderr
    assert [step for step in ran(progress) if " FROM " not in step] == []
    layers = json.loads(registry.get("lazy/image/manifests/latest", OCI_MANIFEST))["layers"]
    assert len(layers) == 3
    assert [layer["digest"] for layer in layers if blob(other, layer["digest"]).exists()] == []


def damage(layout: Path, what: str) -> None:
    """Spoils the layer blobs of a cache: `lost`, or `changed` to others of the same size."""
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads((layout / "blobs" / index["manifests"][0]["digest"].replace(":", "/")).read_text())
    for layer in manifest["layers"]:
        path = layout / "blobs" / layer["digest"].replace(":", "/")
        if path.exists() and what == "lost":
            path.unlink()
        elif path.exists():
            path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))


@pytest.mark.parametrize(
    ("what", "output"), [("lost", "type=local"), ("changed", "type=local"), ("changed", "type=oci,tar=false")]
)
def test_damaged_layers_cost_time_and_not_the_build(
    offline: Bakehouse, fresh: Bakehouse, cache_context: Path, tmp_path: Path, what: str, output: str
) -> None:
    build(offline, cache_context, "--cache-to", "type=local,dest=../cache,mode=max")
    damage(tmp_path / "cache", what)
    arguments = ("--cache-from", "type=local,src=../cache", "--output", f"{output},dest={tmp_path / 'out'}")
    fresh.run("build", *arguments, ".", cwd=cache_context)
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == ({"first", "second"} if output == "type=local" else {"blobs", "index.json", "oci-layout"})
    assert ran(build(fresh, cache_context)) == []
