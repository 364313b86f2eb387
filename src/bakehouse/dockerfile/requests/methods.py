"""The questions by the names that `--call` takes."""

from __future__ import annotations

from bakehouse.dockerfile.lowering.request import LowerRequest, MetaResolver
from bakehouse.dockerfile.requests.answer import Answer
from bakehouse.dockerfile.requests.convertllb import convert_llb
from bakehouse.dockerfile.requests.describe import Description
from bakehouse.dockerfile.requests.lint import lint
from bakehouse.dockerfile.requests.outline import outline
from bakehouse.dockerfile.requests.targets import list_targets
from bakehouse.errors import DefinitionError

LINT = "lint"


def ask(method: str, request: LowerRequest, resolver: MetaResolver) -> Answer:
    """The answer to one question. Raises `DefinitionError` (code `unsupported-request`) for one that BuildKit does not
    know either, and what the question itself raises."""
    if method == LINT:
        return lint(request, resolver)
    if method == "outline":
        return outline(request, resolver)
    if method == "targets":
        return list_targets(request)
    if method == "subrequests.describe":
        return Description()
    if method == "convertllb":
        return convert_llb(request, resolver)
    raise DefinitionError(
        f"unsupported request frontend.{method}",
        code="unsupported-request",
        hint="known: check, outline, targets, convertllb, subrequests.describe",
    )
