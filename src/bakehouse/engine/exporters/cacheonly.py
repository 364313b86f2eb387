"""The `cacheonly` output: the build runs and nothing comes out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakehouse.engine.exporters.model import ExportResult, ExportSpec

if TYPE_CHECKING:
    from bakehouse.engine.tree import EngineContext
    from bakehouse.solver.model import Cancellation


class CacheOnlyExporter:
    """Exports nothing and reports no vertex."""

    name = "exporting cache only"
    reads_files = False
    takes_blobs = False

    def __init__(self, spec: ExportSpec) -> None:
        self._spec = spec

    def export(self, result: ExportResult, context: EngineContext, cancel: Cancellation) -> dict[str, str]:
        return {}
