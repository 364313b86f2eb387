"""Sizes, ulimits and annotations outside a definition, with the values go-units gives."""

from __future__ import annotations

import pytest

from bakehouse.bake.annotations import parse_annotations
from bakehouse.bake.limits import parse_size, parse_ulimit
from bakehouse.errors import DefinitionError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0", 0),
        ("32", 32),
        ("32b", 32),
        ("32k", 32 << 10),
        ("32KiB", 32 << 10),
        ("32 mb", 32 << 20),
        ("1.5g", 3 << 29),
        (".5t", 1 << 39),
        ("32P", 32 << 50),
        ("1e3", 1000),
    ],
)
def test_sizes_are_binary(text: str, wanted: int) -> None:
    assert parse_size(text) == wanted


@pytest.mark.parametrize(
    "text", ["", "hello", "-32", "32bb", "32kBB", "32  mb", "32m b", "32mm", " ", " 32 "]
)
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid"):
        parse_size(text)


def test_a_single_ulimit_is_soft_and_hard() -> None:
    limit = parse_ulimit("nofile=5")
    assert (limit.name, limit.soft, limit.hard) == ("nofile", 5, 5)
    assert parse_ulimit("core=5:-1").hard == -1


def test_annotations_are_one_per_named_type() -> None:
    got = parse_annotations(["index,manifest[linux/arm64/v8]:a=b=c", "", "k=v"])
    assert [(a.type, a.platform, a.key, a.value) for a in got] == [
        ("index", "", "a", "b=c"),
        ("manifest", "linux/arm64/v8", "a", "b=c"),
        ("", "", "k", "v"),
    ]


def test_an_unknown_annotation_type_names_the_known_ones() -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_annotations(["foo:a=b"])
    assert caught.value.hint is not None
    assert "manifest-descriptor" in caught.value.hint
