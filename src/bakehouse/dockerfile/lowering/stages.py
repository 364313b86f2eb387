"""What is known of each stage while it is lowered, and how stages find one another (dockerfile.md §6.1, §6.2).

A `StageState` is BuildKit's dispatch state: it exists for every FROM, and for every image or context that a COPY or a
mount names directly. Nothing here looks at instructions' meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bakehouse.dockerfile.instructions import Command, KeyValueOptional, OnbuildCommand, Stage
from bakehouse.dockerfile.lowering.image import Image, empty_image
from bakehouse.dockerfile.lowering.outline import StageOutline
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.go.text import lower
from bakehouse.llb.state import State, scratch
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass, field

if TYPE_CHECKING:
    from bakehouse.dockerfile.lowering.contexts import NamedContext

SCRATCH = "scratch"
_UNKNOWN_PLATFORM = Platform("", "")


@dataclass(slots=True, eq=False)
class StageCommand:
    """One instruction of a stage. `sources` are the stages that it copies from or mounts, in order."""

    command: Command
    sources: list["StageState"] = field(default_factory=list)
    is_onbuild: bool = False


@dataclass(slots=True, eq=False)
class StageState:
    """One stage. `location` is None for images that only a mount names. `context_paths` are the paths that it reads of
    the main context; `paths` those which others read of it (shared along a chain of bases)."""

    base_name: str
    location: LineRange | None
    stage: Stage | None = None
    name: str = ""
    base: "StageState | None" = None
    named_context: "NamedContext | None" = None
    platform: Platform | None = None
    state: State = field(default_factory=scratch)
    image: Image = field(default_factory=lambda: Image(_UNKNOWN_PLATFORM, rootfs_type=""))
    base_image: Image | None = None
    commands: list[StageCommand] = field(default_factory=list)
    dependencies: "dict[StageState, Command]" = field(default_factory=dict)
    context_paths: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    build_args: list[KeyValueOptional] = field(default_factory=list)
    ignore_cache: bool = False
    unregistered: bool = False
    dispatched: bool = False
    resolved: bool = False
    onbuild_started: bool = False
    command_index: int = 0
    command_total: int = 0
    in_onbuild: bool = False
    workdir_set: bool = False
    scan_stage: bool = False
    scan_context: bool = False
    used: dict[str, LineRange] = field(default_factory=dict)
    outline: StageOutline = field(default_factory=StageOutline)

    def inherit(self) -> None:
        """Takes over what the base stage has come to. Called again whenever the base may have changed."""
        if self.base is None:
            return
        base = self.base
        self.state = base.state
        self.platform = base.platform
        self.image = base.image.copy()
        # Triggers fire in the first descendant only.
        self.image.on_build = []
        self.base_image = base.base_image
        self.paths = base.paths
        self.workdir_set = base.workdir_set
        self.build_args = self.build_args + base.build_args

    @property
    def os(self) -> str:
        return self.platform.os if self.platform is not None else ""

    def pending_triggers(self) -> list[str]:
        """The ONBUILD texts to run first: those of the base image, then those of the base stage, each once."""
        triggers = list(self.image.on_build)
        if self.base is not None and not self.onbuild_started:
            triggers += [
                each.command.expression
                for each in self.base.commands
                if isinstance(each.command, OnbuildCommand)
            ]
            self.onbuild_started = True
        return triggers


def unregistered_stage(base_name: str, location: LineRange | None) -> StageState:
    """The stage that stands for an image or context named by COPY or a mount."""
    return StageState(base_name, location, unregistered=True)


class StageTable:
    """All stages in order: those of the file, then the unregistered ones as they are met."""

    def __init__(self) -> None:
        self.states: list[StageState] = []
        self._by_name: dict[str, StageState] = {}

    def add(self, state: StageState) -> None:
        """Appends `state`; an earlier stage with the exact name of its base becomes its base."""
        self.states.append(state)
        found = self._by_name.get(state.base_name)
        if found is not None:
            state.base = found
            state.outline = found.outline.copy()
        if state.stage is not None and state.stage.name:
            self._by_name[lower(state.stage.name)] = state

    def named(self, name: str) -> StageState | None:
        """The last stage of that name so far, compared without case."""
        return self._by_name.get(lower(name))

    def numbered(self, index: int) -> StageState:
        """Stage number `index`. Raises `DockerfileError` (code `unknown-stage`)."""
        if not 0 <= index < len(self.states):
            raise DockerfileError(f"invalid stage index {index}", code="unknown-stage")
        return self.states[index]

    def names(self) -> list[str]:
        return [state.name for state in self.states if state.name]

    def check_cycles(self) -> None:
        """Raises `DockerfileError` (code `circular-dependency`) when stages need one another."""
        visited: set[StageState] = set()
        for root in self.states:
            found = _find_cycle(root, visited)
            if found:
                raise DockerfileError(
                    f"circular dependency detected on stage: {root.name}",
                    location=found[0].location,
                    further=tuple(command.location for command in found[1:]),
                    code="circular-dependency",
                    hint="A stage can copy from and mount earlier stages only.",
                )


def _find_cycle(root: StageState, visited: set[StageState]) -> list[Command]:
    """The instructions that lead from `root` into a cycle and round it; empty when there is none."""
    if root in visited:
        return []
    visited.add(root)
    path: list[tuple[StageState, Iterator[tuple[StageState, Command]]]] = []
    path.append((root, iter(root.dependencies.items())))
    commands: list[Command] = []
    on_path = {root}
    while path:
        state, dependencies = path[-1]
        for dependency, command in dependencies:
            if dependency in on_path:
                return [*commands, command]
            if dependency not in visited:
                visited.add(dependency)
                on_path.add(dependency)
                commands.append(command)
                path.append((dependency, iter(dependency.dependencies.items())))
                break
        else:
            path.pop()
            on_path.discard(state)
            if commands:
                commands.pop()
    return []


def reachable_from(target: StageState) -> set[StageState]:
    """`target` with its bases and all that these read."""
    seen = {target}
    pending = [target]
    while pending:
        state = pending.pop()
        for other in (state.base, *state.dependencies):
            if other is not None and other not in seen:
                seen.add(other)
                pending.append(other)
    return seen


def platform_or(state: StageState, default: Platform) -> Platform:
    return state.platform if state.platform is not None else default


__all__ = [
    "SCRATCH",
    "StageCommand",
    "StageState",
    "StageTable",
    "empty_image",
    "platform_or",
    "reachable_from",
    "unregistered_stage",
]
