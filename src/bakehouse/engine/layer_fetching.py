"""Bringing the layers of one result into the store, a few at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor

if TYPE_CHECKING:
    from concurrent.futures import Future

    from bakehouse.progress.events import VertexReporter
    from bakehouse.solver.model import Cancellation

_PARALLEL_FETCHES = 4
#: Puts a blob into the store, idempotently, and tells of every piece how long it is.
Fetch = Callable[[Descriptor, Callable[[int], None]], None]


class LayerFetcher:
    """The first layer that is needed starts all of them: a merged tree needs them all. Thread-safe."""

    def __init__(
        self, fetch: Fetch, layers: Sequence[Descriptor], reporter: VertexReporter, cancel: Cancellation
    ) -> None:
        self._fetch = fetch
        self._layers = layers
        self._reporter = reporter
        self._cancel = cancel
        self._lock = threading.Lock()
        self._running: dict[Digest, Future[None]] = {}

    def fetch(self, descriptor: Descriptor) -> None:
        """Returns when the blob is in the store; raises what its download raised."""
        with self._lock:
            pending = self._running.get(descriptor.digest)
            if pending is None or (pending.done() and pending.exception() is not None):
                self._start()
                pending = self._running[descriptor.digest]
        pending.result()

    def _start(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(_PARALLEL_FETCHES, thread_name_prefix="fetch")
        for layer in self._layers:
            previous = self._running.get(layer.digest)
            if previous is None or (previous.done() and previous.exception() is not None):
                self._running[layer.digest] = pool.submit(self._download, layer)
        pool.shutdown(wait=False)

    def _download(self, layer: Descriptor) -> None:
        self._cancel.check()
        with self._reporter.status(str(layer.digest), layer.size) as status:

            def on_bytes(count: int) -> None:
                self._cancel.check()
                status.advance(count)

            self._fetch(layer, on_bytes)
