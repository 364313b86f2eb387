"""The tables of `bakehouse.db`, their version, and how an older database becomes a current one.

Versions are kept in SQLite's `user_version`. A migration is a script that turns version N-1 into N; version 1 is the
first. A database of a newer version is refused, never guessed at.

    layers        one row a layer: what is known of it (its blobs and directories stand in the next two)
    layer_blobs   one row for each form (gzip, zstd, uncompressed) of a layer's tar that was made or adopted
    layer_dirs    one row for each unpacked directory; `base` is "" when it suits every chain
    mounts        persistent directories that are not layers (cache mounts)
    leases        what a live process holds; `owner` names its lock file below tmp/
    images        local image names
    links, results    the solver's cache keys
    kv            small durable facts of other rooms, by space
    meta          facts about the store itself
"""

from __future__ import annotations

import sqlite3

from bakehouse.errors import EnvironmentFault

SCHEMA_VERSION = 2

_VERSION_1 = """
CREATE TABLE layers (
  id TEXT PRIMARY KEY,
  diff_id TEXT,
  base TEXT NOT NULL,
  created_s REAL NOT NULL,
  description TEXT NOT NULL,
  origin TEXT NOT NULL,
  rediff TEXT NOT NULL,
  last_used_s REAL NOT NULL,
  usage_count INTEGER NOT NULL,
  record_type TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX layers_by_diff_id ON layers (diff_id);
CREATE TABLE layer_blobs (
  layer TEXT NOT NULL REFERENCES layers (id) ON DELETE CASCADE,
  variant TEXT NOT NULL,
  media_type TEXT NOT NULL,
  digest TEXT NOT NULL,
  size INTEGER NOT NULL,
  diff_id TEXT NOT NULL,
  PRIMARY KEY (layer, variant)
) WITHOUT ROWID;
CREATE INDEX layer_blobs_by_digest ON layer_blobs (digest);
CREATE TABLE layer_dirs (
  layer TEXT NOT NULL REFERENCES layers (id) ON DELETE CASCADE,
  base TEXT NOT NULL,
  name TEXT NOT NULL,
  size INTEGER NOT NULL,
  PRIMARY KEY (layer, base)
) WITHOUT ROWID;
CREATE TABLE mounts (
  id TEXT PRIMARY KEY,
  path TEXT NOT NULL,
  record_type TEXT NOT NULL,
  description TEXT NOT NULL,
  created_s REAL NOT NULL,
  last_used_s REAL NOT NULL,
  usage_count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE leases (
  owner TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (kind, id, owner)
) WITHOUT ROWID;
CREATE INDEX leases_by_owner ON leases (owner);
CREATE TABLE images (
  name TEXT PRIMARY KEY,
  descriptor TEXT NOT NULL,
  created_s REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE links (
  source TEXT NOT NULL,
  input INTEGER NOT NULL,
  op TEXT NOT NULL,
  selector TEXT NOT NULL,
  output INTEGER NOT NULL,
  target TEXT NOT NULL,
  PRIMARY KEY (source, input, op, selector, output, target)
) WITHOUT ROWID;
CREATE INDEX links_by_target ON links (target);
CREATE TABLE results (
  key TEXT NOT NULL,
  record TEXT NOT NULL,
  created_s REAL NOT NULL,
  PRIMARY KEY (key, record)
) WITHOUT ROWID;
CREATE TABLE kv (
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (space, key)
) WITHOUT ROWID;
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
"""

#: What an image said of a blob that came with it: annotations (a JSON object) and URLs (a JSON list), or nothing.
_VERSION_2 = """
ALTER TABLE layer_blobs ADD COLUMN annotations TEXT NOT NULL DEFAULT '';
ALTER TABLE layer_blobs ADD COLUMN urls TEXT NOT NULL DEFAULT ''
"""

_MIGRATIONS = (_VERSION_1, _VERSION_2)


def prepare_schema(connection: sqlite3.Connection) -> None:
    """Creates or upgrades the tables, in one transaction, safe when several processes do it at once.

    Raises `EnvironmentFault` (code `store-version`) when the database is newer than this program.
    """
    if _version(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _version(connection)
        if found > SCHEMA_VERSION:
            raise EnvironmentFault(
                f"the store has format version {found}; this program knows versions up to {SCHEMA_VERSION}",
                code="store-version",
                hint="Use a newer Bakehouse, or another store directory.",
            )
        for number in range(found, SCHEMA_VERSION):
            # executescript would commit; statements are split by hand instead (none contains a semicolon).
            for statement in _MIGRATIONS[number].split(";"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
