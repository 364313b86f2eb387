"""Go's text rules, with values that Go's own functions give."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakehouse.bake.gotext import (
    BadPatternError,
    clean_path,
    join_path,
    match_path,
    parse_bool,
    parse_float,
    parse_int,
    quote,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "."),
        (".", "."),
        ("./x/../y/", "y"),
        ("../x/", "../x"),
        ("a/../..", ".."),
        ("/..", "/"),
        ("//a//b/.", "/a/b"),
        ("docker-image://img", "docker-image:/img"),
    ],
)
def test_paths_are_cleaned_lexically(text: str, wanted: str) -> None:
    assert clean_path(text) == wanted


@given(st.text("a./", max_size=12))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean_path(clean_path(text)) == clean_path(text)


def test_joining_skips_empty_parts() -> None:
    assert join_path("a", "", "../b") == "b"
    assert join_path("", "") == ""


# The table of Go's path.Match tests.
@pytest.mark.parametrize(
    ("pattern", "name", "wanted"),
    [
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*", "ab/c", False),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "ab", False),
        ("a?b", "a☺b", True),
        ("a[^a]b", "a☺b", True),
        ("a???b", "a☺b", False),
        ("[a-ζ]*", "α", True),
        ("*[a-ζ]", "A", False),
        ("a?b", "a/b", False),
        ("[\\]a]", "]", True),
        ("[x\\-]", "-", True),
        ("[\\-x]", "a", False),
        ("*x", "xxx", True),
    ],
)
def test_patterns_match_as_in_go(pattern: str, name: str, wanted: bool) -> None:
    assert match_path(pattern, name) is wanted


@pytest.mark.parametrize(
    "pattern", ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\", "[\\"]
)
def test_malformed_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(BadPatternError, match="syntax error in pattern"):
        match_path(pattern, "ab")


@given(st.text("a*?[]^-\\/b", max_size=8), st.text("ab/", max_size=6))
def test_any_pattern_gives_an_answer_or_the_one_error(pattern: str, name: str) -> None:
    try:
        assert match_path(pattern, name) in (True, False)
    except BadPatternError:
        pass


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_true_spellings(text: str) -> None:
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["", "yes", "tRUE", " true", "2"])
def test_other_booleans_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        parse_bool(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1e3", 1000.0),
        ("0x1p4", 16.0),
        ("1_000", 1000.0),
        ("+5", 5.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0", -0.0),
    ],
)
def test_floats(text: str, wanted: float) -> None:
    assert parse_float(text) == wanted


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "0x10", "1__0", "_1", "1_", "1_.5", "x", "1e", "0b1", "١", "0x_", "e5"]
)
def test_other_floats_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        parse_float(text)


def test_floats_out_of_range_and_special_values() -> None:
    with pytest.raises(ValueError, match="value out of range"):
        parse_float("1e999")
    assert parse_float("-Inf") == -math.inf
    assert math.isnan(parse_float("NaN"))


def test_integers_stay_in_64_bits() -> None:
    assert parse_int("-9223372036854775808") == -(2**63)
    with pytest.raises(ValueError, match="value out of range"):
        parse_int("9223372036854775808")
    with pytest.raises(ValueError, match="invalid syntax"):
        parse_int("1_0")


def test_quoting() -> None:
    assert quote('a"\\\n\x01é\u2028\x7f') == '"a\\"\\\\\\n\\x01é\\u2028\\x7f"'
