"""Short forms become long ones, so that what follows meets one form of everything that is built. Of the rest of a
service only the shapes are checked.
"""

from __future__ import annotations

from bakehouse.bake.compose.nodes import ComposeFailure, Node, dotted, go_string, go_text, type_name
from bakehouse.bake.compose.ports_and_mounts import check_device, parse_volume, port_numbers
from bakehouse.go.text import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from bakehouse.bake.compose.nodes import Path
    from bakehouse.bake.compose.template import Warn

    Change: TypeAlias = Callable[[Node, Path], Node]


def canonical(root: Node, warn: Warn) -> Node:
    """The model in long form; `warn` is told of old ones. Raises `ComposeFailure` for values of no known form."""
    members = root.value
    if not isinstance(members, dict):
        return root
    out = dict(members)
    services = out.get("services")
    if services is not None and isinstance(services.value, dict):
        out["services"] = services.like(
            {name: _members(node, ("services", name), _SERVICE) for name, node in services.value.items()}
        )
    for section in _MAYBE_EXTERNAL:
        resources = out.get(section)
        if resources is not None and isinstance(resources.value, dict):
            out[section] = resources.like(
                {name: _external(node, (section, name), warn) for name, node in resources.value.items()}
            )
    return root.like(out)


def with_defaults(root: Node) -> Node:
    """The model with the context `.` in every build that names none. Raises `ComposeFailure` for values of other kinds
    than those that get defaults in the peer."""
    services = root.get("services")
    if services is None or not isinstance(services.value, dict):
        return root
    for name, node in services.value.items():
        _check_defaulted(node, ("services", name))
    out = {name: _with_default_context(node) for name, node in services.value.items()}
    return root.like({**root.value, "services": services.like(out)})  # type: ignore[dict-item]


def _with_default_context(service: Node) -> Node:
    build = service.get("build")
    if build is None or not isinstance(build.value, dict) or "context" in build.value:
        return service
    context = Node(".", build.source, build.start, build.end, build.key_start, build.key_end)
    return service.like({**service.value, "build": build.like({**build.value, "context": context})})  # type: ignore[dict-item]


def _check_defaulted(service: Node, path: Path) -> None:
    """Device requests and options of mounts are mappings."""
    reserved: Node | None = service
    for key in _RESERVED_DEVICES:
        reserved = None if reserved is None else reserved.get(key)
    for keys, requests in ((("gpus",), service.get("gpus")), (_RESERVED_DEVICES, reserved)):
        for part, request in _parts(requests):
            if not isinstance(request.value, dict):
                where = dotted((*path, *keys, part))
                raise ComposeFailure(
                    f"{where}: invalid type map[string]interface {{}} for device request",
                    request,
                    hint="Write a mapping such as {driver: nvidia, count: all}.",
                )
    for part, volume in _parts(service.get("volumes")):
        bind = volume.get("bind")
        if bind is not None and not isinstance(bind.value, dict):
            raise _wrong(bind, (*path, "volumes", part, "bind"), "service volume bind")


def _parts(node: Node | None) -> list[tuple[str, Node]]:
    """What stands in a list or mapping, with its part of the path."""
    if node is not None and isinstance(node.value, list):
        return [("[]", item) for item in node.value]
    return list(node.value.items()) if node is not None and isinstance(node.value, dict) else []


_RESERVED_DEVICES = ("deploy", "resources", "reservations", "devices")


def _wrong(node: Node, path: Path, what: str, hint: str | None = None) -> ComposeFailure:
    return ComposeFailure(
        f"{dotted(path)}: invalid type {type_name(node.value)} for {what}", node, at_key=True, hint=hint
    )


def _members(node: Node, path: Path, changes: dict[str, Change]) -> Node:
    if not isinstance(node.value, dict):
        return node
    out = None
    for key, member in node.value.items():
        change = changes.get(key)
        if change is not None:
            new = change(member, (*path, key))
            if new is not member:
                out = out or dict(node.value)
                out[key] = new
    return node if out is None else node.like(out)


def _build(node: Node, path: Path) -> Node:
    if isinstance(node.value, str):
        return node.like({"context": node})
    if isinstance(node.value, dict):
        return _members(node, path, _BUILD)
    raise _wrong(node, path, "build", "Write the path of the context, or a mapping with `context`.")


def _text(node: Node, path: Path) -> Node:
    return node if isinstance(node.value, str) else node.like(go_text(node.value))


def _key_values(node: Node, path: Path) -> Node:
    if isinstance(node.value, dict):
        return node
    if not isinstance(node.value, list):
        raise ComposeFailure(f"{dotted(path)}: invalid type {type_name(node.value)}", node, at_key=True)
    out = {}
    for item in node.value:
        name, equals, value = go_text(item.value).partition("=")
        if not equals:
            raise ComposeFailure(
                f"{dotted(path)}: invalid value {go_text(item.value)}, expected key=value", item
            )
        out[name] = item.like(value)
    return node.like(out)


def _ssh(node: Node, path: Path) -> Node:
    if isinstance(node.value, dict):
        return node
    if not isinstance(node.value, list):
        raise _wrong(node, path, "ssh", "Write a list such as [default] or [id=path].")
    out = {}
    for item in node.value:
        if not isinstance(item.value, str):
            raise ComposeFailure(f"invalid ssh key type {type_name(item.value)}", item)
        name, equals, value = item.value.partition("=")
        if not equals and name != "default":
            raise ComposeFailure(
                f"invalid ssh key {quote(item.value)}", item, hint="Write id=path; only `default` has none."
            )
        out[name] = item.like(value if equals else None)
    return node.like(out)


