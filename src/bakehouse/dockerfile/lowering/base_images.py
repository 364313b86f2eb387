"""FROM: what a stage starts from (dockerfile.md §6.3): images, named contexts, scratch.

Look-ups that need the network run in parallel; what follows from them is done in order, so results and warnings do
not depend on who answers first.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from bakehouse.dockerfile.lowering import checks
from bakehouse.dockerfile.lowering.contexts import LoadedContext, NamedContext, find_named_context
from bakehouse.dockerfile.lowering.conversion import COMMAND_KEY, Conversion
from bakehouse.dockerfile.lowering.image import Image, empty_image, parse_image
from bakehouse.dockerfile.lowering.request import MetaResolver
from bakehouse.dockerfile.lowering.stages import SCRATCH, StageState
from bakehouse.dockerfile.lowering.step_names import step_name
from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.dockerfile.suggestions import did_you_mean
from bakehouse.errors import BakehouseError, DefinitionError
from bakehouse.go.text import quote
from bakehouse.llb import state
from bakehouse.llb.env import EnvList
from bakehouse.llb.platforms import to_llb
from bakehouse.oci.digest import Digest
from bakehouse.oci.platform import Platform
from bakehouse.oci.reference import Reference
from bakehouse.values import dataclass

_MAX_PARALLEL_LOOKUPS = 8
_COMMON_REPOSITORIES = ("alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora")


@dataclass(frozen=True, slots=True)
class _ResolvedImage:
    reference: str
    image: Image


_Found = LoadedContext | _ResolvedImage


@dataclass(slots=True, eq=False)
class _Lookup:
    """One base to find. `original` is the name as the stage gives it; `found` None: it was not needed."""

    stage: StageState
    original: str
    platform: Platform
    named: NamedContext | None
    found: _Found | None = None


def resolve_bases(conversion: Conversion, reachable: set[StageState], resolver: MetaResolver) -> None:
    """Gives every stage that does not start from another stage its tree and config. Images are looked up only for
    reachable stages, though the references of others are checked too.

    Idempotent; called again when ONBUILD triggers have made more stages reachable. Raises `DockerfileError`, and what
    the resolver raises.
    """
    lookups = []
    wrong: list[DockerfileError] = []
    last: DockerfileError | None = None
    for stage in conversion.table.states:
        if stage.base is not None or stage.dispatched or stage.resolved:
            continue
        wanted = stage in reachable or conversion.request.all_stages
        stage.resolved = wanted
        if stage.base_name == SCRATCH and stage.named_context is None:
            _start_from_scratch(conversion, stage)
            continue
        try:
            lookups.append((_prepare(conversion, stage, wanted), wanted))
            last = None
        except DockerfileError as error:
            wrong.append(error)
            last = error
    if wrong:
        # BuildKit looks at all of them at once, and comes to the one that it began with last before the others.
        raise last or wrong[0]
    _run([lookup for lookup, wanted in lookups if wanted], conversion, resolver)
    for lookup, _ in lookups:
        _apply(conversion, lookup)


def _start_from_scratch(conversion: Conversion, stage: StageState) -> None:
    target = conversion.platforms.target
    stage.state = state.scratch()
    stage.image = empty_image(target)
    stage.platform = target
    if stage.unregistered:
        stage.dispatched = True


def _prepare(conversion: Conversion, stage: StageState, wanted: bool) -> _Lookup:
    """Normalises the base's name and finds the named context that stands for it, if any."""
    original = stage.base_name
    try:
        reference = Reference.parse(original)
    except DefinitionError as error:
        message = f"failed to parse stage name {quote(original)}: {error.message}"
        raise DockerfileError(message, location=stage.location, code=error.code) from None
    platform = stage.platform or conversion.platforms.target
    stage.base_name = str(reference)
    named = stage.named_context
    if named is None and wanted:
        named = find_named_context(
            conversion.request,
            stage.base_name,
            platform,
            conversion.platforms.build,
            lambda: stage.paths,
        )
    if named is not None:
        conversion.used_contexts.add(named.key)
    return _Lookup(stage, original, platform, named)


def _run(lookups: Sequence[_Lookup], conversion: Conversion, resolver: MetaResolver) -> None:
    # Stages with the same base ask one after another: from the second on the answer is known.
    groups: dict[tuple[object, ...], list[Callable[[], None]]] = {}
    for lookup in lookups:
        context = None if lookup.named is None else lookup.named.key
        key = (lookup.stage.base_name, lookup.platform, context)
        groups.setdefault(key, []).append(_task(conversion, lookup, resolver))
    tasks = [_one_after_another(group) for group in groups.values()]
    if len(tasks) == 1:
        tasks[0]()
    elif tasks:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(len(tasks), _MAX_PARALLEL_LOOKUPS), "resolve-image") as pool:
            futures = [pool.submit(task) for task in tasks]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _one_after_another(tasks: Sequence[Callable[[], None]]) -> Callable[[], None]:
    def run() -> None:
        for task in tasks:
            task()

    return run


