"""What the names in an expression stand for, as origins: variables with the text that overrides them, global
attributes, matrix axes, functions, other targets. The second half of `provenance`, which see.
"""

from __future__ import annotations

import json

from bakehouse.bake.evaluator import Scope
from bakehouse.bake.explain.following import Spot, narrowed, part_of, path_of, path_text
from bakehouse.bake.fields import FIELDS_BY_NAME
from bakehouse.bake.findings import Failure, Findings
from bakehouse.errors import BakehouseError
from bakehouse.hcl import as_keyword
from bakehouse.hcl.calls import FunctionCall
from bakehouse.hcl.expressions import ScopeTraversal
from bakehouse.hcl.traversal import Traversal
from bakehouse.hcl.values import UNKNOWN, tuple_

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bakehouse.bake.blocks import BlockState, Instance
    from bakehouse.bake.declarations import FunctionDeclaration, VariableDeclaration
    from bakehouse.bake.definition import Definition
    from bakehouse.bake.evaluator import Evaluator
    from bakehouse.bake.explain.following import Path
    from bakehouse.bake.fields import Field
    from bakehouse.bake.recorder import Recorder
    from bakehouse.diagnostics import SourceRange
    from bakehouse.hcl.syntax import Expression
    from bakehouse.hcl.values import Value

#: An origin without a value of its own.
NOTHING = object()
_MAX_SOURCE_CHARS = 72
#: Names within names: nobody reads a deeper tree, and the stack of the interpreter has an end.
_MAX_DEPTH = 40


