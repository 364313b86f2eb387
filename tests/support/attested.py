"""Attestations of images and directories read with the standard library alone, and put into a form in which those of
two builders can be compared: what names one build, one session or one compressor's bytes is replaced, nothing else."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.services import Registry

IN_TOTO = "application/vnd.in-toto+json"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_OF_BUILD = {
    "invocationId",
    "startedOn",
    "finishedOn",
    "buildInvocationID",
    "buildStartedOn",
    "buildFinishedOn",
}
_OF_SESSION = ("local-sessionid:", "oci.session")
#: What steps took of the machine, which we do not measure (docs/differences.md).
_MEASURED = ("sysUsage", "resourceUsage")

#: Reads a blob by digest.
Read = Callable[[str], bytes]


def archive_blobs(path: Path) -> tuple[list[dict[str, Any]], Read]:
    """The descriptors of an OCI archive's own list, and its blobs; every blob is checked against its digest."""
    with tarfile.open(path) as tar:
        members = {item.name: tar.extractfile(item).read() for item in tar if item.isfile()}  # type: ignore[union-attr]

    def read(digest: str) -> bytes:
        return _checked(digest, members["blobs/" + digest.replace(":", "/")])

    return json.loads(members["index.json"])["manifests"], read


def registry_blobs(registry: Registry, repository: str, tag: str) -> tuple[list[dict[str, Any]], Read]:
    """The same of an image in a registry."""
    raw = registry.get(f"{repository}/manifests/{tag}", f"{INDEX}, {MANIFEST}")
    media_type = json.loads(raw)["mediaType"]
    root = {"mediaType": media_type, "digest": "sha256:" + hashlib.sha256(raw).hexdigest(), "size": len(raw)}

    def read(digest: str) -> bytes:
        try:
            return _checked(digest, registry.get(f"{repository}/manifests/{digest}", f"{INDEX}, {MANIFEST}"))
        except urllib.error.HTTPError:
            return _checked(digest, registry.get(f"{repository}/blobs/{digest}"))

    return [root], read


def _checked(digest: str, data: bytes) -> bytes:
    assert "sha256:" + hashlib.sha256(data).hexdigest() == digest
    return data


def described(roots: list[dict[str, Any]], read: Read) -> list[Any]:
    """All that an image says of attestations: its index, attestation manifests and statements, in comparable form."""
    out: list[Any] = []
    for root in roots:
        document = json.loads(read(root["digest"]))
        members = document.get("manifests")
        if members is None:
            out.append({"mediaType": root["mediaType"], "members": sorted(document)})
            continue
        images = [item for item in members if item["platform"]["os"] != "unknown"]
        names = {item["digest"]: f"image {number}" for number, item in enumerate(images)}
        sizes = {item["digest"]: item["size"] for item in images}
        out.append({key: value for key, value in document.items() if key != "manifests"})
        for item in members:
            if item["digest"] in names:
                out.append({key: value for key, value in item.items() if key not in ("digest", "size")})
                continue
            manifest = json.loads(read(item["digest"]))
            assert item["size"] == len(read(item["digest"]))
            about = item["annotations"]["vnd.docker.reference.digest"]
            shown = _plain({**item, "digest": "", "size": 0}, names)
            out.append({"descriptor": shown, "manifest": _manifest(manifest, names, sizes, read)})
            for layer in manifest["layers"] or []:
                raw = read(layer["digest"])
                assert layer["size"] == len(raw)
                assert json.loads(raw)["predicateType"] == layer["annotations"]["in-toto.io/predicate-type"]
                # Whatever else a statement is about, the image is the one that the manifest names.
                layers = json.loads(read(about))["layers"] or []
                known = {each["digest"]: f"layer {number}" for number, each in enumerate(layers)}
                out.append(comparable(json.loads(raw), {about: names[about], **known}))
    return out


