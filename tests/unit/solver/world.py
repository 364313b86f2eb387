"""A toy world for the solver: text results, keys in memory, locks between processes of which there is one."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from bakehouse.progress.events import Reporter, VertexEvent
from bakehouse.solver.model import CacheMap, Cancellation, InputKey, RunContext
from bakehouse.solver.solver import Node, Solver
from bakehouse.solver.tasks import TaskLoop
from bakehouse.solver.workers import WorkerPool


class MemoryKeys:
    """The key tables as dictionaries."""

    def __init__(self) -> None:
        self.links: dict[tuple[str, int, str, str, int], list[str]] = defaultdict(list)
        self.records: dict[str, list[tuple[str, float]]] = defaultdict(list)
        self.count = 0

    def query_links(self, source_key: str, input: int, op: str, selector: str, output: int) -> list[str]:
        return list(self.links.get((source_key, input, op, selector, output), ()))

    def add_link(self, source_key: str, input: int, op: str, selector: str, output: int, target: str) -> None:
        row = self.links[source_key, input, op, selector, output]
        if target not in row:
            row.append(target)

    def results(self, key: str) -> list[tuple[str, float]]:
        return list(self.records.get(key, ()))

    def add_result(self, key: str, record: str) -> None:
        self.records[key].append((record, time.time()))

    def drop_result(self, key: str, record: str) -> None:
        self.records[key] = [row for row in self.records[key] if row[0] != record]

    def new_id(self) -> str:
        self.count += 1
        return f"id{self.count}"

    def batch(self) -> nullcontext[None]:
        return nullcontext()


class FreeLocks:
    """Locks between processes, of which there is one."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def try_locked(self, name: str) -> Iterator[bool]:
        with self._lock:
            free = name not in self.held
            self.held.add(name)
        try:
            yield free
        finally:
            if free:
                self.held.discard(name)


class TextRecords:
    """Results are their own records; those in `lost` have vanished from disk, those in `spoilt` turn out to be of no
    use when their files are wanted."""

    def __init__(self) -> None:
        self.lost: set[str] = set()
        self.spoilt: set[str] = set()
        self.loads: list[str] = []

    def save(self, result: str) -> str | None:
        return None if result.startswith("context:") else result

    def load(self, record: str) -> str | None:
        self.loads.append(record)
        return None if record in self.lost else record

    def make_ready(self, result: str, *, opened: bool) -> bool:
        return result not in self.spoilt


class Op:
    """A toy operation that counts its runs and joins its inputs."""

    def __init__(
        self,
        name: str,
        *,
        digest: str | None = None,
        content: Callable[[str], str] | None = None,
        inputs: int = 0,
        action: Callable[[RunContext, Sequence[str]], str] | None = None,
        outputs: int = 1,
    ) -> None:
        self.name = name
        self.digest = digest or f"op:{name}"
        self.keys = tuple(InputKey("", content) for _ in range(inputs))
        self.action = action
        self.outputs = outputs
        self.runs = 0

    def cache_map(self, context: RunContext) -> CacheMap:
        return CacheMap(self.digest, self.keys)

    def run(self, context: RunContext, inputs: Sequence[str]) -> list[str]:
        self.runs += 1
        if self.action is not None:
            return [self.action(context, inputs)]
        text = f"{self.name}({','.join(inputs)})"
        return [text] + [f"{text}#{number}" for number in range(1, self.outputs)]


class World:
    """What outlives one solve."""

    def __init__(self) -> None:
        self.keys = MemoryKeys()
        self.records = TextRecords()
        self.locks = FreeLocks()
        self.events: list[object] = []

    def solve(
        self, *nodes: Node[str], cancel: Cancellation | None = None, parallelism: int = 64
    ) -> list[str]:
        """The results of output 0 of `nodes`."""
        return self.solve_outputs(*((node, 0) for node in nodes), cancel=cancel, parallelism=parallelism)

    def solve_outputs(
        self, *wanted: tuple[Node[str], int], cancel: Cancellation | None = None, parallelism: int = 64
    ) -> list[str]:
        cancel = cancel or Cancellation()
        pool = WorkerPool(80)
        self.events = []
        loop = TaskLoop(pool, cancel, parallelism)
        solver: Solver[str] = Solver(
            loop, self.keys, self.records, Reporter(self.events.append), cancel, self.locks
        )
        try:
            results = loop.run([solver.result(node, output) for node, output in wanted])
        except BaseException:
            solver.finish(cancelled=True)
            raise
        finally:
            pool.close()
        solver.finish(cancelled=False)
        return results

    def final(self) -> dict[str, VertexEvent]:
        return {event.name: event for event in self.events if isinstance(event, VertexEvent)}


def node(op: Op, *inputs: Node[str], **options: bool) -> Node[str]:
    return Node("sha256:" + op.name, op.name, op, [(source, 0) for source in inputs], **options)
