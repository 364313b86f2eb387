"""Cooperative tasks over a bounded thread pool: the one place where a build waits, runs things at once, and stops.

A task is a generator driven by the thread that calls `TaskLoop.run`. It yields either a list of tasks (resumed with
their results when all are done; the first failure is thrown in) or a `Call` (run by a worker thread, resumed with its
return value). So thousands of waiting vertices cost no thread, and all bookkeeping happens in one thread without locks.
Nothing here knows what a vertex is; the threads are `solver.workers`.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bakehouse.errors import CancelledError
from bakehouse.solver.model import Cancellation
from bakehouse.solver.workers import WorkerPool

#: A signal that comes in the instant before this thread goes to sleep does not wake it, and its handler runs only when
#: something else does.
_LOOK_FOR_SIGNALS_S = 0.2

Routine = Generator[Any, Any, Any]


class Call:
    """A blocking call for a worker thread.

    `slots` of the loop's parallelism are held while it runs (0 for a lookup, 1 for a step). A `local` call computes in
    this very process; of those only a few run at once, because threads that fight for the interpreter's lock are
    slower than threads that wait in a queue. Whatever waits for a network or another process must not be `local`.
    """

    __slots__ = ("function", "local", "slots")

    def __init__(self, function: Callable[[], Any], slots: int = 0, *, local: bool = False) -> None:
        self.function = function
        self.slots = slots
        self.local = local


class Task:
    """A running or finished routine. `result` is valid once `done` without `error`."""

    __slots__ = ("_routine", "_waiters", "done", "error", "result")

    def __init__(self, routine: Routine) -> None:
        self._routine: Routine | None = routine
        self._waiters: list[_Wait] = []
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class _Wait:
    """One task that waits for others. `remaining` counts those not done; -1 once the task was resumed."""

    __slots__ = ("others", "remaining", "task")

    def __init__(self, task: Task, others: Sequence[Task], remaining: int) -> None:
        self.task = task
        self.others = others
        self.remaining = remaining


class TaskLoop:
    """Drives tasks in the thread that calls `run`.

    On the first failure of a root task, or when `cancel` fires, calls not yet started are dropped, those that run are
    waited for (they watch `cancel` themselves), and the error of that root task is raised. Ctrl-C in the driving
    thread, where nobody else handles it, cancels likewise and surfaces as `CancelledError`.
    """

    def __init__(self, pool: WorkerPool, cancel: Cancellation, parallelism: int) -> None:
        self._pool = pool
        self._cancel = cancel
        self._parallelism = self._free_slots = max(1, parallelism)
        self._free_local = local_parallelism()
        # In the order of asking, local calls apart from the others.
        self._queues: tuple[deque[tuple[Task, Call]], ...] = (deque(), deque())
        self._ready: deque[tuple[Task, Any, BaseException | None]] = deque()
        self._finished: queue.SimpleQueue[tuple[Task, Call, Any, BaseException | None] | None] = (
            queue.SimpleQueue()
        )
        self._running = 0

    def spawn(self, routine: Routine) -> Task:
        """Makes a task of `routine`; it takes its first step in the next turn of the loop."""
        task = Task(routine)
        self._ready.append((task, None, None))
        return task

    def run(self, roots: Sequence[Task]) -> list[Any]:
        """Drives until every root is done and returns their results in order. Raises the error of the root that
        failed first."""
        forget = self._cancel.on_cancel(lambda: self._finished.put(None))
        try:
            with _interrupt_cancels(self._cancel):
                return self._drive(self.spawn(_all(roots)))
        finally:
            forget()

    def _drive(self, main: Task) -> list[Any]:
        while True:
            self._step_all()
            if main.done and main.error is None:
                results: list[Any] = main.result
                return results
            if main.error is not None:
                self._cancel.cancel()
            self._start_queued()
            if self._ready:
                continue
            if self._running:
                self._collect()
            elif main.error is not None:
                raise main.error
            elif self._cancel.cancelled:
                raise CancelledError
            else:
                raise AssertionError("tasks wait for each other")

    # -- calls ---------------------------------------------------------------------------------------------------

    def _start_queued(self) -> None:
        for queued in self._queues:
            while queued and (self._cancel.cancelled or self._fits(queued[0][1])):
                self._start(*queued.popleft())

    def _fits(self, call: Call) -> bool:
        return call.slots <= self._free_slots and (not call.local or self._free_local > 0)

    def _start(self, task: Task, call: Call) -> None:
        if self._cancel.cancelled:
            self._ready.append((task, None, CancelledError()))
            return

        def job() -> None:
            value, error = None, None
            try:
                value = call.function()
            except BaseException as caught:
                error = caught
            self._finished.put((task, call, value, error))

        try:
            self._pool.submit(job)
        except BaseException as error:
            self._ready.append((task, None, error))
            return
        self._running += 1
        self._free_slots -= call.slots
        self._free_local -= call.local

    def _collect(self) -> None:
        """Waits for a finished call (or the cancellation) and takes every other one that is there."""
        item = self._next_finished()
        while item is not None:
            task, call, value, error = item
            self._running -= 1
            self._free_slots += call.slots
            self._free_local += call.local
            self._ready.append((task, value, error))
            try:
                item = self._finished.get_nowait()
            except queue.Empty:
                return

    def _next_finished(self) -> tuple[Task, Call, Any, BaseException | None] | None:
        while True:
            try:
                return self._finished.get(timeout=_LOOK_FOR_SIGNALS_S)
            except queue.Empty:
                continue

    # -- tasks ---------------------------------------------------------------------------------------------------

    def _step_all(self) -> None:
        while self._ready:
            self._step(*self._ready.popleft())

    def _step(self, task: Task, value: Any, error: BaseException | None) -> None:
        routine = task._routine
        assert routine is not None
        try:
            wish = routine.throw(error) if error is not None else routine.send(value)
        except StopIteration as stop:
            self._finish(task, stop.value, None)
        except BaseException as caught:
            self._finish(task, None, caught)
        else:
            if isinstance(wish, Call):
                self._ask(task, wish)
            else:
                self._wait(task, wish)

    def _ask(self, task: Task, call: Call) -> None:
        # In the order of asking: a heavy step must not wait for ever behind light ones that fit in.
        call.slots = min(call.slots, self._parallelism)
        queued = self._queues[call.local]
        if (call.slots or call.local) and (queued or not self._fits(call)):
            queued.append((task, call))
        else:
            self._start(task, call)

    def _wait(self, task: Task, others: Sequence[Task]) -> None:
        pending: list[Task] = []
        for other in others:
            if other.error is not None:
                self._ready.append((task, None, other.error))
                return
            if not other.done:
                pending.append(other)
        if not pending:
            self._ready.append((task, [other.result for other in others], None))
            return
        wait = _Wait(task, others, len(pending))
        for other in pending:
            other._waiters.append(wait)

    def _finish(self, task: Task, result: Any, error: BaseException | None) -> None:
        task.done = True
        task.result = result
        task.error = error
        task._routine = None
        waiters, task._waiters = task._waiters, []
        for wait in waiters:
            if wait.remaining < 0:
                continue
            if error is not None:
                wait.remaining = -1
                self._ready.append((wait.task, None, error))
                continue
            wait.remaining -= 1
            if wait.remaining == 0:
                wait.remaining = -1
                self._ready.append((wait.task, [other.result for other in wait.others], None))


def local_parallelism() -> int:
    """How many local calls run at once."""
    return min(16, len(os.sched_getaffinity(0)) + 2)


def _all(tasks: Sequence[Task]) -> Routine:
    return (yield list(tasks))


@contextmanager
def _interrupt_cancels(cancel: Cancellation) -> Iterator[None]:
    """While the body runs, the first Ctrl-C cancels instead of raising KeyboardInterrupt wherever this thread happens
    to be, which would lose track of running calls; a second one raises as ever. Does nothing where the program
    handles SIGINT itself, or in a thread that gets no signals."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    def interrupted(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        cancel.cancel()

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


__all__ = ["Call", "Routine", "Task", "TaskLoop", "WorkerPool"]
