"""The embedded engine's composition root: store, layers, runtime, solver and exporters put together.

One `Engine` serves one command. `solve` takes the graphs of all targets at once, so that equal vertices of different
targets run once and everything independent runs at the same time; each target's exports start as soon as its own
result is there. Nothing durable is half-made when it raises.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bakehouse.engine.answers import Answers, question
from bakehouse.engine.exporters.model import Exporter, ExportPlatform, ExportResult, InlineCache
from bakehouse.engine.graph import Graph, post_order
from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.operations import OperationFactory
from bakehouse.engine.records import TreeRecords
from bakehouse.engine.shown import ShownVertices
from bakehouse.engine.tree import EngineContext, InputLimits, Tree
from bakehouse.errors import BakehouseError, EnvironmentFault
from bakehouse.llb.ops import Edge, SourceOp
from bakehouse.oci.platform import Platform
from bakehouse.progress.events import Reporter
from bakehouse.registry.config import RegistryConfig
from bakehouse.session import Session
from bakehouse.snapshots import LayerChain, LayerStore
from bakehouse.solver.model import Cancellation, RunContext
from bakehouse.solver.solver import Solver
from bakehouse.solver.tasks import Call, Routine, Task, TaskLoop, WorkerPool
from bakehouse.store import Store
from bakehouse.values import dataclass, field, replace

if TYPE_CHECKING:
    from bakehouse.engine.attest.making import ResultFacts
    from bakehouse.engine.attest.model import Attestation, AttestationBundle, BuildFacts
    from bakehouse.engine.caches.gathering import SolvedKeys
    from bakehouse.engine.caches.model import CacheSource, CacheTarget
    from bakehouse.engine.caches.solve import SolveCaches
    from bakehouse.engine.sources.image import ImageResolver
    from bakehouse.registry import RegistryClient
    from bakehouse.runtime import OciRuntime

T = TypeVar("T")

#: Threads beyond those that steps may hold: lookups, downloads and exports wait for no step.
_EXTRA_THREADS = 16


@dataclass(frozen=True, slots=True)
class JobPlatform:
    """One platform of a target: its result edge (None: an empty tree), its image config without layers, and the config
    of its base image, whose layers and history an epoch leaves alone. `scan` is the tree of a scanner's statements."""

    platform: Platform
    edge: Edge | None
    config: bytes
    epoch_s: int | None = None
    base_config: bytes = b""
    scan: Edge | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One target of a solve: `name` is what errors and results are filed under. With `facts` its results are attested
    as they say; `tell_provenance` asks for the fullest provenance in the target's result, too."""

    name: str
    platforms: tuple[JobPlatform, ...]
    exporters: tuple[Exporter, ...] = ()
    multi_platform: bool = False
    cache_from: tuple[CacheSource, ...] = ()
    cache_to: tuple[CacheTarget, ...] = ()
    facts: BuildFacts | None = None
    tell_provenance: bool = False
    inline_cache: bool = False


