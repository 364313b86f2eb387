"""Attributes of cache entries as values: the types that BuildKit gives them, with its words where one is refused."""

from __future__ import annotations

from collections.abc import Mapping

from bakehouse.errors import DefinitionError
from bakehouse.go.units import parse_duration
from bakehouse.go.values import parse_bool, parse_int

_NS_PER_S = 1_000_000_000


def wrong(message: str, hint: str = "") -> DefinitionError:
    """The error of an attribute that is wrong."""
    return DefinitionError(message, code="cache-attribute", hint=hint or None)


def lenient_bool(attrs: Mapping[str, str], name: str) -> bool:
    """False when it is absent, or no boolean of Go's: BuildKit lets such a value pass."""
    try:
        return parse_bool(attrs.get(name, "false"))
    except ValueError:
        return False


def lenient_seconds(attrs: Mapping[str, str], name: str, default_s: float) -> float:
    """The default also when it is no duration of Go's: BuildKit lets such a value pass."""
    try:
        return parse_duration(attrs[name]) / _NS_PER_S
    except (KeyError, ValueError):
        return default_s


def seconds(text: str, what: str) -> float:
    """A duration in Go's form. Raises `DefinitionError`; `what` names it there."""
    try:
        return parse_duration(text) / _NS_PER_S
    except ValueError as error:
        raise wrong(
            f"failed to parse {what}: {error}", "Durations look like `90s`, `10m`, `1h30m`."
        ) from error


def positive(attrs: Mapping[str, str], name: str, default: int) -> int:
    """A whole number above zero. Raises `DefinitionError`."""
    try:
        value = parse_int(attrs[name]) if name in attrs else default
    except ValueError:
        value = 0
    if value < 1:
        raise wrong(f"{name} must be a positive integer")
    return value


def document_names(attrs: Mapping[str, str]) -> tuple[str, ...]:
    """The `;` list of `name`."""
    return tuple(attrs["name"].split(";")) if "name" in attrs else ("buildkit",)
