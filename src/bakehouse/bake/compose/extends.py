"""`extends`: a service on top of another one of the same document or of another file.

What a service of another file says about paths is seen from that file's directory.
"""

from __future__ import annotations

from bakehouse.bake.compose.local_paths import PathRebaser
from bakehouse.bake.compose.merging import merge
from bakehouse.bake.compose.nodes import ComposeFailure, Node
from bakehouse.bake.compose.resets import without
from bakehouse.go.paths import join_path, parent_path
from bakehouse.go.text import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.bake.compose.model import Project
    from bakehouse.bake.compose.nodes import Path, Source

#: A service that extends is at the path of no service in particular.
_AT_SERVICE = ("services", "x")


class Base:
    """The services of a file that others extend, and what its last document takes away."""

    __slots__ = ("resets", "services")

    def __init__(self, services: dict[str, Node], resets: Sequence[Path]) -> None:
        self.services = services
        self.resets = resets


class Bases(dict[str, Base]):
    """The files already read for `extends`, by path."""


def apply_extends(project: Project, root: Node, source: Source, resets: Sequence[Path]) -> Node:
    """The document with every `extends` carried out. Raises `ComposeFailure`."""
    services = root.get("services")
    if services is None:
        return root
    if not isinstance(services.value, dict):
        raise ComposeFailure(
            "services must be a mapping",
            services,
            at_key=True,
            hint="Write `services:` and, indented below it, the name of each service.",
        )
    extender = _Extender(project, source)
    base = Base(dict(services.value), resets)
    for name in services.value:
        base.services[name] = extender.service(name, base, [])
    return root.like({**root.value, "services": services.like(base.services)})  # type: ignore[dict-item]


class _Extender:
    def __init__(self, project: Project, source: Source) -> None:
        self._project = project
        self._source = source

    def service(self, name: str, base: Base, chain: list[tuple[str, str]]) -> Node:
        """Service `name` of `base` with what it extends below it. `chain` are the services on the way here."""
        service = base.services[name]
        if service.value is None:
            return service
        if not isinstance(service.value, dict):
            raise ComposeFailure(f"services.{name} must be a mapping", service, at_key=True)
        extends = service.get("extends")
        if extends is None:
            return service
        ref, file = self._reference(name, extends)
        filename = self._source.peer_name
        other = base
        if file is not None:
            other = self._base_of(name, ref, file)
            filename = str(file.value)
        elif ref not in base.services:
            raise self._missing(name, ref, extends, base)
        chain = self._extended(chain, (filename, name), extends)
        below = self.service(ref, other, chain)
        if below.value is None:
            return service
        own = service.like({key: member for key, member in service.value.items() if key != "extends"})
        trimmed = below.like({key: member for key, member in below.value.items() if key != "extends"})  # type: ignore[union-attr]
        stripped = without(trimmed, [reset[2:] for reset in base.resets if _concerns(reset, name)])
        merged = merge(stripped, own, _AT_SERVICE)
        base.services[name] = merged
        return merged

    def _reference(self, name: str, extends: Node) -> tuple[str, Node | None]:
        """The name of the service, and the file that it is in."""
        if isinstance(extends.value, str):
            return extends.value, None
        if not isinstance(extends.value, dict):
            return "", None
        ref, file = extends.get("service"), extends.get("file")
        if ref is None or not isinstance(ref.value, str):
            raise ComposeFailure(f"extends.{name}.service is required", extends, at_key=True)
        if file is None or file.value is None:
            return ref.value, None
        if not isinstance(file.value, str):
            raise ComposeFailure(f"extends.{name}.file must be a string", file)
        return ref.value, file

    def _missing(self, name: str, ref: str, extends: Node, base: Base) -> ComposeFailure:
        from bakehouse.bake.suggestions import suggestion

        return ComposeFailure(
            f"cannot extend service {quote(name)} in {self._source.peer_name}: service {quote(ref)} not found",
            extends.get("service") or extends,
            hint=suggestion(ref, base.services),
        )

    def _extended(
        self, chain: list[tuple[str, str]], link: tuple[str, str], extends: Node
    ) -> list[tuple[str, str]]:
        if link not in chain:
            return [*chain, link]
        first = chain[0]
        lines = ["Circular reference:", f"  {first[1]} in {first[0]}"]
        lines += [f"  extends {service} in {file}" for file, service in [*chain[1:], link]]
        raise ComposeFailure("\n".join(lines), extends, at_key=True)

    def _base_of(self, name: str, ref: str, file: Node) -> Base:
        project = self._project
        path = str(file.value)
        local = path if path.startswith("/") else join_path(project.directory, path)
        base = project.bases.get(local)
        if base is None:
            base = project.bases[local] = self._load(name, local, path, file)
        # A chain writes what it finds into the services; the next one starts from the file's own.
        base = Base(dict(base.services), base.resets)
        if ref not in base.services:
            raise ComposeFailure(
                f"cannot extend service {quote(name)} in {self._source.peer_name}: "
                f"service {quote(ref)} not found in {path}",
                file,
            )
        return base

    def _load(self, name: str, local: str, path: str, file: Node) -> Base:
        project = self._project
        model, resets = project.load_file(project.loading.read(local, file), None, None)
        services = None if model is None else model.get("services")
        if model is None or services is None:
            raise ComposeFailure(f"cannot extend service {quote(name)} in {local}: no services section", file)
        if not isinstance(services.value, dict):
            raise ComposeFailure(
                f"cannot extend service {quote(name)} in {local}: services must be a mapping", services
            )
        prefix = parent_path(path)
        rebased = PathRebaser("" if prefix == "." else prefix, project.loading.home).rebased(model)
        found = rebased.get("services")
        return Base(dict(found.value) if found is not None and isinstance(found.value, dict) else {}, resets)


def _concerns(reset: Path, name: str) -> bool:
    return len(reset) > 2 and reset[0] in ("services", "*") and reset[1] in (name, "*")
