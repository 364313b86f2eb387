"""What a crash of the machine may have spoilt, and how the store finds out.

Files are not synced when they are written: that would make every build wait for the disk. The kernel writes them
back by itself within half a minute or so. The store therefore remembers up to which moment its files are surely on
disk (`durable_until_s`, moved forward at every open) and under which boot of the machine. The first process after a
reboot verifies the blobs that are younger, and drops unpacked directories that are younger, because nothing vouches
for their contents.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bakehouse.oci.digest import Digest
from bakehouse.store.blobs import BlobStore
from bakehouse.store.database import Database

#: Four times the kernel's usual age limit for unwritten data (vm.dirty_expire_centisecs, 30 s).
SETTLED_AFTER_S = 120.0
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def current_boot() -> str:
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def recover(
    database: Database,
    blobs: BlobStore,
    drop_directories: Callable[[Iterable[str]], None],
    *,
    boot: str,
    now_s: float | None = None,
) -> list[Digest]:
    """Notes that files settle; after a reboot, checks the young ones first. Returns the damaged blobs set aside.

    `drop_directories` is handed the ids of layers whose unpacked directories must go. Call it under an exclusive
    lock. A clock that went backwards makes more files young, never fewer: all that are newer than the mark."""
    now = time.time() if now_s is None else now_s
    facts: dict[str, str] = dict(
        database.query("SELECT key, value FROM meta WHERE key IN ('boot', 'durable_until_s')")
    )
    damaged: list[Digest] = []
    if facts.get("boot") == boot:
        durable_until = max(float(facts.get("durable_until_s", 0.0)), now - SETTLED_AFTER_S)
    else:
        if "boot" in facts:
            damaged = _check_young(database, blobs, drop_directories, float(facts["durable_until_s"]))
        durable_until = now - SETTLED_AFTER_S
    database.execute_many(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
        [("boot", boot), ("durable_until_s", repr(durable_until))],
    )
    return damaged


def _check_young(
    database: Database,
    blobs: BlobStore,
    drop_directories: Callable[[Iterable[str]], None],
    durable_until_s: float,
) -> list[Digest]:
    damaged = [
        digest
        for digest in blobs
        if _younger(blobs.path(digest), durable_until_s) and not blobs.verify(digest)
    ]
    rows = database.query(
        "SELECT id FROM layers WHERE created_s>? OR last_used_s>?", (durable_until_s, durable_until_s)
    )
    drop_directories([row[0] for row in rows])
    return damaged


def _younger(path: Path, moment_s: float) -> bool:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return False
    return max(status.st_mtime, status.st_ctime) > moment_s
