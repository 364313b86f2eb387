"""Our parser, word lexer, pattern matchers and ignore file reader against BuildKit's own, on made-up and real input."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential import dockerfile_texts as texts
from tests.support.json_peer import JsonPeer
from tests.support.paths import CASES, ROOT
from tests.unit.dockerfile.peer_form import answer, requested, without_nulls

pytestmark = pytest.mark.peer

_SEED = 20_240_229
_MAKERS: dict[str, tuple[int, Callable[[Random], texts.Request]]] = {
    "words": (3000, texts.word_request),
    "patterns": (3000, texts.patterns_request),
    "globs": (2000, texts.match_request),
    "ignore files": (500, texts.ignore_request),
    "parse": (3000, texts.parse_request),
}
_DOCKERFILES = sorted(
    path
    for folder in (CASES, ROOT / "examples")
    for path in folder.rglob("*ockerfile*")
    if path.is_file() and path.suffix not in (".py", ".json", ".dockerignore")
)


def _check(request: texts.Request, expected: Any, peer: JsonPeer) -> None:
    ours = answer(request)
    if request["Op"] == "parse":
        _check_parsed(request, ours, expected)
    elif request["Op"] == "patterns" and "error" in ours and "error" not in expected:
        patterns, paths = requested(request, "Patterns"), requested(request, "Paths")
        # BuildKit reads a pattern when it first matters, which may be never; we refuse a bad one at once.
        alone = [
            {
                "Op": "patterns",
                "RawPatterns": [base64.b64encode(pattern.encode("utf-8", "surrogateescape")).decode()],
            }
            | {
                "RawPaths": [
                    base64.b64encode(path.encode("utf-8", "surrogateescape")).decode() for path in paths
                ]
            }
            for pattern in (text.lstrip("!") for text in patterns)
        ]
        assert {"error": ours["error"]} in [_error_only(each) for each in peer.ask_all(alone)], request
    else:
        assert ours == ([] if expected is None else _error_only(expected)), request


def _error_only(expected: Any) -> Any:
    return {"error": expected["error"]} if isinstance(expected, dict) and "error" in expected else expected


def _check_parsed(request: texts.Request, ours: Any, expected: dict[str, Any]) -> None:
    text = base64.b64decode(request["Text"])
    if not text:
        # The frontend looks at this before it calls the parser.
        assert ours == {"error": "the Dockerfile cannot be empty"}
    elif "error" in expected:
        assert ours == {"error": expected["error"]}, text
    elif not expected["stages"]:
        assert ours == {"error": "dockerfile contains no stages to build"}, text
    else:
        assert ours == without_nulls(expected), text


@pytest.mark.parametrize("kind", _MAKERS)
def test_generated(kind: str, dockerfile_syntax_peer: JsonPeer) -> None:
    count, make = _MAKERS[kind]
    random = Random(_SEED)
    requests = [make(random) for _ in range(count)]
    answers = dockerfile_syntax_peer.ask_all(requests)
    for request, expected in zip(requests, answers, strict=True):
        _check(request, expected, dockerfile_syntax_peer)
    # The input has to be sane enough to be worth comparing.
    assert sum("error" not in (each or ()) for each in answers) > count / 4


@pytest.mark.parametrize("kind", _MAKERS)
@given(random=st.randoms(use_true_random=False))
def test_more_generated(kind: str, random: Random, dockerfile_syntax_peer: JsonPeer) -> None:
    """The same, with input that hypothesis makes, and makes smaller when it fails."""
    request = _MAKERS[kind][1](random)
    _check(request, dockerfile_syntax_peer.ask(request), dockerfile_syntax_peer)


def test_there_are_dockerfiles() -> None:
    assert len(_DOCKERFILES) >= 20


@pytest.mark.parametrize("path", _DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_dockerfiles_of_other_tests(path: Path, dockerfile_syntax_peer: JsonPeer) -> None:
    request = texts.parse_request_of(path.read_bytes())
    _check(request, dockerfile_syntax_peer.ask(request), dockerfile_syntax_peer)
