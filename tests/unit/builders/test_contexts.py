"""What a context is, decided from its text and its first bytes."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from bakehouse.builders.named_contexts import split_layout
from bakehouse.builders.stdin import CONTEXT, DOCKERFILE, StandardInput, read_standard_input
from bakehouse.engine.ops.file_archive import begins_archive
from bakehouse.errors import CancelledError, DefinitionError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        # As buildx's parser of layout references has it.
        ("dir", ("dir", "", "")),
        ("dir:v1", ("dir", "v1", "")),
        ("/a/b:v1.2_3", ("/a/b", "v1.2_3", "")),
        ("dir@sha256:" + "0" * 64, ("dir", "", "sha256:" + "0" * 64)),
        ("dir:v1@sha256:" + "0" * 64, ("dir", "v1", "sha256:" + "0" * 64)),
        ("user@host/dir", ("user@host/dir", "", "")),
        ("../x", ("../x", "", "")),
    ],
)
def test_layout_references(text: str, parts: tuple[str, str, str]) -> None:
    assert split_layout(text) == parts


@pytest.mark.parametrize(
    ("head", "archive"),
    [
        (b"", False),
        (b"FROM scratch\n", False),
        (b"\x1f\x8b\x08", True),
        (b"\x1f\x8b\x07 not deflate", False),
        (b"BZh91AY", True),
        (b"\xfd7zXZ\x00", True),
        (b"\x28\xb5\x2f\xfd", True),
        (b"\x5f\x2a\x4d\x18\x00\x00\x00\x00", True),
        (b"\x5f\x2a\x4d\x18", False),
        (bytes(1024), False),
        (b"x" * 1024, False),
    ],
)
def test_what_begins_an_archive(head: bytes, archive: bool) -> None:
    """BuildKit's magic numbers; the tars of other tests are its third kind."""
    assert begins_archive(head) is archive


def piped(data: bytes) -> int:
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    return reader


def test_standard_input(tmp_path: Path) -> None:
    def read(data: bytes, role: str, *, named: bool = False) -> object:
        fd = piped(data)
        try:
            found = read_standard_input(StandardInput(fd, role, named), lambda: None)
            if found.archive is not None:
                return b"".join(found.archive.chunks(lambda: None))
            return found.dockerfile, found.without_files
        finally:
            os.close(fd)

    packed = gzip.compress(os.urandom(20_000))
    assert read(b"FROM x\n", CONTEXT) == (b"FROM x\n", True)
    assert read(b"FROM x\n", DOCKERFILE) == (b"FROM x\n", False)
    assert read(packed, CONTEXT) == packed
    assert read(packed, CONTEXT, named=True) == packed
    # What -f - reads is a Dockerfile, whatever it looks like.
    assert read(packed, DOCKERFILE) == (packed, False)
    assert read(b"", CONTEXT, named=True) == (b"", True)
    with pytest.raises(DefinitionError, match="ambiguous Dockerfile source"):
        read(b"FROM x\n", CONTEXT, named=True)


def test_waiting_for_standard_input_can_be_cancelled() -> None:
    reader, writer = os.pipe()
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise CancelledError

    try:
        with pytest.raises(CancelledError):
            read_standard_input(StandardInput(reader, CONTEXT), check)
    finally:
        os.close(reader)
        os.close(writer)
