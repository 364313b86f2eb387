"""The scope in which expressions are evaluated, and suggestions for names that are not in it."""

from __future__ import annotations

from bakehouse.go.text import edit_distance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bakehouse.hcl.function import Function
    from bakehouse.hcl.values import Value


class EvalContext:
    """A scope: `variables` and `functions` by name, and the `parent` that is asked for what is not here. None
    for either
    mapping means that this scope has nothing of the kind; if no scope of the chain has a mapping, such references are
    refused altogether.

    A mapping may compute its values in `__getitem__`; `__contains__` then says what exists and iteration lists
    the names
    for suggestions. An error that it raises passes through `Expression.evaluate`; guarding against cycles is
    its affair.
    """

    __slots__ = ("functions", "parent", "variables")

    def __init__(
        self,
        variables: Mapping[str, Value] | None = None,
        functions: Mapping[str, Function] | None = None,
        parent: EvalContext | None = None,
    ) -> None:
        self.variables = variables
        self.functions = functions
        self.parent = parent

    def child(self, variables: Mapping[str, Value] | None = None) -> EvalContext:
        """A new scope within this one."""
        return EvalContext(variables, None, self)


def suggestion(given: str, names: Iterable[str]) -> str:
    """The first of `names` that is less than three edits away from `given`, or `""`."""
    for name in names:
        if abs(len(name) - len(given)) < 3 and edit_distance(given, name) < 3:
            return name
    return ""
