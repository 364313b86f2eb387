"""How BuildKit's progress names a cache that has no reference: its type and a hash of its attributes.

The hash is that of gohugoio's hashstructure over the struct `CacheOptionsEntry{Type, Attrs}`: FNV-1 of 64 bits over
little-endian numbers. Members of a map are joined by exclusive or, whatever their order, and the sum is hashed again.
"""

from __future__ import annotations

from collections.abc import Mapping

_OFFSET = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = (1 << 64) - 1


def _fnv(data: bytes) -> int:
    value = _OFFSET
    for byte in data:
        value = (value * _PRIME & _MASK) ^ byte
    return value


def _text(text: str) -> int:
    return _fnv(text.encode("utf-8", "surrogateescape"))


def _ordered(first: int, second: int) -> int:
    return _fnv(first.to_bytes(8, "little") + second.to_bytes(8, "little"))


def _finished(value: int) -> int:
    return _fnv(value.to_bytes(8, "little"))


def hashed_name(type: str, attrs: Mapping[str, str]) -> str:
    """`TYPE:HASH`."""
    members = 0
    for key, value in attrs.items():
        members ^= _ordered(_text(key), _text(value))
    fields = (("Type", _text(type)), ("Attrs", _finished(members)))
    total = _text("CacheOptionsEntry")
    for name, field in fields:
        total = _finished(total ^ _ordered(_text(name), field))
    return f"{type}:{total}"
