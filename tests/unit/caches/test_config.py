"""The cache config: what BuildKit wrote is written back to the byte; what is wrong with a stranger's is said."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakehouse.engine.caches.chains import chains_of, config_of
from bakehouse.engine.caches.config import (
    MAX_CHAIN,
    MAX_DOCUMENT_BYTES,
    CacheConfig,
    encode_config,
    parse_config,
    parse_records,
)
from bakehouse.engine.caches.keys import CacheIndex
from bakehouse.errors import IntegrityError
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor

#: What BuildKit 0.33.1 exports (`type=azblob,mode=max`) of two copies, one upon the other.
WRITTEN = (
    '{"layers":[{"blob":"sha256:85d65a97bc49139d6cbe7131df6f9780d21a1f4c70d807842cec86c4b2f1cfe1","parent":-1'
    ',"annotations":{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","diffID":"sha256:1e73ce8710a00'
    '6865d4ce312a8c3966084c4a4e358549cdc957da62a25adcf15","size":107,"createdAt":"2026-11-28T17:02:45.4015690'
    '5Z"}},{"blob":"sha256:f937922da3d0f4cda6ad088e612a0b3787bd601ed1c948d15f98aa7b7526632e","annotations":{"'
    'mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","diffID":"sha256:25fea8a3336df9fe09cbf2978b7a7b'
    'c2e9af6573412975277a0da1a5fe203d1e","size":101,"createdAt":"2026-11-28T17:02:45.488161845Z"}}],"records"'
    ':[{"digest":"sha256:c1966ecfe2047db5c3cc319ead42fe8ce32ea73b19cd0f68c2c9c90c724fa886"},{"digest":"sha256'
    ':c24a47b576469b52903dd7e5045a62fee5855b447dee1771d67b829458d2c08e"},{"layers":[{"layer":1,"createdAt":"2'
    '026-11-28T17:02:45.498721962Z"}],"digest":"sha256:dc765824b88760cdab147d151fa7460159c2def2e5d0021844e5ff'
    '51348f74fb","inputs":[[{"link":3}],[{"link":0}]]},{"layers":[{"layer":0,"createdAt":"2026-11-28T17:02:45'
    '.405315396Z"}],"digest":"sha256:f3a558d739056fa38f45ada99819bccd2714e7847991333b5e6d1de73889bbee","input'
    's":[[{"link":1}]]}]}'
)


def sample() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(WRITTEN)
    return value


def parsed(value: object) -> CacheConfig:
    return parse_config(json.dumps(value).encode())


def blobs(config: CacheConfig) -> dict[Digest, Descriptor]:
    return {layer.blob: Descriptor("", layer.blob, 1) for layer in config.layers}


def test_what_is_read_is_written_back() -> None:
    assert encode_config(parse_config(WRITTEN.encode())) == WRITTEN.encode()


def test_a_graph_is_written_as_it_was_read() -> None:
    config = parse_config(WRITTEN.encode())
    notes = {layer.blob: layer.note for layer in config.layers if layer.note is not None}
    again = config_of(chains_of(config, blobs(config)), noted=notes)
    assert encode_config(again) == encode_config(config)


def test_a_layer_without_a_parent_member_stands_on_layer_0() -> None:
    config = parsed(
        {"layers": [{"blob": "sha256:" + "1" * 64, "parent": -1}, {"blob": "sha256:" + "2" * 64}]}
    )
    assert [layer.parent for layer in config.layers] == [-1, 0]
    assert b'"2222' not in encode_config(config).split(b'"parent"')[0]


def test_a_result_whose_blob_is_not_listed_is_left_out() -> None:
    config = parse_config(WRITTEN.encode())
    known = blobs(config)
    del known[config.layers[0].blob]
    # The other layer stands on it.
    assert [item.results for item in chains_of(config, known).items()] == [[], [], [], []]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v["records"][0].update(inputs=[[]]), "invalid empty input for record 0"),
        (lambda v: v["records"][0].update(inputs=[[{"link": 4}]]), "invalid record index 4"),
        (lambda v: v["records"][0].update(inputs=[[{"link": -1}]]), "invalid record index -1"),
        (lambda v: v["records"][0].update(inputs=[[{"link": True}]]), "record index must be a whole number"),
        (lambda v: v["records"][1].update(inputs=[[{"link": 2}]]), "invalid looping record"),
        (lambda v: v["records"][0].update(inputs=[[{"link": 0}]]), "invalid looping record"),
        (lambda v: v["records"][0].update(layers=[{"layer": 2}]), "invalid layer index 2"),
        (lambda v: v["records"][0].update(chains=[{"layers": [0, 9]}]), "invalid layer index 9"),
        (lambda v: v["records"][0].update(digest="random:1"), "digest of record 0"),
        (lambda v: v["records"][0].update(layers=[{"layer": 1, "createdAt": "noon"}]), 'invalid time "noon"'),
        (
            lambda v: v["records"][2]["inputs"][0][0].update(selector=7),
            "selector of record 2 must be a string",
        ),
        (lambda v: v["layers"][0].update(parent=1), "invalid looping layer"),
        (lambda v: v["layers"][1].update(parent=1), "invalid looping layer"),
        (lambda v: v["layers"][1].update(parent=-2), "invalid layer index -2"),
        (lambda v: v["layers"][1].update(blob="../../etc/passwd"), "blob of layer 1"),
        (
            lambda v: v["layers"][0]["annotations"].update(size=-1),
            "size of layer 0 must be a number of bytes",
        ),
        (lambda v: v["layers"][0]["annotations"].update(diffID=""), "diffID of layer 0"),
        (lambda v: v.update(layers={}), "layers of the config must be a list"),
    ],
)
def test_what_is_wrong_is_said(change: Any, message: str) -> None:
    value = sample()
    change(value)
    with pytest.raises(IntegrityError) as caught:
        parsed(value)
    assert caught.value.code == "invalid-cache-config"
    assert message in caught.value.message


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"\xff", b'{"records":', b"[" * 100_000, b'{"layers":[1e999]}']
)
def test_what_is_no_config(raw: bytes) -> None:
    with pytest.raises(IntegrityError):
        parse_config(raw)


def test_limits() -> None:
    with pytest.raises(IntegrityError, match="more than the 1048576 that are read"):
        parse_config(b" " * (MAX_DOCUMENT_BYTES + 1))
    tower = [{"blob": "sha256:" + "1" * 64, "parent": number - 1} for number in range(MAX_CHAIN + 1)]
    with pytest.raises(IntegrityError, match="layers upon each other"):
        parsed({"layers": tower})
    with pytest.raises(IntegrityError, match="layers upon each other"):
        parse_records(b"[]", [Digest("sha256:" + "1" * 64)] * (MAX_CHAIN + 1))


def test_a_long_chain_of_records_needs_no_stack() -> None:
    records: list[dict[str, Any]] = [{"digest": f"sha256:{number:064x}"} for number in range(5000)]
    for number in range(1, 5000):
        records[number]["inputs"] = [[{"link": number - 1}]]
    random.Random(1).shuffle(records)
    places = {record["digest"]: place for place, record in enumerate(records)}
    for record in records:
        for choices in record.get("inputs", ()):
            choices[0]["link"] = places[f"sha256:{int(record['digest'][7:], 16) - 1:064x}"]
    config = parsed({"records": records})
    items = chains_of(config, {}).items()
    assert len(items) == 5000
    CacheIndex(chains_of(config, {}))


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.sampled_from(["", "sha256:" + "0" * 64, "random:x", "latest"]),
)
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
_STEPS = st.lists(st.integers(0, 5), max_size=6)


def _mutated(value: Any, steps: list[int], new: Any) -> Any:
    """`value` with the part that `steps` lead to replaced by `new`."""
    if not steps or not isinstance(value, dict | list) or not value:
        return new
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[steps[0] % len(keys)]
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = _mutated(value[key], steps[1:], new)
    return copy


@given(st.lists(st.tuples(_STEPS, _VALUES), min_size=1, max_size=4))
def test_a_damaged_config_is_refused_or_harmless(mutations: list[tuple[list[int], Any]]) -> None:
    """Whatever a stranger writes: an error of its own kind, or records that an index can be made of."""
    value: Any = sample()
    for steps, new in mutations:
        value = _mutated(value, steps, new)
    try:
        config = parsed(value)
    except IntegrityError as error:
        assert error.code == "invalid-cache-config"
        return
    chains = chains_of(config, blobs(config))
    CacheIndex(chains)
    encode_config(config_of(chains))


@st.composite
def _graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Records that are alike enough to be taken for each other, upon each other in any way without loops."""
    count = draw(st.integers(1, 9))
    records: list[dict[str, Any]] = []
    for number in range(count):
        record: dict[str, Any] = {"digest": f"sha256:{draw(st.integers(0, 2)):064x}"}
        if number and draw(st.booleans()):
            link = st.fixed_dictionaries(
                {"link": st.integers(0, number - 1), "selector": st.sampled_from(["", "s"])}
            )
            record["inputs"] = draw(st.lists(st.lists(link, min_size=1, max_size=3), min_size=1, max_size=2))
        records.append(record)
    return {"records": records}


@given(_graphs())
def test_equal_records_become_one_without_loops(value: dict[str, Any]) -> None:
    chains = chains_of(parsed(value), {})
    written = encode_config(config_of(chains))
    # What is written can be read, so it has no loop, and is at rest: read again, it is the same.
    again = chains_of(parse_config(written), {})
    assert len(config_of(again).records) <= len(value["records"])
    CacheIndex(again)
