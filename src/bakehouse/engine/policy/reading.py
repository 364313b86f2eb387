"""Reads a policy file: JSON as Go reads it into `sourcepolicy.Policy`, or the message in protobuf's own form.

As in Go, names of members are found whatever their case, the last of several counts, and unknown ones are ignored. What
is wrong with a file is said with the place: the member, and the line where the text itself is no JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from bakehouse.engine.policy.rules import (
    ACTIONS,
    CONDITIONS,
    MATCH_TYPES,
    Constraint,
    Rule,
    RulePolicy,
    Selector,
    Update,
)
from bakehouse.errors import BakehouseError, DefinitionError

T = TypeVar("T")

_CODE = "invalid-source-policy"
_INT32 = range(-(2**31), 2**31)


def read_policy(name: str, data: bytes) -> RulePolicy:
    """The policy in the file `name`. Raises `DefinitionError` (code `invalid-source-policy`)."""
    try:
        document = _Members.of(_parsed(data), "the policy")
        rules = document.items("rules", _rule)
        document.check("version", int, "a number")
    except _Problem as problem:
        packed = _from_wire(data)
        if packed is None:
            raise DefinitionError(
                f"failed to parse source policy: {name}: {problem}",
                code=_CODE,
                hint='a policy is {"rules": [{"action": "DENY", "selector": {"identifier": "docker-image://*"}}]}',
            ) from None
        return packed
    return RulePolicy(tuple(rules))


class _Problem(Exception):
    """What is wrong, with the place."""


def _parsed(data: bytes) -> object:
    import json

    def refuse(constant: str) -> None:
        raise _Problem(f"{constant} is no JSON")

    try:
        return json.loads(data.decode("utf-8", "replace"), object_pairs_hook=_Pairs, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise _Problem(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise _Problem("nested too deep") from None
    except ValueError:
        # The interpreter reads no number of thousands of digits.
        raise _Problem("a number is too long") from None


class _Pairs(list[tuple[str, Any]]):
    """The members of an object as they stand in the text."""


class _Members:
    """The members of one object by the lower-case form of their names. `where` is what messages call the object."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self._where = where

    @classmethod
    def of(cls, value: object, where: str) -> _Members:
        if value is None:
            return cls({}, where)
        if not isinstance(value, _Pairs):
            raise _Problem(f"{where} must be an object, not {_kind(value)}")
        return cls({key.lower(): item for key, item in value}, where)

    def path(self, name: str) -> str:
        return name if self._where == "the policy" else f"{self._where}.{name}"

    def check(self, name: str, kind: type[T], expected: str, missing: T | None = None) -> T | None:
        """The member `name`, which is a `kind`; `missing` when it is absent or null."""
        value = self._values.get(name)
        if value is None:
            return missing
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _Problem(f"{self.path(name)} must be {expected}, not {_kind(value)}")
        return value

    def text(self, name: str) -> str:
        return self.check(name, str, "a string") or ""

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """A member of an enumeration, by name or by number."""
        value = self._values.get(name)
        if value is None:
            return choices[0]
        if isinstance(value, str) and value in choices:
            return value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(choices):
            return choices[value]
        shown = f'"{value}"' if isinstance(value, str) else value if isinstance(value, int) else _kind(value)
        raise _Problem(f"{self.path(name)} must be {_either(choices)}, not {shown}")

    def items(self, name: str, read: Callable[[_Members], T]) -> list[T]:
        """What `read` makes of the objects of a list."""
        values = self._values.get(name)
        if values is None:
            return []
        if isinstance(values, _Pairs) or not isinstance(values, list):
            raise _Problem(f"{self.path(name)} must be a list, not {_kind(values)}")
        return [
            read(_Members.of(value, f"{self.path(name)}[{number}]")) for number, value in enumerate(values)
        ]

    def inner(self, name: str) -> _Members | None:
        """The object that is the member `name`; None when it is absent or null."""
        value = self._values.get(name)
        return None if value is None else _Members.of(value, self.path(name))

    def texts(self, name: str) -> dict[str, str]:
        """An object of strings, whose names count as they are written."""
        value = self._values.get(name)
        if value is None:
            return {}
        if not isinstance(value, _Pairs):
            raise _Problem(f"{self.path(name)} must be an object, not {_kind(value)}")
        out = {}
        for key, item in value:
            if item is not None and not isinstance(item, str):
                raise _Problem(f"{self.path(name)}.{key} must be a string, not {_kind(item)}")
            out[key] = item or ""
        return out

    def missing(self, name: str, kind: str) -> _Problem:
        return _Problem(f"{self._where} has no {name}, which every {kind} needs")


def _rule(members: _Members) -> Rule:
    action = members.choice("action", ACTIONS)
    selector, update = members.inner("selector"), members.inner("updates")
    if selector is None:
        raise members.missing("selector", "rule")
    return Rule(
        action,
        Selector(
            selector.text("identifier"),
            selector.choice("match_type", MATCH_TYPES),
            tuple(selector.items("constraints", _constraint)),
        ),
        None if update is None else Update(update.text("identifier"), update.texts("attrs")),
    )


def _constraint(members: _Members) -> Constraint:
    condition = members.choice("condition", CONDITIONS)
    return Constraint(members.text("key"), members.text("value"), condition)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, int | float):
        return "a number"
    if value is None:
        return "null"
    return "an object" if isinstance(value, _Pairs) else "a list"


def _either(choices: Sequence[str]) -> str:
    return ", ".join(choices[:-1]) + " or " + choices[-1]


# -- protobuf's own form ------------------------------------------------------------------------------------------


def _from_wire(data: bytes) -> RulePolicy | None:
    """The policy of a protobuf message; None when `data` is none."""
    from bakehouse.llb.decode import Fields

    def choice(fields: Fields, number: int, choices: Sequence[str]) -> str:
        value = fields.number(number)
        if not 0 <= value < len(choices):
            raise DefinitionError(f"{value} is out of range")
        return choices[value]

    def constraint(raw: bytes) -> Constraint:
        fields = Fields(raw)
        return Constraint(fields.text(1), fields.text(2), choice(fields, 3, CONDITIONS))

    def selector(raw: bytes) -> Selector:
        fields = Fields(raw)
        constraints = tuple(constraint(item) for item in fields.messages(3))
        return Selector(fields.text(1), choice(fields, 2, MATCH_TYPES), constraints)

    def update(raw: bytes) -> Update:
        fields = Fields(raw)
        return Update(fields.text(1), fields.string_map(2))

    def rule(raw: bytes) -> Rule:
        fields = Fields(raw)
        chosen = fields.optional(2, selector)
        if chosen is None:
            raise DefinitionError("a rule without a selector")
        return Rule(choice(fields, 1, ACTIONS), chosen, fields.optional(3, update))

    try:
        return RulePolicy(tuple(rule(raw) for raw in Fields(data).messages(2)))
    except BakehouseError:
        return None
