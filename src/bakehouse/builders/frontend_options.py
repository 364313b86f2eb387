"""Fields of a target as the frontend options that buildx would send for them, in their typed form."""

from __future__ import annotations

from collections.abc import Sequence

from bakehouse.bake import Target
from bakehouse.builders.limits import step_limits
from bakehouse.dockerfile.lowering import LowerRequest
from bakehouse.errors import DefinitionError, NotBuiltYetError
from bakehouse.go.units import parse_ram_bytes as parse_size
from bakehouse.go.values import TRUE, parse_bool
from bakehouse.llb.ops import NETWORK_HOST, NETWORK_NONE, NETWORK_SANDBOX, Ulimit
from bakehouse.oci.platform import Platform

_NETWORKS = {"": NETWORK_SANDBOX, "default": NETWORK_SANDBOX, "none": NETWORK_NONE, "host": NETWORK_HOST}


def frontend_request(
    target: Target, build_platforms: Sequence[Platform], cgroup_parent: str = ""
) -> LowerRequest:
    """What the target's own fields ask of the frontend. Where its Dockerfile and its files come from is left open."""
    args = dict(target.args or {})
    platforms = tuple(Platform.parse(item) for item in _platforms(target))
    no_cache: tuple[str, ...] | None = None
    if target.no_cache:
        no_cache = ()
    elif target.no_cache_filter:
        no_cache = tuple(target.no_cache_filter)
    return LowerRequest(
        dockerfile=b"",
        target=target.target or "",
        build_args=args,
        labels=dict(target.labels or {}),
        platforms=platforms,
        build_platforms=tuple(build_platforms),
        multi_platform=len(platforms) > 1 or args.get("BUILDKIT_MULTI_PLATFORM", "") in ("1", "true"),
        no_cache=no_cache,
        image_resolve_mode="pull" if target.pull else "default",
        network=_network(target),
        cgroup_parent=cgroup_parent,
        hostname=args.get("BUILDKIT_SANDBOX_HOSTNAME", ""),
        extra_hosts=extra_hosts(target),
        shm_size=parse_size(target.shm_size) if target.shm_size else 0,
        ulimits=ulimits_of(target),
        resources=step_limits(target),
        cache_mount_namespace=args.get("BUILDKIT_CACHE_MOUNT_NS", ""),
        lint_control=args.get("BUILDKIT_DOCKERFILE_CHECK"),
        git_advice=_git_advice(args.get("BUILDKIT_GIT_ADVICE", "")),
        # Anything that is no boolean counts as false, as in BuildKit.
        context_keep_git_dir=args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "") in TRUE,
    )


def _git_advice(text: str) -> bool:
    if not text:
        return False
    try:
        return parse_bool(text)
    except ValueError as error:
        raise DefinitionError(
            f"failed to parse BUILDKIT_GIT_ADVICE: {error}", code="invalid-boolean"
        ) from None


def _platforms(target: Target) -> list[str]:
    """Comma lists split, `local` made the machine's own."""
    names: list[str] = []
    for item in target.platforms or ():
        for part in item.split(","):
            part = part.strip()
            name = str(Platform.local()) if part == "local" else part
            if name and name not in names:
                names.append(name)
    return names


def _network(target: Target) -> int:
    name = target.network or ""
    if name not in _NETWORKS:
        raise DefinitionError(
            f'network mode "{name}" not supported by buildkit',
            code="invalid-network",
            hint="default, none or host",
        )
    return _NETWORKS[name]


def extra_hosts(target: Target) -> tuple[tuple[str, str], ...]:
    """(host, address) pairs; a host may have several addresses, parted by commas, IPv6 ones in brackets.

    Raises `DefinitionError` (code `invalid-host`), `NotBuiltYetError` for `host-gateway`, which is Docker's own.
    """
    pairs = []
    for host, addresses in (target.extra_hosts or {}).items():
        for address in addresses.split(","):
            if address == "host-gateway":
                raise NotBuiltYetError(
                    f"the address host-gateway (of {host}) is not supported: there is no daemon with a gateway",
                    hint="write the address; with network host the machine itself is 127.0.0.1",
                )
            if len(address) > 2 and address[0] == "[" and address[-1] == "]":
                address = address[1:-1]
            if not host or not _is_address(address):
                raise DefinitionError(
                    f"invalid host {host}:{addresses}", code="invalid-host", hint="expected host:ip"
                )
            pairs.append((host.lower(), address))
    return tuple(pairs)


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def ulimits_of(target: Target) -> tuple[Ulimit, ...]:
    """The target's limits, sorted by name; of several for one name the last counts."""
    named = {limit.name: limit for limit in map(_ulimit, target.ulimits or ())}
    return tuple(named[name] for name in sorted(named))


def _ulimit(text: str) -> Ulimit:
    name, _, values = text.partition("=")
    soft, _, hard = values.partition(":")
    return Ulimit(name, int(soft), int(hard or soft))
