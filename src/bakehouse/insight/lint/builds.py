"""Rules about what targets would build: their contexts, Dockerfiles, arguments and tags. Files of the project are read;
nothing remote is."""

from __future__ import annotations

import os
from pathlib import Path

from bakehouse.bake import Target, dockerfile_path
from bakehouse.bake.contexts import local_path, printed_context
from bakehouse.bake.entitlements import filesystem_checks_enabled, uncovered_paths
from bakehouse.bake.explain.provenance import Part
from bakehouse.bake.fields import FIELDS_BY_NAME
from bakehouse.bake.selection import select
from bakehouse.bake.suggestions import suggestion
from bakehouse.builders.context import DockerfileText, read_dockerfile
from bakehouse.builders.syntax import require_known_syntax
from bakehouse.dockerfile.document import Dockerfile, parse_dockerfile
from bakehouse.dockerfile.instructions import ArgCommand, OnbuildCommand
from bakehouse.errors import BakehouseError, DefinitionError, NotBuiltYetError, NotFoundError
from bakehouse.insight.lint import rules
from bakehouse.insight.lint.report import Finding
from bakehouse.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bakehouse.diagnostics import SourceRange
    from bakehouse.insight.lint.subject import Subject

_ARGS = FIELDS_BY_NAME["args"]
_TAGS = FIELDS_BY_NAME["tags"]
_CONTEXT = FIELDS_BY_NAME["context"]
_CONTEXTS = FIELDS_BY_NAME["contexts"]
_DOCKERFILE = FIELDS_BY_NAME["dockerfile"]
#: Arguments that mean something without an ARG.
_PROXIES = tuple([f"{kind}_proxy" for kind in ("http", "https", "ftp", "no", "all")])
_PLATFORM_PARTS = ("PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT", "STAGE")
_PREDEFINED = frozenset(
    (
        *_PROXIES,
        *[name.upper() for name in _PROXIES],
        *[f"{side}{part}" for side in ("BUILD", "TARGET") for part in _PLATFORM_PARTS],
        "SOURCE_DATE_EPOCH",
    )
)
_FRONTEND_PREFIX = "BUILDKIT_"
#: Outputs whose images have no names.
_NAMELESS = ("local", "tar", "cacheonly")


