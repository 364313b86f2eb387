"""The shape of what is kept of a model: services with `image`, `build`, `environment` and `env_file`, and secrets.

The rules are those of the Compose specification's JSON schema for these places. Of several faults the peer tells the
deepest one; of several as deep ones ours is the first in the file.
"""

from __future__ import annotations

from bakehouse.bake.compose.nodes import ComposeFailure, Node, Timestamp, go_text, walk
from bakehouse.go.text import quote
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from typing import Protocol

    from bakehouse.bake.compose.nodes import Path, Value

    class Rule(Protocol):
        """Faults of a node at a place; none where it complies."""

        def check(self, node: Node, path: Path) -> list[Fault]: ...


class Fault:
    """One violation; `depth` decides which is told."""

    __slots__ = ("at_key", "depth", "node", "path", "text")

    def __init__(self, node: Node, path: Path, text: str, *, deeper: int = 0, at_key: bool = False) -> None:
        self.node = node
        self.path = path
        self.text = text
        self.depth = len(path) + deeper
        self.at_key = at_key


def check_schema(model: Node) -> None:
    """Raises `ComposeFailure` for a model of another shape."""
    for node in walk(model):
        if isinstance(node.value, float) and node.value - node.value != 0:
            # The peer checks the JSON form of the model, and JSON cannot say this.
            message = f"json: unsupported value: {go_text(node.value)}"
            raise ComposeFailure(message, node, hint="Write the value in quotes.")
    faults = _MODEL.check(model, ())
    if not faults:
        return
    worst = max(fault.depth for fault in faults)
    fault = next(fault for fault in faults if fault.depth == worst)
    raise ComposeFailure(
        f"{'.'.join(fault.path)} {fault.text}", fault.node, at_key=fault.at_key, hint=_hint(fault)
    )


def _hint(fault: Fault) -> str | None:
    """What was meant by an unknown key, if that can be guessed."""
    if not fault.text.startswith("additional properties") or "build" not in fault.path:
        return None
    from bakehouse.bake.suggestions import suggestion

    unknown = fault.text.split("'")[1]
    return suggestion(unknown, _BUILD.properties)


class Anything:
    """Any value."""

    def check(self, node: Node, path: Path) -> list[Fault]:
        return []


