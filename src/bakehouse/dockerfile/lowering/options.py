"""BuildKit's frontend options, a flat map of texts, as a `LowerRequest` (dockerfile.md §14.1).

The same map is what a remote BuildKit is sent, so both engines mean the same by it. Options that concern exporters,
caches, attestations or other frontends are not looked at here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from bakehouse.dockerfile.lint import make_linter
from bakehouse.dockerfile.lowering.contexts import input_config
from bakehouse.dockerfile.lowering.request import (
    RESOLVE_DEFAULT,
    RESOLVE_LOCAL,
    RESOLVE_PULL,
    InputContext,
    LowerRequest,
)
from bakehouse.errors import DefinitionError
from bakehouse.go.csvline import split_csv
from bakehouse.go.units import parse_ulimit
from bakehouse.go.values import parse_bool, parse_int, parse_uint
from bakehouse.llb.cpusets import parse_cpu_set
from bakehouse.llb.ops import NETWORK_HOST, NETWORK_NONE, NETWORK_SANDBOX, Edge, ResourceLimits, Ulimit
from bakehouse.oci.platform import Platform

_NETWORKS = {
    "": NETWORK_SANDBOX,
    "sandbox": NETWORK_SANDBOX,
    "host": NETWORK_HOST,
    "none": NETWORK_NONE,
}
_CAPS = frozenset(
    f"moby.buildkit.frontend.{name}"
    for name in ("inputs", "subrequests", "contexts", "gitquerystring", "contexts.zstd")
)


def parse_options(
    options: Mapping[str, str],
    *,
    dockerfile: bytes,
    input_edges: Mapping[str, Edge | None] | None = None,
    **fields: Any,
) -> LowerRequest:
    """A request with everything that `options` say. `input_edges` are the trees of `input:` contexts by name; their
    configs come from `input-metadata:` options. `fields` are further fields of `LowerRequest` (session, build
    platforms, ignore patterns, …) and may not repeat one that the options decide.

    Raises `DefinitionError` (code `invalid-option`) with BuildKit's message.
    """
    get = options.get
    if get("override-copy-image"):
        raise _invalid('support for "override-copy-image" was removed in BuildKit 0.11')
    if _is_true(get("build-arg:BUILDKIT_DISABLE_FILEOP", "")):
        raise _invalid('support for "BUILDKIT_DISABLE_FILEOP" build-arg was removed in BuildKit 0.11')
    lint_control = get("build-arg:BUILDKIT_DOCKERFILE_CHECK")
    # Of several wrong options BuildKit reports the first in this order.
    platforms = _platforms(get("platform", ""))
    resolve_mode = _resolve_mode(get("image-resolve-mode", ""))
    extra_hosts = _extra_hosts(get("add-hosts", ""))
    shm_size = _shm_size(get("shm-size", ""))
    ulimits = _ulimits(get("ulimit", ""))
    resources = resource_limits(options)
    network = _network(get("force-network-mode", ""))
    multi_platform = _multi_platform(options, len(platforms))
    if lint_control is not None:
        make_linter("", lint_control)
    git_advice = _flag("build-arg:BUILDKIT_GIT_ADVICE", get("build-arg:BUILDKIT_GIT_ADVICE", ""))
    _check_caps(get("frontend.caps", ""))
    inputs = _inputs(options, input_edges or {})
    return LowerRequest(
        dockerfile,
        filename=get("filename", "Dockerfile"),
        target=get("target", ""),
        build_args=_prefixed(options, "build-arg:"),
        labels=_prefixed(options, "label:"),
        platforms=platforms,
        multi_platform=multi_platform,
        no_cache=_no_cache(get("no-cache")),
        image_resolve_mode=resolve_mode,
        network=network,
        hostname=get("build-arg:BUILDKIT_SANDBOX_HOSTNAME") or get("hostname", ""),
        extra_hosts=extra_hosts,
        shm_size=shm_size,
        ulimits=ulimits,
        cgroup_parent=get("cgroup-parent", ""),
        resources=resources,
        cache_mount_namespace=get("build-arg:BUILDKIT_CACHE_MOUNT_NS", ""),
        git_advice=git_advice,
        lint_control=lint_control,
        main_context=get(get("contextkey", "context")) or None,
        context_sub_dir=get("contextsubdir", ""),
        context_keep_git_dir=_is_true(get("build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR", "")),
        context_input=inputs.get("context"),
        dockerfile_local_name=get("dockerfilekey"),
        named_contexts=_prefixed(options, "context:"),
        shared_keys=_prefixed(options, "sharedkey:localdir:"),
        inputs=inputs,
        local_session_ids=_prefixed(options, "local-sessionid:"),
        **fields,
    )


def _check_caps(text: str) -> None:
    """What a client needs of the frontend. `+forward` lets an external frontend have it, which is none of ours."""
    for wanted in text.split(",") if text else ():
        name = wanted.partition("+")[0]
        if name not in _CAPS:
            raise DefinitionError(f"unsupported frontend capability {name}", code="unsupported-capability")


def _prefixed(options: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {key[len(prefix) :]: value for key, value in options.items() if key.startswith(prefix)}


def _inputs(options: Mapping[str, str], edges: Mapping[str, Edge | None]) -> dict[str, InputContext]:
    metadata = _prefixed(options, "input-metadata:")
    return {
        name: InputContext(edge, input_config(metadata[name]) if name in metadata else None)
        for name, edge in edges.items()
    }


def _platforms(text: str) -> tuple[Platform, ...]:
    out = []
    for part in text.split(",") if text else ():
        try:
            out.append(Platform.parse(part))
        except DefinitionError as error:
            raise _invalid(f"failed to parse target platform {part}: {error.message}") from None
    return tuple(out)


def _multi_platform(options: Mapping[str, str], count: int) -> bool:
    text = options.get("build-arg:BUILDKIT_MULTI_PLATFORM") or options.get("multi-platform", "")
    if not text:
        return count > 1
    try:
        wanted = parse_bool(text)
    except ValueError:
        raise _invalid(f"invalid boolean value for multi-platform: {text}") from None
    if not wanted and count > 1:
        raise _invalid("conflicting config: returning multiple target platforms is not allowed")
    return wanted


def _no_cache(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(text.split(",")) if text else ()


def _resolve_mode(text: str) -> str:
    if text not in ("", RESOLVE_DEFAULT, RESOLVE_PULL, RESOLVE_LOCAL):
        raise _invalid(f"invalid image-resolve-mode: {text}")
    return text or RESOLVE_DEFAULT


def _network(text: str) -> int:
    if text not in _NETWORKS:
        raise _invalid(f"invalid netmode {text}")
    return _NETWORKS[text]


def _csv(text: str, what: str) -> list[str]:
    try:
        return split_csv(text) if text else []
    except ValueError as error:
        raise _invalid(f"failed to parse {what}: {error}") from None


def _extra_hosts(text: str) -> tuple[tuple[str, str], ...]:
    out = []
    for field in _csv(text, "additional hosts"):
        host, equals, address = field.lower().partition("=")
        if not equals:
            raise _invalid(f"failed to parse additional hosts: invalid key-value pair {field}")
        out.append((host, _address(address)))
    return tuple(out)


def _address(text: str) -> str:
    """The address as Go prints it: an IPv4 address mapped into IPv6 is shown as IPv4."""
    try:
        if "%" in text:
            raise ValueError
        address = ipaddress.ip_address(text)
    except ValueError:
        raise _invalid(f"failed to parse additional hosts: failed to parse IP {text}") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def _ulimits(text: str) -> tuple[Ulimit, ...]:
    return tuple(_ulimit(field) for field in _csv(text, "ulimit"))


def _ulimit(field: str) -> Ulimit:
    try:
        return Ulimit(*parse_ulimit(field))
    except ValueError as error:
        raise _invalid(f"failed to parse ulimit: {error}") from None


def _shm_size(text: str) -> int:
    try:
        return parse_int(text) if text else 0
    except ValueError as error:
        raise _invalid(f"failed to parse shm size: {error}", "shm-size") from None


def _flag(name: str, text: str) -> bool:
    try:
        return bool(text) and parse_bool(text)
    except ValueError as error:
        raise _invalid(f"failed to parse {name}: {error}") from None


def _is_true(text: str) -> bool:
    try:
        return parse_bool(text)
    except ValueError:
        return False


def resource_limits(options: Mapping[str, str]) -> ResourceLimits:
    """Limits of steps from the frontend's options (`memory`, `memswap`, `cpu…`). Raises `DefinitionError` (code
    `invalid-option`) with BuildKit's message."""
    values: dict[str, Any] = {}
    for key, (field, read) in _LIMITS.items():
        text = options.get(key, "")
        if not text:
            continue
        try:
            values[field] = read(text)
        except ValueError as error:
            raise _invalid(f"failed to parse resource limits: invalid {key} value: {text}: {error}") from None
    return ResourceLimits(**values)


