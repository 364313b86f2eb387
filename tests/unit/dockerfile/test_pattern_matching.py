"""Patterns of strangers: the time that matching takes, and ignore patterns against a plain reading of the rules."""

from __future__ import annotations

import time
from functools import cache
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bakehouse.dockerfile import pattern_automaton
from bakehouse.dockerfile.patterns import PatternMatcher
from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.dockerfile.words import ShellLexer

#: What a backtracking matcher needs for each of these is more than a lifetime.
_BOUND_S = 1.0


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*a" * 20 + "*b", "a" * 255, False),
        ("*a" * 20 + "*", "a" * 255, True),
        ("*a" * 120 + "*b", "a" * 4095, False),
        ("**a" * 20 + "**b", "a/" * 127 + "a", False),
        ("**/*a" * 20 + "**/b", "ca/" * 80 + "c", False),
        ("**/*a" * 20 + "**/b", "ca/" * 80 + "b", True),
        ("**/[ab]*" * 20 + "c", "ab/" * 85 + "ab", False),
        ("[a-c]*[^d]*" * 20 + "e", "abc" * 85, False),
        ("[a*b]" * 30 + "*c", "a]b" * 85, False),
        ("*\\Ba" * 20 + "*b", "a" * 255, False),
        ("*|" + "*a" * 20 + "*b|*c", "a" * 255, True),
        ("*a{0,900}" * 4 + "b", "a" * 255, False),
        ("**" * 5000 + "/*b", "a/" * 100 + "ab", True),
        ("?" * 4000 + "*b", "a" * 4095, False),
    ],
)
def test_ignore_patterns_take_linear_time(pattern: str, path: str, expected: bool) -> None:
    began = time.perf_counter()
    matcher = PatternMatcher([pattern])
    # The parents are another question, and another 127 paths.
    assert matcher.match_with_parent(path, matcher.match_with_parent("-", None)[1])[0] is expected
    assert time.perf_counter() - began < _BOUND_S


@pytest.mark.parametrize("max_moves", [pattern_automaton._MAX_MOVES, 1000])
def test_states_without_number(max_moves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of 400 places hold an `a` is all in the state: few are met twice, and all are dropped at times."""
    monkeypatch.setattr(pattern_automaton, "_MAX_MOVES", max_moves)
    matcher = PatternMatcher(["**/a" + "?" * 400 + "b"])
    random = Random(1)
    names = ["".join(random.choices("ab", k=402)) for _ in range(100)]
    began = time.perf_counter()
    found = [matcher.matches_or_parent_matches("bab/" + name) for name in names]
    assert time.perf_counter() - began < _BOUND_S
    assert found == [name[0] == "a" and name[-1] == "b" for name in names]
    assert True in found and False in found


@pytest.mark.parametrize("operator", ["#", "##", "%", "%%", "/", "//"])
@pytest.mark.parametrize("pattern", ["*a" * 30 + "*b", "?*" * 30 + "b", "a*" * 2000 + "b", "a" * 3000 + "*b"])
def test_word_operators_take_bounded_time(operator: str, pattern: str) -> None:
    value = "a" * 10_000
    end = "/r}" if operator.startswith("/") else "}"
    began = time.perf_counter()
    assert ShellLexer().process_word("${x" + operator + pattern + end, {"x": value}).text == value
    assert time.perf_counter() - began < _BOUND_S


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    # BuildKit's answers: its escaping table has no room for characters above 63, so these keep a regular
    # expression's meaning wherever the pattern has a wildcard too. See the recorded answers for more.
    [
        ("a|*b", "axx", True),
        ("a|*b", "xxb", True),
        ("a|b", "axx", False),
        ("a{2}*", "aab", True),
        ("a{2}*", "a{2}b", False),
        ("*.{js,ts}", "x.js", False),
        ("*.{js,ts}", "x.{js,ts}", True),
    ],
)
def test_bars_and_braces(pattern: str, path: str, expected: bool) -> None:
    assert PatternMatcher([pattern]).matches_or_parent_matches(path) is expected


_PIECES = st.sampled_from(
    ["a", "b", "c", ".", "/", "*", "**", "**/", "/**/", "?", "[ab]", "[^a]", "[a-b]", "\\*", "\\a"]
)
_PATTERNS = st.lists(_PIECES, min_size=1, max_size=7).map("".join)
_PATHS = st.lists(st.text("abc.*", min_size=1, max_size=4), min_size=1, max_size=4).map("/".join)


@settings(max_examples=500, deadline=None)
@given(st.lists(_PATTERNS, min_size=1, max_size=4), st.lists(_PATHS, min_size=1, max_size=6))
@example(["a**b"], ["ab", "axb", "ax/b", "a/b", "a/x/b"])
@example(["**/*a"], ["a", "b/ba", "b/a/c"])
def test_ignore_patterns_against_the_rules(patterns: list[str], paths: list[str]) -> None:
    try:
        matcher = PatternMatcher(patterns)
    except DockerfileError:
        return  # `\a` is a bell and fits nothing, a class may be cut
    texts = [pattern.text for pattern in matcher.patterns]
    for path in paths:
        parts = path.split("/")
        prefixes = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        expected = any(_matches(text, prefix) for text in texts for prefix in prefixes)
        assert matcher.matches_or_parent_matches(path) is expected, (texts, path)


def _matches(pattern: str, path: str) -> bool:
    """One cleaned pattern against one whole path, by the letter of dockerfile.md §11.2: recursive and slow."""
    if not set("*?[]\\") & set(pattern):
        return path == pattern
    if pattern.startswith("**") and not set("*?[]\\") & set(pattern[2:]):
        return path.endswith(pattern[2:]) or (pattern.startswith("**/") and path == pattern[3:])

    @cache
    def fits(at: int, place: int) -> bool:
        if at == len(pattern):
            return place == len(path)
        if pattern.startswith("**", at):
            behind = at + (3 if pattern.startswith("**/", at) else 2)
            if behind == len(pattern):
                return True
            ends = [end for end in range(place + 1, len(path) + 1) if path[end - 1] == "/"]
            return any(fits(behind, end) for end in [place, *ends])
        here = path[place : place + 1]
        if pattern[at] == "*":
            return fits(at + 1, place) or (here not in ("", "/") and fits(at, place + 1))
        if not here:
            return False
        if pattern[at] == "?":
            return here != "/" and fits(at + 1, place + 1)
        if pattern[at] == "[":
            close = pattern.index("]", at)
            chars = {"[ab]": "ab", "[a-b]": "ab", "[^a]": "^a"}[pattern[at : close + 1]]
            inside = here != "a" if chars == "^a" else here in chars
            return inside and fits(close + 1, place + 1)
        if pattern[at] == "\\":
            literal = "\a" if pattern[at + 1] == "a" else pattern[at + 1]
            return here == literal and fits(at + 2, place + 1)
        return here == pattern[at] and fits(at + 1, place + 1)

    return fits(0, 0)
