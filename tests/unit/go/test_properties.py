"""What holds for any text, and the time that patterns of strangers take."""

from __future__ import annotations

import csv
import io
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakehouse.go.csvline import CsvError, split_csv
from bakehouse.go.globs import BadPatternError, has_wildcard, match_file_path, match_path
from bakehouse.go.jsontext import compact_json, indented_json
from bakehouse.go.paths import clean_path, rooted_path
from bakehouse.go.text import os_error_text, plain_list, quoted_list
from bakehouse.go.timestamps import format_time_ns, parse_time_ns
from bakehouse.go.units import format_duration, parse_duration, parse_ram_bytes

#: What a backtracking matcher needs for each of these is more than a lifetime.
_BOUND_S = 1.0


@given(st.text("a./", max_size=12))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean_path(clean_path(text)) == clean_path(text)


@pytest.mark.parametrize(("text", "clean"), [("", "/"), ("a/../..//b/.", "/b"), ("/x/", "/x"), (".", "/")])
def test_rooted_paths_are_joined_to_the_root(text: str, clean: str) -> None:
    assert rooted_path(text) == clean


@given(st.text("a*?[]^-\\/b", max_size=8), st.text("ab/", max_size=6))
def test_any_pattern_gives_an_answer_or_the_one_error(pattern: str, name: str) -> None:
    for match in (match_path, match_file_path):
        try:
            assert match(pattern, name) in (True, False)
        except BadPatternError as error:
            assert str(error) == "syntax error in pattern"


@pytest.mark.parametrize("match", [match_path, match_file_path])
@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*a" * 40 + "*b", "a" * 4095, False),
        ("*a" * 40 + "*", "a" * 4095, True),
        ("*" + "[ab]" * 2000 + "c", "ab" * 2047, False),
        ("*" + "a" * 2000 + "?c", "a" * 4095, False),
        ("*" + "a" * 2000 + "b*", "a" * 4095, False),
        ("*?[^b]" * 300 + "*b", "a" * 4095, False),
    ],
)
def test_wildcards_take_bounded_time(match: object, pattern: str, name: str, expected: bool) -> None:
    assert callable(match)
    began = time.perf_counter()
    assert match(pattern, name) is expected
    assert time.perf_counter() - began < _BOUND_S


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", False), ("a*", True), ("\\*", False), ("\\\\*", True), ("[", True), ("a\\", False)],
)
def test_an_escaped_wildcard_is_none(text: str, expected: bool) -> None:
    assert has_wildcard(text) is expected


_FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8)


@given(st.lists(_FIELD, min_size=1, max_size=5).filter(lambda fields: fields != [""]))
def test_fields_written_as_rfc_4180_are_read_back(fields: list[str]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerow(fields)
    assert split_csv(buffer.getvalue()) == fields


@given(st.text('ab,"=\n', max_size=10))
def test_any_line_gives_fields_or_the_one_error(line: str) -> None:
    try:
        assert split_csv(line)
    except CsvError:
        pass


def test_another_separator() -> None:
    assert split_csv('a:"b:c"', ":") == ["a", "b:c"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_JSON)
def test_json_is_read_back(value: object) -> None:
    assert json.loads(compact_json(value)) == value
    assert json.loads(indented_json(value)) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_has_no_text_for_some_floats(value: float) -> None:
    with pytest.raises(ValueError, match="no text"):
        compact_json([value])


def test_json_has_no_text_for_other_types() -> None:
    with pytest.raises(TypeError, match="bytes"):
        indented_json({"a": b""})


@given(st.integers(min_value=-62135596800 * 10**9, max_value=253402300799 * 10**9))
def test_times_round_trip(time_ns: int) -> None:
    assert parse_time_ns(format_time_ns(time_ns)) == time_ns


@given(st.integers(min_value=-(2**50), max_value=2**50))
def test_durations_round_trip(ns: int) -> None:
    assert abs(parse_duration(format_duration(ns)) - ns) <= 1  # fractions are read in floating point


def test_a_size_beyond_64_bits_is_refused() -> None:
    assert parse_ram_bytes("8191p") == 8191 << 50
    with pytest.raises(ValueError, match="invalid size"):
        parse_ram_bytes("8192p")


def test_lists_and_errors_are_printed_as_by_go() -> None:
    assert plain_list(["a", "b c"]) == "[a b c]"
    assert quoted_list(["a", 'b"']) == '["a" "b\\""]'
    assert os_error_text("open", "f", FileNotFoundError(2, "No such file or directory")) == (
        "open f: no such file or directory"
    )
