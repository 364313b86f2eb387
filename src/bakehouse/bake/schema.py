"""The JSON schema (draft 2020-12) of a definition in JSON form, made of the rows of `fields` and their texts.

It is for editors, so it is stricter than the reader in one thing: an attribute that no row knows is flagged, where
buildx (and we) pass over it. In all else it accepts what the reader may accept: wherever an expression may stand, a
string may be an HCL template, and what a template gives is not known here.
"""

from __future__ import annotations

import json

from bakehouse.bake import field_texts, kinds
from bakehouse.bake import fields as rows
from bakehouse.bake.fields import BLOCKS
from bakehouse.hcl import parse_expression, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bakehouse.bake.field_texts import Grammar, Member, Text
    from bakehouse.bake.fields import Attribute, BlockType, Field

    Schema = dict[str, object]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "Bake definition"
_NAME_PATTERN = "^[a-zA-Z0-9_-]+$"
_IDENTIFIER = "^[A-Za-z_\u0080-\uffff][0-9A-Za-z_\u0080-\uffff-]*$"
#: A string in which HCL computes something.
_TEMPLATE = r"[$%]\{"
_COMMENT = "//"


def definition_schema() -> Schema:
    """The whole schema as plain JSON values."""
    return {
        "$schema": DIALECT,
        "title": TITLE,
        "description": "A docker-bake.json file. Any other member at the top is a global attribute: a named value.",
        "type": "object",
        "properties": {
            _COMMENT: {"$ref": "#/$defs/comment"},
            "$schema": {"type": "string", "description": "Where an editor finds this schema. Ignored"},
            **{name: {"$ref": f"#/$defs/{name}s"} for name, block in BLOCKS.items() if block.labelled},
        },
        "additionalProperties": {"$ref": "#/$defs/any"},
        "$defs": {
            **_basics(),
            **{f"{name}s": _labelled(name) for name, block in BLOCKS.items() if block.labelled},
            **{name: _body(block) for name, block in BLOCKS.items()},
        },
    }


