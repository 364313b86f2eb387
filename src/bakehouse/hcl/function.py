"""What a function is: parameters with their null policy, a result type that may depend on the arguments, and a body.

Implements go-cty's calling convention: arguments are checked in order, null and unknown ones are handled here unless a
parameter allows them, and an implementation sees only what it asked for. The library lives in `functions`.
"""

from __future__ import annotations

from bakehouse.errors import DefinitionError
from bakehouse.hcl.types import DYNAMIC, Type
from bakehouse.hcl.values import UNKNOWN, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class FunctionError(DefinitionError):
    """A function refuses its arguments. The message continues a sentence and has no final period."""

    default_code = "function-failed"


class ArgumentError(FunctionError):
    """As `FunctionError`, but about the argument at `index` (from 0)."""

    default_code = "invalid-function-argument"

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


class Parameter:
    """A parameter. `type` DYNAMIC takes anything. `allow_null`, `allow_unknown` and `allow_dynamic` let the
    implementation see such arguments; the types CLOSURE and TYPE_CONSTRAINT receive the unevaluated expression."""

    __slots__ = ("allow_dynamic", "allow_null", "allow_unknown", "name", "type")

    def __init__(
        self,
        name: str,
        type_: Type = DYNAMIC,
        *,
        allow_null: bool = False,
        allow_unknown: bool = False,
        allow_dynamic: bool = False,
    ) -> None:
        self.name = name
        self.type = type_
        self.allow_null = allow_null
        self.allow_unknown = allow_unknown
        self.allow_dynamic = allow_dynamic


class Function:
    """A callable of the language. `implementation` receives the arguments and the result type; `result` is that type,
    or a callable that derives it from the arguments (and may refuse them)."""

    __slots__ = ("implementation", "params", "result", "variadic")

    def __init__(
        self,
        params: Sequence[Parameter],
        result: Type | Callable[[list[Value]], Type],
        implementation: Callable[[list[Value], Type], Value],
        *,
        variadic: Parameter | None = None,
    ) -> None:
        self.params = tuple(params)
        self.variadic = variadic
        self.result = result
        self.implementation = implementation

    def _parameter(self, index: int) -> Parameter:
        if index < len(self.params):
            return self.params[index]
        assert self.variadic is not None
        return self.variadic

    def _check_count(self, count: int) -> None:
        required = len(self.params)
        if count < required or (self.variadic is None and count > required):
            at_least = "at least " if self.variadic is not None else ""
            raise FunctionError(f"wrong number of arguments ({at_least}{required} required; {count} given)")

    def return_type(self, arguments: Sequence[Value]) -> Type:
        """The type of the result for these arguments, DYNAMIC when it cannot be told yet.

        Raises ArgumentError for a null that is not allowed, FunctionError when the function itself refuses.
        """
        self._check_count(len(arguments))
        for index, value in enumerate(arguments):
            parameter = self._parameter(index)
            if value.raw is None and not parameter.allow_null:
                raise ArgumentError(index, "argument must not be null")
            if value.type is DYNAMIC and not parameter.allow_dynamic:
                return DYNAMIC
        if isinstance(self.result, Type):
            return self.result
        return self.result(list(arguments))

    def call(self, arguments: Sequence[Value]) -> Value:
        """The result for arguments that already have the parameters' types.

        Raises as `return_type`. An argument that is unknown, or whose type is, makes the result unknown unless the
        parameter allows it.
        """
        expected = self.return_type(arguments)
        for index, value in enumerate(arguments):
            parameter = self._parameter(index)
            unknown = value.raw is UNKNOWN and not parameter.allow_unknown
            if unknown or (value.type is DYNAMIC and not parameter.allow_dynamic):
                return Value(expected, UNKNOWN)
        return self.implementation(list(arguments), expected)
