"""Every word of an instruction has its place in the file."""

from __future__ import annotations

import pytest
from tests.differential.dockerfile_cases import Case, all_cases

from bakehouse.diagnostics import DiagnosticsError
from bakehouse.dockerfile.document import parse_dockerfile
from bakehouse.dockerfile.parser import parse_nodes
from bakehouse.dockerfile.positions import DockerfileError, Place, Word
from bakehouse.dockerfile.word_ranges import words_of

TEXT = r"""# syntax=docker/dockerfile:1
  FROM --platform=linux/amd64 \
    # a comment between
    debian AS base
ENV A="b c" D=e\ f
RUN --mount=type=cache,"target=/a b" echo 'x
  y' && ec\
ho z
CMD ["a b", "c"]
ONBUILD COPY --chown=1:2 a b /
"""


def test_words_across_lines() -> None:
    found = [
        [(word.text, word.start.line, word.start.column) for word in words_of(node)]
        for node in parse_nodes(TEXT.replace("'x\n", "'x \\\n")).nodes
    ]
    assert found == [
        [("FROM", 2, 3), ("--platform=linux/amd64", 2, 8), ("debian", 4, 5), ("AS", 4, 12), ("base", 4, 15)],
        [("ENV", 5, 1), ('A="b c"', 5, 5), (r"D=e\ f", 5, 13)],
        [
            ("RUN", 6, 1),
            ('--mount=type=cache,"target=/a b"', 6, 5),
            ("echo", 6, 38),
            ("'x   y'", 6, 43),
            ("&&", 7, 6),
            ("echo", 7, 9),
            ("z", 8, 4),
        ],
        [("CMD", 9, 1), ('"a b"', 9, 6), ('"c"', 9, 13)],
        [
            ("ONBUILD", 10, 1),
            ("COPY", 10, 9),
            ("--chown=1:2", 10, 14),
            ("a", 10, 26),
            ("b", 10, 28),
            ("/", 10, 30),
        ],
    ]


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.id)
def test_ranges_hold_the_words_and_come_in_order(case: Case) -> None:
    text = case.dockerfile.decode("utf-8", "surrogateescape")
    lines = text.removeprefix("\ufeff").split("\n")
    try:
        nodes = parse_nodes(text).nodes
    except DockerfileError:
        return
    before = Place(0, 0)
    for node in nodes:
        words = words_of(node)
        assert words[0].text == node.keyword
        for word in words:
            assert (before.line, before.column) <= (word.start.line, word.start.column)
            assert (word.start.line, word.start.column) < (word.end.line, word.end.column)
            assert lines[word.start.line - 1][word.start.column - 1] == word.text[0]
            assert lines[word.end.line - 1][word.end.column - 2] == word.text[-1]
            if word.start.line == word.end.line:
                assert lines[word.start.line - 1][word.start.column - 1 : word.end.column - 1] == word.text
            before = word.end


@pytest.mark.parametrize(
    ("text", "message", "word"),
    [
        ("FROM a\nCOPY --form=b c d\n", "unknown flag: --form", Word("--form=b", Place(2, 6), Place(2, 14))),
        ("FROM a\n  FOO bar\n", "unknown instruction: FOO", Word("FOO", Place(2, 3), Place(2, 6))),
        (
            "FROM a\nRUN --network=none \\\n  --network=host x\n",
            "duplicate flag specified: --network",
            Word("--network=host", Place(3, 3), Place(3, 17)),
        ),
        (
            "FROM a\nCOPY --link=maybe a b\n",
            "expecting boolean value for flag --link, not: maybe",
            Word("--link=maybe", Place(2, 6), Place(2, 18)),
        ),
    ],
)
def test_an_error_knows_the_columns_of_its_word(text: str, message: str, word: Word) -> None:
    with pytest.raises(DiagnosticsError) as caught:
        parse_dockerfile(text.encode())
    assert message in caught.value.message
    subject = caught.value.diagnostics[0].subject
    assert subject is not None
    assert (subject.start.line, subject.start.column) == (word.start.line, word.start.column)
    assert (subject.end.line, subject.end.column) == (word.end.line, word.end.column)
    assert text.encode()[subject.start.byte : subject.end.byte].decode() == word.text
