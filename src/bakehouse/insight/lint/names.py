"""Rules about variables, functions and global attributes: which are used, which are hidden or replaced, and what the
environment makes of them."""

from __future__ import annotations

from bakehouse.bake.declarations import BUILT_INS, RESERVED
from bakehouse.bake.explain.names import called_functions
from bakehouse.hcl import as_keyword
from bakehouse.hcl.types import NUMBER
from bakehouse.hcl.values import UNKNOWN
from bakehouse.insight.lint import rules
from bakehouse.insight.lint.report import Finding
from bakehouse.insight.lint.subject import block_content

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bakehouse.diagnostics import SourceRange
    from bakehouse.hcl.syntax import Block, Expression
    from bakehouse.insight.lint.subject import Subject

_KINDS = ("variable", "function")
_NO_NAMES: frozenset[str] = frozenset()


def look(subject: Subject) -> Iterator[Finding]:
    """All findings of this module's rules."""
    yield from _reserved(subject)
    yield from _replaced(subject)
    yield from _hidden(subject)
    yield from _unused(subject)
    yield from _overridden(subject)


def _reserved(subject: Subject) -> Iterator[Finding]:
    for block in subject.blocks(*_KINDS):
        name = block.labels[0]
        if name in RESERVED:
            message = f'the {block.type} "{name}" is passed over: the name is the format\'s own'
            yield Finding(rules.RESERVED_NAME, message, block.label_ranges[0])
    for file in subject.files:
        for name in BUILT_INS:
            if name in file.attributes:
                place = file.attributes[name].name_range
                yield Finding(rules.RESERVED_NAME, f"{name} is always there and cannot be set", place)


def _replaced(subject: Subject) -> Iterator[Finding]:
    """Blocks and attributes of which only the last one of a name counts."""
    last: dict[tuple[str, str], SourceRange] = {}
    for block in reversed(list(subject.blocks("group", *_KINDS))):
        key, place = (block.type, block.labels[0]), block.label_ranges[0]
        if key in last:
            yield _replacement(f'{block.type} "{block.labels[0]}"', place, last[key])
        else:
            last[key] = place
    for file in reversed(subject.files):
        for name, attribute in file.attributes.items():
            key, place = ("attribute", name), attribute.name_range
            if key in last:
                yield _replacement(f"attribute {name}", place, last[key])
            else:
                last[key] = place


def _replacement(what: str, place: SourceRange, later: SourceRange) -> Finding:
    rule = rules.REPLACED_BLOCK if place.filename == later.filename else rules.REPLACED_BY_FILE
    return Finding(
        rule, f"the {what} is replaced as a whole by that of {later.filename}:{later.start.line}", place
    )


def _hidden(subject: Subject) -> Iterator[Finding]:
    declared = subject.evaluator.declared
    for name, function in declared.functions.items():
        if name in subject.evaluator.library:
            message = f"the function {name} is never called: the standard library's has the name"
            yield Finding(rules.HIDDEN_FUNCTION, message, function.block.label_ranges[0])
    for name, attribute in declared.attributes.items():
        variable = declared.variables.get(name)
        if variable is not None:
            place = variable.block.label_ranges[0]
            message = (
                f"the attribute {name} takes the place of the default and the type of the variable at "
                f"{place.filename}:{place.start.line}"
            )
            yield Finding(rules.ATTRIBUTE_OVER_VARIABLE, message, attribute.name_range)


def _unused(subject: Subject) -> Iterator[Finding]:
    names, functions = _mentioned(subject)
    declared = subject.evaluator.declared
    for name, variable in declared.variables.items():
        if name not in names:
            place = variable.block.label_ranges[0]
            yield Finding(rules.UNUSED_VARIABLE, f"the variable {name} is not used", place)
    for name, function in declared.functions.items():
        if name not in functions and name not in subject.evaluator.library:
            place = function.block.label_ranges[0]
            yield Finding(rules.UNUSED_FUNCTION, f"the function {name} is not used", place)
    for name, attribute in declared.attributes.items():
        # `$schema` is for editors; misplaced blocks have a rule of their own.
        if name not in names and name not in (*_KINDS, "$schema"):
            message = f"the global attribute {name} is not used"
            yield Finding(rules.UNUSED_ATTRIBUTE, message, attribute.name_range, _block_hint(name))


def _block_hint(name: str) -> str | None:
    from bakehouse.bake.fields import BLOCKS
    from bakehouse.bake.suggestions import suggestion

    return suggestion(name, [kind for kind, row in BLOCKS.items() if row.labelled])


def _mentioned(subject: Subject) -> tuple[set[str], set[str]]:
    """The names that expressions mention, and the functions that they call. A variable's own validations do not count,
    nor do names that a block's matrix or a function's parameters bind."""
    names: set[str] = set()
    functions: set[str] = set()

    def note(expressions: Iterable[Expression], bound: frozenset[str] | set[str] = _NO_NAMES) -> None:
        for expression in expressions:
            names.update(
                traversal.root_name
                for traversal in expression.variables()
                if traversal.root_name not in bound
            )
            functions.update(called_functions(expression))

    for file in subject.files:
        note(attribute.expr for attribute in file.attributes.values())
    for block in subject.blocks():
        note(subject.expressions(block), _bound(subject, block))
    return names, functions


def _bound(subject: Subject, block: Block) -> set[str]:
    """The names that mean something else within a block than outside."""
    if block.type == "variable":
        return {block.labels[0]}
    if block.type == "function":
        content = block_content(block)
        params = content.attributes.get("params")
        listed = params.expr.as_list() if params is not None else None
        variadic = content.attributes.get("variadic_params")
        expressions = [*(listed or ()), *([variadic.expr] if variadic is not None else ())]
        return {as_keyword(expression) for expression in expressions}
    if block.type == "target":
        instances = subject.evaluator.state_of(block).instances
        if instances and instances[0].scope is not subject.evaluator.global_scope:
            return set(instances[0].scope.context.variables or ())
    return set()


def _overridden(subject: Subject) -> Iterator[Finding]:
    """Values from the environment that are not what they look like."""
    from bakehouse.hcl.convert import convert
    from bakehouse.hcl.types import STRING

    evaluator = subject.evaluator
    for name, (used, text) in evaluator.overridden.items():
        variable = evaluator.declared.variables[name]
        place = variable.block.label_ranges[0]
        value = evaluator.variables[name]
        if used != name and name not in evaluator.types:
            message = f"{used} is set, but {name} has no type: it becomes that text"
            yield Finding(rules.JSON_TEXT, message, place, "Give it one, as type = list(string).")
        elif value.type is NUMBER and value.raw is not None and value.raw is not UNKNOWN:
            read = convert(value, STRING).raw
            if read != text.strip() and used == name:
                message = f'{name} is "{text}" outside and {read} as a number'
                yield Finding(rules.CHANGED_NUMBER, message, place)
