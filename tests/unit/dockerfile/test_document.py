"""Whole files: structure, limits, errors with excerpts, expansion, triggers."""

from __future__ import annotations

import pytest
from tests.support.paths import ROOT

from bakehouse.diagnostics import DiagnosticsError
from bakehouse.dockerfile import instruction_parser
from bakehouse.dockerfile import instructions as typed
from bakehouse.dockerfile.directives import detect_syntax, syntax_image
from bakehouse.dockerfile.document import parse_dockerfile, parse_onbuild_trigger
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.dockerfile.splitting import KEYWORDS
from bakehouse.dockerfile.words import ShellLexer


def _error(text: str | bytes) -> DiagnosticsError:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(DiagnosticsError) as caught:
        parse_dockerfile(data)
    return caught.value


def _only(text: str) -> typed.Command:
    (command,) = parse_dockerfile(f"FROM x\n{text}".encode()).stages[0].commands
    return command


def test_error_carries_excerpt_of_all_its_lines() -> None:
    error = _error("FROM x\nRUN a\nCOPY --chown \\\n  a b\nRUN c\nRUN d\n")
    assert str(error) == "dockerfile parse error on line 3: missing a value on flag: --chown"
    assert error.excerpt == (
        "Dockerfile:3\n--------------------\n   2 |     RUN a\n   3 | >>> COPY --chown \\\n   4 | >>>   a b\n"
        "   5 |     RUN c\n--------------------"
    )
    assert error.code == "invalid-flag"


def test_splitting_errors_have_no_prefix_but_a_location() -> None:
    error = _error("FROM x\nENV a\n")
    assert str(error) == "ENV must have two arguments"
    subject = error.diagnostics[0].subject
    assert subject is not None and (subject.start.line, subject.end.line) == (2, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the Dockerfile cannot be empty"),
        ("\n# c\n\n", "file with no instructions"),
        ("ARG a\n", "dockerfile contains no stages to build"),
        ("RUN a\n", "no build stage in current context"),
        ("FRMO a\n", "dockerfile parse error on line 1: unknown instruction: FRMO (did you mean FROM?)"),
        ("frmo a\n", "dockerfile parse error on line 1: unknown instruction: frmo (did you mean from?)"),
        ("FROM x\nXYZZY a\n", "dockerfile parse error on line 2: unknown instruction: XYZZY"),
        ("# check=skip=A; error=true\nFROM x\n", 'failed to parse check options: invalid check option ""'),
    ],
)
def test_errors_of_whole_files(text: str, message: str) -> None:
    assert str(_error(text)) == message


def test_longest_line() -> None:
    fits = b"FROM x\nRUN " + b"a" * (65535 - 4)
    assert len(parse_dockerfile(fits + b"\nRUN b\n").stages[0].commands) == 2
    assert str(_error(fits + b"a\nRUN b\n")) == "dockerfile line greater than max allowed size of 65535"
    # Length is counted in bytes, and a body that is cut off has no end.
    assert (
        str(_error("FROM x\nRUN " + "é" * 32766)) == "dockerfile line greater than max allowed size of 65535"
    )
    assert str(_error(b"FROM x\nRUN <<E\n" + b"a" * 65536 + b"\nE\n")) == "unterminated heredoc"


def test_expand_leaves_the_original_alone() -> None:
    env = {"S": "src", "O": "1:2"}
    lexer = ShellLexer()
    copy = _only("COPY --from=$x --chown=$O --exclude=$S $S/a /d\n")
    assert isinstance(copy, typed.CopyCommand)
    expanded = copy.expand(lambda word: lexer.process_word(word, env).text)
    assert (expanded.source_paths, expanded.chown, expanded.from_) == (("src/a",), "1:2", "$x")
    assert expanded.exclude_patterns == ("$S",)
    assert copy.source_paths == ("$S/a",)


def test_mounts_are_known_after_expansion() -> None:
    run = _only("RUN --mount=type=$T,from=base,target=/$D x\n")
    assert isinstance(run, typed.RunCommand)
    assert [mount.from_ for mount in run.mounts] == ["base"]
    (mount,) = run.expand({"$T": "cache", "base": "base", "/$D": "/d"}.__getitem__).mounts
    assert (mount.type, mount.from_, mount.target, mount.read_only) == ("cache", "base", "/d", False)


