"""Solving a graph: which vertices have a cached result, which must run, in what order, each once (engine.md §7, §8).

A vertex output has *keys*: texts that name its result. A vertex without inputs has root keys, made of its cache map. A
vertex with inputs has ids found through links: (key of input i, i, op digest, selector, output) → id, and an id counts
when every input links to it. Keys of an input are its own ones ("fast") and, where the operation says so, the digest of
the content that is really read of it ("content key", rooted at output -1). A key need not have a result: what it names
may have been collected while the results of its consumers are still there.

Per vertex output, on demand only:

1. `fast`: keys found without completing any input. A consumer that is found by them ends the search: nothing below
   it is touched.
2. `keys`: inputs are resolved in turn, and what their keys lead to is looked up. Only when that is nothing, inputs with
   a content function are completed and their content key is looked up. Still no id: the vertex runs, and its result is
   saved under a new id linked from all keys known of its inputs.
3. `result`: the newest record of the keys is loaded; when there is none, or its files have vanished, the vertex runs.

What runs, and how two equal steps become one, is `execution`; the look-ups and links are `lookup`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from bakehouse.errors import BakehouseError, CancelledError
from bakehouse.progress.events import ProgressGroup, Reporter, VertexReporter
from bakehouse.solver.lookup import KeyIndex, KeyStore, root_key, root_keys
from bakehouse.solver.model import CacheMap, Cancellation, Operation, ResultStore, RunContext, StepLocks
from bakehouse.solver.tasks import Call, Routine, Task, TaskLoop

R = TypeVar("R")


class Node(Generic[R]):
    """One vertex of the graph handed to the solver. Equal `digest` means the same node: build each once.

    `weight` is the parallelism it takes while it runs, `local` says that its work is done in this process (see
    `tasks.Call`). `files_needed`: see `RunContext`; `read_inputs` are the inputs whose files it opens itself when it
    runs (None: all). `progress_group` is only shown. `wanted` are the outputs that somebody has asked for.
    """

    __slots__ = (
        "digest",
        "files_needed",
        "ignore_cache",
        "inputs",
        "local",
        "name",
        "operation",
        "progress_group",
        "read_inputs",
        "wanted",
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
        local: bool = False,
        progress_group: ProgressGroup | None = None,
        read_inputs: frozenset[int] | None = None,
    ) -> None:
        self.digest = digest
        self.name = name
        self.operation = operation
        self.inputs = tuple(inputs)
        self.ignore_cache = ignore_cache
        self.files_needed = files_needed
        self.weight = weight
        self.local = local
        self.progress_group = progress_group
        self.read_inputs = frozenset(range(len(self.inputs))) if read_inputs is None else read_inputs
        self.wanted: set[int] = set()
        for source, output in self.inputs:
            source.wanted.add(output)


class _Ready(Generic[R]):
    """A vertex whose inputs are there: their results, and all keys known of them. `step` names the work for every
    process ("" when its keys can never be met again)."""

    __slots__ = ("cache_map", "content", "own", "step", "trees")

    def __init__(
        self, cache_map: CacheMap, trees: list[R], own: list[list[str]], content: list[list[str]], step: str
    ) -> None:
        self.cache_map = cache_map
        self.trees = trees
        self.own = own
        self.content = content
        self.step = step


class _Outcome(Generic[R]):
    """What became of a vertex that had to run: results and keys by output. `ran` is False when an equal step, here or
    in another process, was faster."""

    __slots__ = ("keys", "ran", "results")

    def __init__(self, results: dict[int, R], keys: dict[int, list[str]], ran: bool) -> None:
        self.results = results
        self.keys = keys
        self.ran = ran


class _State(Generic[R]):
    """What this solve knows of one node. `found` holds the keys of an output, the one with the newest result first;
    `recorded` the outputs for which one of them had a result when looked up. `loaded` holds the (key, record) of each
    result that came from the cache, `spoilt` says that one of them was of no use."""

    __slots__ = (
        "cache_map",
        "content",
        "context",
        "fast",
        "found",
        "keys",
        "loaded",
        "map_task",
        "node",
        "ready",
        "recorded",
        "results",
        "run_task",
        "settled",
        "spoilt",
    )

    def __init__(self, node: Node[R], context: RunContext) -> None:
        self.node = node
        self.context = context
        self.cache_map: CacheMap | None = None
        self.map_task: Task | None = None
        self.run_task: Task | None = None
        self.fast: dict[int, Task] = {}
        self.keys: dict[int, Task] = {}
        self.results: dict[int, Task] = {}
        self.ready: dict[tuple[int, bool], Task] = {}
        self.loaded: dict[int, tuple[str, str]] = {}
        self.spoilt = False
        self.content: dict[int, Task] = {}
        self.found: dict[int, list[str]] = {}
        self.recorded: set[int] = set()
        self.settled = False

    @property
    def is_shown(self) -> bool:
        """True for a source that was asked for its key and not for its files: the display has seen that work."""
        return not self.node.inputs and self.cache_map is not None and self.run_task is None


class Solver(Generic[R]):
    """One solve. Not reusable. `locks` are locks between processes: a step under way elsewhere is awaited and then
    found in the cache instead of repeated."""

    def __init__(
        self,
        loop: TaskLoop,
        keys: KeyStore,
        records: ResultStore[R],
        reporter: Reporter,
        cancel: Cancellation,
        locks: StepLocks,
    ) -> None:
        self._loop = loop
        self._index = KeyIndex(keys)
        self._records = records
        self._reporter = reporter
        self._cancel = cancel
        self._locks = locks
        self._states: dict[str, _State[R]] = {}
        self._leaders: dict[str, _State[R]] = {}

    # -- public face ---------------------------------------------------------------------------------------------

    def announce(self, nodes: Sequence[Node[R]]) -> None:
        """Makes every node known to the progress display, in the order given (inputs before consumers)."""
        for node in nodes:
            self._state(node)

    def result(self, node: Node[R], output: int = 0) -> Task:
        """The task that yields the result of `node`'s output. Asking twice gives the same task."""
        state = self._state(node)
        if output not in state.results:
            node.wanted.add(output)
            state.results[output] = self._loop.spawn(self._result(state, output))
        return state.results[output]

    def known(self, node: Node[R], output: int) -> R | None:
        """The result of an output as far as the solve came upon it: made, or only named by a key that it looked up.
        Asks for no work. For any thread, once there is a result that stands on it."""
        state = self._states.get(node.digest)
        if state is None:
            return None
        task = state.results.get(output)
        if task is not None and task.done and task.error is None:
            made: R = task.result
            return made
        for key in state.found.get(output, ()):
            for record, _ in self._index.store.results(key):
                tree = self._records.load(record)
                if tree is not None:
                    return tree
        return None

    def files(self, node: Node[R], output: int = 0, *, opened: bool = True) -> Task:
        """`result`, whose files are here and can be opened: what came from the cache and cannot be had after all is
        made anew. When it is not to be `opened`, it may be packed."""
        state = self._state(node)
        if (output, opened) not in state.ready:
            state.ready[output, opened] = self._loop.spawn(self._ready(state, output, opened))
        return state.ready[output, opened]

    def keys_of(self, node: Node[R], output: int = 0) -> list[str]:
        """The keys that an output turned out to have, the one with the newest result first; none when nobody asked."""
        state = self._states.get(node.digest)
        return [] if state is None else list(state.found.get(output, ()))

    def finish(self, cancelled: bool) -> None:
        """Settles the display: vertices that never ran because a consumer was cached show as cached, and, when the
        solve was cancelled, started ones as canceled."""
        for state in self._states.values():
            reporter = state.context.reporter
            if state.settled or state.is_shown:
                continue
            state.settled = True
            if cancelled:
                if reporter.started is not None:
                    reporter.fail("context canceled")
            else:
                reporter.cached()

    # -- keys of one node ----------------------------------------------------------------------------------------

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

    def _mapped(self, state: _State[R]) -> Routine:
        """The cache map of the node, computed once."""
        if state.cache_map is None:
            if state.node.inputs:
                # Of an op with inputs it is a mere hash: not worth a hop to a worker.
                state.cache_map = self._map(state)
            else:
                if state.map_task is None:
                    state.map_task = self._loop.spawn(self._map_in_worker(state))
                (state.cache_map,) = yield [state.map_task]
        return state.cache_map

    def _map_in_worker(self, state: _State[R]) -> Routine:
        """Asking what a source stands for is work, and shown as a run of its own, as in BuildKit."""
        reporter = state.context.reporter

        def work() -> CacheMap:
            reporter.start()
            made = self._map(state)
            reporter.done()
            reporter.started = None
            return made

        return (yield Call(work, local=state.node.local))

    def _map(self, state: _State[R]) -> CacheMap:
        made: CacheMap = self._annotated(
            state, lambda: state.node.operation.cache_map(state.context), "failed to load cache key: "
        )
        if len(made.inputs) != len(state.node.inputs):
            raise BakehouseError(
                f"vertex {state.node.name!r} has {len(state.node.inputs)} inputs, its key {len(made.inputs)}"
            )
        return made

    def _fast(self, state: _State[R], output: int) -> Task:
        if output not in state.fast:
            state.fast[output] = self._loop.spawn(self._fast_keys(state, output))
        return state.fast[output]

    def _fast_keys(self, state: _State[R], output: int) -> Routine:
        """Keys known without completing any input; an empty list when the cache has no answer yet, and always for a
        node that ignores the cache, so that no consumer is found through it."""
        node = state.node
        cache_map: CacheMap = yield from self._mapped(state)
        if node.ignore_cache:
            return []
        if not node.inputs:
            return self._note(state, output, root_keys(cache_map, output))
        own = yield [self._fast(self._state(source), index) for source, index in node.inputs]
        return self._note(state, output, self._index.match(cache_map, own, [[] for _ in own], output))

    def _note(self, state: _State[R], output: int, keys: list[str]) -> list[str]:
        keys, recorded = self._index.ranked(keys)
        if recorded:
            state.recorded.add(output)
        if keys:
            state.found[output] = keys
        return keys

    def _keys(self, state: _State[R], output: int) -> Task:
        if output not in state.keys:
            state.keys[output] = self._loop.spawn(self._resolve_keys(state, output))
        return state.keys[output]

    def _resolve_keys(self, state: _State[R], output: int) -> Routine:
        """Keys of the output, whatever it takes: content look-ups first, execution last."""
        node = state.node
        (fast,) = yield [self._fast(state, output)]
        if not node.ignore_cache:
            if output in state.recorded or not node.inputs:
                return fast
            cache_map: CacheMap = yield from self._mapped(state)
            own = yield [self._keys(self._state(source), index) for source, index in node.inputs]
            matched, content = yield from self._matched(state, cache_map, own, output)
            keys = self._note(state, output, list(dict.fromkeys([*fast, *matched])))
            if keys:
                yield from self._linked(cache_map, own, content, output, keys[0])
                return keys
        yield [self._run(state)]
        return state.found.get(output, [])

    def _matched(self, state: _State[R], cache_map: CacheMap, own: list[list[str]], output: int) -> Routine:
        """(ids found, the content keys that it took). Content comes last, for an input must be completed to have it,
        which may mean running what is known by its key alone: first that of inputs whose own keys lead nowhere, then
        that of the others."""
        usable = _usable(state.node, own)
        content: list[list[str]] = [[] for _ in own]
        astray = self._index.leads_nowhere(cache_map, usable, output)
        if any(cache_map.inputs[number].content is None for number in astray):
            return [], content
        others = [number for number in range(len(own)) if number not in astray]
        for numbers in ([], astray, others):
            wanted = [number for number in numbers if cache_map.inputs[number].content is not None]
            found = yield [self._content(state, number, cache_map) for number in wanted]
            for number, key in zip(wanted, found, strict=True):
                content[number] = [key]
            matched = self._index.match(cache_map, usable, content, output)
            if matched:
                return matched, content
        return [], content

    def _linked(
        self, cache_map: CacheMap, own: list[list[str]], content: list[list[str]], output: int, target: str
    ) -> Routine:
        """Writes the links that are missing; in a worker, because it may wait for other writers."""
        write = self._index.missing_links(cache_map, own, content, output, target)
        if write is not None:
            yield Call(write, local=True)

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
        if index in self._state(source).loaded:
            # What the content is may be known though its files are not here, so they are not asked for at once.
            digest = yield Call(lambda: _attempted(compute, tree), local=source.local)
            if digest is not None:
                return root_key(digest, -1)
            (tree,) = yield [self.files(source, index)]
        digest = yield Call(
            lambda: self._annotated(state, lambda: compute(tree), "failed to compute cache key: "),
            local=source.local,
        )
        return root_key(digest, -1)

    # -- results of one node -------------------------------------------------------------------------------------

    def _result(self, state: _State[R], output: int) -> Routine:
        (keys,) = yield [self._keys(state, output)]
        if state.run_task is None and output in state.recorded:
            for key in keys:
                for record, _ in self._index.store.results(key):
                    tree = yield Call(partial(self._records.load, record), local=True)
                    if tree is not None:
                        self._settle_cached(state)
                        state.loaded[output] = key, record
                        return tree
                    self._index.store.drop_result(key, record)
        (outcome,) = yield [self._run(state)]
        if output not in outcome.results:
            raise BakehouseError(f"vertex {state.node.name!r} has no output {output}", code="internal")
        return outcome.results[output]

    def _ready(self, state: _State[R], output: int, opened: bool) -> Routine:
        (tree,) = yield [self.result(state.node, output)]
        if output not in state.loaded:
            return tree
        if (yield Call(partial(self._records.make_ready, tree, opened=opened))):
            return tree
        self._index.store.drop_result(*state.loaded.pop(output))
        state.spoilt = True
        (outcome,) = yield [self._run(state)]
        state.results[output] = state.ready[output, opened]
        return outcome.results[output]

    def _run(self, state: _State[R]) -> Task:
        if state.run_task is None:
            state.run_task = self._loop.spawn(self._execute(state))
        return state.run_task

    def _execute(self, state: _State[R]) -> Routine:
        """Runs the vertex, or takes over what an equal one has made, in this solve or in another process."""
        node = state.node
        cache_map: CacheMap = yield from self._mapped(state)
        trees = yield [
            self.files(source, index) if number in node.read_inputs else self.result(source, index)
            for number, (source, index) in enumerate(node.inputs)
        ]
        own, content = yield from self._known_keys(state, cache_map)
        for number, (source, index) in enumerate(node.inputs):
            # An input that had to be completed may have been found under another key than it was known by.
            own[number] = list(dict.fromkeys([*own[number], *self._state(source).found.get(index, ())]))
        ready: _Ready[R] = _Ready(cache_map, trees, own, content, self._index.step(cache_map, own, content))
        outcome = (yield from self._follow(state, ready)) or (yield from self._lead(state, ready))
        state.found |= outcome.keys
        if not outcome.ran:
            self._settle_cached(state)
        return outcome

    def _follow(self, state: _State[R], ready: _Ready[R]) -> Routine:
        """The outcome of another vertex of this solve whose keys turned out equal, or None when this one is the first.
        As in BuildKit, one that ignores the cache follows only its like. A leader has all its inputs, so no
        circle can come of it."""
        leader = self._leaders.get(ready.step) if ready.step else None
        if leader is None or leader is state or (state.node.ignore_cache and not leader.node.ignore_cache):
            if ready.step:
                self._leaders[ready.step] = state
            return None
        (led,) = yield [self._run(leader)]
        if not state.node.wanted <= led.results.keys():
            return None
        for output in led.keys:
            target = led.keys[output][0]
            yield from self._linked(ready.cache_map, ready.own, ready.content, output, target)
        return _Outcome(led.results, led.keys, ran=False)

    def _lead(self, state: _State[R], ready: _Ready[R]) -> Routine:
        while True:
            attempt = partial(self._attempt, state, ready)
            outcome = yield Call(attempt, state.node.weight, local=state.node.local)
            if outcome is not None:
                return outcome
            # Without slots: whoever waits for another process must not keep a third step from running.
            yield Call(partial(self._await_step, ready.step))

    # -- work in a worker thread ---------------------------------------------------------------------------------

    def _await_step(self, step: str) -> None:
        """Waits until the process that runs the step is done with it, or is dead."""
        delay_s = 0.002
        while not self._cancel.wait(delay_s):
            with self._locks.try_locked(step) as free:
                if free:
                    return
            delay_s = min(delay_s * 1.5, 0.1)
        raise CancelledError

    def _attempt(self, state: _State[R], ready: _Ready[R]) -> _Outcome[R] | None:
        """Runs the vertex under the lock between processes, unless another process has just done it. None when
        another process is at it."""
        if not ready.step:
            return self._perform(state, ready)
        with self._locks.try_locked(ready.step) as free:
            if not free:
                return None
            self._cancel.check()
            fresh = state.node.ignore_cache or state.spoilt
            made = None if fresh else self._made_elsewhere(state, ready)
            return made or self._perform(state, ready)

    def _made_elsewhere(self, state: _State[R], ready: _Ready[R]) -> _Outcome[R] | None:
        """What the cache has now, for all outputs that are wanted."""
        results: dict[int, R] = {}
        keys: dict[int, list[str]] = {}
        for output in state.node.wanted:
            if state.node.inputs:
                own = _usable(state.node, ready.own)
                found = self._index.match(ready.cache_map, own, ready.content, output)
            else:
                found = root_keys(ready.cache_map, output)
            keys[output], _ = self._index.ranked(found)
            records = (record for key in keys[output] for record, _ in self._index.store.results(key))
            tree = next((tree for tree in map(self._records.load, records) if tree is not None), None)
            if tree is None:
                return None
            results[output] = tree
        return _Outcome(results, keys, ran=False)

    def _perform(self, state: _State[R], ready: _Ready[R]) -> _Outcome[R]:
        reporter = state.context.reporter

        def work() -> list[R]:
            # It may have been shown as cached below a consumer that was.
            state.settled = False
            reporter.start()
            return state.node.operation.run(state.context, ready.trees)

        results: list[R] = self._annotated(state, work)
        keys = self._annotated(state, lambda: self._save(state, ready, results))
        state.settled = True
        if state.context.cached:
            reporter.cached()
        else:
            reporter.done()
        return _Outcome(dict(enumerate(results)), keys, ran=True)

    def _save(self, state: _State[R], ready: _Ready[R], results: list[R]) -> dict[int, list[str]]:
        """Records the results under the keys of the vertex; returns those by output."""
        store, cache_map = self._index.store, ready.cache_map
        keys: dict[int, list[str]] = {}
        with store.batch():
            for output, result in enumerate(results):
                if state.node.inputs:
                    # A vertex that was found but whose files were gone keeps its id: consumers hang on it.
                    known = [] if state.node.ignore_cache else state.found.get(output, [])
                    keys[output] = known[:1] or [store.new_id()]
                    self._index.link(cache_map, ready.own, ready.content, output, keys[output][0])
                else:
                    keys[output] = root_keys(cache_map, output)
                saved = self._records.save(result) if cache_map.recorded and keys[output] else None
                if saved is not None:
                    for key in keys[output]:
                        store.add_result(key, saved)
        return keys

    def _annotated(self, state: _State[R], work: Callable[[], Any], doing: str = "") -> Any:
        """Runs `work`; an error is reported on the vertex, and carries from here on its name and, in front of its
        message, what was being done."""
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
            error.message = doing + error.message
            raise
        except BaseException as error:
            state.settled = True
            reporter.fail(str(error) or type(error).__name__)
            raise

    def _settle_cached(self, state: _State[R]) -> None:
        """Shows `state` and all below it that was never touched as cached, inputs first, as BuildKit does."""
        pending = [(state, False)]
        while pending:
            current, expanded = pending.pop()
            if current.settled or (current.is_shown and current is not state):
                continue
            if expanded:
                current.settled = True
                current.context.reporter.cached()
            elif current.run_task is None or current is state:
                pending.append((current, True))
                pending += [(self._state(source), False) for source, _ in current.node.inputs]


def _attempted(compute: Callable[[Any], str], tree: Any) -> str | None:
    """The digest of a tree's content; None when it cannot be computed, for whatever reason."""
    try:
        return compute(tree)
    except CancelledError:
        raise
    except BakehouseError:
        return None


def _usable(node: Node[Any], own: list[list[str]]) -> list[list[str]]:
    """The keys of inputs by which `node` may be found: nothing is found through a vertex that ignores the cache."""
    return [[] if source.ignore_cache else keys for (source, _), keys in zip(node.inputs, own, strict=True)]


__all__ = ["Node", "Solver"]
