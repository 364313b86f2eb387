"""The scanner for what libyaml refuses reads everything else as libyaml does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.support.paths import CASES
from yaml._yaml import CParser

from bakehouse.bake.compose.careful import CarefulParser
from bakehouse.bake.compose.reader import _UNLIKE_LIBYAML as UNLIKE_LIBYAML

_FILES = sorted(path for path in CASES.rglob("*.yaml") if b"\0" not in path.read_bytes())
_PIECES = (
    *(
        "a",
        "b c",
        "1",
        ": ",
        ":\n",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "'x y'",
        '"\\u00e9\\n"',
    ),
    *("&a ", "*a", "!t ", "!!str ", "|\n  ", ">-\n  ", "# c\n", "~", "é", "\n- ", "a: ", "b:\n  - c\n"),
)


def _events(parser: Any) -> list[tuple[object, ...]] | None:
    """What is read, with its places; None for what is refused. The place of a value that is not there differs."""
    out: list[tuple[object, ...]] = []
    try:
        while (event := parser.get_event()) is not None:
            value = getattr(event, "value", None)
            place = (event.start_mark.line, event.start_mark.column) if value else ()
            kind = type(event).__name__
            out.append((kind, value, getattr(event, "anchor", None), getattr(event, "tag", None), place))
            if kind == "StreamEndEvent":
                break
    except yaml.YAMLError:
        return None
    return out


@pytest.mark.parametrize("path", _FILES, ids=lambda path: str(path.relative_to(CASES)))
def test_files_are_read_alike(path: Path) -> None:
    try:
        text = path.read_text().removeprefix("\ufeff")
    except UnicodeDecodeError:
        return
    ours, theirs = _events(CarefulParser(text)), _events(CParser(text))
    if theirs is not None and not UNLIKE_LIBYAML.search(text):
        assert ours == theirs


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
def test_texts_that_libyaml_reads_are_read_alike(text: str) -> None:
    theirs = _events(CParser(text))
    ours = _events(CarefulParser(text))
    # What comes after the end of a document may be at fault, and is looked at earlier.
    if theirs is not None and ours is not None and not UNLIKE_LIBYAML.search(text):
        assert ours == theirs


def test_there_are_files() -> None:
    assert len(_FILES) > 200
