"""What one `--set` value does to one field (reference bake.md §16). Which key uses which rule stands in `fields`;
the syntax of `--set` and its application to targets in `overrides`.

A rule takes the field's present value (None: unset), the override, and the grants that the override carries; it
returns the new value and changes nothing. Errors are `DefinitionError` with code `invalid-override`.
"""

from __future__ import annotations

from bakehouse.bake.entries import (
    CacheEntry,
    Output,
    PolicyEntry,
    Resources,
    SecretEntry,
    SshEntry,
    parse_attest,
    parse_caches,
    parse_outputs,
    parse_policies,
    parse_secret,
    parse_secrets,
    parse_sshs,
)
from bakehouse.bake.merge_rules import merge_by_id, merge_by_type, unique_entries
from bakehouse.errors import DefinitionError
from bakehouse.go.text import quote
from bakehouse.go.values import parse_bool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from bakehouse.bake.target import Granted


class Override:
    """One key of one target, all its `--set` values taken together. `values` holds every value given for a list
    key; `append` is the operator of the last one; `value` the last value of any other key. `numbers` tells which of the
    command's overrides they were."""

    __slots__ = ("append", "key", "numbers", "subkey", "value", "values")

    def __init__(self, key: str, subkey: str | None) -> None:
        self.key = key
        self.subkey = subkey
        self.value = ""
        self.values: list[str] = []
        self.append = False
        self.numbers: list[int] = []


class Grants:
    """Collects what override values allow; `secret_ids` are those whose files become readable at the end."""

    __slots__ = ("granted", "secret_ids")

    def __init__(self, granted: Granted) -> None:
        self.granted = granted
        self.secret_ids: set[str] = set()


def invalid(message: str, hint: str | None = None) -> DefinitionError:
    return DefinitionError(message, code="invalid-override", hint=hint)


def set_text(current: str | None, override: Override, grants: Grants) -> str:
    return override.value


def set_bool(current: bool | None, override: Override, grants: Grants) -> bool:
    try:
        return parse_bool(override.value)
    except ValueError:
        raise invalid(
            f"invalid value {override.value} for boolean key {override.key}", hint="Use true or false."
        ) from None


def set_member(current: Mapping[str, str] | None, override: Override, grants: Grants) -> dict[str, str]:
    """One entry of a map."""
    if override.subkey is None:
        names = {"extra-hosts": "<hostname>=<ip>"}.get(override.key, "<name>=<value>")
        raise invalid(f"invalid format for {override.key}, expecting {override.key}.{names}")
    return {**(current or {}), override.subkey: override.value}


def set_resource(current: Resources | None, override: Override, grants: Grants) -> Resources:
    assert override.subkey is not None
    return (current or Resources()).with_text(override.subkey, override.value)


def set_texts(current: list[str] | None, override: Override, grants: Grants) -> list[str]:
    return [*(current or ()), *override.values] if override.append else list(override.values)


def append_texts(current: list[str] | None, override: Override, grants: Grants) -> list[str]:
    return [*(current or ()), *override.values]


def append_entitlements(current: list[str] | None, override: Override, grants: Grants) -> list[str]:
    """Entitlements named on the command line are granted by that."""
    for value in override.values:
        if value == "network.host":
            grants.granted.network_host = True
        elif value == "security.insecure":
            grants.granted.security_insecure = True
    return [*(current or ()), *override.values]


def set_outputs(current: list[Output] | None, override: Override, grants: Grants) -> list[Output]:
    try:
        given = parse_outputs(override.values)
    except DefinitionError as error:
        raise invalid(f"invalid value for outputs: {error.message}") from error
    outputs = unique_entries([*(current or ()), *given]) if override.append else given
    grants.granted.fs_write += [output.dest for output in outputs if output.dest]
    return outputs


def set_cache_from(current: list[CacheEntry] | None, override: Override, grants: Grants) -> list[CacheEntry]:
    entries = _caches(current, override)
    grants.granted.fs_read += [e.attrs["src"] for e in entries if e.type == "local" and "src" in e.attrs]
    return entries


