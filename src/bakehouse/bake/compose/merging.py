"""How a later file's values join an earlier one's: mappings by key, lists end to end, anything else replaced; some
places have rules of their own. `extends` and `include` use the same rules.
"""

from __future__ import annotations

from bakehouse.bake.compose.nodes import ComposeFailure, Node, dotted, go_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from bakehouse.bake.compose.nodes import Path

    Rule: TypeAlias = Callable[[Node, Node, Path], Node]


#: Lists that double with every file that includes another one end here.
MAX_LIST_ITEMS = 100_000


def merge(base: Node, over: Node, path: Path = ()) -> Node:
    """`over` on top of `base`, both standing at `path`. Raises `ComposeFailure` where their kinds differ."""
    rule = _rule(path)
    if rule is not None:
        return rule(base, over, path)
    return _merge_plain(base, over, path)


def _merge_plain(base: Node, over: Node, path: Path) -> Node:
    if over.value is None:
        return base
    if isinstance(base.value, dict):
        if not isinstance(over.value, dict):
            raise _cannot(over, path)
        return _merge_mappings(base, over, path)
    if isinstance(base.value, list):
        if not isinstance(over.value, list):
            raise _cannot(over, path)
        return _joined(over, base.value, over.value, path)
    return over


def _joined(over: Node, before: list[Node], after: list[Node], path: Path) -> Node:
    if len(before) + len(after) > MAX_LIST_ITEMS:
        raise ComposeFailure(f"{dotted(path)} has more than {MAX_LIST_ITEMS} elements", over, at_key=True)
    return over.like(before + after)


def _cannot(over: Node, path: Path) -> ComposeFailure:
    return ComposeFailure(
        f"cannot override {dotted(path)}",
        over,
        hint="A mapping can only be overridden by a mapping, a list by a list; or write !override before the value.",
    )


def _merge_mappings(base: Node, over: Node, path: Path) -> Node:
    members = dict(base.value) if isinstance(base.value, dict) else {}
    for key, value in over.value.items() if isinstance(over.value, dict) else ():
        before = members.get(key)
        members[key] = value if before is None else merge(before, value, (*path, key))
    return over.like(members)


def _replace(base: Node, over: Node, path: Path) -> Node:
    return over


def _merge_build(base: Node, over: Node, path: Path) -> Node:
    return _merge_mappings(_long_build(base), _long_build(over), path)


def _long_build(node: Node) -> Node:
    if isinstance(node.value, dict):
        return node
    return node.like({"context": node} if isinstance(node.value, str) else {})


def _to_sequence(base: Node, over: Node, path: Path) -> Node:
    return _joined(over, as_sequence(base), as_sequence(over), path)


def _merge_extra_hosts(base: Node, over: Node, path: Path) -> Node:
    before = as_sequence(base)
    known = [item.value for item in before]
    return over.like(before + [item for item in as_sequence(over) if item.value not in known])


def as_sequence(node: Node) -> list[Node]:
    """A mapping as the sorted list of its `key=value` texts; a text as a list of one; a list as it is."""
    if isinstance(node.value, list):
        return node.value
    if isinstance(node.value, str):
        return [node]
    out: list[Node] = []
    for key, member in node.value.items() if isinstance(node.value, dict) else ():
        if member.value is None:
            out.append(member.like(key))
        elif isinstance(member.value, list):
            out += [item.like(f"{key}={go_text(item.value)}") for item in member.value]
        else:
            out.append(member.like(f"{key}={go_text(member.value)}"))
    return sorted(out, key=lambda item: str(item.value))


def _merge_by_name(default: dict[str, str | bool] | None) -> Rule:
    """Lists of names are mappings of which each member is `default`."""

    def rule(base: Node, over: Node, path: Path) -> Node:
        return _merge_mappings(_named(base, default), _named(over, default), path)

    return rule


def _named(node: Node, default: dict[str, str | bool] | None) -> Node:
    if not isinstance(node.value, list):
        return node if isinstance(node.value, dict) else node.like({})
    members = {}
    for item in node.value:
        if not isinstance(item.value, str):
            raise ComposeFailure("a list of names holds something else than text", item)
        members[item.value] = item.like(
            None if default is None else {key: item.like(value) for key, value in default.items()}
        )
    return node.like(members)


def _merge_logging(base: Node, over: Node, path: Path) -> Node:
    before, after = base.get("driver"), over.get("driver")
    if before is None or after is None or before.value == after.value:
        return _merge_mappings(base, over, path)
    return over


def _merge_address_pools(base: Node, over: Node, path: Path) -> Node:
    """`networks.*.ipam.config`: pools of one subnet merge. Nothing that is built depends on it."""
    if not isinstance(base.value, list) or not isinstance(over.value, list):
        raise _cannot(over, path)
    return over.like(base.value + over.value)


_DEPENDENCY: dict[str, str | bool] = {"condition": "service_started", "required": True}
_SERVICE_RULES: dict[tuple[str, ...], Rule] = {
    ("annotations",): _to_sequence,
    ("build",): _merge_build,
    ("build", "args"): _to_sequence,
    ("build", "additional_contexts"): _to_sequence,
    ("build", "extra_hosts"): _merge_extra_hosts,
    ("build", "labels"): _to_sequence,
    ("command",): _replace,
    ("depends_on",): _merge_by_name(_DEPENDENCY),
    ("deploy", "labels"): _to_sequence,
    ("dns",): _to_sequence,
    ("dns_opt",): _to_sequence,
    ("dns_search",): _to_sequence,
    ("entrypoint",): _replace,
    ("env_file",): _to_sequence,
    ("label_file",): _to_sequence,
    ("environment",): _to_sequence,
    ("extra_hosts",): _merge_extra_hosts,
    ("healthcheck", "test"): _replace,
    ("labels",): _to_sequence,
    ("logging",): _merge_logging,
    ("models",): _merge_by_name(None),
    ("networks",): _merge_by_name(None),
    ("sysctls",): _to_sequence,
    ("tmpfs",): _to_sequence,
}


def _rule(path: Path) -> Rule | None:
    if len(path) < 3:
        return None
    if path[0] == "services":
        if len(path) == 4 and path[2] == "ulimits":
            return _replace
        return _SERVICE_RULES.get(path[2:])
    if len(path) == 3 and path[2] == "labels" and path[0] in ("networks", "volumes"):
        return _to_sequence
    if len(path) == 4 and path[0] == "networks" and path[2:] == ("ipam", "config"):
        return _merge_address_pools
    return None
