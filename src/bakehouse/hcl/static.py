"""Expressions seen as syntax: keywords, lists, maps, calls, and what an expression needs from its scope."""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.hcl.syntax import Expression, StaticCall
    from bakehouse.hcl.traversal import Traversal


def variables(expression: Expression) -> list[Traversal]:
    """The absolute traversals that the expression needs, in source order."""
    return expression.variables()


def functions(expression: Expression) -> list[str]:
    """The names of the functions that the expression calls, in source order."""
    return expression.functions()


def as_keyword(expression: Expression) -> str:
    """The bare name that the expression is, or `""`."""
    traversal = expression.as_traversal()
    return traversal.root.name if traversal is not None and not traversal.steps else ""


def as_traversal(expression: Expression) -> tuple[Traversal | None, list[Diagnostic]]:
    """The expression as a traversal, or a finding that it is none."""
    traversal = expression.as_traversal()
    if traversal is not None:
        return traversal, []
    detail = (
        "A single static variable reference is required: only attribute access and indexing with constant keys. No "
        "calculations, function calls, template expressions, etc are allowed here."
    )
    return None, [Diagnostic("Invalid expression", detail, subject=expression.range)]


def as_list(expression: Expression) -> tuple[list[Expression], list[Diagnostic]]:
    """The element expressions of a list constructor, or a finding that it is none."""
    elements = expression.as_list()
    if elements is not None:
        return elements, []
    return [], [_required("A static list expression is required.", expression)]


def as_map(expression: Expression) -> tuple[list[tuple[Expression, Expression]], list[Diagnostic]]:
    """The key and value expressions of an object constructor, or a finding that it is none."""
    pairs = expression.as_map()
    if pairs is not None:
        return pairs, []
    return [], [_required("A static map expression is required.", expression)]


def as_call(expression: Expression) -> tuple[StaticCall | None, list[Diagnostic]]:
    """The function call that the expression is, or a finding that it is none."""
    call = expression.as_call()
    if call is not None:
        return call, []
    return None, [_required("A static function call is required.", expression)]


def _required(detail: str, expression: Expression) -> Diagnostic:
    return Diagnostic("Invalid expression", detail, subject=expression.start_range)
