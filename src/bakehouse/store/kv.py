"""Small durable facts of other rooms, by space and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bakehouse.store.database import Database


class KeyValueStore:
    """`(space, key) -> bytes`. A space is named and versioned by its user (`contenthash.v1`). Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, space: str, key: str) -> bytes | None:
        row = self._database.query_one("SELECT value FROM kv WHERE space=? AND key=?", (space, key))
        return None if row is None else bytes(row[0])

    def get_all(self, space: str) -> dict[str, bytes]:
        """Every pair of a space."""
        rows = self._database.query("SELECT key, value FROM kv WHERE space=?", (space,))
        return {key: bytes(value) for key, value in rows}

    def put(self, space: str, key: str, value: bytes) -> None:
        """Sets or replaces."""
        self._database.execute(
            "INSERT OR REPLACE INTO kv (space, key, value) VALUES (?, ?, ?)", (space, key, value)
        )

    def put_many(self, space: str, pairs: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> None:
        """Sets many pairs in one transaction."""
        items = pairs.items() if isinstance(pairs, Mapping) else pairs
        self._database.execute_many(
            "INSERT OR REPLACE INTO kv (space, key, value) VALUES (?, ?, ?)",
            ((space, key, value) for key, value in items),
        )

    def delete(self, space: str, key: str) -> bool:
        """True when the key was there."""
        return self._database.execute("DELETE FROM kv WHERE space=? AND key=?", (space, key)) > 0

    def clear(self, space: str) -> int:
        """Removes a whole space; returns how many keys it had."""
        return self._database.execute("DELETE FROM kv WHERE space=?", (space,))