def _mounts(node: Node, path: Path) -> Node:
    """Grants of secrets and configs: `name`, or a mapping with `source`."""
    return _each(node, path, _mount)


def _mount(node: Node, path: Path) -> Node:
    if isinstance(node.value, dict):
        return node
    if isinstance(node.value, str):
        return node.like({"source": node})
    raise ComposeFailure(f"{dotted(path)}: unsupported type {type_name(node.value)}", node)


def _each(node: Node, path: Path, change: Change) -> Node:
    if isinstance(node.value, list):
        return node.like([change(item, (*path, "[]")) for item in node.value])
    if isinstance(node.value, dict):
        return node.like({key: change(member, (*path, key)) for key, member in node.value.items()})
    return node


def _env_files(node: Node, path: Path) -> Node:
    if isinstance(node.value, str):
        return node.like([_env_file(node)])
    if isinstance(node.value, list):
        return node.like([_env_file(item) for item in node.value])
    raise _wrong(node, path, "env_file")


def _env_file(node: Node) -> Node:
    if isinstance(node.value, str):
        return node.like({"path": node, "required": node.like(True)})
    if isinstance(node.value, dict):
        return node if "required" in node.value else node.like({**node.value, "required": node.like(True)})
    return node.like(None)


def _limits(node: Node, path: Path) -> Node:
    return _each(node, path, _limit)


def _limit(node: Node, path: Path) -> Node:
    if not isinstance(node.value, dict) and type_name(node.value) != "int":
        raise _wrong(node, path, "external", "Write a whole number, or a mapping of soft and hard.")
    return node


def _depends_on(node: Node, path: Path) -> Node:
    if isinstance(node.value, dict):
        for name, member in node.value.items():
            if not isinstance(member.value, dict):
                raise ComposeFailure(
                    f"{dotted((*path, name))}: unsupported value {go_string(node.value)}", member
                )
    elif not isinstance(node.value, list):
        raise _wrong(node, path, "depend_on")
    return node


def _ports(node: Node, path: Path) -> Node:
    if not isinstance(node.value, list):
        raise _wrong(node, path, "port")
    ports: list[Node] = []
    for item in node.value:
        if isinstance(item.value, str) or type_name(item.value) == "int":
            inside = port_numbers(str(item.value), item)
            # Port 0 is none. In the peer it is left out where ports are written at length, and missed from then on.
            ports += [item.like({"target": item.like(number)} if number else {}) for number in inside]
        elif isinstance(item.value, dict):
            ports.append(item)
        else:
            raise ComposeFailure(f"{dotted(path)}: invalid type {type_name(item.value)} for port", item)
    return node.like(ports) if any(port.value == {} for port in ports) else node


def _volume(node: Node, path: Path) -> Node:
    if isinstance(node.value, str):
        parse_volume(node.value, node)
    elif not isinstance(node.value, dict):
        raise ComposeFailure(
            f"{dotted(path)}: invalid type {type_name(node.value)} for service volume mount", node
        )
    return node


def _device(node: Node, path: Path) -> Node:
    if isinstance(node.value, str):
        check_device(node.value, node)
    elif not isinstance(node.value, dict):
        raise ComposeFailure(
            f"{dotted(path)}: invalid type {type_name(node.value)} for service volume mount", node
        )
    return node


def _extends(node: Node, path: Path) -> Node:
    if not isinstance(node.value, (dict, str)):
        raise _wrong(node, path, "extends")
    return node


def _gpus(node: Node, path: Path) -> Node:
    if isinstance(node.value, str):
        # A list from here on: what joins it must be one.
        return node.like([node.like({"count": node.like("all")})])
    if not isinstance(node.value, list):
        raise _wrong(node, path, "gpus")
    return node


def _external(node: Node, path: Path, warn: Warn) -> Node:
    """A resource that may be external; the mapping form of `external` is an old one."""
    if node.value is None:
        return node
    if not isinstance(node.value, dict):
        raise ComposeFailure(f"{dotted(path)} must be a mapping", node, at_key=True)
    external = node.get("external")
    if external is None or not isinstance(external.value, dict):
        return node
    out = {**node.value, "external": external.like(True)}
    old_name, name = external.get("name"), node.get("name")
    if old_name is not None:
        warn(f"{dotted(path)}: external.name is deprecated. Please set name and external: true")
        if name is not None and name.value != old_name.value:
            raise ComposeFailure(f"{dotted(path)}: name and external.name conflict; only use name", old_name)
        out.setdefault("name", old_name)
    return node.like(out)


_BUILD: dict[str, Change] = {
    "secrets": _mounts,
    "provenance": _text,
    "sbom": _text,
    "additional_contexts": _key_values,
    "ssh": _ssh,
    "ulimits": _limits,
}
_SERVICE: dict[str, Change] = {
    "build": _build,
    "depends_on": _depends_on,
    "env_file": _env_files,
    "extends": _extends,
    "gpus": _gpus,
    "volumes": lambda node, path: _each(node, path, _volume),
    "devices": lambda node, path: _each(node, path, _device),
    "secrets": _mounts,
    "configs": _mounts,
    "ports": _ports,
    "ulimits": _limits,
}
_MAYBE_EXTERNAL = ("volumes", "networks", "secrets", "configs")
