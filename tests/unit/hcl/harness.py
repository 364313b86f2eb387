"""Evaluates the differential cases with our own language room, in the little way that a definition file needs."""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic
from bakehouse.hcl import (
    STRING,
    AttributeSchema,
    BlockSchema,
    BodyContent,
    BodySchema,
    ConversionError,
    EvalContext,
    Value,
    parse_json,
    parse_native,
    stdlib,
)
from bakehouse.hcl.convert import convert


def message(found: list[Diagnostic], extra: int = 0) -> str:
    """The findings as buildx prints them; `extra` more were found elsewhere."""
    others = len(found) - 1 + extra
    return str(found[0]) + (f", and {others} other diagnostic(s)" if others else "")


def evaluate(expression: str) -> dict[str, str]:
    """The JSON of an expression, or the error, as `recording.definition` shows both."""
    text = f'v = {expression}\ntarget "t" {{\n  args = {{ x = jsonencode(v) }}\n}}\n'
    body, found = parse_native(text, "f.hcl")
    if found:
        return {"error": message(found)}
    library = stdlib()
    value, found = body.attributes["v"].expr.evaluate(EvalContext({}, library))
    if found:
        return {"error": message(found)}
    arguments, found = (
        body.blocks[0].body.attributes["args"].expr.evaluate(EvalContext({"v": value}, library))
    )
    if found:
        # Decoding the unknown result into a map of strings is one finding more.
        return {"error": message(found, 1)}
    return {"value": arguments.raw["x"].raw}


class Refused(Exception):
    """The definition has findings."""

    def __init__(self, found: list[Diagnostic]) -> None:
        super().__init__(message(found))


def _checked(found: list[Diagnostic]) -> None:
    if found:
        raise Refused(found)


def arguments_of(name: str, text: str) -> dict[str, str]:
    """The arguments of the target `t` of a definition file. Raises Refused."""
    body, found = (parse_json if name.endswith(".json") else parse_native)(text.encode(), name)
    _checked(found)
    content, found = body.content(BodySchema((), [BlockSchema("target", ("name",))]), partial=True)
    _checked(found)
    attributes, found = content.remain.just_attributes()
    _checked([finding for finding in found if finding.detail != "Blocks are not allowed here."])
    library, values = stdlib(), dict[str, Value]()
    for name_, attribute in attributes.items():
        values[name_], found = attribute.expr.evaluate(EvalContext(values, library))
        _checked(found)
    out: dict[str, str] = {}
    for block in content.blocks:
        if block.labels == ["t"]:
            out |= _block_arguments(
                block.body.content(BodySchema([AttributeSchema("args")]), partial=True), values
            )
    return out


def _block_arguments(
    result: tuple[BodyContent, list[Diagnostic]], values: dict[str, Value]
) -> dict[str, str]:
    content, found = result
    _checked(found)
    if "args" not in content.attributes:
        return {}
    expression = content.attributes["args"].expr
    value, found = expression.evaluate(EvalContext(values, stdlib()))
    _checked(found)
    out: dict[str, str] = {}
    for key, element in value.raw.items():
        try:
            text = convert(element, STRING).raw
        except ConversionError as error:
            detail = f'Unsuitable value: element "{key}": {error.message}'
            _checked([Diagnostic("Unsuitable value type", detail, subject=expression.start_range)])
        if text is not None:
            out[key] = text
    return out
