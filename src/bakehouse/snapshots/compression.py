"""Compression of layer tars, and reading compressed streams.

Writing cuts the tar into blocks of 1 MiB that are compressed one by one on a thread pool: gzip members by libdeflate
or zstd frames. The bytes depend on content, type and level, never on the number of threads or the processor
(deps.md §8). Reading accepts any number of members or frames.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from bakehouse.errors import DefinitionError, IntegrityError
from bakehouse.oci.digest import Digest
from bakehouse.oci.media_types import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

BLOCK_SIZE = 1 << 20
_READ_SIZE = 1 << 18
#: Blocks handed to the pool before the writer waits for the oldest one.
_IN_FLIGHT = 8
#: The quickest of libdeflate's levels whose output is no larger than that of BuildKit's default gzip for nearly all
#: trees: docs/decisions/0006-gzip-blocks.md. BuildKit's levels 0-9 are handed to libdeflate as they are.
DEFAULT_GZIP_LEVEL = 5
DEFAULT_ZSTD_LEVEL = 3
_MEDIA_TYPES = {"gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD, "uncompressed": OCI_LAYER}
_MAX_LEVEL = {"gzip": 9, "zstd": 22, "uncompressed": 22}

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BZIP2_MAGIC = b"BZh"
_XZ_MAGIC = b"\xfd7zXZ\0"


@dataclass(frozen=True, slots=True)
class Compression:
    """What a layer blob shall be: `type` gzip, zstd or uncompressed; `level` 0-9 or 0-22 (None: the default);
    `force` also converts blobs that exist in another type.

    Raises `DefinitionError` (`unsupported-compression`, `invalid-compression-level`)."""

    type: str = "gzip"
    level: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if self.type not in _MEDIA_TYPES:
            raise DefinitionError(
                f"unsupported compression type {self.type}",
                code="unsupported-compression",
                hint="Use gzip, zstd or uncompressed.",
            )
        if self.level is not None and not 0 <= self.level <= _MAX_LEVEL[self.type]:
            raise DefinitionError(
                f"compression level {self.level} is not within 0-{_MAX_LEVEL[self.type]} for {self.type}",
                code="invalid-compression-level",
            )

    @property
    def media_type(self) -> str:
        """The OCI media type of a layer in this compression."""
        return _MEDIA_TYPES[self.type]


class ByteSink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class ByteSource(Protocol):
    def read(self, size: int, /) -> bytes: ...


def block_compressor(compression: Compression) -> Callable[[bytes], bytes] | None:
    """The function that compresses one block into one member or frame; None for no compression."""
    if compression.type == "gzip":
        import deflate

        level = DEFAULT_GZIP_LEVEL if compression.level is None else compression.level
        compress_gzip = deflate.gzip_compress
        return lambda block: bytes(compress_gzip(block, level))
    if compression.type == "zstd":
        zstd = _zstd()
        wanted = DEFAULT_ZSTD_LEVEL if compression.level is None else compression.level
        return lambda block: bytes(zstd.compress(block, wanted))
    return None


def _zstd() -> _ZstdModule:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        from backports import zstd
    module: _ZstdModule = zstd
    return module


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _ZstdModule(Protocol):
    def compress(self, data: bytes, level: int, /) -> bytes: ...
    def ZstdDecompressor(self) -> _Decompressor: ...


class CompressingWriter:
    """A sink for an uncompressed tar: digests it, compresses it block by block on `pool`, writes the results in
    order to `out`. Call `finish` exactly once; then `diff_id` and `size` (uncompressed bytes) are final.

    Not thread-safe. An error of a block or of `out` surfaces in a later `write` or in `finish`; `abandon` drops what
    is still under way.
    """

    def __init__(self, out: ByteSink, compression: Compression, pool: Executor) -> None:
        self._out = out
        self._compress = block_compressor(compression)
        self._pool = pool
        self._hash = hashlib.sha256()
        self._buffer = bytearray()
        self._pending: deque[Future[bytes]] = deque()
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._hash.update(data)
        self.size += len(data)
        if self._compress is None:
            self._out.write(bytes(data))
            return
        self._buffer += data
        if len(self._buffer) < BLOCK_SIZE:
            return
        start = 0
        with memoryview(self._buffer) as view:
            while len(view) - start >= BLOCK_SIZE:
                self._submit(bytes(view[start : start + BLOCK_SIZE]))
                start += BLOCK_SIZE
        del self._buffer[:start]

    def _submit(self, block: bytes) -> None:
        assert self._compress is not None
        while len(self._pending) >= _IN_FLIGHT or (self._pending and self._pending[0].done()):
            self._out.write(self._pending.popleft().result())
        self._pending.append(self._pool.submit(self._compress, block))

    def finish(self) -> str:
        """Writes all that is left; returns the diff ID."""
        if self._compress is not None:
            if self._buffer or not self.size:
                self._submit(bytes(self._buffer))
                self._buffer.clear()
            while self._pending:
                self._out.write(self._pending.popleft().result())
        return self.diff_id

    @property
    def diff_id(self) -> str:
        return Digest("sha256:" + self._hash.hexdigest())

    def abandon(self) -> None:
        """Cancels blocks that no thread has taken up yet. Idempotent."""
        for future in self._pending:
            future.cancel()
        self._pending.clear()


class DecompressingReader:
    """Reads a plain, gzip, zstd, bzip2 or xz stream as plain bytes; the kind is told by its first bytes.

    `read` returns b"" at the end. Raises `IntegrityError` (`stream-corrupt`) for damaged or truncated data. `kind`
    names what was found. With `digest`, `diff_id` is the digest of what has been read so far.
    """

    def __init__(self, source: ByteSource, *, digest: bool = False, max_bytes: int | None = None) -> None:
        self._source = source
        head = b""
        while len(head) < 6 and (data := source.read(_READ_SIZE)):
            head += data
        self.kind, self._factory = _detect(head)
        self._chunks = self._plain(head) if self._factory is None else self._decoded(head)
        self._rest = b""
        self._hash = hashlib.sha256() if digest else None
        self._left = max_bytes
        self.size = 0

    @property
    def diff_id(self) -> str:
        assert self._hash is not None
        return Digest("sha256:" + self._hash.hexdigest())

    def _plain(self, head: bytes) -> Iterator[bytes]:
        if head:
            yield head
        while data := self._source.read(BLOCK_SIZE):
            yield data

    def _decoded(self, data: bytes) -> Iterator[bytes]:
        factory = self._factory
        assert factory is not None
        first = True
        while data or (data := self._source.read(_READ_SIZE)):
            if not first and self.kind == "gzip" and not data.strip(b"\0"):
                # Zeros may pad the last member (gzip(1) ignores them too).
                data = b""
                continue
            decoder = factory()
            first = False
            try:
                while True:
                    if part := decoder.decompress(data):
                        yield part
                    if decoder.eof:
                        break
                    data = self._source.read(_READ_SIZE)
                    if not data:
                        raise _corrupt(self.kind, "it ends early")
                data = decoder.unused_data
            except IntegrityError:
                raise
            except Exception as error:
                raise _corrupt(self.kind, str(error)) from error

    def chunks(self) -> Iterator[bytes]:
        """The rest of the stream in pieces of the decoder's choice."""
        while data := self.read_some():
            yield data

    def read_some(self) -> bytes:
        """The next piece, of any size; b"" at the end."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        data = next(self._chunks, b"")
        if data:
            self.size += len(data)
            if self._left is not None and self.size > self._left:
                raise IntegrityError(
                    f"the stream has more than {self._left} bytes uncompressed", code="archive-too-large"
                )
            if self._hash is not None:
                self._hash.update(data)
        return data

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes (everything when negative)."""
        if size < 0:
            return b"".join(self.chunks())
        data = self.read_some()
        if len(data) > size:
            self._rest = data[size:]
            return data[:size]
        return data


