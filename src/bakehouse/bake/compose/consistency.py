"""What the parts of a project demand of each other."""

from __future__ import annotations

from bakehouse.bake.compose.nodes import ComposeFailure, Node, items_of
from bakehouse.go.text import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from bakehouse.bake.compose.services import Build, Decoded, Service

SERVICE_PREFIX = "service:"
_TAIL = ": invalid compose project"


def check_consistency(decoded: Decoded) -> None:
    """Raises `ComposeFailure` for the first service or secret that cannot be."""
    for service in decoded.services.values():
        _check_service(service, decoded)
    for name, secret in decoded.secrets.items():
        if not secret.external and not secret.file and not secret.environment:
            raise ComposeFailure(
                f"secret {quote(name)} must declare either `file` or `environment`{_TAIL}",
                secret.node,
                at_key=True,
            )


def _check_service(service: Service, decoded: Decoded) -> None:
    build = service.build
    name = quote(service.name)
    if build is None:
        if service.image == "":
            raise ComposeFailure(
                f"service {name} has neither an image nor a build context specified{_TAIL}",
                service.node,
                at_key=True,
            )
        return
    if build.texts["dockerfile"] and build.texts["dockerfile_inline"]:
        raise ComposeFailure(
            f"service {name} declares mutualy exclusive dockerfile and dockerfile_inline{_TAIL}",
            build.node.get("dockerfile_inline"),
            at_key=True,
        )
    _check_contexts(service, build, decoded)
    for index, source in enumerate(build.secrets):
        if source not in decoded.secrets:
            grants = items_of(build.node.get("secrets"))
            raise ComposeFailure(
                f"service {name} refers to undefined build secret {source}{_TAIL}",
                grants[index],
                hint=_suggestion(source, decoded.secrets) or "Define it in the top-level `secrets`.",
            )


def _check_contexts(service: Service, build: Build, decoded: Decoded) -> None:
    for context, value in build.additional_contexts.items():
        if not value.startswith(SERVICE_PREFIX):
            continue
        name = value[len(SERVICE_PREFIX) :]
        other = decoded.services.get(name)
        problem = ""
        if other is None:
            problem = "unknown"
        elif other.build is None:
            problem = "non-buildable"
        if problem:
            contexts = build.node.get("additional_contexts")
            place: Node | None = None if contexts is None else contexts.get(context)
            raise ComposeFailure(
                f"service {quote(service.name)} declares {problem} service {quote(name)} "
                f"as additional contexts {context}",
                place,
                hint=_suggestion(name, decoded.services) if other is None else None,
            )


def _suggestion(wanted: str, names: Iterable[str]) -> str | None:
    from bakehouse.bake.suggestions import suggestion

    return suggestion(wanted, names)
