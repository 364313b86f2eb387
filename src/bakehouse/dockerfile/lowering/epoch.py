"""SOURCE_DATE_EPOCH: seconds, or the time of a context or of a source stage (dockerfile.md §10.4)."""

from __future__ import annotations

from collections.abc import Sequence

from bakehouse.dockerfile.instructions import AddCommand, ArgCommand, Stage
from bakehouse.dockerfile.lowering.contexts import find_named_context, remote_context
from bakehouse.dockerfile.lowering.conversion import PlatformChoice
from bakehouse.dockerfile.lowering.remote_sources import checked_digest, git_reference, http_filename, is_http
from bakehouse.dockerfile.lowering.request import LowerRequest, MetaResolver
from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.dockerfile.words import ShellLexer
from bakehouse.go.text import quote
from bakehouse.go.values import parse_int
from bakehouse.llb import state
from bakehouse.llb.draft import SealDefaults
from bakehouse.llb.env import EnvList
from bakehouse.llb.graph import collect
from bakehouse.llb.ops import SourceOp
from bakehouse.llb.platforms import to_llb
from bakehouse.llb.sources import GitOptions
from bakehouse.llb.state import State

KEY = "SOURCE_DATE_EPOCH"
# What RFC 3339 times can hold: years 1 to 9999.
_EARLIEST_S, _LATEST_S = -62135596800, 253402300799


class EpochResolver:
    """Finds the value for one conversion. `build_args` and `global_args` are the arguments in effect."""

    def __init__(
        self,
        request: LowerRequest,
        resolver: MetaResolver,
        platforms: PlatformChoice,
        lexer: ShellLexer,
        stages: Sequence[Stage],
    ) -> None:
        self._request = request
        self._resolver = resolver
        self._platforms = platforms
        self._lexer = lexer
        self._stages = stages

    def resolve(self, build_args: dict[str, str], global_args: EnvList) -> tuple[int | None, EnvList]:
        """The epoch, and the global arguments with the value in its resolved form; `build_args` is changed likewise.

        Raises `DockerfileError` (code `invalid-epoch`).
        """
        value = build_args.get(KEY)
        if value is None:
            value = global_args.get(KEY) or None
            if value is None:
                return None, global_args
        epoch_s = self._value(value, build_args, global_args)
        resolved = None if epoch_s is None else str(epoch_s)
        if KEY in build_args:
            if resolved is None:
                del build_args[KEY]
            else:
                build_args[KEY] = resolved
        if KEY in global_args:
            global_args = (
                global_args.without(KEY) if resolved is None else global_args.with_value(KEY, resolved)
            )
        return epoch_s, global_args

    def _value(self, value: str, build_args: dict[str, str], global_args: EnvList) -> int | None:
        if not value:
            return None
        epoch_s = _seconds(value)
        if epoch_s is not None:
            return epoch_s
        if value == "context":
            tree = remote_context(self._request)
            return self._time_of(tree, "[internal] resolve main build context metadata")
        named = find_named_context(self._request, value, None, self._platforms.build, tuple)
        if named is not None:
            loaded = named.load(self._resolver)
            return self._time_of(loaded.state, f"[internal] resolve {KEY} named context {value}")
        for stage in self._stages:
            if stage.name and stage.name.casefold() == value.casefold():
                try:
                    tree = self._stage_source(stage, build_args, global_args.without(KEY))
                except DockerfileError as error:
                    raise error.at(stage.location) from None
                return self._time_of(tree, f"[internal] resolve {KEY} source stage {stage.name}")
        raise _invalid(f"invalid {KEY}: {value}")

    def _time_of(self, tree: State | None, log_name: str) -> int | None:
        """The time of the only source of `tree`; None when it has several, or one that has no time."""
        if tree is None or self._request.source_times is None:
            return None
        edge = tree.seal(SealDefaults(to_llb(self._platforms.target), self._request.local_unique_id))
        if edge is None:
            return None
        found = [vertex.op for vertex in collect(edge).vertices if isinstance(vertex.op, SourceOp)]
        if len(found) != 1 or not found[0].identifier.startswith(("git://", "http://", "https://")):
            return None
        return self._request.source_times.resolve_source_time(found[0], log_name)

    def _stage_source(self, stage: Stage, build_args: dict[str, str], env: EnvList) -> State:
        """The one remote source that a source-only stage adds."""
        try:
            base = self._lexer.process_word(stage.base_name, env).text
        except DockerfileError as error:
            raise error.at(
                stage.location, prefix=f"failed to process source stage base name {quote(stage.base_name)}: "
            ) from None
        if base != "scratch":
            raise _invalid(f"{KEY} stage must use FROM scratch")
        source: State | None = None
        for command in stage.commands:
            if isinstance(command, ArgCommand):
                env = self._with_args(command, build_args, env)
            elif isinstance(command, AddCommand):
                if source is not None:
                    raise _invalid(f"{KEY} stage must contain exactly one remote ADD")
                source = self._add_source(command, env)
            else:
                raise _invalid(
                    f"{KEY} stage does not meet source-only requirements: unsupported {command.name} instruction"
                )
        if source is None:
            raise _invalid(f"{KEY} stage must contain exactly one remote ADD")
        return source

    def _with_args(self, command: ArgCommand, build_args: dict[str, str], env: EnvList) -> EnvList:
        for argument in command.args:
            if argument.key in build_args:
                env = env.with_value(argument.key, build_args[argument.key])
            elif argument.value is not None:
                env = env.with_value(argument.key, self._lexer.process_word(argument.value, env).text)
        return env

    def _add_source(self, command: AddCommand, env: EnvList) -> State:
        if command.source_contents or len(command.source_paths) != 1:
            raise _invalid(f"{KEY} stage must contain exactly one remote ADD source")
        text = self._lexer.process_word(command.source_paths[0], env).text
        checksum = self._lexer.process_word(command.checksum, env).text
        if is_http(text):
            return state.http(text, filename=http_filename(text), checksum=checked_digest(checksum))
        ref = git_reference(text)
        if ref is None or ref.looks_local:
            raise _invalid(f"{KEY} stage source must be a single HTTP(S) or Git ADD")
        options = GitOptions(
            ref=ref.ref,
            sub_dir=ref.sub_dir,
            keep_git_dir=bool(command.keep_git_dir or ref.keep_git_dir),
            checksum=checksum or ref.checksum,
            skip_submodules=ref.submodules is False,
            advice=self._request.git_advice,
        )
        return state.git(ref.remote, options, known_hosts=self._request.known_hosts)


def _seconds(text: str) -> int | None:
    """The number that `text` is, or None. Raises `DockerfileError` for a time that an image config cannot hold."""
    try:
        seconds = parse_int(text)
    except ValueError:
        return None
    if not _EARLIEST_S <= seconds <= _LATEST_S:
        raise _invalid(f"invalid {KEY}: {text}")
    return seconds


def _invalid(message: str) -> DockerfileError:
    return DockerfileError(
        message,
        code="invalid-epoch",
        hint="Give seconds since the epoch, 'context', a named context, or a stage that is FROM scratch with one "
        "remote ADD.",
    )
