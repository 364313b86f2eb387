"""Sizes, ulimits and annotations outside a definition, with the values go-units gives."""

from __future__ import annotations

import pytest

from bakehouse.bake.annotations import parse_annotations
from bakehouse.bake.limits import parse_ulimit
from bakehouse.errors import DefinitionError


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
