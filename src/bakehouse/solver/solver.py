"""Solving a graph: which vertices have a cached result, which must run, in what order, each once (engine.md §7, §8).

A vertex output has *keys*: texts that name its result. A vertex without inputs has root keys, made of its cache map. A
vertex with inputs has ids found through links: (key of input i, i, op digest, selector, output) → id, and an id counts
when every input links to it. Keys of an input are its own ones ("fast") and, where the operation says so, the digest of
the content that is really read of it ("content key", rooted at output -1).

Per vertex output, on demand only:

1. `fast_keys`: keys found without completing any input. A hit ends the search: nothing below is touched.
2. `keys`: inputs are resolved in turn; those with a content function are completed and their content key is looked
   up. Still no id: the vertex runs, and its result is saved under a new id linked from all keys known of its inputs.
3. `result`: the saved record is loaded; when its files have vanished the vertex runs after all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

from bakehouse.errors import BakehouseError, CancelledError
from bakehouse.progress.events import ProgressGroup, Reporter, VertexReporter
from bakehouse.solver.model import CacheMap, Cancellation, Operation, ResultStore, RunContext
from bakehouse.solver.tasks import Call, Routine, Task, TaskLoop

R = TypeVar("R")
_RANDOM = "random:"


class Node(Generic[R]):
    """One vertex of the graph handed to the solver. Equal `digest` means the same node: build each once.

    `weight` is the parallelism it takes while it runs. `files_needed`: see `RunContext`. `progress_group` is only
    shown.
    """

    __slots__ = (
        "digest",
        "files_needed",
        "ignore_cache",
        "inputs",
        "name",
        "operation",
        "progress_group",
        "weight",
    )

    def __init__(
        self,
        digest: str,
        name: str,
        operation: Operation[R],
        inputs: Sequence[tuple[Node[R], int]] = (),
        *,
        ignore_cache: bool = False,
        files_needed: bool = True,
        weight: int = 1,
        progress_group: ProgressGroup | None = None,
    ) -> None:
        self.digest = digest
        self.name = name
        self.operation = operation
        self.inputs = tuple(inputs)
        self.ignore_cache = ignore_cache
        self.files_needed = files_needed
        self.weight = weight
        self.progress_group = progress_group


class KeyStore(Protocol):
    """The durable tables of keys, links and results (`store.cachekeys.CacheKeyStore`)."""

    def query_links(self, source_key: str, input: int, op: str, selector: str, output: int) -> list[str]: ...
    def add_link(
        self, source_key: str, input: int, op: str, selector: str, output: int, target: str
    ) -> None: ...
    def results(self, key: str) -> list[tuple[str, float]]: ...
    def add_result(self, key: str, record: str) -> None: ...
    def drop_result(self, key: str, record: str) -> None: ...
    def new_id(self) -> str: ...
    def batch(self) -> AbstractContextManager[object]: ...


def root_key(digest: str, output: int) -> str:
    """The key of a vertex output without inputs, or of a content digest (`output` -1): engine.md §8.1."""
    return "sha256:" + hashlib.sha256(f"{digest}@{output}".encode()).hexdigest()


class _State(Generic[R]):
    """What this solve knows of one node."""

    __slots__ = (
        "content",
        "context",
        "executed",
        "fast",
        "keys",
        "map_task",
        "matched",
        "node",
        "results",
        "run_task",
        "settled",
    )

    def __init__(self, node: Node[R], context: RunContext) -> None:
        self.node = node
        self.context = context
        self.map_task: Task | None = None
        self.fast: dict[int, Task] = {}
        self.keys: dict[int, Task] = {}
        self.results: dict[int, Task] = {}
        self.run_task: Task | None = None
        self.content: dict[int, Task] = {}
        self.matched: dict[int, list[str]] = {}
        self.executed = False
        self.settled = False


class Solver(Generic[R]):
    """One solve. Not reusable. `guard(name)` is a lock between processes that is held while a step runs, so that a
    step under way elsewhere is awaited and then found in the cache instead of repeated."""

    def __init__(
        self,
        loop: TaskLoop,
        keys: KeyStore,
        records: ResultStore[R],
        reporter: Reporter,
        cancel: Cancellation,
        guard: Callable[[str], AbstractContextManager[object]],
    ) -> None:
        self._loop = loop
        self._store = keys
        self._records = records
        self._reporter = reporter
        self._cancel = cancel
        self._guard = guard
        self._states: dict[str, _State[R]] = {}

    # -- public face ---------------------------------------------------------------------------------------------

    def announce(self, nodes: Sequence[Node[R]]) -> None:
        """Makes every node known to the progress display, in the order given (inputs before consumers)."""
        for node in nodes:
            self._state(node)

    def result(self, node: Node[R], output: int = 0) -> Task:
        """The task that yields the result of `node`'s output. Asking twice gives the same task."""
        state = self._state(node)
        if output not in state.results:
            state.results[output] = self._loop.spawn(self._result(state, output))
        return state.results[output]

    def finish(self, cancelled: bool) -> None:
        """Settles the display: vertices that never ran because a consumer was cached show as cached, and, when the
        solve was cancelled, started ones as canceled."""
        for state in self._states.values():
            reporter = state.context.reporter
            if state.settled:
                continue
            state.settled = True
            if cancelled:
                if reporter.started is not None:
                    reporter.fail("context canceled")
            else:
                reporter.cached()

    # -- tasks of one node ---------------------------------------------------------------------------------------

    def _state(self, node: Node[R]) -> _State[R]:
        state = self._states.get(node.digest)
        if state is None:
            reporter = self._reporter.vertex(
                node.digest,
                node.name,
                tuple(source.digest for source, _ in node.inputs),
                node.progress_group,
            )
            state = _State(node, RunContext(reporter, self._cancel, node.files_needed))
            self._states[node.digest] = state
        return state

    def _map(self, state: _State[R]) -> Task:
        if state.map_task is None:
            state.map_task = self._loop.spawn(self._cache_map(state))
        return state.map_task

    def _cache_map(self, state: _State[R]) -> Routine:
        operation, context = state.node.operation, state.context
        if state.node.inputs:
            # Of an op with inputs it is a mere hash: not worth a hop to a worker.
            return self._annotated(state, lambda: operation.cache_map(context))
        return (yield Call(lambda: self._annotated(state, lambda: operation.cache_map(context))))

    def _fast(self, state: _State[R], output: int) -> Task:
        if output not in state.fast:
            state.fast[output] = self._loop.spawn(self._fast_keys(state, output))
        return state.fast[output]

    def _fast_keys(self, state: _State[R], output: int) -> Routine:
        """Keys known without completing any input; an empty list when the cache has no answer yet."""
        node = state.node
        (cache_map,) = yield [self._map(state)]
        if not node.inputs:
            digests = (cache_map.digest, *cache_map.content_digests)
            return [root_key(digest, output) for digest in digests if not digest.startswith(_RANDOM)]
        if node.ignore_cache:
            return []
        known = yield [self._fast(self._state(source), index) for source, index in node.inputs]
        matched = self._match(cache_map, known, [[] for _ in node.inputs], output)
        return self._accept(state, output, matched)

    def _keys(self, state: _State[R], output: int) -> Task:
        if output not in state.keys:
            state.keys[output] = self._loop.spawn(self._resolve_keys(state, output))
        return state.keys[output]

    def _resolve_keys(self, state: _State[R], output: int) -> Routine:
        """Keys of the output, whatever it takes: content lookups first, execution last."""
        node = state.node
        (fast,) = yield [self._fast(state, output)]
        if fast or not node.inputs:
            return fast
        (cache_map,) = yield [self._map(state)]
        if not node.ignore_cache:
            own, content = yield from self._known_keys(state, cache_map)
            matched = self._accept(state, output, self._match(cache_map, own, content, output))
            if matched:
                self._link(cache_map, own, content, output, matched[0])
                return matched
        yield [self._run(state)]
        return state.matched.get(output, [])

    def _known_keys(self, state: _State[R], cache_map: CacheMap) -> Routine:
        """(own keys, content keys) of every input, inputs resolved at once in parallel."""
        node = state.node
        waits: list[Task] = [self._keys(self._state(source), index) for source, index in node.inputs]
        slow = [number for number, key in enumerate(cache_map.inputs) if key.content is not None]
        waits += [self._content(state, number, cache_map) for number in slow]
        answers = yield waits
        own = answers[: len(node.inputs)]
        content: list[list[str]] = [[] for _ in node.inputs]
        for number, key in zip(slow, answers[len(node.inputs) :], strict=True):
            content[number] = [key]
        return own, content

    def _content(self, state: _State[R], number: int, cache_map: CacheMap) -> Task:
        if number not in state.content:
            state.content[number] = self._loop.spawn(self._content_key(state, number, cache_map))
        return state.content[number]

    def _content_key(self, state: _State[R], number: int, cache_map: CacheMap) -> Routine:
        source, index = state.node.inputs[number]
        (tree,) = yield [self.result(source, index)]
        compute = cache_map.inputs[number].content
        assert compute is not None

        def computed() -> str:
            try:
                return compute(tree)
            except CancelledError:
                raise
            except BakehouseError as error:
                error.message = f"failed to compute cache key: {error.message}"
                raise

        digest = yield Call(lambda: self._annotated(state, computed))
        return root_key(digest, -1)

    def _result(self, state: _State[R], output: int) -> Routine:
        node = state.node
        (keys,) = yield [self._keys(state, output)]
        if not state.executed:
            for key in keys:
                for record, _ in self._store.results(key):
                    tree = self._records.load(record)
                    if tree is not None:
                        self._settle_cached(state)
                        return tree
                    self._store.drop_result(key, record)
        (results,) = yield [self._run(state)]
        if output >= len(results):
            raise BakehouseError(f"vertex {node.name!r} has no output {output}", code="internal")
        return results[output]

    def _run(self, state: _State[R]) -> Task:
        if state.run_task is None:
            state.run_task = self._loop.spawn(self._execute(state))
        return state.run_task

    def _execute(self, state: _State[R]) -> Routine:
        node = state.node
        (cache_map,) = yield [self._map(state)]
        trees = yield [self.result(source, index) for source, index in node.inputs]
        if not node.inputs:
            results = yield Call(lambda: self._perform(state, trees), slots=node.weight)
            state.executed = True
            return results
        own, content = yield from self._known_keys(state, cache_map)
        name = _lock_name(cache_map, own, content)
        results = yield Call(
            lambda: self._perform_once(state, cache_map, trees, own, content, name), node.weight
        )
        state.executed = True
        return results

    # -- work in a worker thread ---------------------------------------------------------------------------------

    def _perform_once(
        self,
        state: _State[R],
        cache_map: CacheMap,
        trees: list[R],
        own: list[list[str]],
        content: list[list[str]],
        name: str,
    ) -> list[R]:
        """Runs the vertex under the lock between processes, unless another process has just done it."""
        with self._guard(name):
            self._cancel.check()
            if not state.node.ignore_cache and not state.matched:
                matched = self._match(cache_map, own, content, 0)
                for key in matched:
                    for record, _ in self._store.results(key):
                        tree = self._records.load(record)
                        if tree is not None:
                            state.matched[0] = matched
                            self._settle_cached(state)
                            return [tree]
            results = self._perform(state, trees)
            with self._store.batch():
                for output, result in enumerate(results):
                    # A vertex that was matched but whose files were gone keeps its id: consumers hang on it.
                    target = state.matched.get(output, [""])[0] or self._store.new_id()
                    self._link(cache_map, own, content, output, target)
                    saved = self._records.save(result)
                    if saved is not None:
                        self._store.add_result(target, saved)
                    state.matched[output] = [target]
            return results

    def _perform(self, state: _State[R], trees: list[R]) -> list[R]:
        reporter = state.context.reporter
        reporter.start()
        results: list[R] = self._annotated(state, lambda: state.node.operation.run(state.context, trees))
        state.settled = True
        reporter.done()
        return results

    def _annotated(self, state: _State[R], work: Callable[[], Any]) -> Any:
        """Runs `work`; an error is reported on the vertex and carries its name from here on."""
        reporter: VertexReporter = state.context.reporter
        try:
            self._cancel.check()
            return work()
        except CancelledError:
            if reporter.started is not None and not state.settled:
                state.settled = True
                reporter.fail("context canceled")
            raise
        except BakehouseError as error:
            if error.vertex is None:
                error.vertex = state.node.name
                error.vertex_digest = state.node.digest
            state.settled = True
            reporter.fail(error.message)
            raise
        except BaseException as error:
            state.settled = True
            reporter.fail(str(error) or type(error).__name__)
            raise

    # -- keys ----------------------------------------------------------------------------------------------------

    def _match(
        self, cache_map: CacheMap, own: list[list[str]], content: list[list[str]], output: int
    ) -> list[str]:
        """Ids that every input links to, in the order in which the first input names them."""
        found: dict[str, None] | None = None
        for number, key in enumerate(cache_map.inputs):
            targets: dict[str, None] = {}
            for source in own[number]:
                targets |= dict.fromkeys(
                    self._store.query_links(source, number, cache_map.digest, key.selector, output)
                )
            for source in content[number]:
                targets |= dict.fromkeys(
                    self._store.query_links(source, number, cache_map.digest, "", output)
                )
            found = targets if found is None else {name: None for name in found if name in targets}
            if not found:
                return []
        return list(found or {})

    def _accept(self, state: _State[R], output: int, matched: list[str]) -> list[str]:
        """Keeps only ids that still have a result, newest result first."""
        dated = []
        for key in matched:
            results = self._store.results(key)
            if results:
                dated.append((max(created for _, created in results), key))
        keys = [key for _, key in sorted(dated, key=lambda item: -item[0])]
        if keys:
            state.matched[output] = keys
        return keys

    def _link(
        self, cache_map: CacheMap, own: list[list[str]], content: list[list[str]], output: int, target: str
    ) -> None:
        """Makes every known key of every input lead to `target`, so that the next search is a fast one."""
        with self._store.batch():
            for number, key in enumerate(cache_map.inputs):
                for source in own[number]:
                    self._store.add_link(source, number, cache_map.digest, key.selector, output, target)
                for source in content[number]:
                    self._store.add_link(source, number, cache_map.digest, "", output, target)

    def _settle_cached(self, state: _State[R]) -> None:
        """Shows `state` and all below it that was never touched as cached, inputs first, as BuildKit does."""
        pending = [(state, False)]
        while pending:
            current, expanded = pending.pop()
            if current.settled:
                continue
            if expanded:
                current.settled = True
                current.context.reporter.cached()
            elif current.run_task is None or current is state:
                pending.append((current, True))
                pending += [(self._state(source), False) for source, _ in current.node.inputs]


def _lock_name(cache_map: CacheMap, own: list[list[str]], content: list[list[str]]) -> str:
    hasher = hashlib.sha256(cache_map.digest.encode())
    for number in range(len(own)):
        hasher.update(b"\0" + min([*content[number], *own[number]], default="").encode())
    return "step-" + hasher.hexdigest()