@dataclass(slots=True)
class JobResult:
    """Response keys of all exporters of a target (engine.md §17.5), merged in the order of the outputs. `provenance` is
    the fullest SLSA v1 predicate of every platform, where it was asked for, by the platform's name; "" names the only
    one of a result without a platform map."""

    responses: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SolveOptions:
    """Settings of one solve. `entitlements` are those granted (`network.host`, `security.insecure`)."""

    entitlements: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Run:
    """The parts of one solve."""

    context: EngineContext
    factory: OperationFactory
    graph: Graph
    loop: TaskLoop
    solver: Solver[Tree]
    caches: SolveCaches | None = None

    def results(self, roots: Callable[[], list[Task]]) -> list[Any]:
        """Announces every vertex, then drives what `roots()` starts to its end."""
        self.solver.announce(list(self.graph.nodes.values()))
        tasks = roots()
        try:
            results = self.loop.run(tasks)
        except BaseException:
            self.solver.finish(cancelled=True)
            raise
        finally:
            self.factory.close()
        self.solver.finish(cancelled=False)
        return results


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
        edges, wanted = [], []
        for job in jobs:
            files = _reads_files(job)
            for platform in job.platforms:
                if platform.edge is not None:
                    edges.append(platform.edge)
                    wanted.append(files)
                if platform.scan is not None:
                    edges.append(platform.scan)
                    wanted.append(True)
        with_caches = any(job.cache_from or job.cache_to or job.inline_cache for job in jobs)
        run = self._run(edges, wanted, session, reporter, cancel, options, with_caches=with_caches)

        def roots() -> list[Task]:
            imports = self._imports(jobs, run)
            return [run.loop.spawn(self._job(job, run, cancel, len(jobs) > 1, imports)) for job in jobs]

        results = run.results(roots)
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
    ) -> _Run:
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
        return _Run(context, factory, graph, loop, solver, caches)

    def _solve_caches(self, context: EngineContext, cancel: Cancellation) -> SolveCaches:
        """Caches of one solve. They stay open: layers that were taken from them may be fetched by a later one."""
        from bakehouse.engine.caches.solve import SolveCaches

        self._caches.append(SolveCaches(context, cancel))
        return self._caches[-1]

    def _imports(self, jobs: Sequence[Job], run: _Run) -> list[Task]:
        """The imports of all jobs, each cache once. Nothing is looked up before they are done, so that what is found
        does not hang on chance."""
        sources = {source.name: source for job in jobs for source in job.cache_from}
        caches = run.caches

        def load(source: CacheSource) -> Routine:
            assert caches is not None
            return (yield Call(lambda: caches.load_cache(source)))

        return [run.loop.spawn(load(source)) for source in sources.values()]

    def _job(
        self,
        job: Job,
        run: _Run,
        cancel: Cancellation,
        several: bool,
        imports: Sequence[Task],
    ) -> Routine:
        try:
            yield list(imports)
            wanted: Callable[..., Task] = run.solver.result
            if any(exporter.reads_files or exporter.takes_blobs for exporter in job.exporters):
                wanted = functools.partial(run.solver.files, opened=_reads_files(job))
            waits: list[Task] = [
                wanted(run.graph.node(item.edge), item.edge.index)
                for item in job.platforms
                if item.edge is not None
            ]
            trees = iter((yield waits))
            platforms = []
            for item in job.platforms:
                chain = LayerChain(())
                if item.edge is not None:
                    tree: Tree = next(trees)
                    # A hop to a worker is for trees that must first be made into layers.
                    chain = tree.chain() if isinstance(tree, LayerTree) else (yield Call(tree.chain))
                platforms.append(
                    ExportPlatform(
                        item.platform,
                        chain,
                        item.config,
                        item.epoch_s,
                        item.base_config,
                        inline_cache=_inline_cache(job, item, run),
                    )
                )
            scans: list[Task] = [
                run.solver.result(run.graph.node(item.scan), item.scan.index)
                for item in job.platforms
                if item.scan is not None
            ]
            scanned = (yield scans) if scans else []
            told = _result_facts(job, run, [item.chain for item in platforms])
            platforms = _attested(job, platforms, told, scanned)
            result = ExportResult(tuple(platforms), job.multi_platform)
            exports = [
                run.loop.spawn(self._export(exporter, result, run.context, cancel))
                for exporter in job.exporters
            ]
            answer = JobResult()
            for responses in (yield exports):
                answer.responses |= responses
            for responses in (yield [run.loop.spawn(item) for item in self._cache_exports(job, run)]):
                answer.responses |= responses
            if job.tell_provenance:
                answer.provenance = yield Call(lambda: _provenance(job, told))
            return answer
        except BakehouseError as error:
            if several and error.target is None:
                error.target = job.name
            raise

    def _cache_exports(self, job: Job, run: _Run) -> list[Routine]:
        """The caches of a job, written once its images are: their layer blobs are there then."""
        caches = run.caches
        if caches is None or not job.cache_to:
            return []
        solved = _solved_keys(job.platforms, run)

        def export(target: CacheTarget) -> Routine:
            return (yield Call(lambda: caches.export_cache(target, solved)))

        return [export(target) for target in job.cache_to]

    def _export(
        self, exporter: Exporter, result: ExportResult, context: EngineContext, cancel: Cancellation
    ) -> Routine:
        return (yield Call(lambda: exporter.export(result, context, cancel)))


