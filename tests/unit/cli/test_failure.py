"""How errors read; the shapes are buildx's (bake.md §24, dockerfile.md §17.1)."""

from __future__ import annotations

import errno
import io

import pytest

from bakehouse.bake.declarations import collect
from bakehouse.bake.evaluator import Evaluator
from bakehouse.cli.failure import report, report_bug
from bakehouse.cli.tables import ago, human_size, table
from bakehouse.diagnostics import Diagnostic, DiagnosticsError
from bakehouse.errors import BakehouseError, CancelledError, DefinitionError, ExecutionError, InternalError
from bakehouse.hcl import parse_native


def told(error: BakehouseError) -> tuple[int, str]:
    stream = io.StringIO()
    code = report(error, stream)
    return code, stream.getvalue()


def test_a_plain_error_with_its_hint() -> None:
    assert told(DefinitionError("unknown flag: --x", hint="did you mean --y?")) == (
        1,
        "ERROR: unknown flag: --x\nhint: did you mean --y?\n",
    )


def test_target_and_phase_stand_before_the_message() -> None:
    error = DefinitionError("open D: no such file or directory")
    error.target, error.during = "app", "failed to solve: "
    assert told(error) == (1, "ERROR: target app: failed to solve: open D: no such file or directory\n")


def test_output_of_the_step_and_source_lines() -> None:
    error = ExecutionError(
        'process "/bin/sh -c false" did not complete successfully: exit code: 1', exit_code_of_step=1
    )
    error.vertex, error.log_tail, error.excerpt = (
        "[2/2] RUN false",
        ("0.1 first", "0.2 last"),
        "Dockerfile:2\n----",
    )
    assert told(error)[1].splitlines() == [
        "------",
        " > [2/2] RUN false:",
        "0.1 first",
        "0.2 last",
        "------",
        "Dockerfile:2",
        "----",
        'ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1',
    ]


def test_every_finding_of_a_definition_is_told_once() -> None:
    """What only follows from another finding counts, as in buildx, but is not told."""
    text = b"""target "a" {
  args = { a = nofunction(1) }
  tags = [one, "${two}"]
  context = {}
}
"""
    body, findings = parse_native(text, "docker-bake.hcl")
    assert findings == []
    sources = {"docker-bake.hcl": text.decode()}
    evaluator = Evaluator(collect([body], sources), {}.get, {}, sources)
    with pytest.raises(DiagnosticsError) as caught:
        evaluator.evaluate()
    code, out = told(caught.value)
    assert code == 1
    *_, error, first, _, second, third, line = out.splitlines()
    assert error.startswith("ERROR: docker-bake.hcl:2,16-26: Call to unknown function; ")
    assert error.endswith(", and 5 other diagnostic(s)")
    assert first == 'also: docker-bake.hcl:3,11-14: Unknown variable; There is no variable named "one".'
    assert second == 'also: docker-bake.hcl:3,19-22: Unknown variable; There is no variable named "two".'
    assert third == (
        "also: docker-bake.hcl:4,13-14: Unsuitable value type; Unsuitable value: string required, but have object"
    )
    assert line == "   4 | >>>   context = {}"


def test_many_findings_are_cut() -> None:
    findings = [Diagnostic("Bad", f"number {n}") for n in range(40)]
    lines = told(DiagnosticsError(findings))[1].splitlines()
    assert lines[0] == "ERROR: Bad; number 0, and 39 other diagnostic(s)"
    assert lines[1] == "also: Bad; number 1"
    assert lines[-1] == "and 19 more"
    assert len(lines) == 22


def test_exit_codes() -> None:
    assert told(CancelledError()) == (130, "ERROR: Canceled: context canceled\n")
    assert told(InternalError("lost count"))[0] == 100


def test_unforeseen_exceptions() -> None:
    stream = io.StringIO()
    assert report_bug(ValueError("what"), stream) == 100
    assert stream.getvalue().startswith("ERROR: internal error: ValueError: what\nhint: this is a bug")
    stream = io.StringIO()
    assert report_bug(OSError(errno.ENOSPC, "No space left on device", "/store/x"), stream) == 1
    assert (
        stream.getvalue() == "ERROR: no space left on device: /store/x\nhint: `bakehouse prune` frees space\n"
    )


def test_tables_sizes_and_ages() -> None:
    """Sizes as Docker's own formatter writes them."""
    assert table(("A", "LONG"), [("1", "x"), ("22", "")]) == "A    LONG\n1    x\n22\n"
    assert [human_size(count) for count in (0, 999, 1000, 1234567, 45_600_000, 5 * 10**12)] == [
        "0B",
        "999B",
        "1kB",
        "1.235MB",
        "45.6MB",
        "5TB",
    ]
    assert [ago(seconds) for seconds in (3, 60, 7200, 86400 * 8)] == [
        "less than a minute ago",
        "1 minute ago",
        "2 hours ago",
        "1 week ago",
    ]
