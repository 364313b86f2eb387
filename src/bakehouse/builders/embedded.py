"""The embedded driver: resolved targets in, images out, on this machine, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, TypeVar

from bakehouse.bake import Target
from bakehouse.builders.attesting import (
    PROVENANCE_DISABLED,
    Attests,
    FactFinder,
    attests_of,
    provenance_responses,
    with_git_labels,
)
from bakehouse.builders.caches import TargetCaches, caches_of
from bakehouse.builders.definition_tree import DefinitionTree
from bakehouse.builders.display import solving
from bakehouse.builders.fetching import EngineFetcher
from bakehouse.builders.lending import Lender
from bakehouse.builders.loading import Loads, no_loads
from bakehouse.builders.locating import point_at_source
from bakehouse.builders.main_context import BuildDirectories
from bakehouse.builders.naming import with_target_names
from bakehouse.builders.outputs import exporters_of
from bakehouse.builders.plan import PlannedTarget, Planner
from bakehouse.builders.policies import rules_of_environment
from bakehouse.builders.policy_loading import PolicyLoader
from bakehouse.builders.policy_metadata import metadata_for
from bakehouse.builders.resolving import FrontendResolver
from bakehouse.builders.sessions import compatible_groups
from bakehouse.builders.settings import Settings
from bakehouse.builders.stdin import StandardInput, StdinContents, read_standard_input
from bakehouse.dockerfile.lowering import Lowered
from bakehouse.engine.answers import Answers
from bakehouse.engine.attest.model import BuildRun
from bakehouse.engine.engine import Engine, Job, JobPlatform, SolveOptions
from bakehouse.engine.exporters.model import Exporter
from bakehouse.engine.tree import INPUT_LIMIT_BYTES, InputLimits
from bakehouse.errors import BakehouseError
from bakehouse.oci.platform import Platform
from bakehouse.progress.events import Reporter
from bakehouse.registry.credentials import DockerCredentials
from bakehouse.session import NoCredentials, Session
from bakehouse.solver.model import Cancellation
from bakehouse.values import dataclass, field, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.dockerfile.requests.answer import Answer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """Everything one build command asks for.

    `targets` are resolved ones by name, linked ones included; whatever their `entitlements` name has been granted, and
    so has what `entitlements` of the request names. `calls` maps targets that are asked about instead of built to the
    question (see `builders.calls`). `stdin` is standard input when the build reads it. `open_stdout` gives the stream
    of an output to `-`; `loads` takes the images that `--load` hands on, and belongs to the caller. `tree` is that of a
    remote definition, and `engine` the one that fetched it, which stays the caller's. `provenance` says how much of it
    the outcome is to hold: `min`, `max`, or nothing (`disabled`).
    """

    targets: Mapping[str, Target]
    cwd: Path
    environ: Mapping[str, str]
    stdin: StandardInput | None = None
    open_stdout: Callable[[], BinaryIO] | None = None
    entitlements: frozenset[str] = frozenset()
    cgroup_parent: str = ""
    loads: Loads = field(default_factory=no_loads)
    tree: DefinitionTree | None = None
    engine: Engine | None = None
    calls: Mapping[str, str] = field(default_factory=dict)
    provenance: str = PROVENANCE_DISABLED


@dataclass(slots=True)
class BuildOutcome:
    """Exporter responses of every target that was built, by target and key (engine.md §17.5), and the answers about
    those that were not, by target."""

    responses: dict[str, dict[str, str]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)


def open_engine(settings: Settings, environ: Mapping[str, str]) -> Engine:
    """The engine of these settings. The caller closes it."""
    return Engine(
        settings.store_root,
        environ=environ,
        registries=settings.registries,
        snapshotter=settings.snapshotter,
        max_parallelism=settings.max_parallelism,
        limits=InputLimits(
            settings.max_download or INPUT_LIMIT_BYTES, settings.max_unpacked or INPUT_LIMIT_BYTES
        ),
    )


def build(
    request: BuildRequest, settings: Settings, reporter: Reporter, cancel: Cancellation
) -> BuildOutcome:
    """Builds and exports every target. Raises the first error; what was finished before stays cached."""
    request = replace(request, targets=with_git_labels(request.targets, request.cwd, request.environ))
    built = {name: target for name, target in request.targets.items() if name not in request.calls}
    started_ns = time.time_ns()
    attests = _of_each(request, built, lambda target: attests_of(target, request.environ))
    exporters = _exporters(request, built, settings, attests)
    caches = _caches(request, built, settings)
    outcome = BuildOutcome()
    with _planning(request, settings, reporter, cancel) as (engine, planner, lender):
        if request.calls:
            from bakehouse.builders.calls import answer_calls

            outcome.answers = answer_calls(planner, request.calls)
        planned = {
            name: planner.scanned(policed(planner, item), attests[name].options.sbom)
            for name, item in planner.plan(built).items()
        }
        vertices = {name: item.vertices() for name, item in caches.items()}
        named = with_target_names(reporter, planned, vertices, several=len(request.targets) > 1)
        finder = FactFinder(request.cwd, request.environ, attests)
        jobs = {
            name: replace(
                _job(item, exporters[name], caches[name]),
                facts=finder.facts(planned, name, BuildRun(started_ns)),
                tell_provenance=request.provenance != PROVENANCE_DISABLED,
            )
            for name, item in planned.items()
        }
        for names, session in compatible_groups(planned, lender):
            try:
                with solving():
                    results = engine.solve(
                        [jobs[name] for name in names],
                        session,
                        named,
                        cancel,
                        SolveOptions(_granted(request)),
                    )
            except BakehouseError as error:
                point_at_source(error, [planned[name].lowered for name in names])
                raise
            for name, result in results.items():
                told = provenance_responses(result.provenance, request.provenance)
                outcome.responses[name] = {**result.responses, **told}
    return outcome


def policed(planner: Planner, planned: PlannedTarget) -> PlannedTarget:
    """A target with its graphs as its policies leave them. Raises what the policies raise."""
    with planner.naming(planned.target.name), solving():
        return replace(planned, lowered=planner.policy_of(planned.target).lowered(planned.lowered))


def lower_targets(
    request: BuildRequest, settings: Settings, reporter: Reporter, cancel: Cancellation
) -> dict[str, Lowered]:
    """The graphs of every target, by name; nothing is built. Raises what stops a build before it begins."""
    with _planning(request, settings, reporter, cancel) as (_, planner, _):
        return {name: item.lowered for name, item in planner.plan().items()}


@contextmanager
def _planning(
    request: BuildRequest, settings: Settings, reporter: Reporter, cancel: Cancellation
) -> Iterator[tuple[Engine, Planner, Lender]]:
    """An open engine, a planner for the request that looks images up through it, and who lends what it asks for."""
    credentials = DockerCredentials(settings.docker_config) if settings.docker_config else NoCredentials()
    # Filled by the planner as it meets them: the resolver looks into layouts before any solve has a session.
    layouts: dict[str, Path] = {}
    session = Session(oci_layouts=layouts, credentials=credentials)
    with (
        Lender(request.environ, request.cwd, credentials) as lender,
        _engine_of(request, settings) as engine,
        ExitStack() as stack,
    ):
        directories = _directories(request, lender, engine, cancel, stack)
        resolver = FrontendResolver(engine.resolver(engine.context(session, reporter)))
        several = len(request.targets) > 1
        fetcher = EngineFetcher(engine, lender.session, reporter, cancel, several_targets=several)
        known_hosts = host_keys()
        policies = PolicyLoader(
            directories,
            rules_of_environment(request.environ, request.cwd),
            fetcher,
            metadata_for(engine, resolver, lender.session, reporter, cancel),
            reporter,
            environ=dict(request.environ),
            known_hosts=known_hosts,
            several=several,
        )
        planner = Planner(
            request.targets,
            directories,
            resolver,
            reporter,
            [Platform.local()],
            cancel.check,
            layouts,
            fetcher,
            known_hosts=known_hosts,
            asked=request.calls,
            policy_of=policies.of,
        )
        try:
            yield engine, planner, lender
        except BakehouseError as error:
            policies.close(error)
            raise
        finally:
            policies.close()


def host_keys() -> Callable[[str], str]:
    """Asks every SSH server for its key once a command."""
    answers = Answers()

    def ask(host: str) -> str:
        from bakehouse.engine.sources.known_hosts import scan_host_key

        return answers.once(host, lambda: scan_host_key(host))

    return ask


def _engine_of(request: BuildRequest, settings: Settings) -> AbstractContextManager[Engine]:
    if request.engine is not None:
        return nullcontext(request.engine)
    return open_engine(settings, request.environ)


def _directories(
    request: BuildRequest, lender: Lender, engine: Engine, cancel: Cancellation, stack: ExitStack
) -> BuildDirectories:
    """Where the targets' files are, with what standard input gives. `stack` removes what is made for the build."""
    contents = StdinContents()
    if request.stdin is not None:
        contents = read_standard_input(request.stdin, cancel.check)
    context = None
    if contents.archive is not None:
        context = lender.upload(contents.archive)
    elif contents.without_files:
        context = str(stack.enter_context(engine.store.temporary_dir()))
    return BuildDirectories(request.cwd, contents.dockerfile, context, request.cgroup_parent, request.tree)


