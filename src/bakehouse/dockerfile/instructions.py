"""The instructions of a Dockerfile as typed values, in BuildKit's vocabulary.

All are frozen. `expand(expander)` returns a **new** instruction in which the words that the builder expands
are expanded (dockerfile.md §3); an instruction without `expand` has none. `str(command)` is the source text.
How text becomes these values is `instruction_parser`; what they mean is `lowering`.
"""

from __future__ import annotations

from collections.abc import Callable

from bakehouse.dockerfile.mounts import Device, Mount, parse_mount
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.values import dataclass, field, replace

#: Expands the variables of one word. Raises `DockerfileError`.
Expander = Callable[[str], str]

NETWORK_DEFAULT = "default"
NETWORK_NONE = "none"
NETWORK_HOST = "host"

SECURITY_SANDBOX = "sandbox"
SECURITY_INSECURE = "insecure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What all instructions of a stage have. `code` is the instruction's text with continuations joined,
    trimmed, without here-document bodies; `name` is the keyword in the case in which it was written;
    `comments` are the comment lines directly above, without `#`."""

    code: str
    name: str
    location: LineRange
    comments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.code


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One pair of ENV or LABEL. `no_delim` marks the legacy `KEY value` form, in which no `=` was written."""

    key: str
    value: str
    no_delim: bool = False

    def __str__(self) -> str:
        return f"{self.key}={self.value}"

    def expand(self, expander: Expander) -> "KeyValue":
        return KeyValue(expander(self.key), expander(self.value), self.no_delim)


@dataclass(frozen=True, slots=True)
class KeyValueOptional:
    """One name of ARG. `value` is None when no default was written, which is not the same as an empty one."""

    key: str
    value: str | None = None
    doc_comment: str = ""

    @property
    def value_string(self) -> str:
        return self.value or ""

    def __str__(self) -> str:
        return f"{self.key}={self.value_string}"


@dataclass(frozen=True, slots=True)
class SourceContent:
    """A file written in the Dockerfile itself as a here-document. `expand` is False when its name was
    quoted."""

    path: str
    data: str
    expand: bool


@dataclass(frozen=True, slots=True)
class ShellInlineFile:
    """A here-document of RUN, CMD or ENTRYPOINT; `chomp` stands for `<<-`. `data` is the raw body."""

    name: str
    data: str
    chomp: bool


