"""Cache mounts: directories that persist between builds and never enter an image (engine.md §8.4).

A cache is named by its key. Each key has instances, numbered from 0, each a directory of the store's mount table (so
that they show in its usage and fall to its pruning) and a lock that live users hold across processes:

    mounts/<id of key and number>/data     what the step sees; there once it is seeded
    mounts/<id of key and number>/stale    not to be used again, to be removed when its users are gone
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.errors import DefinitionError
from bakehouse.llb.ops import CACHE_LOCKED, CACHE_PRIVATE, CACHE_SHARED
from bakehouse.solver.model import Cancellation
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from bakehouse.store import Store

_POLL_S = 0.1
_KEYS = "cachemount.keys"


@dataclass(frozen=True, slots=True)
class CacheRequest:
    """`seed` fills a new directory with its first content; `seed_id` names what it fills it with, empty for nothing."""

    id: str
    sharing: int
    description: str
    seed_id: str = ""
    seed: Callable[[Path], None] | None = None

    @property
    def key(self) -> str:
        return f"{self.id}:{self.seed_id}" if self.seed_id else self.id


class CacheMounts:
    """The cache mounts of a store. Thread- and process-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @contextmanager
    def held(self, request: CacheRequest, cancel: Cancellation) -> Iterator[Path]:
        """A directory for `request`, writable and persistent.

        `shared` users meet in one directory; a `private` one gets a directory that nobody else uses; a `locked` one
        waits until nobody uses the existing one. Raises `CancelledError` when cancelled while waiting.
        """
        if request.sharing not in (CACHE_SHARED, CACHE_PRIVATE, CACHE_LOCKED):
            raise DefinitionError(
                f"cache mount {request.id}: unknown sharing mode {request.sharing}", code="invalid-mount"
            )
        while True:
            with ExitStack() as stack:
                path = self._try(request, stack)
                if path is not None:
                    yield path
                    return
            cancel.wait(_POLL_S)
            cancel.check()

    def discard(self, id: str) -> None:
        """Forgets every cache named `id`, seeded ones included. Running steps keep what they have."""
        for key in self._keys_of(id):
            with self._store.locks.locked(f"cachemount-key:{key}"):
                self._discard_instances(key)

    def _try(self, request: CacheRequest, stack: ExitStack) -> Path | None:
        """Picks an instance and locks it for `stack`; None when a locked one is in use."""
        key = request.key
        with self._store.locks.locked(f"cachemount-key:{key}"):
            number = 0
            while self._exists(key, number):
                if self._usable(key, number) and stack.enter_context(
                    self._store.locks.try_locked(
                        _lock_name(key, number), shared=request.sharing == CACHE_SHARED
                    )
                ):
                    return self._opened(request, number)
                if request.sharing == CACHE_LOCKED and self._usable(key, number):
                    return None
                number += 1
            # A directory may be gone while a step still holds its lock: a new number then.
            while not stack.enter_context(
                self._store.locks.try_locked(_lock_name(key, number), shared=request.sharing == CACHE_SHARED)
            ):
                number += 1
            return self._opened(request, number)

    def _exists(self, key: str, number: int) -> bool:
        return self._store.mounts.path(_instance_id(key, number)).is_dir()

    def _usable(self, key: str, number: int) -> bool:
        return not (self._store.mounts.path(_instance_id(key, number)) / "stale").exists()

    def _opened(self, request: CacheRequest, number: int) -> Path:
        """The data directory of an instance whose lock is held; seeded when it is new."""
        import shutil

        directory = self._store.mounts.open(
            _instance_id(request.key, number), description=request.description
        )
        data = directory / "data"
        if not data.is_dir():
            self._store.kv.put(_KEYS, f"{request.id}\0{request.key}", b"")
            fresh = directory / "seeding"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o755)
            fresh.chmod(0o755)
            if request.seed is not None:
                request.seed(fresh)
            fresh.rename(data)
        return data

    def _keys_of(self, id: str) -> list[str]:
        pairs = (name.split("\0", 1) for name in self._store.kv.get_all(_KEYS))
        return sorted({id, *(key for owner, key in pairs if owner == id)})

    def _discard_instances(self, key: str) -> None:
        number = 0
        while self._exists(key, number):
            instance = _instance_id(key, number)
            with self._store.locks.try_locked(_lock_name(key, number)) as free:
                if free and not self._exists(key, number + 1):
                    self._store.mounts.delete(instance)
                else:
                    (self._store.mounts.path(instance) / "stale").touch()
            number += 1


class CacheResets:
    """Which caches a build has discarded already: a step that ignores the cache does so once per build and id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done: set[str] = set()

    def reset_once(self, id: str, caches: CacheMounts) -> None:
        with self._lock:
            if id not in self._done:
                caches.discard(id)
                self._done.add(id)


def _instance_id(key: str, number: int) -> str:
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
    return f"cache{digest[:20]}-{number}"


def _lock_name(key: str, number: int) -> str:
    return f"cachemount:{key}:{number}"
