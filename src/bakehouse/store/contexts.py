"""Files of digests that the engine keeps of build contexts, `contexts/<id>.index`, as records that age and go.

Who reads one has all of it in memory, who writes one replaces it at a stroke: one may be removed at any time, and the
next build reads the context's files again. What stands in them is `engine.sources.context_index`'s business.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DIRECTORY = "contexts"
_SUFFIX = ".index"
#: A temporary file that nobody renamed within this time belongs to a writer that was killed.
_LEFT_OVER_AFTER_S = 3600.0


class ContextFile(NamedTuple):
    """`last_used_s` is when a build last read or wrote it."""

    id: str
    size: int
    last_used_s: float


class ContextFiles:
    """The index files of one store. Thread- and process-safe."""

    def __init__(self, root: Path) -> None:
        self._directory = root / DIRECTORY

    def all(self) -> list[ContextFile]:
        """Every index, the longest unused first."""
        found = [
            ContextFile(entry.name.removesuffix(_SUFFIX), status.st_blocks * 512, status.st_mtime)
            for entry, status in self._entries()
            if entry.name.endswith(_SUFFIX)
        ]
        return sorted(found, key=lambda file: (file.last_used_s, file.id))

    def delete(self, id: str) -> None:
        """Removes an index; nothing happens when it is gone."""
        (self._directory / (id + _SUFFIX)).unlink(missing_ok=True)

    def sweep(self, now_s: float | None = None) -> None:
        """Removes what killed writers left."""
        oldest = (time.time() if now_s is None else now_s) - _LEFT_OVER_AFTER_S
        for entry, status in self._entries():
            if not entry.name.endswith(_SUFFIX) and status.st_mtime < oldest:
                (self._directory / entry.name).unlink(missing_ok=True)

    def _entries(self) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
        try:
            entries = list(os.scandir(self._directory))
        except FileNotFoundError:
            return
        for entry in entries:
            try:
                yield entry, entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
