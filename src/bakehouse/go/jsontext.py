"""JSON as Go's `encoding/json` writes it.

Digests of configs, manifests and cache keys cover these bytes, so escapes and separators must agree (engine.md §8.2,
§17.2). A dict is written in its own order: callers sort where Go would. Python's `json` is not needed, which matters at
start-up. Reading JSON does not belong here.
"""

from __future__ import annotations

_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x20), 0x2028, 0x2029, *map(ord, "<>&"))}
_ESCAPES.update({8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"})
# What is no Unicode text (bytes that are not UTF-8) becomes the replacement character, and that as an escape.
_ESCAPES.update(dict.fromkeys(range(0xD800, 0xE000), "\\ufffd"))


def quote_json(text: str) -> str:
    """`text` as a JSON string literal; `<`, `>`, `&` and the line separators are escaped."""
    if text.isalnum() and text.isascii():
        return '"' + text + '"'
    return '"' + text.translate(_ESCAPES) + '"'


def compact_json(value: object) -> str:
    """`value` (dict with string keys, list, tuple, str, bool, int, float, None) without blanks. Floats are written as
    Python does; `ValueError` for one that JSON has no text for, `TypeError` for any other type."""
    if isinstance(value, str):
        return quote_json(value)
    if isinstance(value, dict):
        return (
            "{" + ",".join([f"{quote_json(key)}:{compact_json(item)}" for key, item in value.items()]) + "}"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([compact_json(item) for item in value]) + "]"
    return _scalar(value)


def indented_json(value: object, indent: str = "") -> str:
    """As `compact_json`, indented by two blanks a level from `indent` on, without a final newline."""
    if isinstance(value, str):
        return quote_json(value)
    inner = indent + "  "
    if isinstance(value, dict):
        if not value:
            return "{}"
        members = [f"{inner}{quote_json(key)}: {indented_json(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, (list, tuple)):
        if not value:
            return "[]"
        return "[\n" + ",\n".join([inner + indented_json(item, inner) for item in value]) + f"\n{indent}]"
    return _scalar(value)


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        if value - value != 0:
            raise ValueError(f"JSON has no text for {value}")
        return float.__repr__(value)
    raise TypeError(f"JSON has no text for {type(value).__name__}")
