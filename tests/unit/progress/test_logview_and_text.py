"""The log window as a small terminal, and text measures."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakehouse.progress import ansi
from bakehouse.progress.logview import LogView


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a\nb", ["a", "b"]),
        (b"10%\r20%", ["20%"]),
        (b"long line\rab", ["abng line"]),
        (b"abc\b\bX", ["aXc"]),
        (b"a\tb", ["a       b"]),
        (b"abc\r\x1b[Kd", ["d"]),
        (b"abc\x1b[2K", []),
        (b"a\nb\x1b[1AX", ["aX", "b"]),
        (b"a\nb\nc\x1b[2A\r\x1b[Jnew", ["new"]),
        (b"\x1b[31mred\x1b[0m", ["red"]),
        (b"\x1b]0;title\x07text", ["text"]),
        ("漢\r字".encode(), ["字"]),
        (b"0123456789abc", ["0123456789", "abc"]),
        (b"\xff\xfe", ["\ufffd\ufffd"]),
        (b"", []),
    ],
)
def test_window(data: bytes, lines: list[str]) -> None:
    view = LogView(5, 10)
    view.feed(data)
    assert view.lines() == lines


def test_chunks_may_cut_characters_and_sequences() -> None:
    data = "a\x1b[31m漢\x1b]0;t\x07z".encode()
    view = LogView(5, 40)
    for byte in data:
        view.feed(bytes([byte]))
    assert view.lines() == ["a漢z"]


def test_window_scrolls_and_shrinks() -> None:
    view = LogView(3, 10)
    view.feed(b"1\n2\n3\n4")
    assert view.lines() == ["2", "3", "4"]
    view.resize(2, 10)
    assert view.lines() == ["3", "4"]
    view.feed(b"\n5")
    assert view.lines() == ["4", "5"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.binary(max_size=20) | st.sampled_from([b"\x1b[", b"\x1b[9A", b"\x1b[J", b"\n", b"\r", b"\x1b]"])
    )
)
def test_any_output_gives_safe_lines_that_fit(chunks: list[bytes]) -> None:
    view = LogView(4, 12)
    for number, chunk in enumerate(chunks):
        view.feed(chunk)
        if number == 3:
            view.resize(3, 7)
    lines = view.lines()
    assert len(lines) <= 4
    for line in lines:
        assert ansi.width(line) <= 12
        assert ansi.sanitized(line) == line


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("漢字", 4), ("e\u0301", 1), ("\u200b", 0), ("ｱ", 1), ("🍞", 2), ("é", 1)]
)
def test_widths(text: str, width: int) -> None:
    assert ansi.width(text) == width


def test_truncation_never_cuts_a_wide_character_in_two() -> None:
    assert ansi.truncated("漢字漢", 3) == "漢"
    assert ansi.truncated("漢字漢", 4) == "漢字"
    assert ansi.truncated("e\u0301e\u0301", 1) == "e\u0301"
    assert ansi.truncated("abc", -1) == ""


def test_what_a_terminal_leaves_of_a_line() -> None:
    assert ansi.as_shown("10%\r20%\r") == "20%"
    assert ansi.as_shown("\x1b[1mbold\x1b[0m\x07") == "bold\ufffd"
