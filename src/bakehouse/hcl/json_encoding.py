"""Values to JSON and back (go-cty's `json` package): `to_json` is `jsonencode`, `from_json` is `jsondecode`."""

from __future__ import annotations

from bakehouse.go.jsontext import quote_json
from bakehouse.go.text import replace_invalid
from bakehouse.hcl import numbers
from bakehouse.hcl.convert import ConversionError, convert
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
from bakehouse.hcl.values import (
    UNKNOWN,
    Value,
    boolean,
    list_,
    map_,
    null,
    object_,
    set_,
    string,
    tuple_,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from bakehouse.hcl.convert import Path


def to_json(value: Value, type_: Type | None = None) -> str:
    """The value as compact JSON, object keys sorted. With `type_`, parts that are dynamic in it are written
    with their type
    (`{"value":…,"type":…}`), as go-cty does. Raises ConversionError for what is unknown or infinite."""
    out: list[str] = []
    _encode(value, value.type if type_ is None else type_, (), out)
    return "".join(out)


def _encode(value: Value, type_: Type, path: Path, out: list[str]) -> None:
    if value.raw is UNKNOWN:
        raise ConversionError(path, "value is not known")
    if type_ is DYNAMIC and value.type is not DYNAMIC:
        out.append('{"value":')
        _encode(value, value.type, path, out)
        out.append(f',"type":{type_to_json(value.type)}}}')
    elif value.raw is None:
        out.append("null")
    elif type(value.raw) is dict:
        _encode_members(value, type_, path, out)
    elif type(value.raw) is tuple:
        out.append("[")
        for index, element in enumerate(value.raw):
            if index:
                out.append(",")
            _encode(element, _element_type(type_, index, element), (*path, index), out)
        out.append("]")
    elif value.type is NUMBER:
        out.append(_number_text(value.raw, path))
    else:
        out.append(quote_json(value.raw) if value.type is STRING else "true" if value.raw else "false")


def _encode_members(value: Value, type_: Type, path: Path, out: list[str]) -> None:
    out.append("{")
    for index, (key, element) in enumerate(value.raw.items()):
        if index:
            out.append(",")
        out.append(quote_json(key) + ":")
        _encode(element, _element_type(type_, key, element), (*path, key), out)
    out.append("}")


def _element_type(type_: Type, key: int | str, element: Value) -> Type:
    if isinstance(type_, (ListType, SetType, MapType)):
        return type_.element
    if isinstance(type_, TupleType) and isinstance(key, int):
        return type_.elements[key]
    if isinstance(type_, ObjectType) and isinstance(key, str):
        return type_.attributes[key]
    return element.type


def _number_text(number: numbers.Number, path: Path) -> str:
    if numbers.is_infinite(number):
        raise ConversionError(path, "cannot serialize infinity as JSON")
    try:
        return numbers.to_text(number)
    except numbers.NumberError as error:
        raise ConversionError(path, str(error)) from None


def type_to_json(type_: Type) -> str:
    """A type as go-cty writes it: `"string"`, `["list","string"]`, `["object",{"a":"number"}]`."""
    if isinstance(type_, (ListType, SetType, MapType)):
        return f'["{type_.kind}",{type_to_json(type_.element)}]'
    if isinstance(type_, TupleType):
        return f'["tuple",[{",".join(map(type_to_json, type_.elements))}]]'
    if isinstance(type_, ObjectType):
        inner = ",".join(f"{quote_json(name)}:{type_to_json(of)}" for name, of in type_.attributes.items())
        return f'["object",{{{inner}}}]'
    return '"dynamic"' if type_ is DYNAMIC else f'"{type_.kind}"'


class _Literal(str):
    """The text of a JSON number."""

    __slots__ = ()


def _load(text: str) -> Any:
    """JSON with numbers as `_Literal` and objects as lists of pairs wrapped in `_Pairs`. Raises
    ConversionError in the words of Go's decoder."""
    import json

    decoder = json.JSONDecoder(
        object_pairs_hook=_Pairs, parse_int=_Literal, parse_float=_Literal, parse_constant=_no_constant
    )
    start = len(text) - len(text.lstrip(" \t\r\n"))
    if start == len(text):
        raise ConversionError((), "EOF")
    try:
        data, end = decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise ConversionError((), _decoder_message(text, error.pos, error.msg)) from None
    except RecursionError:
        raise ConversionError((), "exceeded max depth") from None
    if text[end:].strip(" \t\r\n"):
        raise ConversionError((), "extraneous data after JSON object")
    return data


class _Pairs(list[tuple[str, object]]):
    """The members of a JSON object in order, repetitions included."""

    __slots__ = ()


def _no_constant(name: str) -> NoReturn:
    raise ConversionError((), f"invalid character '{name[0]}' looking for beginning of value")


def _decoder_message(text: str, at: int, message: str) -> str:
    if at >= len(text):
        return "EOF"
    if message.startswith("Unterminated string") or any(
        word.startswith(text[at:]) for word in ("true", "false", "null")
    ):
        return "unexpected EOF"
    char = text[at]
    shown = f"'{char}'" if char != "'" else "'\\''"
    if message.startswith("Expecting property name"):
        if text[:at].rstrip(" \t\r\n").endswith("{"):
            return f"invalid character {shown}"
        return f"invalid character {shown} looking for beginning of object key string"
    if message.startswith("Expecting ':'"):
        return f"invalid character {shown} after object key"
    if message.startswith("Expecting ','"):
        opened = text.rfind("[", 0, at) > text.rfind("{", 0, at)
        return f"invalid character {shown} after {'array element' if opened else 'object key:value pair'}"
    if message.startswith("Invalid control character"):
        return f"invalid character {go_char(char)} in string literal"
    if message.startswith("Invalid \\"):
        return f"invalid character '{text[at + 1 : at + 2]}' in string escape code"
    return f"invalid character {shown} looking for beginning of value"


def go_char(char: str) -> str:
    """A character as Go quotes it."""
    from bakehouse.go.text import quote

    return "'" + quote(char)[1:-1] + "'"


def from_json(text: str) -> Value:
    """The value that JSON describes: objects and tuples of primitives. Raises ConversionError."""
    return _implied(_load(text))


def implied_type(text: str) -> Type:
    """The type that `from_json` gives the text. Raises ConversionError."""
    return from_json(text).type


def _implied(data: Any) -> Value:
    if data is None:
        return null()
    if isinstance(data, bool):
        return boolean(data)
    if isinstance(data, _Literal):
        return _number(data, ())
    if isinstance(data, str):
        return string(replace_invalid(data))
    if not isinstance(data, _Pairs):
        return tuple_([_implied(element) for element in data])
    members: dict[str, Value] = {}
    for key, element in data:
        value = _implied(element)
        if key in members and members[key].type != value.type:
            raise ConversionError((), f'duplicate "{key}" property in JSON object')
        members[replace_invalid(key)] = value
    return object_(members)


def _number(data: str, path: Path) -> Value:
    number = numbers.parse(data)
    if number is None:
        raise ConversionError(path, "a number is required")
    return Value(NUMBER, number)


def from_json_typed(text: str, type_: Type) -> Value:
    """The value of the type `type_` that JSON describes; primitives convert where that is harmless (1 to
    `"1"`). Parts that are dynamic must carry their type. Raises ConversionError."""
    return _typed(_load(text), type_, ())


def _typed(data: Any, type_: Type, path: Path) -> Value:
    if data is None:
        return null(type_)
    if type_ is DYNAMIC:
        return _dynamic(data, path)
    if type_.is_primitive:
        return _primitive(data, type_, path)
    if isinstance(type_, (MapType, ObjectType)):
        if not isinstance(data, _Pairs):
            raise ConversionError(path, "missing expected {")
        return _typed_members(data, type_, path)
    if not isinstance(data, list) or isinstance(data, _Pairs):
        raise ConversionError(path, "missing expected [")
    if isinstance(type_, TupleType):
        if len(data) != len(type_.elements):
            amount = "too many" if len(data) > len(type_.elements) else "not enough"
            raise ConversionError(path, f"{amount} tuple elements (need {len(type_.elements)})")
        pairs = enumerate(zip(data, type_.elements, strict=True))
        return tuple_([_typed(element, of, (*path, index)) for index, (element, of) in pairs])
    assert isinstance(type_, (ListType, SetType))
    elements = [_typed(element, type_.element, (*path, index)) for index, element in enumerate(data)]
    return (list_ if isinstance(type_, ListType) else set_)(elements, type_.element)


def _typed_members(data: _Pairs, type_: MapType | ObjectType, path: Path) -> Value:
    members: dict[str, Value] = {}
    for key, element in data:
        key = replace_invalid(key)
        if isinstance(type_, MapType):
            members[key] = _typed(element, type_.element, (*path, key))
            continue
        if key not in type_.attributes:
            raise ConversionError(path, f'unsupported attribute "{key}"')
        members[key] = _typed(element, type_.attributes[key], (*path, key))
    if isinstance(type_, MapType):
        return map_(members, type_.element)
    for name, of in type_.attributes.items():
        members.setdefault(name, null(of))
    return object_(members)


def _primitive(data: Any, type_: Type, path: Path) -> Value:
    if isinstance(data, str) and (type_ is not BOOL or not isinstance(data, _Literal)):
        if type_ is STRING:
            return string(replace_invalid(data))
        if type_ is NUMBER:
            return _number(data, path)
        try:
            return convert(string(data), BOOL)
        except ConversionError as error:
            raise ConversionError(path, error.message) from None
    if isinstance(data, bool) and type_ is not NUMBER:
        return convert(boolean(data), type_)
    raise ConversionError(path, f"{type_.kind} is required")


def _dynamic(data: Any, path: Path) -> Value:
    if not isinstance(data, _Pairs):
        raise ConversionError(path, "missing expected {")
    members = dict(data)
    for key in members:
        if key not in ("type", "value"):
            raise ConversionError(path, f'invalid key "{key}" in dynamically-typed value')
    if "type" not in members:
        raise ConversionError(path, "missing type in dynamically-typed value")
    if "value" not in members:
        raise ConversionError(path, "missing value in dynamically-typed value")
    return _typed(members["value"], _type_from_json(members["type"], path), path)


def _type_from_json(data: Any, path: Path) -> Type:
    simple = {"string": STRING, "number": NUMBER, "bool": BOOL, "dynamic": DYNAMIC}
    if isinstance(data, str) and data in simple:
        return simple[data]
    if isinstance(data, list) and not isinstance(data, _Pairs) and len(data) in (2, 3):
        kind, inner = data[0], data[1]
        collections = {"list": ListType, "set": SetType, "map": MapType}
        if kind in collections:
            return collections[kind](_type_from_json(inner, path))
        if kind == "tuple" and isinstance(inner, list):
            return TupleType([_type_from_json(element, path) for element in inner])
        if kind == "object" and isinstance(inner, _Pairs):
            optional = data[2] if len(data) == 3 else ()
            return ObjectType({str(name): _type_from_json(of, path) for name, of in inner}, optional)
    raise ConversionError(path, "failed to decode type for dynamic value: invalid type description")
