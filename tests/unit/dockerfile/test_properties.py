"""What holds for any text: only our errors are raised, and matching does not depend on how it is asked
for."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bakehouse.diagnostics import DiagnosticsError
from bakehouse.dockerfile.document import parse_dockerfile
from bakehouse.dockerfile.ignore import read_ignore_file
from bakehouse.dockerfile.patterns import MatchState, PatternMatcher
from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.dockerfile.words import ShellLexer

_PIECES = st.sampled_from(
    [
        "FROM x\n",
        "RUN ",
        "COPY ",
        "ENV ",
        "ARG ",
        "ONBUILD ",
        "HEALTHCHECK CMD ",
        "<<E ",
        "E\n",
        "--mount=",
        "\\\n",
        "\n",
    ]
    + [
        "# escape=`\n",
        "# check=",
        "[",
        '"a"',
        "]",
        "'",
        '"',
        "$",
        "{",
        "}",
        "=",
        ",",
        "\x85",
        "\ufeff",
        "é",
        " ",
        "\t",
    ]
)
_TEXTS = st.lists(_PIECES | st.text(max_size=4), max_size=15).map("".join)
_NAMES = st.text("ab*?[]!^\\./-", max_size=6)


@given(_TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=60))
@example(b"FROM x\nCMD " + b"[" * 5000)
@example(b"FROM x\n" + b"ONBUILD " * 8000)
@example(b"FROM x\nRUN <<" + b"${a:-" * 12000)
@example(b"FROM x\nHEALTHCHECK --interval=" + b"9" * 5000 + b"h CMD x")
@example(b"FROM x\nHEALTHCHECK --retries=" + b"9" * 5000 + b" CMD x")
@example(b"FROM x\nRUN " + b"9" * 5000 + b"<<E\nE\n")
def test_parser_raises_only_its_own_errors(data: bytes) -> None:
    try:
        parsed = parse_dockerfile(data)
    except DiagnosticsError as error:
        assert error.code and str(error)
    else:
        assert parsed.stages


def test_nesting_beyond_reason_is_refused() -> None:
    with pytest.raises(DockerfileError, match="substitutions are nested too deeply"):
        ShellLexer().process_word("${a:-" * 12000, {})


@given(st.text("${}:-+?#%/*\\\"' <ab\n", max_size=14), st.sampled_from(["\\", "`"]))
def test_lexer_raises_only_its_own_errors(text: str, escape: str) -> None:
    try:
        ShellLexer(escape).process_word(text, {"a": "ab\n", "b": ""})
    except DockerfileError as error:
        assert str(error).startswith("failed to process ")


@given(
    st.lists(_NAMES, min_size=1, max_size=4),
    st.lists(st.text("ab.^-", min_size=1, max_size=3), min_size=1, max_size=4),
)
def test_path_is_matched_when_its_parent_is_and_nothing_takes_it_out(
    patterns: list[str], parts: list[str]
) -> None:
    try:
        matcher = PatternMatcher(patterns)
    except DockerfileError:
        return
    path = "/".join(parts)
    parent, _, _ = path.rpartition("/")
    whole = matcher.matches_or_parent_matches(path)
    if parent and not matcher.exclusions:
        walked, _ = matcher.match_with_parent(
            path, MatchState(matcher.match_with_parent(parent, None)[1].bits)
        )
        assert walked == whole
        assert whole or not matcher.matches_or_parent_matches(parent)


@given(st.binary(max_size=80))
def test_ignore_files_always_read(data: bytes) -> None:
    for pattern in read_ignore_file(data):
        assert (pattern and not pattern.endswith("/")) or pattern in ("/", "!/")


def test_patterns_of_values_take_linear_time() -> None:
    word = "${x//" + "*a" * 20 + "*b/}"
    began = time.process_time()
    assert ShellLexer().process_word(word, {"x": "a" * 20000}).text == "a" * 20000
    assert time.process_time() - began < 2


def test_many_patterns_and_paths_are_matched_fast() -> None:
    patterns = [
        "node_modules",
        "**/*.pyc",
        "*.md",
        "!README.md",
        "dist/**",
        "a?c",
        "**/te?t/*.go",
        "src/*/gen",
    ]
    patterns += [f"**/*.e{i}" for i in range(60)] + [f"dir{i}/x" for i in range(60)]
    patterns += [f"**/name{i}" for i in range(40)] + [f"p{i}/*/q*.z" for i in range(32)]
    matcher = PatternMatcher(patterns)
    paths = [f"d{i // 1000}/s{i // 100 % 10}/f{i % 100}.py" for i in range(100_000)]
    began = time.process_time()
    assert not any(map(matcher.matches_or_parent_matches, paths))
    assert time.process_time() - began < 4