def test_heredoc_expands_only_when_its_name_is_unquoted() -> None:
    copy = _only("COPY <<A <<'B' /d/\n$X \"\\$X\" \\n 'q'\nA\n$X\nB\n")
    assert isinstance(copy, typed.CopyCommand)
    lexer = ShellLexer(skip_process_quotes=True)
    expanded = copy.expand_raw(lambda word: lexer.process_word(word, {"X": "v"}).text)
    assert [content.data for content in expanded.source_contents] == ["v \"$X\" n 'q'\n", "$X\n"]


def test_arg_expansion_keeps_missing_values_missing() -> None:
    arg = _only("ARG a b=$x\n")
    assert isinstance(arg, typed.ArgCommand)
    expanded = arg.expand(lambda word: word.replace("$x", "1"))
    assert [(pair.key, pair.value) for pair in expanded.args] == [("a", None), ("b", "1")]


def test_stop_signal_is_refused_on_windows() -> None:
    command = _only("STOPSIGNAL 9\n")
    assert isinstance(command, typed.StopSignalCommand)
    command.check_platform("linux")
    with pytest.raises(DockerfileError, match="does not support the command stopsignal"):
        command.check_platform("windows")


def test_find_stage_ignores_case() -> None:
    stages = parse_dockerfile(b"FROM x AS one\nFROM y\nFROM z AS ONE\n").stages
    assert typed.find_stage(stages, "One") == 0
    assert typed.find_stage(stages, "two") is None


def test_trigger_takes_the_lines_of_its_from() -> None:
    where = LineRange(7, 8)
    trigger = parse_onbuild_trigger("RUN <<E\nhi\nE", where)
    assert isinstance(trigger, typed.RunCommand)
    assert trigger.location == where
    assert trigger.files[0].data == "hi\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RUN a\nRUN b", "onbuild trigger should be a single expression"),
        ("foo x", "unknown instruction: foo"),
        ("FROM x", "*instructions.Stage is not a command type"),
        ("", "file with no instructions"),
    ],
)
def test_bad_triggers(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_onbuild_trigger(text, LineRange(3, 3))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "image", "line"),
    [
        ("# syntax=a/b:1 rest\nFROM x", "a/b:1", 1),
        ("#!/usr/bin/env x\n# syntax=a\n", "a", 2),
        ("\ufeff#syntax = a\n", "a", 1),
        ("// syntax=a\n", "a", 1),
        ('{"syntax": "a b"}', "a b", 0),
        ("# escape=`\n# syntax=a\n", "a", 2),
    ],
)
def test_syntax_is_found(text: str, image: str, line: int) -> None:
    found = syntax_image(text)
    assert found is not None
    assert (found[0], found[2].first) == (image, line)


@pytest.mark.parametrize(
    "text", ["  # syntax=a\n", "# c\n# syntax=a\n", "FROM x\n# syntax=a", "{", "[]", '{"a":1}']
)
def test_syntax_is_not_found(text: str) -> None:
    assert detect_syntax(text) is None


def test_directives_of_the_parser_may_be_indented() -> None:
    parsed = parse_dockerfile(b"  # escape=`\nFROM x\nRUN a `\n b\n")
    assert parsed.escape_token == "`"
    assert [str(command) for command in parsed.stages[0].commands] == ["RUN a  b"]


def test_the_reference_page_names_every_flag() -> None:
    """docs/reference/dockerfile.md lists what the parser takes, instruction by instruction."""
    page = (ROOT / "docs" / "reference" / "dockerfile.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    declared = {
        "FROM": ["platform"],
        "RUN": instruction_parser._RUN_FLAGS,
        "COPY": instruction_parser._COPY_FLAGS,
        "ADD": instruction_parser._ADD_FLAGS,
        "HEALTHCHECK": instruction_parser._HEALTH_FLAGS,
    }
    for keyword in KEYWORDS:
        row = next(row for row in rows if f"`{keyword}`" in row.split("|")[1])
        flags = {f"`--{name}`" for name in declared.get(keyword, ())}
        assert set(filter(None, row.split("|")[2].strip().split(", "))) == flags, keyword
