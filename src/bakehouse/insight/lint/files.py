"""Rules about blocks as they are written: names that mean nothing, forms that are passed over, deprecated syntax."""

from __future__ import annotations

from bakehouse.bake.field_texts import TEXTS_OF
from bakehouse.bake.fields import BLOCKS
from bakehouse.bake.suggestions import suggestion
from bakehouse.hcl.expressions import Node
from bakehouse.hcl.loops import Splat
from bakehouse.hcl.templates import TemplateWrap
from bakehouse.hcl.traversal import TraverseIndex
from bakehouse.insight.lint import rules
from bakehouse.insight.lint.report import Finding
from bakehouse.insight.lint.subject import block_content

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakehouse.bake.field_texts import Grammar
    from bakehouse.hcl.syntax import Attribute, Block, Expression
    from bakehouse.insight.lint.subject import Content, Subject


def look(subject: Subject) -> Iterator[Finding]:
    """All findings of this module's rules."""
    for file in subject.files:
        yield from _top(file)
        for block in file.blocks:
            yield from _block(block)
    yield from _members(subject)
    for expression in _all_expressions(subject):
        yield from _legacy(expression)


def title(block: Block) -> str:
    """A block as messages name it."""
    return f'{block.type} "{block.labels[0]}"' if block.labels else f"a {block.type}"


def _top(file: Content) -> Iterator[Finding]:
    labelled = [name for name, row in BLOCKS.items() if row.labelled]
    for block in file.unknown_blocks:
        yield Finding(
            rules.UNKNOWN_BLOCK,
            f'there are no blocks "{block.type}"',
            block.type_range,
            suggestion(block.type, labelled),
        )
    for name in labelled:
        attribute = file.attributes.get(name)
        # `variable = 1` is a global attribute like any other, but hardly meant as one.
        if attribute is not None:
            yield Finding(
                rules.ATTRIBUTE_FOR_BLOCK,
                f"{name} = … is an attribute, not a block",
                attribute.name_range,
                f'Write {name} "NAME" {{ … }}.',
            )


def _block(block: Block) -> Iterator[Finding]:
    content = block_content(block)
    row = BLOCKS[block.type]
    known = list(row.attribute_names)
    for name, attribute in content.unknown_attributes.items():
        if name in row.blocks:
            yield Finding(
                rules.ATTRIBUTE_FOR_BLOCK,
                f"{name} of {title(block)} is an attribute, not a block",
                attribute.name_range,
                f"Write {name} {{ … }}.",
            )
        else:
            yield Finding(
                rules.UNKNOWN_ATTRIBUTE,
                f'{title(block)} has no attribute "{name}"',
                attribute.name_range,
                _elsewhere(name) or suggestion(name, known),
            )
    for inner in content.unknown_blocks:
        if inner.type in known:
            yield Finding(
                rules.BLOCK_FOR_ATTRIBUTE,
                f"{inner.type} of {title(block)} is a block, not an attribute",
                inner.type_range,
                f"Write {inner.type} = {{ … }}.",
            )
        else:
            yield Finding(
                rules.UNKNOWN_BLOCK,
                f'{title(block)} has no blocks "{inner.type}"',
                inner.type_range,
                suggestion(inner.type, [*known, *row.blocks]),
            )


def _elsewhere(name: str) -> str | None:
    """Which blocks do have an attribute of that name."""
    kinds = [kind for kind, row in BLOCKS.items() if name in row.attribute_names]
    return f"It is an attribute of {' and '.join(kinds)} blocks." if kinds else None


def _members(subject: Subject) -> Iterator[Finding]:
    """Members of entries in object form that the format drops."""
    for block in subject.blocks("target"):
        state = subject.evaluator.state_of(block)
        if not state.instances:
            continue
        for name, attribute in state.attributes.items():
            grammar = TEXTS_OF["target"][name].entries
            if grammar is None or grammar.open:
                continue
            for entry in _entries(attribute):
                yield from _unknown_members(subject, block, name, entry, grammar)


def _entries(attribute: Attribute) -> Iterator[Expression]:
    core = attribute.expr.core()
    listed = core.as_list()
    yield from [core] if listed is None else listed


def _unknown_members(
    subject: Subject, block: Block, field: str, entry: Expression, grammar: Grammar
) -> Iterator[Finding]:
    scope = subject.evaluator.state_of(block).instances[0].scope
    for key, _ in entry.core().as_map() or ():
        value = subject.evaluator.look_again(key, scope)
        if value is not None and isinstance(value.raw, str) and value.raw not in grammar.names:
            yield Finding(
                rules.UNKNOWN_MEMBER,
                f'{field} of {title(block)} has no member "{value.raw}"',
                key.range,
                suggestion(value.raw, grammar.names) or f"There are: {', '.join(grammar.names)}.",
            )


def _all_expressions(subject: Subject) -> Iterator[Expression]:
    for file in subject.files:
        for attribute in file.attributes.values():
            yield attribute.expr
    for block in subject.blocks():
        yield from subject.expressions(block)


def _legacy(expression: Expression) -> Iterator[Finding]:
    """Deprecated or needless forms within an expression. A template that stands in a JSON string is wrapped by need."""
    stack = [expression]
    while stack:
        node = stack.pop()
        if not isinstance(node, Node):
            node = node.core()
        if isinstance(node, TemplateWrap) and isinstance(expression, Node):
            yield Finding(rules.WRAPPED_EXPRESSION, "the template is nothing but one expression", node.range)
        if isinstance(node, Splat) and node.source.text[node.mark] == ".":
            yield Finding(rules.LEGACY_SYNTAX, "the splat `.*` is deprecated", node.start_range, "Write [*].")
        for step in getattr(node, "steps", ()):
            if isinstance(step, TraverseIndex) and step.source.text[step.start] == ".":
                written = step.source.text[step.start + 1 : step.end]
                yield Finding(
                    rules.LEGACY_SYNTAX,
                    f"the index `.{written}` is deprecated",
                    step.range,
                    f"Write [{written}].",
                )
        stack += [child for child, _ in node.children()]
