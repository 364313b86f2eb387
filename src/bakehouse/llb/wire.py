"""The protobuf wire format, as little of it as LLB needs: varints and length-delimited fields.

Written by hand because importing a protobuf runtime costs start-up time and its field order is not ours to choose
(engine.md §1.1). A writer appends to a `bytearray`; fields that hold their default are left out, as proto3 does,
unless a function's name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bakehouse.errors import DefinitionError, IntegrityError

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
_MASK64 = (1 << 64) - 1
#: A varint of 64 bits takes at most ten bytes.
_MAX_VARINT_BYTES = 10


def append_varint(out: bytearray, value: int) -> None:
    """Appends `value`; a negative one as its 64-bit two's complement, as int32 and int64 fields want it."""
    if 0 <= value <= 0x7F:
        out.append(value)
        return
    value &= _MASK64
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)


def put_int(out: bytearray, field: int, value: int) -> None:
    """An int32, int64, uint32, uint64, bool or enum field; absent when 0."""
    if value:
        put_int_always(out, field, value)


def put_int_always(out: bytearray, field: int, value: int) -> None:
    """As `put_int`, but written even when 0: members of a oneof have presence."""
    append_varint(out, field << 3 | VARINT)
    append_varint(out, value)


def put_bytes(out: bytearray, field: int, value: bytes | bytearray) -> None:
    """A bytes field; absent when empty."""
    if value:
        put_message(out, field, value)


def put_message(out: bytearray, field: int, value: bytes | bytearray) -> None:
    """A sub-message, or an element of a repeated field: written even when empty."""
    append_varint(out, field << 3 | LENGTH_DELIMITED)
    append_varint(out, len(value))
    out += value


def put_string(out: bytearray, field: int, value: str) -> None:
    """A string field; absent when empty. Raises `DefinitionError` when `value` is not Unicode text."""
    if value:
        put_message(out, field, utf8(value))


def put_strings(out: bytearray, field: int, values: tuple[str, ...]) -> None:
    """A repeated string field; empty elements are kept."""
    for value in values:
        put_message(out, field, utf8(value))


def put_string_map(
    out: bytearray, field: int, entries: list[tuple[str, str]], encode: Callable[[str], bytes] | None = None
) -> None:
    """A `map<string, string>`. Keys are written in the order of their bytes, as deterministic encoders do; both
    members of an entry are always written, as Go does. `encode` is for the values, by default `utf8`."""
    for key, value in sorted(entries, key=lambda entry: utf8(entry[0])):
        entry = bytearray()
        put_message(entry, 1, utf8(key))
        put_message(entry, 2, (encode or utf8)(value))
        put_message(out, field, entry)


def as_written(text: str) -> bytes:
    """The bytes of a text as they came, be they UTF-8 or not."""
    return text.encode("utf-8", "surrogateescape")


def utf8(text: str) -> bytes:
    """The bytes of a string field. Raises `DefinitionError` (code `invalid-utf8`): protobuf strings are UTF-8."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise DefinitionError(
            "string field contains invalid UTF-8",
            code="invalid-utf8",
            hint="write names, arguments and values as UTF-8 text; only here-documents may hold other bytes",
        ) from error


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Every field of a message as (number, wire type, value): an int for varints and fixed widths (unsigned), bytes
    for length-delimited ones. Raises `IntegrityError` (code `invalid-protobuf`) when `data` is cut or malformed."""
    position, end = 0, len(data)
    while position < end:
        tag, position = _read_varint(data, position)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise _malformed("field number 0")
        value: int | bytes
        if kind == VARINT:
            value, position = _read_varint(data, position)
        elif kind in (LENGTH_DELIMITED, FIXED32, FIXED64):
            if kind == LENGTH_DELIMITED:
                length, position = _read_varint(data, position)
            else:
                length = 4 if kind == FIXED32 else 8
            if length > end - position:
                raise _malformed("a field runs past the end")
            chunk = data[position : position + length]
            position += length
            value = chunk if kind == LENGTH_DELIMITED else int.from_bytes(chunk, "little")
        else:
            raise _malformed(f"wire type {kind}")
        yield number, kind, value


def signed(value: int) -> int:
    """The value of an int32 or int64 field that was read as an unsigned varint."""
    value &= _MASK64
    return value - (1 << 64) if value >> 63 else value


def text(value: int | bytes) -> str:
    """The value of a string field. Raises `IntegrityError` when it is not UTF-8."""
    try:
        return message(value).decode()
    except UnicodeDecodeError as error:
        raise _malformed("a string is not UTF-8") from error


def message(value: int | bytes) -> bytes:
    """The value of a length-delimited field. Raises `IntegrityError` when it has another wire type."""
    if isinstance(value, int):
        raise _malformed("a number where a length-delimited field is expected")
    return value


def number(value: int | bytes) -> int:
    """The value of an integer field, signed. Raises `IntegrityError` when it has another wire type."""
    if not isinstance(value, int):
        raise _malformed("a length-delimited field where a number is expected")
    return signed(value)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    result = 0
    for count in range(_MAX_VARINT_BYTES):
        if position >= len(data):
            raise _malformed("a varint is cut off")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return result, position
    raise _malformed("a varint is longer than ten bytes")


def _malformed(problem: str) -> IntegrityError:
    return IntegrityError(f"malformed protobuf message: {problem}", code="invalid-protobuf")
