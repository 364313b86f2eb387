"""`regex`, `regexall` and `regex_replace` (go-cty `regexp.go`, `string_replace.go`)."""

from __future__ import annotations

from bakehouse.hcl.function import ArgumentError, Function, FunctionError
from bakehouse.hcl.functions.build import text_function, text_parameter
from bakehouse.hcl.functions.re2 import Pattern, PatternError
from bakehouse.hcl.types import DYNAMIC, STRING, ListType, ObjectType, TupleType, Type
from bakehouse.hcl.values import UNKNOWN, Value, list_, null, object_, string, tuple_

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.hcl.functions.re2 import Groups


def _compiled(text: str) -> Pattern:
    try:
        return Pattern(text)
    except PatternError as error:
        message = f"invalid regexp pattern: {error.reason} in {error.expression}"
        raise ArgumentError(0, message) from None


def _result_type(pattern: Pattern) -> Type:
    """A string for the whole match, a tuple for groups, an object for named groups."""
    if not pattern.names:
        return STRING
    if all(pattern.names):
        return ObjectType(dict.fromkeys(pattern.names, STRING))
    if any(pattern.names):
        message = "invalid regexp pattern: cannot mix both named and unnamed capture groups"
        raise ArgumentError(0, message)
    return TupleType([STRING] * len(pattern.names))


def _regex_type(arguments: list[Value]) -> Type:
    if arguments[0].raw is UNKNOWN:
        return DYNAMIC
    return _result_type(_compiled(arguments[0].raw))


def _regexall_type(arguments: list[Value]) -> Type:
    return ListType(_regex_type(arguments))


def _captured(pattern: Pattern, text: str, found: Groups) -> Value:
    if not pattern.names:
        return string(text[found[0] : found[1]])
    groups = [
        null(STRING) if found[at] < 0 else string(text[found[at] : found[at + 1]])
        for at in range(2, len(found), 2)
    ]
    if pattern.names[0]:
        return object_(dict(zip(pattern.names, groups, strict=True)))
    return tuple_(groups)


def _regex(arguments: list[Value], result: Type) -> Value:
    pattern, text = _compiled(arguments[0].raw), arguments[1].raw
    found = pattern.search(text)
    if found is None:
        raise FunctionError("pattern did not match any part of the given string")
    return _captured(pattern, text, found)


def _regexall(arguments: list[Value], result: Type) -> Value:
    pattern, text = _compiled(arguments[0].raw), arguments[1].raw
    matches = [_captured(pattern, text, found) for found in pattern.find_all(text)]
    return list_(matches, result.element if isinstance(result, ListType) else DYNAMIC)


def _regex_replace(text: str, pattern: str, replacement: str) -> str:
    try:
        return Pattern(pattern).replace_all(text, replacement)
    except PatternError as error:
        raise FunctionError(str(error)) from None


_PARAMETERS = [text_parameter("pattern"), text_parameter("string")]

FUNCTIONS = {
    "regex": Function(_PARAMETERS, _regex_type, _regex),
    "regexall": Function(_PARAMETERS, _regexall_type, _regexall),
    "regex_replace": text_function("str pattern replace", _regex_replace),
}
