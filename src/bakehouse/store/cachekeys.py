"""The solver's durable tables: links between cache keys, and the results that keys have (engine.md §8.1).

A link says: an operation with digest `op`, whose input number `input` had key `source` (narrowed by `selector`),
has key `target` for its output number `output`. A key is a root digest (`sha256:…`) or an arbitrary `new_id`.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from bakehouse.store.database import Database


class CacheKeyStore:
    """Thread-safe; safe between processes. Every write is idempotent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def batch(self) -> AbstractContextManager[Database]:
        """One transaction around many calls of this thread: cheap, and all or nothing."""
        return self._database.transaction()

    def new_id(self) -> str:
        """A fresh key that no other has: 25 characters `[a-z2-7]`."""
        return base64.b32encode(os.urandom(16)).decode("ascii").lower()[:25]

    def query_links(self, source_key: str, input: int, op: str, selector: str, output: int) -> list[str]:
        """Target keys, in a stable order."""
        rows = self._database.query(
            "SELECT target FROM links WHERE source=? AND input=? AND op=? AND selector=? AND output=?"
            " ORDER BY target",
            (source_key, input, op, selector, output),
        )
        return [row[0] for row in rows]

    def add_link(self, source_key: str, input: int, op: str, selector: str, output: int, target: str) -> None:
        self._database.execute(
            "INSERT OR IGNORE INTO links (source, input, op, selector, output, target) VALUES (?,?,?,?,?,?)",
            (source_key, input, op, selector, output, target),
        )

    def links_to(self, target: str) -> list[tuple[str, int, str, str, int]]:
        """`(source, input, op, selector, output)` of every link that leads to `target`."""
        rows = self._database.query(
            "SELECT source, input, op, selector, output FROM links WHERE target=?"
            " ORDER BY source, input, op, selector, output",
            (target,),
        )
        return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]

    def results(self, key: str) -> list[tuple[str, float]]:
        """`(record, created_s)`, the newest first."""
        rows = self._database.query(
            "SELECT record, created_s FROM results WHERE key=? ORDER BY created_s DESC, record", (key,)
        )
        return [(row[0], row[1]) for row in rows]

    def add_result(self, key: str, record: str, created_s: float | None = None) -> None:
        """Remembers a result; a record that is there already keeps its time."""
        self._database.execute(
            "INSERT OR IGNORE INTO results (key, record, created_s) VALUES (?, ?, ?)",
            (key, record, time.time() if created_s is None else created_s),
        )

    def drop_result(self, key: str, record: str) -> None:
        self._database.execute("DELETE FROM results WHERE key=? AND record=?", (key, record))

    def purge(self, is_alive: Callable[[str], bool]) -> int:
        """Drops every result whose record `is_alive` denies, then every link that no longer leads to a result.

        Returns the number of results dropped. Meant for the end of a garbage collection."""
        with self._database.transaction():
            dead = [
                row for row in self._database.query("SELECT key, record FROM results") if not is_alive(row[1])
            ]
            self._database.execute_many("DELETE FROM results WHERE key=? AND record=?", dead)
            while self._database.execute(
                "DELETE FROM links WHERE target NOT IN (SELECT key FROM results)"
                " AND target NOT IN (SELECT source FROM links)"
            ):
                pass
        return len(dead)