def _kind(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value - value == 0 and value.is_integer() else "number"
    if isinstance(value, (str, Timestamp)):
        return "string"
    return "array" if isinstance(value, list) else "object"


class Scalar:
    """A value of one of some kinds."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds

    def check(self, node: Node, path: Path) -> list[Fault]:
        kind = _kind(node.value)
        if kind in self._kinds or (kind == "integer" and "number" in self._kinds):
            return []
        return [Fault(node, path, f"must be a {_or(self._kinds)}")]


def _or(kinds: tuple[str, ...]) -> str:
    names = sorted("mapping" if kind == "object" and len(kinds) == 1 else kind for kind in kinds)
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} or {names[-1]}"


class Mapping:
    """A mapping with known keys; others match one of `patterns`, or are refused when it is `closed`."""

    def __init__(
        self,
        properties: dict[str, Rule] | None = None,
        patterns: tuple[tuple[re.Pattern[str], Rule], ...] = (),
        *,
        closed: bool = True,
        required: tuple[str, ...] = (),
    ) -> None:
        self.properties = properties or {}
        self._patterns = patterns
        self._closed = closed
        self._required = required

    def check(self, node: Node, path: Path) -> list[Fault]:
        if not isinstance(node.value, dict):
            return [Fault(node, path, "must be a mapping")]
        faults = []
        missing = [name for name in self._required if name not in node.value]
        if missing:
            what = "property" if len(missing) == 1 else "properties"
            faults.append(Fault(node, path, f"missing {what} {_quoted(missing)}"))
        unknown: dict[str, Node] = {}
        for key, member in node.value.items():
            rule = self.properties.get(key)
            known = rule is not None
            if rule is not None:
                faults += rule.check(member, (*path, key))
            for pattern, other in self._patterns:
                if pattern.search(key):
                    known = True
                    faults += other.check(member, (*path, key))
            if not known:
                unknown[key] = member
        if unknown and self._closed:
            first = next(iter(unknown.values()))
            text = f"additional properties {_quoted(sorted(unknown))} not allowed"
            faults.append(Fault(first, path, text, deeper=1, at_key=True))
        return faults


def _quoted(names: list[str]) -> str:
    return ", ".join("'" + quote(name)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'" for name in names)


class Sequence:
    """A list of values of one rule."""

    def __init__(self, items: Rule, *, unique: bool = False) -> None:
        self._items = items
        self._unique = unique

    def check(self, node: Node, path: Path) -> list[Fault]:
        if not isinstance(node.value, list):
            return [Fault(node, path, "must be a array")]
        faults = self._doubles(node, node.value, path) if self._unique else []
        for index, item in enumerate(node.value):
            faults += self._items.check(item, (*path, str(index)))
        return faults

    def _doubles(self, node: Node, items: list[Node], path: Path) -> list[Fault]:
        first: dict[str, int] = {}
        for index, item in enumerate(items):
            if not isinstance(item.value, str):
                continue
            before = first.setdefault(item.value, index)
            if before != index:
                return [Fault(item, path, f"items at {before} and {index} are equal")]
        return []


class OneOf:
    """A value of one of some rules, no two of which any value meets."""

    def __init__(self, *rules: Rule) -> None:
        self._rules = rules

    def check(self, node: Node, path: Path) -> list[Fault]:
        faults: list[Fault] = []
        for rule in self._rules:
            found = rule.check(node, path)
            if not found:
                return []
            faults += found
        return faults


_TEXT = Scalar("string")
_TEXT_OR_SWITCH = Scalar("boolean", "string")
_TEXT_OR_INTEGER = Scalar("integer", "string")
_ANYTHING = regex(r".")
_EXTENSION = (regex(r"^x-"), Anything())
_NAME = regex(r"^[a-zA-Z0-9._-]+\Z")
_TEXTS = Sequence(_TEXT)
_LIST_OR_DICT = OneOf(
    Mapping({}, ((_ANYTHING, Scalar("string", "number", "boolean", "null")),)),
    Sequence(_TEXT, unique=True),
)
_EXTRA_HOSTS = OneOf(
    Mapping({}, ((_ANYTHING, OneOf(_TEXT, _TEXTS)),)),
    Sequence(_TEXT, unique=True),
)
_ULIMITS = Mapping(
    {},
    (
        (
            regex(r"^[a-z]+\Z"),
            OneOf(
                _TEXT_OR_INTEGER,
                Mapping(
                    {"hard": _TEXT_OR_INTEGER, "soft": _TEXT_OR_INTEGER},
                    (_EXTENSION,),
                    required=("soft", "hard"),
                ),
            ),
        ),
    ),
    closed=False,
)
_GRANTS = Sequence(
    OneOf(
        _TEXT,
        Mapping(
            {
                "source": _TEXT,
                "target": _TEXT,
                "uid": _TEXT,
                "gid": _TEXT,
                "mode": Scalar("number", "string"),
            },
            (_EXTENSION,),
        ),
    )
)
_ENV_FILE = OneOf(
    _TEXT,
    Sequence(
        OneOf(
            _TEXT,
            Mapping({"path": _TEXT, "format": _TEXT, "required": _TEXT_OR_SWITCH}, required=("path",)),
        )
    ),
)
_BUILD = Mapping(
    {
        **dict.fromkeys(
            ("context", "dockerfile", "dockerfile_inline", "network", "target", "isolation"), _TEXT
        ),
        **dict.fromkeys(("args", "ssh", "labels", "additional_contexts"), _LIST_OR_DICT),
        **dict.fromkeys(("cache_from", "cache_to", "entitlements", "platforms", "tags"), _TEXTS),
        **dict.fromkeys(("no_cache", "provenance", "sbom", "pull", "privileged"), _TEXT_OR_SWITCH),
        "no_cache_filter": OneOf(_TEXT, Sequence(_TEXT, unique=True)),
        "shm_size": _TEXT_OR_INTEGER,
        "extra_hosts": _EXTRA_HOSTS,
        "secrets": _GRANTS,
        "ulimits": _ULIMITS,
    },
    (_EXTENSION,),
)
_SECRET = Mapping(
    {
        **dict.fromkeys(("name", "environment", "file", "driver", "template_driver"), _TEXT),
        "external": OneOf(_TEXT_OR_SWITCH, Mapping({"name": _TEXT}, closed=False)),
        "labels": _LIST_OR_DICT,
        "driver_opts": Mapping({}, ((_ANYTHING, Scalar("string", "number")),), closed=False),
    },
    (_EXTENSION,),
)
_SERVICE = Mapping(
    {
        "image": _TEXT,
        "build": OneOf(_TEXT, _BUILD),
        "environment": _LIST_OR_DICT,
        "env_file": _ENV_FILE,
    }
)
_MODEL = Mapping(
    {
        "services": Mapping({}, ((_NAME, _SERVICE),)),
        "secrets": Mapping({}, ((_NAME, _SECRET),)),
    }
)