class Builds:
    """The targets `names`, resolved but not checked: what checks would refuse (a secret that is not there now) is none
    of lint's business."""

    def __init__(self, subject: Subject, names: Sequence[str], readable: Sequence[str] = ()) -> None:
        self._subject = subject
        checked = filesystem_checks_enabled(subject.environ)
        self._readable = [subject.cwd, *readable] if checked else ["*"]
        self._refused: list[tuple[str, BakehouseError]] = []
        resolved = self._resolved(names)
        self._targets = {name: target for name, target in resolved.items() if target.context != "-"}
        self._groups: list[set[str]] | None = None

    def _resolved(self, names: Sequence[str]) -> dict[str, Target]:
        """The targets, resolved together, or one by one where some of them cannot be."""
        definition = self._subject.definition
        if not names:
            return {}
        try:
            return definition.resolve(names, check=False).targets
        except BakehouseError:
            pass
        out: dict[str, Target] = {}
        for name in names:
            try:
                found = definition.resolve([name], check=False).targets
            except BakehouseError as error:
                self._refused.append((name, error))
                continue
            # A target that is only there for another one is replaced by its own self.
            out.update({each: target for each, target in found.items() if each == name or each not in out})
        return out

    def look(self) -> Iterator[Finding]:
        """All findings of this module's rules, one a place: targets that inherit a mistake share it."""
        told: set[tuple[str, str]] = set()
        for finding in self._found():
            key = finding.rule.id, repr(finding.place) if finding.place else finding.message
            if key not in told:
                told.add(key)
                yield finding

    def _found(self) -> Iterator[Finding]:
        for name, error in self._refused:
            message = f'target "{name}" cannot be resolved: {error.message}'
            yield Finding(rules.UNRESOLVABLE_TARGET, message, self._label(name), error.hint)
        texts: dict[str, Dockerfile] = {}
        for name, target in self._targets.items():
            missing = list(self._contexts(target))
            yield from missing
            if any(finding.rule is rules.MISSING_CONTEXT for finding in missing):
                continue
            unread = self._unread(target)
            if unread is not None:
                yield unread
                continue
            try:
                file = self._dockerfile(target)
            except NotFoundError:
                yield self._missing_dockerfile(target)
            except DefinitionError as error:
                message = f'the Dockerfile of target "{name}" cannot be read: {error.message}'
                yield Finding(rules.BAD_DOCKERFILE, message, self._dockerfile_place(target), error.hint)
            else:
                if file is not None:
                    texts[name] = file
        yield from self._undeclared(texts)
        yield from self._duplicates()

    def _absolute(self, path: str) -> str:
        return os.path.join(self._subject.cwd, path)

    def _contexts(self, target: Target) -> Iterator[Finding]:
        assert target.context is not None
        path = local_path(printed_context(target.context))
        if path is not None and not os.path.isdir(self._absolute(path)):
            message = f'the context of target "{target.name}" is not there: {path} is no directory'
            place = self._subject.provenance.place(target, _CONTEXT, None)
            yield Finding(rules.MISSING_CONTEXT, message, place or self._label(target.name))
        for key, value in (target.contexts or {}).items():
            path = local_path(value)
            if path is not None and not os.path.isdir(self._absolute(path)):
                message = f'context {key} of target "{target.name}" is not there: {path} is no directory'
                place = self._subject.provenance.place(target, _CONTEXTS, Part(key))
                yield Finding(rules.MISSING_CONTEXT, message, place or self._label(target.name))

    def _dockerfile(self, target: Target) -> Dockerfile | None:
        """The target's Dockerfile, None where it is remote, no file or for another frontend. Raises `NotFoundError`,
        `DefinitionError`."""
        if target.dockerfile_inline is not None:
            text = DockerfileText("Dockerfile", target.dockerfile_inline.encode("utf-8", "surrogateescape"))
        else:
            path = _local_dockerfile(target)
            if path is None or not all(map(self._may_be_read, _spellings(path))):
                return None
            text = read_dockerfile(Path(self._subject.cwd), Path(path))
        try:
            require_known_syntax(text, target.args or {})
        except NotBuiltYetError:
            return None
        return parse_dockerfile(text.data, text.name)

    def _unread(self, target: Target) -> Finding | None:
        """The finding that a Dockerfile may not be read, since it does not lie, symbolic links resolved, below the
        working directory or an allowed path: a definition of strangers could otherwise have the first words of any file
        shown in a finding."""
        path = None if target.dockerfile_inline is not None else _local_dockerfile(target)
        if path is None or not uncovered_paths(_spellings(path), self._readable, self._subject.cwd):
            return None
        message = (
            f'the Dockerfile of target "{target.name}" was not read: {path} is outside the working directory'
        )
        return Finding(rules.UNREAD_DOCKERFILE, message, self._dockerfile_place(target))

    def _may_be_read(self, path: str) -> bool:
        """Whether a file is no device or pipe, whose end may never come."""
        path = self._absolute(path)
        return not os.path.exists(path) or os.path.isfile(path)

    def _missing_dockerfile(self, target: Target) -> Finding:
        path = dockerfile_path(target)
        message = f'the Dockerfile of target "{target.name}" is not there: {path}'
        return Finding(rules.MISSING_DOCKERFILE, message, self._dockerfile_place(target))

    def _dockerfile_place(self, target: Target) -> SourceRange | None:
        place = self._subject.provenance.place
        if target.dockerfile_inline is not None:
            return place(target, FIELDS_BY_NAME["dockerfile-inline"], None)
        return place(target, _DOCKERFILE, None) or place(target, _CONTEXT, None) or self._label(target.name)

    def _label(self, name: str) -> SourceRange | None:
        for state, _ in self._subject.instances("target", name):
            return state.block.label_ranges[0]
        return None

    def _undeclared(self, files: dict[str, Dockerfile]) -> Iterator[Finding]:
        """Arguments that none of the targets which get them from one place declares."""
        used: set[str] = set()
        unused: dict[str, tuple[str, str]] = {}
        provenance = self._subject.provenance
        for name, file in files.items():
            target = self._targets[name]
            declared = declared_args(file)
            for key in target.args or ():
                if key in _PREDEFINED or key.startswith(_FRONTEND_PREFIX):
                    continue
                place = provenance.place(target, _ARGS, Part(key))
                origin = f"{key} {place!r}" if place is not None else f"{key} {name}"
                if key in declared:
                    used.add(origin)
                else:
                    unused.setdefault(origin, (name, key))
        for origin, (name, key) in unused.items():
            if origin in used:
                continue
            file = files[name]
            place = provenance.place(self._targets[name], _ARGS, Part(key), key=True)
            message = f'no ARG of the Dockerfile of target "{name}" is named {key}'
            yield Finding(rules.UNDECLARED_ARG, message, place, suggestion(key, declared_args(file)))

    def _duplicates(self) -> Iterator[Finding]:
        first: dict[str, tuple[str, SourceRange | None]] = {}
        for name, target in self._targets.items():
            outputs = target.output or []
            if target.linked or (outputs and all(output.type in _NAMELESS for output in outputs)):
                continue
            for tag in target.tags or ():
                place = self._subject.provenance.place(target, _TAGS, Part(element=tag))
                other, where = first.setdefault(_full_name(tag), (name, place))
                # Variants of one image inherit its tags; that matters only where one command builds them.
                if other == name or (where == place and not self._built_together(other, name)):
                    continue
                message = f'targets "{other}" and "{name}" have the same tag {tag}'
                if where is not None and where != place:
                    message += f" (the other one is at {where.filename}:{where.start.line})"
                yield Finding(rules.DUPLICATE_TAG, message, place)

    def _built_together(self, one: str, other: str) -> bool:
        """Whether some group means both targets."""
        if self._groups is None:
            groups, targets = self._subject.definition.groups, self._subject.definition.targets
            self._groups = [set(select([name], groups, targets).targets) for name in groups]
        return any(one in members and other in members for members in self._groups)


