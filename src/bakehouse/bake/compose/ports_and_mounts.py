"""Short forms of what a service publishes and mounts. Nothing of it is built; but a file in which it is wrong is
refused, as the peer refuses it.
"""

from __future__ import annotations

from bakehouse.bake.compose.nodes import ComposeFailure, Node
from bakehouse.go.text import lower
from bakehouse.go.values import parse_int

_PORT_HINT = "Write [HOST:]CONTAINER[/PROTOCOL], as 8080:80 or 127.0.0.1:53:53/udp."
_VOLUME_HINT = "Write [SOURCE:]TARGET[:OPTIONS], as ./data:/data:ro."


def parse_volume(text: str, place: Node) -> str:
    """The target of `[source:]target[:options]`. Raises `ComposeFailure`."""
    size = len(text.encode("utf-8", "surrogateescape"))
    if size == 0:
        raise ComposeFailure("invalid empty volume spec", place, hint=_VOLUME_HINT)
    if size <= 2:
        return text
    parts = _volume_parts(text)
    for index, part in enumerate(parts):
        problem = ""
        if part == "":
            problem = "empty section between colons"
        elif index >= 2 and index < len(parts) - 1:
            problem = "too many colons"
        if problem:
            raise ComposeFailure(f"invalid spec: {text}: {problem}", place, hint=_VOLUME_HINT)
    return parts[1] if len(parts) > 1 else parts[0]


def _volume_parts(text: str) -> list[str]:
    """The text cut at its colons, but not at the one behind a Windows drive letter or inside `${…}`."""
    parts: list[str] = []
    part = ""
    depth = 0
    for index, char in enumerate(text):
        if char == "$" and text[index + 1 : index + 2] == "{":
            depth += 1
        elif char == "}" and depth:
            depth -= 1
        elif char == ":" and not depth and not (len(part) == 1 and part.isalpha()):
            parts.append(part)
            part = ""
            continue
        part += char
    return [*parts, part]


def port_numbers(text: str, place: Node) -> range:
    """The ports of the container. Raises `ComposeFailure` unless the text is `[[ip:][host]:]container[/protocol]`,
    ports or ranges of them."""
    parts = text.split(":")
    container, _, protocol = parts[-1].partition("/")
    host = parts[-2] if len(parts) > 1 else ""
    inside = _port_range(container)
    problem = _port_problem(text, ":".join(parts[:-2]), host, container, protocol)
    if problem or inside is None:
        raise ComposeFailure(problem, place, hint=_PORT_HINT)
    return range(inside[0], inside[1] + 1)


def _port_problem(text: str, address: str, host: str, container: str, protocol: str) -> str:
    protocol = lower(protocol or "tcp")
    if container == "":
        return f"no port specified: {text}<empty>"
    if protocol not in ("tcp", "udp", "sctp"):
        return f"invalid proto: {protocol}"
    problem = _address_problem(address)
    if problem:
        return problem
    inside = _port_range(container)
    if inside is None:
        return f"invalid containerPort: {container}"
    if host == "":
        return ""
    outside = _port_range(host)
    if outside is None:
        return f"invalid hostPort: {host}"
    if inside[1] - inside[0] != outside[1] - outside[0] and inside[0] != inside[1]:
        return f"invalid ranges specified for container and host Ports: {container} and {host}"
    return ""


def _address_problem(address: str) -> str:
    if address == "":
        return ""
    from ipaddress import ip_address

    if address.startswith("["):
        if not address.endswith("]"):
            return f"invalid IP address {address}: address {address}:: missing ']' in address"
        address = address[1:-1]
    try:
        ip_address(address)
    except ValueError:
        return f"invalid IP address: {address}"
    return "" if "%" not in address else f"invalid IP address: {address}"


def _port_range(text: str) -> tuple[int, int] | None:
    first, dash, last = text.partition("-")
    try:
        start = parse_int(first)
        end = parse_int(last) if dash else start
    except ValueError:
        return None
    if not 0 <= start <= 65535 or not 0 <= end <= 65535 or end < start:
        return None
    return start, end


def check_device(text: str, place: Node) -> None:
    """Raises `ComposeFailure` unless the text is `source[:target[:permissions]]`."""
    if text.count(":") > 2:
        raise ComposeFailure(f"confusing device mapping, please use long syntax: {text}", place)
