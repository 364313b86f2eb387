"""Our parser, lexer and matchers against BuildKit's recorded answers."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.unit.dockerfile.peer_form import answer, recorded, without_nulls


def _cases(name: str) -> list[Any]:
    return [
        pytest.param(request, expected, id=str(i)) for i, (request, expected) in enumerate(recorded(name))
    ]


@pytest.mark.parametrize(("request_", "expected"), _cases("words"))
def test_words(request_: dict[str, Any], expected: Any) -> None:
    assert answer(request_) == expected


@pytest.mark.parametrize(("request_", "expected"), _cases("parse"))
def test_parse(request_: dict[str, Any], expected: dict[str, Any]) -> None:
    ours = answer(request_)
    if "error" in expected:
        assert ours == {"error": expected["error"]}, base64.b64decode(request_["Text"])
    elif not expected["stages"]:
        assert ours == {"error": "dockerfile contains no stages to build"}
    else:
        assert ours == without_nulls(expected)


@pytest.mark.parametrize(("request_", "expected"), _cases("patterns"))
def test_patterns(request_: dict[str, Any], expected: dict[str, Any]) -> None:
    ours = answer(request_)
    if "error" in expected:
        assert ours == {"error": expected["error"]}
    else:
        assert ours == expected


@pytest.mark.parametrize(("request_", "expected"), _cases("globs"))
def test_globs(request_: dict[str, Any], expected: list[str]) -> None:
    assert answer(request_) == expected


@pytest.mark.parametrize(("request_", "expected"), _cases("ignore"))
def test_ignore_files(request_: dict[str, Any], expected: list[str]) -> None:
    assert answer(request_) == expected
