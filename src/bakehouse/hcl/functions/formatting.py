"""`format` and `formatlist` (go-cty `format.go`, `format_fsm.rl`): printf as Go does it, over HCL values."""

from __future__ import annotations

import re

from bakehouse.go.jsontext import quote_json
from bakehouse.go.text import quote, quote_rune
from bakehouse.hcl import numbers
from bakehouse.hcl.convert import ConversionError, convert
from bakehouse.hcl.function import ArgumentError, Function, FunctionError
from bakehouse.hcl.functions.build import any_parameter, text_parameter
from bakehouse.hcl.graphemes import clusters, count_clusters
from bakehouse.hcl.json_encoding import to_json
from bakehouse.hcl.limits import joined
from bakehouse.hcl.types import BOOL, NUMBER, STRING, ListType, Type
from bakehouse.hcl.values import Value, list_, string, unknown
from bakehouse.lazy import regex

_STRINGS = ListType(STRING)
_VERB = regex(r"%([0#\-+ ]*)([1-9][0-9]*)?(?:\.([0-9]*))?(?:\[([1-9][0-9]*)\])?([a-zA-Z])")
#: Widths, precisions and argument numbers.
_MAX_COUNT = 1_000_000


class _Verb:
    """A formatting verb: flags, width and precision (-1 if not given), argument number from 1, offset in bytes."""

    __slots__ = ("argument", "flags", "letter", "offset", "precision", "raw", "width")

    def __init__(self, found: re.Match[str], offset: int, following: int) -> None:
        self.raw = found.group()
        self.flags = found.group(1)
        self.width = self._count(found.group(2)) if found.group(2) else -1
        self.precision = -1 if found.group(3) is None else self._count(found.group(3) or "0")
        self.argument = self._count(found.group(4)) if found.group(4) else following
        self.letter = found.group(5)
        self.offset = offset

    def _count(self, digits: str) -> int:
        if len(digits) > 7 or int(digits) > _MAX_COUNT:
            raise FunctionError(f"a number in {quote(self.raw)} is more than {_MAX_COUNT}")
        return int(digits)

    @property
    def zero(self) -> bool:
        """Whether numbers are padded with zeros; a minus flag overrides that."""
        return "0" in self.flags and "-" not in self.flags

    def unsupported(self, reason: str) -> FunctionError:
        return FunctionError(f"unsupported value for {quote(self.raw)} at {self.offset}: {reason}")

    def padded(self, text: str) -> str:
        missing = self.width - count_clusters(text)
        if missing <= 0:
            return text
        pads = ("0" if "0" in self.flags else " ") * missing
        return text + pads if "-" in self.flags else pads + text


def format_values(template: str, arguments: list[Value]) -> str:
    """The template with its verbs replaced. Raises FunctionError; ArgumentError for arguments that no verb uses."""
    out: list[str] = []
    at, following, highest = 0, 1, 0
    while at < len(template):
        mark = template.find("%", at)
        if mark < 0:
            out.append(template[at:])
            break
        out.append(template[at:mark])
        if template.startswith("%%", mark):
            out.append("%")
            at = mark + 2
            continue
        found = _VERB.match(template, mark)
        if found is None:
            raise _bad_verb(template, mark)
        verb = _Verb(found, len(template[:mark].encode()), following)
        highest = max(highest, verb.argument)
        out.append(_formatted(verb, arguments))
        following = verb.argument + 1
        at = found.end()
    if highest < len(arguments):
        used = f"only {highest} used by format string" if highest else "no verbs in format string"
        raise ArgumentError(highest + 1, f"too many arguments; {used}")
    return joined("", out)


_PARTIAL = regex(r"%[0#\-+ ]*(?:[1-9][0-9]*)?(?:\.[0-9]*)?(?:\[(?:[1-9][0-9]*\]?)?)?")


def _bad_verb(template: str, mark: int) -> FunctionError:
    partial = _PARTIAL.match(template, mark)
    assert partial is not None
    at = partial.end()
    offset = len(template[:at].encode())
    if at >= len(template):
        return FunctionError(f"invalid format string starting at offset {offset}")
    return FunctionError(f"unrecognized format character {quote_rune(template[at])} at offset {offset}")


def _formatted(verb: _Verb, arguments: list[Value]) -> str:
    if verb.argument > len(arguments):
        raise FunctionError(
            f"not enough arguments for {quote(verb.raw)} at {verb.offset}: need index {verb.argument} but have "
            f"{len(arguments)} total"
        )
    value = arguments[verb.argument - 1]
    if verb.letter != "v" and value.raw is None:
        raise verb.unsupported("null value cannot be formatted")
    if verb.letter == "v":
        return _default(verb, value)
    if verb.letter == "t":
        return "true" if _converted(verb, value, BOOL).raw else "false"
    if verb.letter in "sq":
        return _text(verb, value)
    if verb.letter in "bdoxX":
        return _integer(verb, _converted(verb, value, NUMBER).raw)
    if verb.letter in "eEfgG":
        return _float(verb, _converted(verb, value, NUMBER).raw)
    raise FunctionError(
        f"unsupported format verb '{verb.letter}' in {quote(verb.raw)} at offset {verb.offset}"
    )


