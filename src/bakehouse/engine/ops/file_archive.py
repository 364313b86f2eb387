"""ADD's archives: recognising a tar, compressed or not, by its content (dockerfile.md §7.5).

Unpacking, with its limits and its safety against hostile archives, is `snapshots.extract_tar`.
"""

from __future__ import annotations

import os

from bakehouse.engine.nodes import Node, TreeReader
from bakehouse.errors import IntegrityError
from bakehouse.snapshots.compression import DecompressingReader

_BLOCK = 512


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
