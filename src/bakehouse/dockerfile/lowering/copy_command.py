"""COPY and ADD (dockerfile.md §7): local paths, stages and images, here-documents, git and http sources."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from bakehouse.dockerfile.instructions import AddCommand, CopyCommand, SourceContent
from bakehouse.dockerfile.lint import Linter
from bakehouse.dockerfile.lowering import checks
from bakehouse.dockerfile.lowering.contexts import DEFAULT_CONTEXT, internal, session_of
from bakehouse.dockerfile.lowering.conversion import Conversion
from bakehouse.dockerfile.lowering.paths import destination, normalize, without_drive
from bakehouse.dockerfile.lowering.remote_sources import (
    git_reference,
    git_tree,
    http_tree,
    is_http,
    is_remote,
)
from bakehouse.dockerfile.lowering.stages import StageState
from bakehouse.dockerfile.lowering.step_names import shown_command, step_name
from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.go.globs import has_wildcard
from bakehouse.go.paths import join_path
from bakehouse.go.text import quote
from bakehouse.lazy import regex
from bakehouse.llb import caps, state
from bakehouse.llb.draft import Constraints
from bakehouse.llb.files import CopyFrom, parse_owner
from bakehouse.llb.ops import Copy, MkFile, ProgressGroup
from bakehouse.llb.state import State
from bakehouse.values import dataclass, replace

_OCTAL = regex(r"[0-7]+\Z", re.ASCII)
_SYMBOLIC_CLAUSE = r"[augo]*(?:[-+=][rstwXxugo]*)+"
_SYMBOLIC = regex(rf"{_SYMBOLIC_CLAUSE}(?:,{_SYMBOLIC_CLAUSE})*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Transfer:
    """One COPY or ADD being lowered. `template` holds what all its copy actions share."""

    conversion: Conversion
    stage: StageState
    command: CopyCommand | AddCommand
    source: State
    template: Copy
    name: str
    ignore_patterns: tuple[str, ...]
    linter: Linter

    @property
    def is_add(self) -> bool:
        return isinstance(self.command, AddCommand)


def lower_copy(
    conversion: Conversion,
    stage: StageState,
    command: CopyCommand,
    sources: Sequence[StageState],
    linter: Linter,
) -> None:
    """Appends the step of a COPY. Raises `DockerfileError`."""
    if not sources:
        _transfer(conversion, stage, command, conversion.context, conversion.ignore_patterns, linter)
        stage.context_paths.update(join_path("/", path) for path in command.source_paths)
        return
    source = sources[0]
    if not source.dispatched:
        raise DockerfileError(
            f"cannot copy from stage {quote(command.from_)}, it needs to be defined before current stage "
            f"{quote(stage.name)}",
            code="stage-not-defined-yet",
        )
    _transfer(conversion, stage, command, source.state, (), linter)
    source.paths.update(join_path("/", path) for path in command.source_paths)


def lower_add(conversion: Conversion, stage: StageState, command: AddCommand, linter: Linter) -> None:
    """Appends the step of an ADD. Raises `DockerfileError`."""
    _transfer(conversion, stage, command, conversion.context, conversion.ignore_patterns, linter)
    # Git URLs other than http ones are asked of the context too, as BuildKit does.
    stage.context_paths.update(
        join_path("/", path) for path in command.source_paths if not path.startswith(("http://", "https://"))
    )


def _transfer(
    conversion: Conversion,
    stage: StageState,
    command: CopyCommand | AddCommand,
    source: State,
    ignore_patterns: tuple[str, ...],
    linter: Linter,
) -> None:
    target = destination(stage.state.directory, command.dest_path, stage.os)
    mode, mode_text = _parse_mode(command.chmod)
    template = Copy(
        "",
        target,
        owner=parse_owner(command.chown) if command.chown else None,
        mode=mode,
        mode_str=mode_text,
        create_dest_path=True,
        exclude_patterns=command.exclude_patterns,
    )
    _check_checksum(command)
    env = stage.state.env
    text = shown_command(conversion.lexer, str(command), env)
    platform = conversion.shown_platform(stage.platform or conversion.platforms.target)
    name = step_name(stage, text, platform, env)
    transfer = _Transfer(conversion, stage, command, source, template, name, ignore_patterns, linter)
    steps = [_copy_path(transfer, path) for path in command.source_paths]
    steps += [_copy_document(transfer, content) for content in command.source_contents]
    constraints = replace(conversion.located(command.location), ignore_cache=stage.ignore_cache)
    if command.link and not command.chmod and conversion.supports(caps.MERGE_OP):
        stage.command_index -= 1
        merge_name = step_name(stage, "LINK " + text, platform, env)
        stage.state = _linked(transfer, steps, constraints, merge_name)
    else:
        stage.state = stage.state.files(steps, constraints.named(name))
    stage.image.add_history(_history_text(command), has_layer=True, epoch_s=conversion.epoch_s, suffix=True)


def _linked(transfer: _Transfer, steps: list[CopyFrom], constraints: Constraints, merge_name: str) -> State:
    """The files in a tree of their own, laid over the stage's tree: independent of what lies below."""
    stage = transfer.stage
    group = _progress_group_id(transfer)
    copied = replace(
        constraints.named(transfer.name), progress_group=ProgressGroup(group, transfer.name, True)
    )
    merged = replace(constraints.named(merge_name), progress_group=ProgressGroup(group, transfer.name, False))
    layer = state.scratch().files(steps, copied)
    return stage.state.with_output(state.merge([stage.state, layer], merged).output)


