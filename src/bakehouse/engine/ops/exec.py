"""The ExecOp: one RUN step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bakehouse.engine.tree import EngineContext, Tree
from bakehouse.errors import InternalError
from bakehouse.llb.ops import Vertex
from bakehouse.runtime import OciRuntime
from bakehouse.solver.model import CacheMap, RunContext


@dataclass(frozen=True, slots=True)
class ExecOptions:
    """Settings of a build that its steps obey."""


class ExecOperation:
    """One ExecOp made executable (`solver.model.Operation`)."""

    def __init__(
        self,
        vertex: Vertex,
        context: EngineContext,
        runtime_provider: Callable[[], OciRuntime],
        options: ExecOptions,
    ) -> None:
        self._vertex = vertex

    def cache_map(self, context: RunContext) -> CacheMap:
        raise InternalError("not written yet")

    def run(self, context: RunContext, inputs: Sequence[Tree]) -> list[Tree]:
        raise InternalError("not written yet")
