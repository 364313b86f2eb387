"""Settings of the registry client: plain values, handed in by whoever reads files and the environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path

from bakehouse.values import dataclass, field


@dataclass(frozen=True, slots=True)
class HostConfig:
    """How one registry is spoken to.

    `mirrors` are tried before the registry itself when pulling, each `host[:port][/path]`. `plain_http` None means
    http for loopback addresses and https elsewhere. `insecure` accepts any certificate and falls back to http.
    """

    mirrors: tuple[str, ...] = ()
    plain_http: bool | None = None
    insecure: bool = False
    ca_files: tuple[Path, ...] = ()
    client_certificate: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """Settings of a client: `hosts` by registry name (`docker.io`, `localhost:5000`), times in seconds.

    `attempts` counts all tries of a request; between two the client waits `backoff_s`, doubled each time, or what
    the server asks for up to `max_wait_s`. Proxies are URLs; `no_proxy` is the usual comma list.
    """

    hosts: Mapping[str, HostConfig] = field(default_factory=dict)
    connect_timeout_s: float = 15.0
    read_timeout_s: float = 60.0
    attempts: int = 5
    backoff_s: float = 0.5
    max_wait_s: float = 60.0
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""

    def host(self, name: str) -> HostConfig:
        return self.hosts.get(name) or HostConfig()

    def proxy_for(self, scheme: str, netloc: str) -> str:
        """The proxy URL for requests to `netloc`, or an empty string. Loopback is never proxied."""
        proxy = self.https_proxy if scheme == "https" else self.http_proxy
        host = host_name(netloc)
        if not proxy or is_loopback(netloc):
            return ""
        for entry in self.no_proxy.split(","):
            pattern = entry.strip().lower()
            if pattern == "*" or (pattern and _covers(pattern, host, netloc)):
                return ""
        return proxy


def proxies_of(environ: Mapping[str, str]) -> RegistryConfig:
    """The proxies that an environment names; small letters win, as everywhere."""

    def value(name: str) -> str:
        return environ.get(name) or environ.get(name.upper()) or ""

    return RegistryConfig(
        http_proxy=value("http_proxy") or value("all_proxy"),
        https_proxy=value("https_proxy") or value("all_proxy"),
        no_proxy=value("no_proxy"),
    )


def host_name(netloc: str) -> str:
    """`netloc` without port and brackets, lower case."""
    if netloc.startswith("["):
        return netloc[1:].partition("]")[0].lower()
    return netloc.partition(":")[0].lower()


def is_loopback(netloc: str) -> bool:
    """Whether `netloc` names this machine: `localhost`, `127.0.0.0/8`, `::1`, with or without a port."""
    host = host_name(netloc)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _covers(pattern: str, host: str, netloc: str) -> bool:
    if "/" in pattern:
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            return False
    if pattern == netloc.lower():
        return True
    pattern = pattern.lstrip(".")
    return host == pattern or host.endswith("." + pattern)
