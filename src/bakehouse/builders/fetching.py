"""Files of remote sources that are needed while a build is planned: a Dockerfile in a repository or an archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from bakehouse.bake import Target
from bakehouse.builders.display import prefixing
from bakehouse.engine.engine import Engine
from bakehouse.llb.ops import Edge, SourceOp
from bakehouse.progress.events import Reporter
from bakehouse.session import Session
from bakehouse.solver.model import Cancellation
from bakehouse.values import dataclass


class Fetcher(Protocol):
    """Reads files of a graph's result, with what a target lends its build."""

    def read(self, target: Target, edge: Edge, paths: Sequence[str], limit: int) -> dict[str, bytes]:
        """At most `limit` bytes of each of `paths`; absent ones are left out. Raises what a build raises."""
        ...

    def source_time(self, target: Target, source: SourceOp, log_name: str) -> int | None:
        """The time of a git or http source in seconds since the epoch; None when it has none."""
        ...


@dataclass(frozen=True, slots=True)
class SourceTimes:
    """`dockerfile.lowering.SourceTimeResolver` for one target."""

    fetcher: Fetcher
    target: Target

    def resolve_source_time(self, source: SourceOp, log_name: str) -> int | None:
        """As `SourceTimeResolver.resolve_source_time`."""
        return self.fetcher.source_time(self.target, source, log_name)


class EngineFetcher:
    """A `Fetcher` that solves on an engine. What it fetched, a later solve of the engine finds done."""

    def __init__(
        self,
        engine: Engine,
        session_of: Callable[[Target], Session],
        reporter: Reporter,
        cancel: Cancellation,
        *,
        several_targets: bool,
    ) -> None:
        self._engine = engine
        self._session_of = session_of
        self._reporter = reporter
        self._cancel = cancel
        self._several = several_targets

    def read(self, target: Target, edge: Edge, paths: Sequence[str], limit: int) -> dict[str, bytes]:
        """As `Fetcher.read`. The build may go on without what could not be read."""
        with self._cancel.part() as cancel:
            return self._engine.read_files(
                edge, paths, self._session_of(target), self._reporter_of(target), cancel, limit=limit
            )

    def source_time(self, target: Target, source: SourceOp, log_name: str) -> int | None:
        """As `Fetcher.source_time`."""
        return self._engine.source_time(
            source, log_name, self._session_of(target), self._reporter_of(target), self._cancel
        )

    def _reporter_of(self, target: Target) -> Reporter:
        return prefixing(self._reporter, target.name) if self._several else self._reporter
