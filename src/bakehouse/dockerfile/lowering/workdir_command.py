"""WORKDIR (dockerfile.md §9.4)."""

from __future__ import annotations

from bakehouse.dockerfile import lint_rules as rules
from bakehouse.dockerfile.instructions import WorkdirCommand
from bakehouse.dockerfile.lint import Linter
from bakehouse.dockerfile.lowering.conversion import Conversion
from bakehouse.dockerfile.lowering.paths import is_absolute, normalize_workdir, to_slash
from bakehouse.dockerfile.lowering.stages import StageState
from bakehouse.dockerfile.lowering.step_names import shown_command, step_name
from bakehouse.llb.files import parse_owner
from bakehouse.llb.ops import MkDir


def lower_workdir(conversion: Conversion, stage: StageState, command: WorkdirCommand, linter: Linter) -> None:
    """Sets the directory and makes it, with its parents, for the user of the moment."""
    # Only the first one counts: a relative path below an absolute one of this file is fine.
    if not stage.workdir_set and not is_absolute(command.path, stage.os):
        linter.run(rules.WORKDIR_RELATIVE_PATH, command.location, command.path)
    stage.workdir_set = True
    directory = set_directory(stage, command.path)
    has_layer = directory != "/"
    if has_layer:
        user = stage.image.user
        timestamp = -1 if conversion.epoch_s is None else conversion.epoch_s * 1_000_000_000
        make = MkDir(
            directory,
            0o755,
            make_parents=True,
            owner=parse_owner(user) if user else None,
            timestamp=timestamp,
        )
        env = stage.state.env
        name = step_name(
            stage,
            shown_command(conversion.lexer, str(command), env),
            conversion.shown_platform(stage.platform),
            env,
        )
        stage.state = stage.state.files([make], conversion.located(command.location).named(name))
    stage.image.add_history(f"WORKDIR {directory}", has_layer=has_layer, epoch_s=conversion.epoch_s)


def set_directory(stage: StageState, path: str) -> str:
    """The directory of later steps and of the image; its form with slashes. Raises `DockerfileError`."""
    directory = normalize_workdir(stage.image.working_dir, path, stage.os)
    stage.image.working_dir = directory
    directory = to_slash(directory, stage.os)
    stage.state = stage.state.with_directory(directory)
    return directory
