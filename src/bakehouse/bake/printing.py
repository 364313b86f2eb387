"""JSON as Go's `encoding/json` writes it with two-space indent, and the printed definition (reference bake.md §17).

A dict is written in its own order: callers sort where Go would. On the start-up path: Python's `json` is not needed.
"""

from __future__ import annotations

from bakehouse.bake.fields import FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.target import Group, Resolved, Target

_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x20), 0x2028, 0x2029, *map(ord, "<>&"))}
_ESCAPES.update({8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"})
# What is no Unicode text (bytes of the environment that are not UTF-8) becomes the replacement character.
_ESCAPES.update(dict.fromkeys(range(0xD800, 0xE000), "\\ufffd"))
_ESCAPED_MARKERS = (("${", "$${"), ("%{", "%%{"))


def quote_json(text: str) -> str:
    """`text` as a JSON string literal in Go's escaping."""
    if text.isalnum() and text.isascii():
        return f'"{text}"'
    return f'"{text.translate(_ESCAPES)}"'


def render_json(value: object, indent: str = "") -> str:
    """`value` (dict, list, tuple, str, bool, int, None) indented by two blanks a level, without a final newline."""
    if isinstance(value, str):
        return quote_json(value)
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    inner = indent + "  "
    if isinstance(value, dict):
        if not value:
            return "{}"
        members = (f"{inner}{quote_json(key)}: {render_json(member, inner)}" for key, member in value.items())
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    assert isinstance(value, (list, tuple))
    if not value:
        return "[]"
    elements = (inner + render_json(element, inner) for element in value)
    return "[\n" + ",\n".join(elements) + f"\n{indent}]"


def group_as_json(group: Group) -> dict[str, object]:
    head: dict[str, object] = {"description": group.description} if group.description else {}
    return {**head, "targets": group.targets}


def target_as_json(target: Target) -> dict[str, object]:
    """The members of a printed target: set fields only, in print order, empty collections left out."""
    out: dict[str, object] = {}
    for field in FIELDS:
        value = getattr(target, field.attribute)
        if value is None or not field.printed:
            continue
        if isinstance(value, (list, dict)):
            if value:
                out[field.name] = _collection(value, field.escaped)
        elif isinstance(value, str):
            if value or field.name != "description":
                out[field.name] = _escape(value) if field.escaped else value
        elif isinstance(value, bool):
            out[field.name] = value
        else:
            out[field.name] = value.as_json()
    return out


def _collection(value: list[object] | dict[str, str], escaped: bool) -> object:
    if isinstance(value, dict):
        return {key: _escape(value[key]) if escaped else value[key] for key in sorted(value, key=_bytes)}
    if isinstance(value[0], str):
        return [_escape(str(text)) for text in value] if escaped else value
    return [entry.as_json() for entry in value]  # type: ignore[attr-defined]


def _escape(text: str) -> str:
    for marker, doubled in _ESCAPED_MARKERS:
        if marker in text:
            text = text.replace(marker, doubled)
    return text


def _bytes(text: str) -> bytes:
    """Go sorts keys by their UTF-8 bytes."""
    return text.encode("utf-8", "surrogateescape")


def resolved_as_json(resolved: Resolved) -> dict[str, object]:
    out: dict[str, object] = {}
    if resolved.groups:
        out["group"] = {name: group_as_json(resolved.groups[name]) for name in sorted(resolved.groups)}
    out["target"] = {name: target_as_json(resolved.targets[name]) for name in sorted(resolved.targets)}
    return out


def print_json(resolved: Resolved) -> str:
    """What `bake --print` writes, byte for byte as buildx does, with the final newline."""
    return render_json(resolved_as_json(resolved)) + "\n"
