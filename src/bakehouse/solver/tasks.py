"""Cooperative tasks over a bounded thread pool: the one place where a build waits, runs things at once, and stops.

A task is a generator driven by the thread that calls `TaskLoop.run`. It yields either a list of tasks (resumed with
their results when all are done; the first failure is thrown in) or a `Call` (run by a worker thread, resumed with its
return value). So thousands of waiting vertices cost no thread, and all bookkeeping happens in one thread without locks.
Nothing here knows what a vertex is.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any

from bakehouse.errors import CancelledError
from bakehouse.solver.model import Cancellation

Routine = Generator[Any, Any, Any]


class Call:
    """A blocking call for a worker thread. `slots` of the loop's parallelism are held while it runs (0 for short
    work such as a lookup, 1 for a step)."""

    __slots__ = ("function", "slots")

    def __init__(self, function: Callable[[], Any], slots: int = 0) -> None:
        self.function = function
        self.slots = slots


class Task:
    """A running or finished routine. `result` is valid once `done` without `error`."""

    __slots__ = ("_routine", "_waiters", "_waiting_for", "done", "error", "result")

    def __init__(self, routine: Routine) -> None:
        self._routine = routine
        self._waiters: list[Task] = []
        self._waiting_for: Sequence[Task] = ()
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class WorkerPool:
    """Daemon threads started on demand, at most `limit`, reused while idle.

    They are all started by one nursery thread that ran `prepare` first, so that what `prepare` does to its thread
    (a private mount namespace) is inherited by every worker and by nothing else of the process. An exception of
    `prepare` is raised by the first `submit`.
    """

    def __init__(self, limit: int, prepare: Callable[[], None] | None = None) -> None:
        self._limit = limit
        self._prepare = prepare
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._spawn: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._nursery: threading.Thread | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Runs `job` (which must not raise) in a worker, at once when one is idle or the limit allows."""
        with self._lock:
            if self._nursery is None:
                self._start_nursery()
            if self._idle > 0:
                self._idle -= 1
            elif self._threads < self._limit:
                self._threads += 1
                self._spawn.put(True)
            else:
                # Nobody is idle: the job waits in the queue; the debt is paid when a worker comes back for it.
                self._idle -= 1
        self._jobs.put(job)

    def close(self) -> None:
        """Lets every worker end once its job is done. Does not wait."""
        with self._lock:
            if self._nursery is None:
                return
            self._spawn.put(False)
            for _ in range(self._threads):
                self._jobs.put(None)
            self._nursery = None
            self._threads = self._idle = 0

    def _start_nursery(self) -> None:
        self._nursery = threading.Thread(target=self._nurse, name="bakehouse-nursery", daemon=True)
        self._nursery.start()
        failure = self._ready.get()
        if failure is not None:
            self._nursery = None
            raise failure

    def _nurse(self) -> None:
        try:
            if self._prepare is not None:
                self._prepare()
        except BaseException as error:
            self._ready.put(error)
            return
        self._ready.put(None)
        while self._spawn.get():
            threading.Thread(target=self._work, name="bakehouse-worker", daemon=True).start()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            job()
            with self._lock:
                self._idle += 1


class TaskLoop:
    """Drives tasks in the thread that calls `run`.

    On the first failure of a root task, or when `cancel` fires, calls not yet started are dropped, those that run are
    waited for (they watch `cancel` themselves), and the error of that root task is raised. KeyboardInterrupt in the
    driving thread cancels likewise and surfaces as `CancelledError`.
    """

    def __init__(self, pool: WorkerPool, cancel: Cancellation, parallelism: int) -> None:
        self._pool = pool
        self._cancel = cancel
        self._free_slots = parallelism
        self._queued: deque[tuple[Task, Call]] = deque()
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
        """Drives until every root is done and returns their results in order."""
        forget = self._cancel.on_cancel(lambda: self._finished.put(None))
        failure: BaseException | None = None
        try:
            while True:
                try:
                    self._turn()
                    if failure is None:
                        failure = next((root.error for root in roots if root.error is not None), None)
                        if failure is not None:
                            self._cancel.cancel()
                    if failure is None and all(root.done for root in roots):
                        return [root.result for root in roots]
                    if self._ready:
                        continue
                    if self._running == 0 and (failure is not None or self._cancel.cancelled):
                        raise failure if failure is not None else CancelledError()
                    if self._running == 0:
                        raise AssertionError("tasks wait for each other")
                    self._collect()
                except KeyboardInterrupt:
                    failure = failure or CancelledError()
                    self._cancel.cancel()
        finally:
            forget()

    def _turn(self) -> None:
        while self._ready:
            task, value, error = self._ready.popleft()
            self._step(task, value, error)
        while self._queued and (self._cancel.cancelled or self._queued[0][1].slots <= self._free_slots):
            task, call = self._queued.popleft()
            self._start(task, call)
            if self._ready:
                return

    def _collect(self) -> None:
        item = self._finished.get()
        while item is not None:
            task, call, value, error = item
            self._running -= 1
            self._free_slots += call.slots
            self._ready.append((task, value, error))
            try:
                item = self._finished.get_nowait()
            except queue.Empty:
                return

    def _start(self, task: Task, call: Call) -> None:
        if self._cancel.cancelled:
            self._ready.append((task, None, CancelledError()))
            return
        self._running += 1
        self._free_slots -= call.slots

        def job() -> None:
            value, error = None, None
            try:
                value = call.function()
            except BaseException as caught:
                error = caught
            self._finished.put((task, call, value, error))

        self._pool.submit(job)

    def _step(self, task: Task, value: Any, error: BaseException | None) -> None:
        try:
            wish = task._routine.throw(error) if error is not None else task._routine.send(value)
        except StopIteration as stop:
            self._finish(task, stop.value, None)
            return
        except BaseException as caught:
            self._finish(task, None, caught)
            return
        if isinstance(wish, Call):
            if wish.slots > self._free_slots and not self._cancel.cancelled:
                self._queued.append((task, wish))
            else:
                self._start(task, wish)
            return
        task._waiting_for = wish
        for other in wish:
            if not other.done:
                other._waiters.append(task)
        self._wake(task)

    def _wake(self, task: Task) -> None:
        """Resumes `task` once all that it waits for is done, or at the first failure among it."""
        waiting_for = task._waiting_for
        if not waiting_for:
            self._ready.append((task, [], None))
            return
        failed = next((other for other in waiting_for if other.error is not None), None)
        if failed is not None:
            task._waiting_for = ()
            self._ready.append((task, None, failed.error))
        elif all(other.done for other in waiting_for):
            task._waiting_for = ()
            self._ready.append((task, [other.result for other in waiting_for], None))

    def _finish(self, task: Task, result: Any, error: BaseException | None) -> None:
        task.done = True
        task.result = result
        task.error = error
        waiters, task._waiters = task._waiters, []
        for waiter in waiters:
            if waiter._waiting_for:
                self._wake(waiter)
