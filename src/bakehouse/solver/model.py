"""The contracts between the solver and the operations that it schedules (engine.md §7, §8).

The solver is generic over the result type `R` of an operation (the engine uses `Tree` values). It is handed
operations and a cache store; it knows neither files nor containers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from bakehouse.errors import CancelledError
from bakehouse.progress.events import VertexReporter

R = TypeVar("R")


class Cancellation:
    """One place that cancels a build. Thread-safe and idempotent."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next = 0

    def cancel(self) -> None:
        """Cancels; runs every registered callback once, in this thread. Callbacks must not block for long."""
        with self._lock:
            if self._event.is_set():
                return
            self._event.set()
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        for callback in callbacks:
            callback()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raises `CancelledError` when cancelled."""
        if self._event.is_set():
            raise CancelledError

    def wait(self, timeout_s: float) -> bool:
        return self._event.wait(timeout_s)

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Registers `callback` (run at once when already cancelled); returns the function that takes it back."""
        with self._lock:
            if not self._event.is_set():
                key = self._next
                self._next += 1
                self._callbacks[key] = callback

                def remove() -> None:
                    with self._lock:
                        self._callbacks.pop(key, None)

                return remove
        callback()
        return lambda: None


@dataclass(frozen=True, slots=True)
class InputKey:
    """How one input enters a cache key. `selector` narrows its fast key (digest text or ""); `content`, when
    given, computes the digest of the files that the operation really reads of the input's finished result."""

    selector: str = ""
    content: Callable[[Any], str] | None = None


@dataclass(frozen=True, slots=True)
class CacheMap:
    """The digest of the operation itself (a `random:`-prefixed one never matches across builds) and, for every
    input, how it enters the key. `content_digests` are further root keys that name the same result."""

    digest: str
    inputs: tuple[InputKey, ...] = ()
    content_digests: tuple[str, ...] = ()


@dataclass(slots=True)
class RunContext:
    """What an operation gets besides its inputs. `files_needed` is False when nothing in this solve will read
    the result's files other than an exporter, so that a layer may be written straight into its blob."""

    reporter: VertexReporter
    cancel: Cancellation
    files_needed: bool = True


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