def _corrupt(kind: str, what: str) -> IntegrityError:
    return IntegrityError(f"the {kind} stream is damaged: {what}", code="stream-corrupt")


def _detect(head: bytes) -> tuple[str, Callable[[], _Decompressor] | None]:
    if head.startswith(_GZIP_MAGIC):
        from isal import igzip_lib

        return "gzip", lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)  # type: ignore[no-any-return,unused-ignore]
    if head.startswith(_ZSTD_MAGIC) or (
        len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5
    ):
        return "zstd", _zstd().ZstdDecompressor
    if head.startswith(_BZIP2_MAGIC):
        import bz2

        return "bzip2", bz2.BZ2Decompressor
    if head.startswith(_XZ_MAGIC):
        import lzma

        return "xz", lzma.LZMADecompressor
    return "uncompressed", None


class Prefetched:
    """Reads a stream ahead in a thread of its own, so that inflating and digesting run beside the consumer.

    A context manager: leaving it stops the thread. Errors of the source are raised by `read`."""

    def __init__(self, source: DecompressingReader, pieces: int = 16) -> None:
        self._source = source
        self._queue: queue.Queue[bytes | BaseException] = queue.Queue(pieces)
        self._stop = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._fill, name="layer-reader", daemon=True)
        self._thread.start()

    def _fill(self) -> None:
        try:
            while data := self._source.read_some():
                if not self._put(data):
                    return
            self._put(b"")
        except BaseException as error:
            self._put(error)

    def _put(self, item: bytes | BaseException) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read(self, size: int, /) -> bytes:
        """The next piece, of any size; b"" at the end."""
        if self._ended:
            return b""
        item = self._queue.get()
        if isinstance(item, BaseException):
            self._ended = True
            raise item
        self._ended = not item
        return item

    def __enter__(self) -> Prefetched:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
