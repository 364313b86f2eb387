"""The entry point: one lowering a target platform, from parsed stages to a sealed graph and an image config.

The order of work is BuildKit's, since step numbers, warnings and errors depend on it: global arguments, stages, the
target, dependencies between stages, base images (with ONBUILD triggers, which may bring more), then the instructions
of every stage that the target needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bakehouse.dockerfile import instructions as typed
from bakehouse.dockerfile.document import Dockerfile, parse_dockerfile
from bakehouse.dockerfile.instructions import Command, Stage
from bakehouse.dockerfile.lint import Linter, LintWarning, make_linter
from bakehouse.dockerfile.lowering import checks, metadata_commands
from bakehouse.dockerfile.lowering.arg_command import lower_arg
from bakehouse.dockerfile.lowering.base_images import resolve_bases
from bakehouse.dockerfile.lowering.contexts import (
    dockerfile_source,
    find_named_context,
    local_context,
    remote_context,
)
from bakehouse.dockerfile.lowering.conversion import (
    Conversion,
    PlatformChoice,
    deferred_state,
    proxy_from,
)
from bakehouse.dockerfile.lowering.copy_command import lower_add, lower_copy
from bakehouse.dockerfile.lowering.dependencies import add_triggers, connect_stages
from bakehouse.dockerfile.lowering.epoch import EpochResolver
from bakehouse.dockerfile.lowering.expose_command import lower_expose
from bakehouse.dockerfile.lowering.lookups import CachingResolver
from bakehouse.dockerfile.lowering.outline import StageOutline
from bakehouse.dockerfile.lowering.paths import DEFAULT_PATH, WINDOWS
from bakehouse.dockerfile.lowering.request import (
    Lowered,
    LoweredPlatform,
    LowerRequest,
    MetaResolver,
)
from bakehouse.dockerfile.lowering.run_command import lower_run
from bakehouse.dockerfile.lowering.stages import (
    SCRATCH,
    StageCommand,
    StageState,
    StageTable,
    reachable_from,
)
from bakehouse.dockerfile.lowering.workdir_command import lower_workdir, set_directory
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.dockerfile.suggestions import did_you_mean
from bakehouse.dockerfile.words import ShellLexer, WordError, WordResult
from bakehouse.errors import DefinitionError
from bakehouse.go.text import quote
from bakehouse.go.values import FALSE, TRUE
from bakehouse.llb.draft import Output, SealDefaults
from bakehouse.llb.env import EnvList, split_entry
from bakehouse.llb.ops import Edge
from bakehouse.llb.platforms import to_llb
from bakehouse.llb.state import State
from bakehouse.oci.platform import Platform
from bakehouse.values import replace

_SCAN_CONTEXT, _SCAN_STAGE = checks.NON_ENV_ARGS

_Handler = Callable[[Conversion, StageState, Any, Linter], None]
_SIMPLE: dict[type[Command], _Handler] = {
    typed.ArgCommand: lower_arg,
    typed.AddCommand: lower_add,
    typed.CmdCommand: metadata_commands.lower_cmd,
    typed.EntrypointCommand: metadata_commands.lower_entrypoint,
    typed.EnvCommand: metadata_commands.lower_env,
    typed.ExposeCommand: lower_expose,
    typed.HealthCheckCommand: metadata_commands.lower_healthcheck,
    typed.LabelCommand: metadata_commands.lower_label,
    typed.MaintainerCommand: metadata_commands.lower_maintainer,
    typed.OnbuildCommand: metadata_commands.lower_onbuild,
    typed.ShellCommand: metadata_commands.lower_shell,
    typed.StopSignalCommand: metadata_commands.lower_stop_signal,
    typed.UserCommand: metadata_commands.lower_user,
    typed.VolumeCommand: metadata_commands.lower_volume,
    typed.WorkdirCommand: lower_workdir,
}


def lower(
    request: LowerRequest, resolver: MetaResolver, findings: list[LintWarning] | None = None
) -> Lowered:
    """The graphs and image configs of `request`, one a platform, equal to those of BuildKit's frontend.

    What the build checks find is added to `findings` as well, and is there also when the lowering fails. Raises
    `DiagnosticsError` with the message and the lines that BuildKit would show, and what `resolver` raises, with the
    lines of the FROM added.
    """
    file = parse(request, findings)
    resolver = CachingResolver(resolver)
    used: set[str] = set()
    out: list[LoweredPlatform] = []
    for number, platform in enumerate(request.platforms or (None,)):
        linter = file.linter if number == 0 else Linter(file.linter.config, enabled=False)
        lowered, _, contexts = _lower_platform(request, resolver, file, linter, platform)
        out.append(lowered)
        used |= contexts
    return Lowered(
        tuple(out),
        tuple(file.warnings),
        frozenset(used),
        (dockerfile_source(request),),
        request.multi_platform,
    )


def evaluate(
    request: LowerRequest, resolver: MetaResolver, file: Dockerfile
) -> tuple[LoweredPlatform, StageState]:
    """The lowering for the builder's own platform whatever others were asked for, as BuildKit's frontend does to answer
    questions about a Dockerfile, and the target stage. Findings go to the file's linter, also when it fails. Raises
    what `lower` does."""
    return _lower_platform(request, CachingResolver(resolver), file, file.linter, None)[:2]


def parse(request: LowerRequest, findings: list[LintWarning] | None = None) -> Dockerfile:
    """The Dockerfile of `request`, with the linter that its options or its own directive ask for, which adds what it
    finds to `findings`. Raises `DiagnosticsError`."""
    text = request.dockerfile.decode("utf-8", "surrogateescape")
    linter = make_linter(text, request.lint_control)
    if findings is not None:
        linter = replace(linter, warnings=findings)
    return parse_dockerfile(request.dockerfile, request.filename, linter)


def _lower_platform(
    request: LowerRequest,
    resolver: MetaResolver,
    file: Dockerfile,
    linter: Linter,
    platform: Platform | None,
) -> tuple[LoweredPlatform, StageState, set[str]]:
    """The lowering for `platform` (None: the builder's own, implicitly), the target stage, and the named contexts that
    were used."""
    try:
        work = _PlatformLowering(request, resolver, file, linter, platform)
        lowered, target = work.run()
        return lowered, target, work.conversion.used_contexts
    except DockerfileError as error:
        raise file.error(error) from error.__cause__


class _PlatformLowering:
    """One platform, step by step. Every method may raise `DockerfileError`."""

    def __init__(
        self,
        request: LowerRequest,
        resolver: MetaResolver,
        file: Dockerfile,
        linter: Linter,
        platform: Platform | None,
    ) -> None:
        self._request = request
        self._resolver = resolver
        self._file = file
        self._context_output: list[Output] = []
        platforms = _choose_platforms(request, platform)
        lexer = ShellLexer(file.escape_token)
        build_args = dict(request.build_args)
        default_args = _default_args(platforms, build_args, request.target or file.stages[-1].name)
        checks.base_images_with_defaults(linter, file.stages, lexer, default_args, file.meta_args)
        global_args, declared = checks.global_arguments(default_args, lexer, file.meta_args, build_args)
        epochs = EpochResolver(request, resolver, platforms, lexer, file.stages)
        epoch_s, global_args = epochs.resolve(build_args, global_args)
        remote = remote_context(request)
        self._remote_context = remote
        self.conversion = Conversion(
            request,
            file,
            linter,
            lexer,
            platforms,
            build_args,
            global_args,
            declared,
            deferred_state(self._context_output),
            ignored=checks.IgnoredSources(request.dockerignore) if remote is None else None,
            epoch_s=epoch_s,
            proxy=proxy_from(build_args),
        )

    @property
    def _table(self) -> StageTable:
        return self.conversion.table

    def run(self) -> tuple[LoweredPlatform, StageState]:
        for index, stage in enumerate(self._file.stages):
            self._add_stage(index, stage)
        target = self._target()
        connect_stages(self.conversion)
        reachable = self._resolve(target)
        context_paths = self._dispatch(reachable)
        # Whoever reads the result reads all of it.
        target.paths.add("/")
        return self._finish(target, context_paths), target

    def _add_stage(self, index: int, stage: Stage) -> None:
        """Expands a FROM and enters the stage into the table."""
        conversion, linter = self.conversion, self.conversion.linter.with_comments(stage.comments)
        try:
            base = self._expand_in_from(linter, stage, stage.base_name)
            used = set(base.matched)
            if not base.text:
                raise DockerfileError(
                    f"base name ({stage.base_name}) should not be blank",
                    code="blank-base-name",
                    hint="Give the argument a default with ARG before the first FROM.",
                )
            state = StageState(base.text, stage.location, stage, stage.name)
            state.outline = StageOutline(dict(conversion.declared_args))
            if stage.platform:
                state.platform, names = self._stage_platform(linter, stage)
                used |= names
            if stage.name:
                state.named_context = find_named_context(
                    self._request,
                    stage.name,
                    state.platform or self._explicit_platform,
                    conversion.platforms.build,
                    lambda: state.paths,
                )
        except DockerfileError as error:
            raise error.at(stage.location) from None
        self._table.add(state)
        if state.named_context is not None:
            state.base = None
            return
        state.outline.use(sorted(used))
        if not stage.name:
            state.name = f"stage-{index}"
        state.command_total = _count_steps(state)
        state.ignore_cache = self._ignores_cache(stage.name)

    @property
    def _explicit_platform(self) -> Platform | None:
        """The target platform, when somebody asked for one."""
        platforms = self.conversion.platforms
        return None if platforms.implicit else platforms.target

    def _expand_in_from(self, linter: Linter, stage: Stage, word: str) -> WordResult:
        """A word of a FROM with global arguments put in; names that nothing declares are reported."""
        conversion = self.conversion
        known = (*conversion.declared_args, *conversion.global_args)
        try:
            expanded = conversion.lexer.process_word(word, conversion.global_args)
        except WordError as error:
            checks.unknown_from_args(linter, stage.location, known, error.unmatched)
            raise
        checks.unknown_from_args(linter, stage.location, known, expanded.unmatched)
        return expanded

    def _stage_platform(self, linter: Linter, stage: Stage) -> tuple[Platform, set[str]]:
        """The platform of a FROM, and the global arguments that it is made of."""
        conversion = self.conversion
        try:
            expanded = self._expand_in_from(linter, stage, stage.platform)
        except DockerfileError as error:
            raise error.at(stage.location, prefix="failed to process arguments for platform : ") from None
        checks.platform_flag(linter, stage, expanded, conversion.global_args)
        if not expanded.text:
            message = f"empty platform value from expression {stage.platform}"
            raise DockerfileError(self._with_suggestion(message, expanded), code="invalid-platform")
        try:
            return Platform.parse_exact(expanded.text), expanded.matched
        except DefinitionError as error:
            message = self._with_suggestion(error.message, expanded)
            raise DockerfileError(
                f"failed to parse platform {stage.platform}: {message}", code="invalid-platform"
            ) from None

    def _with_suggestion(self, message: str, expanded: WordResult) -> str:
        for name in sorted(expanded.unmatched):
            suggested = did_you_mean(message, name, self.conversion.global_args.keys())
            if suggested != message:
                return suggested
        return message

    def _ignores_cache(self, stage_name: str) -> bool:
        names = self._request.no_cache
        if not names:
            return names is not None
        return any(name.casefold() == stage_name.casefold() for name in names)

    def _target(self) -> StageState:
        wanted = self._request.target
        if not wanted:
            return self._table.states[-1]
        found = self._table.named(wanted)
        if found is None:
            message = f"target stage {quote(wanted)} could not be found"
            named = [
                each.stage.name for each in self._table.states if each.stage is not None and each.stage.name
            ]
            raise DockerfileError(
                did_you_mean(message, wanted, self._table.names()),
                code="target-not-found",
                hint=f"The stages are {', '.join(named)}." if named else "Name the stage: FROM … AS name.",
            )
        return found

    def _resolve(self, target: StageState) -> set[StageState]:
        """Base images, and the ONBUILD triggers that they carry, until nothing new comes in."""
        while True:
            reachable = reachable_from(target)
            resolve_bases(self.conversion, reachable, self._resolver)
            more = False
            for stage in [each for each in self._table.states if each in reachable]:
                stage.inherit()
                triggers = stage.pending_triggers()
                if triggers:
                    more |= add_triggers(self.conversion, stage, triggers)
                    stage.image.on_build = []
            if not more:
                return reachable

    def _dispatch(self, reachable: set[StageState]) -> set[str]:
        """Lowers the instructions of the stages that are needed; gives the paths they read of the main context."""
        if self._remote_context is None and self._request.dockerignore:
            from bakehouse.dockerfile.patterns import check_patterns

            check_patterns(self._request.dockerignore)
        paths: set[str] = set()
        for stage in self._table.states:
            if not self._request.all_stages and (stage not in reachable or stage.dispatched):
                continue
            stage.inherit()
            stage.dispatched = True
            self._begin_stage(stage)
            for step in stage.commands:
                try:
                    self._lower_step(stage, step)
                except DockerfileError as error:
                    raise error.at(step.command.location) from None
            paths |= stage.context_paths
            self._note_scans(stage)
        return paths

    def _begin_stage(self, stage: StageState) -> None:
        """Settings that the base's config makes for the steps."""
        if stage.platform is None:
            stage.platform = self.conversion.platforms.target
        if not stage.image.has_env("PATH") and stage.platform.os != WINDOWS:
            stage.image.env.append(f"PATH={DEFAULT_PATH}")
        for entry in stage.image.env:
            stage.state = stage.state.with_env(*split_entry(entry))
        if self._request.hostname:
            stage.state = stage.state.with_hostname(self._request.hostname)
        location = stage.location or LineRange(0, 0)
        try:
            if stage.image.working_dir:
                set_directory(stage, stage.image.working_dir)
        except DockerfileError as error:
            raise error.at(location) from None
        if stage.image.user:
            metadata_commands.set_user(stage, stage.image.user)
        stage.state = stage.state.with_network(self._request.network)

    def _lower_step(self, stage: StageState, step: StageCommand) -> None:
        conversion = self.conversion
        command: Any = step.command
        linter = conversion.linter.with_comments(command.comments)
        stage.in_onbuild = step.is_onbuild
        if hasattr(command, "expand") and not isinstance(command, typed.ArgCommand):
            command = command.expand(conversion.expander(stage, command, linter))
        if hasattr(command, "expand_raw"):
            command = command.expand_raw(conversion.expander(stage, command, linter, raw=True))
        if isinstance(command, typed.RunCommand):
            lower_run(conversion, stage, command, step.sources)
        elif isinstance(command, typed.CopyCommand):
            lower_copy(conversion, stage, command, step.sources, linter)
        else:
            _SIMPLE[type(command)](conversion, stage, command, linter)

    def _note_scans(self, stage: StageState) -> None:
        """What the stage's arguments say about SBOM scans."""
        for name in checks.NON_ENV_ARGS:
            value = self.conversion.global_args.get(name)
            for argument in stage.build_args:
                if argument.key == name and argument.value is not None:
                    value = argument.value
            if value is not None and _enabled_for(stage.name, value):
                if name == _SCAN_CONTEXT:
                    stage.scan_context = True
                else:
                    stage.scan_stage = True

    def _finish(self, target: StageState, context_paths: set[str]) -> LoweredPlatform:
        """Labels of the options, the context's source, the sealed graph and the final platform."""
        conversion, request = self.conversion, self._request
        target.image.labels.update(request.labels)
        conversion.linter.check()
        context = self._remote_context or local_context(request, context_paths)
        if context.output is None:
            raise DockerfileError("the build context is empty", code="invalid-context")
        self._context_output.append(context.output)
        platforms = conversion.platforms
        defaults = SealDefaults(to_llb(platforms.target), request.local_unique_id, request.ignored_caps)
        if not platforms.implicit:
            target.image.platform = _asked_platform(target.image.platform, platforms.target)
        target.image.platform = target.image.platform.normalized()
        reachable = reachable_from(target)
        scanned = [
            stage
            for stage in self._table.states
            if stage in reachable and stage is not target and stage.scan_stage
        ]
        trees = {stage.name: stage.state.seal(defaults) for stage in scanned}
        if target.scan_context:
            trees["context"] = conversion.context.seal(defaults)
        exported = (platforms.build if platforms.implicit else platforms.target).normalized()
        return LoweredPlatform(
            exported.format_all(),
            _windows_version(exported, target.image.platform),
            _sealed(target.state, defaults),
            target.image.encode(),
            None if target.base_image is None else target.base_image.encode(),
            conversion.epoch_s,
            target.ignore_cache or any(stage.ignore_cache for stage in scanned),
            trees,
        )


def _sealed(tree: State, defaults: SealDefaults) -> Edge | None:
    """The finished graph. Raises `DockerfileError` where a name or value in it is not text."""
    try:
        return tree.seal(defaults)
    except DefinitionError as error:
        raise DockerfileError(
            f"failed to marshal LLB definition: {error.message}", code=error.code, hint=error.hint
        ) from None


def _choose_platforms(request: LowerRequest, target: Platform | None) -> PlatformChoice:
    build = request.build_platforms or ((target,) if target is not None else (Platform.local(),))
    if target is None:
        return PlatformChoice(build[0], build, True)
    return PlatformChoice(target, build, False)


def _default_args(platforms: PlatformChoice, build_args: Mapping[str, str], target: str) -> EnvList:
    """The platform arguments of the global scope (dockerfile.md §5.3)."""
    build, wanted = platforms.build, platforms.target
    values = (
        ("BUILDPLATFORM", str(build)),
        ("BUILDOS", build.os),
        ("BUILDOSVERSION", build.os_version),
        ("BUILDARCH", build.architecture),
        ("BUILDVARIANT", build.variant),
        ("TARGETPLATFORM", wanted.format_all()),
        ("TARGETOS", wanted.os),
        ("TARGETOSVERSION", wanted.os_version),
        ("TARGETARCH", wanted.architecture),
        ("TARGETVARIANT", wanted.variant),
        ("TARGETSTAGE", target or "default"),
    )
    return EnvList((key, build_args.get(key, value)) for key, value in values)


def _count_steps(stage: StageState) -> int:
    assert stage.stage is not None
    counted = (typed.AddCommand, typed.CopyCommand, typed.RunCommand, typed.WorkdirCommand)
    steps = sum(isinstance(command, counted) for command in stage.stage.commands)
    return steps + (stage.base_name != SCRATCH and stage.base is None)


def _asked_platform(image: Platform, target: Platform) -> Platform:
    """The image's platform when a platform was asked for: variant and version of the base stay where the target says
    nothing and is of the same kind."""
    same = (image.os, image.architecture) == (target.os, target.architecture)
    return Platform(
        target.os,
        target.architecture,
        target.variant if target.variant or not same else image.variant,
        target.os_version if target.os_version or not same else image.os_version,
        target.os_features or image.os_features,
    )


def _windows_version(platform: Platform, image: Platform) -> Platform:
    """A Windows platform with what the image says of the OS, where the platform says nothing."""
    if (platform.os, image.os) != (WINDOWS, WINDOWS):
        return platform
    return replace(
        platform,
        os_version=platform.os_version or image.os_version,
        os_features=platform.os_features or image.os_features,
    ).normalized()


def _enabled_for(stage_name: str, value: str) -> bool:
    if value in TRUE or value in FALSE:
        return value in TRUE
    return stage_name in value.split(",")