def set_cache_to(current: list[CacheEntry] | None, override: Override, grants: Grants) -> list[CacheEntry]:
    entries = _caches(current, override)
    grants.granted.fs_write += [e.attrs["dest"] for e in entries if e.type == "local" and "dest" in e.attrs]
    return entries


def _caches(current: list[CacheEntry] | None, override: Override) -> list[CacheEntry]:
    given = parse_caches(override.values)
    return unique_entries([*(current or ()), *given]) if override.append else given


def set_ssh(current: list[SshEntry] | None, override: Override, grants: Grants) -> list[SshEntry]:
    given = parse_sshs(override.values)
    entries = merge_by_id([*(current or ()), *given]) if override.append else given
    grants.granted.fs_read += [path for entry in entries for path in entry.paths]
    return entries


def set_secrets(current: list[SecretEntry] | None, override: Override, grants: Grants) -> list[SecretEntry]:
    try:
        given = parse_secrets(override.values)
    except DefinitionError as error:
        raise invalid(f"invalid value for outputs: {error.message}") from error
    grants.secret_ids.update(entry.id for entry in given)
    return merge_by_id([*(current or ()), *given]) if override.append else given


def set_secret_source(
    current: list[SecretEntry] | None, override: Override, grants: Grants
) -> list[SecretEntry]:
    """Replaces the source of one declared secret."""
    wanted = override.subkey
    if not wanted:
        raise invalid("invalid format for secret, expecting secret.<id>=<value>")
    entries = list(current or ())
    for index, entry in enumerate(entries):
        if entry.id != wanted:
            continue
        given = parse_secret(override.value)
        if given.id not in ("", wanted):
            raise invalid(
                f"secret override id {quote(given.id)} does not match declared secret {quote(wanted)}"
            )
        entries[index] = SecretEntry(wanted, given.src, given.env)
        grants.secret_ids.add(wanted)
        return entries
    raise invalid(
        f"secret {quote(wanted)} must be declared before it can be overridden",
        hint="Declare it in the definition or with --set TARGET.secrets+=id=….",
    )


def set_policies(current: list[PolicyEntry] | None, override: Override, grants: Grants) -> list[PolicyEntry]:
    """Replaces; `+=` appends."""
    given = parse_policies(override.values)
    return [*(current or ()), *given] if override.append else given


def merge_attests(current: Any, override: Override, grants: Grants) -> Any:
    """Always merged by type, whatever the operator."""
    try:
        given = [parse_attest(text) for text in override.values if text]
    except DefinitionError as error:
        raise invalid(f"invalid value for attest: {error.message}") from error
    return merge_by_type([*(current or ()), *given])


def push_outputs(current: list[Output] | None, override: Override, grants: Grants) -> list[Output]:
    """`push`: an image exporter pushes, or none does."""
    outputs = list(current or ())
    if not set_bool(None, override, grants):
        return _without_push(outputs)
    only_docker = all(output.type == "docker" for output in outputs)
    outputs = [output.with_attr("push", "true") if output.type == "image" else output for output in outputs]
    if only_docker:
        outputs.append(Output("image", attrs={"push": "true"}))
    return outputs


def _without_push(outputs: list[Output]) -> list[Output]:
    """A dropped registry exporter's place is taken by the last one, as in the original."""
    index = 0
    while index < len(outputs):
        if outputs[index].type == "registry":
            last = outputs.pop()
            if index < len(outputs):
                outputs[index] = last
            continue
        if outputs[index].type == "image":
            outputs[index] = outputs[index].with_attr("push", "false")
        index += 1
    return outputs


def load_outputs(current: list[Output] | None, override: Override, grants: Grants) -> list[Output]:
    """`load`: a docker exporter without destination is there, unless some output forbids it."""
    outputs = list(current or ())
    if not set_bool(None, override, grants):
        return outputs
    for output in outputs:
        if output.type == "docker":
            if output.dest == "":
                return outputs
        elif output.type not in ("image", "registry", "oci"):
            return outputs
    return [*outputs, Output("docker")]


#: Rules of list keys that add to what is there, whatever the operator.
ALWAYS_APPENDING = (append_texts, append_entitlements, merge_attests)
