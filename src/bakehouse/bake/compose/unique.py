"""Lists whose elements have a key: of two with the same one the later takes the earlier's place."""

from __future__ import annotations

from bakehouse.bake.compose.nodes import ComposeFailure, Node, dotted, go_string, go_text, type_name
from bakehouse.bake.compose.ports_and_mounts import parse_volume

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from bakehouse.bake.compose.nodes import Path

    Index: TypeAlias = Callable[[Node, Path], str]


def enforce_unique(root: Node) -> Node:
    """The model without doubled list elements. Raises `ComposeFailure` for an element without a key."""
    members = root.value
    if not isinstance(members, dict):
        return root
    out = dict(members)
    for section, walk in (("services", _SERVICE), ("networks", _NETWORK)):
        resources = out.get(section)
        if resources is not None and isinstance(resources.value, dict):
            out[section] = resources.like(
                {name: _unique(node, (section, name), walk) for name, node in resources.value.items()}
            )
    return root.like(out)


def _unique(node: Node, path: Path, rules: object) -> Node:
    if isinstance(node.value, dict) and isinstance(rules, dict):
        members = None
        for key, child in node.value.items():
            rule = rules.get(key) or rules.get("*")
            if rule is None:
                continue
            new = _unique(child, (*path, key), rule)
            if new is not child:
                members = members or dict(node.value)
                members[key] = new
        return node if members is None else node.like(members)
    if isinstance(node.value, list) and callable(rules):
        return _without_doubles(node, node.value, path, rules)
    return node


def _without_doubles(node: Node, items: list[Node], path: Path, index: Index) -> Node:
    found: dict[str, Node] = {}
    for position, item in enumerate(items):
        found[index(item, (*path, f"[{position}]"))] = item
    return node if len(found) == len(items) else node.like(list(found.values()))


def _by_name(item: Node, path: Path) -> str:
    """What stands before `=`."""
    if not isinstance(item.value, str):
        raise ComposeFailure(f"{dotted(path)}: unexpected type {type_name(item.value)}", item, hint=_QUOTE_IT)
    return item.value.partition("=")[0]


_QUOTE_IT = "Write the value as text, in quotes."


def _by_target(what: str) -> Index:
    def index(item: Node, path: Path) -> str:
        if isinstance(item.value, dict):
            target = item.get("target")
            if target is None or not isinstance(target.value, str):
                raise ComposeFailure(f"service {what} {dotted(path)} is missing a mount target", item)
            return target.value
        if isinstance(item.value, str):
            if what == "volume":
                return parse_volume(item.value, item)
            parts = item.value.split(":")
            return parts[1] if len(parts) > 1 else parts[0]
        return ""

    return index


def _by_mount(directory: str) -> Index:
    def index(item: Node, path: Path) -> str:
        if isinstance(item.value, str):
            return f"{directory}/{item.value}"
        if isinstance(item.value, dict):
            target, source = item.get("target"), item.get("source")
            if target is not None:
                return go_text(target.value)
            return f"{directory}/{go_string(None if source is None else source.value)}"
        raise ComposeFailure(f"{dotted(path)}: unsupported expose value {go_string(item.value)}", item)

    return index


def _by_text(item: Node, path: Path) -> str:
    if isinstance(item.value, str) or type(item.value) is int:
        return str(item.value)
    raise ComposeFailure(f"{dotted(path)}: unsupported expose value {go_string(item.value)}", item)


def _by_port(item: Node, path: Path) -> str:
    if isinstance(item.value, dict):
        target = item.get("target")
        if target is None:
            raise ComposeFailure(f"service ports {dotted(path)} is missing a target port", item)
        parts = [item.get(key) for key in ("host_ip", "published", "protocol")]
        return "\0".join(
            [go_text(target.value), *("" if part is None else go_text(part.value) for part in parts)]
        )
    return go_text(item.value) if isinstance(item.value, (str, int)) else ""


def _by_env_file(item: Node, path: Path) -> str:
    if isinstance(item.value, str):
        return item.value
    if isinstance(item.value, dict):
        file = item.get("path")
        if file is None:
            raise ComposeFailure(f"environment path attribute {dotted(path)} is missing", item)
        return go_text(file.value)
    return ""


_NETWORK = {"labels": _by_name, "ipam": {"options": _by_name}}
_SERVICE = {
    "annotations": _by_name,
    "build": dict.fromkeys(("args", "additional_contexts", "platform", "tags", "labels"), _by_name),
    **dict.fromkeys(
        [
            "cap_add",
            "cap_drop",
            "dns",
            "dns_opt",
            "dns_search",
            "environment",
            "labels",
            "links",
            "profiles",
            "sysctls",
            "tmpfs",
        ],
        _by_name,
    ),
    "configs": _by_mount(""),
    "deploy": {"labels": _by_name},
    "devices": _by_target("device"),
    "env_file": _by_env_file,
    "expose": _by_text,
    "networks": {"*": {"aliases": _by_name, "link_local_ips": _by_name}},
    "ports": _by_port,
    "secrets": _by_mount("/run/secrets"),
    "volumes": _by_target("volume"),
}
