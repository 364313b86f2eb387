"""resolv.conf and hosts of a step (engine.md §23, dockerfile.md §8.1)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from bakehouse.values import dataclass, field

DEFAULT_HOSTNAME = "buildkitsandbox"
HOST_RESOLV_CONF = "/etc/resolv.conf"
#: Where systemd-resolved keeps the servers behind its local stub.
SYSTEMD_RESOLV_CONF = "/run/systemd/resolve/resolv.conf"
_SYSTEMD_STUB = "127.0.0.53"
#: BuildKit's own last resort when a host names no server that a step could reach.
_PUBLIC_SERVERS = ("8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844")
_MAX_BYTES = 1 << 20


@dataclass(slots=True)
class ResolvConf:
    """The parsed file. `servers` hold valid addresses only; `other` lines are kept as they are."""

    servers: list[str] = field(default_factory=list)
    search: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> ResolvConf:
        """The last `search` or `domain` wins, `options` add up, addresses that are none are dropped."""
        conf = cls()
        for line in text.splitlines():
            words = line.split()
            if not words or line[0] in "#;":
                continue
            if words[0] == "nameserver":
                conf.servers += _addresses(words[1:2])
            elif words[0] in ("domain", "search"):
                conf.search = words[1:] or conf.search
            elif words[0] == "options":
                conf.options += words[1:]
            else:
                conf.other.append(line)
        return conf

    def text(self) -> str:
        lines = [f"nameserver {server}" for server in self.servers]
        if self.search:
            lines.append("search " + " ".join(self.search))
        if self.options:
            lines.append("options " + " ".join(self.options))
        return "".join(line + "\n" for line in (*lines, *self.other))


def _addresses(words: Sequence[str]) -> list[str]:
    try:
        return [str(ipaddress.ip_address(word)) for word in words]
    except ValueError:
        return []


def _read(path: str) -> ResolvConf:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return ResolvConf.parse(file.read(_MAX_BYTES))
    except OSError:
        return ResolvConf()


def host_network_conf(path: str = HOST_RESOLV_CONF) -> str:
    """For a step in the host's network namespace: the host's file, loopback servers included."""
    conf = _read(path)
    conf.servers = conf.servers or list(_PUBLIC_SERVERS)
    return conf.text()


def own_network_conf(path: str = HOST_RESOLV_CONF, upstream: str = SYSTEMD_RESOLV_CONF) -> str:
    """For a step that cannot reach the host's loopback: such servers replaced by what stands behind them."""
    conf = _read(path)
    if conf.servers == [_SYSTEMD_STUB]:
        conf = _read(upstream)
    conf.servers = [s for s in conf.servers if not ipaddress.ip_address(s).is_loopback]
    conf.servers = conf.servers or list(_PUBLIC_SERVERS)
    return conf.text()


def forwarder_conf(forwarder: str, path: str = HOST_RESOLV_CONF) -> str:
    """For a network whose own server `forwarder` asks the host's servers, loopback ones included."""
    conf = _read(path)
    conf.servers = [forwarder]
    return conf.text()


def hosts_file(hostname: str, extra_hosts: Sequence[tuple[str, str]] = ()) -> str:
    """BuildKit's /etc/hosts for a step, its extra hosts last."""
    lines = [
        f"127.0.0.1\tlocalhost {hostname or DEFAULT_HOSTNAME}",
        "::1\tlocalhost ip6-localhost ip6-loopback",
    ]
    lines += [f"{ip}\t{host}" for host, ip in extra_hosts]
    return "".join(line + "\n" for line in lines)
