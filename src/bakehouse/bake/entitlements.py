"""Which privileges targets ask for and which of them nobody granted (reference bake.md §23).

A pure function of the targets, what was allowed, and the shape of the disk (symbolic links are resolved). Asking the
user, printing and deciding to go on belong to the command line. Differs from buildx v0.37 on purpose: needs of all
targets count, not those of the last examined one; a device can be granted by name; a granted path counts before it
exists.
"""

from __future__ import annotations

import os

from bakehouse.bake.fields import FIELDS
from bakehouse.bake.needs import Needs, device_name
from bakehouse.errors import DefinitionError
from bakehouse.go.text import quote
from bakehouse.go.values import parse_bool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bakehouse.bake.target import Granted, Target


class Allowed:
    """What `--allow` flags grant. Paths are as given; `*` allows any; empty means the working directory."""

    __slots__ = (
        "all_devices",
        "devices",
        "fs_read",
        "fs_write",
        "image_load",
        "image_push",
        "local_delete",
        "network_host",
        "security_insecure",
        "ssh",
    )

    def __init__(self) -> None:
        self.network_host = False
        self.security_insecure = False
        self.all_devices = False
        self.devices: set[str] = set()
        self.fs_read: list[str] = []
        self.fs_write: list[str] = []
        self.image_push: list[str] = []
        self.image_load: list[str] = []
        self.ssh = False
        self.local_delete = False


_FLAGS = {
    "network.host": "network_host",
    "security.insecure": "security_insecure",
    "ssh": "ssh",
    "buildx.local.delete": "local_delete",
}
_PATHS = {
    "fs": ("fs_read", "fs_write"),
    "fs.read": ("fs_read",),
    "fs.write": ("fs_write",),
    "image": ("image_push", "image_load"),
    "image.push": ("image_push",),
    "image.load": ("image_load",),
}


def parse_allowed(texts: Iterable[str]) -> Allowed:
    """The grants of `--allow` values. Raises `DefinitionError` (code `invalid-entitlement`)."""
    allowed = Allowed()
    for text in texts:
        key, _, value = text.partition("=")
        if text in _FLAGS:
            setattr(allowed, _FLAGS[text], True)
        elif key == "device":
            if value:
                allowed.devices.add(device_name(value))
            else:
                allowed.all_devices = True
        elif key in _PATHS:
            for attribute in _PATHS[key]:
                getattr(allowed, attribute).append(value)
        elif key == "buildx.local.delete":
            raise DefinitionError(f"{key} does not accept a value", code="invalid-entitlement")
        else:
            raise DefinitionError(f"unknown entitlement key {quote(key)}", code="invalid-entitlement")
    return allowed


class Requested:
    """Privileges asked for and not granted. `messages` and `flags` describe those that always stop a build,
    `fs_messages` and `fs_flags` those of the file system and SSH, whose check can be switched off."""

    __slots__ = ("flags", "fs_flags", "fs_messages", "messages")

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.flags: list[str] = []
        self.fs_messages: list[str] = []
        self.fs_flags: list[str] = []

    def __bool__(self) -> bool:
        return bool(self.messages or self.fs_messages)

    def _add(self, message: str, flag: str) -> None:
        self.messages.append(message)
        self.flags.append(f"--allow={flag}")

    def _add_fs(self, message: str, flag: str) -> None:
        self.fs_messages.append(message)
        self.fs_flags.append(f"--allow={flag}")


def missing_privileges(
    targets: Iterable[Target],
    allowed: Allowed,
    granted: Granted,
    *,
    cwd: str,
    environ: Mapping[str, str],
    reads: Iterable[str] = (),
) -> Requested:
    """What `targets` (resolved and checked) need beyond `allowed` and `granted`. The working directory is allowed.
    `reads` are files that the definition itself had read.

    Raises `DefinitionError` for an unknown mode of a local exporter, `OSError` where a path cannot be examined.
    """
    needs = Needs(environ)
    needs.read += reads
    for target in targets:
        for field in FIELDS:
            value = getattr(target, field.attribute)
            if field.needs is not None and value is not None:
                field.needs(value, target, needs)
    requested = Requested()
    _simple_privileges(needs, allowed, granted, requested)
    _path_privileges(needs, allowed, granted, requested, cwd)
    return requested


