"""Variables in the values of a Compose file, and the types of values that came as text."""

from __future__ import annotations

from bakehouse.bake.compose.nodes import ComposeFailure, Node, dotted, joined
from bakehouse.bake.compose.template import InvalidTemplate, MissingVariable, substitute
from bakehouse.go.text import lower, quote
from bakehouse.go.values import parse_float, parse_int

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from bakehouse.bake.compose.nodes import Path, Value
    from bakehouse.bake.compose.template import Lookup, Warn

    Cast: TypeAlias = Callable[[str, Warn], Value]

#: What stands for any list element in a path.
ELEMENT = "[]"


def interpolate(root: Node, lookup: Lookup, warn: Warn) -> Node:
    """The document with its variables filled in. Raises `ComposeFailure` with every fault, sorted by path."""
    walker = _Walker(lookup, warn)
    out = walker.node(root, (), _CASTS)
    if walker.failures:
        raise joined(walker.failures)
    return out


class _Walker:
    def __init__(self, lookup: Lookup, warn: Warn) -> None:
        self._lookup = lookup
        self._warn = warn
        self.failures: list[ComposeFailure] = []

    def node(self, node: Node, path: Path, casts: Any) -> Node:
        value = node.value
        if type(value) is str:
            if "$" not in value and not isinstance(casts, _Typed):
                return node
            return self._text(node, value, path, casts)
        if type(value) is dict:
            return self._mapping(node, value, path, casts)
        if type(value) is list:
            inner = (*path, ELEMENT)
            below = _below(casts, ELEMENT)
            items = [self.node(child, inner, below) for child in value]
            return (
                node.like(items)
                if any(new is not old for new, old in zip(items, value, strict=True))
                else node
            )
        return node

    def _mapping(self, node: Node, value: dict[str, Node], path: Path, casts: Any) -> Node:
        changed = False
        members = {}
        before = self.failures
        groups: dict[str, list[ComposeFailure]] = {}
        for key, child in value.items():
            self.failures = []
            new = self.node(child, (*path, key), _below(casts, key) if casts else None)
            if self.failures:
                groups[key] = self.failures
            changed = changed or new is not child
            members[key] = new
        self.failures = before + [failure for _, group in sorted(groups.items()) for failure in group]
        return node.like(members) if changed else node

    def _text(self, node: Node, text: str, path: Path, casts: Any) -> Node:
        try:
            new: Value = substitute(text, self._lookup, self._warn)
            if isinstance(casts, _Typed):
                new = casts(str(new), self._warn)
            return node.like(new)
        except InvalidTemplate as error:
            message = (
                f"invalid interpolation format for {dotted(path)}.\n"
                f"You may need to escape any $ with another $.\n{error.template}"
            )
        except (MissingVariable, ValueError) as error:
            message = f"error while interpolating {dotted(path)}: {error}"
        self.failures.append(ComposeFailure(message, node, code="invalid-interpolation"))
        return node


class _Typed:
    """A place whose text becomes another type by `cast`; `below` are the casts of a mapping that may stand there."""

    __slots__ = ("_cast", "below")

    def __init__(self, cast: Cast, below: dict[str, Any] | None = None) -> None:
        self._cast = cast
        self.below = below or {}

    def __call__(self, text: str, warn: Warn) -> Value:
        try:
            return self._cast(text, warn)
        except ValueError as error:
            raise ValueError(f"failed to cast to expected type: {error}") from None


def _below(casts: Any, key: str) -> Any:
    if isinstance(casts, _Typed):
        casts = casts.below
    if not casts:
        return None
    return casts.get(key) or casts.get("*")


def to_int(text: str, warn: Warn) -> Value:
    """An integer (`strconv.Atoi`)."""
    try:
        return parse_int(text)
    except ValueError as error:
        raise ValueError(str(error).replace("ParseInt", "Atoi")) from None


def _to_int64(text: str, warn: Warn) -> Value:
    return parse_int(text)


def _to_float(text: str, warn: Warn) -> Value:
    return parse_float(text)


def to_boolean(text: str, warn: Warn) -> Value:
    """A boolean in the spellings of YAML 1.1; those that YAML 1.2 dropped are warned of."""
    lowered = lower(text)
    if lowered in ("true", "false"):
        return lowered == "true"
    for spellings, value in ((("y", "yes", "on"), True), (("n", "no", "off"), False)):
        if lowered in spellings:
            better = "`true`" if value else "`false`"
            warn(f"{quote(text)} for boolean is not supported by YAML 1.2, please use {better}")
            return value
    raise ValueError(f"invalid boolean: {text}")


_INT = _Typed(to_int)
_INT64 = _Typed(_to_int64)
_FLOAT = _Typed(_to_float)
_BOOLEAN = _Typed(to_boolean)
_EXTERNAL = {"*": {"external": _BOOLEAN}}
_ROLLOUT = {"parallelism": _INT, "max_failure_ratio": _FLOAT}
#: Values that are no text, by path; `*` stands for any key.
_CASTS: dict[str, Any] = {
    "services": {
        "*": {
            "cpu_count": _INT64,
            "cpu_percent": _FLOAT,
            "cpu_period": _INT64,
            "cpu_quota": _INT64,
            "cpu_rt_period": _INT64,
            "cpu_rt_runtime": _INT64,
            "cpus": _FLOAT,
            "cpu_shares": _INT64,
            "init": _BOOLEAN,
            "depends_on": {"*": {"required": _BOOLEAN, "restart": _BOOLEAN}},
            "deploy": {
                "replicas": _INT,
                "update_config": _ROLLOUT,
                "rollback_config": _ROLLOUT,
                "restart_policy": {"max_attempts": _INT},
                "placement": {"max_replicas_per_node": _INT},
            },
            "healthcheck": {"retries": _INT, "disable": _BOOLEAN},
            "oom_kill_disable": _BOOLEAN,
            "oom_score_adj": _INT64,
            "pids_limit": _INT64,
            "ports": {ELEMENT: {"target": _INT}},
            "privileged": _BOOLEAN,
            "read_only": _BOOLEAN,
            "scale": _INT,
            "stdin_open": _BOOLEAN,
            "tty": _BOOLEAN,
            "ulimits": {"*": _Typed(to_int, {"hard": _INT, "soft": _INT})},
            "volumes": {ELEMENT: {"read_only": _BOOLEAN, "volume": {"nocopy": _BOOLEAN}}},
        }
    },
    "networks": {
        "*": dict.fromkeys(("external", "internal", "attachable", "enable_ipv4", "enable_ipv6"), _BOOLEAN)
    },
    "volumes": _EXTERNAL,
    "secrets": _EXTERNAL,
    "configs": _EXTERNAL,
}
