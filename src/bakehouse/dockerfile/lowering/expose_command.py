"""EXPOSE: port specifications (dockerfile.md §9.3)."""

from __future__ import annotations

import ipaddress
import re

from bakehouse.dockerfile import lint_rules as rules
from bakehouse.dockerfile.instructions import ExposeCommand
from bakehouse.dockerfile.lint import Linter
from bakehouse.dockerfile.lowering.conversion import Conversion
from bakehouse.dockerfile.lowering.stages import StageState
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.go.text import quote
from bakehouse.lazy import regex

_PORT = regex(r"[+-]?[0-9]{1,19}\Z", re.ASCII)
_PROTOCOLS = ("tcp", "udp", "sctp")


def lower_expose(conversion: Conversion, stage: StageState, command: ExposeCommand, linter: Linter) -> None:
    """Adds every port of every word that the instruction's words expand to."""
    env = stage.state.env
    words = [word for port in command.ports for word in conversion.lexer.process_words(port, env)]
    ports = [port for word in words for port in expand_port(word, linter, command.location)]
    stage.image.exposed_ports.update(ports)
    stage.image.add_history(f"EXPOSE [{' '.join(ports)}]", has_layer=False, epoch_s=conversion.epoch_s)


def expand_port(text: str, linter: Linter, location: LineRange) -> list[str]:
    """`[[ip:]host:]port[-port][/protocol]` as `PORT/protocol` entries. Raises `DockerfileError` (code
    `invalid-port`)."""
    address, host_port, rest = _split(text)
    port, _, protocol = rest.partition("/")
    if not port:
        raise _invalid(f"invalid port: {quote(text)}: no port specified")
    if protocol.lower() not in ("", *_PROTOCOLS):
        raise _invalid(f"invalid port: {quote(text)}: invalid proto: {protocol}")
    protocol = protocol or "tcp"
    if protocol != protocol.lower():
        linter.run(rules.EXPOSE_PROTO_CASING, location, text)
    if address or host_port:
        linter.run(rules.EXPOSE_INVALID_FORMAT, location, text)
    _check_address(address)
    span = _port_range(port)
    if span is None:
        raise _invalid(f"invalid containerPort: {port}")
    if host_port:
        _check_host_port(host_port, port, span)
    return [f"{number}/{protocol.lower()}" for number in range(span[0], span[1] + 1)]


def _split(text: str) -> tuple[str, str, str]:
    """Address, host port and container port; an IPv6 address keeps its colons."""
    parts = text.split(":")
    if len(parts) < 3:
        return "", parts[0] if len(parts) == 2 else "", parts[-1]
    return ":".join(parts[:-2]), parts[-2], parts[-1]


def _check_address(address: str) -> None:
    if not address:
        return
    bare = address
    if address.startswith("["):
        if not address.endswith("]"):
            raise _invalid(f"invalid IP address {address}: address {address}:: missing ']' in address")
        bare = address[1:-1]
    try:
        if "%" in bare:
            raise ValueError
        ipaddress.ip_address(bare)
    except ValueError:
        raise _invalid(f"invalid IP address: {bare}") from None


def _check_host_port(host_port: str, port: str, span: tuple[int, int]) -> None:
    host_span = _port_range(host_port)
    if host_span is None:
        raise _invalid(f"invalid hostPort: {host_port}")
    if span[1] - span[0] != host_span[1] - host_span[0] and span[0] != span[1]:
        raise _invalid(f"invalid ranges specified for container and host Ports: {port} and {host_port}")


def _port_range(text: str) -> tuple[int, int] | None:
    """First and last port of `N` or `N-M`; None when it is neither."""
    first_text, dash, last_text = text.partition("-")
    first = _port(first_text)
    if first is None:
        return None
    if not dash or first_text == last_text:
        return first, first
    last = _port(last_text)
    return None if last is None or last < first else (first, last)


def _port(text: str) -> int | None:
    if not _PORT.match(text):
        return None
    value = int(text)
    return value if 0 <= value <= 65535 else None


def _invalid(message: str) -> DockerfileError:
    return DockerfileError(
        message,
        code="invalid-port",
        hint="Write a port from 0 to 65535 or a range, with /tcp, /udp or /sctp.",
    )
