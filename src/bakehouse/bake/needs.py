"""The privileges that field values ask for (reference bake.md §23). Which field asks how stands in `fields`; whether
they are granted is decided in `entitlements`. Pure: paths are collected as written."""

from __future__ import annotations

from bakehouse.bake.contexts import local_path
from bakehouse.bake.remote import is_remote_url
from bakehouse.errors import DefinitionError
from bakehouse.go.csvline import CsvError, split_csv
from bakehouse.go.paths import join_path
from bakehouse.go.text import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakehouse.bake.entries import CacheEntry, Output, SecretEntry, SshEntry
    from bakehouse.bake.target import Target


class Needs:
    """What a set of targets asks for. `read` and `write` are paths relative to the working directory or absolute."""

    __slots__ = (
        "all_devices",
        "devices",
        "environ",
        "local_delete",
        "network_host",
        "read",
        "security_insecure",
        "ssh",
        "write",
    )

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.network_host = False
        self.security_insecure = False
        self.all_devices = False
        self.devices: list[str] = []
        self.ssh = False
        self.local_delete = False
        self.read: list[str] = []
        self.write: list[str] = []


def entitlements_needs(values: list[str], target: Target, needs: Needs) -> None:
    for value in values:
        key, equals, rest = value.partition("=")
        if value == "network.host":
            needs.network_host = True
        elif value == "security.insecure":
            needs.security_insecure = True
        elif key == "device":
            if equals and rest:
                needs.devices.append(device_name(rest))
            else:
                needs.all_devices = True


def device_name(text: str) -> str:
    """The device of `device=NAME[,option]`. Raises `DefinitionError`."""
    try:
        return split_csv(text)[0]
    except CsvError as error:
        raise DefinitionError(
            f"failed to parse device entitlement {quote(text)}: {error}", code="invalid-entitlement"
        ) from None


def context_needs(context: str, target: Target, needs: Needs) -> None:
    path = local_path(context)
    if path is not None:
        needs.read.append(path)


def dockerfile_needs(dockerfile: str, target: Target, needs: Needs) -> None:
    path = dockerfile_path(target)
    if path is not None:
        needs.read.append(path)


def dockerfile_path(target: Target) -> str | None:
    """Where the target's Dockerfile lies on this machine (relative to the working directory), None when it comes with
    a remote context. The context must be in its printed form."""
    dockerfile = target.dockerfile or "Dockerfile"
    if dockerfile.startswith("cwd://"):
        return join_path(dockerfile.removeprefix("cwd://")) or "."
    if is_remote_url(dockerfile):
        return None
    if dockerfile.startswith("/"):
        return join_path(dockerfile)
    context = target.context or "."
    return None if is_remote_url(context) else join_path(context, dockerfile)


def contexts_needs(contexts: dict[str, str], target: Target, needs: Needs) -> None:
    for value in contexts.values():
        path = local_path(value)
        if path is not None:
            needs.read.append(path)


def cache_from_needs(entries: list[CacheEntry], target: Target, needs: Needs) -> None:
    needs.read += [entry.attrs["src"] for entry in entries if entry.type == "local" and "src" in entry.attrs]


def cache_to_needs(entries: list[CacheEntry], target: Target, needs: Needs) -> None:
    needs.write += [
        entry.attrs["dest"] for entry in entries if entry.type == "local" and "dest" in entry.attrs
    ]


def secret_needs(entries: list[SecretEntry], target: Target, needs: Needs) -> None:
    for entry in entries:
        path = entry.resolved(needs.environ).src
        if path:
            needs.read.append(path)


def ssh_needs(entries: list[SshEntry], target: Target, needs: Needs) -> None:
    for entry in entries:
        needs.read += entry.paths
        if not entry.paths:
            needs.ssh = True


def output_needs(entries: list[Output], target: Target, needs: Needs) -> None:
    """Paths that exporters write. Raises `DefinitionError` for an unknown mode of a local exporter."""
    for entry in entries:
        if entry.type == "local":
            mode = entry.attrs.get("mode", "")
            folded = mode.strip().lower()
            if folded not in ("", "copy", "delete"):
                raise DefinitionError(
                    f"invalid local exporter mode {quote(mode)}",
                    code="invalid-entry",
                    hint="Use mode=copy or mode=delete.",
                )
            needs.local_delete = needs.local_delete or folded == "delete"
        if entry.type in ("local", "tar", "oci", "docker") and entry.dest not in ("", "-"):
            needs.write.append(entry.dest)
