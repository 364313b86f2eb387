"""RUN: the process, its here-documents, its name and its history (dockerfile.md §8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bakehouse.dockerfile import instructions
from bakehouse.dockerfile.heredoc import chomp_content, parse_heredoc
from bakehouse.dockerfile.instructions import KeyValueOptional, RunCommand
from bakehouse.dockerfile.lowering.contexts import internal
from bakehouse.dockerfile.lowering.conversion import COMMAND_KEY, Conversion
from bakehouse.dockerfile.lowering.paths import WINDOWS
from bakehouse.dockerfile.lowering.run_mounts import RunMounts, lower_mounts
from bakehouse.dockerfile.lowering.stages import StageState
from bakehouse.dockerfile.lowering.step_names import heredoc_summary, shown_command, step_name
from bakehouse.dockerfile.mounts import SECRET
from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.dockerfile.words import EnvGetter
from bakehouse.go.paths import join_path
from bakehouse.llb import caps, state
from bakehouse.llb.env import EnvList
from bakehouse.llb.ops import (
    NETWORK_HOST,
    NETWORK_NONE,
    SECURITY_INSECURE,
    SECURITY_SANDBOX,
    CdiDevice,
    MkFile,
    ResourceLimits,
)
from bakehouse.llb.platforms import from_llb
from bakehouse.llb.runs import RunMount
from bakehouse.values import dataclass, replace

_PIPES = "/dev/pipes/"
_NETWORKS = {
    instructions.NETWORK_DEFAULT: None,
    instructions.NETWORK_NONE: NETWORK_NONE,
    instructions.NETWORK_HOST: NETWORK_HOST,
}
_SECURITIES = {
    instructions.SECURITY_SANDBOX: SECURITY_SANDBOX,
    instructions.SECURITY_INSECURE: SECURITY_INSECURE,
}


@dataclass(frozen=True, slots=True)
class _CommandLine:
    """What RUN executes. `suffix` is what its name shows of a here-document; `mount` holds the document as a script."""

    args: tuple[str, ...]
    suffix: str = ""
    mount: RunMount | None = None


def lower_run(
    conversion: Conversion, stage: StageState, command: RunCommand, sources: Sequence[StageState]
) -> None:
    """Appends the step. Raises `DockerfileError`."""
    # A process may read anything of what lies below it.
    stage.paths.add("/")
    line = _command_line(stage, command)
    args = stage.image.command_line(line.args) if command.prepend_shell else list(line.args)
    mounts = lower_mounts(conversion, stage, command, sources)
    env = stage.state.env
    constraints = replace(
        conversion.located(command.location).described(COMMAND_KEY, str(command)),
        ignore_cache=stage.ignore_cache,
        resources=_resources(conversion),
    ).named(_name(conversion, stage, command, line.suffix, env))
    request = conversion.request
    before = stage.state
    stage.state = before.run(
        args,
        constraints,
        mounts=[*_extra_mounts(conversion, line), *mounts.trees],
        secrets=mounts.secrets,
        ssh=mounts.ssh,
        devices=_devices(conversion, command),
        network=_NETWORKS[command.network],
        security=_SECURITIES[command.security],
        proxy=conversion.proxy,
        extra_hosts=request.extra_hosts,
        ulimits=request.ulimits if conversion.supports(caps.EXEC_META_ULIMIT) else (),
        cgroup_parent=request.cgroup_parent if conversion.supports(caps.EXEC_META_CGROUP_PARENT) else "",
    )
    text = _history_text(args, stage.build_args, env)
    stage.image.add_history(f"RUN {text}", has_layer=True, epoch_s=conversion.epoch_s, suffix=True)


def _resources(conversion: Conversion) -> ResourceLimits | None:
    limits = conversion.request.resources
    if limits == ResourceLimits() or not conversion.supports(caps.EXEC_META_LINUX_RESOURCES):
        return None
    return limits


def _command_line(stage: StageState, command: RunCommand) -> _CommandLine:
    args = command.cmd_line
    if not command.files:
        return _CommandLine(args)
    if len(args) != 1 or not command.prepend_shell:
        raise DockerfileError(
            f"parsing produced an invalid run command: [{' '.join(args)}]", code="invalid-run"
        )
    first = command.files[0]
    if parse_heredoc(args[0]) is None:
        # The shell reads the documents itself.
        documents = "".join(f"\n{file.data}{file.name}" for file in command.files)
        return _CommandLine((args[0] + documents,))
    suffix = f" ({heredoc_summary(first.data)})"
    data = chomp_content(first.data) if first.chomp else first.data
    if stage.image.platform.os == WINDOWS or not data.startswith("#!"):
        return _CommandLine((data,), suffix)
    script = state.scratch().files(
        [MkFile(first.name, 0o755, data.encode("utf-8", "surrogateescape"))],
        internal("preparing inline document"),
    )
    mount = RunMount(_PIPES, script.output, selector="/", readonly=True)
    return _CommandLine((join_path(_PIPES, first.name),), suffix, mount)


def _name(conversion: Conversion, stage: StageState, command: RunCommand, suffix: str, env: EnvList) -> str:
    lexer = replace(conversion.lexer, raw_quotes=True, skip_unset_env=True)
    text = shown_command(lexer, str(command) + suffix, _masking_secrets(command, env))
    platform = stage.state.platform
    shown = None if platform is None else conversion.shown_platform(from_llb(platform))
    return step_name(stage, text, shown, env)


class _MaskedEnv:
    """An environment in which variables that secrets fill read `****`: their values are not known here, and the name
    shall say so."""

    def __init__(self, base: EnvList, masked: set[str]) -> None:
        self._base = base
        self._masked = masked

    def get(self, name: str, /) -> str | None:
        return "****" if name in self._masked else self._base.get(name)

    def keys(self) -> Iterator[str]:
        yield from (key for key in self._base if key not in self._masked)
        yield from self._masked


def _masking_secrets(command: RunCommand, env: EnvList) -> EnvGetter:
    masked = {mount.env for mount in command.mounts if mount.type == SECRET and mount.env is not None}
    return _MaskedEnv(env, masked) if masked else env


def _extra_mounts(conversion: Conversion, line: _CommandLine) -> list[RunMount]:
    """The script of a here-document and the shared memory of the options."""
    out = [] if line.mount is None else [line.mount]
    size = conversion.request.shm_size
    if size > 0 and conversion.supports(caps.EXEC_MOUNT_TMPFS_SIZE):
        out.append(RunMount("/dev/shm", tmpfs_size=size))
    return out


def _devices(conversion: Conversion, command: RunCommand) -> list[CdiDevice]:
    if not conversion.supports(caps.EXEC_META_CDI):
        return []
    return [CdiDevice(device.name, not device.required) for device in command.devices]


def _history_text(args: Sequence[str], build_args: Sequence[KeyValueOptional], env: EnvList) -> str:
    """The command line, behind the build arguments in effect when there are any: `|2 A=x B=y /bin/sh -c …`."""
    values = {argument.key: env.get(argument.key, argument.value_string) for argument in build_args}
    shown = [f"|{len(values)}", *(f"{key}={value}" for key, value in values.items())] if values else []
    return " ".join([*shown, *args])


__all__ = ["RunMounts", "lower_run"]
