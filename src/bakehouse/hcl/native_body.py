"""Bodies of the native syntax and what a schema finds in them (hashicorp/hcl `hclsyntax/structure.go`)."""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic, SourceRange
from bakehouse.hcl.syntax import Attribute, Block, BlockSchema, Body, BodyContent, BodySchema, range_between
from bakehouse.hcl.traversal import Spanned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.hcl.expressions import Node
    from bakehouse.hcl.source import Source


class NativeAttribute(Attribute):
    """An attribute whose ranges are computed when asked for."""

    __slots__ = ("end", "name_end", "source", "start")

    def __init__(self, name: str, expr: Node, source: Source, start: int, name_end: int, end: int) -> None:
        self.name = name
        self.expr = expr
        self.source = source
        self.start = start
        self.name_end = name_end
        self.end = end

    @property
    def range(self) -> SourceRange:  # type: ignore[override]
        return self.source.range(self.start, self.end)

    @property
    def name_range(self) -> SourceRange:  # type: ignore[override]
        return self.source.range(self.start, self.name_end)


class NativeBlock(Block):
    """A block whose ranges are computed when asked for; `spans` are offsets: the type, each label, the two braces."""

    __slots__ = ("close_span", "label_spans", "open_span", "source", "type_span")

    def __init__(
        self,
        type_: str,
        labels: list[str],
        body: NativeBody,
        source: Source,
        type_span: tuple[int, int],
        label_spans: list[tuple[int, int]],
        open_span: tuple[int, int],
        close_span: tuple[int, int],
    ) -> None:
        self.type = type_
        self.labels = labels
        self.body = body
        self.source = source
        self.type_span = type_span
        self.label_spans = label_spans
        self.open_span = open_span
        self.close_span = close_span

    @property
    def type_range(self) -> SourceRange:  # type: ignore[override]
        return self.source.range(*self.type_span)

    @property
    def label_ranges(self) -> list[SourceRange]:  # type: ignore[override]
        return [self.source.range(*span) for span in self.label_spans]

    @property
    def def_range(self) -> SourceRange:  # type: ignore[override]
        last = self.label_spans[-1] if self.label_spans else self.type_span
        return self.source.range(self.type_span[0], last[1])

    @property
    def open_brace_range(self) -> SourceRange:  # type: ignore[override]
        return self.source.range(*self.open_span)

    @property
    def close_brace_range(self) -> SourceRange:  # type: ignore[override]
        return self.source.range(*self.close_span)


class NativeBody(Spanned, Body):
    """The attributes and blocks between two braces or of a file. `hidden` bodies leave out what earlier calls of
    `content` took."""

    __slots__ = ("_attributes", "_blocks", "hidden_attributes", "hidden_blocks")

    def __init__(
        self,
        attributes: dict[str, Attribute],
        blocks: list[Block],
        source: Source,
        start: int,
        end: int,
        hidden_attributes: frozenset[str] = frozenset(),
        hidden_blocks: frozenset[str] = frozenset(),
    ) -> None:
        self._attributes = attributes
        self._blocks = blocks
        self.source = source
        self.start = start
        self.end = end
        self.hidden_attributes = hidden_attributes
        self.hidden_blocks = hidden_blocks

    @property
    def attributes(self) -> dict[str, Attribute]:
        hidden = self.hidden_attributes
        return {name: item for name, item in self._attributes.items() if name not in hidden}

    @property
    def blocks(self) -> list[Block]:
        return [block for block in self._blocks if block.type not in self.hidden_blocks]

    @property
    def missing_item_range(self) -> SourceRange:
        return self.source.range(self.start, self.start)

    def content(self, schema: BodySchema, partial: bool = False) -> tuple[BodyContent, list[Diagnostic]]:
        found: list[Diagnostic] = []
        attributes: dict[str, Attribute] = {}
        for wanted in schema.attributes:
            attribute = self._attributes.get(wanted.name)
            if attribute is not None and wanted.name not in self.hidden_attributes:
                attributes[wanted.name] = attribute
            elif wanted.required:
                detail = f'The argument "{wanted.name}" is required, but no definition was found.'
                found.append(Diagnostic("Missing required argument", detail, subject=self.missing_item_range))
        wanted_blocks = {wanted.type: wanted for wanted in schema.blocks}
        blocks = [
            block
            for block in self.blocks
            if block.type in wanted_blocks and _labels_fit(block, wanted_blocks[block.type], found)
        ]
        remain = NativeBody(
            self._attributes,
            self._blocks,
            self.source,
            self.start,
            self.end,
            self.hidden_attributes.union(attributes),
            self.hidden_blocks.union(wanted_blocks),
        )
        if not partial:
            _report_rest(remain, schema, attributes, found)
        return BodyContent(attributes, blocks, self.missing_item_range, remain), found

    def just_attributes(self) -> tuple[dict[str, Attribute], list[Diagnostic]]:
        found = []
        if self._blocks:
            # Hidden blocks count, as in the original.
            example = self._blocks[0]
            found.append(
                Diagnostic(
                    f'Unexpected "{example.type}" block',
                    "Blocks are not allowed here.",
                    subject=example.type_range,
                )
            )
        return self.attributes, found


def _labels_fit(block: Block, wanted: BlockSchema, found: list[Diagnostic]) -> bool:
    have, want = len(block.labels), len(wanted.label_names)
    if have == want:
        return True
    names = ", ".join(wanted.label_names)
    if have > want:
        summary = f"Extraneous label for {block.type}"
        detail = f"Only {want} labels ({names}) are expected for {block.type} blocks."
        if want == 0:
            detail = f"No labels are expected for {block.type} blocks."
        subject = block.label_ranges[want]
    else:
        summary = f"Missing {wanted.label_names[have]} for {block.type}"
        detail = f"All {block.type} blocks must have {want} labels ({names})."
        subject = block.open_brace_range
    context = range_between(block.type_range, block.open_brace_range)
    found.append(Diagnostic(summary, detail, subject=subject, context=context))
    return False


def _report_rest(
    remain: NativeBody, schema: BodySchema, taken: dict[str, Attribute], found: list[Diagnostic]
) -> None:
    """Findings about everything that the schema does not name."""
    from bakehouse.hcl.evaluation import suggestion

    attribute_names = [wanted.name for wanted in schema.attributes]
    block_types = [wanted.type for wanted in schema.blocks]
    for name, attribute in remain.attributes.items():
        close = suggestion(name, (other for other in attribute_names if other not in taken))
        hint = f' Did you mean "{close}"?' if close else ""
        if not close and name in block_types:
            hint = f' Did you mean to define a block of type "{name}"?'
        detail = f'An argument named "{name}" is not expected here.{hint}'
        found.append(Diagnostic("Unsupported argument", detail, subject=attribute.name_range))
    for block in remain.blocks:
        close = suggestion(block.type, block_types)
        hint = f' Did you mean "{close}"?' if close else ""
        if not close and block.type in attribute_names:
            hint = f' Did you mean to define argument "{block.type}"? If so, use the equals sign to assign it a value.'
        detail = f'Blocks of type "{block.type}" are not expected here.{hint}'
        found.append(Diagnostic("Unsupported block type", detail, subject=block.type_range))
