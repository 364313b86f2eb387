"""What every store guarantees, whatever the service."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.cache_services import ActionsCache, AzureStorage, S3Server

from bakehouse.engine.caches.stores.model import CacheStore, open_cache_store
from bakehouse.errors import IntegrityError, NotFoundError
from bakehouse.oci.digest import Digest

#: So large that every service gets it in parts.
LARGE = os.urandom(17 * 1024 * 1024 + 5)


class Kind:
    """A type of cache in an empty place of its own."""

    def __init__(self, type: str, attrs: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self.type = type
        self.attrs = attrs
        self.environ = environ

    def open(self, *, export: bool = True) -> tuple[CacheStore, tuple[str, ...]]:
        return open_cache_store(self.type, self.attrs, self.environ, export=export)


@pytest.fixture(params=["s3", "azblob", "gha-v1", "gha-v2"])
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        bucket = f"b-{uuid.uuid4()}"
        server.make_bucket(bucket)
        return Kind("s3", server.attrs(bucket), {})
    if request.param == "azblob":
        azure: AzureStorage = request.getfixturevalue("azure")
        return Kind("azblob", azure.attrs(), {})
    actions: ActionsCache = request.getfixturevalue("actions")
    return Kind("gha", {}, actions.environ(int(request.param[-1])))


@pytest.fixture
def store(kind: Kind) -> Iterator[CacheStore]:
    opened, _ = kind.open()
    yield opened
    opened.close()
    opened.close()


def put(store: CacheStore, content: bytes) -> Digest:
    digest = Digest.of(content)
    store.put_blob(digest, len(content), lambda: io.BytesIO(content))
    return digest


def read(store: CacheStore, digest: Digest, size: int) -> bytes:
    with store.open_blob(digest, size) as stream:
        return stream.read()


def test_documents_are_absent_then_there_then_replaced(kind: Kind) -> None:
    writer, names = kind.open()
    reader, names_to_read = kind.open(export=False)
    assert names == names_to_read
    for name in names:
        assert reader.get_document(name) is None
        writer.put_document(name, b"{}")
        assert reader.get_document(name) == b"{}"
        writer.put_document(name, b'{"layers":[]}')
        assert reader.get_document(name) == b'{"layers":[]}'
    writer.close()
    reader.close()


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "large"])
def test_blobs_come_back(kind: Kind, store: CacheStore, content: bytes) -> None:
    digest = Digest.of(content)
    assert not store.has_blob(digest)
    put(store, content)
    assert store.has_blob(digest)
    other, _ = kind.open(export=False)
    assert other.has_blob(digest)
    assert read(other, digest, len(content)) == content
    other.close()


def test_a_blob_that_is_there_stays(store: CacheStore) -> None:
    digest = put(store, b"once")
    assert put(store, b"once") == digest
    assert read(store, digest, 4) == b"once"


def test_no_more_is_read_than_the_size_says(store: CacheStore) -> None:
    assert read(store, put(store, b"too long"), 3) == b"too"


def test_a_part_can_be_read_and_the_rest_left(store: CacheStore) -> None:
    digest = put(store, LARGE)
    with store.open_blob(digest, len(LARGE)) as stream:
        assert stream.read(10) == LARGE[:10]
    assert store.has_blob(digest)


def test_a_missing_blob_is_not_found(store: CacheStore) -> None:
    put(store, b"another")
    with pytest.raises(NotFoundError) as caught, store.open_blob(Digest.of(b"none"), 4):
        pass
    assert caught.value.code == "cache-blob-missing"


@pytest.mark.parametrize(
    "content", [b"small", LARGE[:5_000_000], LARGE], ids=["small", "one request", "parts"]
)
@pytest.mark.parametrize("difference", [-1, 1])
def test_a_blob_of_another_size_does_not_appear(
    kind: Kind, store: CacheStore, content: bytes, difference: int
) -> None:
    digest = Digest.of(content)
    with pytest.raises(IntegrityError) as caught:
        store.put_blob(digest, len(content) + difference, lambda: io.BytesIO(content))
    assert caught.value.code == "cache-blob-size"
    other, _ = kind.open(export=False)
    assert not other.has_blob(digest)
    other.close()


def test_an_error_of_the_reader_is_the_error(store: CacheStore) -> None:
    class Broken(io.BytesIO):
        def read(self, count: int | None = -1, /) -> bytes:
            if self.tell() > 10_000_000:
                raise OSError("the disk is gone")
            return super().read(count)

    digest = Digest.of(LARGE)
    with pytest.raises(OSError, match="the disk is gone"):
        store.put_blob(digest, len(LARGE), lambda: Broken(LARGE))
    assert not store.has_blob(digest)


def test_many_threads_share_a_store(store: CacheStore) -> None:
    contents = [f"content {number}".encode() for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(lambda content: put(store, content), contents))
        assert list(pool.map(lambda digest: read(store, digest, 100), digests)) == contents