@dataclass(frozen=True, slots=True)
class ShellDependantCmdLine:
    """A command line. With `prepend_shell` it is one string for the stage's shell, else an argument
    vector."""

    cmd_line: tuple[str, ...] = ()
    files: tuple[ShellInlineFile, ...] = ()
    prepend_shell: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgCommand(Command):
    args: tuple[KeyValueOptional, ...]

    def expand(self, expander: Expander) -> "ArgCommand":
        """Expands keys and defaults with one environment. The lowering expands ARG pair by pair instead,
        since a default may use the names before it on the same line."""
        args = tuple(
            KeyValueOptional(
                expander(arg.key), None if arg.value is None else expander(arg.value), arg.doc_comment
            )
            for arg in self.args
        )
        return replace(self, args=args)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvCommand(Command):
    env: tuple[KeyValue, ...]

    def expand(self, expander: Expander) -> "EnvCommand":
        return replace(self, env=tuple(pair.expand(expander) for pair in self.env))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCommand(Command):
    """`no_expand` is set on labels that come from options, not from the file."""

    labels: tuple[KeyValue, ...]
    no_expand: bool = False

    def expand(self, expander: Expander) -> "LabelCommand":
        if self.no_expand:
            return self
        return replace(self, labels=tuple(pair.expand(expander) for pair in self.labels))


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintainerCommand(Command):
    maintainer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand(Command):
    """RUN. `mounts` hold only `from_` until `expand` has been called: values may use variables, `from` may
    not.

    `mount_flags` are the `--mount` values as written; `flags_used` the names of all flags given, sorted.
    """

    cmdline: ShellDependantCmdLine
    mount_flags: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    network: str = NETWORK_DEFAULT
    security: str = SECURITY_SANDBOX
    devices: tuple[Device, ...] = ()
    flags_used: tuple[str, ...] = ()

    @property
    def cmd_line(self) -> tuple[str, ...]:
        return self.cmdline.cmd_line

    @property
    def files(self) -> tuple[ShellInlineFile, ...]:
        return self.cmdline.files

    @property
    def prepend_shell(self) -> bool:
        return self.cmdline.prepend_shell

    def expand(self, expander: Expander) -> "RunCommand":
        """Parses the mounts with `expander` applied to their values (dockerfile.md §8.2). Raises
        `DockerfileError`."""
        return replace(self, mounts=tuple(parse_mount(flag, expander) for flag in self.mount_flags))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesAndDest(Command):
    """What COPY and ADD share. Path sources come before here-document sources, whatever the order in the
    text."""

    dest_path: str
    source_paths: tuple[str, ...] = ()
    source_contents: tuple[SourceContent, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    exclude_patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyCommand(SourcesAndDest):
    from_: str = ""
    parents: bool = False

    def expand(self, expander: Expander) -> "CopyCommand":
        """Expands owner, mode, sources and destination, in this order; not `--from`, not `--exclude`."""
        return replace(
            self,
            chown=expander(self.chown),
            chmod=expander(self.chmod),
            source_paths=tuple(map(expander, self.source_paths)),
            dest_path=expander(self.dest_path),
        )

    def expand_raw(self, expander: Expander) -> "CopyCommand":
        """Expands the here-documents whose names are not quoted; `expander` must keep quotes."""
        return replace(self, source_contents=_expand_contents(self.source_contents, expander))


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCommand(SourcesAndDest):
    """`keep_git_dir` and `unpack` are None when the flag was not given."""

    keep_git_dir: bool | None = None
    checksum: str = ""
    unpack: bool | None = None

    def expand(self, expander: Expander) -> "AddCommand":
        """Expands owner, mode, checksum, sources and destination, in this order; not `--exclude`."""
        return replace(
            self,
            chown=expander(self.chown),
            chmod=expander(self.chmod),
            checksum=expander(self.checksum),
            source_paths=tuple(map(expander, self.source_paths)),
            dest_path=expander(self.dest_path),
        )

    def expand_raw(self, expander: Expander) -> "AddCommand":
        """Expands the here-documents whose names are not quoted; `expander` must keep quotes."""
        return replace(self, source_contents=_expand_contents(self.source_contents, expander))


def _expand_contents(contents: tuple[SourceContent, ...], expander: Expander) -> tuple[SourceContent, ...]:
    return tuple(
        SourceContent(content.path, expander(content.data), True) if content.expand else content
        for content in contents
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkdirCommand(Command):
    path: str

    def expand(self, expander: Expander) -> "WorkdirCommand":
        return replace(self, path=expander(self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCommand(Command):
    user: str

    def expand(self, expander: Expander) -> "UserCommand":
        return replace(self, user=expander(self.user))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposeCommand(Command):
    """`ports` are the words as written, sorted as text; each expands to any number of words, so the lowering
    does it."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeCommand(Command):
    volumes: tuple[str, ...]

    def expand(self, expander: Expander) -> "VolumeCommand":
        return replace(self, volumes=tuple(map(expander, self.volumes)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CmdCommand(Command):
    cmdline: ShellDependantCmdLine


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrypointCommand(Command):
    cmdline: ShellDependantCmdLine


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellCommand(Command):
    shell: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignalCommand(Command):
    signal: str

    def expand(self, expander: Expander) -> "StopSignalCommand":
        return replace(self, signal=expander(self.signal))

    def check_platform(self, os: str) -> None:
        """Raises `DockerfileError` on Windows, which has no signals."""
        if os == "windows":
            raise DockerfileError(
                "The daemon on this platform does not support the command stopsignal", location=self.location
            )


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """A health check. `test` begins with `NONE`, `CMD` or `CMD-SHELL`; durations are ns, 0 means not set."""

    test: tuple[str, ...]
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheckCommand(Command):
    health: HealthConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class OnbuildCommand(Command):
    """`expression` is the trigger's text, with the bodies of its here-documents, as stored in an image
    config."""

    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One FROM and the instructions below it. `name` is lower-cased, empty when there is none; `orig_cmd` is
    the keyword FROM in the case in which it was written; `base_name` and `platform` are unexpanded."""

    name: str
    orig_cmd: str
    base_name: str
    platform: str
    doc_comment: str
    source_code: str
    location: LineRange
    comments: tuple[str, ...] = ()
    commands: tuple[Command, ...] = field(default=())


def find_stage(stages: list[Stage] | tuple[Stage, ...], name: str) -> int | None:
    """The index of the first stage of that name, compared without case, or None."""
    wanted = name.casefold()
    return next((index for index, stage in enumerate(stages) if stage.name.casefold() == wanted), None)
