"""Function calls (hashicorp/hcl `FunctionCallExpr`). On the start-up path."""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic, SourceRange
from bakehouse.hcl.expressions import _NO_NAMES, Literal, Node
from bakehouse.hcl.syntax import StaticCall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakehouse.hcl.evaluation import EvalContext
    from bakehouse.hcl.function import ArgumentError, Function, Parameter
    from bakehouse.hcl.source import Source
    from bakehouse.hcl.syntax import Expression
    from bakehouse.hcl.values import Value


class Closure:
    """An argument that its function evaluates itself (`try`, `can`)."""

    __slots__ = ("context", "expression")

    def __init__(self, expression: Expression, context: EvalContext | None) -> None:
        self.expression = expression
        self.context = context

    def evaluate(self) -> tuple[Value, list[Diagnostic]]:
        return self.expression.evaluate(self.context)


class FunctionCall(Node):
    """`name(arguments)`, the last argument spread if `expand`. text[start:name_end] is the name, text[open] the opening
    parenthesis, text[close:end] the closing one."""

    __slots__ = ("arguments", "close", "expand", "name", "name_end", "open")

    def __init__(
        self,
        name: str,
        arguments: list[Expression],
        expand: bool,
        source: Source,
        spans: tuple[int, int, int, int, int],
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.expand = expand
        self.source = source
        self.start, self.name_end, self.open, self.close, self.end = spans

    @property
    def name_range(self) -> SourceRange:
        return self.source.range(self.start, self.name_end)

    @property
    def start_range(self) -> SourceRange:
        return self.source.range(self.start, self.open + 1)

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        for argument in self.arguments:
            yield argument, _NO_NAMES

    def as_call(self) -> StaticCall | None:
        return StaticCall(self.name, self.name_range, self.arguments, self.source.range(self.open, self.end))

    def _failure(
        self, found: list[Diagnostic], summary: str, detail: str, subject: SourceRange | None = None
    ) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN

        finding = Diagnostic(summary, detail, subject=subject or self.range, context=self.range)
        return DYNAMIC_UNKNOWN, [*found, finding]

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        function, allowed = self._find(context)
        if function is None:
            return self._unknown(context, allowed)
        arguments, found, settled = self._expanded(context)
        if settled is not None:
            return settled
        missing = self._check_count(function, arguments)
        if missing is not None:
            return missing
        values = [
            self._argument(argument, _parameter(function, index), context, found)
            for index, argument in enumerate(arguments)
        ]
        if found:
            from bakehouse.hcl.values import DYNAMIC_UNKNOWN

            return DYNAMIC_UNKNOWN, found
        return self._call(function, arguments, values)

    def _find(self, context: EvalContext | None) -> tuple[Function | None, bool]:
        allowed = False
        while context is not None:
            functions = context.functions
            if functions is not None:
                allowed = True
                if self.name in functions:
                    return functions[self.name], True
            context = context.parent
        return None, allowed

    def _unknown(self, context: EvalContext | None, allowed: bool) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.go.text import quote
        from bakehouse.hcl.evaluation import suggestion

        if not allowed:
            return self._failure([], "Function calls not allowed", "Functions may not be called here.")
        # Only the innermost scope is searched for similar names, as in the original.
        names = sorted((context.functions if context is not None else None) or ())
        if "::" in self.name:
            detail = _unknown_in_namespace(self.name, names)
        else:
            close = suggestion(self.name, names)
            detail = f"There is no function named {quote(self.name)}."
            if close:
                detail += f" Did you mean {quote(close)}?"
        return self._failure([], "Call to unknown function", detail, self.name_range)

    def _expanded(
        self, context: EvalContext | None
    ) -> tuple[list[Expression], list[Diagnostic], tuple[Value, list[Diagnostic]] | None]:
        """The arguments with the last one spread, findings so far, and the outcome if that already settles the call."""
        if not self.expand:
            return self.arguments, [], None
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN, UNKNOWN

        last = self.arguments[-1]
        value, found = last.evaluate(context)
        if found:
            return [], found, (DYNAMIC_UNKNOWN, found)
        kind = value.type.kind
        if kind not in ("dynamic", "tuple", "list", "set") or value.raw is None:
            fault = "be null" if value.raw is None and kind in ("dynamic", "tuple", "list", "set") else ""
            detail = "must not be null." if fault else "must be of a tuple, list, or set type."
            settled = self._failure(
                [],
                "Invalid expanding argument value",
                f"The expanding argument (indicated by ...) {detail}",
                last.range,
            )
            return [], [], settled
        if value.raw is UNKNOWN:
            return [], [], (DYNAMIC_UNKNOWN, [])
        assert isinstance(last, Node)
        spread: list[Expression] = [
            Literal(element, last.source, last.start, last.end) for element in value.raw
        ]
        return [*self.arguments[:-1], *spread], [], None

    def _check_count(
        self, function: Function, arguments: list[Expression]
    ) -> tuple[Value, list[Diagnostic]] | None:
        from bakehouse.go.text import quote

        wanted = len(function.params)
        name = quote(self.name)
        if len(arguments) < wanted:
            at_least = " at least" if function.variadic is not None else ""
            missing = quote(function.params[len(arguments)].name)
            return self._failure(
                [],
                "Not enough function arguments",
                f"Function {name} expects{at_least} {wanted} argument(s). Missing value for {missing}.",
                self.source.range(self.close, self.end),
            )
        if function.variadic is None and len(arguments) > wanted:
            return self._failure(
                [],
                "Too many function arguments",
                f"Function {name} expects only {wanted} argument(s).",
                arguments[wanted].start_range,
            )
        return None

    def _argument(
        self,
        argument: Expression,
        parameter: Parameter,
        context: EvalContext | None,
        found: list[Diagnostic],
    ) -> Value:
        from bakehouse.hcl.convert import ConversionError, convert
        from bakehouse.hcl.types import CLOSURE, TYPE_CONSTRAINT
        from bakehouse.hcl.values import Value, unknown

        if parameter.type is CLOSURE:
            return Value(CLOSURE, Closure(argument, context))
        if parameter.type is TYPE_CONSTRAINT:
            from bakehouse.hcl.type_expressions import parse_type

            type_, findings = parse_type(argument)
            found += findings
            return unknown(TYPE_CONSTRAINT) if findings else Value(TYPE_CONSTRAINT, type_)
        value, findings = argument.evaluate(context)
        found += findings
        try:
            return convert(value, parameter.type)
        except ConversionError as error:
            found.append(self._bad_argument(argument, parameter, error.message))
            return value

    def _bad_argument(self, argument: Expression, parameter: Parameter, message: str) -> Diagnostic:
        from bakehouse.go.text import quote

        return Diagnostic(
            "Invalid function argument",
            f"Invalid value for {quote(parameter.name)} parameter: {message}.",
            subject=argument.start_range,
            context=self.range,
        )

    def _call(
        self, function: Function, arguments: list[Expression], values: list[Value]
    ) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.go.text import quote
        from bakehouse.hcl.function import ArgumentError, FunctionError

        try:
            return function.call(values), []
        except ArgumentError as error:
            return self._refused(function, arguments, error)
        except FunctionError as error:
            detail = f"Call to function {quote(self.name)} failed: {error.message}."
            return self._failure([], "Error in function call", detail, self.start_range)

    def _refused(
        self, function: Function, arguments: list[Expression], error: ArgumentError
    ) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.go.text import quote
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN

        known = error.index < len(function.params)
        parameter = function.params[error.index] if known else function.variadic
        if parameter is None:
            detail = f"Call to function {quote(self.name)} failed: {error.message}."
            return self._failure([], "Error in function call", detail, self.start_range)
        if error.index >= len(arguments):
            detail = f"Invalid value for {quote(parameter.name)} parameter: {error.message}."
            return self._failure([], "Invalid function argument", detail)
        finding = self._bad_argument(arguments[error.index], parameter, error.message)
        return DYNAMIC_UNKNOWN, [finding]


def _parameter(function: Function, index: int) -> Parameter:
    if index < len(function.params):
        return function.params[index]
    assert function.variadic is not None
    return function.variadic


def _unknown_in_namespace(full_name: str, names: list[str]) -> str:
    from bakehouse.go.text import quote
    from bakehouse.hcl.evaluation import suggestion

    cut = full_name.rindex("::") + 2
    namespace, name = full_name[:cut], full_name[cut:]
    members = [member for member in names if member.startswith(namespace)]
    if not members:
        return f"There are no functions in namespace {quote(namespace)}."
    close = suggestion(name, members)
    hint = f" Did you mean {namespace}{close}?" if close else ""
    return f"There is no function named {quote(name)} in namespace {namespace}.{hint}"
