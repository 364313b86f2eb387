"""ARG inside a stage (dockerfile.md §5)."""

from __future__ import annotations

from bakehouse.dockerfile.instructions import ArgCommand
from bakehouse.dockerfile.lint import Linter
from bakehouse.dockerfile.lowering import checks
from bakehouse.dockerfile.lowering.conversion import Conversion
from bakehouse.dockerfile.lowering.outline import Argument
from bakehouse.dockerfile.lowering.stages import StageState
from bakehouse.values import replace


def lower_arg(conversion: Conversion, stage: StageState, command: ArgCommand, linter: Linter) -> None:
    """Declares each name in turn, so that a default sees the names before it. A build argument wins over the default
    written here, which wins over the global scope."""
    shown = []
    for argument in command.args:
        checks.secret_in_name(linter, "ARG", argument.key, command.location)
        value = argument.value
        inherited = False
        if argument.key in conversion.build_args:
            value = conversion.build_args[argument.key]
        elif value is None:
            value = conversion.global_args.get(argument.key)
            inherited = value is not None
        else:
            value = conversion.expander(stage, command, linter)(value)
        if value is not None and argument.key not in checks.NON_ENV_ARGS:
            stage.state = stage.state.with_env(argument.key, value)
        if not inherited:
            stage.outline.arguments[argument.key] = Argument(
                argument.key, argument.doc_comment, value or "", command.location
            )
        stage.outline.use([argument.key])
        # A new list: a stage that inherits holds on to the old one.
        stage.build_args = [*stage.build_args, replace(argument, value=value)]
        shown.append(argument.key if value is None else f"{argument.key}={value}")
    stage.image.add_history("ARG " + " ".join(shown), has_layer=False, epoch_s=conversion.epoch_s)
