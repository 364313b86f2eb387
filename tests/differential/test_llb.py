"""The graph that we make for a Dockerfile is BuildKit's: same ops, metadata, source map, config, warnings, errors."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest
from hypothesis import settings

from bakehouse.go.text import replace_invalid
from bakehouse.llb.decode import Fields, decode_definition
from bakehouse.llb.graph import collect
from bakehouse.llb.ops import Metadata, ProgressGroup
from tests.differential.dockerfile_builds import made_up_case, mutated_case
from tests.differential.dockerfile_cases import Case, OurAnswer, Peer, all_cases, our_answer

CASES = all_cases()
_SEED = 20_261_128
_COUNT = 400
_BASE_ERRORS = (
    "parse stage name",
    ": not found",
    "context specifier",
    "context source",
    "oci-layout",
    "invalid input",
)
pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def peer(peer_dockerfile2llb: Path) -> Iterator[Peer]:
    running = Peer(peer_dockerfile2llb)
    yield running
    running.close()


def test_there_are_cases() -> None:
    assert len(CASES) >= 680


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_same_as_buildkit(case: Case, peer: Peer) -> None:
    sound = _compare(case, peer)
    # A case is about errors if it stands among them.
    assert sound is not case.id.startswith("error/")


def test_generated(peer: Peer) -> None:
    """Made-up builds: always the same ones here, many others in `make fuzz`."""
    sound, count = _compare_many(made_up_case, peer)
    # The builds have to be sane enough to be worth comparing.
    assert sound > count / 3


def test_mutated(peer: Peer) -> None:
    """Damaged Dockerfiles: the same graph or the same error, and never another kind of exception."""
    # The peer's gateway cannot download what an epoch may be taken from.
    cases = [case for case in CASES if "build-arg:SOURCE_DATE_EPOCH" not in case.options]
    sound, count = _compare_many(lambda random: mutated_case(random, cases), peer)
    assert sound > count / 8


def _compare_many(make: Callable[[Random], Case], peer: Peer) -> tuple[int, int]:
    """How many of how many cases that `make` made can be built."""
    fuzzing = settings.default is not None and settings.default.max_examples > _COUNT
    count = settings.default.max_examples if fuzzing else _COUNT
    seed = SystemRandom().getrandbits(32) if fuzzing else _SEED
    random, sound = Random(seed), 0
    for number in range(count):
        case = make(random)
        try:
            sound += _compare(case, peer, made_up=True)
        except Exception as error:
            error.add_note(f"number {number} of seed {seed}: {case}")
            raise
    return sound, count


def _compare(case: Case, peer: Peer, *, made_up: bool = False) -> bool:
    """Compares both frontends' answers to `case`; tells whether it is one that can be built."""
    theirs = peer.ask(case)
    ours = our_answer(case)
    if "error" in theirs:
        if made_up and ours.error and _is_chance(case, ours.error, theirs["error"]):
            return False
        assert _comparable(ours.error, made_up) == _comparable(theirs["error"], made_up)
        # Where BuildKit shows no line we may still do.
        excerpts = dict.fromkeys(theirs.get("excerpts", []))
        if excerpts and not ours.error.startswith("circular dependency"):
            assert _printable((ours.excerpt or "") + "\n") == "".join(excerpts).replace("\r\n", "\n")
        return False
    assert ours.error == ""
    assert ours.lowered is not None
    assert set(_by_id(ours)) == set(theirs["platforms"])
    for platform, expected in theirs["platforms"].items():
        _compare_platform(ours, platform, expected)
    assert _warnings(ours) == _peer_warnings(theirs)
    assert ours.lookups == theirs.get("lookups", [])
    return True


def _is_chance(case: Case, *errors: str) -> bool:
    """BuildKit looks at all bases at once, and at all platforms: which of several errors it reports is chance."""
    if "," in case.options.get("platform", ""):
        return True
    return all(any(text in error for text in _BASE_ERRORS) for error in errors)


def _comparable(error: str, made_up: bool) -> str:
    """An error as JSON carries it, without what is chance in BuildKit: the order of rules, and in made-up input which
    of equally near names a hint gives."""
    text = _printable(error)
    if made_up:
        text = re.sub(r" \(did you mean .*\?\)", "", text)
    head, found, rules = text.partition("lint violation found for rules: ")
    return head + found + ", ".join(sorted(rules.split(", ")))


def _compare_platform(ours: OurAnswer, platform: str, expected: dict[str, Any]) -> None:
    assert ours.lowered is not None
    index = _by_id(ours)[platform]
    lowered = ours.lowered.platforms[index]
    definition = base64.b64decode(expected["definition"] or "")
    mine = ours.lowered.definition(index)
    assert _readable(mine) == _readable(definition)
    assert _digests(mine) == (expected["digests"] or [])
    assert _source_map(mine) == _source_map(definition)
    assert lowered.config == base64.b64decode(expected["config"])
    assert (lowered.base_config or b"") == base64.b64decode(expected.get("base_config", ""))
    assert str("" if lowered.epoch_s is None else lowered.epoch_s) == expected.get("epoch", "")


def _by_id(ours: OurAnswer) -> dict[str, int]:
    assert ours.lowered is not None
    if not ours.lowered.multi_platform:
        return {"": 0}
    return {each.id: index for index, each in enumerate(ours.lowered.platforms)}


def _digests(definition: bytes) -> list[str]:
    return ["sha256:" + hashlib.sha256(op).hexdigest() for op in Fields(definition).messages(1)]


def _readable(definition: bytes) -> list[tuple[Any, ...]]:
    """Ops with their metadata, in order, for a readable difference. The ids of progress groups are BuildKit's random
    ones, so they are numbered by first appearance."""
    edge = decode_definition(definition).edge
    if edge is None:
        return []
    graph = collect(edge)
    groups: dict[str, str] = {}
    return [
        (
            vertex.digest,
            vertex.op,
            vertex.platform,
            [(each.vertex.digest, each.index) for each in vertex.inputs],
            _renumbered(graph.metadata[vertex.digest], groups),
            graph.locations[vertex.digest],
        )
        for vertex in graph.vertices
    ]


def _renumbered(metadata: Metadata, groups: dict[str, str]) -> tuple[Any, ...]:
    group = metadata.progress_group
    if group is not None:
        group = ProgressGroup(groups.setdefault(group.id, str(len(groups))), group.name, group.weak)
    return (
        metadata.ignore_cache,
        sorted(metadata.description.items()),
        metadata.export_cache,
        sorted(metadata.caps),
        group,
    )


def _source_map(definition: bytes) -> tuple[Any, ...]:
    """Locations by digest, and the source files with the graphs that they were read by."""
    source = Fields(Fields(definition).raw(3))
    locations = {pair.text(1): pair.raw(2) for pair in map(Fields, source.messages(1))}
    infos = [Fields(info) for info in source.messages(2)]
    return (
        locations,
        [(info.text(1), info.raw(2), info.text(4), _digests(info.raw(3))) for info in infos],
    )


def _warnings(ours: OurAnswer) -> list[tuple[str, str, str, list[int]]]:
    assert ours.lowered is not None
    return sorted(
        (each.short, each.description, each.url, [] if each.location is None else list(each.location))
        for each in ours.lowered.warnings
    )


def _peer_warnings(theirs: dict[str, Any]) -> list[tuple[str, str, str, list[int]]]:
    return sorted(
        (each["message"], each["detail"], each["url"], each["lines"] or [])
        for each in theirs.get("warnings") or []
    )


def _printable(text: str) -> str:
    """Text as JSON carries it: every byte that is not UTF-8 replaced."""
    return replace_invalid(text)
