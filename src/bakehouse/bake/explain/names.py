"""What the names in an expression stand for, as origins: variables with the text that overrides them, global
attributes, matrix axes, functions, other targets. The second half of `provenance`, which see.
"""

from __future__ import annotations

import json

from bakehouse.bake.fields import FIELDS_BY_NAME
from bakehouse.hcl import as_keyword
from bakehouse.hcl.traversal import TraverseAttribute
from bakehouse.hcl.values import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bakehouse.bake.blocks import BlockState, Instance
    from bakehouse.bake.declarations import FunctionDeclaration, VariableDeclaration
    from bakehouse.bake.definition import Definition
    from bakehouse.bake.evaluator import Evaluator, Scope
    from bakehouse.bake.fields import Field
    from bakehouse.bake.recorder import Recorder
    from bakehouse.diagnostics import SourceRange
    from bakehouse.hcl.syntax import Expression
    from bakehouse.hcl.traversal import Traversal
    from bakehouse.hcl.values import Value

#: An origin without a value of its own.
NOTHING = object()
_MAX_SOURCE_CHARS = 72
#: Names within names: nobody reads a deeper tree, and the stack of the interpreter has an end.
_MAX_DEPTH = 40


class Origin:
    """One place a value comes from. `kind` is stable (docs/how-to/explain-values.md lists them), `text` is for people,
    `place` the part of a file, `value` what a name stands for (as JSON), `causes` the origins behind this one. `facts`
    say to programs what `text` says to people."""

    __slots__ = ("causes", "facts", "kind", "place", "text", "value")

    def __init__(
        self,
        kind: str,
        text: str,
        place: SourceRange | None = None,
        value: object = NOTHING,
        causes: list[Origin] | None = None,
        facts: dict[str, object] | None = None,
    ) -> None:
        self.facts = facts or {}
        self.kind = kind
        self.text = text
        self.place = place
        self.value = value
        self.causes = causes or []

    def as_json(self) -> dict[str, object]:
        out: dict[str, object] = {"kind": self.kind, "text": self.text, **self.facts}
        if self.place is not None:
            out["place"] = self.place.as_json()
        if self.value is not NOTHING:
            out["value"] = self.value
        if self.causes:
            out["causes"] = [cause.as_json() for cause in self.causes]
        return out


