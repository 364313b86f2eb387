"""Targets that are asked about instead of built: `call` in Bake files, `--call` and `--check` (bake.md §22)."""

from __future__ import annotations

from collections.abc import Mapping

from bakehouse.bake import Target, parse_call
from bakehouse.builders.display import solving
from bakehouse.builders.plan import Planner
from bakehouse.dockerfile.requests.answer import Answer
from bakehouse.dockerfile.requests.convertllb import ConvertedGraph
from bakehouse.dockerfile.requests.describe import Description
from bakehouse.dockerfile.requests.lint import LintResult
from bakehouse.dockerfile.requests.methods import LINT, ask
from bakehouse.dockerfile.requests.outline import Outline
from bakehouse.dockerfile.requests.targets import TargetList
from bakehouse.errors import BakehouseError, CancelledError, DefinitionError, NotBuiltYetError
from bakehouse.llb.encode import SourceInfo


def calls_of(targets: Mapping[str, Target]) -> dict[str, str]:
    """The questions that targets' own `call` fields ask, by target; those that are built are left out. Of the field
    only the question's name counts, as in buildx. Raises `DefinitionError`."""
    asked = {name: parse_call(target.call or "") for name, target in targets.items()}
    return {name: call.name for name, call in asked.items() if call is not None}


def answer_calls(planner: Planner, calls: Mapping[str, str]) -> dict[str, Answer]:
    """The answer to the question about each target. The first error ends it, and names its target when there are
    several; what is wrong with a Dockerfile that is linted is no error but part of the answer, also of those about
    targets that link to it."""
    answers: dict[str, Answer] = {}
    for name, method in calls.items():
        try:
            answers[name] = _answer(planner, name, method)
        except (CancelledError, NotBuiltYetError):
            raise
        except BakehouseError as error:
            linted = method == LINT and error.target != name and calls.get(error.target or "") == LINT
            if not linted:
                raise
            answers[name] = _broken_link(error)
    return answers


def _broken_link(error: BakehouseError) -> LintResult:
    """The result for a target that links to one whose own result tells what is wrong with it."""
    summary = DefinitionError(f"target {error.target}: {error.message}", code=error.code, hint=error.hint)
    return LintResult(SourceInfo("Dockerfile", b""), error=summary)


def _answer(planner: Planner, name: str, method: str) -> Answer:
    prepared = planner.prepare(name)
    with planner.naming(name), solving():
        answer = ask(method, prepared.request, planner.resolver(prepared.target))
    if not isinstance(answer, TargetList | Description):
        # Only a look at the instructions needs it.
        planner.show_ignore_file(prepared)
    if isinstance(answer, ConvertedGraph | Outline):
        planner.warn(prepared, answer.warnings)
    return answer


def shown_dockerfile(target: Target) -> str:
    """What users call the Dockerfile of a target, which is what excerpts of its lint result bear: its path from where
    they are, or `inline`."""
    import posixpath

    if target.dockerfile_inline is not None:
        return "inline"
    name = target.dockerfile or "Dockerfile"
    if name.startswith("cwd://"):
        return posixpath.abspath(name.removeprefix("cwd://"))
    if name.startswith("/") or "://" in name:
        return name
    context = (target.context or ".").removeprefix("cwd://") or "."
    return posixpath.normpath(posixpath.join(context, name))