def _converted(verb: _Verb, value: Value, want: Type) -> Value:
    try:
        return convert(value, want)
    except ConversionError as error:
        raise verb.unsupported(error.message) from None


def _default(verb: _Verb, value: Value) -> str:
    try:
        if "#" not in verb.flags and value.raw is not None:
            if value.type is STRING:
                return verb.padded(value.raw)
            if value.type is NUMBER:
                return verb.padded(numbers.to_general_text(value.raw, -1))
        return verb.padded(to_json(value))
    except (ConversionError, numbers.NumberError) as error:
        raise verb.unsupported(str(error)) from None


def _text(verb: _Verb, value: Value) -> str:
    text: str = _converted(verb, value, STRING).raw
    if verb.precision > 0:
        text = "".join(cluster for _, cluster in zip(range(verb.precision), clusters(text), strict=False))
    return verb.padded(quote_json(text) if verb.letter == "q" else text)


_BASES = {"b": (2, "0b"), "o": (8, "0"), "d": (10, ""), "x": (16, "0x"), "X": (16, "0X")}


def _integer(verb: _Verb, number: numbers.Number) -> str:
    """Go's formatting of big integers."""
    if not numbers.is_integer(number):
        raise verb.unsupported("an integer is required")
    base, prefix = _BASES[verb.letter]
    try:
        value = numbers.to_int(number)
        digits = numbers.digits_of(abs(value)) if base == 10 else format(abs(value), verb.letter)
    except numbers.NumberError as error:
        raise verb.unsupported(str(error)) from None
    if digits == "0" and verb.precision == 0:
        return ""
    sign = "-" if value < 0 else "+" if "+" in verb.flags else " " if " " in verb.flags else ""
    digits = digits.rjust(verb.precision, "0") if verb.precision > 0 else digits
    head = sign + (prefix if "#" in verb.flags else "")
    if "-" in verb.flags:
        return (head + digits).ljust(verb.width)
    if verb.zero and verb.precision < 0:
        digits = digits.rjust(verb.width - len(head), "0")
    return (head + digits).rjust(verb.width)


def _float(verb: _Verb, number: numbers.Number) -> str:
    """Go's formatting of big floats."""
    precision = verb.precision
    try:
        if verb.letter in "gG":
            text = numbers.to_general_text(number, precision, verb.letter)
        elif verb.letter == "f":
            text = numbers.to_fixed_text(number, 6 if precision < 0 else precision)
        else:
            text = numbers.to_exponent_text(number, 6 if precision < 0 else precision, verb.letter)
    except numbers.NumberError as error:
        raise verb.unsupported(str(error)) from None
    sign = ""
    if text[0] in "+-":
        sign, text = text[0], text[1:]
    if sign != "-":
        sign = "+" if "+" in verb.flags else " " if " " in verb.flags else sign
    if verb.zero and text != "Inf":
        return sign + text.rjust(verb.width - len(sign), "0")
    return (sign + text).ljust(verb.width) if "-" in verb.flags else (sign + text).rjust(verb.width)


def _format(arguments: list[Value], result: Type) -> Value:
    if not all(argument.is_wholly_known() for argument in arguments[1:]):
        return unknown(STRING)
    return string(format_values(arguments[0].raw, arguments[1:]))


def _formatlist(arguments: list[Value], result: Type) -> Value:
    template, values = arguments[0].raw, arguments[1:]
    if not values:
        return list_([string(format_values(template, []))], STRING)
    length, chooser = -1, 0
    for index, value in enumerate(values, 1):
        if value.type.kind not in ("list", "set", "tuple") or value.raw is None:
            if not value.is_known and value.type.kind == "dynamic":
                return unknown(_STRINGS)
            continue
        if not value.is_known:
            return unknown(_STRINGS)
        if length < 0:
            length, chooser = len(value.raw), index
        elif len(value.raw) != length:
            raise ArgumentError(
                index,
                f"argument {index} has length {len(value.raw)}, which is inconsistent with argument {chooser} of "
                f"length {length}",
            )
    rows = [_formatted_row(template, values, row) for row in range(1 if length < 0 else length)]
    return list_(rows, STRING)


def _formatted_row(template: str, values: list[Value], row: int) -> Value:
    items = [
        value.raw[row] if value.type.kind in ("list", "set", "tuple") and value.raw is not None else value
        for value in values
    ]
    if not all(item.is_wholly_known() for item in items):
        return unknown(STRING)
    try:
        return string(format_values(template, items))
    except FunctionError as error:
        raise FunctionError(f"error on format iteration {row}: {error.message}") from None


_ARGUMENTS = any_parameter("args", allow_null=True, allow_unknown=True, allow_dynamic=True)

FUNCTIONS = {
    "format": Function([text_parameter("format")], STRING, _format, variadic=_ARGUMENTS),
    "formatlist": Function([text_parameter("format")], _STRINGS, _formatlist, variadic=_ARGUMENTS),
}
