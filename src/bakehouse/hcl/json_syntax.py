"""The JSON syntax of HCL: bodies and expressions over a JSON tree (hashicorp/hcl `json/structure.go`).

A property is an attribute or a block as the schema says; strings in expressions are templates.
"""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic, Position, SourceRange
from bakehouse.hcl.json_scanner import JsonNode, JsonProperty, parse
from bakehouse.hcl.syntax import (
    Attribute,
    Block,
    BlockSchema,
    Body,
    BodyContent,
    BodySchema,
    Expression,
    StaticCall,
    range_between,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakehouse.hcl.evaluation import EvalContext
    from bakehouse.hcl.expressions import Node
    from bakehouse.hcl.traversal import Traversal
    from bakehouse.hcl.values import Value

_NO_NAMES: frozenset[str] = frozenset()


def parse_json(text: str | bytes, filename: str) -> tuple[Body, list[Diagnostic]]:
    """Parse a file in JSON syntax, whose root is an object or an array of objects. The body holds what could
    be read; it is complete if there are no findings."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    root, found = parse(text, filename)
    if root.kind not in ("object", "array"):
        found.append(
            Diagnostic(
                "Root value must be object",
                "The root value in a JSON-based configuration must be either a JSON object or a JSON array of objects.",
                subject=root.open_range,
            )
        )
        origin = Position(1, 1, 0)
        root = JsonNode("object", [], SourceRange(filename, origin, origin))
    return JsonBody(root), found


class JsonExpression(Expression):
    """A JSON value in the place of an expression. The template in a string is parsed once, when needed."""

    __slots__ = ("_parsed", "node")

    def __init__(self, node: JsonNode) -> None:
        self.node = node
        self._parsed: tuple[Node, list[Diagnostic]] | None = None

    @property
    def range(self) -> SourceRange:
        return self.node.range

    @property
    def start_range(self) -> SourceRange:
        return self.node.open_range

    def _template(self) -> tuple[Node, list[Diagnostic]]:
        if self._parsed is None:
            from bakehouse.hcl.parser import parse_template

            start = self.node.range.start
            # One column for the quote; escapes before a place make it inexact, as in the original.
            self._parsed = parse_template(
                self.node.value, self.node.range.filename, start.line, start.column + 1, start.byte + 1
            )
        return self._parsed

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.types import NUMBER
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN, NULL, Value, boolean, string

        kind, raw = self.node.kind, self.node.value
        if kind == "string":
            if context is None:
                return string(raw), []
            template, found = self._template()
            return (DYNAMIC_UNKNOWN, list(found)) if found else template.evaluate(context)
        if kind == "number":
            return Value(NUMBER, raw), []
        if kind == "bool":
            return boolean(raw), []
        if kind == "null":
            return NULL, []
        if kind == "array":
            return self._evaluate_array(context)
        if kind == "object":
            return self._evaluate_object(context)
        return DYNAMIC_UNKNOWN, []

    def _evaluate_array(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import tuple_

        found: list[Diagnostic] = []
        values: list[Value] = []
        for node in self.node.value:
            value, more = JsonExpression(node).evaluate(context)
            values.append(value)
            found += more
        return tuple_(values), found

    def _evaluate_object(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN, UNKNOWN, normalize, object_

        found: list[Diagnostic] = []
        values: dict[str, Value] = {}
        ranges: dict[str, SourceRange] = {}
        known = True
        for item in self.node.value:
            key, key_findings = _key_expression(item).evaluate(context)
            value, value_findings = JsonExpression(item.value).evaluate(context)
            found += key_findings
            found += value_findings
            name = _key_text(key, item, found)
            if name is UNKNOWN:
                known = False
            elif isinstance(name, str):
                name = normalize(name)
                if name in values:
                    detail = f'An attribute named "{name}" was already defined at {ranges[name]!r}.'
                    found.append(Diagnostic("Duplicate object attribute", detail, subject=item.name_range))
                else:
                    values[name] = value
                    ranges[name] = item.name_range
        return (object_(values) if known else DYNAMIC_UNKNOWN), found

    def variables(self) -> list[Traversal]:
        if self.node.kind == "string":
            template, found = self._template()
            return [] if found else template.variables()
        return [traversal for child, _ in self.children() for traversal in child.variables()]

    def functions(self) -> list[str]:
        """As buildx finds them: it reads each string as an expression, not as a template, so `"f(x)"` calls f while
        `"${f(x)}"` seems to call nothing."""
        if self.node.kind == "string":
            from bakehouse.hcl.parser import parse_expression

            start = self.node.range.start
            place = (start.line, start.column, start.byte)
            node, found = parse_expression(self.node.value, self.node.range.filename, *place)
            return [] if found else node.functions()
        return [name for child, _ in self.children() for name in child.functions()]

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        if self.node.kind == "array":
            for node in self.node.value:
                yield JsonExpression(node), _NO_NAMES
        elif self.node.kind == "object":
            for item in self.node.value:
                yield _key_expression(item), _NO_NAMES
                yield JsonExpression(item.value), _NO_NAMES

    def as_traversal(self) -> Traversal | None:
        if self.node.kind != "string":
            return None
        from bakehouse.hcl.parser import parse_traversal

        start = self.node.range.start
        place = (start.line, start.column, start.byte)
        return parse_traversal(self.node.value, self.node.range.filename, *place)[0]

    def as_list(self) -> list[Expression] | None:
        if self.node.kind != "array":
            return None
        return [JsonExpression(node) for node in self.node.value]

    def as_map(self) -> list[tuple[Expression, Expression]] | None:
        if self.node.kind != "object":
            return None
        return [(_key_expression(item), JsonExpression(item.value)) for item in self.node.value]

    def core(self) -> Expression:
        if self.node.kind != "string":
            return self
        template, found = self._template()
        return self if found else template.core()

    def as_call(self) -> StaticCall | None:
        if self.node.kind != "string":
            return None
        from bakehouse.hcl.parser import parse_expression

        start = self.node.range.start
        place = (start.line, start.column, start.byte)
        node, found = parse_expression(self.node.value, self.node.range.filename, *place)
        return None if found else node.as_call()


def _key_expression(item: JsonProperty) -> JsonExpression:
    return JsonExpression(JsonNode("string", item.name, item.name_range))


def _key_text(key: Value, item: JsonProperty, found: list[Diagnostic]) -> object:
    """The text of a key, UNKNOWN, or None after reporting why there is none."""
    from bakehouse.hcl.convert import ConversionError, convert
    from bakehouse.hcl.types import STRING

    try:
        text: object = convert(key, STRING).raw
    except ConversionError as error:
        text, detail = None, f"Cannot use this expression as an object key: {error.message}."
    else:
        detail = "Cannot use null value as an object key."
    if text is None:
        found.append(Diagnostic("Invalid object key expression", detail, subject=item.name_range))
    return text


class JsonBody(Body):
    """An object (or an array of objects) seen as a body. `hidden` names were taken by earlier calls of `content`."""

    __slots__ = ("hidden", "node")

    def __init__(self, node: JsonNode, hidden: frozenset[str] = frozenset()) -> None:
        self.node = node
        self.hidden = hidden

    @property
    def attributes(self) -> dict[str, Attribute]:
        return self.just_attributes()[0]

    @property
    def blocks(self) -> list[Block]:
        return []

    @property
    def missing_item_range(self) -> SourceRange:
        return self.node.close_range if self.node.kind == "object" else self.node.open_range

    def content(self, schema: BodySchema, partial: bool = False) -> tuple[BodyContent, list[Diagnostic]]:
        found: list[Diagnostic] = []
        attributes: dict[str, Attribute] = {}
        blocks: list[Block] = []
        wanted_attributes = {wanted.name for wanted in schema.attributes}
        wanted_blocks = {wanted.type: wanted for wanted in schema.blocks}
        used = set(self.hidden)
        for item in _properties(self.node, None, found):
            if item.name in self.hidden:
                continue
            if item.name in wanted_attributes:
                existing = attributes.get(item.name)
                if existing is not None:
                    detail = f'The argument "{item.name}" was already set at {existing.range!r}.'
                    found.append(Diagnostic("Duplicate argument", detail, subject=item.name_range))
                    continue
                attributes[item.name] = _attribute(item)
                used.add(item.name)
            elif item.name in wanted_blocks:
                _Unpacker(wanted_blocks[item.name], item.name_range, blocks, found).unpack(item.value, [], [])
                used.add(item.name)
        for wanted in schema.attributes:
            if wanted.required and wanted.name not in attributes:
                detail = f'The argument "{wanted.name}" is required, but no definition was found.'
                found.append(Diagnostic("Missing required argument", detail, subject=self.missing_item_range))
        remain = JsonBody(self.node, frozenset(used))
        if not partial:
            self._report_rest(remain, schema, found)
        return BodyContent(attributes, blocks, self.missing_item_range, remain), found

    def _report_rest(self, remain: JsonBody, schema: BodySchema, found: list[Diagnostic]) -> None:
        from bakehouse.go.text import quote
        from bakehouse.hcl.evaluation import suggestion

        names = [wanted.name for wanted in schema.attributes if wanted.name not in remain.hidden]
        names += [wanted.type for wanted in schema.blocks]
        for item in _properties(self.node, None, found):
            if item.name == "//" or item.name in remain.hidden:
                continue
            close = suggestion(item.name, names)
            hint = f" Did you mean {quote(close)}?" if close else ""
            detail = f"No argument or block type is named {quote(item.name)}.{hint}"
            found.append(Diagnostic("Extraneous JSON object property", detail, subject=item.name_range))

    def just_attributes(self) -> tuple[dict[str, Attribute], list[Diagnostic]]:
        if self.node.kind != "object":
            detail = "A JSON object is required here, setting the arguments for this block."
            return {}, [Diagnostic("Incorrect JSON value type", detail, subject=self.node.open_range)]
        found: list[Diagnostic] = []
        attributes: dict[str, Attribute] = {}
        for item in self.node.value:
            if item.name == "//" or item.name in self.hidden:
                continue
            existing = attributes.get(item.name)
            if existing is None:
                attributes[item.name] = _attribute(item)
            else:
                detail = f'The argument "{item.name}" was already set at {existing.range!r}.'
                found.append(Diagnostic("Duplicate attribute definition", detail, subject=item.name_range))
        return attributes, found


def _attribute(item: JsonProperty) -> Attribute:
    whole = range_between(item.name_range, item.value.range)
    return Attribute(item.name, JsonExpression(item.value), whole, item.name_range)


def _properties(node: JsonNode, label: str | None, found: list[Diagnostic]) -> list[JsonProperty]:
    """The properties of an object, or of all objects of an array; `label` names the block label that they stand for."""
    summary = "Incorrect JSON value type"
    purpose = "to define arguments and child blocks."
    if label is not None:
        purpose = f"to specify {label} labels for this block."
    if node.kind == "object":
        return list(node.value)
    if node.kind == "null":
        return []
    if node.kind != "array":
        detail = f"Either a JSON object or JSON array of objects is required here, {purpose}"
        found.append(Diagnostic(summary, detail, subject=node.open_range))
        return []
    out: list[JsonProperty] = []
    for element in node.value:
        if element.kind == "object":
            out += element.value
        else:
            detail = f"A JSON object is required here, {purpose}"
            found.append(Diagnostic(summary, detail, subject=element.open_range))
    return out


class _Unpacker:
    """Makes blocks of one type out of nested objects, a level a label."""

    __slots__ = ("blocks", "found", "schema", "type_range")

    def __init__(
        self, schema: BlockSchema, type_range: SourceRange, blocks: list[Block], found: list[Diagnostic]
    ) -> None:
        self.schema = schema
        self.type_range = type_range
        self.blocks = blocks
        self.found = found

    def unpack(self, node: JsonNode, labels: list[str], ranges: list[SourceRange]) -> None:
        schema = self.schema
        if len(labels) == len(schema.label_names):
            self._blocks_of(node, labels, ranges)
            return
        label = schema.label_names[len(labels)]
        items = _properties(node, label, self.found)
        if not items:
            represented = f"the {schema.type} block's {label}"
            detail = f"At least one object property is required, whose name represents {represented}."
            self.found.append(Diagnostic("Missing block label", detail, subject=node.open_range))
        for item in items:
            self.unpack(item.value, [*labels, item.name], [*ranges, item.name_range])

    def _blocks_of(self, node: JsonNode, labels: list[str], ranges: list[SourceRange]) -> None:
        if node.kind == "null":
            return
        if node.kind not in ("object", "array"):
            detail = (
                "Either a JSON object or a JSON array is required, representing the contents of one or more "
                f'"{self.schema.type}" blocks.'
            )
            self.found.append(Diagnostic("Incorrect JSON value type", detail, subject=node.open_range))
            return
        for body in [node] if node.kind == "object" else node.value:
            self.blocks.append(
                Block(
                    self.schema.type,
                    labels,
                    JsonBody(body),
                    type_range=self.type_range,
                    label_ranges=ranges,
                    def_range=node.open_range,
                    open_brace_range=node.open_range,
                    close_brace_range=body.close_range,
                )
            )
