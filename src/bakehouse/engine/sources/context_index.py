"""Digests of a context's files, remembered between builds so that an unchanged file is never read again.

Role: one compact file a context directory, keyed by what a change of the file must change (device, inode, size, mtime,
ctime, mode). Walking and hashing do not belong here. Decision: design.md §3 point 5.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import threading
import time
from pathlib import Path

from bakehouse.engine.nodes import Node

_MAGIC = b"bakehouse context index 1\n"
_STAMP = struct.Struct("<QQQqqI")
_ROW = _STAMP.size + 33
_SECOND_NS = 1_000_000_000
#: A file changed less than this before it was looked at may change again without a new timestamp.
_FINE_MARGIN_NS = 100_000_000
_COARSE_MARGIN_NS = 2 * _SECOND_NS
_UNUSED_AFTER_S = 90 * 24 * 3600
#: Rows that this walk did not see are kept (other filters use them) until they outnumber the seen ones so much.
_MAX_UNSEEN = 50_000
_SAVE_EVERY_S = 2.0


class ContextIndex:
    """The remembered digests of one context directory. Thread-safe; a lost or damaged file is an empty index.

    Values are (record digest as 32 bytes, whether the file has extended attributes).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _load(path)
        if self._known:
            # `prune` goes by the age of the file. One that cannot be touched is only removed too early.
            with contextlib.suppress(OSError):
                os.utime(path)
        self._seen: dict[bytes, bytes] = {}
        self._changed = False
        self._lock = threading.Lock()
        self._saved_s = 0.0

    @classmethod
    def of_context(cls, directory: Path, context: Path) -> ContextIndex:
        """The index of directory `context`, kept in `directory` under a name made from its path."""
        name = hashlib.sha256(os.fsencode(os.path.realpath(context))).hexdigest()[:40]
        return cls(directory / f"{name}.index")

    def lookup(self, node: Node) -> tuple[str, bool] | None:
        """(`sha256:…`, has extended attributes) of the unchanged file `node`, or None."""
        stamp = _stamp(node)
        value = self._known.get(stamp)
        if value is None:
            return None
        with self._lock:
            self._seen[stamp] = value
        return "sha256:" + value[1:].hex(), value[0] != 0

    def remember(self, node: Node, digest: str, has_xattrs: bool, looked_at_ns: int) -> None:
        """Remembers `digest` of `node`, whose status was read at or after `looked_at_ns`. A file that changed just
        before is not remembered: its next change might not show in its timestamps."""
        coarse = node.ctime_ns % _SECOND_NS == 0
        margin = _COARSE_MARGIN_NS if coarse else _FINE_MARGIN_NS
        if max(node.mtime_ns, node.ctime_ns) + margin >= looked_at_ns:
            return
        stamp = _stamp(node)
        value = bytes([has_xattrs]) + bytes.fromhex(digest.removeprefix("sha256:"))
        with self._lock:
            self._known[stamp] = self._seen[stamp] = value
            self._changed = True

    def save_in_time(self) -> None:
        """`save`, but not for every one of many trees that share the index."""
        if time.monotonic() - self._saved_s > _SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Writes the index if it learned anything. A disk that is full only costs speed, never the build."""
        with self._lock:
            self._saved_s = time.monotonic()
            if not self._changed:
                return
            rows = self._seen
            if len(self._known) <= 2 * len(self._seen) + _MAX_UNSEEN:
                rows = self._known
            body = b"".join([stamp + value for stamp, value in rows.items()])
            self._changed = False
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _replace(self._path, _MAGIC + hashlib.sha256(body).digest() + body)
            _drop_unused(self._path)


class ContextIndexes:
    """The indexes of one build, one for each context directory, below `directory`: targets that share a context share
    what is known of its files. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._indexes: dict[str, ContextIndex] = {}

    def of(self, context: Path) -> ContextIndex:
        """The index of directory `context`."""
        real = os.path.realpath(context)
        with self._lock:
            if real not in self._indexes:
                self._indexes[real] = ContextIndex.of_context(self._directory, context)
            return self._indexes[real]

    def save(self) -> None:
        """Writes what was learned since it was last written."""
        with self._lock:
            indexes = list(self._indexes.values())
        for index in indexes:
            index.save()


def _stamp(node: Node) -> bytes:
    return _STAMP.pack(node.device, node.inode, node.size, node.mtime_ns, node.ctime_ns, node.mode)


def _load(path: Path) -> dict[bytes, bytes]:
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    start = len(_MAGIC) + 32
    body = data[start:]
    if not data.startswith(_MAGIC) or len(body) % _ROW:
        return {}
    if hashlib.sha256(body).digest() != data[len(_MAGIC) : start]:
        return {}
    width = _STAMP.size
    return {body[at : at + width]: body[at + width : at + _ROW] for at in range(0, len(body), _ROW)}


def _replace(path: Path, data: bytes) -> None:
    import tempfile

    descriptor, temporary = tempfile.mkstemp(prefix=".index-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def _drop_unused(path: Path) -> None:
    """Removes neighbours (indexes of other contexts, leftovers of killed writers) that nobody wrote for long."""
    oldest = time.time() - _UNUSED_AFTER_S
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name != path.name and entry.stat(follow_symlinks=False).st_mtime < oldest:
                os.unlink(entry.path)
