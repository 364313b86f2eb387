"""Finds the exporter of an output type. Modules are imported when their type is asked for."""

from __future__ import annotations

from bakehouse.engine.exporters.model import Exporter, ExportSpec
from bakehouse.errors import DefinitionError

TYPES = ("image", "registry", "oci", "docker", "local", "tar", "cacheonly")


def make_exporter(spec: ExportSpec) -> Exporter:
    """The exporter of `spec.type` with its attributes checked.

    Raises `DefinitionError` for bad attributes or an unknown type (code `unknown-exporter`)."""
    if spec.type in ("image", "registry"):
        from bakehouse.engine.exporters.image import ImageExporter

        return ImageExporter(spec)
    if spec.type == "oci":
        from bakehouse.engine.exporters.oci import OciExporter

        return OciExporter(spec)
    if spec.type == "docker":
        from bakehouse.engine.exporters.docker import DockerExporter

        return DockerExporter(spec)
    if spec.type == "local":
        from bakehouse.engine.exporters.local import LocalExporter

        return LocalExporter(spec)
    if spec.type == "tar":
        from bakehouse.engine.exporters.tar import TarExporter

        return TarExporter(spec)
    if spec.type == "cacheonly":
        from bakehouse.engine.exporters.cacheonly import CacheOnlyExporter

        return CacheOnlyExporter(spec)
    raise DefinitionError(
        f"unknown output type {spec.type!r} (expected {', '.join(TYPES)})", code="unknown-exporter"
    )
