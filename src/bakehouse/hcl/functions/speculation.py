"""Functions that look at their arguments before evaluating them: `try`, `can`, `convert` (hashicorp/hcl `ext/tryfunc`,
`ext/typeexpr`)."""

from __future__ import annotations

from bakehouse.hcl.convert import ConversionError
from bakehouse.hcl.convert import convert as convert_value
from bakehouse.hcl.function import ArgumentError, Function, FunctionError, Parameter
from bakehouse.hcl.functions.build import any_parameter
from bakehouse.hcl.types import BOOL, CLOSURE, DYNAMIC, TYPE_CONSTRAINT, Type
from bakehouse.hcl.values import DYNAMIC_UNKNOWN, FALSE, TRUE, Value, unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.diagnostics import Diagnostic


def _try(arguments: list[Value], result: Type) -> Value:
    if not arguments:
        raise FunctionError("at least one argument is required")
    found: list[Diagnostic] = []
    for argument in arguments:
        value, more = argument.raw.evaluate()
        found += more
        if not more:
            return value if value.is_wholly_known() else DYNAMIC_UNKNOWN
    lines = ["no expression succeeded:\n"]
    for finding in found:
        where = f" (at {finding.subject!r})" if finding.subject else ""
        lines.append(f"- {finding.summary}{where}\n  {finding.detail}\n")
    lines.append("\nAt least one expression must produce a successful result")
    raise FunctionError("".join(lines))


def _can(arguments: list[Value], result: Type) -> Value:
    value, found = arguments[0].raw.evaluate()
    if found:
        return FALSE
    return TRUE if value.is_wholly_known() else unknown(BOOL)


def _converted(value: Value, type_: Type) -> Value:
    try:
        return convert_value(value, type_)
    except ConversionError as error:
        raise ArgumentError(0, error.message) from None


FUNCTIONS = {
    "try": Function([], DYNAMIC, _try, variadic=Parameter("expressions", CLOSURE)),
    "can": Function([Parameter("expression", CLOSURE)], BOOL, _can),
    "convert": Function(
        [any_parameter("value", allow_null=True, allow_dynamic=True), Parameter("type", TYPE_CONSTRAINT)],
        # The second conversion is to the type of the first one's result, in which nothing is optional any more: an
        # attribute that was left out is then missed, as in the original.
        lambda arguments: _converted(arguments[0], arguments[1].raw).type,
        lambda arguments, result: _converted(arguments[0], result),
    ),
}
