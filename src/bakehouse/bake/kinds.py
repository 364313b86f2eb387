"""The kinds of target attributes: how an HCL value becomes a Python one, and how a reference to it reads back.

`decode` follows buildx's conversion (types per reference bake.md §6, §11, entry objects §12); what it refuses is an
`Unsuitable` whose text continues "Unsuitable value: ". Unknown values, the traces of an expression that already failed,
are refused too, except as entries, where they are passed over.
"""

from __future__ import annotations

from bakehouse.bake.entries import (
    Attest,
    CacheEntry,
    Output,
    PolicyEntry,
    Resources,
    SecretEntry,
    SshEntry,
    parse_attest,
    parse_cache_entries,
    parse_output,
    parse_policy,
    parse_secret,
    parse_ssh,
    policy_from_fields,
)
from bakehouse.errors import DefinitionError
from bakehouse.go.text import quote
from bakehouse.go.values import MAX_INT64
from bakehouse.hcl import numbers
from bakehouse.hcl.types import BOOL, NUMBER, STRING, ListType, MapType, ObjectType, Type
from bakehouse.hcl.values import UNKNOWN, Value, boolean, list_, map_, null, number, object_, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

TEXT_LIST = ListType(STRING)
TEXT_MAP = MapType(STRING)
_SECRET = ObjectType({"id": STRING, "src": STRING, "env": STRING}, ("id", "src", "env"))
_SSH = ObjectType({"id": STRING, "paths": TEXT_LIST}, ("id", "paths"))
_RESOURCES = ObjectType(
    {key: NUMBER if whole else STRING for key, whole in Resources.KEYS.items()}, Resources.KEYS
)


class Unsuitable(Exception):
    """A value has the wrong shape for its attribute."""


class NotKnown(Unsuitable):
    """There is no value: its evaluation has failed, and that has been reported."""


_NULL = "null value is not allowed"
_UNKNOWN = "value must be known"


def converted(value: Value, wanted: Type) -> Value:
    """`value` as `wanted`. Raises `Unsuitable` with cty's words."""
    if value.type is wanted:
        return value
    from bakehouse.hcl.convert import ConversionError, convert

    try:
        return convert(value, wanted)
    except ConversionError as error:
        raise Unsuitable(str(error)) from None


def known(value: Value) -> Value:
    if value.raw is UNKNOWN:
        raise NotKnown(_UNKNOWN)
    return value


#: The shapes of values: what documentation and the JSON schema call a kind.
SHAPE_TEXT = "string"
SHAPE_FLAG = "bool"
SHAPE_TEXTS = "list of strings"
SHAPE_NAMES = "map of strings"
SHAPE_NULLABLE_NAMES = "map of strings, null leaves a member out"
SHAPE_ENTRIES = "list of entries, each a string or an object"
SHAPE_OBJECT = "object"


class Kind:
    """What sort of thing an attribute holds; `shape` is one of the `SHAPE_` texts."""

    __slots__ = ()

    shape = ""

    def decode(self, value: Value) -> Any:
        """The Python value; None for a null that means "not set". Raises `Unsuitable`."""
        raise NotImplementedError

    def reference(self, value: Value | None, decoded: Any) -> Value:
        """What `target.NAME.attribute` reads; `value` is what the block says (None: nothing)."""
        raise NotImplementedError


class PlainKind(Kind):
    """A string or a boolean."""

    __slots__ = ("required", "type")

    def __init__(self, type_: Type, required: bool = False) -> None:
        self.type = type_
        self.required = required

    @property
    def shape(self) -> str:  # type: ignore[override]
        return SHAPE_TEXT if self.type is STRING else SHAPE_FLAG

    def decode(self, value: Value) -> Any:
        raw = known(converted(value, self.type)).raw
        if raw is None and self.required:
            raise Unsuitable(_NULL)
        return raw

    def reference(self, value: Value | None, decoded: Any) -> Value:
        if decoded is None:
            return string("") if self.required else null(self.type)
        return string(decoded) if self.type is STRING else boolean(decoded)


