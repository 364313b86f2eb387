"""What functions are made of: their table, and checks of arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bakehouse.rego.values import Boolean, Object
from bakehouse.values import dataclass


class FunctionFailed(Exception):
    """A function has no value for these arguments."""


@dataclass(frozen=True, slots=True)
class Builtin:
    """`count` is the number of its arguments."""

    count: int
    function: Callable[..., Any]


def text(value: Any) -> str:
    """A string, or `FunctionFailed`."""
    if not isinstance(value, str):
        raise FunctionFailed
    return value


def number(value: Any) -> int | float:
    """A number, or `FunctionFailed`."""
    if not isinstance(value, int | float):
        raise FunctionFailed
    return value


def whole(value: Any) -> int:
    """A number without a fraction, or `FunctionFailed`."""
    found = number(value)
    if found != found or found in (float("inf"), float("-inf")) or found != int(found):
        raise FunctionFailed
    return int(found)


def array(value: Any) -> tuple[Any, ...]:
    """An array, or `FunctionFailed`."""
    if not isinstance(value, tuple):
        raise FunctionFailed
    return value


def record(value: Any) -> Object:
    """An object, or `FunctionFailed`."""
    if not isinstance(value, Object):
        raise FunctionFailed
    return value


def a_set(value: Any) -> frozenset[Any]:
    """A set, or `FunctionFailed`."""
    if not isinstance(value, frozenset):
        raise FunctionFailed
    return value


def listed(value: Any) -> tuple[Any, ...]:
    """An array, or a set in its order."""
    from bakehouse.rego.values import ordered

    if isinstance(value, frozenset):
        return tuple(ordered(value))
    return array(value)


def texts(value: Any) -> list[str]:
    """A string alone, or those of an array or a set."""
    return [value] if isinstance(value, str) else [text(item) for item in listed(value)]


def flag(value: Any) -> bool:
    """A boolean, or `FunctionFailed`."""
    if not isinstance(value, Boolean):
        raise FunctionFailed
    return bool(value)
