"""What a service that keeps a build cache can do, and where its client is found (engine.md §19.2).

A store is a bag of blobs and of named small documents. It knows nothing of what they mean: cache keys, layers and the
solver are the business of whoever holds one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from bakehouse.errors import DefinitionError
from bakehouse.oci.digest import Digest

#: The types that have a store. The others (`inline`, `registry`, `local`) keep their blobs as images do.
TYPES = ("gha", "s3", "azblob")


class CacheStore(Protocol):
    """A bag of blobs and named small documents in some service. Thread-safe.

    Every method may raise `TransientError` (code `cache-unreachable`, or `cache-busy` when the service asks for
    patience beyond its limit), `DeniedError` (code `cache-denied`) and `EnvironmentFault` (code `cache-refused`: the
    service says no for another reason). Messages name the service's host and its own words, never a credential or a
    signed URL.
    """

    name: str
    """For messages and vertices: `gha`, `s3`, `azblob`."""

    upload_parallelism: int
    """How many blobs may be put at once."""

    def get_document(self, name: str) -> bytes | None:
        """What is stored under `name`, newest first where the service keeps several; None when there is nothing."""
        ...

    def put_document(self, name: str, raw: bytes) -> None:
        """Stores `raw` under `name` instead of what was there. Readers see the old or the new, never a part."""
        ...

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob is there. Also refreshes its age where the service forgets old blobs, in an export."""
        ...

    def open_blob(self, digest: Digest, size: int) -> AbstractContextManager[BinaryIO]:
        """The blob from its beginning, resumed when the connection breaks. Not verified: the caller verifies.

        Raises `NotFoundError` (code `cache-blob-missing`) when the service has no such blob (any more)."""
        ...

    def put_blob(
        self, digest: Digest, size: int, read: Callable[[], AbstractContextManager[BinaryIO]]
    ) -> None:
        """Stores the `size` bytes that `read()` gives. It appears whole or not at all; one that is there is kept.

        Raises `IntegrityError` (code `cache-blob-size`) when `read()` gives another number of bytes."""
        ...

    def close(self) -> None:
        """Ends idle connections. Idempotent."""
        ...


def is_active(type: str, attrs: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Whether an entry counts at all: `gha` outside of GitHub Actions (no token or no URL) is passed over, as buildx
    passes it over."""
    if type != "gha":
        return True
    from bakehouse.engine.caches.stores.gha import is_active

    return is_active(attrs, environ)


def open_cache_store(
    type: str,
    attrs: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    export: bool = False,
    wait: Callable[[float], None] = time.sleep,
) -> tuple[CacheStore, tuple[str, ...]]:
    """The store that `attrs` describe, and the names of the documents that they ask for: those to read, or, for an
    `export`, those to write. What attributes leave out comes from `environ`, by the rules of buildx and BuildKit.

    Blobs of an `export` are refreshed where they have grown old. `wait` sleeps between attempts and may raise (a
    cancelled build does). Close the store when done. Raises `DefinitionError` (code `cache-attribute`) for attributes
    that are missing or wrong, and `DeniedError` (code `cache-denied`) for a token whose time is over.
    """
    if type == "gha":
        from bakehouse.engine.caches.stores.gha import open_gha

        return open_gha(attrs, environ, export=export, wait=wait)
    if type == "s3":
        from bakehouse.engine.caches.stores.s3 import open_s3

        return open_s3(attrs, environ, export=export, wait=wait)
    if type == "azblob":
        from bakehouse.engine.caches.stores.azblob import open_azblob

        return open_azblob(attrs, environ, wait=wait)
    raise DefinitionError(f"no store for caches of type {type!r} (expected {', '.join(TYPES)})")