def _granted(request: BuildRequest) -> frozenset[str]:
    wanted = {name for target in request.targets.values() for name in target.entitlements or ()}
    return request.entitlements | wanted


def _exporters(
    request: BuildRequest,
    built: Mapping[str, Target],
    settings: Settings,
    attests: Mapping[str, Attests],
) -> dict[str, tuple[Exporter, ...]]:
    """The exporters of every target, made before any work is done: what is wrong with an output costs no build."""

    def make(target: Target) -> tuple[Exporter, ...]:
        return exporters_of(
            target,
            request.cwd,
            settings.registries,
            request.open_stdout,
            request.loads,
            attests[target.name],
        )

    return _of_each(request, built, make)


def _caches(
    request: BuildRequest, built: Mapping[str, Target], settings: Settings
) -> dict[str, TargetCaches]:
    """The caches of every target, made as early as the exporters."""

    def make(target: Target) -> TargetCaches:
        return caches_of(target, request.cwd, request.environ, settings.registries)

    return _of_each(request, built, make)


def _of_each(request: BuildRequest, built: Mapping[str, Target], make: Callable[[Target], T]) -> dict[str, T]:
    """What `make` makes of every target; an error says whose it is, when there are several."""
    out = {}
    for name, target in built.items():
        try:
            out[name] = make(target)
        except BakehouseError as error:
            if len(request.targets) > 1:
                error.target = name
            raise
    return out


def _job(planned: PlannedTarget, exporters: tuple[Exporter, ...], caches: TargetCaches) -> Job:
    lowered = planned.lowered
    scans = planned.scans or [None] * len(lowered.platforms)
    platforms = tuple(
        JobPlatform(item.platform, item.edge, item.config, item.epoch_s, item.base_config or b"", scan)
        for item, scan in zip(lowered.platforms, scans, strict=True)
    )
    return Job(
        planned.target.name,
        platforms,
        exporters,
        lowered.multi_platform,
        caches.sources,
        caches.targets,
        inline_cache=caches.inline,
    )
