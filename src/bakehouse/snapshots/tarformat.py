"""Tar headers exactly as Go's archive/tar writes them for BuildKit: ustar where everything fits, PAX where not.

Follows POSIX pax and the choices of Go's writer (a name is split into prefix and suffix only when no PAX record is
needed; sub-second times are never written). Layer diff IDs depend on every byte here; `tests/unit/snapshots` holds
headers made by Go. Reading tars belongs to `tarreader`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import NamedTuple

from bakehouse.errors import IntegrityError

BLOCK = 512
REGULAR = b"0"
HARDLINK = b"1"
SYMLINK = b"2"
CHARACTER = b"3"
BLOCK_DEVICE = b"4"
DIRECTORY = b"5"
FIFO = b"6"
END_OF_ARCHIVE = bytes(2 * BLOCK)

#: How a layer tar says that the rest of the name is deleted below, and that a directory hides all that is below.
WHITEOUT_PREFIX = b".wh."
OPAQUE_MARKER = b".wh..wh..opq"

NAME_SIZE = 100
_PREFIX_SIZE = 155
_MAX_OCTAL_7 = 0o7777777
_MAX_OCTAL_11 = 0o77777777777
_PAX_XATTR = b"SCHILY.xattr."
#: magic, version, uname, gname, devmajor, devminor, prefix, padding
_TAIL = b"ustar\00000" + bytes(64) + b"0000000\0" * 2 + bytes(155 + 12)
_TAIL_WITHOUT_LINK = bytes(100) + _TAIL
_BLANK_CHECKSUM = b"        "
_PADDING = tuple(bytes(-size % BLOCK) for size in range(BLOCK))


class TarEntry(NamedTuple):
    """One member of a layer tar.

    `path` is relative, without leading or trailing slash; `type` one of the constants of this module; `mode` the
    twelve permission bits; `size` the bytes of data (0 unless regular); `linkname` the target of a symbolic link, or
    the path of the member that a hard link repeats; `xattrs` (name, value) pairs written as SCHILY.xattr records.
    """

    path: bytes
    type: bytes = REGULAR
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    size: int = 0
    linkname: bytes = b""
    devmajor: int = 0
    devminor: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()


def padding(size: int) -> bytes:
    """The zeros that fill the last block of `size` bytes of data."""
    return _PADDING[size % BLOCK]


def encode_entry(entry: TarEntry, max_mtime_s: int | None = None) -> bytes:
    """The header blocks of `entry`: PAX records first, if any. `max_mtime_s` lowers newer modification times.

    Raises `IntegrityError` (`tar-unencodable`) for a device number that no format holds."""
    path, kind, mode, uid, gid, mtime_ns, size, linkname, major, minor, xattrs = entry
    mtime = mtime_ns // 1_000_000_000
    if max_mtime_s is not None and mtime >= max_mtime_s:
        mtime = max_mtime_s
    if kind == DIRECTORY:
        path += b"/"
    if (
        len(path) <= NAME_SIZE
        and len(linkname) <= NAME_SIZE
        and path.isascii()
        and linkname.isascii()
        and not xattrs
        and 0 <= uid <= _MAX_OCTAL_7
        and 0 <= gid <= _MAX_OCTAL_7
        and size <= _MAX_OCTAL_11
        and 0 <= mtime <= _MAX_OCTAL_11
        and not major
        and not minor
    ):
        start = path.ljust(100, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, uid, gid, size, mtime)
        end = kind + (linkname.ljust(100, b"\0") + _TAIL if linkname else _TAIL_WITHOUT_LINK)
        return b"%b%06o\0 %b" % (start, _checksum(start + _BLANK_CHECKSUM + end), end)
    return _encode_slowly(path, kind, mode, uid, gid, mtime, size, linkname, major, minor, xattrs)


def _checksum(block: bytes) -> int:
    """The sum of the bytes of an ASCII header. Adler-32 started at 0 is that sum modulo 65,521 in its low half, and
    512 ASCII bytes stay below that: ten times faster than sum()."""
    return zlib.adler32(block, 0) & 0xFFFF


def _encode_slowly(
    path: bytes,
    kind: bytes,
    mode: int,
    uid: int,
    gid: int,
    mtime: int,
    size: int,
    linkname: bytes,
    major: int,
    minor: int,
    xattrs: Iterable[tuple[str, bytes]],
) -> bytes:
    records = _number_records(uid, gid, size, mtime)
    for name, data in xattrs:
        records[_PAX_XATTR + name.encode("utf-8", "surrogateescape")] = data
    if len(linkname) > NAME_SIZE or not linkname.isascii():
        records[b"linkpath"] = linkname
    ustar = not records
    split = _split_name(path)
    if len(path) > NAME_SIZE or not path.isascii():
        records[b"path"] = path
        # A long name alone needs no record when it can be split.
        ustar = ustar and split is not None
    if not (0 <= major <= _MAX_OCTAL_7 and 0 <= minor <= _MAX_OCTAL_7):
        raise IntegrityError(
            f"device number {major}:{minor} of {path.decode(errors='replace')!r} does not fit into a tar header",
            code="tar-unencodable",
        )
    numbers = (mode, _octal(uid, _MAX_OCTAL_7), _octal(gid, _MAX_OCTAL_7))
    large = (_octal(size, _MAX_OCTAL_11), _octal(mtime, _MAX_OCTAL_11))
    devices = b"%07o\0%07o\0" % (major, minor)
    if ustar:
        prefix, suffix = split if split is not None else (b"", path)
        return _block(suffix, numbers, large, kind, linkname, devices, prefix)
    extended = _extended_header(path, records)
    return extended + _block(_short_name(path), numbers, large, kind, _short_name(linkname), devices, b"")


def _number_records(uid: int, gid: int, size: int, mtime: int) -> dict[bytes, bytes]:
    """Records for the numbers that do not fit into their fields."""
    fields = (
        (b"uid", uid, _MAX_OCTAL_7),
        (b"gid", gid, _MAX_OCTAL_7),
        (b"size", size, _MAX_OCTAL_11),
        (b"mtime", mtime, _MAX_OCTAL_11),
    )
    return {key: b"%d" % value for key, value, limit in fields if not 0 <= value <= limit}


def _octal(value: int, limit: int) -> int:
    """What stands in a field whose true value is in a PAX record: zero."""
    return value if 0 <= value <= limit else 0


def _block(
    name: bytes,
    numbers: tuple[int, int, int],
    large: tuple[int, int],
    kind: bytes,
    linkname: bytes,
    devices: bytes,
    prefix: bytes,
) -> bytes:
    start = name.ljust(100, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (*numbers, *large)
    end = kind + linkname.ljust(100, b"\0") + b"ustar\00000" + bytes(64) + devices
    end += prefix.ljust(_PREFIX_SIZE, b"\0") + bytes(12)
    return b"%b%06o\0 %b" % (start, _checksum(start + _BLANK_CHECKSUM + end), end)


def _ascii(text: bytes) -> bytes:
    return text if text.isascii() else bytes(byte for byte in text if byte < 0x80)


def _short_name(name: bytes) -> bytes:
    """What a header of which the true name is in a PAX record holds: ASCII only, cut, without a slash at the cut
    (readers would take the member for a directory)."""
    text = _ascii(name)
    cut = text[:NAME_SIZE]
    if len(text) > NAME_SIZE and cut.endswith(b"/"):
        kept = cut[:-1].rstrip(b"/")
        # Go writes a terminator and leaves what stands behind it.
        return (kept + b"\0" + cut[len(kept) + 1 :])[:NAME_SIZE]
    return cut


def _split_name(name: bytes) -> tuple[bytes, bytes] | None:
    """(prefix, suffix) of a name that ustar can hold in two parts; None when it need not or cannot be split."""
    length = len(name)
    if length <= NAME_SIZE or not name.isascii():
        return None
    if length > _PREFIX_SIZE + 1:
        length = _PREFIX_SIZE + 1
    elif name.endswith(b"/"):
        length -= 1
    index = name.rfind(b"/", 0, length)
    suffix = len(name) - index - 1
    if index <= 0 or suffix > NAME_SIZE or suffix == 0 or index > _PREFIX_SIZE:
        return None
    return name[:index], name[index + 1 :]


def pax_record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, the length counting itself."""
    size = len(key) + len(value) + 3
    total = size + len(str(size))
    total = size + len(str(total))
    return b"%d %b=%b\n" % (total, key, value)


def _extended_header(path: bytes, records: dict[bytes, bytes]) -> bytes:
    data = b"".join(pax_record(key, records[key]) for key in sorted(records))
    return extended_blocks(path, data)


def extended_blocks(path: bytes, data: bytes) -> bytes:
    """Header and data of a PAX extended header for the member `path` (with its final slash when a directory)."""
    directory, _, base = path.rpartition(b"/")
    name = b"/".join(part for part in (directory, b"PaxHeaders.0", base) if part)
    name = _ascii(name)[:NAME_SIZE].rstrip(b"/")
    start = name.ljust(100, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (0, 0, 0, len(data), 0)
    end = b"x" + bytes(100) + b"ustar\00000" + bytes(64 + 16 + 155 + 12)
    header = b"%b%06o\0 %b" % (start, _checksum(start + _BLANK_CHECKSUM + end), end)
    return header + data + padding(len(data))