def _basics() -> Schema:
    """The types that attributes refer to."""
    return {
        "comment": {"description": "Ignored"},
        "any": {"description": "Any value; strings are HCL templates"},
        "template": {"type": "string", "pattern": _TEMPLATE},
        "text": {"type": ["string", "number", "boolean"]},
        "flag": {
            "anyOf": [
                {"type": "boolean"},
                {"enum": ["true", "false"]},
                {"enum": ["1", "0"]},
                {"$ref": "#/$defs/template"},
            ]
        },
        "number": {
            "anyOf": [
                {"type": "number"},
                {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"},
                {"$ref": "#/$defs/template"},
            ]
        },
        "identifier": {"type": "string", "pattern": _IDENTIFIER},
    }


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _or_template(*schemas: Schema) -> Schema:
    return {"anyOf": [*schemas, {"$ref": "#/$defs/template"}]}


def _text(text: Text) -> Schema:
    """A string; the values worth offering come first, for editors."""
    plain: Schema = {"$ref": "#/$defs/text"}
    return {"anyOf": [{"enum": list(text.values)}, plain]} if text.values else plain


def _texts(text: Text) -> Schema:
    return _or_template({"type": "array", "items": _text(text)})


def _map(member: Schema) -> Callable[[Text], Schema]:
    return lambda text: _or_template({"type": "object", "additionalProperties": member})


def _entries(text: Text) -> Schema:
    assert text.entries is not None
    string: Schema = {"type": "string", "description": _sentence(f"As a string: {text.entries.string}")}
    return _or_template({"type": "array", "items": {"anyOf": [_entry(text.entries), string]}})


def _object(text: Text) -> Schema:
    assert text.entries is not None
    return _or_template(_entry(text.entries))


def _entry(grammar: Grammar) -> Schema:
    out: Schema = {
        "type": "object",
        "properties": {member.name: _member(member) for member in grammar.members},
        "additionalProperties": {"$ref": "#/$defs/text"} if grammar.open else False,
    }
    if grammar.required:
        out["required"] = list(grammar.required)
    return out


def _member(member: Member) -> Schema:
    if member.type == field_texts.FLAG:
        schema: Schema = {"$ref": "#/$defs/flag"}
    elif member.type == field_texts.NUMBER:
        schema = {"$ref": "#/$defs/number"}
    elif member.type == field_texts.TEXTS:
        schema = _or_template({"type": "array", "items": {"$ref": "#/$defs/text"}})
    elif member.fixed:
        schema = {"anyOf": [{"enum": list(member.values)}, {"const": ""}, {"$ref": "#/$defs/template"}]}
    elif member.values:
        schema = {"anyOf": [{"enum": list(member.values)}, {"$ref": "#/$defs/text"}]}
    else:
        schema = {"$ref": "#/$defs/text"}
    return {"description": _sentence(member.text), **schema}


_OPTIONAL_TEXT: Schema = {"type": ["string", "number", "boolean", "null"]}
_AXIS: Schema = {"anyOf": [{"type": ["array", "object"]}, {"$ref": "#/$defs/template"}]}

#: What a shape is in JSON, and whether null is accepted (and means: not set).
_SHAPES: Mapping[str, tuple[Callable[[Text], Schema], bool]] = {
    kinds.SHAPE_TEXT: (_text, True),
    kinds.SHAPE_FLAG: (lambda text: {"$ref": "#/$defs/flag"}, True),
    kinds.SHAPE_TEXTS: (_texts, True),
    kinds.SHAPE_NAMES: (_map({"$ref": "#/$defs/text"}), True),
    kinds.SHAPE_NULLABLE_NAMES: (_map(_OPTIONAL_TEXT), True),
    kinds.SHAPE_ENTRIES: (_entries, False),
    kinds.SHAPE_OBJECT: (_object, False),
    rows.SHAPE_ANY: (lambda text: {"$ref": "#/$defs/any"}, False),
    rows.SHAPE_TYPE: (lambda text: {"type": "string"}, True),
    rows.SHAPE_NAME: (lambda text: {"$ref": "#/$defs/identifier"}, False),
    rows.SHAPE_NAME_LIST: (
        lambda text: {"type": "array", "items": {"$ref": "#/$defs/identifier"}},
        False,
    ),
    rows.SHAPE_CONDITION: (lambda text: {"$ref": "#/$defs/flag"}, False),
    rows.SHAPE_AXES: (lambda text: _or_template({"type": "object", "additionalProperties": _AXIS}), False),
}


def _attribute(row: Field | Attribute, text: Text) -> Schema:
    shape = row.shape
    make, nullable = _SHAPES[shape]
    schema = make(text)
    if nullable and row.kind is not kinds.REQUIRED_TEXT:
        schema = _or_null(schema)
    out: Schema = {"description": _sentence(text.sentence), **schema}
    if text.example:
        example = json_example(row, text.example)
        shown = f"{json.dumps(row.name)}: {json.dumps(example, ensure_ascii=False)}"
        out["examples"] = [example]
        out["markdownDescription"] = f"{_sentence(text.sentence)}\n\n```json\n{shown}\n```"
    return out


def json_example(row: Field | Attribute, source: str) -> object:
    """An example, which is written in HCL, as the JSON form has it."""
    if row.shape == rows.SHAPE_NAME_LIST:
        return [name.strip() for name in source.strip("[]").split(",")]
    if row.shape in (rows.SHAPE_NAME, rows.SHAPE_TYPE):
        return source
    expression, _ = parse_expression(source, "example", 1, 1, 0)
    value, findings = expression.evaluate(None)
    if not findings:
        return json.loads(to_json(value))
    # A template is the same text in both forms; any other expression becomes one.
    return source[1:-1] if source.startswith('"') else f"${{{source}}}"


def _body(block: BlockType) -> Schema:
    """What stands between the braces of a block."""
    texts = field_texts.TEXTS_OF[block.name]
    properties: Schema = {_COMMENT: {"$ref": "#/$defs/comment"}}
    properties.update({row.name: _attribute(row, texts[row.name]) for row in block.rows})
    for inner in block.blocks:
        body: Schema = {"$ref": f"#/$defs/{inner}"}
        properties[inner] = {
            "description": _sentence(texts[inner].sentence),
            "anyOf": [body, {"type": "array", "items": body}],
        }
    out: Schema = {
        "type": "object",
        "description": _sentence(field_texts.BLOCK_TEXTS[block.name]),
        "properties": properties,
        "additionalProperties": False,
    }
    required = [row.name for row in block.rows if getattr(row, "required", False)]
    if required:
        out["required"] = required
    return out


def _labelled(kind: str) -> Schema:
    """The blocks of a type by their names; an array at either level repeats them."""
    body: Schema = {"$ref": f"#/$defs/{kind}"}
    repeated: Schema = {"anyOf": [body, {"type": "array", "items": body}, {"type": "null"}]}
    named: Schema = {"type": "object", "additionalProperties": repeated}
    if kind in ("target", "group"):
        named["propertyNames"] = {"pattern": _NAME_PATTERN}
    return {
        "description": _sentence(field_texts.BLOCK_TEXTS[kind]),
        "anyOf": [
            {**named, "minProperties": 1},
            {"type": "array", "items": named, "minItems": 1},
        ],
    }


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
