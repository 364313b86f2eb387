"""`lint`, which users call `check`: what the build checks find, without a build (dockerfile.md §15, §16.1)."""

from __future__ import annotations

from bakehouse.diagnostics import render_excerpt
from bakehouse.dockerfile.document import parse_dockerfile
from bakehouse.dockerfile.lint import LintWarning, make_linter
from bakehouse.dockerfile.lowering.contexts import dockerfile_source
from bakehouse.dockerfile.lowering.convert import evaluate
from bakehouse.dockerfile.lowering.request import LowerRequest, MetaResolver
from bakehouse.dockerfile.requests.answer import VERSION, base64_text, location_as_json
from bakehouse.errors import BakehouseError, CancelledError, InternalError, NotBuiltYetError
from bakehouse.go.text import replace_invalid
from bakehouse.llb.describe import definition_as_json
from bakehouse.llb.encode import SourceInfo
from bakehouse.values import dataclass, replace


@dataclass(frozen=True, slots=True)
class LintResult:
    """`warnings` in the order in which they were found; `error` is what would have ended a build. `shown_name` is what
    people call the Dockerfile."""

    source: SourceInfo
    warnings: tuple[LintWarning, ...] = ()
    error: BakehouseError | None = None
    shown_name: str = ""
    version: str = VERSION

    @property
    def status(self) -> int:
        """0 when there is nothing to tell."""
        return 1 if self.warnings or self.error is not None else 0

    def as_json(self) -> object:
        members: dict[str, object] = {
            "warnings": [_warning_as_json(each) for each in self.warnings] or None,
            "sources": [_source_as_json(self.source)],
        }
        if self.error is not None:
            location = location_as_json(self.error.source_lines)
            members["buildError"] = {"message": self.error.message, "location": location}
        return members

    def as_text(self) -> str:
        """The findings by line, each with the lines that it is about; the error is not among them. Those without a
        line come first, by name; those of one line stay in the order in which they were found."""
        return "".join(self._warning_as_text(each) for each in sorted(self.warnings, key=_text_order))

    def error_as_text(self) -> str:
        """The error and its lines as BuildKit's clients add them to the findings; empty when there is none."""
        if self.error is None:
            return ""
        return f"{replace_invalid(self.error.message)}\n{self.excerpt(self.error.source_lines)}"

    def excerpt(self, lines: tuple[int, ...]) -> str:
        """The lines of the Dockerfile, marked, or nothing when it does not have them."""
        text = self.source.data.decode("utf-8", "surrogateescape")
        if not lines or not 1 <= min(lines) <= text.count("\n") + 1:
            return ""
        name = self.shown_name or self.source.filename
        return render_excerpt(name, text, min(lines), max(lines), marked=lines, verbatim=True) + "\n"

    def named(self, shown_name: str) -> "LintResult":
        """The same result with the Dockerfile called otherwise."""
        return replace(self, shown_name=shown_name)

    def _warning_as_text(self, warning: LintWarning) -> str:
        url = f" - {warning.url}" if warning.url else ""
        lines = () if warning.location is None else tuple(warning.location)
        message = replace_invalid(warning.message)
        return f"\nWARNING: {warning.rule}{url}\n{message}\n{self.excerpt(lines)}"


def lint(request: LowerRequest, resolver: MetaResolver) -> LintResult:
    """Checks the target of `request`, or all stages when it names none.

    What is wrong with the Dockerfile or its base images becomes a part of the result. Raises `DockerfileError` for
    check options of the request that cannot be read, `CancelledError`, `NotBuiltYetError`.
    """
    if not request.target:
        request = replace(request, all_stages=True)
    source = dockerfile_source(request)
    text = request.dockerfile.decode("utf-8", "surrogateescape")
    try:
        linter = make_linter(text, request.lint_control)
    except BakehouseError as error:
        if request.lint_control is not None:
            raise
        return LintResult(source, error=error)
    failure = None
    try:
        evaluate(request, resolver, parse_dockerfile(request.dockerfile, request.filename, linter))
    except (CancelledError, InternalError, NotBuiltYetError):
        raise
    except BakehouseError as error:
        failure = error
    return LintResult(source, tuple(linter.warnings), failure)


def _text_order(warning: LintWarning) -> tuple[int, str]:
    if warning.location is None:
        return (-1, warning.rule)
    return (warning.location.first, "")


def _warning_as_json(warning: LintWarning) -> dict[str, object]:
    lines = () if warning.location is None else tuple(warning.location)
    members: dict[str, object] = {
        "ruleName": warning.rule,
        "description": warning.description,
        "url": warning.url,
        "detail": warning.message,
    }
    set_members = {name: value for name, value in members.items() if value or name == "ruleName"}
    return {**set_members, "location": location_as_json(lines)}


def _source_as_json(source: SourceInfo) -> dict[str, object]:
    members: dict[str, object] = {
        "filename": source.filename,
        "data": base64_text(source.data),
        "definition": definition_as_json(source.definition),
        "language": source.language,
    }
    return {name: value for name, value in members.items() if value or name == "definition"}
