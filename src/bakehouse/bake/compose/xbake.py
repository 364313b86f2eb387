"""`build.x-bake`: what Bake can say and Compose cannot. Lists add to what Compose says, the rest replaces it."""

from __future__ import annotations

from bakehouse.bake.compose.nodes import ComposeFailure, Node, Timestamp, go_text, items_of, joined
from bakehouse.bake.compose.written import in_written_order, written_lines
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
_FLAGS = ("pull", "no-cache")
_HINT = "Lists take texts, or one text of words; pull and no-cache take true or false; contexts is a mapping."


def apply_extension(target: Target, build: Node, places: Places) -> None:
    """Joins `x-bake` of a build to its target. Raises `ComposeFailure` for a value of a wrong type, `DefinitionError`
    for an entry that does not parse."""
    extension = build.get(EXTENSION)
    if extension is None or extension.value is None:
        return
    lists, flags, contexts = _decoded(extension)
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


def _decoded(extension: Node) -> tuple[dict[str, list[str]], dict[str, bool | None], dict[str, Node]]:
    """Its lists, switches and contexts. Raises `ComposeFailure`."""
    lists: dict[str, list[str]] = {key: [] for key in _LISTS}
    flags: dict[str, bool | None] = dict.fromkeys(_FLAGS)
    contexts: dict[str, Node] = {}
    decoder = _Decoder(extension)
    if not isinstance(extension.value, dict):
        decoder.fail(extension, "bake.xbake")
    else:
        for key, member in in_written_order(extension.value):
            if key in _LISTS:
                lists[key] = decoder.texts(member)
            elif key in _FLAGS:
                flags[key] = decoder.flag(member)
            elif key == "contexts":
                contexts = decoder.contexts(member)
    decoder.finish()
    return lists, flags, contexts


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


class _Decoder:
    """Reads the members of an extension, and collects what is wrong with them."""

    def __init__(self, extension: Node) -> None:
        self._lines = written_lines(extension)
        self._failures: list[ComposeFailure] = []

    def finish(self) -> None:
        """Raises `ComposeFailure` for everything that was wrong."""
        if self._failures:
            failure = joined(self._failures)
            failure.message = f"yaml: unmarshal errors:\n{failure.message}"
            raise failure

    def fail(self, node: Node, wanted: str) -> None:
        kind = "!!map" if isinstance(node.value, dict) else "!!seq"
        if not isinstance(node.value, (dict, list)):
            text = _text(node)
            shown = text if len(text) <= 10 else text[:7] + "..."
            kind = f"{_tag(node.value)} `{shown}`"
        line = self._lines[id(node)]
        message = f"  line {line}: cannot unmarshal {kind} into {wanted}"
        self._failures.append(ComposeFailure(message, node, at_key=True, hint=_HINT))

    def texts(self, node: Node) -> list[str]:
        """A list of texts, or one text split at blanks."""
        if node.value is None:
            return []
        if isinstance(node.value, (dict, list)):
            items = node.value if isinstance(node.value, list) else [node]
            if any(isinstance(item.value, (dict, list)) for item in items):
                self.fail(node, "string")
                return []
            return [_text(item) for item in items if item.value is not None]
        return [word for word in _split(_text(node)) if word]

    def flag(self, node: Node) -> bool | None:
        if node.value is None:
            return None
        if isinstance(node.value, bool):
            return node.value
        if isinstance(node.value, str) and node.value in _TRUE + _FALSE:
            return node.value in _TRUE
        self.fail(node, "bool")
        return None

    def contexts(self, node: Node) -> dict[str, Node]:
        if node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self.fail(node, "bake.stringMap")
            return {}
        for _, member in in_written_order(node.value):
            if isinstance(member.value, (dict, list)):
                self.fail(member, "string")
        return node.value


def _tag(value: Value) -> str:
    if isinstance(value, bool):
        return "!!bool"
    if isinstance(value, Timestamp):
        return "!!timestamp"
    if isinstance(value, float):
        return "!!float" if set(go_text(value)) & set(".eInN") else "!!int"
    return "!!merge" if value == "<<" else {int: "!!int", str: "!!str"}[type(value)]


def _text(node: Node) -> str:
    if node.value is None:
        return ""
    if isinstance(node.value, Timestamp):
        return node.value.rfc3339()
    return go_text(node.value)


def _split(text: str) -> list[str]:
    for space in SPACES:
        text = text.replace(space, " ")
    return text.split(" ")