def _progress_group_id(transfer: _Transfer) -> str:
    """An id for the two steps of one linked copy. BuildKit takes a random one; it must only be unique in the build."""
    stage, conversion = transfer.stage, transfer.conversion
    parts = (
        session_of(conversion.request, DEFAULT_CONTEXT),
        conversion.request.main_context or "",
        conversion.platforms.target.format_all(),
        str(conversion.table.states.index(stage)),
        str(stage.command_index),
        conversion.file.text,
    )
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:25]


def _copy_path(transfer: _Transfer, path: str) -> CopyFrom:
    """The copy of one source word: a git repository, a URL, or a path with wildcards."""
    git_ref = git_reference(path)
    if git_ref is not None and not git_ref.looks_local:
        if not isinstance(transfer.command, AddCommand):
            raise DockerfileError("source can't be a git ref for COPY", code="remote-copy-source")
        tree = git_tree(transfer.conversion, transfer.command, git_ref, transfer.name)
        return tree.copy_from(replace(transfer.template, src="/"))
    if is_http(path):
        if not isinstance(transfer.command, AddCommand):
            raise DockerfileError("source can't be a URL for COPY", code="remote-copy-source")
        tree, filename = http_tree(path, transfer.command.checksum, transfer.name)
        unpack = bool(transfer.command.unpack)
        return tree.copy_from(replace(transfer.template, src=filename, attempt_unpack=unpack))
    return _copy_local(transfer, path)


def _copy_local(transfer: _Transfer, path: str) -> CopyFrom:
    command, os = transfer.command, transfer.stage.os
    keyword = "Add" if transfer.is_add else "Copy"
    checks.ignored_source(transfer.linter, transfer.ignore_patterns, command.location, keyword, path)
    include: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    if isinstance(command, CopyCommand) and command.parents:
        root, pivot, pattern = path.partition("/./")
        if not pivot:
            root, pattern = "/", path
        pattern = normalize("/", pattern, os, keep_slash=False)
        include = (pattern.removeprefix("/"),)
        if not has_wildcard(root) and not has_wildcard(pattern):
            required = (normalize("/", join_path(root, pattern), os, keep_slash=False),)
        path = root
    unpack = isinstance(command, AddCommand) and command.unpack is not False
    action = replace(
        transfer.template,
        src=normalize("/", path, os, keep_slash=False),
        follow_symlink=True,
        dir_copy_contents=True,
        include_patterns=include,
        required_paths=required,
        attempt_unpack=unpack,
        allow_wildcard=True,
        allow_empty_wildcard=True,
    )
    return transfer.source.copy_from(action)


def _copy_document(transfer: _Transfer, content: SourceContent) -> CopyFrom:
    """The copy of a here-document: a file made for the purpose."""
    name = without_drive(content.path, transfer.stage.os)
    data = content.data.encode("utf-8", "surrogateescape")
    tree = state.scratch().files([MkFile(name, 0o644, data)], internal("preparing inline document"))
    return tree.copy_from(replace(transfer.template, src=name))


def _history_text(command: CopyCommand | AddCommand) -> str:
    parts = ["ADD" if isinstance(command, AddCommand) else "COPY"]
    if isinstance(command, CopyCommand) and command.parents:
        parts.append("--parents")
    if command.chown:
        parts.append("--chown=" + command.chown)
    if command.chmod:
        parts.append("--chmod=" + command.chmod)
    parts += command.source_paths
    parts += ["<<" + content.path for content in command.source_contents]
    return " ".join([*parts, command.dest_path])


def _parse_mode(text: str) -> tuple[int, str]:
    """`--chmod` as an octal mode, or as symbolic text with mode 0; (-1, "") when there is none."""
    if not text:
        return -1, ""
    if _OCTAL.match(text) and int(text, 8) <= 0o7777:
        return int(text, 8), ""
    if text[0] in "0123456789":
        raise DockerfileError(
            f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777",
            code="invalid-chmod",
        )
    if not _SYMBOLIC.match(text):
        raise DockerfileError(
            "invalid syntax", code="invalid-chmod", hint="Write an octal mode or one such as u=rwX,go=rX."
        )
    return 0, text


def _check_checksum(command: CopyCommand | AddCommand) -> None:
    if not isinstance(command, AddCommand) or not command.checksum:
        return
    if len(command.source_paths) != 1:
        raise DockerfileError("checksum can't be specified for multiple sources", code="invalid-checksum")
    if not is_remote(command.source_paths[0]):
        raise DockerfileError("checksum requires HTTP(S) or Git sources", code="invalid-checksum")