class TextListKind(Kind):
    """A list of strings without nulls."""

    __slots__ = ()

    shape = SHAPE_TEXTS

    def decode(self, value: Value) -> list[str] | None:
        raw = value.raw
        if type(raw) is tuple and raw and value.type.kind in ("tuple", "list"):
            texts = [element.raw for element in raw]
            if all(type(text) is str for text in texts):
                return texts
        raw = known(converted(value, TEXT_LIST)).raw
        if raw is None:
            return None
        for element in raw:
            known(element)
            if element.raw is None:
                raise Unsuitable(_NULL)
        return [element.raw for element in raw]

    def reference(self, value: Value | None, decoded: list[str] | None) -> Value:
        if decoded is None:
            return null(TEXT_LIST)
        return list_([string(text) for text in decoded], STRING)


class TextMapKind(Kind):
    """A map of strings. Null members are refused, or left out where `null_members` allows them."""

    __slots__ = ("null_members",)

    def __init__(self, null_members: bool) -> None:
        self.null_members = null_members

    @property
    def shape(self) -> str:  # type: ignore[override]
        return SHAPE_NULLABLE_NAMES if self.null_members else SHAPE_NAMES

    def decode(self, value: Value) -> dict[str, str] | None:
        raw = value.raw
        if not (type(raw) is dict and raw and all(type(member.raw) is str for member in raw.values())):
            raw = known(converted(value, TEXT_MAP)).raw
            if raw is None:
                return None
        out = {}
        for key, member in raw.items():
            text = known(member).raw
            if text is not None:
                out[key] = text
            elif not self.null_members:
                raise Unsuitable(_NULL)
        return out

    def reference(self, value: Value | None, decoded: dict[str, str] | None) -> Value:
        if value is not None:
            # Null members, which the decoding leaves out, can be seen.
            return converted(value, TEXT_MAP)
        if decoded is None:
            return null(TEXT_MAP)
        return map_({key: string(text) for key, text in decoded.items()}, STRING)


class EntryListKind(Kind):
    """A list or tuple of entries in string or object form; empty strings are passed over."""

    __slots__ = ("element", "from_object", "parse", "to_object")

    shape = SHAPE_ENTRIES

    def __init__(
        self,
        element: Type,
        parse: Callable[[str], list[Any]],
        from_object: Callable[[Value], Any],
        to_object: Callable[[Any], Value],
    ) -> None:
        self.element = element
        self.parse = parse
        self.from_object = from_object
        self.to_object = to_object

    def decode(self, value: Value) -> list[Any]:
        known(value)
        if value.raw is None:
            raise Unsuitable(_NULL)
        if value.type.kind not in ("tuple", "list"):
            from bakehouse.hcl.mismatch import mismatch_message

            raise Unsuitable(mismatch_message(value.type, ListType(self.element)))
        out: list[Any] = []
        try:
            for element in value.raw:
                out += self._entries(element)
        except DefinitionError as error:
            raise Unsuitable(error.message) from None
        return out

    def _entries(self, element: Value) -> list[Any]:
        if element.raw is UNKNOWN or element.raw == "":
            return []
        if element.raw is None:
            raise Unsuitable(_NULL)
        if element.type is STRING:
            return self.parse(element.raw)
        return [self.from_object(element)]

    def reference(self, value: Value | None, decoded: list[Any] | None) -> Value:
        return list_([self.to_object(entry) for entry in decoded or ()], self.element.without_optional())


class ResourcesKind(Kind):
    """Limits as one object; unknown members are dropped, nulls mean unset."""

    __slots__ = ()

    shape = SHAPE_OBJECT

    def decode(self, value: Value) -> Resources:
        known(value)
        if value.raw is None:
            raise Unsuitable(_NULL)
        limits: dict[str, str | int] = {}
        for key, member in converted(value, _RESOURCES).raw.items():
            if member.raw is None or member.raw is UNKNOWN:
                continue
            limits[key] = _int64(member.raw) if Resources.KEYS[key] else member.raw
        return Resources(limits)

    def reference(self, value: Value | None, decoded: Resources | None) -> Value:
        plain = _RESOURCES.without_optional()
        if decoded is None:
            return null(plain)
        members = {}
        for key, whole in Resources.KEYS.items():
            limit = decoded.limits.get(key)
            if limit is None:
                members[key] = null(NUMBER if whole else STRING)
            else:
                members[key] = string(limit) if isinstance(limit, str) else number(limit)
        return object_(members)


def _int64(raw: Any) -> int:
    if not numbers.is_integer(raw) or not -MAX_INT64 - 1 <= numbers.to_int(raw) <= MAX_INT64:
        raise Unsuitable(f"value must be a whole number, between {-MAX_INT64 - 1} and {MAX_INT64}")
    return numbers.to_int(raw)


