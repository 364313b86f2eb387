"""Reading tar streams of strangers: ustar, PAX and GNU headers, checksums verified, limits kept.

Yields members as `TarEntry` values with their data; where members end up on disk is `extract`'s business. Sparse
members are expanded. Global PAX headers are skipped, as Go's reader users do.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from bakehouse.errors import IntegrityError
from bakehouse.snapshots.compression import ByteSource
from bakehouse.snapshots.tarformat import BLOCK, DIRECTORY, REGULAR, TarEntry
from bakehouse.values import dataclass

_ZERO_BLOCK = bytes(BLOCK)
_CHUNK = 1 << 20
_HEADER_ONLY = frozenset(b"123456")
_KNOWN = frozenset(b"0123456")
_XATTR = b"SCHILY.xattr."


@dataclass(frozen=True, slots=True)
class TarLimits:
    """How much one archive may ask for: members, bytes of file data, bytes of one extended header or long name."""

    entries: int = 10_000_000
    bytes: int = 1 << 40
    header: int = 1 << 20


def _bad(what: str, code: str = "tar-invalid") -> IntegrityError:
    return IntegrityError(f"invalid tar archive: {what}", code=code)


def parse_number(field: bytes) -> int:
    """An octal or (first bit set) base-256 number field."""
    if field[-1] == 0 and field[:-1].isdigit():
        try:
            return int(field[:-1], 8)  # nearly always: full width, ended by NUL
        except ValueError:
            raise _bad("a number field is not octal") from None
    if field and field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (8 * len(field) - 1)
        return value
    text = field.strip(b" \0")
    if not text:
        return 0
    try:
        return int(text.partition(b"\0")[0].strip(), 8)
    except ValueError:
        raise _bad("a number field is not octal") from None


def _checksum_holds(block: bytes) -> bool:
    try:
        stored = int(block[148:156].strip(b" \0") or b"0", 8)
    except ValueError:
        return False
    rest = block[:148] + b"        " + block[156:]
    if stored % 65521 == zlib.adler32(rest, 0) & 0xFFFF:
        return True
    # Ancient writers added signed bytes.
    return stored == sum(byte - 256 if byte > 127 else byte for byte in rest)


def parse_time_ns(text: bytes) -> int:
    """A PAX time, decimal seconds with any fraction, floored to ns."""
    negative = text.startswith(b"-")
    whole, _, fraction = text.lstrip(b"-").partition(b".")
    try:
        value = int(whole or b"0") * 1_000_000_000 + int(fraction[:9].ljust(9, b"0") or b"0")
    except ValueError:
        raise _bad("a PAX time is not a number") from None
    return -value if negative else value


def pax_records(data: bytes) -> dict[bytes, bytes]:
    records: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        try:
            length = int(data[position:space]) if space > 0 else 0
        except ValueError:
            length = 0
        end = position + length
        if length < 5 or end > len(data) or data[end - 1] != 0x0A:
            raise _bad("a PAX record is malformed")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or not key or b"\0" in key:
            raise _bad("a PAX record is malformed")
        records[key] = value
        position = end
    return records


def _header_entry(block: bytes, long_name: bytes | None, long_link: bytes | None) -> TarEntry:
    """What a header block says, with GNU's long names; type and device number are left to the caller."""
    if long_name is not None:
        path = long_name
    else:
        path = block[0:100].partition(b"\0")[0]
        if block[257:263] == b"ustar\0" and (prefix := block[345:500].partition(b"\0")[0]):
            path = prefix + b"/" + path
    return TarEntry(
        path,
        REGULAR,
        parse_number(block[100:108]) & 0o7777,
        parse_number(block[108:116]),
        parse_number(block[116:124]),
        parse_number(block[136:148]) * 1_000_000_000,
        parse_number(block[124:136]),
        block[157:257].partition(b"\0")[0] if long_link is None else long_link,
    )


def _with_pax_records(entry: TarEntry, pax: dict[bytes, bytes]) -> TarEntry:
    """The entry with what an extended header says of it."""
    return entry._replace(
        path=pax.get(b"path", entry.path),
        linkname=pax.get(b"linkpath", entry.linkname),
        uid=_decimal(pax, b"uid", entry.uid),
        gid=_decimal(pax, b"gid", entry.gid),
        size=_decimal(pax, b"size", entry.size),
        mtime_ns=parse_time_ns(pax[b"mtime"]) if b"mtime" in pax else entry.mtime_ns,
        xattrs=tuple(
            (key[len(_XATTR) :].decode("utf-8", "surrogateescape"), value)
            for key, value in sorted(pax.items())
            if key.startswith(_XATTR)
        ),
    )


