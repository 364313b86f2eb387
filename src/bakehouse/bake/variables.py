"""Variables as declared: their type, default, overriding text, and validations (reference bake.md §8).

What a text becomes stands in `variable_values`; when a variable is evaluated, and with what in scope, in `evaluator`.
"""

from __future__ import annotations

from bakehouse.bake.declarations import has_errors
from bakehouse.bake.findings import Failure, Findings
from bakehouse.bake.variable_values import VariableError, overridden
from bakehouse.diagnostics import Diagnostic
from bakehouse.hcl import as_keyword, parse_type
from bakehouse.hcl.convert import ConversionError, convert
from bakehouse.hcl.types import BOOL, DYNAMIC, STRING
from bakehouse.hcl.values import null, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bakehouse.bake.declarations import Validation, VariableDeclaration
    from bakehouse.diagnostics import SourceRange
    from bakehouse.hcl import EvalContext
    from bakehouse.hcl.syntax import Expression
    from bakehouse.hcl.types import Type
    from bakehouse.hcl.values import Value


class Overriding:
    """Values of variables, overriding texts considered. `lookup` finds a text by name, `taken` are the names that stand
    for something themselves, so that `NAME_JSON` is no override. `types` fills with the declared types, `used` with the
    overriding texts, each with the name under which it was found, by variable."""

    __slots__ = ("_lookup", "_taken", "types", "used")

    def __init__(self, lookup: Callable[[str], str | None], taken: set[str]) -> None:
        self._lookup = lookup
        self._taken = taken
        self.types: dict[str, Type] = {}
        self.used: dict[str, tuple[str, str]] = {}

    def declared(self, variable: VariableDeclaration, evaluate: Callable[[Expression], Value]) -> Value:
        """The value of a declared variable. Raises `Failure`, `Findings`."""
        name = variable.name
        declared = _declared_type(variable)
        if declared is not None:
            self.types[name] = declared
        text, is_json = self._text_of(name, declared is not None)
        default = None
        if variable.default is not None:
            default = _converted(name, evaluate(variable.default.expr), declared)
        if text is not None:
            return _overridden(name, text, is_json, declared, default)
        if default is not None:
            return default
        return string("") if declared is None else null(declared.without_optional())

    def untyped(self, name: str, default: Value) -> Value:
        """The value of a variable whose default is a global attribute."""
        text, is_json = self._text_of(name, False)
        return default if text is None else _overridden(name, text, is_json, None, default)

    def _text_of(self, name: str, typed: bool) -> tuple[str | None, bool]:
        """The overriding text, and whether it is JSON: `NAME_JSON` counts where there is no plain one, and beats it
        for typed variables."""
        text = self._lookup(name)
        json_name = f"{name}_JSON"
        if (text is None or typed) and json_name not in self._taken:
            json_text = self._lookup(json_name)
            if json_text is not None:
                self.used[name] = (json_name, json_text)
                return json_text, True
        if text is not None:
            self.used[name] = (name, text)
        return text, False


def _declared_type(variable: VariableDeclaration) -> Type | None:
    """The type of `type = …`; None without one, and for `type = null`."""
    if variable.type is None:
        return None
    expression = variable.type.expr
    declared, findings = parse_type(expression)
    if not has_errors(findings):
        return None if declared is DYNAMIC and as_keyword(expression) != "any" else declared
    value, value_findings = expression.evaluate(None)
    if not has_errors(value_findings) and value.raw is None:
        return None
    raise Findings(findings)


def _converted(name: str, default: Value, declared: Type | None) -> Value:
    if declared is None:
        return default
    try:
        return convert(default, declared)
    except ConversionError as error:
        raise Failure(
            f"invalid type {declared.friendly_name()} for variable {name} default value: {error}"
        ) from None


def _overridden(name: str, text: str, is_json: bool, declared: Type | None, default: Value | None) -> Value:
    try:
        return overridden(name, text, is_json=is_json, declared=declared, default=default)
    except VariableError as error:
        raise Failure(str(error)) from None


def validate(validation: Validation, scope: EvalContext) -> list[Diagnostic]:
    """The findings of one validation: none when its condition holds. Nothing is evaluated on demand here: `scope` has
    all variables, and of functions and global attributes what they needed."""
    place = validation.content.missing_item_range
    value, findings = null(), list[Diagnostic]()
    if validation.condition is not None:
        place = validation.condition.expr.range
        value, findings = validation.condition.expr.evaluate(scope)
    if has_errors(findings):
        return findings
    if value.raw is None:
        detail = "Condition expression must return either true or false, not null."
        return [Diagnostic("Invalid condition result", detail, subject=place, code="validation-invalid")]
    try:
        passed = convert(value, BOOL).raw is True
    except ConversionError as error:
        detail = f"Invalid condition result value: {error}"
        return [Diagnostic("Invalid condition result", detail, subject=place, code="validation-invalid")]
    return [] if passed else _failed(validation, place, scope)


def _failed(validation: Validation, place: SourceRange, scope: EvalContext) -> list[Diagnostic]:
    text = "This check failed, but has an invalid error message."
    if validation.message is not None:
        message, findings = validation.message.expr.evaluate(scope)
        if has_errors(findings):
            return findings
        if message.raw is not None:
            # buildx crashes when this is no string.
            try:
                text = str(convert(message, STRING).raw)
            except ConversionError:
                pass
    return [Diagnostic("Validation failed", text, subject=place, code="validation-failed")]
