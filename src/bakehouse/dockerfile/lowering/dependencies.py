"""Which stages an instruction reads: `COPY --from`, `RUN --mount from=`, ONBUILD (dockerfile.md §6.1, §9.7)."""

from __future__ import annotations

from collections.abc import Sequence

from bakehouse.dockerfile.document import parse_onbuild_trigger
from bakehouse.dockerfile.instructions import Command, CopyCommand, RunCommand
from bakehouse.dockerfile.lowering.conversion import Conversion
from bakehouse.dockerfile.lowering.stages import (
    SCRATCH,
    StageCommand,
    StageState,
    unregistered_stage,
)
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.go.values import parse_int

_NO_ENV: dict[str, str] = {}


def connect_stages(conversion: Conversion) -> None:
    """Finds the sources of all instructions of all stages. Sources that are no stages join the table, at its end, as
    they are met. Raises `DockerfileError`."""
    table = conversion.table
    # The table grows while it is walked; what joins has no instructions.
    for stage in list(table.states):
        commands = () if stage.stage is None else stage.stage.commands
        stage.commands = [_connect_located(conversion, stage, command) for command in commands]
    table.check_cycles()
    if len(table.states) == 1:
        # A single stage needs no name in progress output.
        table.states[0].name = ""


def add_triggers(conversion: Conversion, stage: StageState, triggers: Sequence[str]) -> bool:
    """Puts the ONBUILD `triggers` before the instructions of `stage`. True when they read other stages, which may then
    have to be resolved. Raises `DockerfileError`, placed at the stage's FROM."""
    location = stage.location or LineRange(0, 0)
    try:
        commands = []
        for text in triggers:
            step = _connect(conversion, stage, parse_onbuild_trigger(text, location))
            step.is_onbuild = True
            commands.append(step)
    except DockerfileError as error:
        raise error.at(location) from None
    stage.commands = commands + stage.commands
    stage.command_total += len(commands)
    return any(step.sources for step in commands)


def _connect_located(conversion: Conversion, stage: StageState, command: Command) -> StageCommand:
    try:
        return _connect(conversion, stage, command)
    except DockerfileError as error:
        raise error.at(command.location) from None


def _connect(conversion: Conversion, stage: StageState, command: Command) -> StageCommand:
    sources: list[StageState] = []
    if isinstance(command, CopyCommand) and command.from_:
        sources = [_copy_source(conversion, command)]
    elif isinstance(command, RunCommand):
        sources = [
            conversion.table.named(mount.from_ or SCRATCH) or unregistered_stage(mount.from_ or SCRATCH, None)
            for mount in command.mounts
        ]
    for source in sources:
        stage.dependencies[source] = command
        if source.unregistered:
            conversion.table.add(source)
    return StageCommand(command, sources)


def _copy_source(conversion: Conversion, command: CopyCommand) -> StageState:
    """A stage by number or name, else an image or context of that name."""
    name = command.from_
    if conversion.lexer.process_word(name, _NO_ENV).text != name:
        raise DockerfileError(
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
            "as a workaround",
            code="variable-in-from",
        )
    try:
        index = parse_int(name)
    except ValueError:
        pass
    else:
        return conversion.table.numbered(index)
    return conversion.table.named(name) or unregistered_stage(name, command.location)
