"""Disk usage and garbage collection (engine.md §20).

Records are layers (with their blobs and directories), persistent directories (cache mounts, git repositories) and the
file digests of contexts; blobs that nothing refers to go unrecorded. A record is in use while a live process holds a
lease on it, and is shared while a tagged image needs one of its blobs.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bakehouse.errors import DefinitionError
from bakehouse.oci.digest import Digest
from bakehouse.store.blobs import GRACE_S, BlobStore
from bakehouse.store.contexts import ContextFiles
from bakehouse.store.images import ImageStore
from bakehouse.store.layers import LayerTable
from bakehouse.store.mounts import MountTable
from bakehouse.store.owners import LAYER, MOUNT, Owner
from bakehouse.values import dataclass

#: Kinds of record that only `all` removes.
_EXEMPT = frozenset({"internal", "frontend"})
_FILTER_KEYS = frozenset(
    {"id", "parents", "description", "inuse", "mutable", "immutable", "type", "shared", "private"}
)
_BOOLEANS = frozenset({"inuse", "mutable", "immutable", "shared", "private"})
_SNAPSHOTS = "snapshots"
_GIT = "git"


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One row of `du`. Sizes are bytes, times seconds since the epoch. `kind` is `layer`, `mount` or `context`."""

    id: str
    kind: str
    size: int
    record_type: str = "regular"
    parents: tuple[str, ...] = ()
    created_s: float = 0.0
    last_used_s: float = 0.0
    usage_count: int = 0
    in_use: bool = False
    shared: bool = False
    mutable: bool = False
    description: str = ""


_ANY_RECORD = UsageRecord("", "layer", 0)


@dataclass(frozen=True, slots=True)
class PrunePolicy:
    """What to remove. Byte limits of 0 mean "no limit"; `filters` are `key==value`, `key!=value`, `key~=regex` or a
    bare key, all of which must hold (a comma inside one text joins several)."""

    all: bool = False
    filters: tuple[str, ...] = ()
    keep_duration_s: float = 0.0
    reserved_space: int = 0
    max_used_space: int = 0
    min_free_space: int = 0


def matches(record: UsageRecord, filters: Sequence[str]) -> bool:
    """True when every filter holds. Raises `DefinitionError` (`invalid-filter`) for one that cannot be read."""
    return all(_holds(record, part.strip()) for text in filters for part in text.split(",") if part.strip())


def check_filters(filters: Sequence[str]) -> None:
    """Raises `DefinitionError` (`invalid-filter`) for a filter that cannot be read."""
    for text in filters:
        for part in text.split(","):
            if part.strip():
                _holds(_ANY_RECORD, part.strip())


def _holds(record: UsageRecord, text: str) -> bool:
    found = re.fullmatch(r"(!?)([a-z]+)(?:(==|!=|~=|=)(.*))?", text, re.DOTALL)
    key = found.group(2) if found else ""
    if found is None or key not in _FILTER_KEYS or (found.group(1) and found.group(3)):
        raise DefinitionError(
            f"invalid filter {text!r}",
            code="invalid-filter",
            hint=f"Filters look like type==regular; known keys are {', '.join(sorted(_FILTER_KEYS))}.",
        )
    operator, wanted = found.group(3), (found.group(4) or "").strip("\"'")
    if key in _BOOLEANS:
        value = _boolean(record, key)
        if operator is None:
            return value != bool(found.group(1))
        truth = wanted.lower() in ("true", "1", "yes", "")
        return (value == truth) != (operator == "!=")
    values = _texts(record, key)
    if operator is None:
        return any(values) != bool(found.group(1))
    if operator == "~=":
        try:
            return any(re.search(wanted, value) for value in values)
        except re.error as error:
            raise DefinitionError(f"invalid filter {text!r}: {error}", code="invalid-filter") from error
    return (wanted in values) != (operator == "!=")


def _boolean(record: UsageRecord, key: str) -> bool:
    return {
        "inuse": record.in_use,
        "mutable": record.mutable,
        "immutable": not record.mutable,
        "shared": record.shared,
        "private": not record.shared,
    }[key]


def _texts(record: UsageRecord, key: str) -> tuple[str, ...]:
    if key == "parents":
        return record.parents
    return ({"id": record.id, "description": record.description, "type": record.record_type}[key],)


