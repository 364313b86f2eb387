"""What is looked at: a loaded definition with the record of its evaluation, and help for walking its blocks."""

from __future__ import annotations

from bakehouse.bake.declarations import BLOCK_SCHEMAS, BLOCK_TYPES, has_errors
from bakehouse.bake.explain.provenance import Provenance
from bakehouse.bake.fields import BLOCKS
from bakehouse.hcl.syntax import BlockSchema, BodySchema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bakehouse.bake.blocks import BlockState, Instance
    from bakehouse.bake.definition import Definition
    from bakehouse.bake.evaluator import Evaluator
    from bakehouse.bake.recorder import Recorder
    from bakehouse.hcl.syntax import Attribute, Block, Body, Expression

_LABELLED = tuple([name for name, block in BLOCKS.items() if block.labelled])
_TOP = BodySchema((), tuple([BlockSchema(name, ("name",)) for name in _LABELLED]))
_VARIABLE = BodySchema((), (BlockSchema("validation"),))


class Content:
    """A body, divided: `blocks` of known types, `attributes` that its block type has (at the top: global ones), and
    what it should not have."""

    __slots__ = ("attributes", "blocks", "unknown_attributes", "unknown_blocks")

    def __init__(
        self,
        attributes: dict[str, Attribute],
        blocks: list[Block],
        unknown_attributes: dict[str, Attribute],
        unknown_blocks: list[Block],
    ) -> None:
        self.attributes = attributes
        self.blocks = blocks
        self.unknown_attributes = unknown_attributes
        self.unknown_blocks = unknown_blocks


def top_content(body: Body) -> Content:
    """What stands at the top of a file."""
    content, _ = body.content(_TOP, partial=True)
    attributes, _ = content.remain.just_attributes()
    return Content(attributes, content.blocks, {}, content.remain.blocks)


def block_content(block: Block) -> Content:
    """What stands in a block of a known type."""
    row = BLOCKS[block.type]
    content, _ = block.body.content(_schema(block.type), partial=True)
    rest, findings = content.remain.just_attributes()
    # A body that is a list of objects (JSON) has no single set of attributes: it is left alone.
    unknown = {} if has_errors(findings) and not rest else rest
    known = {name: item for name, item in content.attributes.items() if name in row.attribute_names}
    return Content(known, content.blocks, unknown, content.remain.blocks)


def _schema(kind: str) -> BodySchema:
    from bakehouse.hcl.syntax import AttributeSchema

    if kind in BLOCK_SCHEMAS:
        return BLOCK_SCHEMAS[kind]
    row = BLOCKS[kind]
    return BodySchema(
        tuple([AttributeSchema(name) for name in row.attribute_names]),
        tuple([BlockSchema(name) for name in row.blocks]),
    )


class Subject:
    """A definition that was loaded with `record`, with the process's `cwd` and `environ`."""

    def __init__(
        self, definition: Definition, record: Recorder, cwd: str, environ: Mapping[str, str]
    ) -> None:
        assert record.evaluator is not None
        self.definition = definition
        self.record = record
        self.evaluator: Evaluator = record.evaluator
        self.provenance = Provenance(definition, record)
        self.cwd = cwd
        self.environ = environ
        self.files = [top_content(body) for body in record.bodies]
        # A JSON body makes its blocks anew for each who asks: those that were evaluated are the ones to look at.
        evaluated = iter(self.evaluator.declared.blocks)
        for file in self.files:
            file.blocks = [next(evaluated) if block.type in BLOCK_TYPES else block for block in file.blocks]

    def blocks(self, *kinds: str) -> Iterator[Block]:
        """The labelled blocks of these types (none named: all), in the order of files and lines."""
        for file in self.files:
            yield from (block for block in file.blocks if not kinds or block.type in kinds)

    def expressions(self, block: Block) -> Iterator[Expression]:
        """The expressions of a block and of the blocks within it."""
        content = block_content(block)
        for attribute in content.attributes.values():
            yield attribute.expr
        for inner in content.blocks:
            yield from self.expressions(inner)

    def instances(self, kind: str, name: str) -> Iterator[tuple[BlockState, Instance]]:
        """The evaluated blocks of a target or group, the last one first."""
        yield from self.evaluator.blocks_named(name, kind)
