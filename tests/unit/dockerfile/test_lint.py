"""Lint rules that need only the text, and what controls them. Messages are those of dockerfile.md §15."""

from __future__ import annotations

import pytest

from bakehouse.dockerfile import lint_rules
from bakehouse.dockerfile.document import parse_dockerfile
from bakehouse.dockerfile.lint import LintConfig, Linter, make_linter
from bakehouse.dockerfile.positions import DockerfileError, LineRange


def _shorts(text: str) -> list[str]:
    return [warning.short for warning in parse_dockerfile(text.encode()).warnings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM x AS Second\n", ["StageNameCasing: Stage name 'Second' should be lowercase (line 1)"]),
        ("FROM x as a\n", ["FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)"]),
        ("FROM x\nRUN a \\\n\n  b\n", ["NoEmptyContinuation: Empty continuation line (line 4)"]),
        (
            "FROM x\nRUN a\nrun b\n",
            [
                "ConsistentInstructionCasing: Command 'run' should match the case of the command majority "
                "(uppercase) (line 3)"
            ],
        ),
        (
            "from x\nrun a\nRUN b\nRun c\n",
            [
                "ConsistentInstructionCasing: Command 'RUN' should match the case of the command majority "
                "(lowercase) (line 3)",
                "ConsistentInstructionCasing: Command 'Run' should match the case of the command majority "
                "(lowercase) (line 4)",
            ],
        ),
        (
            "FROM x\nrun a\n",  # a tie goes to upper case
            [
                "ConsistentInstructionCasing: Command 'run' should match the case of the command majority "
                "(uppercase) (line 2)"
            ],
        ),
        (
            "FROM x AS a\nFROM y AS a\n",
            ['DuplicateStageName: Duplicate stage name "a", stage names should be unique (line 2)'],
        ),
        (
            "FROM x AS scratch\n",
            [
                "ReservedStageName: Stage name should not use the same name as reserved stage "
                '"scratch" (line 1)'
            ],
        ),
        (
            "FROM x\nMAINTAINER me\n",
            ["MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)"],
        ),
        ("# other\nFROM x AS a\n", []),  # experimental, not asked for
        (
            "# check=experimental=all\n# other\nFROM x AS a\n",
            [
                "InvalidDefinitionDescription: Comment for FROM should follow the format: "
                "`# a <description>` (line 3)"
            ],
        ),
        ("# check=skip=StageNameCasing\nFROM x AS A\n", []),
        ("# check=skip=all\nFROM x AS A\nmaintainer x\n", []),
        (
            "  # check=skip=all\nFROM x AS A\n",
            ["StageNameCasing: Stage name 'A' should be lowercase (line 2)"],
        ),
        ("FROM x\n# check=skip=MaintainerDeprecated\nMAINTAINER x\n", []),
        (
            "FROM x\n# check=nonsense\nMAINTAINER x\n",
            ["MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 3)"],
        ),
    ],
)
def test_findings(text: str, expected: list[str]) -> None:
    assert _shorts(text) == expected


def test_option_replaces_directive() -> None:
    text = "# check=skip=all\nFROM x AS A\n"
    parsed = parse_dockerfile(text.encode(), lint=make_linter(text, "skip=Other"))
    assert [warning.rule for warning in parsed.warnings] == ["StageNameCasing"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("skip=A; error=true", None),
        ("x", 'invalid check option "x"'),
        ("foo=1", 'invalid check option "foo"'),
        ("error=x", 'failed to parse check option "error=x": strconv.ParseBool: parsing "x": invalid syntax'),
        ("skip=a;skip=b;error=1;x=y", "failed to parse check option"),  # three parts at most
    ],
)
def test_options(options: str, message: str | None) -> None:
    if message is None:
        config = LintConfig.parse(options)
        assert config == LintConfig(skip=frozenset({"A"}), return_as_error=True)
        return
    with pytest.raises(DockerfileError) as caught:
        LintConfig.parse(options)
    assert str(caught.value).startswith(message)


def test_violations_fail_the_build_once_a_rule() -> None:
    linter = Linter(LintConfig(return_as_error=True))
    linter.check()
    linter.run(lint_rules.UNDEFINED_VAR, LineRange(1, 1), "x", "y")
    linter.with_comments(["check=skip=Nothing"]).run(lint_rules.MAINTAINER_DEPRECATED, None)
    linter.run(lint_rules.UNDEFINED_VAR, LineRange(2, 2), "z")
    with pytest.raises(
        DockerfileError, match=r"^lint violation found for rules: UndefinedVar, MaintainerDeprecated$"
    ):
        linter.check()
    assert linter.warnings[0].message == "Usage of undefined variable '$x' (did you mean $y?)"


def test_disabled_linter_finds_nothing() -> None:
    linter = Linter(LintConfig(return_as_error=True), enabled=False)
    linter.run(lint_rules.MAINTAINER_DEPRECATED, None)
    linter.check()
    assert linter.warnings == []


def test_every_rule_but_one_has_an_address_made_of_its_name() -> None:
    prefix = "https://docs.docker.com/go/dockerfile/rule/"
    assert len({rule.name for rule in lint_rules.RULES}) == 22
    for rule in lint_rules.RULES:
        if rule.name == "InvalidBaseImagePlatform":
            assert rule.url == ""
        else:
            assert rule.url.startswith(prefix)
            assert rule.url[len(prefix) : -1].replace("-", "") == rule.name.lower()
