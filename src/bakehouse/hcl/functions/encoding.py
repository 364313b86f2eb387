"""Base64, JSON, CSV, URLs (go-cty `json.go`, `csv.go`, `bytes.go`, hashicorp/go-cty-funcs `encoding`)."""

from __future__ import annotations

from bakehouse.go.text import quote
from bakehouse.hcl.convert import ConversionError
from bakehouse.hcl.function import Function, FunctionError, Parameter
from bakehouse.hcl.functions.build import any_parameter, text_function, text_parameter, whole
from bakehouse.hcl.types import DYNAMIC, NUMBER, STRING, ListType, ObjectType, PrimitiveType, Type
from bakehouse.hcl.values import UNKNOWN, Value, integer, list_, object_, string, unknown

BYTES = PrimitiveType("capsule", "bytes", "bytes", False)


def decode_base64(text: str) -> bytes | None:
    """The bytes of standard base64 with padding; line breaks are allowed. None if it is none."""
    from base64 import b64decode
    from binascii import Error

    compact = text.replace("\n", "").replace("\r", "")
    try:
        data = b64decode(compact, validate=True)
    except (Error, ValueError):
        return None
    # Python tolerates padding that Go refuses (`YQ=` never, `YQ===` yes).
    return data if len(compact) % 4 == 0 else None


def _base64decode(text: str) -> str:
    data = decode_base64(text)
    if data is None:
        raise FunctionError(f"failed to decode base64 data '{text}'")
    try:
        return data.decode()
    except UnicodeDecodeError:
        message = "the result of decoding the the provided string is not valid UTF-8"
        raise FunctionError(message) from None


def _base64encode(text: str) -> str:
    from base64 import b64encode

    return b64encode(text.encode("utf-8", "surrogateescape")).decode()


def _jsonencode(arguments: list[Value], result: Type) -> Value:
    from bakehouse.hcl.json_encoding import to_json

    if not arguments[0].is_wholly_known():
        return unknown(STRING)
    try:
        return string(to_json(arguments[0]))
    except ConversionError as error:
        raise FunctionError(error.message) from None


def _decoded(arguments: list[Value]) -> Value:
    from bakehouse.hcl.json_encoding import from_json

    try:
        return from_json(arguments[0].raw)
    except ConversionError as error:
        raise FunctionError(error.message) from None


def _jsondecode_type(arguments: list[Value]) -> Type:
    return DYNAMIC if arguments[0].raw is UNKNOWN else _decoded(arguments).type


def _jsondecode(arguments: list[Value], result: Type) -> Value:
    return _decoded(arguments)


def _urlencode(text: str) -> str:
    from urllib.parse import quote_plus

    return quote_plus(text, errors="surrogateescape")


def read_csv(text: str) -> list[tuple[int, list[str]]]:
    """Records with the numbers of their first lines; blank lines are skipped. Raises FunctionError in Go's words."""
    records: list[tuple[int, list[str]]] = []
    lines = text.replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(lines):
        if lines[at] == "":
            at += 1
            continue
        first = at + 1
        fields, at = _read_record(lines, at)
        records.append((first, fields))
    return records


def _csv_error(line: int, message: str) -> FunctionError:
    return FunctionError(f"CSV parse error on line {line}: {message}")


def _read_record(lines: list[str], at: int) -> tuple[list[str], int]:
    fields: list[str] = []
    rest = lines[at]
    while True:
        if not rest.startswith('"'):
            field, comma, rest = rest.partition(",")
            if '"' in field:
                raise _csv_error(at + 1, 'bare " in non-quoted-field')
            fields.append(field)
            if not comma:
                return fields, at + 1
            continue
        field, rest, at = _read_quoted(lines, rest[1:], at)
        fields.append(field)
        if not rest:
            return fields, at + 1
        if rest[0] != ",":
            raise _csv_error(at + 1, 'extraneous or missing " in quoted-field')
        rest = rest[1:]


def _read_quoted(lines: list[str], rest: str, at: int) -> tuple[str, str, int]:
    """The text of a quoted field, what follows its closing quote on that line, and the line."""
    parts: list[str] = []
    while True:
        part, quote, rest = rest.partition('"')
        parts.append(part)
        if quote and rest.startswith('"'):
            parts.append('"')
            rest = rest[1:]
        elif quote:
            return "".join(parts), rest, at
        elif at + 1 < len(lines):
            at += 1
            parts.append("\n")
            rest = lines[at]
        else:
            raise _csv_error(at + 1, 'extraneous or missing " in quoted-field')


def _csv_type(arguments: list[Value]) -> Type:
    if arguments[0].raw is UNKNOWN:
        return DYNAMIC
    records = read_csv(arguments[0].raw)
    if not records:
        raise FunctionError("missing header line")
    headers = records[0][1]
    for index, name in enumerate(headers):
        if name in headers[:index]:
            raise FunctionError(f"duplicate column name {quote(name)}")
    return ListType(ObjectType(dict.fromkeys(headers, STRING)))


def _csvdecode(arguments: list[Value], result: Type) -> Value:
    records = read_csv(arguments[0].raw)
    headers = records[0][1]
    rows: list[Value] = []
    for line, fields in records[1:]:
        if len(fields) != len(headers):
            raise _csv_error(line, "wrong number of fields")
        rows.append(object_({name: string(field) for name, field in zip(headers, fields, strict=True)}))
    assert isinstance(result, ListType)
    return list_(rows, result.element)


def _bytes(name: str) -> Parameter:
    return Parameter(name, BYTES, allow_dynamic=True)


def _byteslen(arguments: list[Value], result: Type) -> Value:
    return integer(len(arguments[0].raw))


def _bytesslice(arguments: list[Value], result: Type) -> Value:
    data, offset, length = arguments[0].raw, whole(arguments[1]), whole(arguments[2])
    if offset < 0 or length < 0:
        raise FunctionError("offset and length must be non-negative")
    if offset > len(data):
        raise FunctionError(f"offset {offset} is greater than total buffer length {len(data)}")
    if offset + length > len(data):
        raise FunctionError(
            f"offset {offset} + length {length} is greater than total buffer length {len(data)}"
        )
    return Value(BYTES, data[offset : offset + length])


_NUMBER = Parameter("offset", NUMBER, allow_dynamic=True)

FUNCTIONS = {
    "base64decode": text_function("str", _base64decode),
    "base64encode": text_function("str", _base64encode),
    "byteslen": Function([_bytes("buf")], NUMBER, _byteslen),
    "bytesslice": Function(
        [_bytes("buf"), _NUMBER, Parameter("length", NUMBER, allow_dynamic=True)], BYTES, _bytesslice
    ),
    "csvdecode": Function([text_parameter()], _csv_type, _csvdecode),
    "jsondecode": Function([text_parameter()], _jsondecode_type, _jsondecode),
    "jsonencode": Function(
        [any_parameter("val", allow_null=True, allow_unknown=True, allow_dynamic=True)], STRING, _jsonencode
    ),
    "urlencode": text_function("str", _urlencode),
}