def _text_members(value: Value) -> dict[str, str]:
    """The members of an entry in object form, as texts. A null member would crash buildx; here it is refused."""
    out = {}
    for key, member in _members(converted(value, TEXT_MAP)):
        if member.raw is None:
            raise Unsuitable(f"{_NULL} for {quote(key)}")
        if member.raw is not UNKNOWN:
            out[key] = member.raw
    return out


def _members(value: Value) -> Iterator[tuple[str, Value]]:
    yield from value.raw.items()


def _cache_from_object(value: Value) -> CacheEntry:
    members = _text_members(value)
    kind = members.pop("type", "")
    if kind == "":
        from bakehouse.hcl.json_encoding import to_json

        raise Unsuitable(f"type required for {quote(to_json(value))}")
    return CacheEntry(kind, members)


def _secret_from_object(value: Value) -> SecretEntry:
    found = {
        key: member.raw for key, member in _members(converted(value, _SECRET)) if type(member.raw) is str
    }
    return SecretEntry(found.get("id", ""), found.get("src", ""), found.get("env", ""))


def _ssh_from_object(value: Value) -> SshEntry:
    members = dict(_members(converted(value, _SSH)))
    paths = members["paths"]
    id = members["id"].raw
    texts = () if paths.raw is None or paths.raw is UNKNOWN else TextListKind().decode(paths) or ()
    return SshEntry(id if type(id) is str else "", texts)


def _policy_from_object(value: Value) -> PolicyEntry:
    from bakehouse.hcl.mismatch import mismatch_message

    if value.type.kind not in ("object", "map"):
        raise Unsuitable(mismatch_message(value.type, TEXT_MAP))
    fields = []
    for key, member in _members(value):
        if member.raw is None or member.raw is UNKNOWN or member.raw == "":
            continue
        if not member.type.is_primitive:
            raise Unsuitable(mismatch_message(member.type, STRING))
        fields.append(f"{key}={converted(member, STRING).raw}")
    return policy_from_fields(fields)


def _texts(members: dict[str, str]) -> Value:
    return map_({key: string(text) for key, text in members.items()}, STRING)


def _attest_object(entry: Attest) -> Value:
    disabled = {"disabled": "true"} if entry.disabled else {}
    return _texts({**entry.attrs, "type": entry.type, **disabled})


def _secret_object(entry: SecretEntry) -> Value:
    return object_({"id": string(entry.id), "src": string(entry.src), "env": string(entry.env)})


def _ssh_object(entry: SshEntry) -> Value:
    return object_({"id": string(entry.id), "paths": list_([string(path) for path in entry.paths], STRING)})


def _policy_object(entry: PolicyEntry) -> Value:
    members = {"filename": entry.files[0]} if entry.files else {}
    if entry.reset:
        members["reset"] = "true"
    if entry.disabled:
        members["disabled"] = "true"
    if entry.strict is not None:
        members["strict"] = "true" if entry.strict else "false"
    if entry.log_level is not None:
        members["log-level"] = entry.log_level
    return _texts(members)


TEXT = PlainKind(STRING)
REQUIRED_TEXT = PlainKind(STRING, required=True)
FLAG = PlainKind(BOOL)
TEXTS = TextListKind()
NAMES_TO_TEXTS = TextMapKind(null_members=False)
NAMES_TO_OPTIONAL_TEXTS = TextMapKind(null_members=True)
RESOURCES = ResourcesKind()
OUTPUTS = EntryListKind(
    TEXT_MAP,
    lambda text: [parse_output(text)],
    lambda value: Output.from_fields(_text_members(value)),
    lambda entry: _texts({**entry.attrs, "type": entry.type, "dest": entry.dest}),
)
CACHES = EntryListKind(
    TEXT_MAP,
    parse_cache_entries,
    _cache_from_object,
    lambda entry: _texts({**entry.attrs, "type": entry.type}),
)
ATTESTS = EntryListKind(
    TEXT_MAP,
    lambda text: [parse_attest(text)],
    lambda value: Attest.from_fields(_text_members(value)),
    _attest_object,
)
SECRETS = EntryListKind(_SECRET, lambda text: [parse_secret(text)], _secret_from_object, _secret_object)
SSHS = EntryListKind(_SSH, lambda text: [parse_ssh(text)], _ssh_from_object, _ssh_object)
POLICIES = EntryListKind(TEXT_MAP, lambda text: [parse_policy(text)], _policy_from_object, _policy_object)
