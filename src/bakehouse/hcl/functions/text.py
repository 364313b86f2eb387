"""Strings (go-cty `string.go`, `string_replace.go`). Lengths and positions count grapheme clusters."""

from __future__ import annotations

from bakehouse.go.text import SPACES, lower, upper
from bakehouse.hcl.function import ArgumentError, Function, FunctionError, Parameter
from bakehouse.hcl.functions.build import number_parameter, text_function, text_parameter, whole
from bakehouse.hcl.graphemes import clusters, count_clusters
from bakehouse.hcl.limits import check_text_size, joined
from bakehouse.hcl.types import NUMBER, STRING, ListType, Type
from bakehouse.hcl.values import UNKNOWN, Value, integer, list_, string, unknown

_STRINGS = ListType(STRING)


def _title(text: str) -> str:
    out, separated = [], True
    for char in text:
        out.append(_title_char(char) if separated else char)
        if char.isascii():
            separated = not (char.isalnum() or char == "_")
        else:
            separated = not (char.isalpha() or char.isdigit()) and char in SPACES
    return "".join(out)


def _title_char(char: str) -> str:
    title = char.title()
    return title if len(title) == 1 else char


def _reverse(text: str) -> str:
    return "".join(reversed(list(clusters(text))))


def _strlen(arguments: list[Value], result: Type) -> Value:
    if arguments[0].raw is UNKNOWN:
        return unknown(NUMBER)
    return integer(count_clusters(arguments[0].raw))


def _substr(arguments: list[Value], result: Type) -> Value:
    offset, length = whole(arguments[1]), whole(arguments[2])
    parts = list(clusters(arguments[0].raw))
    if offset < 0:
        offset += len(parts)
    elif length == 0:
        return string("")
    parts = parts[max(offset, 0) :]
    # With a negative offset a length of 0 means the rest, a slip of the original.
    return string("".join(parts[:length] if length > 0 else parts))


def _join(arguments: list[Value], result: Type) -> Value:
    lists = arguments[1:]
    if not lists:
        raise FunctionError("at least one list is required")
    if not all(item.is_wholly_known() for item in lists):
        return unknown(STRING)
    texts: list[str] = []
    for number, item in enumerate(lists, 1):
        for index, element in enumerate(item.raw):
            if element.raw is None:
                which = f" of list {number}" if len(lists) > 1 else ""
                raise ArgumentError(number, f"element {index}{which} is null; cannot concatenate null values")
            texts.append(element.raw)
    return string(joined(arguments[0].raw, texts))


def _sort(arguments: list[Value], result: Type) -> Value:
    if not arguments[0].is_wholly_known():
        return unknown(result)
    for index, element in enumerate(arguments[0].raw):
        if element.raw is None:
            raise FunctionError(f"given list element {index} is null; a null string cannot be sorted")
    return list_(sorted(arguments[0].raw, key=lambda element: element.raw), STRING)


def _split(arguments: list[Value], result: Type) -> Value:
    separator, text = arguments[0].raw, arguments[1].raw
    return list_([string(part) for part in (text.split(separator) if separator else text)], STRING)


def _indent(arguments: list[Value], result: Type) -> Value:
    spaces = whole(arguments[0])
    if spaces < 0:
        raise ArgumentError(0, "the number of spaces must not be negative")
    text = arguments[1].raw
    check_text_size(len(text) + spaces * text.count("\n"))
    return string(text.replace("\n", "\n" + " " * spaces))


def _replace(text: str, old: str, new: str) -> str:
    if len(new) > len(old):
        check_text_size(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _dynamic_text(name: str = "str", allow_unknown: bool = False) -> Parameter:
    return Parameter(name, STRING, allow_dynamic=True, allow_unknown=allow_unknown)


FUNCTIONS = {
    "upper": text_function("str", upper),
    "lower": text_function("str", lower),
    "reverse": text_function("str", _reverse),
    "strlen": Function([_dynamic_text(allow_unknown=True)], NUMBER, _strlen),
    "substr": Function(
        [
            _dynamic_text(),
            Parameter("offset", NUMBER, allow_dynamic=True),
            Parameter("length", NUMBER, allow_dynamic=True),
        ],
        STRING,
        _substr,
    ),
    "join": Function([text_parameter("separator")], STRING, _join, variadic=Parameter("lists", _STRINGS)),
    "sort": Function([Parameter("list", _STRINGS, allow_unknown=True)], _STRINGS, _sort),
    "split": Function([text_parameter("separator"), text_parameter()], _STRINGS, _split),
    "chomp": text_function("str", lambda text: text.rstrip("\r\n")),
    "indent": Function([number_parameter("spaces"), text_parameter()], STRING, _indent),
    "title": text_function("str", _title),
    "trimspace": text_function("str", lambda text: text.strip(SPACES)),
    "trim": text_function("str cutset", lambda text, cutset: text.strip(cutset)),
    "trimprefix": text_function("str prefix", lambda text, prefix: text.removeprefix(prefix)),
    "trimsuffix": text_function("str suffix", lambda text, suffix: text.removesuffix(suffix)),
    "replace": text_function("str substr replace", _replace),
}
