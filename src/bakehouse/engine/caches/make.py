"""Finds the backend of a cache type. Modules are imported when their type is asked for."""

from __future__ import annotations

from bakehouse.engine.caches.model import (
    SERVICES,
    SOURCE_TYPES,
    TARGET_TYPES,
    CacheSource,
    CacheSpec,
    CacheTarget,
)
from bakehouse.errors import DefinitionError


def make_source(spec: CacheSpec) -> CacheSource:
    """The entry of `cache-from`, its attributes checked.

    Raises `DefinitionError` for bad attributes or an unknown type (code `unknown-cache-type`)."""
    if spec.type == "local":
        from bakehouse.engine.caches.local import LocalSource

        return LocalSource(spec)
    if spec.type in SERVICES:
        from bakehouse.engine.caches.services import ServiceSource

        return ServiceSource(spec)
    if spec.type == "registry":
        from bakehouse.engine.caches.registry import RegistrySource

        return RegistrySource(spec)
    raise _unknown(spec, "importer", SOURCE_TYPES)


def make_target(spec: CacheSpec) -> CacheTarget:
    """The entry of `cache-to`, its attributes checked; not for `inline`, which is a part of images. Raises as above."""
    if spec.type == "local":
        from bakehouse.engine.caches.local import LocalTarget

        return LocalTarget(spec)
    if spec.type in SERVICES:
        from bakehouse.engine.caches.services import ServiceTarget

        return ServiceTarget(spec)
    if spec.type == "registry":
        from bakehouse.engine.caches.registry import RegistryTarget

        return RegistryTarget(spec)
    raise _unknown(spec, "exporter", TARGET_TYPES)


def _unknown(spec: CacheSpec, role: str, known: tuple[str, ...]) -> DefinitionError:
    return DefinitionError(
        f'unknown cache {role}: "{spec.type}"',
        code="unknown-cache-type",
        hint=f"Use one of {', '.join(known)}.",
    )
