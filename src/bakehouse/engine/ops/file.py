"""FileOp: copy, mkfile, mkdir, rm and symlink actions as one operation of the solver (engine.md §4, §8.2).

Role: which action works on which tree, which results are committed, and which of two ways a layer is made: in a
prepared directory, or straight from the sources into its blob when nothing will read the files. Keys are `file_keys`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.nodes import DirectoryTree, EmptyTree, FileTree, TreeReader, resolve
from bakehouse.engine.ops import file_actions
from bakehouse.engine.ops.file_archive import is_archive
from bakehouse.engine.ops.file_copy import Owner, created_metadata, resolve_wildcards
from bakehouse.engine.ops.file_destination import (
    D,
    Destination,
    DirectoryDestination,
    make_directories,
    resolve_in,
)
from bakehouse.engine.ops.file_keys import file_cache_map, invalid_user_index, owner_of
from bakehouse.engine.ops.file_owner import resolve_owner
from bakehouse.engine.sources.local import HostTree
from bakehouse.engine.tree import EngineContext, Tree
from bakehouse.errors import DefinitionError, IntegrityError
from bakehouse.llb.ops import Copy, FileAction, FileOp, MkDir, MkFile, Rm, Vertex
from bakehouse.solver.model import CacheMap, RunContext
from bakehouse.values import dataclass, field

if TYPE_CHECKING:
    from bakehouse.snapshots import Active, LayerChain


class FileOperation:
    """The operation of a FileOp vertex. Every published output is a `LayerTree`."""

    def __init__(self, vertex: Vertex, context: EngineContext) -> None:
        assert isinstance(vertex.op, FileOp)
        if not vertex.op.actions:
            raise DefinitionError("invalid file op with no actions", code="invalid-file-op")
        self._vertex = vertex
        self._op = vertex.op
        self._context = context
        self._outputs = _check_indexes(vertex.op.actions, len(vertex.inputs))

    def cache_map(self, context: RunContext) -> CacheMap:
        return file_cache_map(self._op, len(self._vertex.inputs))

    def run(self, context: RunContext, inputs: Sequence[Tree]) -> list[Tree]:
        """Runs the actions; one tree an output. Nothing is left behind when one of them fails."""
        from bakehouse.engine.ops.file_packed import NeedsDirectory

        if not context.files_needed and _is_plain_chain(self._op.actions, len(inputs)):
            try:
                return [self._run_packed(context, inputs)]
            except NeedsDirectory:
                context.cancel.check()
        with _DirectoryRun(self._op, self._context, context, inputs, self._vertex.name) as run:
            return [run.output(index) for index in self._outputs]

    def _run_packed(self, context: RunContext, inputs: Sequence[Tree]) -> Tree:
        """The whole op as one layer blob. Raises `NeedsDirectory` before anything was written."""
        from bakehouse.engine.ops.file_pack import open_base, write_packed
        from bakehouse.engine.ops.file_packed import PackedDestination

        first = self._op.actions[0]
        below = inputs[first.input] if first.input != -1 else None
        with ExitStack() as stack:
            base = open_base(below, stack)
            destination = PackedDestination(base)
            sources = _Sources(inputs, stack)
            for step in self._op.actions:
                context.cancel.check()
                owner = resolve_owner(owner_of(step.action), sources.open)
                _apply(
                    destination, step, owner, sources, _refuse_archives(step, sources), context.cancel.check
                )
            return write_packed(destination, below, self._context, self._vertex.name, context)


def _refuse_archives(step: FileAction, sources: _Sources) -> Callable[[str], bool]:
    """Packed layers take no archives: one that is met sends the op to a directory."""
    from bakehouse.engine.ops.file_packed import NeedsDirectory

    def unpack(path: str) -> bool:
        if sources.archive(step, path):
            raise NeedsDirectory
        return False

    return unpack


def _apply(
    destination: Destination[D],
    step: FileAction,
    owner: Owner | None,
    sources: _Sources,
    unpack: Callable[[str], bool],
    check: Callable[[], None],
) -> None:
    from bakehouse.engine.ops.file_packed import NeedsDirectory

    action = step.action
    if isinstance(action, Copy):
        tree, reader = sources.get(step.secondary_input)
        file_actions.copy(destination, action, owner, tree, reader, unpack, check)
    elif isinstance(action, MkFile):
        file_actions.make_file(destination, action, owner)
    elif isinstance(action, MkDir):
        file_actions.make_directory(destination, action, owner)
    elif isinstance(action, Rm):
        raise NeedsDirectory
    else:
        file_actions.make_symlink(destination, action, owner)


class _Sources:
    """The trees that actions read, opened once a run."""

    def __init__(self, inputs: Sequence[Tree], stack: ExitStack) -> None:
        self._inputs = inputs
        self._stack = stack
        self._open: dict[int, tuple[FileTree, TreeReader | None]] = {}

    def get(self, index: int) -> tuple[FileTree, TreeReader | None]:
        """The tree of input `index` (-1: scratch) and a reader of it."""
        if index not in self._open:
            if index == -1:
                self._open[index] = (EmptyTree(), None)
            else:
                tree = readable(self._inputs[index], self._stack)
                self._open[index] = (tree, self._stack.enter_context(closing(tree.reader())))
        return self._open[index]

    def add(self, index: int, tree: FileTree) -> None:
        self._open[index] = (tree, self._stack.enter_context(closing(tree.reader())))

    @contextmanager
    def open(self, index: int) -> Iterator[FileTree]:
        """The tree that a user name is looked up in."""
        if index < 0:
            raise invalid_user_index(index)
        yield self.get(index)[0]

    def archive(self, step: FileAction, path: str) -> bool:
        """Whether the copy source `path` is a regular file that ADD unpacks (links are followed)."""
        tree, reader = self.get(step.secondary_input)
        _, node = resolve(tree, path, True)
        return node is not None and reader is not None and is_archive(reader, node)


def readable(tree: Tree, stack: ExitStack) -> FileTree:
    """`tree` as nodes; what it takes to read it is held open by `stack`."""
    if isinstance(tree, HostTree):
        stack.callback(tree.close)
        return tree
    root = stack.enter_context(tree.mounted())
    return stack.enter_context(DirectoryTree(root))


@dataclass(slots=True)
class _Result:
    """The result of an action: a prepared directory still open to changes, or a committed tree."""

    active: Active | None = None
    chain: LayerChain | None = None
    tree: Tree | None = None


@dataclass(slots=True)
class _DirectoryRun:
    """One run of an op in prepared directories. Leaving the context discards what was not committed."""

    op: FileOp
    context: EngineContext
    run: RunContext
    inputs: Sequence[Tree]
    description: str
    _stack: ExitStack = field(default_factory=ExitStack)
    _results: dict[int, _Result] = field(default_factory=dict)
    _uses: dict[int, int] = field(default_factory=dict)

    def __enter__(self) -> _DirectoryRun:
        for number, step in enumerate(self.op.actions):
            for index in (step.input, step.secondary_input):
                self._uses[index] = self._uses.get(index, 0) + 1
            if step.output != -1:
                self._uses[len(self.inputs) + number] = 2
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def output(self, action: int) -> Tree:
        """The committed tree of action number `action`."""
        result = self._result(len(self.inputs) + action)
        assert result.tree is not None
        return result.tree

    def _result(self, index: int) -> _Result:
        known = self._results.get(index)
        if known is not None:
            return known
        if index < len(self.inputs):
            result = _Result(tree=self.inputs[index])
        else:
            result = self._run_action(index)
        self._results[index] = result
        return result

    def _run_action(self, index: int) -> _Result:
        self.run.cancel.check()
        step = self.op.actions[index - len(self.inputs)]
        active, chain = self._writable(step.input)
        with ExitStack() as stack:
            sources = _Sources(self.inputs, stack)
            for needed in _read_by(step):
                if needed >= len(self.inputs):
                    sources.add(needed, self._readable_result(needed, stack))
            destination = DirectoryDestination(active.root)
            stack.callback(destination.close)
            owner = resolve_owner(owner_of(step.action), sources.open)
            self._change(destination, active, step, owner, sources)
        if self._uses.get(index, 0) < 2:
            return _Result(active=active, chain=chain)
        layer = active.commit(description=self.description)
        return _Result(tree=LayerTree(chain.then(layer), self.context))

    def _writable(self, index: int) -> tuple[Active, LayerChain]:
        """A prepared directory that shows result `index`: its own when nobody else uses that result."""
        from bakehouse.snapshots import LayerChain

        if index == -1:
            chain = LayerChain(())
        else:
            result = self._result(index)
            if result.active is not None:
                assert result.chain is not None
                return result.active, result.chain
            assert result.tree is not None
            chain = result.tree.chain()
        return self._stack.enter_context(self.context.layers.prepare(chain)), chain

    def _readable_result(self, index: int, stack: ExitStack) -> FileTree:
        result = self._result(index)
        if result.active is not None:
            return stack.enter_context(DirectoryTree(result.active.root))
        assert result.tree is not None
        return readable(result.tree, stack)

    def _change(
        self,
        destination: DirectoryDestination,
        active: Active,
        step: FileAction,
        owner: Owner | None,
        sources: _Sources,
    ) -> None:
        if isinstance(step.action, Rm):
            with DirectoryTree(active.root) as tree:
                file_actions.remove(
                    destination, step.action, lambda path: resolve_wildcards(tree, path, False)
                )
            return

        def unpack(path: str) -> bool:
            return _unpack(destination, step, owner, sources, path, self.context.limits.unpacked)

        _apply(destination, step, owner, sources, unpack, self.run.cancel.check)


def _unpack(
    destination: DirectoryDestination,
    step: FileAction,
    owner: Owner | None,
    sources: _Sources,
    path: str,
    limit: int,
) -> bool:
    """Unpacks the archive at `path` into the destination directory, which is made. False when it is no archive. Raises
    `IntegrityError` for one that is broken or holds more than `limit` bytes (`archive-too-large`)."""
    from bakehouse.snapshots import extract_tar
    from bakehouse.snapshots.tarreader import TarLimits

    action = step.action
    assert isinstance(action, Copy)
    if not sources.archive(step, path):
        return False
    tree, reader = sources.get(step.secondary_input)
    _, node = resolve(tree, path, True)
    assert node is not None and reader is not None
    target = resolve_in(destination, action.dest)
    time = None if action.timestamp == -1 else action.timestamp
    make_directories(destination, target, 0o755, created_metadata(owner, time))
    directory = destination.root()
    for name in target:
        below = destination.enter(directory, name)
        destination.leave(directory)
        directory = below
    try:
        with os.fdopen(reader.open(node), "rb") as file:
            extract_tar(
                file,
                directory,
                owner=None if owner is None else (owner.uid, owner.gid),
                limits=TarLimits(bytes=limit),
            )
    except IntegrityError as error:
        if error.code == "archive-too-large":
            error.hint = "max-unpacked in the settings file raises the limit"
        raise
    finally:
        destination.leave(directory)
    return True


def _read_by(step: FileAction) -> set[int]:
    """The indexes whose files an action reads."""
    needed = {step.secondary_input} if isinstance(step.action, Copy) else set()
    owner = owner_of(step.action)
    for user in (owner.user, owner.group) if owner is not None else ():
        if user is not None and user.name is not None:
            needed.add(user.input)
    return needed


def _is_plain_chain(actions: Sequence[FileAction], input_count: int) -> bool:
    """Whether every action continues the one before it, reads only inputs, and the last alone is published."""
    for number, step in enumerate(actions):
        last = number == len(actions) - 1
        continues = step.input < input_count if number == 0 else step.input == input_count + number - 1
        if not continues or isinstance(step.action, Rm):
            return False
        if (step.output != -1) is not last or any(index >= input_count for index in _read_by(step)):
            return False
    return True


def _check_indexes(actions: Sequence[FileAction], input_count: int) -> list[int]:
    """Checks the index space; returns the numbers of the published actions in output order."""
    limit = input_count + len(actions)
    outputs: dict[int, int] = {}
    for number, step in enumerate(actions):
        for index in (step.input, step.secondary_input):
            if not -1 <= index < limit:
                raise DefinitionError(
                    f"invalid input index {index}, {limit} provided", code="invalid-file-op"
                )
            if index >= input_count + number:
                raise DefinitionError(f"loop from index {index}", code="invalid-file-op")
        if step.output != -1:
            if step.output in outputs:
                raise DefinitionError(f"duplicate output {step.output}", code="invalid-file-op")
            outputs[step.output] = number
    if not outputs:
        raise DefinitionError("no outputs specified", code="invalid-file-op")
    for expected in range(len(outputs)):
        if expected not in outputs:
            raise DefinitionError(f"missing output index {expected}", code="invalid-file-op")
    return [outputs[number] for number in range(len(outputs))]
