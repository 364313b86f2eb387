"""SQLite connections and transactions. The schema and its version live in `schema`; statements in the table modules.

WAL mode lets readers and one writer of any number of processes work at once. `synchronous=NORMAL`: a killed process
loses nothing, a crash of the machine may lose the last transactions but never the database's consistency; what that
means for files is `recovery`'s business.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from bakehouse.errors import EnvironmentFault
from bakehouse.store.faults import database_fault
from bakehouse.store.schema import prepare_schema

#: How long a writer waits for another process's transaction.
BUSY_TIMEOUT_S = 60.0
_MODE_POLL_S = 0.005

Row = tuple[Any, ...]


class Database:
    """One connection a thread, opened when the thread first asks. Thread-safe; `close` ends all connections.

    Writers of this process queue for a lock of their own before they ask SQLite for its: SQLite makes those who lose
    sleep for milliseconds and try again, which a wide build would do all the time.
    """

    def __init__(self, path: Path) -> None:
        """Opens or creates the database. Raises `EnvironmentFault` `store-version` when a newer Bakehouse wrote it,
        `store-unusable` when it cannot be opened."""
        self.path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._connections: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._closed = False
        try:
            prepare_schema(self._connection())
        except sqlite3.Error as error:
            self.close()
            fault = database_fault(error, path)
            if fault is not None:
                raise fault from error
            raise EnvironmentFault(
                f"cannot open the store's database {path}: {error}",
                code="store-unusable",
                hint="Check the permissions of the directory, or choose another one.",
            ) from error
        except BaseException:
            self.close()
            raise

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            return connection
        connection = sqlite3.connect(
            os.fspath(self.path), timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            _enter_wal_mode(connection)
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA foreign_keys=ON")
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if self._closed:
                connection.close()
                raise sqlite3.ProgrammingError("the store is closed")
            self._forget_dead_threads()
            self._connections.append((threading.current_thread(), connection))
        self._local.connection = connection
        self._local.depth = 0
        return connection

    def _forget_dead_threads(self) -> None:
        alive = []
        for thread, connection in self._connections:
            if thread.is_alive():
                alive.append((thread, connection))
            else:
                connection.close()
        self._connections = alive

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """BEGIN IMMEDIATE … COMMIT. An inner transaction of the same thread joins the outer one; any exception that
        leaves the outermost block rolls everything back."""
        connection = self._connection()
        if self._local.depth:
            self._local.depth += 1
            try:
                yield self
            finally:
                self._local.depth -= 1
            return
        with self._writing:
            self._execute(connection, "BEGIN IMMEDIATE", ())
            self._local.depth = 1
            try:
                yield self
                self._execute(connection, "COMMIT", ())
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            finally:
                self._local.depth = 0

    def _execute(self, connection: sqlite3.Connection, sql: str, params: Sequence[Any]) -> sqlite3.Cursor:
        try:
            return connection.execute(sql, params)
        except sqlite3.Error as error:
            self._raise(error)

    def _raise(self, error: sqlite3.Error) -> NoReturn:
        fault = database_fault(error, self.path)
        if fault is None:
            raise error
        raise fault from error

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """All rows of a SELECT."""
        try:
            return self._connection().execute(sql, params).fetchall()
        except sqlite3.Error as error:
            self._raise(error)

    def query_one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        try:
            row: Row | None = self._connection().execute(sql, params).fetchone()
        except sqlite3.Error as error:
            self._raise(error)
        return row

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Runs one statement (in the open transaction, or in one of its own); returns the number of rows changed."""
        connection = self._connection()
        if self._local.depth:
            return self._execute(connection, sql, params).rowcount
        with self._writing:
            return self._execute(connection, sql, params).rowcount

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """The same statement for many rows, in one transaction."""
        with self.transaction():
            try:
                self._connection().executemany(sql, rows)
            except sqlite3.Error as error:
                self._raise(error)

    def close(self) -> None:
        """Closes every connection. Idempotent; later use raises `sqlite3.ProgrammingError`."""
        with self._lock:
            self._closed = True
            connections, self._connections = self._connections, []
        for _, connection in connections:
            connection.close()


def _enter_wal_mode(connection: sqlite3.Connection) -> None:
    """The file of a new store changes its mode once, and whoever opens it at that moment is told at once that it is
    locked: SQLite does not wait for a change of mode as it waits for a transaction."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_MODE_POLL_S)
