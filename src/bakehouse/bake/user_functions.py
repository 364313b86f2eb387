"""Functions that definitions declare (reference bake.md §9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bakehouse.bake.declarations import has_errors, message_of
from bakehouse.bake.findings import Failure, Findings
from bakehouse.diagnostics import Diagnostic
from bakehouse.hcl import Function, FunctionError, Parameter, as_keyword, as_list
from bakehouse.hcl.limits import STEPS_OF_A_CALL, spend
from bakehouse.hcl.types import DYNAMIC
from bakehouse.hcl.values import tuple_

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.declarations import FunctionDeclaration
    from bakehouse.hcl import EvalContext
    from bakehouse.hcl.syntax import Expression
    from bakehouse.hcl.types import Type
    from bakehouse.hcl.values import Value


class FunctionTable(Mapping[str, Function]):
    """The functions in scope: the library, and those that definitions declare, added as they are needed. One of the
    library's names cannot be taken."""

    __slots__ = ("_added", "_library")

    def __init__(self, library: Mapping[str, Function]) -> None:
        self._library = library
        self._added: dict[str, Function] = {}

    def add(self, name: str, function: Function) -> None:
        self._added[name] = function

    def __getitem__(self, name: str) -> Function:
        return self._added[name] if name in self._added else self._library[name]

    def __contains__(self, name: object) -> bool:
        return name in self._added or name in self._library

    def __iter__(self) -> Iterator[str]:
        yield from self._library
        yield from self._added

    def __len__(self) -> int:
        return len(self._library) + len(self._added)


def make_function(declaration: FunctionDeclaration, scope: EvalContext) -> tuple[Function, set[str]]:
    """The callable, and the names its parameters bind. The body is evaluated in a child of `scope` at each call.

    Raises `Failure` for a missing part, `Findings` for parameters that are no identifiers.
    """
    name = declaration.name
    if declaration.result is None:
        raise Failure(f"empty result not allowed for {name}")
    if declaration.params is None:
        raise Failure(f"empty params not allowed for {name}")
    listed, findings = as_list(declaration.params.expr)
    if has_errors(findings):
        raise Findings(findings)
    names = []
    for expression in listed:
        names.append(as_keyword(expression))
        if not names[-1]:
            findings.append(_not_an_identifier(expression))
    variadic = ""
    if declaration.variadic is not None:
        variadic = as_keyword(declaration.variadic.expr)
        if not variadic:
            findings.append(_not_an_identifier(declaration.variadic.expr))
            findings[-1].subject = declaration.variadic.range
    if has_errors(findings):
        raise Findings(findings)
    body = declaration.result.expr
    function = Function(
        [Parameter(parameter) for parameter in names],
        DYNAMIC,
        _Body(names, variadic, body, scope),
        variadic=Parameter(variadic) if variadic else None,
    )
    return function, {*names, variadic} - {""}


def _not_an_identifier(expression: Expression) -> Diagnostic:
    return Diagnostic(
        "Invalid param element",
        "Each parameter name must be an identifier.",
        subject=expression.range,
        code="invalid-function",
    )


class _Body:
    """The body as a callable of argument values. Findings in the body become the text of a `FunctionError`."""

    __slots__ = ("_body", "_names", "_scope", "_variadic")

    def __init__(self, names: list[str], variadic: str, body: Expression, scope: EvalContext) -> None:
        self._names = names
        self._variadic = variadic
        self._body = body
        self._scope = scope

    def __call__(self, arguments: list[Value], expected: Type) -> Value:
        spend(STEPS_OF_A_CALL)
        count = len(self._names)
        variables = dict(zip(self._names, arguments, strict=False))
        if self._variadic:
            variables[self._variadic] = tuple_(arguments[count:])
        value, findings = self._body.evaluate(self._scope.child(variables))
        if has_errors(findings):
            raise FunctionError(message_of(findings))
        return value
