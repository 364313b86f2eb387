"""The threads that blocking calls of a build run in. What they run, and in what order, is `solver.tasks`' business."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class WorkerPool:
    """Daemon threads started on demand, at most `limit`, reused while idle.

    They are all started by one nursery thread that ran `prepare` first, so that what `prepare` does to its thread
    (a private mount namespace) is inherited by every worker and by nothing else of the process. An exception of
    `prepare` is raised by the first `submit`. Where the machine grants no further thread, the nursery works itself:
    slower, but nothing waits for ever.
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
            try:
                threading.Thread(target=self._work, name="bakehouse-worker", daemon=True).start()
            except RuntimeError:
                self._stand_in()

    def _stand_in(self) -> None:
        """Works in the place of the thread that could not be started: one job, and all that wait while there is no
        other thread."""
        with self._lock:
            self._threads -= 1
        job = self._jobs.get()
        while job is not None:
            job()
            with self._lock:
                if self._threads > 0 or self._idle >= 0:
                    return
                self._idle += 1
            job = self._jobs.get()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            job()
            # Not kept while idle: a job's closure holds the trees of its step.
            del job
            with self._lock:
                self._idle += 1
