"""Image archives as tar files: an index of what lies where, and a writer with containerd's bytes.

Reads untrusted archives: every size is bounded, nothing is extracted, members are read in place by offset. Layer
tars are not read here (`snapshots` does). POSIX ustar with PAX records and GNU long names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import BinaryIO

from bakehouse.errors import IntegrityError
from bakehouse.values import dataclass

BLOCK = 512
_MAX_MEMBERS = 100_000
_MAX_EXTENSION_BYTES = 64 * 1024
_REGULAR = frozenset({b"0", b"\0", b"7"})
_USTAR_MAX_SIZE = 0o77777777777


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """Where a regular file of an archive lies; `link` is the member name that a link stands for, else empty."""

    offset: int
    size: int
    link: str = ""


def _broken(problem: str) -> IntegrityError:
    return IntegrityError(f"invalid image archive: {problem}", code="invalid-archive")


def read_members(file: BinaryIO) -> dict[str, ArchiveMember]:
    """The regular files and links of the tar in seekable `file`, by clean relative name; a later member of a name
    replaces an earlier one. Raises `IntegrityError` (code `invalid-archive`)."""
    end = file.seek(0, os.SEEK_END)
    members: dict[str, ArchiveMember] = {}
    extension: dict[str, str] = {}
    offset = count = 0
    while offset + BLOCK <= end:
        file.seek(offset)
        header = file.read(BLOCK)
        if not header.strip(b"\0"):
            break
        count += 1
        if count > _MAX_MEMBERS:
            raise _broken(f"more than {_MAX_MEMBERS} members")
        _check_sum(header)
        kind = header[156:157]
        size = _size(header, extension, kind)
        data = offset + BLOCK
        if data + size > end:
            raise _broken("it ends in the middle of a member")
        offset = data + (size + BLOCK - 1) // BLOCK * BLOCK
        if kind in (b"x", b"L", b"K", b"g"):
            _read_extension(file, kind, data, size, extension)
            continue
        name = _clean(extension.get("path") or _ustar_name(header))
        if kind in _REGULAR:
            members[name] = ArchiveMember(data, size)
        elif kind in (b"1", b"2"):
            target = extension.get("linkpath") or _field(header, 157, 100)
            base = os.path.dirname(name) if kind == b"2" else ""
            members[name] = ArchiveMember(data, 0, _clean(os.path.join(base, target)))
        extension = {}
    if not count:
        raise _broken("it is not a tar file or it is empty")
    return members


def _check_sum(header: bytes) -> None:
    stated = header[148:156].strip(b" \0")
    total = sum(header[:148]) + sum(header[156:]) + 8 * 32
    try:
        if int(stated, 8) == total:
            return
    except ValueError:
        pass
    raise _broken("it is not a tar file, or a header is damaged")


def _size(header: bytes, extension: Mapping[str, str], kind: bytes) -> int:
    if kind not in (b"x", b"g", b"L", b"K") and "size" in extension:
        text = extension["size"]
        if not text.isdigit() or len(text) > 18:
            raise _broken("a size record is damaged")
        return int(text)
    field = header[124:136]
    if kind in (b"1", b"2", b"3", b"4", b"5", b"6"):
        return 0
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    try:
        size = int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        size = -1
    if size < 0:
        raise _broken("a size field is damaged")
    return size


def _read_extension(file: BinaryIO, kind: bytes, data: int, size: int, extension: dict[str, str]) -> None:
    """Takes in a PAX or GNU header that describes the next member."""
    if size > _MAX_EXTENSION_BYTES:
        raise _broken("an extension header is too large")
    file.seek(data)
    content = file.read(size)
    if kind in (b"L", b"K"):
        extension["path" if kind == b"L" else "linkpath"] = _text(content.rstrip(b"\0"))
    elif kind == b"x":
        extension.update(_pax_records(content))


def _pax_records(content: bytes) -> Iterable[tuple[str, str]]:
    position = 0
    while position < len(content):
        space = content.find(b" ", position, position + 20)
        digits = content[position:space] if space > 0 else b""
        if not digits.isdigit() or int(digits) <= space - position:
            raise _broken("a PAX record is damaged")
        record = content[space + 1 : position + int(digits) - 1]
        key, equals, value = record.partition(b"=")
        if not equals:
            raise _broken("a PAX record is damaged")
        yield _text(key), _text(value)
        position += int(digits)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _field(header: bytes, start: int, length: int) -> str:
    return _text(header[start : start + length].partition(b"\0")[0])


def _ustar_name(header: bytes) -> str:
    name = _field(header, 0, 100)
    prefix = _field(header, 345, 155) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _clean(name: str) -> str:
    """`name` relative and normal. A name that climbs out stays as it is and simply matches nothing."""
    return os.path.normpath(name.lstrip("/") or ".")


class ArchiveWriter:
    """Writes a tar as Go's archive/tar does for containerd's export: ustar headers, owner and time zero.

    Members must come in the order in which they shall stand. `close` writes the end mark; the stream stays open.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def directory(self, name: str) -> None:
        """Adds a directory; `name` ends with a slash."""
        self._out.write(_header(name, 0o755, 0, b"5"))

    def file(self, name: str, size: int, chunks: Iterable[bytes], mode: int = 0o444) -> None:
        """Adds a file of exactly `size` bytes. Raises `IntegrityError` when the chunks amount to something else."""
        if size > _USTAR_MAX_SIZE:
            self._pax(name, {"size": str(size)})
        self._out.write(_header(name, mode, size, b"0"))
        written = 0
        for chunk in chunks:
            self._out.write(chunk)
            written += len(chunk)
        if written != size:
            raise IntegrityError(f"{name}: expected {size} bytes, got {written}", code="size-mismatch")
        self._out.write(bytes(-size % BLOCK))

    def close(self) -> None:
        self._out.write(bytes(2 * BLOCK))

    def _pax(self, name: str, records: Mapping[str, str]) -> None:
        content = b"".join(_pax_record(key, value) for key, value in records.items())
        directory, _, base = name.rpartition("/")
        self._out.write(_header(f"{directory}/PaxHeaders.0/{base}", 0, len(content), b"x"))
        self._out.write(content + bytes(-len(content) % BLOCK))


def _pax_record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def _header(name: str, mode: int, size: int, kind: bytes) -> bytes:
    zero = b"0000000\0"
    shown = 0 if size > _USTAR_MAX_SIZE else size
    parts = [
        name.encode().ljust(100, b"\0"),
        b"%07o\0" % mode,
        zero,
        zero,
        b"%011o\0" % shown,
        b"00000000000\0",
        b" " * 8,
        kind,
        bytes(100),
        b"ustar\00000",
        bytes(64),
        zero,
        zero,
        bytes(167),
    ]
    header = b"".join(parts)
    total = b"%06o\0 " % sum(header)
    return header[:148] + total + header[156:]
