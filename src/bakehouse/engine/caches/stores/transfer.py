"""Blobs on their way: up in parts that travel side by side, down in one stream that survives broken connections."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from bakehouse.errors import IntegrityError
from bakehouse.oci.digest import Digest
from bakehouse.registry.transport import Answer, ConnectionBroken

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
Opener = Callable[[], AbstractContextManager[BinaryIO]]

PART_BYTES = 8 * 1024 * 1024
#: How many parts of one blob travel at once; so many are in memory besides.
PARALLEL_PARTS = 4
#: How often one stream is resumed.
_RESUMES = 5
_BUFFER_BYTES = 256 * 1024


def part_size(size: int, most: int) -> int:
    """The size of parts such that `most` of them hold `size` bytes, in whole mebibytes."""
    needed = -(-size // most)
    mebibyte = 1024 * 1024
    return max(PART_BYTES, -(-needed // mebibyte) * mebibyte)


def read_whole(digest: Digest, size: int, read: Opener) -> bytes:
    """A blob that fits into one request. Raises `IntegrityError` when it has another size."""
    with read() as source:
        data = _read_full(source, size)
        if len(data) != size or source.read(1):
            raise _wrong_size(digest, size)
    return data


def send_parts(
    digest: Digest, size: int, read: Opener, part: int, send: Callable[[int, bytes], T]
) -> list[T]:
    """Calls `send(offset, data)` for every part of `part` bytes, several at once; the answers in order.

    When one fails, no further part is begun, those under way are awaited, and its error is raised. Raises
    `IntegrityError` when the blob has another size; its last parts may have been sent.
    """
    from concurrent.futures import ThreadPoolExecutor

    waiting: list[Future[T]] = []
    done: list[T] = []
    with ThreadPoolExecutor(PARALLEL_PARTS, thread_name_prefix="cache-part") as pool, read() as source:
        try:
            for offset in range(0, size, part):
                wanted = min(part, size - offset)
                data = _read_full(source, wanted)
                if len(data) != wanted or (offset + wanted == size and source.read(1)):
                    raise _wrong_size(digest, size)
                if len(waiting) == PARALLEL_PARTS:
                    done.append(waiting.pop(0).result())
                waiting.append(pool.submit(send, offset, data))
            done += [future.result() for future in waiting]
        except BaseException:
            for future in waiting:
                future.cancel()
            raise
    return done


def _read_full(source: BinaryIO, count: int) -> bytes:
    parts: list[bytes] = []
    while count and (data := source.read(count)):
        parts.append(data)
        count -= len(data)
    return b"".join(parts)


def _wrong_size(digest: Digest, size: int) -> IntegrityError:
    return IntegrityError(
        f"blob {digest} has not the {size} bytes that it should have", code="cache-blob-size"
    )


class BlobStream(io.RawIOBase):
    """The body of a download. `open_at(offset)` gives the bytes from there on: asked once at the beginning, and again
    wherever the connection breaks. No more than `size` bytes are read; fewer come when the service has fewer."""

    def __init__(self, open_at: Callable[[int], Answer], size: int) -> None:
        super().__init__()
        self._open_at = open_at
        self._size = size
        self._offset = 0
        self._resumes = _RESUMES
        self._answer: Answer | None = open_at(0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._size - self._offset)
        if not wanted:
            return 0
        data = self._read(wanted)
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def _read(self, wanted: int) -> bytes:
        while True:
            try:
                if self._answer is None:
                    self._answer = self._open_at(self._offset)
                return next(self._answer.chunks(wanted), b"")
            except ConnectionBroken:
                self._drop()
                if not self._resumes:
                    raise
                self._resumes -= 1

    def _drop(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def close(self) -> None:
        self._drop()
        super().close()


@contextmanager
def download(
    size: int, ask: Callable[[int], Answer], check: Callable[[Answer, int], None]
) -> Iterator[BinaryIO]:
    """A blob of `size` bytes. `ask(offset)` requests it from there on; `check(answer, status)` raises what is wrong
    with an answer that should have that status. Leaving the block ends the download."""

    def open_at(offset: int) -> Answer:
        answer = ask(offset)
        try:
            check(answer, 206 if offset else 200)
        except BaseException:
            answer.close()
            raise
        return answer

    with io.BufferedReader(BlobStream(open_at, size), _BUFFER_BYTES) as stream:
        yield stream
