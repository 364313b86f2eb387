"""File ops under construction: copy, mkdir, mkfile, rm, symlink, chained into one op (engine.md §4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from bakehouse.errors import InternalError
from bakehouse.go.paths import clean_path
from bakehouse.lazy import regex
from bakehouse.llb import caps
from bakehouse.llb.draft import Constraints, InputList, Node, Output, SealDefaults, finish
from bakehouse.llb.ops import (
    Action,
    Chown,
    Copy,
    Edge,
    FileAction,
    FileOp,
    MkDir,
    MkFile,
    Rm,
    Symlink,
    User,
    Vertex,
)
from bakehouse.values import dataclass, replace

_INTEGER = regex(r"[+-]?[0-9]+\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class CopyFrom:
    """A copy out of `source` (None: scratch). `action.src` is relative to `source_dir`."""

    action: Copy
    source: Output | None
    source_dir: str = "/"


Step = CopyFrom | MkDir | MkFile | Rm | Symlink


class FileNode(Node):
    """The steps done one after the other on `base` (None: an empty tree); relative paths are below `directory`."""

    def __init__(
        self, base: Output | None, directory: str, steps: Sequence[Step], constraints: Constraints
    ) -> None:
        if not steps:
            raise InternalError("a file op without actions")
        self.base = base
        self.directory = directory
        self.steps = tuple(steps)
        # BuildKit's client means to add capabilities of the single actions too, but never does.
        self.constraints = constraints.with_caps(caps.FILE_BASE)

    def dependencies(self) -> Sequence[Output]:
        sources = [step.source for step in self.steps if isinstance(step, CopyFrom)]
        return [output for output in (self.base, *sources) if output is not None]

    def seal(self, edges: Callable[[Output], Edge], defaults: SealDefaults) -> Vertex:
        inputs = InputList()
        base = -1 if self.base is None else inputs.add(edges(self.base))
        secondary = []
        for step in self.steps:
            has_source = isinstance(step, CopyFrom) and step.source is not None
            secondary.append(inputs.add(edges(step.source)) if has_source else -1)  # type: ignore[union-attr,arg-type]
        last = len(self.steps) - 1
        actions = tuple(
            FileAction(
                _placed(step, self.directory, base),
                base if position == 0 else len(inputs.edges) + position - 1,
                secondary[position],
                0 if position == last else -1,
            )
            for position, step in enumerate(self.steps)
        )
        # The walk goes from the last action to the first; the tree that is changed comes before all sources.
        base_output, *sources = self.dependencies() if self.base is not None else (None, *self.dependencies())
        walked = [output for output in (base_output, *reversed(sources)) if output is not None]
        visits = [edges(output) for output in walked]
        return finish(FileOp(actions), inputs.edges, self.constraints, visits=visits)


def _placed(step: Step, directory: str, base: int) -> Action:
    """The action of `step` with absolute paths, and with owners looked up in input `base`."""
    if isinstance(step, CopyFrom):
        copy = step.action
        return replace(
            copy,
            src=absolute_path(step.source_dir, copy.src),
            dest=absolute_path(directory, copy.dest, keep_slash=True),
            owner=_looked_up_in(copy.owner, base),
        )
    if isinstance(step, MkDir | MkFile):
        return replace(
            step,
            path=absolute_path(directory, step.path),
            mode=step.mode & 0o777,
            owner=_looked_up_in(step.owner, base),
        )
    if isinstance(step, Rm):
        return replace(step, path=absolute_path(directory, step.path))
    return replace(step, owner=_looked_up_in(step.owner, base))


def absolute_path(parent: str, path: str, *, keep_slash: bool = False) -> str:
    """`path` cleaned and absolute, below `parent` when it is relative. `keep_slash` keeps a final `/` or `/.`, which
    says that a copy destination is a directory."""
    out = clean_path(path)
    if not out.startswith("/"):
        out = clean_path(f"/{parent}/{out}")
    if keep_slash:
        if path.endswith("/") and not out.endswith("/"):
            out += "/"
        elif path.endswith("/."):
            out = (out if out == "/" else out + "/") + "."
    return out


def _looked_up_in(owner: Chown | None, base: int) -> Chown | None:
    if owner is None:
        return None
    return Chown(_user_in(owner.user, base), _user_in(owner.group, base))


def _user_in(user: User | None, base: int) -> User | None:
    return user if user is None or user.name is None else replace(user, input=base)


def parse_owner(text: str) -> Chown:
    """`user[:group]` as ids and names. `root` is id 0, also as a group; an empty name is id 0."""
    user, colon, group = text.partition(":")
    return Chown(_parse_user(user), _parse_user(group) if colon else None)


def _parse_user(text: str) -> User:
    if text in ("", "root"):
        return User(0)
    if _INTEGER.match(text):
        value = int(text)
        if -(1 << 31) <= value < 1 << 31:
            return User(value & 0xFFFFFFFF)
    return User(0, text)
