"""Findings, and the report of all of them in its machine-readable forms (docs/how-to/lint-definitions.md)."""

from __future__ import annotations

from bakehouse.insight.lint.rules import ERROR, INFO, RULES, SEVERITIES, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakehouse.diagnostics import SourceRange
    from bakehouse.insight.lint.rules import Rule

_SARIF_LEVELS = {ERROR: "error", WARNING: "warning", INFO: "note"}
_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


class Finding:
    """What a rule found: a sentence without a period, where (None: on the command line or in the environment), and
    what to do."""

    __slots__ = ("hint", "message", "place", "rule")

    def __init__(
        self, rule: Rule, message: str, place: SourceRange | None = None, hint: str | None = None
    ) -> None:
        self.rule = rule
        self.message = message
        self.place = place
        self.hint = hint or f"{rule.advice}."

    @property
    def severity(self) -> str:
        return self.rule.severity

    def as_json(self) -> dict[str, object]:
        out: dict[str, object] = {
            "rule": self.rule.id,
            "severity": self.severity,
            "message": self.message,
            "hint": self.hint,
        }
        if self.place is not None:
            out["place"] = self.place.as_json()
        return out


class Report:
    """All findings, sorted by place; those without a place come last. `sources` are the texts of files by name."""

    __slots__ = ("findings", "sources")

    def __init__(
        self, findings: Sequence[Finding], sources: Mapping[str, str], file_names: Sequence[str] = ()
    ) -> None:
        order = {name: number for number, name in enumerate(file_names)}
        self.findings = sorted(findings, key=lambda finding: _position(finding, order))
        self.sources = sources

    def counts(self) -> dict[str, int]:
        """How many findings there are of each severity."""
        return {
            severity: sum(finding.severity == severity for finding in self.findings)
            for severity in SEVERITIES
        }

    def failed(self, strict: bool) -> bool:
        """Whether there is an error, or, when `strict`, a warning."""
        counts = self.counts()
        return counts[ERROR] > 0 or (strict and counts[WARNING] > 0)

    def as_json(self) -> dict[str, object]:
        return {"findings": [finding.as_json() for finding in self.findings], "counts": self.counts()}

    def as_sarif(self, version: str) -> dict[str, object]:
        """The report in SARIF 2.1.0, as code scanning services take it. `version` is the program's."""
        rules = [
            {
                "id": rule.id,
                "shortDescription": {"text": f"{rule.text}."},
                "help": {"text": f"{rule.advice}."},
                "defaultConfiguration": {"level": _SARIF_LEVELS[rule.severity]},
            }
            for rule in RULES
        ]
        driver = {"name": "bakehouse lint", "version": version, "rules": rules}
        numbers = {rule.id: number for number, rule in enumerate(RULES)}
        results = [_sarif_result(finding, numbers[finding.rule.id]) for finding in self.findings]
        run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
        return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _position(finding: Finding, order: Mapping[str, int]) -> tuple[int, str, int, int, str]:
    place = finding.place
    if place is None:
        return len(order) + 1, "", 0, 0, finding.rule.id
    number = order.get(place.filename, len(order))
    return number, place.filename, place.start.line, place.start.column, finding.rule.id


def _sarif_result(finding: Finding, rule_index: int) -> dict[str, object]:
    out: dict[str, object] = {
        "ruleId": finding.rule.id,
        "ruleIndex": rule_index,
        "level": _SARIF_LEVELS[finding.severity],
        "message": {"text": f"{finding.message}. {finding.hint}"},
    }
    place = finding.place
    if place is not None:
        region = {
            "startLine": place.start.line,
            "startColumn": place.start.column,
            "endLine": place.end.line,
            "endColumn": place.end.column,
        }
        location = {"artifactLocation": {"uri": place.filename}, "region": region}
        out["locations"] = [{"physicalLocation": location}]
    return out
