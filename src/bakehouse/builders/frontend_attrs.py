"""The frontend attributes that buildx would send for a target: what provenance tells of the request (engine.md §13.4).

Our own frontend is handed typed values instead (`frontend_options`); here are their texts.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from bakehouse.bake import Target
from bakehouse.builders.definition_tree import HTTP_FILE
from bakehouse.builders.frontend_options import extra_hosts, ulimits_of
from bakehouse.builders.limits import limit_options
from bakehouse.dockerfile.lowering import LowerRequest
from bakehouse.giturl import is_remote_url, parse_git_url
from bakehouse.go.jsontext import compact_json
from bakehouse.go.units import parse_ram_bytes
from bakehouse.go.values import TRUE

_NAMED_CONTEXTS = "moby.buildkit.frontend.contexts+forward"
_GIT_QUERY = "moby.buildkit.frontend.gitquerystring"


def frontend_attrs(
    target: Target, request: LowerRequest, attests: Mapping[str, str], *, named_dockerfile: bool
) -> dict[str, str]:
    """The attributes, sorted, without those that only name a session. `named_dockerfile` says that the Dockerfile was
    sent in a directory of its own."""
    out = {f"build-arg:{name}": value for name, value in (target.args or {}).items()}
    out |= {f"label:{name}": value for name, value in (target.labels or {}).items()}
    out |= {f"attest:{kind}": text for kind, text in attests.items()}
    out |= _steps(target)
    out["filename"] = _file_name(target, request)
    if request.main_context is not None:
        out["context"] = request.main_context
    if named_dockerfile:
        out["dockerfilekey"] = "dockerfile"
    if request.target:
        out["target"] = request.target
    if request.build_args.get("BUILDKIT_MULTI_PLATFORM", "") in TRUE:
        out["multi-platform"] = "true"
    if request.no_cache is not None:
        out["no-cache"] = ",".join(request.no_cache)
    out |= {f"context:{name}": value for name, value in request.named_contexts.items()}
    out |= {
        f"sharedkey:localdir:{name}": request.shared_keys.get(name, "")
        for name, value in request.named_contexts.items()
        if value.startswith("local:")
    }
    out |= {
        f"input-metadata:{name}": compact_json(
            {"containerimage.config": b64encode(given.config).decode("ascii")}
        )
        for name, given in request.inputs.items()
        if given.config is not None
    }
    caps = _needed_caps(target, request)
    if caps:
        out["frontend.caps"] = ",".join(sorted(caps))
    return {key: out[key] for key in sorted(out)}


def _file_name(target: Target, request: LowerRequest) -> str:
    """The Dockerfile as it was asked for: when the context is one itself, it has a name of its own in the graph."""
    is_text = not request.context_is_archive and (request.main_context or "").startswith(
        ("http://", "https://")
    )
    if is_text and request.filename == HTTP_FILE:
        return target.dockerfile or "Dockerfile"
    return request.filename


def _steps(target: Target) -> dict[str, str]:
    """What concerns the steps: network, hosts, limits."""
    out = limit_options(target)
    if target.network in ("host", "none"):
        out["force-network-mode"] = target.network
    hosts = extra_hosts(target)
    if hosts:
        out["add-hosts"] = ",".join(f"{host}={address}" for host, address in hosts)
    size = parse_ram_bytes(target.shm_size) if target.shm_size else 0
    if size > 0:
        out["shm-size"] = str(size)
    if target.ulimits:
        out["ulimit"] = ",".join(f"{each.name}={each.soft}:{each.hard}" for each in ulimits_of(target))
    return out


def _needed_caps(target: Target, request: LowerRequest) -> set[str]:
    caps = {_NAMED_CONTEXTS} if target.contexts else set()
    if request.main_context is not None and _has_query(request.main_context):
        caps.add(_GIT_QUERY)
    if any(_has_query(value) for value in (target.contexts or {}).values() if is_remote_url(value)):
        caps.add(f"{_GIT_QUERY}+forward")
    return caps


def _has_query(url: str) -> bool:
    try:
        return bool(parse_git_url(url).query)
    except ValueError:
        return False
