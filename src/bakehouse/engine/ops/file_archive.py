"""Archives of ADD and of contexts: recognising a tar, compressed or not, by its content (dockerfile.md §7.5, §13.1).

Unpacking, with its limits and its safety against hostile archives, is `snapshots.extract_tar`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from bakehouse.engine.nodes import Node, TreeReader
from bakehouse.errors import IntegrityError
from bakehouse.snapshots.compression import DecompressingReader
from bakehouse.snapshots.tarreader import TarLimits, TarReader

if TYPE_CHECKING:
    from bakehouse.engine.tree import Tree

_BLOCK = 512
#: How gzip, bzip2, xz and zstd begin. A file that does so is taken for an archive without a look inside.
_COMPRESSED = (b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_ZSTD_SKIPPABLE = 0x184D2A50


def begins_archive(head: bytes) -> bool:
    """Whether a context that begins with `head` (512 bytes or more, unless it is shorter) is an archive rather than a
    Dockerfile."""
    if head.startswith(_COMPRESSED) or is_header(head[:_BLOCK]):
        return True
    return len(head) >= 8 and int.from_bytes(head[:4], "little") & ~0xF == _ZSTD_SKIPPABLE


def check_archive(tree: Tree, name: str, limits: TarLimits, check_cancelled: Callable[[], None]) -> None:
    """Looks through the archive `name` at the root of `tree`, if it is one, without unpacking it. Raises
    `IntegrityError` (`archive-too-large` and what is malformed)."""
    with tree.mounted() as root, open(root / name, "rb") as file:
        reader = DecompressingReader(file, max_bytes=2 * limits.bytes)
        block = _first_block(reader)
        if is_header(block):
            for _ in TarReader(_Again(block, reader), limits):
                check_cancelled()


class _Again:
    """A stream from which `head` has been read already, from its beginning."""

    def __init__(self, head: bytes, rest: DecompressingReader) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int) -> bytes:
        head, self._head = self._head, b""
        return head or self._rest.read(size)


def is_archive(reader: TreeReader, node: Node) -> bool:
    """Whether regular file `node` begins with a valid tar header, plain or compressed with gzip, bzip2, xz or zstd."""
    if not node.is_regular or node.size == 0:
        return False
    with os.fdopen(reader.open(node), "rb") as file:
        try:
            return is_header(_first_block(DecompressingReader(file)))
        except IntegrityError:
            return False


def _first_block(stream: DecompressingReader) -> bytes:
    block = b""
    while len(block) < _BLOCK and (data := stream.read(_BLOCK - len(block))):
        block += data
    return block


def is_header(block: bytes) -> bool:
    """Whether `block` is a tar header: it is known by its checksum, which old writers summed over signed bytes."""
    if len(block) < _BLOCK or not any(block):
        return False
    field = block[148:156].strip(b" \0")
    try:
        stored = int(field or b"0", 8)
    except ValueError:
        return False
    rest = block[:148] + b" " * 8 + block[156:]
    total = sum(rest)
    return stored in (total, total - 256 * sum(1 for byte in rest if byte > 127))
