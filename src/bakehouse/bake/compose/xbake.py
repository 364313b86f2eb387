"""`build.x-bake`: what Bake can say and Compose cannot. Lists add to what Compose says, the rest replaces it."""

from __future__ import annotations

from bakehouse.bake.compose.nodes import ComposeFailure, Node, Timestamp, go_text, items_of
from bakehouse.bake.entries import parse_caches, parse_outputs, parse_secrets, parse_sshs
from bakehouse.bake.merge_rules import append_by_id, append_unique_entries, unique_entries
from bakehouse.go.text import SPACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.compose.nodes import Value
    from bakehouse.bake.compose.positions import Places
    from bakehouse.bake.target import Target

EXTENSION = "x-bake"
_TRUE = ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON")
_FALSE = ("n", "N", "no", "No", "NO", "off", "Off", "OFF")
_LISTS = (
    "tags",
    "cache-from",
    "cache-to",
    "secret",
    "ssh",
    "platforms",
    "output",
    "no-cache-filter",
)


def apply_extension(target: Target, build: Node, places: Places) -> None:
    """Joins `x-bake` of a build to its target. Raises `ComposeFailure` for a value of a wrong type, `DefinitionError`
    for an entry that does not parse."""
    extension = build.get(EXTENSION)
    if extension is None or extension.value is None:
        return
    if not isinstance(extension.value, dict):
        raise _wrong(extension, "bake.xbake")
    lists = {key: _texts(extension.get(key)) for key in _LISTS}
    flags = {key: _flag(extension.get(key)) for key in ("pull", "no-cache")}
    contexts = _contexts(extension.get("contexts"))
    _join_lists(target, extension, lists, places)
    for key, flag in flags.items():
        if flag is not None:
            setattr(target, key.replace("-", "_"), flag)
            places.note(key, extension.get(key))
    if contexts:
        members = dict(target.contexts or {})
        for name, node in contexts.items():
            if name not in members:
                members[name] = linked_context(_text(node))
                places.note("contexts", node, name)
        target.contexts = members


def linked_context(value: str) -> str:
    """A named context as Bake writes it: a service is a target, whose name has no dots."""
    prefix, colon, name = value.partition(":")
    return f"target:{target_name(name)}" if colon and prefix in ("service", "target") else value


def target_name(service: str) -> str:
    """The name of a service's target."""
    return service.replace(".", "_")


def _join_lists(target: Target, extension: Node, lists: dict[str, list[str]], places: Places) -> None:
    for key in ("tags", "platforms", "no-cache-filter"):
        if lists[key]:
            attribute = key.replace("-", "_")
            before = getattr(target, attribute) or []
            setattr(target, attribute, list(dict.fromkeys([*before, *lists[key]])))
    if lists["cache-from"]:
        target.cache_from = append_unique_entries(target.cache_from or [], parse_caches(lists["cache-from"]))
    if lists["cache-to"]:
        target.cache_to = append_unique_entries(target.cache_to or [], parse_caches(lists["cache-to"]))
    if lists["secret"]:
        target.secret = append_by_id(target.secret or [], parse_secrets(lists["secret"]))
    if lists["ssh"]:
        joined = append_by_id(target.ssh or [], parse_sshs(lists["ssh"]))
        target.ssh = sorted(joined, key=lambda entry: (entry.id, entry.paths))
    if lists["output"]:
        target.output = unique_entries([*(target.output or []), *parse_outputs(lists["output"])])
    for key, texts in lists.items():
        if texts:
            _note_list(target, extension, key, places)


def _note_list(target: Target, extension: Node, key: str, places: Places) -> None:
    node = extension.get(key)
    places.note(key, node)
    values = getattr(target, key.replace("-", "_"))
    items = items_of(node)
    # Only where nothing was dropped is the place in the list the place in the file.
    if items and all(isinstance(value, str) for value in values):
        by_text = {_text(item): item for item in items}
        for index, value in enumerate(values):
            places.note(key, by_text.get(value), index)


def _wrong(node: Node, wanted: str) -> ComposeFailure:
    kind = "!!map" if isinstance(node.value, dict) else "!!seq"
    if not isinstance(node.value, (dict, list)):
        text = _text(node)
        shown = text if len(text) <= 10 else text[:7] + "..."
        kind = f"{_tag(node.value)} `{shown}`"
    line = node.start.line + 1
    return ComposeFailure(
        f"yaml: unmarshal errors:\n  line {line}: cannot unmarshal {kind} into {wanted}",
        node,
        at_key=True,
        hint="Lists take texts, or one text of words; pull and no-cache take true or false; contexts is a mapping.",
    )


def _tag(value: Value) -> str:
    if isinstance(value, bool):
        return "!!bool"
    if isinstance(value, Timestamp):
        return "!!timestamp"
    return {int: "!!int", float: "!!float", str: "!!str"}[type(value)]


def _text(node: Node) -> str:
    if node.value is None:
        return ""
    if isinstance(node.value, Timestamp):
        return node.value.rfc3339()
    return go_text(node.value)


def _texts(node: Node | None) -> list[str]:
    """A list of texts, or one text split at blanks."""
    if node is None or node.value is None:
        return []
    if isinstance(node.value, dict):
        raise _wrong(node, "string")
    if not isinstance(node.value, list):
        return [word for word in _split(_text(node)) if word]
    if any(isinstance(item.value, (dict, list)) for item in node.value):
        raise _wrong(node, "string")
    return [_text(item) for item in node.value if item.value is not None]


def _split(text: str) -> list[str]:
    for space in SPACES:
        text = text.replace(space, " ")
    return text.split(" ")


def _flag(node: Node | None) -> bool | None:
    if node is None or node.value is None:
        return None
    if isinstance(node.value, bool):
        return node.value
    if isinstance(node.value, str) and node.value in _TRUE + _FALSE:
        return node.value in _TRUE
    raise _wrong(node, "bool")


def _contexts(node: Node | None) -> dict[str, Node]:
    if node is None or node.value is None:
        return {}
    if not isinstance(node.value, dict):
        raise _wrong(node, "bake.stringMap")
    for member in node.value.values():
        if isinstance(member.value, (dict, list)):
            raise _wrong(member, "string")
    return node.value
