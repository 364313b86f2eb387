"""Lowering the modification times within a finished layer tar (`rewrite-timestamp`, BuildKit's tarconverter).

Works on the bytes, so a layer whose files are no longer at hand can be rewritten. Members, order and all other
fields stay as they are; checksums are renewed.
"""

from __future__ import annotations

import zlib

from bakehouse.errors import IntegrityError
from bakehouse.snapshots.compression import ByteSink, DecompressingReader
from bakehouse.snapshots.tarformat import BLOCK, pax_record
from bakehouse.snapshots.tarreader import TarLimits, parse_number, parse_time_ns, pax_records

_ZERO_BLOCK = bytes(BLOCK)
_TIMES = (b"mtime", b"atime", b"ctime")
_HEADER_ONLY = frozenset(b"123456")
_BATCH = 1 << 20


class _Exact:
    """Exact-size reads from a stream of arbitrary pieces."""

    def __init__(self, source: DecompressingReader) -> None:
        self._source = source
        self._buffer = bytearray()

    def take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = self._source.read_some()
            if not data:
                raise IntegrityError("invalid tar archive: it ends early", code="tar-truncated")
            self._buffer += data
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def rest(self) -> bytes:
        return bytes(self._buffer) + self._source.read(-1)


def lower_times(source: DecompressingReader, out: ByteSink, epoch_s: int) -> None:
    """Copies the tar, with every time after `epoch_s` replaced by it. Raises `IntegrityError` for a bad tar."""
    reader = _Exact(source)
    size: int | None = None
    late = False
    while True:
        block = reader.take(BLOCK)
        if block == _ZERO_BLOCK:
            out.write(block + reader.rest())
            return
        kind = block[156:157]
        length = parse_number(block[124:136])
        if kind == b"x":
            if length > TarLimits().header:
                raise IntegrityError(
                    "invalid tar archive: a PAX header is too large", code="archive-too-large"
                )
            records = pax_records(reader.take(length))
            reader.take(-length % BLOCK)
            size = int(records[b"size"]) if b"size" in records else None
            late = parse_time_ns(records.get(b"mtime", b"0")) > epoch_s * 1_000_000_000
            data = _lowered_records(records, epoch_s)
            if data:
                out.write(_with_field(block, 124, b"%011o\0" % len(data)) + data + bytes(-len(data) % BLOCK))
            continue
        if kind not in b"gLK" and (late or parse_number(block[136:148]) > epoch_s):
            block = _with_field(block, 136, b"%011o\0" % epoch_s)
        out.write(block)
        left = 0 if kind[0] in _HEADER_ONLY else length if size is None else size
        size, late = None, False
        left += -left % BLOCK
        while left:
            data = reader.take(min(left, _BATCH))
            out.write(data)
            left -= len(data)


def _lowered_records(records: dict[bytes, bytes], epoch_s: int) -> bytes:
    kept = dict(records)
    for key in _TIMES:
        if key in kept and parse_time_ns(kept[key]) > epoch_s * 1_000_000_000:
            if key == b"mtime":
                # The header's own field says it: whole seconds need no record.
                del kept[key]
            else:
                kept[key] = b"%d" % epoch_s
    return b"".join(pax_record(key, kept[key]) for key in sorted(kept))


def _with_field(block: bytes, offset: int, field: bytes) -> bytes:
    changed = block[:offset] + field + block[offset + len(field) :]
    blank = changed[:148] + b"        " + changed[156:]
    total = zlib.adler32(blank, 0) & 0xFFFF if blank.isascii() else sum(blank)
    return changed[:148] + b"%06o\0 " % total + changed[156:]
