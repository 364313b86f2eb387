"""Instructions that change the config only: ENV, LABEL, CMD, ENTRYPOINT, USER, VOLUME, … (dockerfile.md §9)."""

from __future__ import annotations

import re

from bakehouse.dockerfile import lint_rules as rules
from bakehouse.dockerfile.instructions import (
    CmdCommand,
    EntrypointCommand,
    EnvCommand,
    HealthCheckCommand,
    HealthConfig,
    KeyValue,
    LabelCommand,
    MaintainerCommand,
    OnbuildCommand,
    ShellCommand,
    StopSignalCommand,
    UserCommand,
    VolumeCommand,
)
from bakehouse.dockerfile.lint import Linter
from bakehouse.dockerfile.lowering import checks
from bakehouse.dockerfile.lowering.conversion import Conversion
from bakehouse.dockerfile.lowering.stages import StageState
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.go.text import quoted_list
from bakehouse.go.units import format_duration
from bakehouse.go.values import parse_int
from bakehouse.lazy import regex

_SIGNAL_NAMES = """
    ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP
    TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX
"""
_SIGNALS = frozenset(_SIGNAL_NAMES.split())
_REALTIME = regex(r"RTMIN\+(?:[1-9]|1[0-5])\Z|RTMAX-(?:[1-9]|1[0-4])\Z", re.ASCII)


def lower_env(conversion: Conversion, stage: StageState, command: EnvCommand, linter: Linter) -> None:
    _check_delimiters(linter, command.env, command.name, command.location)
    for pair in command.env:
        checks.secret_in_name(linter, "ENV", pair.key, command.location)
        stage.state = stage.state.with_env(pair.key, pair.value)
        stage.image.set_env(pair.key, pair.value)
    _history(conversion, stage, " ".join(["ENV", *map(str, command.env)]))


def lower_label(conversion: Conversion, stage: StageState, command: LabelCommand, linter: Linter) -> None:
    _check_delimiters(linter, command.labels, command.name, command.location)
    stage.image.labels.update((pair.key, pair.value) for pair in command.labels)
    _history(conversion, stage, " ".join(["LABEL", *map(str, command.labels)]))


def lower_maintainer(
    conversion: Conversion, stage: StageState, command: MaintainerCommand, linter: Linter
) -> None:
    stage.image.author = command.maintainer
    _history(conversion, stage, f"MAINTAINER {command.maintainer}")


def lower_onbuild(conversion: Conversion, stage: StageState, command: OnbuildCommand, linter: Linter) -> None:
    stage.image.on_build.append(command.expression)


def lower_cmd(conversion: Conversion, stage: StageState, command: CmdCommand, linter: Linter) -> None:
    stage.image.cmd = _process_args(stage, command, linter)
    stage.image.args_escaped = True
    _history(conversion, stage, f"CMD {quoted_list(stage.image.cmd)}")


def lower_entrypoint(
    conversion: Conversion, stage: StageState, command: EntrypointCommand, linter: Linter
) -> None:
    stage.image.entrypoint = _process_args(stage, command, linter)
    if "cmd" not in stage.used:
        # An inherited CMD was meant for another entrypoint.
        stage.image.cmd = []
    _history(conversion, stage, f"ENTRYPOINT {quoted_list(stage.image.entrypoint)}")


def lower_healthcheck(
    conversion: Conversion, stage: StageState, command: HealthCheckCommand, linter: Linter
) -> None:
    checks.used_once(linter, stage, command)
    stage.image.health_check = command.health
    _history(conversion, stage, f"HEALTHCHECK {_health_text(command.health)}")


def lower_user(conversion: Conversion, stage: StageState, command: UserCommand, linter: Linter) -> None:
    set_user(stage, command.user)
    _history(conversion, stage, f"USER {command.user}")


def set_user(stage: StageState, user: str) -> None:
    """The user of later steps and of the image."""
    stage.state = stage.state.with_user(user)
    stage.image.user = user


def lower_volume(conversion: Conversion, stage: StageState, command: VolumeCommand, linter: Linter) -> None:
    if "" in command.volumes:
        raise DockerfileError("VOLUME specified can not be an empty string", code="invalid-volume")
    stage.image.volumes.update(command.volumes)
    _history(conversion, stage, f"VOLUME [{' '.join(command.volumes)}]")


def lower_stop_signal(
    conversion: Conversion, stage: StageState, command: StopSignalCommand, linter: Linter
) -> None:
    if not _is_signal(command.signal):
        raise DockerfileError(
            f"invalid signal: {command.signal}",
            code="invalid-signal",
            hint="Write a signal's number or name, such as 15, TERM or SIGRTMIN+3.",
        )
    stage.image.stop_signal = command.signal
    _history(conversion, stage, f"STOPSIGNAL {command.signal}")


def lower_shell(conversion: Conversion, stage: StageState, command: ShellCommand, linter: Linter) -> None:
    stage.image.shell = list(command.shell)
    _history(conversion, stage, f"SHELL [{' '.join(command.shell)}]")


def _history(conversion: Conversion, stage: StageState, text: str) -> None:
    stage.image.add_history(text, has_layer=False, epoch_s=conversion.epoch_s)


def _check_delimiters(linter: Linter, pairs: tuple[KeyValue, ...], keyword: str, location: LineRange) -> None:
    for pair in pairs:
        if pair.no_delim:
            linter.run(rules.LEGACY_KEY_VALUE_FORMAT, location, keyword)


def _process_args(stage: StageState, command: CmdCommand | EntrypointCommand, linter: Linter) -> list[str]:
    """The argument vector that CMD or ENTRYPOINT means."""
    checks.used_once(linter, stage, command)
    if not command.cmdline.prepend_shell:
        return list(command.cmdline.cmd_line)
    if not stage.image.shell:
        linter.run(rules.JSON_ARGS_RECOMMENDED, command.location, command.name)
    return stage.image.command_line(command.cmdline.cmd_line)


def _is_signal(text: str) -> bool:
    try:
        return parse_int(text) != 0
    except ValueError:
        pass
    name = text.upper().removeprefix("SIG")
    return name in _SIGNALS or _REALTIME.match(name) is not None


def _health_text(health: HealthConfig) -> str:
    """A health check as Go's `%+v` prints it."""
    durations = (
        ("Interval", health.interval_ns),
        ("Timeout", health.timeout_ns),
        ("StartPeriod", health.start_period_ns),
        ("StartInterval", health.start_interval_ns),
    )
    shown = " ".join(f"{name}:{format_duration(value)}" for name, value in durations)
    return f"{{Test:[{' '.join(health.test)}] {shown} Retries:{health.retries}}}"
