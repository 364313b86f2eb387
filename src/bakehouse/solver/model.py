"""The contracts between the solver and the operations that it schedules (engine.md §7, §8).

The solver is generic over the result type `R` of an operation (the engine uses `Tree` values). It is handed
operations and a cache store; it knows neither files nor containers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar

from bakehouse.errors import CancelledError
from bakehouse.progress.events import VertexReporter
from bakehouse.values import dataclass

R = TypeVar("R")


class Cancellation:
    """One place that cancels a build. Thread-safe, idempotent, and safe to fire from a signal handler."""

    def __init__(self) -> None:
        # A signal handler may run in the midst of any method of the thread that it interrupts: hence a lock that the
        # same thread may take again, and a flag that is set before the event, whose own lock it may not.
        self._lock = threading.RLock()
        self._cancelled = False
        self._event = threading.Event()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next = 0

    def cancel(self) -> None:
        """Cancels; runs every registered callback once, in this thread. Callbacks must not block for long."""
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
        self._event.set()
        for key in list(self._callbacks):
            self._fire(key)

    def _fire(self, key: int) -> None:
        with self._lock:
            callback = self._callbacks.pop(key, None)
        if callback is not None:
            callback()

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def check(self) -> None:
        """Raises `CancelledError` when cancelled."""
        if self._cancelled:
            raise CancelledError

    def wait(self, timeout_s: float) -> bool:
        """Waits until cancelled, but no longer than `timeout_s`; True when it is. Not for the thread that handles
        signals: there the handler could not fire it."""
        return self._event.wait(timeout_s)

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Registers `callback` (run at once when already cancelled); returns the function that takes it back."""
        with self._lock:
            key = self._next
            self._next += 1
            self._callbacks[key] = callback
        if self._cancelled:
            self._fire(key)

        def remove() -> None:
            with self._lock:
                self._callbacks.pop(key, None)

        return remove

    @contextmanager
    def part(self) -> Iterator[Cancellation]:
        """A cancellation for work that may fail without the rest: it fires with this one, and this one with it only
        where the work itself was cancelled."""
        inner = Cancellation()
        forget = self.on_cancel(inner.cancel)
        try:
            yield inner
        except CancelledError:
            self.cancel()
            raise
        finally:
            forget()


@dataclass(frozen=True, slots=True)
class InputKey:
    """How one input enters a cache key. `selector` narrows its fast key (digest text or ""); `content`, when
    given, computes the digest of the files that the operation really reads of the input's finished result."""

    selector: str = ""
    content: Callable[[Any], str] | None = None


@dataclass(frozen=True, slots=True)
class CacheMap:
    """The digest of the operation itself (a `random:`-prefixed one never matches across builds) and, for every
    input, how it enters the key. `content_digests` are further root keys that name the same result. `recorded` is
    False for an operation that remembers its results itself, and is to be asked every time."""

    digest: str
    inputs: tuple[InputKey, ...] = ()
    content_digests: tuple[str, ...] = ()
    recorded: bool = True


@dataclass(slots=True)
class RunContext:
    """What an operation gets besides its inputs. `files_needed` is False when nothing in this solve will read
    the result's files other than an exporter, so that a layer may be written straight into its blob. An operation that
    remembers its results itself sets `cached` when it had this one already."""

    reporter: VertexReporter
    cancel: Cancellation
    files_needed: bool = True
    cached: bool = False


class Operation(Protocol[R]):
    """One vertex made executable. Methods may be called from any worker thread."""

    def cache_map(self, context: RunContext) -> CacheMap:
        """Computed once a solve. May do I/O (resolve an image, walk a context) and reports it on the vertex."""
        ...

    def run(self, context: RunContext, inputs: Sequence[R]) -> list[R]:
        """Executes; one result an output. Raises from `bakehouse.errors`; leaves nothing half-made behind."""
        ...


class ResultStore(Protocol[R]):
    """Turns results into text that survives the process and back. `load` returns None when what the record
    needs is gone (the solver then drops the record and goes on). It is called by the thread that drives the build and
    must not wait for anything slow."""

    def save(self, result: R) -> str | None: ...

    def load(self, record: str) -> R | None: ...

    def make_ready(self, result: R, *, opened: bool) -> bool:
        """Fetches what a loaded result is made of, and unpacks it when it is to be `opened`. False when it cannot be
        had, or is not what it should be: the vertex is then run, and the record is gone. May wait."""
        ...


class StepLocks(Protocol):
    """Locks by name between processes and threads (`store.locks.Locks`). One whose holder dies is free."""

    def try_locked(self, name: str) -> AbstractContextManager[bool]:
        """Yields True holding the lock, or False at once when somebody else holds it."""
        ...
