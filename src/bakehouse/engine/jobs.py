"""The targets of one solve: from the results of their graphs to what is exported, attested and cached of them.

What a target waits for is its own: its exports start as soon as its own results are there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bakehouse.engine.exporters.model import Exporter, ExportPlatform, ExportResult, InlineCache
from bakehouse.engine.graph import Graph, post_order
from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.operations import OperationFactory
from bakehouse.engine.tree import EngineContext, Tree
from bakehouse.errors import BakehouseError
from bakehouse.llb.ops import Edge
from bakehouse.oci.platform import Platform
from bakehouse.snapshots import LayerChain
from bakehouse.solver.model import Cancellation
from bakehouse.solver.solver import Solver
from bakehouse.solver.tasks import Call, Routine, Task, TaskLoop
from bakehouse.values import dataclass, field

if TYPE_CHECKING:
    from bakehouse.engine.attest.model import BuildFacts
    from bakehouse.engine.caches.gathering import SolvedKeys
    from bakehouse.engine.caches.model import CacheSource, CacheTarget
    from bakehouse.engine.caches.solve import SolveCaches


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
class SolveRun:
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


class Jobs:
    """The jobs of one solve at work."""

    def __init__(self, jobs: Sequence[Job], run: SolveRun, cancel: Cancellation) -> None:
        self._jobs = jobs
        self._run = run
        self._cancel = cancel

    @staticmethod
    def edges(jobs: Sequence[Job]) -> tuple[list[Edge], list[bool]]:
        """What must be solved for `jobs`, and of which results the files are read."""
        edges, wanted = [], []
        for job in jobs:
            for platform in job.platforms:
                if platform.edge is not None:
                    edges.append(platform.edge)
                    wanted.append(_reads_files(job))
                if platform.scan is not None:
                    edges.append(platform.scan)
                    wanted.append(True)
        return edges, wanted

    def start(self) -> list[Task]:
        """Starts every job. The tasks yield a `JobResult` each; errors bear a job's name when there are several."""
        imports = self._imports()
        return [self._run.loop.spawn(self._job(job, imports)) for job in self._jobs]

    def _imports(self) -> list[Task]:
        """The imports of all jobs, each cache once. Nothing is looked up before they are done, so that what is found
        does not hang on chance."""
        sources = {source.name: source for job in self._jobs for source in job.cache_from}
        caches = self._run.caches

        def load(source: CacheSource) -> Routine:
            assert caches is not None
            return (yield Call(lambda: caches.load_cache(source)))

        return [self._run.loop.spawn(load(source)) for source in sources.values()]

    def _job(self, job: Job, imports: Sequence[Task]) -> Routine:
        try:
            yield list(imports)
            platforms = yield from self._platforms(job)
            attested = None
            if job.facts is not None:
                from bakehouse.engine.attest.attaching import Attested

                scans = [
                    self._run.solver.result(self._run.graph.node(item.scan), item.scan.index)
                    for item in job.platforms
                    if item.scan is not None
                ]
                attested = Attested(job, self._run, platforms, (yield scans) if scans else [])
                platforms = attested.platforms
            answer = JobResult()
            for responses in (yield self._exports(job, platforms)):
                answer.responses |= responses
            # The blobs of its layers are there once its images are.
            for responses in (yield self._cache_exports(job)):
                answer.responses |= responses
            if job.tell_provenance and attested is not None:
                answer.provenance = yield Call(attested.provenance)
            return answer
        except BakehouseError as error:
            if len(self._jobs) > 1 and error.target is None:
                error.target = job.name
            raise

    def _platforms(self, job: Job) -> Routine:
        """The results of all platforms, as exporters take them."""
        run = self._run
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
                    inline_cache=self._inline_cache(job, item),
                )
            )
        return platforms

    def _exports(self, job: Job, platforms: Sequence[ExportPlatform]) -> list[Task]:
        result = ExportResult(tuple(platforms), job.multi_platform)

        def export(exporter: Exporter) -> Routine:
            return (yield Call(lambda: exporter.export(result, self._run.context, self._cancel)))

        return [self._run.loop.spawn(export(exporter)) for exporter in job.exporters]

    def _cache_exports(self, job: Job) -> list[Task]:
        """The caches of a job."""
        caches = self._run.caches
        if caches is None or not job.cache_to:
            return []
        solved = self._solved_keys(job.platforms)

        def export(target: CacheTarget) -> Routine:
            return (yield Call(lambda: caches.export_cache(target, solved)))

        return [self._run.loop.spawn(export(target)) for target in job.cache_to]

    def _inline_cache(self, job: Job, item: JobPlatform) -> InlineCache | None:
        """What makes the cache that the image of one platform carries, when the job asks for it."""
        caches = self._run.caches
        if caches is None or not job.inline_cache:
            return None
        return functools.partial(caches.inline_cache, self._solved_keys([item]))

    def _solved_keys(self, platforms: Sequence[JobPlatform]) -> SolvedKeys:
        """The keys of results and of everything below them."""
        from bakehouse.engine.caches.gathering import SolvedKeys

        edges = [item.edge for item in platforms if item.edge is not None]
        below: dict[str, int] = {}
        outputs = {(edge.vertex.digest, edge.index) for edge in edges}
        for vertex in reversed(post_order(edges)):
            outputs |= {(source.vertex.digest, source.index) for source in vertex.inputs}
        for digest, index in outputs:
            node = self._run.graph.nodes[digest]
            for key in self._run.solver.keys_of(node, index):
                below[key] = len(node.inputs)
        tops = [self._run.solver.keys_of(self._run.graph.node(edge), edge.index)[:1] for edge in edges]
        return SolvedKeys(tuple(dict.fromkeys(key for top in tops for key in top)), below)


def _reads_files(job: Job) -> bool:
    return any(exporter.reads_files for exporter in job.exporters)
