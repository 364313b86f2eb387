"""Evaluation of declarations: variables, functions, global attributes, blocks, each when somebody needs it
(reference bake.md §4 steps 4-11, §8-§10, §14).

An expression's free names are resolved before it is evaluated (`_load`), into one flat scope; a matrix block has child
scopes with its axis values. A name under way that is met again is a cycle. Findings travel as `Findings`; a plain
`Failure` is given its place by whoever knows it. Steps end with all their findings, so that nothing is hidden behind
the first one, while the message stays that of the peer.
"""

from __future__ import annotations

from bakehouse.bake.blocks import BlockState, Instance, expand_matrix, instance_name
from bakehouse.bake.declarations import (
    BLOCK_SCHEMAS,
    BLOCK_TYPES,
    REQUIRED_OF_GROUP,
    Declarations,
    error_of,
    has_errors,
)
from bakehouse.bake.findings import Failure, Findings, Undefined
from bakehouse.bake.pooling import Evaluated, pool
from bakehouse.bake.user_functions import FunctionTable, make_function
from bakehouse.bake.variables import Overriding, validate
from bakehouse.diagnostics import Diagnostic
from bakehouse.hcl import EvalContext, limits, stdlib
from bakehouse.hcl.limits import LimitError
from bakehouse.hcl.traversal import TraverseAttribute
from bakehouse.hcl.types import STRING
from bakehouse.hcl.values import DYNAMIC_UNKNOWN, Value, map_, object_, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bakehouse.bake.recorder import Recorder
    from bakehouse.diagnostics import SourceRange
    from bakehouse.hcl.function import Function
    from bakehouse.hcl.syntax import Attribute, Block, Expression
    from bakehouse.hcl.traversal import Traversal
    from bakehouse.hcl.types import Type

#: Names that type expressions use; `convert(v, number)` mentions them like variables.
_TYPE_KEYWORDS = frozenset({"string", "number", "bool", "any"})
#: Which blocks an expression refers to: names by block type.
_References = dict[str, set[str]]


class Scope:
    """The names of one evaluation context, and those under way in it."""

    __slots__ = ("context", "under_way")

    def __init__(self, context: EvalContext) -> None:
        self.context = context
        self.under_way: set[str] = set()


