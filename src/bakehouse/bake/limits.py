"""Ulimits and resource limits: their syntax (reference bake.md §12, §19). Also used by `build`'s flags."""

from __future__ import annotations

from bakehouse.errors import DefinitionError
from bakehouse.go.text import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.entries import Resources


class Ulimit:
    """A process limit; -1 is unlimited."""

    __slots__ = ("hard", "name", "soft")

    def __init__(self, name: str, soft: int, hard: int) -> None:
        self.name = name
        self.soft = soft
        self.hard = hard


def parse_ulimit(text: str) -> Ulimit:
    """`name=soft[:hard]`. Raises `DefinitionError` (code `invalid-ulimit`)."""
    from bakehouse.go import units

    try:
        return Ulimit(*units.parse_ulimit(text))
    except ValueError as error:
        raise DefinitionError(
            str(error), code="invalid-ulimit", hint="Write name=soft or name=soft:hard, as nofile=1024."
        ) from None


def parse_resources(resources: Resources) -> dict[str, int | str]:
    """Limits with sizes in bytes, by key. Raises `DefinitionError` (code `invalid-resource`)."""
    out: dict[str, int | str] = {}
    for key, value in resources.as_json().items():
        assert isinstance(value, (int, str))
        if isinstance(value, int):
            out[key] = value
            continue
        text = value.strip()
        if key == "memory-swap" and text == "-1":
            out[key] = -1
        elif key in ("memory", "memory-swap"):
            try:
                from bakehouse.go.units import parse_ram_bytes

                out[key] = parse_ram_bytes(text)
            except ValueError as error:
                raise DefinitionError(
                    f"invalid value {quote(text)} for resource {key}: {error}",
                    code="invalid-resource",
                    hint="Write a size such as 512m or 2g.",
                ) from None
        else:
            out[key] = text
    return out
