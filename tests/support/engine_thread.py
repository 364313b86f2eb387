"""A thread as the engine's workers are: with mounts of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from bakehouse.runtime.namespace import private_mounts

T = TypeVar("T")


def in_engine_thread(function: Callable[[], T]) -> T:
    """Runs `function` in a thread with a private mount namespace; re-raises what it raises."""
    outcome: list[tuple[bool, Any]] = []

    def body() -> None:
        try:
            private_mounts()
            outcome.append((True, function()))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    good, value = outcome[0]
    if not good:
        raise value
    result: T = value
    return result
