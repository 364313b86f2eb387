"""Targets to LLB: reads each target's Dockerfile, wires its contexts, lowers it, linked targets first.

Nothing is built; image configs are looked up through the resolver that the engine lends. What a target's fields ask of
the frontend is `frontend_options`, where its files come from `main_context` and `named_contexts`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bakehouse.bake import Target
from bakehouse.builders.display import solving
from bakehouse.builders.fetching import Fetcher, SourceTimes
from bakehouse.builders.frontend_options import frontend_request
from bakehouse.builders.main_context import BuildDirectories, MainContext, MainContexts
from bakehouse.builders.named_contexts import LinkedTarget, NamedContexts, links_of
from bakehouse.builders.policies import TargetPolicy
from bakehouse.builders.resolving import RecordingResolver
from bakehouse.builders.syntax import require_known_syntax
from bakehouse.dockerfile.lint import LintWarning
from bakehouse.dockerfile.lowering import Lowered, LowerRequest, MetaResolver, lower
from bakehouse.engine.attest.model import ImageMaterial
from bakehouse.engine.attest.options import SbomOptions
from bakehouse.engine.attest.scanning import Scanner
from bakehouse.errors import BakehouseError
from bakehouse.llb.ops import Edge
from bakehouse.oci.image import ImageConfig
from bakehouse.oci.platform import Platform
from bakehouse.progress.events import Reporter, WarningEvent
from bakehouse.values import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """A lowered target. `local_dirs` maps `SESSION:NAME` of its local sources to directories.

    The rest is what provenance tells of how it came about: the `request`, the `images` that were looked up for it,
    where the Dockerfile lay, if in a directory of this machine (`dockerfile_dir`), whether it came apart from the
    context (`named_dockerfile`), and which of its inputs are results of which other targets (`linked_inputs`). `scans`
    are the trees of what scanners write, one a platform, when SBOMs are asked for.
    """

    target: Target
    lowered: Lowered
    local_dirs: Mapping[str, Path] = field(default_factory=dict)
    oci_layouts: Mapping[str, Path] = field(default_factory=dict)
    request: LowerRequest = LowerRequest(b"")
    images: tuple[ImageMaterial, ...] = ()
    dockerfile_dir: Path | None = None
    named_dockerfile: bool = False
    linked_inputs: Mapping[str, str] = field(default_factory=dict)
    scans: tuple[Edge, ...] = ()


@dataclass(slots=True)
class PreparedTarget:
    """A target read, but not lowered: its named contexts, and its main one with the Dockerfile."""

    target: Target
    named: NamedContexts
    main: MainContext
    ignore_file_shown: bool = False

    @property
    def request(self) -> LowerRequest:
        return self.main.request


class Planner:
    """Lowers targets of one build. Each target is lowered once, however many others link to it."""

    def __init__(
        self,
        targets: Mapping[str, Target],
        directories: BuildDirectories,
        resolver: MetaResolver,
        reporter: Reporter,
        build_platforms: Sequence[Platform],
        check_cancelled: Callable[[], None] = lambda: None,
        oci_layouts: dict[str, Path] | None = None,
        fetcher: Fetcher | None = None,
        known_hosts: Callable[[str], str] | None = None,
        asked: Collection[str] = (),
        policy_of: Callable[[Target], TargetPolicy] = lambda target: TargetPolicy(),
    ) -> None:
        """`oci_layouts` is told of every OCI layout met, before the resolver is asked for its images; `fetcher` reads
        what of remote contexts must be known to lower; `known_hosts(host)` gives the keys of an SSH server. Of the
        targets `asked` about no warnings are shown: they belong to the answers. `policy_of` says what a target's
        sources are held against; graphs come out as they were before that, since others may build on them."""
        self._targets = targets
        self._oci_layouts = {} if oci_layouts is None else oci_layouts
        self._directories = directories
        self._resolver = resolver
        self.policy_of = policy_of
        self._reporter = reporter
        self._build_platforms = tuple(build_platforms)
        self._check_cancelled = check_cancelled
        self._known_hosts = known_hosts
        self._fetcher = fetcher
        self._contexts = MainContexts(directories, reporter, fetcher, policy_of, several=len(targets) > 1)
        self._planned: dict[str, PlannedTarget] = {}
        self._prepared: dict[str, PreparedTarget] = {}
        self._asked = asked

    def plan(self, names: Iterable[str] | None = None) -> dict[str, PlannedTarget]:
        """The targets of these names (None: all), lowered, in the order given. The first error names its target when
        there are several."""
        wanted = list(self._targets if names is None else names)
        for name in wanted:
            self._plan(name)
        return {name: self._planned[name] for name in wanted}

    def prepare(self, name: str) -> PreparedTarget:
        """A target read, but not lowered; those that it links to are, since their images decide what its Dockerfile
        means."""
        self._check_cancelled()
        target = self._targets[name]
        self._plan_links(target)
        with self.naming(name):
            return self._prepare(target)

    def resolver(self, target: Target) -> MetaResolver:
        """Looks up images for `target`, as its policies have it."""
        return self.policy_of(target).resolver(self._resolver)

    @contextmanager
    def naming(self, name: str) -> Iterator[None]:
        """Says of an error whose it is, when there are several targets."""
        try:
            yield
        except BakehouseError as error:
            if error.target is None and len(self._targets) > 1:
                error.target = name
            raise

    def show_ignore_file(self, prepared: PreparedTarget) -> None:
        """Shows the ignore file as a vertex of its own, once, behind what lowering looked up, as BuildKit does."""
        if not prepared.ignore_file_shown:
            prepared.ignore_file_shown = True
            self._contexts.show_ignore_file(prepared.target, prepared.main)

    def warn(self, prepared: PreparedTarget, warnings: Iterable[LintWarning]) -> None:
        """Shows warnings on the vertex by which the Dockerfile was read."""
        main = prepared.main
        for warning in warnings:
            where = warning.location
            self._reporter.emit(
                WarningEvent(
                    main.warnings_at,
                    warning.short,
                    (warning.description,),
                    warning.url,
                    filename=main.text.name,
                    source=main.text.data,
                    first_line=where.first if where else 0,
                    last_line=where.last if where else 0,
                )
            )

    def _plan_links(self, target: Target) -> None:
        for link in links_of(target):
            self._plan(link)

    def _plan(self, name: str) -> PlannedTarget:
        planned = self._planned.get(name)
        if planned is None:
            self._check_cancelled()
            target = self._targets[name]
            self._plan_links(target)
            with self.naming(name):
                planned = self._lower(target)
            self._planned[name] = planned
        return planned

    def _prepare(self, target: Target) -> PreparedTarget:
        prepared = self._prepared.get(target.name)
        if prepared is None:
            prepared = self._prepared[target.name] = self._read(target)
        return prepared

    def _read(self, target: Target) -> PreparedTarget:
        linked = {name: self._linked(name) for name in links_of(target)}
        named = NamedContexts.of(target, self._directories.cwd, linked, self._directories.tree)
        self._oci_layouts |= named.oci_layouts
        request = frontend_request(target, self._build_platforms, self._directories.cgroup_parent)
        request = replace(
            named.applied_to(request),
            known_hosts=self._known_hosts,
            source_times=self.policy_of(target).source_times(
                None if self._fetcher is None else SourceTimes(self._fetcher, target)
            ),
        )
        main = self._contexts.of(target, request)
        require_known_syntax(main.text, target.args or {})
        return PreparedTarget(target, named, main)

    def _lower(self, target: Target) -> PlannedTarget:
        prepared = self._prepare(target)
        named, main = prepared.named, prepared.main
        looked_up = RecordingResolver(self.resolver(target))
        findings: list[LintWarning] = []
        try:
            with solving():
                lowered = lower(main.request, looked_up, findings)
            self.show_ignore_file(prepared)
        finally:
            # What was found before an error is often what led to it.
            if target.name not in self._asked:
                self.warn(prepared, findings)
        return PlannedTarget(
            target,
            lowered,
            named.local_dirs | main.local_dirs,
            named.oci_layouts,
            main.request,
            looked_up.found(),
            main.dockerfile_dir,
            main.named_dockerfile,
            named.linked,
        )

    def scanned(self, planned: PlannedTarget, options: SbomOptions | None) -> PlannedTarget:
        """`planned` with the scans of its results that `options` ask for. Raises what a look-up of the scanner's image
        raises, and `DefinitionError` (code `invalid-attestation`) for one that has nothing to run."""
        if options is None:
            return planned
        target, request = planned.target, planned.request
        looked_up = RecordingResolver(self.resolver(target))
        with self.naming(target.name), solving():
            platform = self._build_platforms[0]
            _, _, raw = looked_up.resolve_image_config(
                options.generator, platform, request.image_resolve_mode
            )
            config = ImageConfig.parse(raw).value
            scanner = Scanner(options.generator, config, platform, options.parameters)
            scans = tuple(
                scanner.scan(item.id, item.edge, item.scan_targets, ignore_cache=item.ignore_cache)
                for item in planned.lowered.platforms
            )
        images = dict.fromkeys([*planned.images, *looked_up.found()])
        return replace(planned, scans=scans, images=tuple(images))

    def _linked(self, name: str) -> LinkedTarget:
        planned = self._planned[name]
        return LinkedTarget(planned.lowered, planned.local_dirs, planned.oci_layouts)
