"""The embedded engine's composition root: store, layers, runtime, solver and exporters put together.

One `Engine` serves one command. `solve` takes the graphs of all targets at once, so that equal vertices of different
targets run once and everything independent runs at the same time; each target's exports start as soon as its own
result is there. Nothing durable is half-made when it raises.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bakehouse.engine.answers import Answers, question
from bakehouse.engine.graph import Graph
from bakehouse.engine.jobs import Job, JobResult, Jobs, SolveRun
from bakehouse.engine.operations import OperationFactory
from bakehouse.engine.records import TreeRecords
from bakehouse.engine.shown import ShownVertices
from bakehouse.engine.tree import EngineContext, InputLimits, Tree
from bakehouse.errors import BakehouseError, EnvironmentFault
from bakehouse.llb.ops import Edge, SourceOp
from bakehouse.progress.events import Reporter
from bakehouse.registry.config import RegistryConfig
from bakehouse.session import Session
from bakehouse.snapshots import LayerStore
from bakehouse.solver.model import Cancellation, RunContext
from bakehouse.solver.solver import Solver
from bakehouse.solver.tasks import Call, Routine, TaskLoop, WorkerPool
from bakehouse.store import Store
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from bakehouse.engine.caches.solve import SolveCaches
    from bakehouse.engine.sources.image import ImageResolver
    from bakehouse.registry import RegistryClient
    from bakehouse.runtime import OciRuntime

T = TypeVar("T")

#: Threads beyond those that steps may hold: lookups, downloads and exports wait for no step.
_EXTRA_THREADS = 16


@dataclass(frozen=True, slots=True)
class SolveOptions:
    """Settings of one solve. `entitlements` are those granted (`network.host`, `security.insecure`)."""

    entitlements: frozenset[str] = frozenset()


class Engine:
    """Opens nothing until `solve` or `context` is used. Close it (or use it as a context manager) when done.

    `environ` reaches the search for an OCI runtime only. Safe to use from one thread at a time.
    """

    def __init__(
        self,
        store_root: Path,
        *,
        environ: Mapping[str, str],
        registries: RegistryConfig,
        snapshotter: str = "auto",
        max_parallelism: int = 64,
        limits: InputLimits | None = None,
    ) -> None:
        self._environ = environ
        self._limits = limits or InputLimits()
        self._registries = registries
        self._max_parallelism = max_parallelism
        self.store = Store.open(store_root)
        self.layers = LayerStore(self.store, driver=snapshotter)
        self._pool = WorkerPool(max_parallelism + _EXTRA_THREADS, _private_mounts)
        self._lock = threading.Lock()
        self._runtime: OciRuntime | None = None
        self._resolver: ImageResolver | None = None
        self._answers = Answers()
        self._shown = ShownVertices()
        self._caches: list[SolveCaches] = []

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops the helpers of the runtime, ends the workers, closes the store. Idempotent."""
        with self._lock:
            runtime, self._runtime = self._runtime, None
            resolver, self._resolver = self._resolver, None
        if runtime is not None:
            # In a worker: what it takes down was mounted in the workers' namespace.
            self.call(runtime.close)
        if resolver is not None:
            resolver.close()
        while self._caches:
            self._caches.pop().close()
        self._pool.close()
        self.layers.close()
        self.store.close()

    def context(self, session: Session, reporter: Reporter) -> EngineContext:
        return EngineContext(self.store, self.layers, session, reporter, self._answers, self._limits)

    def resolver(self, context: EngineContext) -> ImageResolver:
        """Looks up images for this engine's builds; one for all, so that an image is asked for once."""
        from bakehouse.engine.sources.image import ImageResolver

        with self._lock:
            if self._resolver is None:
                self._resolver = ImageResolver(context, lambda: self._registry_client(context.session))
            return self._resolver

    def _registry_client(self, session: Session) -> RegistryClient:
        from bakehouse.registry import RegistryClient

        return RegistryClient(session.credentials, self._registries)

    def _origin(self, digest: str, size: int, context: EngineContext) -> Callable[[], None] | None:
        """Fetches a layer blob from the repository where an earlier build saw it."""
        from bakehouse.engine.sources.image import fetch_from_origin

        return fetch_from_origin(digest, size, context, self.resolver(context))

    def runtime(self) -> OciRuntime:
        """The OCI runtime, looked for at the first step that needs it."""
        from bakehouse.runtime import OciRuntime

        with self._lock:
            if self._runtime is None:
                self._runtime = OciRuntime.discover(self._environ, self.store.path("runtime"))
            return self._runtime

    def call(self, function: Callable[[], T], cancel: Cancellation | None = None) -> T:
        """Runs `function` in a worker thread (where mounts are the engine's own) and returns its result."""
        loop = TaskLoop(self._pool, cancel or Cancellation(), self._max_parallelism)

        def routine() -> Routine:
            return (yield Call(function))

        result: T = loop.run([loop.spawn(routine())])[0]
        return result

    def solve(
        self,
        jobs: Sequence[Job],
        session: Session,
        reporter: Reporter,
        cancel: Cancellation,
        options: SolveOptions | None = None,
    ) -> dict[str, JobResult]:
        """Builds and exports every job. Raises the first error, with its target's name when there are several."""
        edges, wanted = Jobs.edges(jobs)
        with_caches = any(job.cache_from or job.cache_to or job.inline_cache for job in jobs)
        run = self._run(edges, wanted, session, reporter, cancel, options, with_caches=with_caches)
        results = run.results(Jobs(jobs, run, cancel).start)
        return {job.name: result for job, result in zip(jobs, results, strict=True)}

    def read_files(
        self,
        edge: Edge,
        paths: Sequence[str],
        session: Session,
        reporter: Reporter,
        cancel: Cancellation,
        *,
        limit: int,
    ) -> dict[str, bytes]:
        """What the files `paths` of the tree `edge` hold, absent ones left out: at most `limit` bytes of each.

        What the tree takes is done once a command: a later solve finds it done. Symbolic links are followed inside the
        tree. Raises what a solve raises, and `DefinitionError` (code `not-a-file`)."""
        from bakehouse.engine.reading import read_files

        return self.visit(edge, lambda tree: read_files(tree, paths, limit), session, reporter, cancel)

    def visit(
        self,
        edge: Edge,
        function: Callable[[Tree], T],
        session: Session,
        reporter: Reporter,
        cancel: Cancellation,
    ) -> T:
        """What `function` makes of the tree `edge`, in a worker thread. Raises what a solve raises, and `function`."""
        run = self._run([edge], [True], session, reporter, cancel, None)
        tree: Tree = run.results(lambda: [run.solver.result(run.graph.node(edge), edge.index)])[0]
        return self.call(lambda: function(tree), cancel)

    def source_time(
        self, op: SourceOp, name: str, session: Session, reporter: Reporter, cancel: Cancellation
    ) -> int | None:
        """The time of a remote source in seconds since the epoch, shown as the vertex `name`; None when it has none."""
        from bakehouse.engine.source_times import source_time

        return self.ask(
            op, name, lambda context, run: source_time(op, context, run), session, reporter, cancel
        )

    def ask(
        self,
        op: SourceOp,
        name: str,
        function: Callable[[EngineContext, RunContext], T],
        session: Session,
        reporter: Reporter,
        cancel: Cancellation,
    ) -> T:
        """What `function` finds out about a source, in a worker thread, shown as the vertex `name`."""
        digest = "sha256:" + hashlib.sha256(f"{name}\0{question(op)}".encode()).hexdigest()
        vertex = reporter.vertex(digest, name)
        run = RunContext(vertex, cancel)
        vertex.start()
        try:
            found = self.call(lambda: function(self.context(session, reporter), run), cancel)
        except BakehouseError as error:
            vertex.fail(error.message)
            raise
        vertex.done()
        return found

    def _run(
        self,
        edges: Sequence[Edge],
        wanted: Sequence[bool],
        session: Session,
        reporter: Reporter,
        cancel: Cancellation,
        options: SolveOptions | None,
        *,
        with_caches: bool = False,
    ) -> SolveRun:
        reporter = self._shown.reporter(reporter)
        context = self.context(session, reporter)
        self.layers.find_missing_with(lambda digest, size: self._origin(digest, size, context))
        granted = options.entitlements if options else frozenset()
        factory = OperationFactory(
            context, self.runtime, lambda: self.resolver(context), self._environ, granted
        )
        graph = Graph(edges, wanted, factory.operation)
        loop = TaskLoop(self._pool, cancel, self._max_parallelism)
        caches = self._solve_caches(context, cancel) if with_caches else None
        keys = caches.keys if caches else self.store.cachekeys
        records = caches or TreeRecords(context)
        solver: Solver[Tree] = Solver(loop, keys, records, reporter, cancel, self.store.locks)
        return SolveRun(context, factory, graph, loop, solver, caches)

    def _solve_caches(self, context: EngineContext, cancel: Cancellation) -> SolveCaches:
        """Caches of one solve. They stay open: layers that were taken from them may be fetched by a later one."""
        from bakehouse.engine.caches.solve import SolveCaches

        self._caches.append(SolveCaches(context, cancel))
        return self._caches[-1]


def _private_mounts() -> None:
    """Gives the engine's threads a mount namespace of their own. Without the privilege a build still works as long
    as it mounts nothing (the copy driver, no RUN); whoever needs a mount says so then."""
    from bakehouse.runtime.namespace import private_mounts

    try:
        private_mounts()
    except (EnvironmentFault, OSError):
        if os.environ.get("BAKEHOUSE_DEBUG"):
            raise
