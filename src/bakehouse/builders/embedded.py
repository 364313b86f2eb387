"""The embedded driver: resolved targets in, images out, on this machine, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bakehouse.bake import Target
from bakehouse.builders.loading import Loads, no_loads
from bakehouse.builders.locating import point_at_source
from bakehouse.builders.naming import with_target_names
from bakehouse.builders.outputs import exporters_of
from bakehouse.builders.plan import BuildDirectories, PlannedTarget, Planner, solving
from bakehouse.builders.resolving import FrontendResolver
from bakehouse.builders.sessions import compatible_groups
from bakehouse.builders.settings import Settings
from bakehouse.builders.support import refuse_unbuilt
from bakehouse.dockerfile.lowering import Lowered
from bakehouse.engine.engine import Engine, Job, JobPlatform, SolveOptions
from bakehouse.engine.exporters.model import Exporter
from bakehouse.errors import BakehouseError
from bakehouse.oci.platform import Platform
from bakehouse.progress.events import Reporter
from bakehouse.registry.credentials import DockerCredentials
from bakehouse.session import NoCredentials, Session
from bakehouse.solver.model import Cancellation
from bakehouse.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.dockerfile.requests.answer import Answer


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """Everything one build command asks for.

    `targets` are resolved ones by name, linked ones included; whatever their `entitlements` name has been granted, and
    so has what `entitlements` of the request names. `calls` maps targets that are asked about instead of built to the
    question (see `builders.calls`). `open_stdout` gives the stream of an output to `-`; `loads` takes the images that
    `--load` hands on, and belongs to the caller.
    """

    targets: Mapping[str, Target]
    cwd: Path
    environ: Mapping[str, str]
    stdin_dockerfile: bytes | None = None
    open_stdout: Callable[[], BinaryIO] | None = None
    entitlements: frozenset[str] = frozenset()
    cgroup_parent: str = ""
    loads: Loads = field(default_factory=no_loads)
    calls: Mapping[str, str] = field(default_factory=dict)


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
    )


def build(
    request: BuildRequest, settings: Settings, reporter: Reporter, cancel: Cancellation
) -> BuildOutcome:
    """Builds and exports every target. Raises the first error; what was finished before stays cached."""
    built = {name: target for name, target in request.targets.items() if name not in request.calls}
    for name, target in request.targets.items():
        refuse_unbuilt(target, asked=name in request.calls)
    exporters = _exporters(request, built, settings)
    outcome = BuildOutcome()
    with _planning(request, settings, reporter, cancel) as (engine, planner, base_session):
        if request.calls:
            from bakehouse.builders.calls import answer_calls

            outcome.answers = answer_calls(planner, request.calls)
        planned = planner.plan(built)
        named = with_target_names(reporter, planned, several=len(request.targets) > 1)
        jobs = {name: _job(item, exporters[name]) for name, item in planned.items()}
        for names, session in compatible_groups(
            planned, request.environ, request.cwd, base_session.credentials
        ):
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
            outcome.responses |= {name: result.responses for name, result in results.items()}
    return outcome


def lower_targets(
    request: BuildRequest, settings: Settings, reporter: Reporter, cancel: Cancellation
) -> dict[str, Lowered]:
    """The graphs of every target, by name; nothing is built. Raises what stops a build before it begins."""
    with _planning(request, settings, reporter, cancel) as (_, planner, _):
        return {name: item.lowered for name, item in planner.plan().items()}


@contextmanager
def _planning(
    request: BuildRequest, settings: Settings, reporter: Reporter, cancel: Cancellation
) -> Iterator[tuple[Engine, Planner, Session]]:
    """An open engine, and a planner for the request that looks images up through it, with the session of that."""
    credentials = DockerCredentials(settings.docker_config) if settings.docker_config else None
    # Filled by the planner as it meets them: the resolver looks into layouts before any solve has a session.
    layouts: dict[str, Path] = {}
    session = Session(oci_layouts=layouts, credentials=credentials or NoCredentials())
    with open_engine(settings, request.environ) as engine:
        planner = Planner(
            request.targets,
            BuildDirectories(request.cwd, request.stdin_dockerfile, request.cgroup_parent),
            FrontendResolver(engine.resolver(engine.context(session, reporter))),
            reporter,
            [Platform.local()],
            cancel.check,
            layouts,
            asked=request.calls,
        )
        yield engine, planner, session


def _granted(request: BuildRequest) -> frozenset[str]:
    wanted = {name for target in request.targets.values() for name in target.entitlements or ()}
    return request.entitlements | wanted


def _exporters(
    request: BuildRequest, built: Mapping[str, Target], settings: Settings
) -> dict[str, tuple[Exporter, ...]]:
    """The exporters of every target, made before any work is done: what is wrong with an output costs no build."""
    out = {}
    for name, target in built.items():
        try:
            out[name] = exporters_of(
                target, request.cwd, settings.registries, request.open_stdout, request.loads
            )
        except BakehouseError as error:
            if len(request.targets) > 1:
                error.target = name
            raise
    return out


def _job(planned: PlannedTarget, exporters: tuple[Exporter, ...]) -> Job:
    lowered = planned.lowered
    platforms = tuple(
        JobPlatform(item.platform, item.edge, item.config, item.epoch_s, item.base_config or b"")
        for item in lowered.platforms
    )
    return Job(planned.target.name, platforms, exporters, lowered.multi_platform)
