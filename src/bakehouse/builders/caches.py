"""`cache-from` and `cache-to` of a target as sources and targets of the engine. They are made before anything is built,
so a wrong attribute costs no build."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.bake.entries import CacheEntry
from bakehouse.builders.naming import cache_id
from bakehouse.engine.caches.make import make_source, make_target
from bakehouse.engine.caches.model import CacheSource, CacheSpec, CacheTarget, import_digest
from bakehouse.engine.caches.stores.model import is_active
from bakehouse.engine.exporters.model import export_digest
from bakehouse.errors import BakehouseError, DefinitionError
from bakehouse.go.values import parse_bool
from bakehouse.registry.config import RegistryConfig
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from bakehouse.bake import Target

_INLINE = "inline"
#: A build argument that asks for `type=inline`, as older clients did.
_INLINE_ARGUMENT = "BUILDKIT_INLINE_CACHE"


@dataclass(frozen=True, slots=True)
class TargetCaches:
    """The caches of one target. `inline` says that its images carry their own."""

    sources: tuple[CacheSource, ...] = ()
    targets: tuple[CacheTarget, ...] = ()
    inline: bool = False

    def vertices(self) -> Iterator[str]:
        """The digests by which progress events name these caches."""
        yield from (import_digest(source) for source in self.sources)
        yield from (export_digest(target.id, target.title) for target in self.targets)


def caches_of(
    target: Target, cwd: Path, environ: Mapping[str, str], registries: RegistryConfig
) -> TargetCaches:
    """The caches of `target`. Raises `DefinitionError` for attributes that do not go together, and for two equal
    destinations. Caches of GitHub Actions are passed over where no job of theirs runs, as buildx does."""
    sources = []
    for number, entry in enumerate(target.cache_from or ()):
        spec = CacheSpec(entry.type, entry.attrs, cwd, environ, registries, cache_id(target.name, number))
        if is_active(spec.type, spec.attrs, spec.environ):
            with _configuring(spec, "importer"):
                sources.append(make_source(spec))
    targets = []
    entries = list(target.cache_to or ())
    _refuse_doubles(entries)
    for number, entry in enumerate(entries):
        spec = CacheSpec(entry.type, entry.attrs, cwd, environ, registries, cache_id(target.name, number))
        if entry.type != _INLINE and is_active(spec.type, spec.attrs, spec.environ):
            with _configuring(spec, "exporter"):
                targets.append(make_target(spec))
    inline = any(entry.type == _INLINE for entry in entries) or _asked_by_argument(target)
    return TargetCaches(tuple(sources), tuple(targets), inline)


@contextmanager
def _configuring(spec: CacheSpec, role: str) -> Iterator[None]:
    """Says of an error which entry it is about."""
    try:
        yield
    except BakehouseError as error:
        if error.code != "unknown-cache-type":
            error.message = f"failed to configure {spec.type} cache {role}: {error.message}"
        raise


def _refuse_doubles(entries: Sequence[CacheEntry]) -> None:
    """Two caches in one place would overwrite each other. Raises `DefinitionError` (code `duplicate-cache`)."""
    seen: list[tuple[str, object]] = []
    for entry in entries:
        place = (entry.type, entry.attrs.get("ref") or entry.attrs)
        if entry.type != _INLINE and place in seen:
            raise DefinitionError(
                f"duplicate cache exports [{entry.type}]",
                code="duplicate-cache",
                hint="Two entries of cache-to name the same place.",
            )
        seen.append(place)


def _asked_by_argument(target: Target) -> bool:
    value = (target.args or {}).get(_INLINE_ARGUMENT)
    try:
        return value is not None and parse_bool(value)
    except ValueError:
        return False