def _result_facts(job: Job, run: _Run, chains: Sequence[LayerChain]) -> list[ResultFacts]:
    """What can be attested of every platform's result; nothing of a target without facts."""
    facts = job.facts
    if facts is None:
        return []
    from bakehouse.engine.attest.making import ResultFacts

    def known(digest: str, output: int) -> Tree | None:
        from bakehouse.engine.sources.image import ImageSource

        node = run.graph.nodes.get(digest)
        if node is None:
            return None
        found = run.solver.known(node, output)
        if found is None and output == 0 and isinstance(node.operation, ImageSource):
            # An image that nobody had to look into is known by its name all the same.
            return node.operation.named_tree()
        return found

    names = [item.platform for item in job.platforms]
    return [
        ResultFacts(facts, number, names, item.edge, chains, run.context, known)
        for number, item in enumerate(job.platforms)
    ]


def _attested(
    job: Job, platforms: Sequence[ExportPlatform], told: Sequence[ResultFacts], scanned: Sequence[Tree]
) -> list[ExportPlatform]:
    """`platforms` with the attestations that the target asked for: what scanners wrote, then how it came about."""
    if job.facts is None:
        return list(platforms)
    wanted = job.facts.options.provenance
    scans = iter(scanned)
    out = []
    for given, item, facts in zip(job.platforms, platforms, told, strict=True):
        attestations = [] if given.scan is None else [_bundle(next(scans))]
        # Of nothing there is nothing to be said, as in BuildKit.
        if wanted is not None and given.edge is not None:
            attestations.append(facts.provenance(wanted))
        out.append(replace(item, attestations=tuple(attestations)))
    return out


def _bundle(tree: Tree) -> Attestation | AttestationBundle:
    from bakehouse.engine.attest.model import AttestationBundle
    from bakehouse.engine.attest.scanning import CORE
    from bakehouse.engine.attest.spdx import PREDICATE_SPDX

    return AttestationBundle(tree.chain(), PREDICATE_SPDX, CORE)


def _provenance(job: Job, told: Sequence[ResultFacts]) -> dict[str, dict[str, Any]]:
    exported = any(not exporter.reads_files for exporter in job.exporters)
    return {
        item.platform.normalized().format_all() if job.multi_platform else "": facts.detailed(
            layers_exported=exported
        )
        for item, facts in zip(job.platforms, told, strict=True)
        if item.edge is not None
    }


def _solve_caches(context: EngineContext, cancel: Cancellation) -> SolveCaches:
    from bakehouse.engine.caches.solve import SolveCaches

    return SolveCaches(context, cancel)


def _reads_files(job: Job) -> bool:
    return any(exporter.reads_files for exporter in job.exporters)


def _inline_cache(job: Job, item: JobPlatform, run: _Run) -> InlineCache | None:
    """What makes the cache that the image of one platform carries, when the job asks for it."""
    caches = run.caches
    if caches is None or not job.inline_cache:
        return None
    return functools.partial(caches.inline_cache, _solved_keys([item], run))


def _solved_keys(platforms: Sequence[JobPlatform], run: _Run) -> SolvedKeys:
    """The keys of results and of everything below them."""
    from bakehouse.engine.caches.gathering import SolvedKeys

    edges = [item.edge for item in platforms if item.edge is not None]
    below: dict[str, int] = {}
    outputs = {(edge.vertex.digest, edge.index) for edge in edges}
    for vertex in reversed(post_order(edges)):
        outputs |= {(source.vertex.digest, source.index) for source in vertex.inputs}
    for digest, index in outputs:
        node = run.graph.nodes[digest]
        for key in run.solver.keys_of(node, index):
            below[key] = len(node.inputs)
    tops = [run.solver.keys_of(run.graph.node(edge), edge.index)[:1] for edge in edges]
    return SolvedKeys(tuple(dict.fromkeys(key for top in tops for key in top)), below)


def _private_mounts() -> None:
    """Gives the engine's threads a mount namespace of their own. Without the privilege a build still works as long
    as it mounts nothing (the copy driver, no RUN); whoever needs a mount says so then."""
    from bakehouse.runtime.namespace import private_mounts

    try:
        private_mounts()
    except (EnvironmentFault, OSError):
        if os.environ.get("BAKEHOUSE_DEBUG"):
            raise
