"""`bakehouse lint`: mistakes in definition files that stop no build, and those that would."""

from __future__ import annotations

import json
import os
import sys

from bakehouse.cli.flags import BOOL, LIST, Flag, UsageError, parse, render_help
from bakehouse.cli.stdout import can_show, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bakehouse.insight.lint.report import Finding, Report

FLAGS = (
    Flag("file", LIST, "Build definition file", short="f"),
    Flag("var", LIST, 'Set a variable value ("name=value")'),
    Flag("format", help='"text", "json" or "sarif"', default="text"),
    Flag("allow", LIST, 'Allow reading Dockerfiles below a path ("fs.read=PATH")'),
    Flag("strict", BOOL, "Fail on warnings too"),
    Flag("skip", LIST, "Leave a rule out", metavar="rule", split=True),
)
_FORMATS = ("text", "json", "sarif")


def help_text() -> str:
    return render_help("bakehouse lint [OPTIONS] [TARGET...]", "Find mistakes in definition files.", FLAGS)


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    parsed = parse(FLAGS, argv)
    if parsed.text("format") not in _FORMATS:
        raise UsageError(f"unknown format {parsed.text('format')!r}", hint="text, json or sarif")
    from bakehouse.bake import LoadOptions, parse_allowed, parse_vars
    from bakehouse.insight.lint.linting import LintRequest, lint

    options = LoadOptions(
        cwd=os.getcwd(),
        environ=os.environ,
        files=parsed.texts("file"),
        variables=parse_vars(parsed.texts("var")),
        stdin=lambda: sys.stdin.buffer.read(),
    )
    readable = parse_allowed(parsed.texts("allow")).fs_read
    report = lint(LintRequest(options, parsed.arguments, _skipped(parsed.texts("skip")), readable))
    if parsed.text("format") == "json":
        show(_json(report.as_json()))
    elif parsed.text("format") == "sarif":
        from bakehouse.version import __version__

        show(_json(report.as_sarif(__version__)))
    else:
        show("".join(f"{line}\n" for line in _lines(report)))
    return 1 if report.failed(parsed.on("strict")) else 0


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=not can_show("…")) + "\n"


def _skipped(names: Sequence[str]) -> set[str]:
    from bakehouse.bake.suggestions import suggestion
    from bakehouse.insight.lint.rules import RULES_BY_ID

    for name in names:
        if name not in RULES_BY_ID:
            hint = suggestion(name, RULES_BY_ID) or f"The rules are: {', '.join(RULES_BY_ID)}."
            raise UsageError(f"there is no rule {name!r}", hint=hint)
    return set(names)


def _lines(report: Report) -> Iterator[str]:
    """Each finding, warnings and errors with their excerpts and hints, and how many there are."""
    from bakehouse.insight.lint.rules import INFO
    from bakehouse.progress.ansi import sanitized

    short = False
    for finding in report.findings:
        if short and finding.severity != INFO:
            yield ""
        short = finding.severity == INFO
        lines = list(_finding_lines(finding, report))
        yield from map(sanitized, lines[:1] if short else [*lines, ""])
    if short:
        yield ""
    counts = {severity: count for severity, count in report.counts().items() if count}
    parts = [f"{count} {severity}{'s' if count > 1 else ''}" for severity, count in counts.items()]
    yield ", ".join(parts).replace("infos", "info") or "nothing found"


def _finding_lines(finding: Finding, report: Report) -> Iterator[str]:
    from bakehouse.diagnostics import render_excerpt

    place = finding.place
    where = f"{place.filename}:{place}: " if place is not None else ""
    yield f"{where}{finding.severity}: {finding.message} [{finding.rule.id}]"
    if place is not None and place.filename in report.sources:
        source = report.sources[place.filename]
        yield from render_excerpt(place.filename, source, place.start.line, place.end.line).split("\n")
    yield f"hint: {finding.hint}"