def _task(conversion: Conversion, lookup: _Lookup, resolver: MetaResolver) -> Callable[[], None]:
    def run() -> None:
        try:
            if lookup.named is not None:
                lookup.found = lookup.named.load(resolver)
            else:
                lookup.found = _look_up_image(conversion, lookup, resolver)
        except DockerfileError as error:
            if lookup.stage.location is None:
                raise
            raise error.at(lookup.stage.location) from None
        except BakehouseError as error:
            _point_at(conversion, lookup, error)
            raise

    return run


def _look_up_image(conversion: Conversion, lookup: _Lookup, resolver: MetaResolver) -> _ResolvedImage:
    name = lookup.stage.base_name
    prefix = "[internal]"
    if conversion.request.multi_platform:
        prefix = f"[{lookup.platform.format_all()} internal]"
    try:
        ref, digest, config = resolver.resolve_image_config(
            name,
            lookup.platform,
            conversion.request.image_resolve_mode,
            log_name=f"{prefix} load metadata for {name}",
        )
    except BakehouseError as error:
        options = conversion.table.names() + _common_names()
        # A copy: stages that ask for the same image share the error.
        placed = copy.copy(error)
        placed.message = did_you_mean(f"{lookup.original}: {error.message}", lookup.original, options)
        placed.args = (placed.message,)
        raise placed from error.__cause__
    reference = Reference.parse(ref)
    if digest:
        reference = reference.with_digest(Digest(digest))
    return _ResolvedImage(str(reference), parse_image(config))


def _point_at(conversion: Conversion, lookup: _Lookup, error: BakehouseError) -> None:
    """Adds the FROM lines to an error that came from a registry or a layout."""
    from bakehouse.diagnostics import render_excerpt

    location = lookup.stage.location
    if location is not None and error.excerpt is None:
        file = conversion.file
        error.excerpt = render_excerpt(file.filename, file.text, location.first, location.last)
        error.source_lines = tuple(location)


def _apply(conversion: Conversion, lookup: _Lookup) -> None:
    stage, found = lookup.stage, lookup.found
    if isinstance(found, LoadedContext):
        if stage.named_context is not None:
            _replace_stage(stage, found)
        else:
            _start_from_context(stage, found, lookup.platform)
    else:
        _start_from_image(conversion, lookup, found)
    if stage.unregistered:
        stage.dispatched = True


def _replace_stage(stage: StageState, found: LoadedContext) -> None:
    """A context with the name of a stage stands for the whole stage."""
    stage.dispatched = True
    stage.state = found.state
    if found.image is not None:
        found.image.created = None
        stage.image = found.image
        if found.image.platform.architecture and found.image.platform.os:
            stage.platform = found.image.platform


def _start_from_context(stage: StageState, found: LoadedContext, platform: Platform) -> None:
    image = found.image or empty_image(platform)
    stage.base_image = image.copy()
    image.created = None
    stage.image = image
    stage.state = found.state.with_platform(to_llb(platform))
    stage.platform = platform


def _start_from_image(conversion: Conversion, lookup: _Lookup, found: _ResolvedImage | None) -> None:
    """`found` None: nobody reads the stage, so its image was not looked up."""
    stage, platform = lookup.stage, lookup.platform
    is_empty = False
    if found is not None:
        image = found.image
        stage.base_image = image.copy()
        image.created = None
        if stage.platform is None and conversion.platforms.implicit:
            platform = _detected_platform(image, platform, conversion.platforms.build_platforms)
        stage.base_name = found.reference
        # Old images state no diff IDs, so their history decides.
        is_empty = not image.diff_ids and all(entry.empty_layer for entry in image.history)
        stage.image = image
    stage.platform = platform
    if is_empty:
        stage.state = state.scratch()
        return
    name = step_name(stage, "FROM " + stage.base_name, conversion.shown_platform(platform), EnvList())
    source_code = "" if stage.stage is None else stage.stage.source_code
    constraints = conversion.located(stage.location).described(COMMAND_KEY, source_code).named(name)
    stage.state = state.image(
        stage.base_name,
        platform=to_llb(platform),
        resolve_mode=conversion.request.image_resolve_mode,
        constraints=constraints,
    )
    if found is not None:
        checks.base_image_platform(
            conversion.linter, stage.location, lookup.original, platform, found.image.platform
        )


def _detected_platform(image: Image, target: Platform, supported: Sequence[Platform]) -> Platform:
    """Without a platform asked for, that of the image if the builder runs it."""
    wanted = (image.platform.os, image.platform.architecture)
    if (target.os, target.architecture) == wanted:
        return target
    return next((each for each in supported if (each.os, each.architecture) == wanted), target)


def _common_names() -> list[str]:
    # The missing slash is BuildKit's.
    return [
        prefix + name + tag
        for name in _COMMON_REPOSITORIES
        for tag in ("", ":latest")
        for prefix in ("", "docker.io/library")
    ]
