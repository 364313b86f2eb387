"""What remote sources were found to stand for, kept for one command.

A command may ask for a source more than once: to read the Dockerfile of a git context, and then to build with it. Both
must see the same commit and the same file, though a branch moves meanwhile.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from bakehouse.llb.ops import SourceOp

T = TypeVar("T")


class Answers:
    """Answers by key. Each question is asked once, however many threads want to know; a failure is not kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._known: dict[str, Any] = {}

    def once(self, key: str, ask: Callable[[], T]) -> T:
        """The answer to `key`; `ask()` finds it out when nobody has yet."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._known:
                self._known[key] = ask()
            answer: T = self._known[key]
            return answer

    def known(self, key: str) -> Any:
        """The answer that was given to `key`; None when nobody has asked."""
        with self._lock:
            return self._known.get(key)


def question(source: SourceOp) -> str:
    """What is asked about `source`, as a key: equal for equal sources, whatever platform they are wanted for."""
    return json.dumps([source.identifier, sorted(source.attrs.items())])