class Names:
    """Explains names. Each is explained at length once after `begin`, and referred to after that: the tree of a value
    that many names lead to would otherwise double with every step."""

    def __init__(
        self,
        definition: Definition,
        record: Recorder,
        written: Callable[[BlockState, Instance, Field, None], Origin],
    ) -> None:
        self._definition = definition
        self._record = record
        self._written = written
        self._sources: dict[str, bytes] = {}
        # Whether there was anything to tell of a name.
        self._told: dict[tuple[str, str], bool] = {}
        self._depth = 0

    def begin(self) -> None:
        """A new explanation starts."""
        self._told = {}
        self._depth = 0

    @property
    def _evaluator(self) -> Evaluator:
        assert self._record.evaluator is not None
        return self._record.evaluator

    def source_text(self, expression: Expression) -> str:
        """The expression as written, on one line, shortened; "" where the source is not at hand."""
        place = expression.range
        if place.filename not in self._sources:
            sources = self._evaluator.sources
            # A file whose name does not tell its kind, as standard input, got an ending for its places.
            text = sources.get(place.filename) or sources.get(place.filename.rpartition(".")[0], "")
            self._sources[place.filename] = text.encode("utf-8", "replace")
        piece = self._sources[place.filename][place.start.byte : place.end.byte].decode("utf-8", "replace")
        line = " ".join(piece.split())
        return line if len(line) <= _MAX_SOURCE_CHARS else line[: _MAX_SOURCE_CHARS - 1] + "…"

    def mentioned(
        self,
        expression: Expression,
        scope: Scope,
        state: BlockState | None = None,
        bound: frozenset[str] = frozenset(),
    ) -> list[Origin]:
        """An origin for each name that the expression mentions, in source order; `state` is its block, if any, and
        names in `bound` are parameters."""
        out = []
        seen = set()
        for traversal in expression.variables():
            root = traversal.root_name
            key = repr(traversal) if root in ("target", "group") else root
            if root not in bound and key not in seen:
                seen.add(key)
                out.append(self._named(traversal, scope, state))
        declared = self._evaluator.declared.functions
        called = dict.fromkeys(called_functions(expression))
        ours = [name for name in called if name in declared and name not in self._evaluator.library]
        return out + [self._function(declared[name]) for name in ours]

    def _named(self, traversal: Traversal, scope: Scope, state: BlockState | None) -> Origin:
        root = traversal.root_name
        evaluator = self._evaluator
        local = scope.context.variables
        if state is not None and scope is not evaluator.global_scope and local is not None and root in local:
            return self._axis(root, local[root], state)
        if root in ("target", "group"):
            return self._reference(traversal)
        if root in evaluator.built_ins:
            return Origin(
                "built-in", f"built-in {root}", value=evaluator.built_ins[root], facts={"name": root}
            )
        declared = evaluator.declared
        if root in declared.attributes:
            return self._attribute(root)
        if root in declared.variables:
            return self._variable(declared.variables[root])
        return Origin("unknown", f"{root} is not defined", traversal.range, facts={"name": root})

    def _once(self, kind: str, name: str, causes: Callable[[], list[Origin]]) -> list[Origin]:
        told = self._told.get((kind, name))
        if told is not None:
            return [Origin("above", "as explained above")] if told else []
        if self._depth == _MAX_DEPTH:
            return [Origin("more", "names beyond this are not followed")]
        self._depth += 1
        found = causes()
        self._depth -= 1
        self._told[kind, name] = bool(found)
        return found

    def _value(self, name: str) -> object:
        return plain(self._evaluator.variables.get(name))

    def _axis(self, name: str, value: Value, state: BlockState) -> Origin:
        matrix = state.attributes["matrix"].expr
        causes = self._once(
            "axis", f"{id(state)} {name}", lambda: self.mentioned(matrix, self._evaluator.global_scope)
        )
        return Origin(
            "matrix", f"matrix axis {name}", matrix.range, plain(value), causes, facts={"name": name}
        )

    def _attribute(self, name: str) -> Origin:
        attribute = self._evaluator.declared.attributes[name]
        value = self._value(name)
        overriding = self._overriding(name)
        if overriding is not None:
            unused = Origin("unused", "its default, a global attribute, is not used", attribute.range)
            return self._set_variable(name, overriding, [unused])
        causes = self._once(
            "attribute", name, lambda: self.mentioned(attribute.expr, self._evaluator.global_scope)
        )
        text = f"global attribute {name}"
        return Origin("attribute", text, attribute.expr.range, value, causes, facts={"name": name})

    def _variable(self, variable: VariableDeclaration) -> Origin:
        name, default = variable.name, variable.default
        value = self._value(name)
        overriding = self._overriding(name)
        if overriding is not None:
            unused = []
            if default is not None:
                text = " ".join(["its default", self.source_text(default.expr), "is not used"])
                unused.append(Origin("unused", text.replace("  ", " "), default.expr.range))
            return self._set_variable(name, overriding, unused)
        if default is None:
            place = variable.block.label_ranges[0]
            text = f"variable {name}, which has no default"
            return Origin("variable", text, place, value, facts={"name": name, "from": "nothing"})
        causes = self._once(
            "variable", name, lambda: self.mentioned(default.expr, self._evaluator.global_scope)
        )
        text = f"variable {name}, its default"
        return Origin(
            "variable", text, default.expr.range, value, causes, facts={"name": name, "from": "default"}
        )

    def _overriding(self, name: str) -> str | None:
        """The name under which the text was found that overrides a variable; None when nothing does."""
        found = self._evaluator.overridden.get(name)
        return None if found is None else found[0]

    def _set_variable(self, name: str, found_as: str, causes: list[Origin]) -> Origin:
        """A variable that the command line or the environment sets."""
        given = self._definition.is_given(found_as)
        text = f"from --var {found_as}" if given else f"from the environment's {found_as}"
        facts: dict[str, object] = {"name": name, "from": "var" if given else "environment", "as": found_as}
        return Origin("variable", f"variable {name}, {text}", None, self._value(name), causes, facts)

    def _function(self, function: FunctionDeclaration) -> Origin:
        result, params = function.result, function.params
        if result is None or params is None:
            place = function.block.label_ranges[0]
            return Origin("function", f"function {function.name}", place, facts={"name": function.name})
        names = [as_keyword(each) for each in params.expr.as_list() or ()]
        if function.variadic is not None:
            names.append(as_keyword(function.variadic.expr))
        scope = self._evaluator.global_scope
        causes = self._once(
            "function", function.name, lambda: self.mentioned(result.expr, scope, bound=frozenset(names))
        )
        text = f"function {function.name}: {self.source_text(result.expr)}"
        return Origin("function", text, result.expr.range, causes=causes, facts={"name": function.name})

    def _reference(self, traversal: Traversal) -> Origin:
        """`target.NAME.ATTR`: what the block of that target says, without its parents or overrides."""
        steps = traversal.steps
        names = [step.name for step in steps if isinstance(step, TraverseAttribute)]
        text = ".".join([traversal.root_name, *names])
        if traversal.root_name == "target" and len(names) > 1:
            for state, instance in self._evaluator.blocks_named(names[0]):
                field = FIELDS_BY_NAME.get(names[1])
                if field is not None and field.name in state.attributes:
                    return self._referred(text, state, instance, field)
        return Origin("reference", f"{text}, which its block does not set", facts={"name": text})

    def _referred(self, text: str, state: BlockState, instance: Instance, field: Field) -> Origin:
        causes = self._once("reference", text, lambda: [self._written(state, instance, field, None)])
        value = plain(instance.values[field.name]) if field.name in instance.values else NOTHING
        return Origin("reference", f"{text}, as its block says", None, value, causes, facts={"name": text})


def called_functions(expression: Expression) -> list[str]:
    """The names of the functions that an expression calls, in either syntax."""
    core = expression.core()
    if core is expression and not hasattr(expression, "source"):
        return [name for child, _ in expression.children() for name in called_functions(child)]
    return core.functions()


def plain(value: Value | None) -> Any:
    """A value as JSON shows it; None for what has no JSON form."""
    from bakehouse.hcl import to_json
    from bakehouse.hcl.values import Value as HclValue

    if not isinstance(value, HclValue) or value.raw is None or value.raw is UNKNOWN:
        return None
    try:
        return json.loads(to_json(value))
    except Exception:
        return None
