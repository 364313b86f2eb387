"""Values to JSON and back (go-cty's `json` package): `to_json` is `jsonencode`, `from_json` is `jsondecode`."""

from __future__ import annotations

from bakehouse.go.jsontext import quote_json
from bakehouse.go.jsontokens import Decoder, Delimiter, JsonError, Number
from bakehouse.go.text import quote
from bakehouse.hcl import numbers
from bakehouse.hcl.convert import ConversionError, convert
from bakehouse.hcl.limits import check_parts, joined
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
    can_be_collection,
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
    from typing import Any

    from bakehouse.go.jsontokens import Token
    from bakehouse.hcl.convert import Path


def to_json(value: Value, type_: Type | None = None) -> str:
    """The value as compact JSON, object keys sorted. With `type_`, parts that are dynamic in it are written
    with their type
    (`{"value":…,"type":…}`), as go-cty does. Raises ConversionError for what is unknown or infinite."""
    out: list[str] = []
    _encode(value, value.type if type_ is None else type_, (), out)
    return joined("", out)


def _encode(value: Value, type_: Type, path: Path, out: list[str]) -> None:
    if value.raw is UNKNOWN:
        raise ConversionError(path, "value is not known")
    check_parts(len(out) // 3)
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


#: How deep a text may nest. Go takes any depth; nobody writes more.
MAX_DEPTH = 200


def from_json(text: str) -> Value:
    """The value that JSON describes: objects and tuples of primitives. Raises ConversionError in the words of Go's
    decoder, which reads on until the first fault."""
    decoder = Decoder(text)
    try:
        value = _implied(decoder, decoder.token(), 0)
    except JsonError as error:
        raise ConversionError((), str(error)) from None
    if decoder.more():
        raise ConversionError((), "extraneous data after JSON object")
    return value


def implied_type(text: str) -> Type:
    """The type that `from_json` gives the text. Raises ConversionError."""
    return from_json(text).type


def _implied(decoder: Decoder, token: Token, depth: int) -> Value:
    """The value that begins with `token`. Raises JsonError, ConversionError."""
    if token is None:
        return null()
    if isinstance(token, bool):
        return boolean(token)
    if isinstance(token, Number):
        return _number(token, ())
    if not isinstance(token, Delimiter):
        return string(token)
    if depth == MAX_DEPTH:
        raise JsonError("exceeded max depth")
    if token == "{":
        return _implied_object(decoder, depth + 1)
    elements = []
    while (token := decoder.token()) != "]" or not isinstance(token, Delimiter):
        elements.append(_implied(decoder, token, depth + 1))
    return tuple_(elements)


def _implied_object(decoder: Decoder, depth: int) -> Value:
    members: dict[str, Value] = {}
    while not isinstance(key := decoder.token(), Delimiter):
        assert isinstance(key, str)
        value = _implied(decoder, decoder.token(), depth)
        if key in members and members[key].type != value.type:
            raise ConversionError((), f"duplicate {quote(key)} property in JSON object")
        members[key] = value
    return object_(members)


def _number(data: str, path: Path) -> Value:
    number = numbers.parse(data)
    if number is None:
        raise ConversionError(path, "a number is required")
    return Value(NUMBER, number)


def from_json_typed(text: str, type_: Type) -> Value:
    """The value of the type `type_` that JSON describes; primitives convert where that is harmless (1 to
    `"1"`). Parts that are dynamic must carry their type. What follows the value is not looked at. Raises
    ConversionError."""
    return _typed(text, type_, ())


def _typed(text: str, type_: Type, path: Path) -> Value:
    if len(path) > MAX_DEPTH:
        raise ConversionError(path, "exceeded max depth")
    try:
        token = Decoder(text).token()
        if token is None:
            return null(type_)
        if type_ is DYNAMIC:
            return _dynamic(text, path)
        if type_.is_primitive:
            return _primitive(token, type_, path)
        if isinstance(type_, (MapType, ObjectType)):
            return _typed_members(text, type_, path)
        return _typed_elements(text, type_, path)
    except JsonError as error:
        raise ConversionError(path, str(error)) from None


def _opened(text: str, bracket: str) -> Decoder:
    """A decoder past the opening bracket. Raises JsonError."""
    decoder = Decoder(text)
    _require(decoder, bracket)
    return decoder


def _require(decoder: Decoder, bracket: str) -> None:
    token = decoder.token()
    if not isinstance(token, Delimiter) or token != bracket:
        raise JsonError(f"missing expected {bracket}")


def _part(decoder: Decoder, what: str) -> str:
    """The text of the next value."""
    try:
        return decoder.value()
    except JsonError as error:
        raise JsonError(f"failed to read {what}: {error}") from None


def _key(decoder: Decoder, what: str) -> str:
    try:
        key = decoder.token()
        if isinstance(key, (Delimiter, Number)) or not isinstance(key, str):
            raise JsonError("missing expected object key")
        return key
    except JsonError as error:
        raise JsonError(f"failed to read {what}: {error}") from None


def _typed_elements(text: str, type_: Type, path: Path) -> Value:
    decoder = _opened(text, "[")
    elements: list[Value] = []
    while decoder.more():
        if isinstance(type_, TupleType):
            if len(elements) == len(type_.elements):
                raise JsonError(f"too many tuple elements (need {len(type_.elements)})")
            of = type_.elements[len(elements)]
        else:
            assert isinstance(type_, (ListType, SetType))
            of = type_.element
        elements.append(_typed(_part(decoder, f"{type_.kind} value"), of, (*path, len(elements))))
    _require(decoder, "]")
    if isinstance(type_, TupleType):
        if len(elements) != len(type_.elements):
            raise JsonError(f"not enough tuple elements (need {len(type_.elements)})")
        return tuple_(elements)
    assert isinstance(type_, (ListType, SetType))
    if not can_be_collection(elements):
        raise ConversionError(path, f"all elements of a {type_.kind} must have one type")
    return (list_ if isinstance(type_, ListType) else set_)(elements, type_.element)


def _typed_members(text: str, type_: MapType | ObjectType, path: Path) -> Value:
    decoder = _opened(text, "{")
    members: dict[str, Value] = {}
    while decoder.more():
        key = _key(decoder, f"{type_.kind} key")
        if isinstance(type_, MapType):
            of = type_.element
        elif key in type_.attributes:
            of = type_.attributes[key]
        else:
            raise JsonError(f"unsupported attribute {quote(key)}")
        members[key] = _typed(_part(decoder, f"{type_.kind} value"), of, (*path, key))
    _require(decoder, "}")
    if isinstance(type_, MapType):
        if not can_be_collection(members.values()):
            raise ConversionError(path, "all elements of a map must have one type")
        return map_(members, type_.element)
    for name, of in type_.attributes.items():
        members.setdefault(name, null(of))
    return object_(members)


def _primitive(token: Token, type_: Type, path: Path) -> Value:
    if isinstance(token, str) and not isinstance(token, Delimiter):
        if type_ is NUMBER:
            return _number(token, path)
        if type_ is STRING:
            return string(token)
        if not isinstance(token, Number):
            try:
                return convert(string(token), BOOL)
            except ConversionError as error:
                raise ConversionError(path, error.message) from None
    if isinstance(token, bool) and type_ is not NUMBER:
        return convert(boolean(token), type_)
    raise ConversionError(path, f"{type_.kind} is required")


def _dynamic(text: str, path: Path) -> Value:
    decoder = _opened(text, "{")
    parts: dict[str, str] = {}
    type_: Type | None = None
    while decoder.more():
        key = _key(decoder, "dynamic type descriptor key")
        part = _part(decoder, "dynamic type descriptor value")
        if key == "type":
            type_ = _described_type(part, path)
        elif key != "value":
            raise JsonError(f"invalid key {quote(key)} in dynamically-typed value")
        parts[key] = part
    _require(decoder, "}")
    if type_ is None:
        raise JsonError("missing type in dynamically-typed value")
    if "value" not in parts:
        raise JsonError("missing value in dynamically-typed value")
    return _typed(parts["value"], type_, path)


def _described_type(text: str, path: Path) -> Type:
    import json

    try:
        return _type_from_json(json.loads(text), path)
    except RecursionError:
        raise ConversionError(path, "exceeded max depth") from None


def _type_from_json(data: Any, path: Path) -> Type:
    simple = {"string": STRING, "number": NUMBER, "bool": BOOL, "dynamic": DYNAMIC}
    if isinstance(data, str) and data in simple:
        return simple[data]
    if isinstance(data, list) and len(data) in (2, 3):
        kind, inner = data[0], data[1]
        collections = {"list": ListType, "set": SetType, "map": MapType}
        if kind in collections:
            return collections[kind](_type_from_json(inner, path))
        if kind == "tuple" and isinstance(inner, list):
            return TupleType([_type_from_json(element, path) for element in inner])
        if kind == "object" and isinstance(inner, dict):
            optional = data[2] if len(data) == 3 else ()
            return ObjectType({name: _type_from_json(of, path) for name, of in inner.items()}, optional)
    raise ConversionError(path, "failed to decode type for dynamic value: invalid type description")
