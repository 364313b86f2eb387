"""Sizes, ulimits and resource limits: their syntax (reference bake.md §12, §19). Also used by `build`'s flags."""

from __future__ import annotations

from bakehouse.bake.gotext import parse_float, parse_int, quote
from bakehouse.errors import DefinitionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.entries import Resources

_BINARY_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_ULIMITS = frozenset(
    {
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    }
)


def parse_size(text: str) -> int:
    """A size in bytes: a non-negative number, at most one blank, and nothing, `b`, or one of `kmgtp` with an optional
    `b` or `ib`, in binary multiples and any case. Raises `ValueError` with the peers' text."""
    end = next((index for index in range(len(text) - 1, -1, -1) if text[index] in "0123456789. "), -1)
    if end < 0:
        raise ValueError(f"invalid size: '{text}'")
    number, suffix = (text[:end] if text[end] == " " else text[: end + 1]), text[end + 1 :]
    size = parse_float(number)
    if size < 0:
        raise ValueError(f"invalid size: '{text}'")
    if len(suffix) > 3:
        raise ValueError(f"invalid suffix: '{suffix}'")
    suffix = suffix.lower()
    if suffix in ("", "b"):
        return int(size)
    if suffix[0] not in _BINARY_UNITS or suffix[1:] not in ("", "b", "ib"):
        raise ValueError(f"invalid suffix: '{suffix}'")
    return int(size * _BINARY_UNITS[suffix[0]])


class Ulimit:
    """A process limit; -1 is unlimited."""

    __slots__ = ("hard", "name", "soft")

    def __init__(self, name: str, soft: int, hard: int) -> None:
        self.name = name
        self.soft = soft
        self.hard = hard


def parse_ulimit(text: str) -> Ulimit:
    """`name=soft[:hard]`. Raises `DefinitionError` (code `invalid-ulimit`)."""
    name, equals, values = text.partition("=")
    if not equals:
        raise _ulimit_error(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise _ulimit_error(f"invalid ulimit type: {name}")
    parts = values.split(":")
    if len(parts) > 2:
        raise _ulimit_error(
            f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`"
        )
    try:
        hard = parse_int(parts[-1])
        soft = parse_int(parts[0])
    except ValueError as error:
        raise _ulimit_error(str(error)) from None
    if hard != -1 and (soft == -1 or soft > hard):
        shown = f"soft: -1 (unlimited), hard: {hard}" if soft == -1 else f"{soft} > {hard}"
        raise _ulimit_error(f"ulimit soft limit must be less than or equal to hard limit: {shown}")
    return Ulimit(name, soft, hard)


def _ulimit_error(message: str) -> DefinitionError:
    return DefinitionError(
        message, code="invalid-ulimit", hint="Write name=soft or name=soft:hard, as nofile=1024."
    )


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
                out[key] = parse_size(text)
            except ValueError as error:
                raise DefinitionError(
                    f"invalid value {quote(text)} for resource {key}: {error}",
                    code="invalid-resource",
                    hint="Write a size such as 512m or 2g.",
                ) from None
        else:
            out[key] = text
    return out
