"""The `oci` exporter: an OCI image layout as tar or directory (engine.md §17.4)."""

from __future__ import annotations

from bakehouse.engine.exporters.archive import ArchiveExporter


class OciExporter(ArchiveExporter):
    """Holds one image or an index of several."""

    name = "exporting to oci image format"
