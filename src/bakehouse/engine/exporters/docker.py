"""The `docker` exporter: an OCI layout tar that `docker load` understands too (engine.md §17.4)."""

from __future__ import annotations

from bakehouse.engine.exporters.archive import ArchiveExporter
from bakehouse.engine.exporters.model import ExportResult
from bakehouse.errors import DefinitionError


class DockerExporter(ArchiveExporter):
    """Holds exactly one image: Docker's archive format has no index."""

    name = "exporting to docker image format"
    docker_manifest = True

    def check_result(self, result: ExportResult) -> None:
        if result.multi_platform or len(result.platforms) > 1:
            raise DefinitionError(
                "docker exporter does not currently support exporting manifest lists",
                code="invalid-result",
                hint="Use type=oci for several platforms.",
            )