class Evaluator:
    """Evaluates one set of declarations, once.

    `lookup` gives override texts by variable name; `built_ins` are values that nothing can override. `track_bases`
    records the directories that contexts were written in; `recorder` is told of the blocks that make up a target;
    `library` are the functions of the language.
    """

    def __init__(
        self,
        declarations: Declarations,
        lookup: Callable[[str], str | None],
        built_ins: Mapping[str, str],
        sources: dict[str, str],
        track_bases: bool = False,
        recorder: Recorder | None = None,
        library: Mapping[str, Function] | None = None,
    ) -> None:
        self._recorder = recorder
        self._declared = declarations
        self._built_ins = built_ins
        self._texts = Overriding(lookup, {*declarations.variables, *built_ins})
        self._sources = sources
        self._track_bases = track_bases
        self._functions_under_way: set[str] = set()
        self.variables: dict[str, Value] = {}
        self._library = stdlib() if library is None else library
        self._functions = FunctionTable(self._library)
        self._global = Scope(EvalContext(self.variables, self._functions))
        self._states: dict[int, BlockState] = {}
        self._blocks_known = False
        self._block_types: tuple[str, ...] = ()
        self._by_name: dict[str, dict[str, list[Block]]] = {kind: {} for kind in BLOCK_TYPES}
        self._stored: dict[str, dict[str, Instance]] = {kind: {} for kind in BLOCK_TYPES}

    def evaluate(self) -> Evaluated:
        """All targets and groups. Raises `DiagnosticsError` with the findings of the first step that has any."""
        self.evaluate_variables()
        self._step(self._function_findings())
        self._block_types = BLOCK_TYPES
        self._step(self._name_findings())
        self._blocks_known = True
        self._evaluate_blocks()
        self._step(self._attribute_findings())
        states = [self._states[id(block)] for block in self._declared.blocks]
        return pool(states, self._track_bases, self._recorder)

    def evaluate_variables(self) -> None:
        """The first half of `evaluate`: variables and their validations, enough for listing them."""
        limits.restart()
        for name in self._built_ins:
            self._resolve_name(self._global, name)
        self._step(self._variable_findings())
        findings = [
            finding
            for variable in self._declared.variables.values()
            for validation in variable.validations
            for finding in validate(validation, self._global.context)
        ]
        self._step([findings] if has_errors(findings) else [])

    @property
    def types(self) -> dict[str, Type]:
        """The declared types of variables, by name."""
        return self._texts.types

    # For those who ask later what was evaluated

    @property
    def declared(self) -> Declarations:
        return self._declared

    @property
    def built_ins(self) -> Mapping[str, str]:
        return self._built_ins

    @property
    def sources(self) -> Mapping[str, str]:
        return self._sources

    @property
    def global_scope(self) -> Scope:
        return self._global

    @property
    def library(self) -> Mapping[str, object]:
        """The functions that definitions cannot replace."""
        return self._library

    @property
    def overridden(self) -> Mapping[str, tuple[str, str]]:
        """The overriding texts, each with the name under which it was found, by variable."""
        return self._texts.used

    def blocks_named(self, name: str, kind: str = "target") -> Iterator[tuple[BlockState, Instance]]:
        """The blocks of a target with the instance in each, the one that references see first."""
        for block in reversed(self._by_name[kind].get(name, ())):
            state = self._states[id(block)]
            yield from ((state, instance) for instance in state.instances if instance.name == name)

    def state_of(self, block: Block) -> BlockState:
        """The state of a target or group block."""
        return self._states[id(block)]

    def look_again(self, expression: Expression, scope: Scope) -> Value | None:
        """The value of an expression, or of a part of one, that was evaluated before in `scope`; None for one that
        has none."""
        references: _References = {}
        for traversal in expression.variables():
            steps = traversal.steps
            if traversal.root_name in BLOCK_TYPES and steps and isinstance(steps[0], TraverseAttribute):
                references.setdefault(traversal.root_name, set()).add(steps[0].name)
        value, findings = self._evaluate(expression, scope, references)
        return None if findings else value

    def _step(self, groups: Iterator[list[Diagnostic]] | list[list[Diagnostic]]) -> None:
        found = list(groups)
        if found:
            raise error_of(found, self._sources)

    # Names

    def _load(
        self,
        scope: Scope,
        expression: Expression,
        bound: frozenset[str] | set[str] = frozenset(),
        *,
        allow_missing: bool = True,
    ) -> _References:
        """Resolves everything that `expression` mentions, names in `bound` excepted. Raises `Findings`."""
        references: _References = {}
        for name in expression.functions():
            self._guard(expression, allow_missing, self._resolve_function, name)
        for traversal in expression.variables():
            root = traversal.root_name
            if root in bound:
                continue
            if root in self._block_types:
                self._load_block(root, traversal, expression, references, allow_missing)
            else:
                self._guard(expression, allow_missing, self._resolve_name, scope, root)
        return references

    def _guard(
        self, expression: Expression, allow_missing: bool, resolve: Callable[..., None], *args: object
    ) -> None:
        """Gives a failure its place: the expression in which the name stands."""
        try:
            resolve(*args)
        except Undefined as error:
            if not allow_missing:
                raise Findings([_invalid_expression(str(error), expression)]) from None
        except Failure as error:
            raise Findings([_invalid_expression(str(error), expression)]) from None

    def _load_block(
        self,
        kind: str,
        traversal: Traversal,
        expression: Expression,
        references: _References,
        allow_missing: bool,
    ) -> None:
        steps = traversal.steps
        if not steps:
            raise Findings([_invalid_expression(f"cannot access {kind} as a variable", expression)])
        if not isinstance(steps[0], TraverseAttribute):
            raise Findings([_invalid_expression(f"cannot traverse {kind} without attribute", expression)])
        name = steps[0].name
        references.setdefault(kind, set()).add(name)
        wanted = steps[1].name if len(steps) > 1 and isinstance(steps[1], TraverseAttribute) else None
        # While names are still being found no block can be referred to.
        for block in self._by_name[kind].get(name, ()) if self._blocks_known else ():
            self._guard(expression, allow_missing, self._resolve_block, block, wanted)

    def _evaluate(
        self, expression: Expression, scope: Scope, references: _References
    ) -> tuple[Value, list[Diagnostic]]:
        """Evaluates with the blocks that the expression refers to in view, and only those: nothing else of them can
        be reached, and showing all of them to each expression would cost the square of their number."""
        for kind, names in references.items():
            stored = self._stored[kind]
            if stored:
                self.variables[kind] = object_(
                    {name: stored[name].as_value(kind) for name in names if name in stored}
                )
        try:
            return expression.evaluate(scope.context)
        except LimitError as error:
            raise Findings([_too_large(error, expression)]) from None

    def _global_value(self, expression: Expression) -> Value:
        """The value of an expression in the global scope. Raises `Findings`."""
        value, findings = self._evaluate(expression, self._global, self._load(self._global, expression))
        if has_errors(findings):
            raise Findings(findings)
        return value

    def _resolve_name(self, scope: Scope, name: str) -> None:
        """Puts the value of a variable, global attribute or built-in into the global scope. Raises `Undefined`,
        `Failure`, `Findings`."""
        if name in self.variables or (
            scope.context.variables is not None and name in scope.context.variables
        ):
            return
        if name in scope.under_way:
            raise Failure(f"variable cycle not allowed for {name}")
        scope.under_way.add(name)
        if name in self._built_ins:
            self.variables[name] = string(self._built_ins[name])
        elif name in self._declared.attributes:
            self.variables[name] = self._attribute_value(name)
        elif name in self._declared.variables:
            variable = self._declared.variables[name]
            self.variables[name] = self._texts.declared(variable, self._global_value)
        else:
            # buildx leaves an unknown name marked, so that its second mention reads as a cycle (trap T18); for the
            # keywords of types that is a bug, which is not followed.
            if name in _TYPE_KEYWORDS:
                scope.under_way.discard(name)
            raise Undefined(f'variable "{name}" does not exist: undefined')

    def _attribute_value(self, name: str) -> Value:
        """A global attribute; where a variable of that name exists too, the attribute is its default."""
        value = self._global_value(self._declared.attributes[name].expr)
        return self._texts.untyped(name, value) if name in self._declared.variables else value

    def _resolve_function(self, name: str) -> None:
        if name in self._functions:
            return
        function = self._declared.functions.get(name)
        if function is None:
            raise Undefined(f'function "{name}" does not exist: undefined')
        if name in self._functions_under_way:
            raise Failure(f"function cycle not allowed for {name}")
        self._functions_under_way.add(name)
        made, names = make_function(function, self._global.context)
        assert function.result is not None
        self._load(self._global, function.result.expr, names, allow_missing=False)
        self._functions.add(name, made)

    # Steps

    def _variable_findings(self) -> Iterator[list[Diagnostic]]:
        for name, variable in self._declared.variables.items():
            try:
                self._resolve_name(self._global, name)
            except Findings as error:
                yield error.findings
            except Failure as error:
                place = variable.block.body.missing_item_range
                yield [_finding("Invalid value", error, place, place)]
            else:
                continue
            # What depends on a faulty variable is not faulty itself.
            self.variables.setdefault(name, DYNAMIC_UNKNOWN)

    def _function_findings(self) -> Iterator[list[Diagnostic]]:
        for name, function in self._declared.functions.items():
            try:
                self._resolve_function(name)
            except Findings as error:
                yield error.findings
            except Failure as error:
                subject = context = function.block.label_ranges[0]
                if function.params is not None:
                    subject = context = function.params.range
                else:
                    context = function.block.def_range
                yield [_finding("Invalid function", error, subject, context)]

    def _name_findings(self) -> Iterator[list[Diagnostic]]:
        for block in self._declared.blocks:
            self.variables.setdefault(block.type, map_({}, STRING))
            try:
                state = self._open(block)
            except Findings as error:
                yield error.findings
            except Failure as error:
                place = block.label_ranges[0]
                yield [_finding("Invalid name", error, place, place)]
            else:
                for instance in state.instances:
                    self._by_name[block.type].setdefault(instance.name, []).append(block)

    def _open(self, block: Block) -> BlockState:
        """Reads a block's schema and finds its instances, with names: evaluates `matrix` and `name`."""
        content, findings = block.body.content(BLOCK_SCHEMAS[block.type], partial=True)
        if has_errors(findings):
            raise Findings(findings)
        state = BlockState(block, content.attributes)
        if block.type == "group":
            for name in ("matrix", "name"):
                if name in content.attributes:
                    raise Failure(f"{name} is not supported for groups")
            state.instances = [Instance(self._global)]
        else:
            state.instances = self._instances(content.attributes.get("matrix"))
        for instance in state.instances:
            instance.name = instance_name(block, state.attributes, self._name_evaluator(instance.scope))
        seen = set()
        for instance in state.instances:
            if instance.name in seen:
                raise Failure(f'duplicate name "{instance.name}"')
            seen.add(instance.name)
        self._states[id(block)] = state
        return state

    def _instances(self, matrix: Attribute | None) -> list[Instance]:
        if matrix is None:
            return [Instance(self._global)]
        value, findings = self._evaluate(matrix.expr, self._global, self._load(self._global, matrix.expr))
        if findings:
            raise Findings(findings)
        try:
            combinations = expand_matrix(value)
        except LimitError as error:
            raise Findings([_too_large(error, matrix.expr)]) from None
        # Without an axis there is nothing that a scope of its own would hold.
        return [
            Instance(Scope(self._global.context.child(names)) if names else self._global)
            for names in combinations
        ]

    def _name_evaluator(self, scope: Scope) -> Callable[[Expression], Value]:
        def evaluate(expression: Expression) -> Value:
            value, findings = self._evaluate(expression, scope, self._load(scope, expression))
            if findings:
                raise Findings(findings)
            return value

        return evaluate

    def _evaluate_blocks(self) -> None:
        """Evaluates every attribute of every block. The findings of all blocks make one message, as long as they are
        findings; a failure (a cycle) ends the step."""
        findings: list[Diagnostic] = []
        first: dict[str, Instance] = {}
        for block in self._declared.blocks:
            try:
                self._resolve_block(block, None)
                if block.type == "target":
                    self._states[id(block)].finish(first)
            except Findings as error:
                findings += error.findings
            except Failure as error:
                failed = _finding("Invalid block", error, block.label_ranges[0], block.def_range)
                raise error_of([[failed], findings], self._sources) from None
        if has_errors(findings):
            raise error_of([findings], self._sources)

    def _attribute_findings(self) -> Iterator[list[Diagnostic]]:
        for name, attribute in self._declared.attributes.items():
            try:
                self._resolve_name(self._global, name)
            except Findings as error:
                yield error.findings
            except Failure as error:
                yield [_finding("Invalid attribute", error, attribute.range, attribute.range)]

    # Blocks

    def _resolve_block(self, block: Block, wanted: str | None) -> None:
        """Evaluates one attribute (`wanted`) of a block's instances, or all of them (None). Raises as `_load`."""
        state = self._states[id(block)]
        if wanted is not None:
            self._resolve_attribute(state, wanted)
            return
        if block.type == "group" and "targets" not in state.attributes:
            _, findings = block.body.content(REQUIRED_OF_GROUP, partial=True)
            raise Findings(findings)
        if state.under_way:
            raise Failure(f"reference cycle not allowed for {block.type}.{block.labels[0]}")
        state.under_way = True
        try:
            for instance in state.instances:
                self._resolve_instance(state, instance)
        finally:
            state.under_way = False

    def _resolve_instance(self, state: BlockState, instance: Instance) -> None:
        loaded = {
            name: self._load(instance.scope, attribute.expr)
            for name, attribute in state.evaluable()
            if name not in instance.done
        }
        findings: list[Diagnostic] = []
        for name, references in loaded.items():
            # Loading one attribute may have evaluated another one on demand.
            if name not in instance.done:
                findings += self._decode(state, instance, name, references)
        if findings:
            raise Findings(findings)
        self._stored[state.block.type][instance.name] = instance

    def _resolve_attribute(self, state: BlockState, wanted: str) -> None:
        kind = state.block.type
        for instance in state.instances:
            if wanted in instance.done:
                return
            if wanted in instance.under_way:
                raise Failure(f"reference cycle not allowed for {kind}.{instance.name}.{wanted}")
            instance.under_way.add(wanted)
            attribute = state.evaluable_attribute(wanted)
            if attribute is not None:
                references = self._load(instance.scope, attribute.expr)
                findings = self._decode(state, instance, wanted, references)
                if findings:
                    raise Findings(findings)
            instance.done.add(wanted)
            self._stored[kind][instance.name] = instance

    def _decode(
        self, state: BlockState, instance: Instance, name: str, references: _References
    ) -> list[Diagnostic]:
        value, findings = self._evaluate(state.attributes[name].expr, instance.scope, references)
        findings = findings + instance.decode(state, name, value)
        if not findings:
            instance.done.add(name)
        return findings


def _too_large(error: LimitError, expression: Expression) -> Diagnostic:
    return Diagnostic(
        "Definition too large",
        f"The definition asks for too much: {error}.",
        subject=expression.range,
        context=expression.range,
        code=error.code,
    )


def _finding(summary: str, error: Exception, subject: SourceRange, context: SourceRange) -> Diagnostic:
    return Diagnostic(summary, str(error), subject=subject, context=context)


def _invalid_expression(detail: str, expression: Expression) -> Diagnostic:
    return Diagnostic("Invalid expression", detail, subject=expression.range, context=expression.range)