class TarReader:
    """Iterate to get members; before the next one, `data()` or `read()` give the contents of the current one.

    Raises `IntegrityError`: `tar-invalid`, `tar-truncated`, `archive-too-large`. After the end of the archive the
    rest of the stream is read too, so that a verifying source has seen all of it.
    """

    def __init__(self, source: ByteSource, limits: TarLimits | None = None) -> None:
        self._source = source
        self._limits = limits or TarLimits()
        self._buffer = b""
        self._position = 0
        self._left = 0
        self._sparse: list[tuple[int, int]] | None = None
        self._real_size = 0
        self.entries = 0
        self.bytes = 0

    # Buffer ------------------------------------------------------------------------------------------------

    def _take(self, size: int) -> bytes:
        """Exactly `size` bytes, or fewer at the end of the stream."""
        end = self._position + size
        if end <= len(self._buffer):
            data = self._buffer[self._position : end]
            self._position = end
            return data
        parts = [self._buffer[self._position :]]
        have = len(parts[0])
        while have < size:
            piece = self._source.read(_CHUNK)
            if not piece:
                break
            parts.append(piece)
            have += len(piece)
        joined = b"".join(parts)
        self._buffer = joined
        self._position = min(size, have)
        return joined[:size]

    def _exactly(self, size: int) -> bytes:
        data = self._take(size)
        if len(data) != size:
            raise _bad("it ends in the middle of a member", "tar-truncated")
        return data

    def _skip(self, size: int) -> None:
        while size > 0:
            available = len(self._buffer) - self._position
            if available >= size:
                self._position += size
                return
            size -= available
            self._position = 0
            self._buffer = self._source.read(_CHUNK)
            if not self._buffer:
                raise _bad("it ends in the middle of a member", "tar-truncated")

    # Members -----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[TarEntry]:
        pax: dict[bytes, bytes] = {}
        long_name: bytes | None = None
        long_link: bytes | None = None
        while self._finish_member():
            block = self._take(BLOCK)
            if len(block) < BLOCK:
                if block.strip(b"\0"):
                    raise _bad("it ends in the middle of a header", "tar-truncated")
                break
            if block == _ZERO_BLOCK:
                break
            if not _checksum_holds(block):
                raise _bad("a header has a wrong checksum")
            kind = block[156:157]
            if kind in b"xgLK" and kind != b"":
                data = self._special(block)
                if kind == b"x":
                    pax = pax_records(data)
                elif kind == b"L":
                    long_name = data.partition(b"\0")[0]
                elif kind == b"K":
                    long_link = data.partition(b"\0")[0]
                continue
            entry = self._entry(block, kind, pax, long_name, long_link)
            pax, long_name, long_link = {}, None, None
            yield entry
        self._drain()

    def _special(self, block: bytes) -> bytes:
        size = parse_number(block[124:136])
        if not 0 <= size <= self._limits.header:
            raise _bad(f"an extended header has {size} bytes", "archive-too-large")
        data = self._exactly(size)
        self._skip(-size % BLOCK)
        return data

    def _entry(
        self,
        block: bytes,
        kind: bytes,
        pax: dict[bytes, bytes],
        long_name: bytes | None,
        long_link: bytes | None,
    ) -> TarEntry:
        entry = _header_entry(block, long_name, long_link)
        if pax:
            entry = _with_pax_records(entry, pax)
        kind = self._member_kind(kind, entry.path)
        self._begin_data(block, kind, entry.size, pax)
        if b"GNU.sparse.name" in pax:
            entry = entry._replace(path=pax[b"GNU.sparse.name"])
        if b"\0" in entry.path or b"\0" in entry.linkname:
            raise _bad("a name contains a NUL byte")
        if kind in b"34":
            major, minor = parse_number(block[329:337]), parse_number(block[337:345])
            entry = entry._replace(devmajor=major, devminor=minor)
        return entry._replace(type=REGULAR if kind == b"S" else kind, size=self._real_size)

    @staticmethod
    def _member_kind(kind: bytes, path: bytes) -> bytes:
        if kind in (b"\0", b"7"):
            # Before POSIX a directory was a regular file whose name ends in a slash.
            return DIRECTORY if kind == b"\0" and path.endswith(b"/") else REGULAR
        if kind != b"S" and (not kind or kind[0] not in _KNOWN):
            raise _bad(f"a member has the unknown type {kind!r}")
        return kind

    def _begin_data(self, block: bytes, kind: bytes, size: int, pax: dict[bytes, bytes]) -> None:
        if size < 0:
            raise _bad("a member has a negative size")
        if kind[0] in _HEADER_ONLY:
            size = 0
        self.entries += 1
        if self.entries > self._limits.entries:
            raise _bad(f"it has more than {self._limits.entries} members", "archive-too-large")
        self._left = size
        self._real_size = size
        self._sparse = None
        if kind == b"S" or any(key.startswith(b"GNU.sparse.") for key in pax):
            self._read_sparse_map(block, kind, pax)
        self.bytes += self._real_size
        if self.bytes > self._limits.bytes:
            raise _bad(f"its files have more than {self._limits.bytes} bytes", "archive-too-large")
        self._pad = -size % BLOCK

    # Data --------------------------------------------------------------------------------------------------

    _pad = 0

    def _finish_member(self) -> bool:
        """Goes behind the current member. False when the stream ends in the zeros that fill its last block, which is an
        end as good as any (Go's rule)."""
        self._skip(self._left)
        padding, self._left, self._pad = self._pad, 0, 0
        return len(self._take(padding)) == padding

    def read(self) -> bytes:
        """All data of the current member at once. For members of a size that suits memory."""
        if self._sparse is not None:
            return b"".join(self.data())
        data = self._exactly(self._left)
        self._left = 0
        return data

    def data(self) -> Iterator[bytes]:
        """The data of the current member in pieces, holes filled with zeros."""
        if self._sparse is None:
            yield from self._raw(self._left)
            return
        position = 0
        for offset, length in self._sparse:
            yield from _zeros(offset - position)
            yield from self._raw(length)
            position = offset + length
        yield from _zeros(self._real_size - position)

    def _raw(self, size: int) -> Iterator[bytes]:
        while size > 0:
            if self._position >= len(self._buffer):
                self._buffer, self._position = self._source.read(_CHUNK), 0
                if not self._buffer:
                    raise _bad("it ends in the middle of a member", "tar-truncated")
            data = self._buffer[self._position : self._position + size]
            self._position += len(data)
            self._left -= len(data)
            size -= len(data)
            yield data

    def _drain(self) -> None:
        self._buffer, self._position = b"", 0
        while self._source.read(_CHUNK):
            pass

    # Sparse files (GNU tar manual, appendix "Storing Sparse Files") --------------------------------------------

    def _read_sparse_map(self, block: bytes, kind: bytes, pax: dict[bytes, bytes]) -> None:
        if kind == b"S":
            pairs, self._real_size = self._old_gnu_map(block)
        elif pax.get(b"GNU.sparse.major") == b"1":
            pairs = self._pax_1_0_map()
            self._real_size = _decimal(pax, b"GNU.sparse.realsize", 0)
        elif b"GNU.sparse.map" in pax:
            numbers = [_plain_number(text) for text in pax[b"GNU.sparse.map"].split(b",") if text]
            pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
            self._real_size = _decimal(pax, b"GNU.sparse.size", 0)
        else:
            raise _bad("a sparse file is in a form that is not supported", "tar-sparse-unsupported")
        end = 0
        for offset, length in pairs:
            if offset < end or length < 0:
                raise _bad("a sparse map is out of order")
            end = offset + length
        if end > self._real_size or sum(length for _, length in pairs) != self._left:
            raise _bad("a sparse map does not fit its file")
        self._sparse = [pair for pair in pairs if pair[1]]

    def _old_gnu_map(self, block: bytes) -> tuple[list[tuple[int, int]], int]:
        pairs: list[tuple[int, int]] = []
        area, extended = block[386:482], block[482]
        while True:
            pairs += [
                (parse_number(area[start : start + 12]), parse_number(area[start + 12 : start + 24]))
                for start in range(0, len(area) - 23, 24)
                if area[start]
            ]
            if not extended:
                return pairs, parse_number(block[483:495])
            if len(pairs) > 1_000_000:
                raise _bad("a sparse map is too long", "archive-too-large")
            more = self._exactly(BLOCK)
            area, extended = more[:504], more[504]

    def _pax_1_0_map(self) -> list[tuple[int, int]]:
        """The map stands at the head of the data: decimal lines, padded to a block."""
        text = b""
        wanted = 1
        while text.count(b"\n") < wanted:
            if self._left < BLOCK or len(text) > self._limits.header:
                raise _bad("a sparse map is malformed")
            text += self._exactly(BLOCK)
            self._left -= BLOCK
            if b"\n" in text:
                wanted = 1 + 2 * _plain_number(text.partition(b"\n")[0])
        numbers = [_plain_number(line) for line in text.split(b"\n")[1:wanted]]
        return list(zip(numbers[::2], numbers[1::2], strict=True))


def _plain_number(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise _bad("a sparse map is malformed")
    return int(text)


def _decimal(pax: dict[bytes, bytes], key: bytes, default: int) -> int:
    text = pax.get(key)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise _bad(f"the PAX record {key.decode('ascii')} is not a number") from None


def _zeros(size: int) -> Iterator[bytes]:
    while size > 0:
        part = min(size, _CHUNK)
        yield bytes(part)
        size -= part
