"""Values of variables from texts: the environment, `--var`, CSV and JSON forms (reference bake.md §6, §8).

Pure. What a text cannot become is a `VariableError` in buildx's words.
"""

from __future__ import annotations

from bakehouse.go.csvline import CsvError, split_csv
from bakehouse.go.values import parse_bool, parse_float
from bakehouse.hcl.types import BOOL, DYNAMIC, NUMBER, STRING, ListType, MapType, SetType, TupleType
from bakehouse.hcl.values import Value, boolean, list_, map_, number, set_, string, tuple_

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.hcl.types import Type


class VariableError(Exception):
    """A variable cannot have the value that was given."""


def overridden(name: str, text: str, *, is_json: bool, declared: Type | None, default: Value | None) -> Value:
    """The value that `text` gives the variable `name`.

    `declared` is its type (None: none), `default` the evaluated default (None: none); `is_json` says that the text came
    from `NAME_JSON`. Raises `VariableError`.
    """
    if declared is not None:
        if is_json:
            return _from_json(name, text, declared)
        if declared.kind in ("list", "set", "tuple", "map"):
            try:
                return _from_csv(name, text, declared)
            except VariableError as error:
                raise VariableError(f"failed to convert variable {name} from CSV: {error}") from None
        if declared.is_primitive:
            return _primitive(name, text, declared)
        raise VariableError(f"unsupported type {declared.friendly_name()} for variable {name}")
    if default is None or default.type is DYNAMIC:
        return string(text)
    if default.type.is_primitive:
        return _primitive(name, text, default.type)
    raise VariableError(f"unsupported type {default.type.friendly_name()} for variable {name}")


def _primitive(name: str, text: str, wanted: Type) -> Value:
    if wanted is BOOL:
        try:
            return boolean(parse_bool(text))
        except ValueError as error:
            raise VariableError(f"failed to parse {name} as bool: {error}") from None
    if wanted is NUMBER:
        try:
            value = parse_float(text)
        except ValueError as error:
            raise VariableError(f"failed to parse {name} as number: {error}") from None
        if value != value or value in (float("inf"), float("-inf")):
            raise VariableError(f"failed to parse {name} as number: invalid number value")
        return number(value)
    return string(text)


def _from_json(name: str, text: str, wanted: Type) -> Value:
    from bakehouse.errors import DefinitionError
    from bakehouse.hcl import from_json_typed

    try:
        value: Value = from_json_typed(text, wanted)
        return value
    except (DefinitionError, ValueError) as error:
        raise VariableError(f"failed to convert variable {name} from JSON: {error}") from None


def _from_csv(name: str, text: str, wanted: Type) -> Value:
    try:
        fields = split_csv(text)
    except CsvError as error:
        raise VariableError(f"failed to parse {text} as CSV: {error}") from None
    if isinstance(wanted, TupleType):
        return _tuple(name, fields, wanted)
    assert isinstance(wanted, (ListType, SetType, MapType))
    if not wanted.element.is_primitive:
        raise VariableError(f"unsupported type {wanted.friendly_name()} for CSV specification")
    if isinstance(wanted, MapType):
        return _map(name, fields, wanted)
    elements = [_element(name, field, wanted.element, wanted, "of") for field in fields]
    return list_(elements) if isinstance(wanted, ListType) else set_(elements)


def _element(name: str, field: str, wanted: Type, whole: Type, preposition: str) -> Value:
    try:
        return _primitive(name, field, wanted)
    except VariableError as error:
        raise VariableError(
            f"failed to parse element {preposition} type {whole.friendly_name()}: {error}"
        ) from None


def _tuple(name: str, fields: list[str], wanted: TupleType) -> Value:
    if len(wanted.elements) != len(fields):
        raise VariableError(
            f"{wanted.friendly_name()} expects {len(wanted.elements)} elements but only {len(fields)} provided"
        )
    elements = []
    for field, element_type in zip(fields, wanted.elements, strict=True):
        if not element_type.is_primitive:
            raise VariableError(f"unsupported type {wanted.friendly_name()} for CSV specification")
        elements.append(_element(name, field, element_type, wanted, "of"))
    return tuple_(elements)


def _map(name: str, fields: list[str], wanted: MapType) -> Value:
    members = {}
    for field in fields:
        try:
            pair = split_csv(field, ":")
        except CsvError as error:
            raise VariableError(f"failed to parse {field} as k/v for variable {name}: {error}") from None
        if len(pair) != 2:
            raise VariableError(f"expected one k/v pair but got {len(pair)} pieces from {field}")
        members[pair[0]] = _element(name, pair[1], wanted.element, wanted, "from")
    return map_(members)


def listed_value(value: Value, declared: Type | None) -> str | None:
    """A variable's value as `--list=variables` shows it; None for null."""
    if value.raw is None:
        return None
    from bakehouse.hcl.convert import convert
    from bakehouse.hcl.json_encoding import to_json

    if declared is None and value.type.is_primitive:
        return str(convert(value, STRING).raw)
    text = to_json(value) if declared is None else to_json(value, declared)
    return str(text).strip('"') if declared is STRING else str(text)
