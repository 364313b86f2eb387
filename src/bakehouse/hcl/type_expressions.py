"""Type expressions such as `list(string)` and `object({a=number, b=optional(bool)})` (hashicorp/hcl `ext/typeexpr`)."""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic
from bakehouse.go.text import quote
from bakehouse.hcl.static import as_keyword
from bakehouse.hcl.syntax import range_between
from bakehouse.hcl.types import (
    BOOL,
    DYNAMIC,
    NUMBER,
    STRING,
    ListType,
    MapType,
    ObjectType,
    SetType,
    TupleType,
    Type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.diagnostics import SourceRange
    from bakehouse.hcl.syntax import Expression, StaticCall

_SUMMARY = "Invalid type specification"
_KEYWORDS = {"bool": BOOL, "string": STRING, "number": NUMBER, "any": DYNAMIC}
_COLLECTIONS = {"list": ListType, "set": SetType, "map": MapType}
_ARGUMENT = {
    "object": (
        "The object type constructor requires one argument specifying the attribute types and values as a map."
    ),
    "tuple": "The tuple type constructor requires one argument specifying the element types as a list.",
}


def type_string(type_: Type) -> str:
    """The type as a type expression."""
    return type_.expression()


def _wrong(
    detail: str, subject: SourceRange, context: SourceRange | None = None
) -> tuple[Type, list[Diagnostic]]:
    return DYNAMIC, [Diagnostic(_SUMMARY, detail, subject=subject, context=context)]


def _argument_required(name: str) -> str:
    return _ARGUMENT.get(
        name, f"The {name} type constructor requires one argument specifying the element type."
    )


def parse_type(expression: Expression) -> tuple[Type, list[Diagnostic]]:
    """The type constraint that the expression is written as; DYNAMIC with findings if it is none."""
    keyword = as_keyword(expression)
    if keyword in _KEYWORDS:
        return _KEYWORDS[keyword], []
    if keyword in _COLLECTIONS or keyword in _ARGUMENT:
        return _wrong(_argument_required(keyword), expression.range)
    if keyword:
        detail = f"The keyword {quote(keyword)} is not a valid type specification."
        return _wrong(detail, expression.range)
    call = expression.as_call()
    if call is None:
        return _wrong(
            "A type specification is either a primitive type keyword (bool, number, string) or a complex type "
            "constructor call, like list(string).",
            expression.range,
        )
    return _from_call(call, expression)


def _from_call(call: StaticCall, expression: Expression) -> tuple[Type, list[Diagnostic]]:
    name = call.name
    if name in _KEYWORDS:
        kind = "Type constraint" if name == "any" else "Primitive type"
        detail = f"{kind} keyword {quote(name)} does not expect arguments."
        return _wrong(detail, call.arguments_range)
    if name in _COLLECTIONS or name in _ARGUMENT:
        if len(call.arguments) != 1:
            subject = call.arguments_range
            if len(call.arguments) > 1:
                subject = range_between(call.arguments[1].range, call.arguments[-1].range)
            return _wrong(_argument_required(name), subject, call.arguments_range)
        if name in _COLLECTIONS:
            element, found = parse_type(call.arguments[0])
            return _COLLECTIONS[name](element), found
        if name == "object":
            return _object(call.arguments[0], expression)
        return _tuple(call.arguments[0], expression)
    if name == "optional":
        detail = f"Keyword {quote(name)} is valid only as a modifier for object type attributes."
        return _wrong(detail, call.name_range)
    return _wrong(f"Keyword {quote(name)} is not a valid type constructor.", expression.range)


def _tuple(argument: Expression, expression: Expression) -> tuple[Type, list[Diagnostic]]:
    elements = argument.as_list()
    if elements is None:
        detail = "Tuple type constructor requires a list of element types."
        return _wrong(detail, argument.range, expression.range)
    found: list[Diagnostic] = []
    types: list[Type] = []
    for element in elements:
        type_, more = parse_type(element)
        types.append(type_)
        found += more
    return TupleType(types), found


def _object(argument: Expression, expression: Expression) -> tuple[Type, list[Diagnostic]]:
    pairs = argument.as_map()
    if pairs is None:
        detail = (
            "Object type constructor requires a map whose keys are attribute names and whose values are the "
            "corresponding attribute types."
        )
        return _wrong(detail, argument.range, expression.range)
    found: list[Diagnostic] = []
    attributes: dict[str, Type] = {}
    optional: list[str] = []
    for key, value in pairs:
        name = as_keyword(key)
        fault = "" if name else "Object constructor map keys must be attribute names."
        if name in attributes:
            fault = "Object constructor map keys must be unique."
        if fault:
            found.append(Diagnostic(_SUMMARY, fault, subject=key.range, context=expression.range))
            continue
        inner = _unwrap_optional(name, value, optional, found)
        if inner is not None:
            attributes[name], more = parse_type(inner)
            found += more
    return ObjectType(attributes, optional), found


def _unwrap_optional(
    name: str, value: Expression, optional: list[str], found: list[Diagnostic]
) -> Expression | None:
    """The type of an attribute without `optional( )`, whose name is then noted; None when it has no type."""
    call = value.as_call()
    if call is None or call.name != "optional":
        return value
    if len(call.arguments) == 1:
        optional.append(name)
        return call.arguments[0]
    detail = "Optional attribute modifier expects only one argument: the attribute type."
    if not call.arguments:
        detail = "Optional attribute modifier requires the attribute type as its argument."
    found.append(Diagnostic(_SUMMARY, detail, subject=call.arguments_range, context=value.range))
    return call.arguments[0] if call.arguments else None
