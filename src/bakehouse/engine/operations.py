"""Makes LLB vertices executable: which module serves which op and which kind of source.

Modules are imported when their op occurs, so that a build without RUN loads no runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bakehouse.engine.graph import source_scheme
from bakehouse.engine.tree import EngineContext, Tree
from bakehouse.errors import NotBuiltYetError
from bakehouse.llb.ops import DiffOp, ExecOp, FileOp, MergeOp, Vertex
from bakehouse.solver.model import Operation

if TYPE_CHECKING:
    from bakehouse.engine.ops.exec import ExecOptions
    from bakehouse.engine.sources.context_index import ContextIndexes
    from bakehouse.engine.sources.image import ImageResolver
    from bakehouse.runtime import OciRuntime


class OperationFactory:
    """The operations of one solve. `runtime` and `resolver` are called when the first vertex needs them;
    `entitlements` are what the build was granted."""

    def __init__(
        self,
        context: EngineContext,
        runtime: Callable[[], OciRuntime],
        resolver: Callable[[], ImageResolver],
        environ: Mapping[str, str],
        entitlements: frozenset[str],
    ) -> None:
        self._context = context
        self._runtime = runtime
        self._resolver = resolver
        self._environ = environ
        self._entitlements = entitlements
        self._exec_options: ExecOptions | None = None
        self._indexes: ContextIndexes | None = None

    def close(self) -> None:
        """Keeps what the solve has learned about context directories."""
        if self._indexes is not None:
            self._indexes.save()

    def operation(self, vertex: Vertex) -> Operation[Tree]:
        """The operation of `vertex`. Raises `NotBuiltYetError` for a source of a kind that is not there."""
        op = vertex.op
        if isinstance(op, ExecOp):
            from bakehouse.engine.ops.exec import ExecOperation, ExecOptions

            if self._exec_options is None:
                self._exec_options = ExecOptions.from_environ(self._environ, self._entitlements)
            return ExecOperation(vertex, self._context, self._runtime, self._exec_options)
        if isinstance(op, FileOp):
            from bakehouse.engine.ops.file import FileOperation

            return FileOperation(vertex, self._context)
        if isinstance(op, MergeOp):
            from bakehouse.engine.ops.merge import MergeOperation

            return MergeOperation(vertex, self._context)
        if isinstance(op, DiffOp):
            from bakehouse.engine.ops.diff import DiffOperation

            return DiffOperation(vertex, self._context)
        return self._source(vertex)

    def _source(self, vertex: Vertex) -> Operation[Tree]:
        scheme = source_scheme(vertex)
        if scheme == "local":
            from bakehouse.engine.sources.local import LocalSource

            if self._indexes is None:
                from bakehouse.engine.sources.context_index import ContextIndexes

                self._indexes = ContextIndexes(self._context.store.path("contexts"))
            return LocalSource(vertex, self._context, self._indexes)
        if scheme in ("docker-image", "oci-layout"):
            from bakehouse.engine.sources.image import ImageSource

            return ImageSource(vertex, self._context, self._resolver())
        if scheme in ("http", "https"):
            from bakehouse.engine.sources.http import HttpSource

            return HttpSource(vertex, self._context)
        if scheme == "git":
            from bakehouse.engine.sources.git import GitSource

            return GitSource(vertex, self._context)
        raise NotBuiltYetError(f"the source {scheme}:// is not supported yet")
