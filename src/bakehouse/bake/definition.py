"""The room's front: definition files in, resolved targets out (reference bake.md §4).

load      files → syntax → declarations → evaluation          (`Definition`)
resolve   selection → overrides, inheritance → links → checks  (`Resolved`)
"""

from __future__ import annotations

from bakehouse.bake.checks import Surroundings, check_targets
from bakehouse.bake.contexts import rebase_targets
from bakehouse.bake.declarations import Declarations, collect, parse_files
from bakehouse.bake.entries import PolicyEntry
from bakehouse.bake.evaluator import Evaluator
from bakehouse.bake.files import (
    environment_lookup_allowed,
    names_from_environment,
    read_definitions,
    relative_paths_wanted,
)
from bakehouse.bake.overrides import parse_overrides
from bakehouse.bake.remote import LOCAL_PREFIX
from bakehouse.bake.resolution import Resolver, add_linked_targets, merge_block
from bakehouse.bake.selection import printed_groups, select
from bakehouse.bake.target import Granted, Group, Resolved, Target
from bakehouse.bake.variable_values import listed_value
from bakehouse.errors import DefinitionError
from bakehouse.hcl import stdlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bakehouse.bake.compose import ComposeDefinition, ComposeLoader
    from bakehouse.bake.listing import ListedVariable
    from bakehouse.bake.recorder import Recorder
    from bakehouse.bake.remote import RemoteTree

_SOURCE_DATE_EPOCH = "SOURCE_DATE_EPOCH"


