"""Every lint rule: what it finds and where, and what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases.bake.record import case_folders
from tests.cases.bake.runner import ask_ours
from tests.support.definitions import definition_texts
from tests.support.paths import CASES

from bakehouse.bake import LoadOptions, load, print_json
from bakehouse.bake.recorder import Recorder
from bakehouse.cli.main import main
from bakehouse.errors import BakehouseError
from bakehouse.insight.lint.linting import LintRequest, lint
from bakehouse.insight.lint.report import Report
from bakehouse.insight.lint.rules import RULES, RULES_BY_ID, SEVERITIES

#: A target that nothing is wrong with, for definitions that are about something else.
GOOD = 'target "default" { dockerfile-inline = "FROM scratch" }\n'


def report_of(folder: Path, files: Mapping[str, str], names: tuple[str, ...] = (), **environ: str) -> Report:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return lint(LintRequest(LoadOptions(cwd=str(folder), environ=environ), names))


def found(report: Report) -> list[str]:
    """Findings as `FILE:LINE,COL-COL rule`."""
    return [
        f"{finding.place.filename}:{finding.place} {finding.rule.id}" if finding.place else finding.rule.id
        for finding in report.findings
    ]


@dataclass(frozen=True)
class Case:
    """A folder `tests/cases/lint/RULE/NUMBER`: definition files in `wrong/`, in which the rule finds what `expected`
    says (`FILE:PLACE RULE: message | hint`), and in `right/` the same without the mistake, in which nothing is found.
    `env` holds the environment. Expected texts are written by hand."""

    folder: Path

    @property
    def rule(self) -> str:
        return self.folder.parent.name

    @property
    def environ(self) -> dict[str, str]:
        path = self.folder / "env"
        lines = path.read_text().splitlines() if path.exists() else []
        return dict(line.split("=", 1) for line in lines)

    def report(self, kind: str, skipped: frozenset[str] = frozenset()) -> Report:
        options = LoadOptions(cwd=str(self.folder / kind), environ=self.environ)
        return lint(LintRequest(options, skipped=skipped))


ALL = [Case(path.parent) for path in sorted((CASES / "lint").glob("*/*/expected"))]
_IDS = [f"{case.rule}-{case.folder.name}" for case in ALL]
#: Style, which cases of other rules may break.
_STYLE = frozenset({"wrapped-expression"})


def test_every_rule_has_cases() -> None:
    assert {case.rule for case in ALL} == set(RULES_BY_ID)
    assert len(RULES_BY_ID) == len(RULES)
    assert all(rule.severity in SEVERITIES and rule.text and rule.advice for rule in RULES)


@pytest.mark.parametrize("case", ALL, ids=_IDS)
def test_a_rule_finds_the_mistake_and_nothing_else(case: Case) -> None:
    report = case.report("wrong", _STYLE - {case.rule})
    lines = [
        f"{finding.place.filename}:{finding.place} {finding.rule.id}: {finding.message} | {finding.hint}"
        for finding in report.findings
        if finding.place is not None
    ]
    assert lines == (case.folder / "expected").read_text().splitlines()
    assert case.rule in {finding.rule.id for finding in report.findings}
    assert len(lines) == len(report.findings)


@pytest.mark.parametrize("case", ALL, ids=_IDS)
def test_a_rule_leaves_alone_what_is_right(case: Case) -> None:
    assert found(case.report("right", _STYLE - {case.rule})) == []


@pytest.mark.parametrize("case", ALL, ids=_IDS)
def test_every_rule_can_be_skipped(case: Case) -> None:
    rules = {finding.rule.id for finding in case.report("wrong").findings}
    assert {finding.rule.id for finding in case.report("wrong", frozenset({case.rule})).findings} == rules - {
        case.rule
    }


@pytest.mark.parametrize("case", ALL, ids=_IDS)
@pytest.mark.parametrize("kind", ["wrong", "right"])
def test_what_lint_finds_stops_no_print(case: Case, kind: str) -> None:
    definition = load(LoadOptions(cwd=str(case.folder / kind), environ=case.environ))
    assert print_json(definition.resolve())


@pytest.mark.parametrize(
    "case", [case for case in case_folders() if (case / "expected.json").exists()], ids=lambda case: case.name
)
def test_lint_reads_whatever_print_reads(case: Path) -> None:
    """Every definition that is printed is linted, whatever is found in it."""
    record = Recorder()
    options = ask_ours(case, record).definition.options
    report = lint(LintRequest(options))
    json.dumps([report.as_json(), report.as_sarif("1")])
    assert {finding.rule.id for finding in report.findings} <= set(RULES_BY_ID)


@given(definition_texts(), st.sampled_from(({}, {"v": "1.10"}, {"w_JSON": "[]"})))
def test_lint_reads_whatever_can_be_loaded(text: str, environ: dict[str, str]) -> None:
    options = LoadOptions(cwd="/", environ=environ, files=["-"], stdin=text.encode)
    try:
        load(options)
    except BakehouseError:
        return
    report = lint(LintRequest(options))
    json.dumps([report.as_json(), report.as_sarif("1")])


@pytest.mark.peer
def test_buildx_says_nothing_of_what_lint_finds(buildx: Path, tmp_path: Path) -> None:
    """The mistakes are real ones: buildx prints each definition without a word, and prints what we print."""
    home = {"PATH": os.defpath, "HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}
    for case in ALL:
        folder = case.folder / "wrong"
        done = subprocess.run(
            [str(buildx), "bake", "--print"],
            cwd=folder,
            env={**home, **case.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{folder}: {done.stderr}"
        definition = load(LoadOptions(cwd=str(folder), environ=case.environ))
        assert done.stdout == print_json(definition.resolve()), folder


@pytest.mark.parametrize(
    "text, kept",
    [
        ('variable "v" {} # lint:ignore unused-variable\n', 0),
        ('# lint:ignore unused-variable\nvariable "v" {}\n', 0),
        ('// lint:ignore unused-variable: kept for scripts\n# Another comment.\n\nvariable "v" {}\n', 0),
        ('# lint:ignore unused-function, unused-variable\nvariable "v" {}\n', 0),
        ('#lint:ignore unused-variable\nvariable "v" {}', 0),
        ('variable "v" {} # lint:ignore unused-variable', 0),
        ('# lint:ignore unused-function\nvariable "v" {}\n', 1),
        ('# lint:ignore unused-variable\ntarget "default" {}\nvariable "v" {}\n', 1),
        ('variable "v" {}\n# lint:ignore unused-variable\n', 1),
        ('# see lint:ignore unused-variable\nvariable "v" {}\n', 1),
        ('target "default" { description = "# lint:ignore unused-variable" }\nvariable "v" {}\n', 1),
        (
            'target "default" {\n  description = <<EOT\n# lint:ignore unused-variable\nEOT\n}\nvariable "v" {}\n',
            1,
        ),
    ],
)
def test_a_comment_silences_a_rule_on_its_line_or_the_next_one(text: str, kept: int, tmp_path: Path) -> None:
    report = report_of(tmp_path, {"docker-bake.hcl": GOOD + text})
    assert [finding.rule.id for finding in report.findings] == ["unused-variable"] * kept


def test_names_choose_the_targets_that_are_looked_at_closely(tmp_path: Path) -> None:
    files = {
        "docker-bake.hcl": 'group "g" { targets = ["a", "b"] }\ntarget "a" { context = "no" }\n'
        'target "b" { context = "none" }\ntarget "c" { contexts = { x = "target:b" } }\n'
    }
    assert [line for line in found(report_of(tmp_path, files, ("a",))) if "missing" in line] == [
        "docker-bake.hcl:2,24-28 missing-context"
    ]
    # A group means its targets, and a linked target is looked at with its user.
    assert sum("missing-context" in line for line in found(report_of(tmp_path, files, ("g",)))) == 2
    assert sum("missing-context" in line for line in found(report_of(tmp_path, files, ("c",)))) == 1
    with pytest.raises(BakehouseError) as caught:
        report_of(tmp_path, files, ("bb",))
    assert caught.value.code == "unknown-target"


def test_what_only_checks_would_refuse_is_no_finding(tmp_path: Path) -> None:
    """A secret, an agent or an output that is not there now says nothing about the definition."""
    text = 'target "default" {\n  secret = ["id=x,src=gone"]\n  ssh = ["default"]\n  output = ["type=local"]\n}\n'
    assert found(report_of(tmp_path, {"docker-bake.hcl": GOOD + text})) == []


def test_files_of_others_are_not_read(tmp_path: Path) -> None:
    """A stranger's definition cannot have words of any file shown in a finding, nor make lint wait for ever."""
    (tmp_path / "secret").write_text("PASSWORD x\n")
    project = tmp_path / "project"
    project.mkdir()
    (project / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(project / "pipe")
    text = "".join(
        f'target "{name}" {{\n  description = "d"\n  dockerfile = "{path}"\n}}\n'
        for name, path in (("a", tmp_path / "secret"), ("b", "../secret"), ("c", "link"), ("d", "pipe"))
    )
    report = report_of(project, {"docker-bake.hcl": text})
    assert [finding.rule.id for finding in report.findings] == ["unread-dockerfile"] * 3
    assert [finding.place.start.line for finding in report.findings if finding.place] == [3, 7, 11]
    assert "PASSWORD" not in json.dumps(report.as_json())


def test_dockerfiles_elsewhere_are_read_where_that_is_allowed(tmp_path: Path) -> None:
    """By a path of `fs.read`, or where builds do not check either."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "Dockerfile").write_text("FROM scratch\nARG A\n")
    project = tmp_path / "project"
    text = 'target "default" {\n  context = "../shared"\n  args = { A = 1, B = 2 }\n}\n'
    assert found(report_of(project, {"docker-bake.hcl": text})) == [
        "docker-bake.hcl:2,13-24 unread-dockerfile"
    ]
    undeclared = ["docker-bake.hcl:3,19-20 undeclared-arg"]
    for readable in (["../shared"], [str(tmp_path)], ["*"]):
        options = LoadOptions(cwd=str(project), environ={})
        assert found(lint(LintRequest(options, readable=readable))) == undeclared
    unchecked = {"BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
    assert found(lint(LintRequest(LoadOptions(cwd=str(project), environ=unchecked)))) == undeclared
    options = LoadOptions(cwd=str(project), environ={})
    assert found(lint(LintRequest(options, readable=["../shared/nested"]))) == [
        "docker-bake.hcl:2,13-24 unread-dockerfile"
    ]


def test_large_definitions_are_linted_soon(tmp_path: Path) -> None:
    """The work grows with the definition, not with its square or worse."""
    layers = [
        f'target "t{layer}-{number}" {{\n  inherits = ["t{layer - 1}-0", "t{layer - 1}-1"]\n  args = {{ A = 1 }}\n}}\n'
        for layer in range(1, 60)
        for number in range(2)
    ]
    text = 'target "t0-0" { dockerfile-inline = "FROM scratch\\nARG A" }\ntarget "t0-1" {}\n' + "".join(
        layers
    )
    text += 'target "default" { inherits = ["t59-0"] }\n'
    started = time.monotonic()
    report = report_of(tmp_path, {"docker-bake.hcl": text})
    assert {finding.rule.id for finding in report.findings} <= {"unreachable-target"}
    assert time.monotonic() - started < 20


def test_findings_are_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    files = {
        "docker-bake.hcl": GOOD + 'variable "z" {}\nvariable "a" {}\n',
        "docker-bake.override.hcl": 'variable "b" {}\n',
    }
    assert found(report_of(tmp_path, files)) == [
        "docker-bake.hcl:2,10-13 unused-variable",
        "docker-bake.hcl:3,10-13 unused-variable",
        "docker-bake.override.hcl:1,10-13 unused-variable",
    ]


# The command

WRONG = GOOD + 'target "a" {\n  description = "d"\n  dockerfile-inline = "FROM scratch"\n  tag = ["x"]\n}\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docker-bake.hcl").write_text(WRONG)
    return tmp_path


def test_text_shows_place_excerpt_rule_and_hint(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint"]) == 0
    assert capsys.readouterr().out == (
        'docker-bake.hcl:5,3-6: warning: target "a" has no attribute "tag" [unknown-attribute]\n'
        "docker-bake.hcl:5\n"
        "--------------------\n"
        '   3 |       description = "d"\n'
        '   4 |       dockerfile-inline = "FROM scratch"\n'
        '   5 | >>>   tag = ["x"]\n'
        "   6 |     }\n"
        "   7 |     \n"
        "--------------------\n"
        'hint: Did you mean "tags"?\n'
        "\n"
        "1 warning\n"
    )


def test_exit_codes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "--strict"]) == 1
    assert main(["lint", "--strict", "--skip", "unknown-attribute"]) == 0
    assert capsys.readouterr().out.endswith("nothing found\n")
    (project / "docker-bake.hcl").write_text('target "default" { context = "no" }\n')
    assert main(["lint"]) == 1
    (project / "docker-bake.hcl").write_text(GOOD + 'target "a" { dockerfile-inline = "FROM scratch" }\n')
    assert main(["lint", "--strict"]) == 0
    assert capsys.readouterr().out.endswith("1 info\n")


def test_json_has_a_stable_shape(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "findings": [
            {
                "rule": "unknown-attribute",
                "severity": "warning",
                "message": 'target "a" has no attribute "tag"',
                "hint": 'Did you mean "tags"?',
                "place": {
                    "file": "docker-bake.hcl",
                    "start": {"line": 5, "column": 3},
                    "end": {"line": 5, "column": 6},
                },
            }
        ],
        "counts": {"error": 0, "warning": 1, "info": 0},
    }


def test_sarif_names_every_rule_and_places_its_results(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lint", "--format", "sarif"]) == 0
    log: Any = json.loads(capsys.readouterr().out)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.id for rule in RULES]
    (result,) = run["results"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "unknown-attribute"
    assert result["level"] == "warning"
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "docker-bake.hcl"},
        "region": {"startLine": 5, "startColumn": 3, "endLine": 5, "endColumn": 6},
    }


def test_an_error_of_the_definition_is_reported_as_bake_does(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "docker-bake.hcl").write_text('target "a" { tags = [zz] }\n')
    reported = []
    for words in (["lint"], ["bake", "--print", "a"]):
        assert main(words) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        reported.append(captured.err)
    assert reported[0] == reported[1]


@pytest.mark.parametrize(
    "words, message, hint",
    [
        (["--format", "xml"], "unknown format 'xml'", "text, json or sarif"),
        (
            ["--skip", "unused-variabl"],
            "there is no rule 'unused-variabl'",
            'Did you mean "unused-variable"?',
        ),
        (["--skip", "zzzzzz"], "there is no rule 'zzzzzz'", "The rules are: unknown-attribute, "),
        (["nope"], "failed to find target nope", None),
        (["-f", "none.hcl"], "open none.hcl: no such file or directory", None),
    ],
)
def test_bad_input(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str, hint: str | None
) -> None:
    assert main(["lint", *words]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"ERROR: {message}" in captured.err
    assert hint is None or f"hint: {hint}" in captured.err


def test_lint_stops_no_bake(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What lint complains about is printed by `bake` without a word."""
    assert main(["bake", "--print", "a"]) == 0
    assert capsys.readouterr().err == ""