class Collector:
    """Lists and removes records of one store."""

    def __init__(
        self,
        root: Path,
        blobs: BlobStore,
        images: ImageStore,
        layers: LayerTable,
        mounts: MountTable,
        contexts: ContextFiles,
        owner: Owner,
    ) -> None:
        self._root = root
        self._blobs = blobs
        self._images = images
        self._layers = layers
        self._mounts = mounts
        self._contexts = contexts
        self._owner = owner

    def usage(self, filters: Sequence[str] = ()) -> list[UsageRecord]:
        """Every record that the filters let through, oldest first. Raises `DefinitionError` for a bad filter."""
        check_filters(filters)
        records = self._layer_records() + self._mount_records() + self._context_records()
        return [record for record in records if matches(record, filters)]

    def _layer_records(self) -> list[UsageRecord]:
        leased = self._owner.leased(LAYER)
        needed = self._images.reachable()
        sizes = self._layers.directory_sizes()
        blobs = self._layers.all_blobs()
        records = []
        counted: set[str] = set()
        for layer in self._layers.all():
            size = sizes.get(layer.id, 0)
            shared = False
            for blob in blobs.get(layer.id, ()):
                shared = shared or Digest(blob.digest) in needed
                if blob.digest not in counted and self._blobs.path(blob.digest).exists():
                    counted.add(blob.digest)
                    size += blob.size
            records.append(
                UsageRecord(
                    id=layer.id,
                    kind="layer",
                    size=size,
                    record_type=layer.record_type,
                    parents=layer.base[-1:],
                    created_s=layer.created_s,
                    last_used_s=layer.last_used_s,
                    usage_count=layer.usage_count,
                    in_use=layer.id in leased,
                    shared=shared,
                    description=layer.description,
                )
            )
        return records

    def _mount_records(self) -> list[UsageRecord]:
        leased = self._owner.leased(MOUNT)
        return [
            UsageRecord(
                id=row.id,
                kind="mount",
                size=tree_size(self._root / row.path),
                record_type=row.record_type,
                created_s=row.created_s,
                last_used_s=row.last_used_s,
                usage_count=row.usage_count,
                in_use=row.id in leased,
                mutable=True,
                description=row.description,
            )
            for row in self._mounts.all()
        ]

    def _context_records(self) -> list[UsageRecord]:
        """Never in use: a build has read all of it when it begins, and writes it anew when it ends."""
        return [
            UsageRecord(
                id=file.id,
                kind="context",
                size=file.size,
                record_type="source.local",
                created_s=file.last_used_s,
                last_used_s=file.last_used_s,
                usage_count=1,
                mutable=True,
                description="digests of the files of a local source",
            )
            for file in self._contexts.all()
        ]

    def prune(
        self,
        policy: PrunePolicy,
        on_removed: Callable[[UsageRecord], None] | None = None,
        *,
        now_s: float | None = None,
    ) -> list[UsageRecord]:
        """One run of one policy; returns what was removed, in order. Records in use are never touched.

        Safe beside builds of other processes: leases and deletions exclude each other in the database. A run that is
        killed leaves at most files that the next one removes."""
        check_filters(policy.filters)
        now = time.time() if now_s is None else now_s
        records = self.usage()
        budget = self._budget(policy)
        removed: list[UsageRecord] = []
        if budget is not None:
            removed = self._remove_down_to(budget, policy, records, now, on_removed)
        self._sweep_blobs(policy, now)
        self._sweep_directories()
        self._contexts.sweep(now)
        return removed

    def _budget(self, policy: PrunePolicy) -> int | None:
        """The byte budget K of §20 step 2; 0 removes every candidate, None nothing."""
        import shutil

        if not (policy.max_used_space or policy.min_free_space or policy.reserved_space):
            return 0
        keep = policy.max_used_space or 1 << 62
        if policy.min_free_space:
            free = shutil.disk_usage(self._root).free
            if free < policy.min_free_space:
                total = sum(record.size for record in self.usage() if not record.shared)
                keep = min(keep, max(0, total - (policy.min_free_space - free)))
            elif not policy.max_used_space:
                return None
        elif not policy.max_used_space:
            keep = policy.reserved_space
        return max(keep, policy.reserved_space)

    def _remove_down_to(
        self,
        budget: int,
        policy: PrunePolicy,
        records: list[UsageRecord],
        now: float,
        on_removed: Callable[[UsageRecord], None] | None,
    ) -> list[UsageRecord]:
        left = {record.id: record for record in records}
        removed: list[UsageRecord] = []
        refused: set[str] = set()
        while budget == 0 or sum(r.size for r in left.values() if not r.shared) >= budget:
            candidates = [
                record for record in _candidates(left.values(), policy, now) if record.id not in refused
            ]
            if not candidates:
                break
            for record in candidates if budget == 0 else [_least_valuable(candidates)]:
                if not self._remove(record):
                    refused.add(record.id)
                    continue
                del left[record.id]
                removed.append(record)
                if on_removed is not None:
                    on_removed(record)
        return removed

    def _remove(self, record: UsageRecord) -> bool:
        """Removes one record unless a process has taken hold of it meanwhile."""
        if record.kind == "mount":
            return self._mounts.delete_unused(record.id)
        if record.kind == "context":
            self._contexts.delete(record.id)
            return True
        return bool(self.delete_layers([record.id]))

    def delete_layers(self, ids: Iterable[str], *, force: bool = False) -> list[str]:
        """Deletes layers, their directories, and those of their blobs that nothing else needs. Returns the ids that
        were deleted: one that a live process holds is left alone (unless `force` and only this process does)."""
        with self._layers.database.transaction():
            leased = self._owner.leased_by_others(LAYER) if force else self._owner.leased(LAYER)
            gone = [id for id in ids if id not in leased]
            digests = {blob.digest for id in gone for blob in self._layers.blobs(id)}
            self._layers.delete(gone)
            orphans = [digest for digest in digests if not self._layers.layers_with_blob(digest)]
        needed = self._images.reachable()
        for digest in orphans:
            if Digest(digest) not in needed:
                self._blobs.delete(digest)
        for id in gone:
            self._owner.trash(self._root / _SNAPSHOTS / id)
        return gone

    def _sweep_blobs(self, policy: PrunePolicy, now: float) -> None:
        """Removes blobs that no layer and no image refers to, sparing what was asked for within the last hour."""
        if policy.filters:
            return
        referred = {blob.digest for blobs in self._layers.all_blobs().values() for blob in blobs}
        needed = self._images.reachable()
        grace = 0.0 if policy.all and not self._owner.others_alive() else GRACE_S
        for digest in list(self._blobs):
            if digest in referred or digest in needed:
                continue
            try:
                age = now - os.stat(self._blobs.path(digest)).st_mtime
            except FileNotFoundError:
                continue
            if age >= grace:
                self._blobs.delete(digest)

    def _sweep_directories(self) -> None:
        """Removes directories of layers and git repositories that the database does not know: a deletion that was
        killed half way, a store of an older Bakehouse."""
        with self._layers.database.transaction():
            # Commits rename their directory within a transaction: what is unknown now is not on its way in.
            names = _names(self._root / _SNAPSHOTS)
            known = self._layers.existing(names)
            unknown = [self._root / _SNAPSHOTS / name for name in names if name not in known]
            placed = {self._root / row.path for row in self._mounts.all()}
            unknown += [
                path for name in _names(self._root / _GIT) if (path := self._root / _GIT / name) not in placed
            ]
            graves = [self._owner.bury(path) for path in unknown]
        self._owner.empty(graves)


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _candidates(records: Iterable[UsageRecord], policy: PrunePolicy, now: float) -> list[UsageRecord]:
    """Records that may go now: unused, matching, old enough, and without children (§20 step 1 and 3)."""
    everything = list(records)
    parents = {parent for record in everything for parent in record.parents}
    return [
        record
        for record in everything
        if not record.in_use
        and record.id not in parents
        and (policy.all or not (record.shared or record.record_type in _EXEMPT))
        and not (policy.keep_duration_s and now - record.last_used_s < policy.keep_duration_s)
        and matches(record, policy.filters)
    ]


def _least_valuable(candidates: Sequence[UsageRecord]) -> UsageRecord:
    """The record with the lowest sum of its two relative ranks: last use, and number of uses (§20 step 3)."""
    times = sorted({record.last_used_s for record in candidates})
    counts = sorted({record.usage_count for record in candidates})
    time_rank = {value: number / max(1, len(times) - 1) for number, value in enumerate(times)}
    count_rank = {value: number / max(1, len(counts) - 1) for number, value in enumerate(counts)}
    return min(
        candidates,
        key=lambda record: (time_rank[record.last_used_s] + count_rank[record.usage_count], record.id),
    )


def tree_size(path: Path) -> int:
    """Bytes that a tree occupies on disk (hard links once)."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for _, directories, files, fd in os.fwalk(path, follow_symlinks=False):
        for name in (*directories, *files):
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError:
                continue
            identity = (status.st_dev, status.st_ino)
            if status.st_nlink > 1:
                if identity in seen:
                    continue
                seen.add(identity)
            total += status.st_blocks * 512
    return total


__all__ = ["Collector", "PrunePolicy", "UsageRecord", "matches", "tree_size"]