class Origin:
    """One place a value comes from. `kind` is stable (docs/how-to/explain-values.md lists them), `text` is for people,
    `place` the part of a file, `value` what a name stands for (as JSON), `causes` the origins behind this one. `facts`
    say to programs what `text` says to people. `key` is where the key of a member stands beside its value."""

    __slots__ = ("causes", "facts", "key", "kind", "place", "text", "value")

    def __init__(
        self,
        kind: str,
        text: str,
        place: SourceRange | None = None,
        value: object = NOTHING,
        causes: list[Origin] | None = None,
        facts: dict[str, object] | None = None,
        key: SourceRange | None = None,
    ) -> None:
        self.key = key
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

    def __init__(self, definition: Definition, record: Recorder) -> None:
        self._definition = definition
        self._record = record
        self._sources: dict[str, bytes] = {}
        # Whether there was anything to tell of a name.
        self._told: dict[tuple[str, str], bool] = {}
        self._depth = 0
        self._places_only = False

    def begin(self, *, places_only: bool = False) -> None:
        """A new explanation starts. With `places_only` nothing behind an expression is looked for."""
        self._told = {}
        self._depth = 0
        self._places_only = places_only

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

    # Expressions

    def origin(self, spot: Spot) -> Origin:
        """The origin that an expression is, or as much of it as makes the part."""
        inner = narrowed(spot, self._look)
        text = self.source_text(inner.expression)
        return Origin("file", text, inner.expression.range, causes=self._causes(inner), key=inner.key)

    def _look(self, expression: Expression, scope: Scope) -> Value | None:
        """The value of an expression that was evaluated before; None for one that has none."""
        try:
            return self._evaluator.look_again(expression, scope)
        except (BakehouseError, Findings, Failure):
            return None

    def _causes(self, spot: Spot) -> list[Origin]:
        """What an expression that nothing could be taken from depends on."""
        if self._places_only:
            return []
        core = spot.expression.core()
        seen: set[str] = set()
        out: list[Origin] = []
        if isinstance(core, ScopeTraversal):
            out += self._named(Traversal(core.root, core.steps), spot, spot.path)
            seen.add(core.root.name)
        elif isinstance(core, FunctionCall) and self._is_ours(core.name) and not core.expand:
            out.append(self._called(core, spot))
        else:
            out += self.mentioned(spot, seen)
        for asked in spot.deciding:
            out += self.mentioned(asked, seen)
        return out

    def mentioned(self, spot: Spot, seen: set[str] | None = None) -> list[Origin]:
        """An origin for each name that an expression mentions and that is not among those `seen`, in source order."""
        out = []
        seen = set() if seen is None else seen
        for traversal in spot.expression.variables():
            root = traversal.root_name
            key = root if not traversal.steps else repr(traversal)
            if root not in seen and key not in seen:
                seen.add(key)
                out += self._named(traversal, spot, ())
        called = dict.fromkeys(called_functions(spot.expression))
        declared = self._evaluator.declared.functions
        return out + [self._function(declared[name]) for name in called if self._is_ours(name)]

    def _is_ours(self, function: str) -> bool:
        """Whether a function is the definition's own."""
        return function in self._evaluator.declared.functions and function not in self._evaluator.library

    def _named(self, traversal: Traversal, spot: Spot, rest: Path) -> list[Origin]:
        """The origin of a name's value, or of the part of it that the traversal and `rest` lead to."""
        root = traversal.root_name
        evaluator = self._evaluator
        path = (*path_of(traversal.steps), *rest)
        if root in spot.given:
            source = spot.given[root]
            return [] if source is None else [self._given(root, source, path)]
        local = spot.scope.context.variables
        outside = spot.scope is not evaluator.global_scope
        if spot.state is not None and outside and local is not None and root in local:
            return [self._axis(root, local[root], spot.state, path)]
        if root in ("target", "group"):
            return [self._reference(traversal, rest)]
        if root in evaluator.built_ins:
            value = evaluator.built_ins[root]
            return [Origin("built-in", f"built-in {root}", value=value, facts={"name": root})]
        declared = evaluator.declared
        if root in declared.attributes:
            return [self._attribute(root, path)]
        if root in declared.variables:
            return [self._variable(declared.variables[root], path)]
        return [Origin("unknown", f"{root} is not defined", traversal.range, facts={"name": root})]

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

    def _value(self, name: str, path: Path = ()) -> object:
        return plain(part_of(self._evaluator.variables.get(name), path))

    def _followed(self, kind: str, name: str, spot: Spot) -> tuple[SourceRange, list[Origin]]:
        """The place of a part, and what it depends on; `name` tells it from others of its kind."""
        inner = narrowed(spot, self._look)
        causes = self._once(kind, f"{name} {path_text(spot.path)}", lambda: self._causes(inner))
        return inner.expression.range, causes

    def _given(self, name: str, source: Spot, path: Path) -> Origin:
        """The parameter of a function or the variable of a loop."""
        inner = narrowed(source.at(source.expression, (*source.path, *path)), self._look)
        place = inner.expression.range
        key = f"{name} {place!r} {path_text(inner.path)}"
        causes = self._once("argument", key, lambda: self._causes(inner))
        source_text = self.source_text(inner.expression)
        value = plain(part_of(self._look(inner.expression, inner.scope), inner.path))
        if source_text == json.dumps(value, ensure_ascii=False):
            value = NOTHING
        text = f"{name}{_at(path)} stands for {source_text}"
        return Origin("argument", text, place, value, causes, facts={"name": name})

    def _axis(self, name: str, value: Value, state: BlockState, path: Path) -> Origin:
        matrix = state.attributes["matrix"].expr
        scope = self._evaluator.global_scope
        values = part_of(self._look(matrix, scope), (name,))
        within: Path = (name,)
        if values is not None and values.can_iterate():
            keys = [key.to_python() for key, each in values.items() if each == value]
            within = (name, keys[0], *path) if keys and isinstance(keys[0], (str, int)) else within
        place, causes = self._followed("axis", f"{id(state)} {name}", Spot(matrix, scope, within))
        text = f"matrix axis {name}{_at(path)}"
        return Origin("matrix", text, place, plain(part_of(value, path)), causes, facts={"name": name})

    def _attribute(self, name: str, path: Path) -> Origin:
        attribute = self._evaluator.declared.attributes[name]
        overriding = self._overriding(name)
        if overriding is not None:
            unused = Origin("unused", "its default, a global attribute, is not used", attribute.range)
            return self._set_variable(name, overriding, path, [unused])
        spot = Spot(attribute.expr, self._evaluator.global_scope, path)
        place, causes = self._followed("attribute", name, spot)
        text = f"global attribute {name}{_at(path)}"
        return Origin("attribute", text, place, self._value(name, path), causes, facts={"name": name})

    def _variable(self, variable: VariableDeclaration, path: Path) -> Origin:
        name, default = variable.name, variable.default
        overriding = self._overriding(name)
        if overriding is not None:
            unused = []
            if default is not None:
                text = " ".join(["its default", self.source_text(default.expr), "is not used"])
                unused.append(Origin("unused", text.replace("  ", " "), default.expr.range))
            return self._set_variable(name, overriding, path, unused)
        if default is None:
            place = variable.block.label_ranges[0]
            text = f"variable {name}, which has no default"
            return Origin("variable", text, place, self._value(name), facts={"name": name, "from": "nothing"})
        place, causes = self._followed(
            "variable", name, Spot(default.expr, self._evaluator.global_scope, path)
        )
        text = f"variable {name}, its default{_at(path)}"
        facts: dict[str, object] = {"name": name, "from": "default"}
        return Origin("variable", text, place, self._value(name, path), causes, facts)

    def _overriding(self, name: str) -> str | None:
        """The name under which the text was found that overrides a variable; None when nothing does."""
        found = self._evaluator.overridden.get(name)
        return None if found is None else found[0]

    def _set_variable(self, name: str, found_as: str, path: Path, causes: list[Origin]) -> Origin:
        """A variable that the command line or the environment sets."""
        given = self._definition.is_given(found_as)
        text = f"from --var {found_as}" if given else f"from the environment's {found_as}"
        facts: dict[str, object] = {"name": name, "from": "var" if given else "environment", "as": found_as}
        text = f"variable {name}, {text}{_at(path)}"
        return Origin("variable", text, None, self._value(name, path), causes, facts)

    def _function(self, function: FunctionDeclaration) -> Origin:
        """A function that is called somewhere within an expression."""
        result = function.result
        if result is None or function.params is None:
            place = function.block.label_ranges[0]
            return Origin("function", f"function {function.name}", place, facts={"name": function.name})
        given = dict.fromkeys(_parameters(function))
        spot = Spot(result.expr, self._evaluator.global_scope, given=given)
        causes = self._once("function", function.name, lambda: self.mentioned(spot))
        text = f"function {function.name}: {self.source_text(result.expr)}"
        return Origin("function", text, result.expr.range, causes=causes, facts={"name": function.name})

    def _called(self, call: FunctionCall, spot: Spot) -> Origin:
        """A function of the definition whose result, or a part of it, is the value."""
        function = self._evaluator.declared.functions[call.name]
        names = _parameters(function)
        values = [self._look(argument, spot.scope) for argument in call.arguments]
        if function.result is None or len(values) < len(names) or any(value is None for value in values):
            return self._function(function)
        given: dict[str, Spot | None] = {
            name: Spot(argument, spot.scope, state=spot.state, given=spot.given)
            for name, argument in zip(names, call.arguments, strict=False)
        }
        variables = dict(zip(names, values, strict=False))
        if function.variadic is not None:
            variadic = names[-1]
            given[variadic] = None
            variables[variadic] = tuple_([value for value in values[len(names) - 1 :] if value is not None])
        context = self._evaluator.global_scope.context.child(
            {name: value for name, value in variables.items() if value is not None}
        )
        inner = narrowed(Spot(function.result.expr, Scope(context), spot.path, given=given), self._look)
        key = f"{function.name} {call.range!r} {path_text(spot.path)}"
        causes = self._once("function", key, lambda: self._causes(inner))
        text = f"function {function.name}: {self.source_text(inner.expression)}"
        return Origin("function", text, inner.expression.range, causes=causes, facts={"name": function.name})

    def _reference(self, traversal: Traversal, rest: Path) -> Origin:
        """`target.NAME.ATTR`: what the block of that target says, without its parents or overrides."""
        path = (*path_of(traversal.steps), *rest)
        text = ".".join([traversal.root_name, path_text(path)])
        if traversal.root_name == "target" and len(path) > 1:
            for state, instance in self._evaluator.blocks_named(str(path[0])):
                field = FIELDS_BY_NAME.get(str(path[1]))
                if field is not None and field.name in state.attributes:
                    return self._referred(text, state, instance, field, path[2:])
        return Origin("reference", f"{text}, which its block does not set", facts={"name": text})

    def _referred(self, text: str, state: BlockState, instance: Instance, field: Field, path: Path) -> Origin:
        spot = Spot(state.attributes[field.name].expr, instance.scope, path, state=state)
        causes = self._once("reference", text, lambda: [self.origin(spot)])
        value = NOTHING
        if field.name in instance.values:
            value = plain(part_of(instance.values[field.name], path))
        return Origin("reference", f"{text}, as its block says", None, value, causes, facts={"name": text})


def _parameters(function: FunctionDeclaration) -> list[str]:
    """The names of a function's parameters, the one that takes the rest last."""
    assert function.params is not None
    names = [as_keyword(each) for each in function.params.expr.as_list() or ()]
    return names if function.variadic is None else [*names, as_keyword(function.variadic.expr)]


def _at(path: Path) -> str:
    return f" at {path_text(path)}" if path else ""


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