def _simple_privileges(needs: Needs, allowed: Allowed, granted: Granted, requested: Requested) -> None:
    if needs.network_host and not (allowed.network_host or granted.network_host):
        requested._add("Running build containers that can access host network", "network.host")
    if needs.security_insecure and not (allowed.security_insecure or granted.security_insecure):
        requested._add("Running privileged containers that can make system changes", "security.insecure")
    if needs.all_devices and not allowed.all_devices:
        requested._add("Access to CDI devices", "device")
    elif not allowed.all_devices:
        for device in sorted(set(needs.devices) - allowed.devices):
            requested._add(f"Access to device {device}", f"device={device}")
    if needs.ssh and not allowed.ssh:
        requested._add_fs("Forwarding default SSH agent socket", "ssh")
    if needs.local_delete and not allowed.local_delete:
        requested._add("Deleting stale files from local output destinations", "buildx.local.delete")


def _path_privileges(
    needs: Needs, allowed: Allowed, granted: Granted, requested: Requested, cwd: str
) -> None:
    read = uncovered_paths(needs.read, [*allowed.fs_read, *granted.fs_read, cwd], cwd)
    write = uncovered_paths(needs.write, [*allowed.fs_write, *granted.fs_write, cwd], cwd)
    both = [path for path in read if path in write]
    home = os.path.realpath(cwd)
    for paths, verb, flag in (
        (both, "Read and write", "fs"),
        ([path for path in read if path not in both], "Read", "fs.read"),
        ([path for path in write if path not in both], "Write", "fs.write"),
    ):
        for path in paths:
            shown = _shown(path, home)
            requested._add_fs(f"{verb} access to path {shown}", f"{flag}={shown}")


def uncovered_paths(needed: Iterable[str], allowed: Iterable[str], cwd: str) -> list[str]:
    """Needed paths that no allowed path covers, cut to what exists and to the topmost ones; sorted."""
    allowed = list(allowed)
    if "*" in allowed:
        return []
    roots = []
    for path in allowed:
        existing, rest = existing_part(os.path.join(cwd, path))
        roots.append(os.path.join(existing, rest) if rest else existing)
    missing = set()
    for path in needed:
        existing, rest = existing_part(os.path.join(cwd, path))
        whole = os.path.join(existing, rest) if rest else existing
        if not any(_covers(root, whole) for root in roots):
            missing.add(existing)
    topmost: list[str] = []
    for path in sorted(missing, key=len):
        if not any(_covers(parent, path) for parent in topmost):
            topmost.append(path)
    return sorted(topmost)


def _covers(parent: str, path: str) -> bool:
    return path == parent or parent == "/" or path.startswith(parent + "/")


def existing_part(path: str) -> tuple[str, str]:
    """The longest existing parent of the absolute `path`, symbolic links resolved, and the rest of it."""
    rest = ""
    path = os.path.abspath(path)
    while not os.path.lexists(path):
        path, tail = os.path.split(path)
        rest = os.path.join(tail, rest) if rest else tail
    real = os.path.realpath(path)
    if os.path.lexists(real):
        return real, rest
    # A dangling link: what it points to does not exist, so go on with the target's parents.
    head, missing = existing_part(real)
    return head, os.path.join(missing, rest) if rest else missing


def _shown(path: str, cwd: str) -> str:
    """Relative to the working directory, unless that takes two steps up or more."""
    relative = os.path.relpath(path, cwd)
    return path if relative.startswith("../..") else relative


def filesystem_checks_enabled(environ: Mapping[str, str], remote: bool = False) -> bool:
    """Whether missing file-system and SSH privileges stop the build. Raises `DefinitionError` for a bad setting."""
    enabled = True
    if remote and "BAKE_ALLOW_REMOTE_FS_ACCESS" in environ:
        enabled = not _setting(environ, "BAKE_ALLOW_REMOTE_FS_ACCESS")
    if "BUILDX_BAKE_ENTITLEMENTS_FS" in environ:
        enabled = _setting(environ, "BUILDX_BAKE_ENTITLEMENTS_FS")
    return enabled


def _setting(environ: Mapping[str, str], name: str) -> bool:
    try:
        return parse_bool(environ[name])
    except ValueError as error:
        raise DefinitionError(
            f"failed to parse {name} value {quote(environ[name])}: {error}", code="invalid-option"
        ) from None
