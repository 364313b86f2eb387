"""Expected values: containerd's `platforms` package (its compare.go and the tables of platforms_test.go)."""

from __future__ import annotations

import pytest

from bakehouse.errors import DefinitionError
from bakehouse.oci import Platform, best_match


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v9.0", "linux/arm64/v9"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("arm64", "linux/arm64"),
        ("windows(10.0.17763)/amd64", "windows/amd64"),
    ],
)
def test_normal_forms(text: str, normal: str) -> None:
    assert str(Platform.parse(text)) == normal


def test_exact_form_keeps_what_containerd_keeps() -> None:
    assert str(Platform.parse_exact("linux/arm64")) == "linux/arm64"
    assert str(Platform.parse_exact("linux/arm64/v8")) == "linux/arm64/v8"
    assert str(Platform.parse_exact("linux/arm")) == "linux/arm"


def test_windows_options() -> None:
    platform = Platform.parse("windows(10.0.17763+win32k)/amd64")
    assert (platform.os_version, platform.os_features) == ("10.0.17763", ("win32k",))
    assert platform.format_all() == "windows(10.0.17763+win32k)/amd64"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", '"foo": unknown operating system or architecture: invalid argument'),
        ("linux/*", '"linux/*": wildcards not yet supported: invalid argument'),
        ("linux/a/b/c", '"linux/a/b/c": cannot parse platform specifier: invalid argument'),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Platform.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["", "linux/", "/amd64", "linux/am d", "linux//v7"])
def test_malformed_parts(text: str) -> None:
    with pytest.raises(DefinitionError, match="component of"):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("linux/amd64", ["linux/386", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/386", "linux/arm64"], "linux/386"),
        ("linux/amd64", ["linux/arm64"], None),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2"], "linux/amd64/v2"),
        ("linux/amd64", ["linux/amd64/v2"], None),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm64", ["linux/arm/v7"], "linux/arm/v7"),
        ("linux/arm64/v9", ["linux/arm64/v8.5", "linux/arm64"], "linux/arm64/v8.5"),
        ("linux/arm64/v8.1", ["linux/arm64/v8.2"], None),
        ("linux/riscv64", ["linux/amd64", "linux/riscv64"], "linux/riscv64"),
        ("linux/amd64", ["darwin/amd64"], None),
    ],
)
def test_matching_order(wanted: str, offered: list[str], chosen: str | None) -> None:
    candidates = [Platform.parse_exact(text) for text in offered]
    found = best_match(Platform.parse(wanted), candidates)
    assert (None if found is None else offered[found]) == chosen
    matching = [text for text in offered if Platform.parse(wanted).matches(Platform.parse_exact(text))]
    assert (chosen in matching) if chosen else not matching


def test_strict_matching_excludes_sub_platforms() -> None:
    assert Platform.parse("linux/arm64").matches_strictly(Platform.parse_exact("linux/arm64/v8"))
    assert not Platform.parse("linux/amd64").matches_strictly(Platform.parse("linux/386"))
