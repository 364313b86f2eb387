"""Expected bytes: what BuildKit v0.33 wrote for small builds (engine.md §17.2) and what Go's encoding/json does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakehouse.errors import DefinitionError, IntegrityError
from bakehouse.oci import Descriptor, Digest, ImageConfig, Index, Manifest, Platform
from bakehouse.oci.image import MAX_MANIFEST_BYTES, detect_media_type, encode_config
from bakehouse.oci.media_types import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)
from bakehouse.oci.timestamps import normal_time, parse_time_ns

CONFIG = Descriptor(OCI_CONFIG, Digest("sha256:" + "1" * 64), 12)
LAYER = Descriptor(OCI_LAYER_GZIP, Digest("sha256:" + "2" * 64), 34)


def test_manifest_bytes() -> None:
    manifest = Manifest.build(CONFIG, [LAYER], annotations={"b": "<&>", "a": "1"})
    assert manifest.raw.decode() == (
        "{\n"
        '  "schemaVersion": 2,\n'
        '  "mediaType": "application/vnd.oci.image.manifest.v1+json",\n'
        '  "config": {\n'
        '    "mediaType": "application/vnd.oci.image.config.v1+json",\n'
        f'    "digest": "sha256:{"1" * 64}",\n'
        '    "size": 12\n'
        "  },\n"
        '  "layers": [\n'
        "    {\n"
        '      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",\n'
        f'      "digest": "sha256:{"2" * 64}",\n'
        '      "size": 34\n'
        "    }\n"
        "  ],\n"
        '  "annotations": {\n'
        '    "a": "1",\n'
        '    "b": "\\u003c\\u0026\\u003e"\n'
        "  }\n"
        "}"
    )
    assert Manifest.parse(manifest.raw) == manifest


def test_manifest_without_layers_says_null() -> None:
    assert b'"layers": null' in Manifest.build(CONFIG, []).raw


def test_index_platform_members() -> None:
    member = Descriptor(
        OCI_MANIFEST, Digest("sha256:" + "3" * 64), 5, platform=Platform("linux", "arm", "v7")
    )
    index = Index.build([member], indented=False)
    assert index.raw.decode() == (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":['
        '{"mediaType":"application/vnd.oci.image.manifest.v1+json",'
        f'"digest":"sha256:{"3" * 64}","size":5,'
        '"platform":{"architecture":"arm","os":"linux","variant":"v7"}}]}'
    )
    assert Index.parse(index.raw).manifests[0].platform == Platform("linux", "arm", "v7")


def test_attestations_are_not_images() -> None:
    image = Descriptor(OCI_MANIFEST, Digest("sha256:" + "3" * 64), 5, platform=Platform("linux", "amd64"))
    attestation = Descriptor(
        OCI_MANIFEST,
        Digest("sha256:" + "4" * 64),
        6,
        {"vnd.docker.reference.type": "attestation-manifest"},
        Platform("unknown", "unknown"),
    )
    assert Index.parse(Index.build([image, attestation]).raw).images == (image,)


def test_config_member_order() -> None:
    # Go writes a map's keys sorted and a struct's members in the order of their declaration.
    raw = encode_config(
        {
            "rootfs": {"type": "layers", "diff_ids": None},
            "os": "linux",
            "config": {
                "Shell": ["/bin/sh"],
                "Labels": {"b": "2", "a": "1"},
                "Env": ["A=1"],
                "Healthcheck": {"Interval": 5, "Test": ["NONE"]},
                "User": "",
            },
            "architecture": "amd64",
            "history": [{"empty_layer": True, "created_by": "X", "created": "2020-01-01T00:00:00Z"}],
        }
    )
    assert raw.decode() == (
        '{"architecture":"amd64","config":{"Env":["A=1"],"Labels":{"a":"1","b":"2"},'
        '"Healthcheck":{"Test":["NONE"],"Interval":5},"Shell":["/bin/sh"]},'
        '"history":[{"created":"2020-01-01T00:00:00Z","created_by":"X","empty_layer":true}],'
        '"os":"linux","rootfs":{"type":"layers","diff_ids":null}}'
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"schemaVersion":1}',
        b'{"schemaVersion":2,"config":{"digest":"sha256:x","size":1}}',
        b'{"schemaVersion":2,"config":{"digest":"sha256:' + b"1" * 64 + b'","size":-1}}',
        b'{"schemaVersion":2,"config":{"digest":"sha256:' + b"1" * 64 + b'","size":true}}',
        b'{"schemaVersion":2,"config":{"digest":"sha256:' + b"1" * 64 + b'","size":1},"layers":{}}',
        b'{"schemaVersion":2,"config":{"digest":"sha256:' + b"1" * 64 + b'","size":1},"manifests":[]}',
        b" " * (MAX_MANIFEST_BYTES + 1),
    ],
)
def test_malformed_manifests(raw: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        Manifest.parse(raw)
    assert caught.value.code == "invalid-manifest"


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps(
            {"schemaVersion": 2, "config": value, "layers": value, "manifests": value}
        ).encode()
    )
)
def test_parsers_raise_nothing_else(raw: bytes) -> None:
    for parse in (Manifest.parse, Index.parse, ImageConfig.parse, detect_media_type):
        try:
            parse(raw)
        except IntegrityError:
            pass


def test_media_type_by_contents() -> None:
    assert detect_media_type(b'{"config":{}}') == DOCKER_MANIFEST
    assert detect_media_type(b'{"manifests":[]}') == DOCKER_INDEX
    assert detect_media_type(b'{"manifests":[],"mediaType":"%s"}' % OCI_INDEX.encode()) == OCI_INDEX
    with pytest.raises(IntegrityError, match="does not match"):
        detect_media_type(b'{"config":{},"mediaType":"%s"}' % OCI_INDEX.encode())
    with pytest.raises(IntegrityError, match="ambiguous"):
        detect_media_type(b'{"config":{},"manifests":[]}')


@pytest.mark.parametrize("text", ["", "2021-02-29T00:00:00Z", "2020-01-01"])
def test_wrong_times_are_definition_errors(text: str) -> None:
    for read in (parse_time_ns, normal_time):
        with pytest.raises(DefinitionError) as caught:
            read(text)
        assert caught.value.code == "invalid-time"


def test_descriptor_verifies() -> None:
    descriptor = Descriptor.of("x", b"abc")
    assert descriptor.verify(b"abc") == b"abc"
    with pytest.raises(IntegrityError) as caught:
        descriptor.verify(b"abd")
    assert caught.value.code == "digest-mismatch"
    with pytest.raises(IntegrityError) as caught:
        descriptor.verify(b"abcd")
    assert caught.value.code == "size-mismatch"