class LoadOptions:
    """What the command line lends: `files` as given with `-f` (none: `BUILDX_BAKE_FILE`, else default lookup), `cwd`
    and `environ` of the process, a reader of standard input, values of `--var`, the command context of the arguments
    (`flags.split_arguments`), the fetched `tree` of the URL among them (None: the definition is local), and whether
    standard output is a terminal. `local_platform` overrides the machine's (`BAKE_LOCAL_PLATFORM`). `warn` is told of
    what is doubtful in Compose files, line by line. A `recorder` is told how values come about. `now` is the clock of
    `timestamp()`, in seconds since 1970 (None: the machine's)."""

    __slots__ = (
        "_variables",
        "command_context",
        "cwd",
        "environ",
        "files",
        "local_platform",
        "now",
        "recorder",
        "stdin",
        "stdout_is_terminal",
        "tree",
        "warn",
    )

    def __init__(
        self,
        *,
        cwd: str,
        environ: Mapping[str, str],
        files: Sequence[str] = (),
        stdin: Callable[[], bytes] | None = None,
        variables: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
        tree: RemoteTree | None = None,
        command_context: str = LOCAL_PREFIX,
        stdout_is_terminal: bool = False,
        local_platform: str | None = None,
        recorder: Recorder | None = None,
        warn: Callable[[str], None] | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.now = now
        self.recorder = recorder
        self.cwd = cwd
        self.environ = environ
        self.files = list(files)
        self.stdin = stdin
        self._variables = variables or {}
        self.tree = tree
        self.command_context = command_context
        self.stdout_is_terminal = stdout_is_terminal
        self.local_platform = local_platform
        self.warn = warn

    @property
    def variables(self) -> Mapping[str, str]:
        """The values of `--var`; they may be given as a function, which is called once the files are read."""
        if callable(self._variables):
            self._variables = self._variables()
        return self._variables


class Definition:
    """Evaluated definition files. `targets` by name in definition order, as written (no inheritance), those of Compose
    files first; `all_groups` in definition order, of which the first of a name counts; `file_names` those read of this
    machine; `compose` what Compose files say, before HCL and JSON were merged over it, None without such files.
    `only_compose`: there are no other files, and nothing can declare variables."""

    def __init__(
        self,
        options: LoadOptions,
        targets: dict[str, Target],
        groups: list[Group],
        variables: list[ListedVariable] | Callable[[], list[ListedVariable]],
        file_names: list[str],
        compose: ComposeDefinition | None = None,
        *,
        only_compose: bool = False,
    ) -> None:
        self.compose = compose
        self.only_compose = only_compose
        self.targets = targets
        self.all_groups = groups
        self.file_names = file_names
        self.groups: dict[str, Group] = {}
        for group in groups:
            self.groups.setdefault(group.name, group)
        self._options = options
        self._variables = variables

    @property
    def options(self) -> LoadOptions:
        return self._options

    def is_given(self, name: str) -> bool:
        """Whether the text that overrides a variable is `--var`'s, which the environment's comes after."""
        return name in self._options.variables

    @property
    def variables(self) -> list[ListedVariable]:
        """The declared variables with their values, in declaration order."""
        if callable(self._variables):
            self._variables = self._variables()
        return self._variables

    def resolve(
        self,
        names: Sequence[str] = ("default",),
        overrides: Sequence[str] = (),
        *,
        disable_policies: bool = False,
        check: bool = True,
    ) -> Resolved:
        """The targets and groups that `names` (targets, groups, patterns) mean, with `--set` texts applied and all
        checks of bake.md §19 made (with `check` off, none). Targets stand in the order found, linked ones last.

        Raises `NotFoundError` (an unknown name, a missing secret file), `DefinitionError`. Each call starts anew.
        """
        try:
            return self._resolve(names, overrides, disable_policies, check)
        except RecursionError:
            raise _too_deep() from None

    def _resolve(
        self, names: Sequence[str], overrides: Sequence[str], disable_policies: bool, check: bool
    ) -> Resolved:
        granted = Granted()
        recorder = self._options.recorder
        if recorder is not None:
            recorder.texts = list(overrides)
        lookup = self._options.environ.get if environment_lookup_allowed(self._options.environ) else None
        selection = select(names or ("default",), self.groups, self.targets)
        parsed = parse_overrides(overrides, list(self.targets), lookup)
        resolver = Resolver(self.targets, parsed, granted, recorder)
        targets = {name: resolver.resolve(name) for name in selection.targets}
        add_linked_targets(targets, resolver)
        for target in targets.values():
            if disable_policies:
                target.policy = [PolicyEntry(disabled=True)]
                if recorder is not None:
                    recorder.unpoliced(target)
            self._add_epoch(target)
            if recorder is not None:
                recorder.epoch(target)
        if check:
            options = self._options
            around = Surroundings(options.cwd, options.environ, options.stdout_is_terminal, options.tree)
            check_targets(targets.values(), around)
            if recorder is not None:
                recorder.checked(targets.values())
        return Resolved(printed_groups(selection, self.groups), targets, granted)

    def _add_epoch(self, target: Target) -> None:
        """`SOURCE_DATE_EPOCH` of the environment is a build argument of every target that does not set its own."""
        epoch = self._options.environ.get(_SOURCE_DATE_EPOCH, "")
        args = target.args or {}
        if epoch and _SOURCE_DATE_EPOCH not in args:
            target.args = {**args, _SOURCE_DATE_EPOCH: epoch}


def load(options: LoadOptions) -> Definition:
    """Reads and evaluates the definition files.

    Raises `NotFoundError` (no definition, a missing file), `DiagnosticsError` (what the files say is wrong: all
    findings), `DefinitionError` (options), and what reading a remote tree raises.
    """
    try:
        return _load(options)
    except RecursionError:
        raise _too_deep() from None


def _too_deep() -> DefinitionError:
    return DefinitionError(
        "the definition is nested too deeply",
        code="too-deeply-nested",
        hint="Shorten the chain of values or targets that depend on each other.",
    )


def _load(options: LoadOptions) -> Definition:
    names = options.files or names_from_environment(options.environ, options.cwd)
    files = read_definitions(names, options.cwd, options.stdin, options.tree)
    given = options.variables
    rebase = relative_paths_wanted(options.environ)
    sources: dict[str, str] = {}
    compose = _ComposeSource(options, rebase)
    parsed = parse_files(files, sources, compose.loader)
    composed = compose.loader().load(parsed.compose_files) if parsed.compose_files else None
    declarations = collect(parsed.bodies, sources)
    built_ins = {"BAKE_CMD_CONTEXT": options.command_context}
    if any(b"BAKE_LOCAL_PLATFORM" in file.data for file in files):
        built_ins["BAKE_LOCAL_PLATFORM"] = options.local_platform or _local_platform()
    recorder = options.recorder
    evaluator = Evaluator(
        declarations,
        _lookup(given, options.environ),
        built_ins,
        sources,
        track_bases=rebase,
        recorder=recorder,
        library=stdlib(home_directory=lambda: _home_directory(options.environ), now=options.now or _now),
    )
    if recorder is not None:
        recorder.evaluator, recorder.bodies = evaluator, parsed.bodies
    evaluated = evaluator.evaluate()
    targets, groups = _over_compose(composed, evaluated.targets, evaluated.groups, recorder)
    if rebase:
        rebase_targets(targets.values())
        if recorder is not None:
            recorder.rebased(targets.values())
    return Definition(
        options,
        targets,
        groups,
        lambda: _listed_variables(declarations, evaluator),
        [file.name for file in files if not file.remote],
        composed,
        only_compose=not parsed.bodies,
    )


class _ComposeSource:
    """The loader of Compose files, made when the first file may be one: it costs the YAML library."""

    def __init__(self, options: LoadOptions, relative_paths: bool) -> None:
        self._options = options
        self._relative_paths = relative_paths
        self._loader: ComposeLoader | None = None

    def loader(self) -> ComposeLoader:
        if self._loader is None:
            from bakehouse.bake.compose import ComposeLoader, ComposeOptions

            options = self._options
            allowed = environment_lookup_allowed(options.environ)
            self._loader = ComposeLoader(
                ComposeOptions(
                    cwd=options.cwd,
                    environ=options.environ if allowed else {},
                    variables=options.variables,
                    home=options.environ.get("HOME") or None,
                    relative_paths=self._relative_paths,
                    warn=options.warn,
                )
            )
        return self._loader


def _over_compose(
    composed: ComposeDefinition | None,
    targets: dict[str, Target],
    groups: list[Group],
    recorder: Recorder | None,
) -> tuple[dict[str, Target], list[Group]]:
    """Targets and groups of HCL and JSON files over those of Compose files: targets merge, groups replace."""
    if composed is None:
        return targets, groups
    out = {}
    for name, target in composed.targets.items():
        out[name] = target.copy()
        if recorder is not None:
            recorder.composed(out[name], composed.place)
    for name, target in targets.items():
        if name not in out:
            out[name] = target
            continue
        merge_block(out[name], target)
        if recorder is not None:
            recorder.own(out[name], target)
    declared = {group.name for group in groups}
    return out, [*groups, *(group for group in composed.groups if group.name not in declared)]


def _lookup(given: Mapping[str, str], environ: Mapping[str, str]) -> Callable[[str], str | None]:
    """Override texts of variables: `--var`, then the environment where that is allowed."""
    environ = environ if environment_lookup_allowed(environ) else {}
    if not given:
        return environ.get

    def lookup(name: str) -> str | None:
        return given[name] if name in given else environ.get(name)

    return lookup


def _home_directory(environ: Mapping[str, str]) -> str:
    """The home directory as Go finds it: that of the environment, else that of the user."""
    home = environ.get("HOME", "")
    if home:
        return home
    import os
    import pwd

    return pwd.getpwuid(os.getuid()).pw_dir


def _now() -> float:
    import time

    return time.time()


def _local_platform() -> str:
    """The machine's platform as buildx formats it: arm64 states its variant."""
    from bakehouse.oci.platform import Platform

    text = str(Platform.local())
    return f"{text}/v8" if text.endswith("/arm64") else text


def _listed_variables(declarations: Declarations, evaluator: Evaluator) -> list[ListedVariable]:
    from bakehouse.bake.listing import ListedVariable

    out = []
    for name, variable in declarations.variables.items():
        declared = evaluator.types.get(name)
        shown = "" if declared is None else declared.constraint_name()
        value = listed_value(evaluator.variables[name], declared)
        out.append(ListedVariable(name, shown, value, variable.description))
    return out