def _positive(text: str) -> int:
    value = parse_int(text)
    if value <= 0:
        raise ValueError("must be > 0")
    return value


def _positive_unsigned(text: str) -> int:
    value = parse_uint(text)
    if value == 0:
        raise ValueError("must be > 0")
    return value


def _swap(text: str) -> int:
    value = parse_int(text)
    if value < -1 or value == 0:
        raise ValueError("must be -1 (unlimited) or > 0")
    return value


def _cpu_set(text: str) -> str:
    """`text` if it is numbers and ranges of processors or memory nodes."""
    parse_cpu_set(text)
    return text


_LIMITS: dict[str, tuple[str, Callable[[str], int | str]]] = {
    "memory": ("memory", _positive),
    "memswap": ("memory_swap", _swap),
    "cpushares": ("cpu_shares", _positive_unsigned),
    "cpuperiod": ("cpu_period", _positive_unsigned),
    "cpuquota": ("cpu_quota", _positive),
    "cpusetcpus": ("cpuset_cpus", _cpu_set),
    "cpusetmems": ("cpuset_mems", _cpu_set),
}


def _invalid(message: str, option: str = "") -> DefinitionError:
    hint = f"check the value of option {option}" if option else None
    return DefinitionError(message, code="invalid-option", hint=hint)
