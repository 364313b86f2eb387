"""The flag parser against pflag's rules; error texts are those that the real buildx prints."""

from __future__ import annotations

import pytest

from bakehouse.cli.flags import (
    BOOL,
    INT,
    LIST,
    STRING,
    Flag,
    HelpWanted,
    Parsed,
    UsageError,
    parse,
    render_help,
)
from bakehouse.errors import NotBuiltYetError

FLAGS = (
    Flag("file", LIST, "Files", short="f"),
    Flag("target", STRING, "The stage", short="t"),
    Flag("quiet", BOOL, "Say less", short="q"),
    Flag("verbose", BOOL, "Say more", short="v"),
    Flag("rm", BOOL, default=True, hidden=True),
    Flag("count", INT, "A number"),
    Flag("host", LIST, "Hosts", split=True),
    Flag("call", STRING, "A question"),
    Flag("check", BOOL, "A short form", writes="call", value="check"),
    Flag("print", STRING, "An old form", writes="call"),
    Flag("sbom", STRING, "Later", unbuilt="it is not there", accept=lambda text: text == "false"),
)


def read(*argv: str) -> Parsed:
    return parse(FLAGS, argv)


def test_flags_and_arguments_in_any_order() -> None:
    parsed = read("one", "-f", "a", "two", "--file=b", "-fc", "-f=d", "--quiet")
    assert parsed.arguments == ["one", "two"]
    assert parsed.texts("file") == ["a", "b", "c", "d"]
    assert parsed.on("quiet")
    assert parsed.given == {"file", "quiet"}


def test_clusters_of_short_flags() -> None:
    parsed = read("-qvt", "x")
    assert (parsed.on("quiet"), parsed.on("verbose"), parsed.text("target")) == (True, True, "x")
    assert read("-qtx").text("target") == "x"
    assert read("-t=").text("target") == "="
    assert read("-t=x").text("target") == "x"
    assert not read("-q=false").on("quiet")


def test_booleans() -> None:
    for text in ("1", "t", "T", "true", "TRUE", "True"):
        assert read(f"--quiet={text}").on("quiet")
    for text in ("0", "f", "F", "false", "FALSE", "False"):
        assert read(f"--quiet={text}").tristate("quiet") is False
    assert read().tristate("quiet") is None
    assert read().on("rm")
    # The word behind a boolean is an argument, not its value.
    assert read("--quiet", "false").arguments == ["false"]


def test_the_last_value_wins_and_lists_are_not_split() -> None:
    assert read("--target=a", "--target=b").text("target") == "b"
    assert read("--file=a,b").texts("file") == ["a", "b"][:0] + ["a,b"]
    assert read("--host=a:1,b:2", "--host=c:3").texts("host") == ["a:1", "b:2", "c:3"]
    assert read("--target=").text("target") == ""
    assert read("--count=-4").number("count") == -4


def test_end_of_flags() -> None:
    parsed = read("--quiet", "--", "--file", "-x", "-")
    assert parsed.arguments == ["--file", "-x", "-"]
    assert read("-").arguments == ["-"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--nosuch"], "unknown flag: --nosuch"),
        (["--fil=x"], "unknown flag: --fil"),
        (["-zq"], "unknown shorthand flag: 'z' in -zq"),
        (["-qz"], "unknown shorthand flag: 'z' in -qz"),
        (["--target"], "flag needs an argument: --target"),
        (["-t"], "flag needs an argument: 't' in -t"),
        (["-qt"], "flag needs an argument: 't' in -qt"),
        (
            ["--quiet=maybe"],
            'invalid argument "maybe" for "-q, --quiet" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (
            ["--count=x"],
            'invalid argument "x" for "--count" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
    ],
)
def test_errors(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(*argv)
    assert caught.value.message == message


def test_close_names_are_suggested_but_hidden_ones_are_not() -> None:
    with pytest.raises(UsageError) as caught:
        read("--flie")
    assert caught.value.hint == "did you mean --file?"
    with pytest.raises(UsageError) as caught:
        read("--rn")
    assert caught.value.hint is None


def test_flags_without_a_room() -> None:
    with pytest.raises(NotBuiltYetError, match=r"^--sbom is not supported yet: it is not there$"):
        read("--sbom=true")
    assert read("--sbom=false").text("sbom") == "false"
    parsed = parse(FLAGS, ["--sbom=true"], refuse=False)
    assert parsed.refused is not None
    # What is plainly wrong is told before what is not built yet.
    with pytest.raises(UsageError):
        read("--sbom=true", "--nosuch")


def test_help_is_asked_for() -> None:
    for argv in (["--help"], ["-h"], ["x", "-qh"]):
        with pytest.raises(HelpWanted):
            read(*argv)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_help_text_fits(columns: int) -> None:
    text = render_help("x [OPTIONS]", "Does something that takes a few words to say.", FLAGS, columns)
    lines = text.splitlines()
    assert lines[0] == "Usage:  x [OPTIONS]"
    assert all(len(line) <= columns for line in lines)
    assert "  -f, --file stringArray" in text
    assert "(not supported yet)" in " ".join(text.split())
    assert "--rm" not in text


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        ((), None),
        (("--check",), "check"),
        (("--check", "--call=outline"), "outline"),
        (("--call=outline", "--check"), "check"),
        (("--call=outline", "--check=false"), "outline"),
        (("--print=targets",), "targets"),
        (("--check", "--print", "x", "--check=false"), "x"),
        (("--check", "--call="), ""),
    ],
)
def test_flags_that_write_another_one_count_in_their_order(argv: tuple[str, ...], asked: str | None) -> None:
    assert read(*argv).values["call"] == asked
