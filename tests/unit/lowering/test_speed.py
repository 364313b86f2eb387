"""Time, with bounds so wide that a busy machine stays within: what they catch is work that has become quadratic."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from benchmarks.frontend import ignore_input, large_dockerfile
from tests.differential.dockerfile_cases import CASES, Case, CaseResolver, request_of

from bakehouse.diagnostics import DiagnosticsError
from bakehouse.dockerfile.document import parse_dockerfile
from bakehouse.dockerfile.lowering import lower
from bakehouse.dockerfile.patterns import PatternMatcher
from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.dockerfile.words import ShellLexer


def _processor_time(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _lower(case: Case) -> bytes:
    return lower(request_of(case), CaseResolver(case)).definition()


def test_a_large_dockerfile_is_lowered_at_once() -> None:
    case = large_dockerfile()
    assert case.dockerfile.count(b"\n") >= 300
    assert _processor_time(lambda: _lower(case)) < 1


def test_a_hundred_thousand_paths_are_matched_in_seconds() -> None:
    patterns, paths = ignore_input()
    assert (len(patterns), len(paths)) == (200, 100_000)
    matcher = PatternMatcher(patterns)
    assert _processor_time(lambda: [matcher.matches_or_parent_matches(path) for path in paths]) < 8


def test_order_of_paths_does_not_matter_much() -> None:
    """A walk comes to neighbours in turn; a list of wanted paths need not."""
    patterns, paths = ignore_input()
    matcher = PatternMatcher(patterns)
    scattered = [path for start in range(997) for path in paths[start::997]]
    assert _processor_time(lambda: [matcher.matches_or_parent_matches(path) for path in scattered]) < 12


@pytest.mark.parametrize(
    "text",
    [
        "FROM plain\n" + "ENV A=1\n" * 2_000,
        "FROM plain\n" + "RUN x\n" * 2_000,
        "FROM plain\n" + "COPY a /\n" * 2_000,
        "FROM plain AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\nENV A{n}=1\n" for n in range(300)),
        "FROM plain AS s\n" + "".join(f"FROM plain AS a{n}\nCOPY --from=s /x /\n" for n in range(300)),
        "FROM plain\nRUN " + "--mount=target=/m " * 2_000 + "x\n",
        "FROM plain\nRUN " + "a \\\n# c\n" * 5_000 + "\n",
        "FROM plain\nCOPY " + "<<E " * 2_000 + "/d/\n" + "E\n" * 2_000,
        "FROM plain\nEXPOSE " + "1-65535 " * 5 + "\n",
        "FROM plain\nENV A=" + "${A:-" * 50 + "x" + "}" * 50 + "\n",
    ],
    ids=lambda text: text[11:40].replace("\n", " "),
)
def test_long_dockerfiles_are_lowered_in_seconds(text: str) -> None:
    case = Case(CASES / "long", text.encode(), b"*.md\n")
    assert _processor_time(lambda: _lower(case)) < 10


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("${x//" + "*?" * 2_000 + "/y}", "a" * 20_000),
        ("${x//" + "a*" * 2_000 + "b/y}", "a" * 20_000),
        ("${x//a/y}", "a" * 60_000),
        ("${x//*/y}", "a\n" * 30_000),
        ("${x%%" + "*a" * 2_000 + "}", "a" * 20_000 + "b"),
        ("${x#" + "?" * 20_000 + "}", "a" * 19_999),
        ("$x" * 20_000, "abc"),
        ("'" * 60_001, ""),
        ("\\" * 60_000, ""),
    ],
    ids=lambda text: text[:14].replace("\n", " "),
)
def test_hostile_words_take_no_long_time(word: str, value: str) -> None:
    def expand() -> None:
        try:
            ShellLexer().process_word(word, {"x": value})
        except DockerfileError:
            pass

    assert _processor_time(expand) < 10


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 2_000 + "b", "**/" * 2_000 + "b", "[a-z]*" * 1_000 + "!", "?" * 4_000 + "b", "a*" * 1_000 + "**"],
    ids=lambda text: text[:8],
)
def test_hostile_patterns_take_no_long_time(pattern: str) -> None:
    def match() -> None:
        matcher = PatternMatcher([pattern, "!" + pattern])
        for path in ("a" * 3_000, "a/" * 1_500 + "a", "/".join(["a" * 50] * 60)):
            matcher.matches_or_parent_matches(path)

    assert _processor_time(match) < 10


@pytest.mark.parametrize(
    "text",
    [
        "\\ " * 30_000,
        " " * 60_000 + "\\",
        "FROM x\nRUN <<" + "'" * 60_000,
        "FROM x\nCMD " + "[" * 60_000,
        'FROM x\nCMD ["' + "\\u0041" * 10_000,
        "FROM x\n" + "LABEL " + "a=" * 30_000,
        "FROM x\nHEALTHCHECK --interval=" + "1h" * 30_000 + " CMD x",
        "FROM x\nRUN --mount=" + '"",' * 20_000,
        "FROM " + "a-" * 30_000,
        "FROM x AS " + "a_" * 30_000,
        "#" * 60_000 + "\n" + "# a" * 20_000,
    ],
    ids=lambda text: text[:20].replace("\n", " "),
)
def test_hostile_texts_take_no_long_time(text: str) -> None:
    def parse() -> None:
        try:
            parse_dockerfile(text.encode())
        except DiagnosticsError:
            pass

    assert _processor_time(parse) < 10