def _manifest(manifest: dict[str, Any], names: dict[str, str], sizes: dict[str, int], read: Read) -> Any:
    """An attestation manifest, its config's content in place of the digest, statements' digests left out."""
    config = read(manifest["config"]["digest"])
    assert manifest["config"]["size"] == len(config)
    if "subject" in manifest:
        assert manifest["subject"]["size"] == sizes[manifest["subject"]["digest"]]
        manifest = {**manifest, "subject": {**manifest["subject"], "size": 0}}
    layers = [layer["digest"] for layer in manifest["layers"] or []]
    text = config.decode()
    for number, digest in enumerate(layers):
        text = text.replace(digest, f"statement {number}")
    shown = {**manifest["config"], "digest": text, "size": 0}
    bare = [{**layer, "digest": "", "size": 0} for layer in manifest["layers"] or []]
    return _plain(
        {**manifest, "config": shown, "layers": bare if manifest["layers"] is not None else None}, names
    )


def _plain(value: Any, names: dict[str, str]) -> Any:
    text = json.dumps(value)
    for digest, name in names.items():
        text = text.replace(digest, name)
    return json.loads(text)


def comparable(statement: dict[str, Any], names: dict[str, str]) -> Any:
    """A statement whose subjects are called by `names`, and whose predicate is in comparable form."""
    subjects = [
        {**item, "digest": {kind: names.get(f"{kind}:{text}", text) for kind, text in item["digest"].items()}}
        for item in statement["subject"]
    ]
    if statement["predicateType"] == "https://spdx.dev/Document":
        return {**statement, "subject": subjects, "predicate": _document(statement["predicate"], names)}
    return {**statement, "subject": subjects, "predicate": predicate(statement["predicate"])}


def _document(value: Any, names: dict[str, str]) -> Any:
    """An SPDX document, members sorted: they have no order of their own. Layers are called by `names`."""
    text = json.dumps(value, sort_keys=True)
    for digest, name in names.items():
        text = text.replace(digest, name)
    return json.loads(re.sub(r'"Tool: (buildkit|bakehouse)-[^"]*"', '"Tool: BUILDER"', text))


def predicate(value: Any) -> Any:
    """A predicate without what names one build, one session, or bytes that a compressor chose."""
    return _normal(value, "")


def _normal(value: Any, key: str) -> Any:
    if isinstance(value, list):
        return [_normal(item, key) for item in value]
    if not isinstance(value, dict):
        return _text(value, key) if isinstance(value, str) else value
    out = {}
    for name, item in value.items():
        if name in _OF_BUILD:
            assert isinstance(item, str)
            assert item
            out[name] = type(item).__name__
        elif name == "digestMapping":
            out[name] = _mapping(value.get("llbDefinition", []), item)
        elif name == "layers" and "source" in value:
            out[name] = {step: _layers(chains) for step, chains in item.items()}
        elif name not in _MEASURED and not name.startswith(_OF_SESSION):
            out[_text(name, "")] = _normal(item, name)
    if out.get("args") == {}:
        # Nothing but sessions was in it.
        del out["args"]
    if "root" in out and not out["root"]["request"]:
        del out["root"]
    return out


def _layers(chains: list[list[dict[str, Any]]]) -> Any:
    """Layers by their types: how their tars are compressed is each builder's own business."""
    return [
        [{key: item for key, item in layer.items() if key == "mediaType"} for layer in chain]
        for chain in chains
    ]


def _mapping(steps: list[dict[str, Any]], mapping: dict[str, str]) -> dict[str, str]:
    """Step ids by digest; by `local` of what stands on a client's directory or layout: a session is in the digest."""
    local: set[str] = set()
    for step in steps:
        source = step["op"]["Op"].get("source", {}).get("identifier", "")
        inputs = {text.partition(":")[0] for text in step.get("inputs", ())}
        if source.startswith(("local://", "oci-layout://", "http://buildkit-session")) or inputs & local:
            local.add(step["id"])
    assert sorted(mapping.values()) == sorted(step["id"] for step in steps)
    out = {f"local {step}" if step in local else digest: step for digest, step in mapping.items()}
    return {digest: out[digest] for digest in sorted(out)}


def _text(text: str, key: str) -> str:
    """Names that builders give to what one session lends."""
    if key.startswith("sharedkey:localdir:"):
        return "KEY"
    if key == "local.sharedkeyhint" and text.startswith("context:"):
        return text.partition("-")[0]
    if key == "oci.store":
        return "STORE"
    return re.sub(r"oci-layout://[^/@]+@", "oci-layout://STORE@", text)