def _local_dockerfile(target: Target) -> str | None:
    """Where the Dockerfile of a target lies on this machine, if it does."""
    assert target.context is not None
    target.context = printed_context(target.context)
    return None if target.dockerfile == "-" else dockerfile_path(target)


def _spellings(path: str) -> list[str]:
    """The names under which a Dockerfile is looked for."""
    directory, name = os.path.split(path)
    names = dict.fromkeys((name, name.replace("Dockerfile", "dockerfile")))
    return [os.path.join(directory, each) for each in names]


def declared_args(file: Dockerfile) -> set[str]:
    """The names that any ARG of a Dockerfile declares, before the first FROM, in a stage, or for a later build."""
    found = {argument.key for command in file.meta_args for argument in command.args}
    for stage in file.stages:
        for command in stage.commands:
            if isinstance(command, ArgCommand):
                found.update(argument.key for argument in command.args)
            elif isinstance(command, OnbuildCommand):
                found.update(_triggered_args(command))
    return found


def _triggered_args(command: OnbuildCommand) -> Iterator[str]:
    from bakehouse.dockerfile.document import parse_onbuild_trigger
    from bakehouse.dockerfile.positions import DockerfileError

    try:
        trigger = parse_onbuild_trigger(command.expression, command.location)
    except (DockerfileError, BakehouseError):
        return
    if isinstance(trigger, ArgCommand):
        yield from (argument.key for argument in trigger.args)


def _full_name(tag: str) -> str:
    """A tag as a registry knows it, so that `app` and `docker.io/library/app:latest` are one."""
    try:
        return str(Reference.parse(tag))
    except DefinitionError:
        return tag
