"""The key of an SSH server as a line of `known_hosts`, asked of the server itself, as BuildKit's client does."""

from __future__ import annotations

import os
import subprocess

#: Go's order of preference: the key that its client would be shown.
_PREFERENCE = (
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "ssh-ed25519",
)
_TIMEOUT_S = 5
_PORT = "22"


def scan_host_key(host: str) -> str:
    """The `known_hosts` line of `HOST[:PORT]`; empty when there is none to be had, so that git finds out why."""
    name, port = _split(host)
    if not name or name.startswith("-"):
        return ""
    try:
        done = subprocess.run(
            ["ssh-keyscan", "-T", str(_TIMEOUT_S), "-p", port, "--", name],
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=4 * _TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    keys = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) == 3 and not line.startswith("#"):
            keys[words[1]] = words[2]
    shown = name if port == _PORT else f"[{name}]:{port}"
    for kind in _PREFERENCE:
        if kind in keys:
            return f"{shown} {kind} {keys[kind]}"
    return ""


def _split(host: str) -> tuple[str, str]:
    """Name and port of a URL's authority without user."""
    host = host.rpartition("@")[2]
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        return name, rest.removeprefix(":") or _PORT
    name, _, port = host.partition(":")
    return name, port or _PORT
