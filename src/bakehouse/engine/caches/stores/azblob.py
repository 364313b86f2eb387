"""Caches in Azure Blob Storage: one blob a layer, one a cache config, named as BuildKit names them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from bakehouse.engine.caches.stores.attributes import document_names, wrong
from bakehouse.engine.caches.stores.azure_blobs import AzureBlobs, error_code
from bakehouse.engine.caches.stores.azure_credentials import bearer, shared_key
from bakehouse.engine.caches.stores.service import Patience, Service
from bakehouse.engine.caches.stores.transfer import Opener, download
from bakehouse.errors import EnvironmentFault, NotFoundError
from bakehouse.go.paths import join_path
from bakehouse.oci.digest import Digest
from bakehouse.registry.transport import Answer
from bakehouse.values import dataclass

_TITLE = "Azure Blob Storage"
_URL_VARIABLE = "BUILDKIT_AZURE_STORAGE_ACCOUNT_URL"
_NAME_VARIABLE = "BUILDKIT_AZURE_STORAGE_ACCOUNT_NAME"
_CONTAINER_VARIABLE = "BUILDKIT_AZURE_STORAGE_CONTAINER"
_PREFIX_VARIABLE = "BUILDKIT_AZURE_STORAGE_PREFIX"
_MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
#: What stays as it is in a name that is one segment of a path.
_NAME_SAFE = "-_.~$&+:=@"
_MISSING_CODES = frozenset({"BlobNotFound", "ContainerNotFound"})


@dataclass(frozen=True, slots=True)
class AzurePlace:
    """Where the blobs are. `base` is the URL of the container, without a slash at its end."""

    container: str
    base: str
    blobs: str
    manifests: str

    def blob_url(self, digest: Digest) -> str:
        return self._url(join_path(self.blobs, digest))

    def manifest_url(self, name: str) -> str:
        return self._url(join_path(self.manifests, name))

    def _url(self, name: str) -> str:
        return f"{self.base}/{quote(name, safe=_NAME_SAFE)}"


def open_azblob(
    attrs: Mapping[str, str], environ: Mapping[str, str], *, wait: Callable[[float], None]
) -> tuple[AzureStore, tuple[str, ...]]:
    """The store and the names of its documents. Raises `DefinitionError` and `DeniedError`."""
    url = attrs.get("account_url", environ.get(_URL_VARIABLE))
    if url is None:
        raise wrong(
            f"either ${{{_URL_VARIABLE}}} or account_url attribute is required for azblob cache",
            "Write `type=azblob,account_url=https://ACCOUNT.blob.core.windows.net`.",
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
        raise wrong(
            "azure storage account url provided is not a valid url",
            "It is `https://ACCOUNT.blob.core.windows.net`, without a signature.",
        )
    account = attrs.get("account_name", environ.get(_NAME_VARIABLE, parts.hostname.split(".")[0]))
    if not account:
        raise wrong(
            f"unable to retrieve account name from account url or ${{{_NAME_VARIABLE}}} or account_name "
            "attribute for azblob cache"
        )
    key = attrs.get("secret_access_key", "")
    prove = shared_key(account, key) if key else bearer(environ, wait)
    service = Service(
        _TITLE,
        environ,
        Patience(attempts=4, first_wait_s=0.8, longest_wait_s=60, deadline_s=300),
        wait=wait,
    )
    return AzureStore(
        _place(attrs, environ, url), AzureBlobs(_TITLE, service, prove), service
    ), document_names(attrs)


def _place(attrs: Mapping[str, str], environ: Mapping[str, str], url: str) -> AzurePlace:
    container = attrs.get("container", environ.get(_CONTAINER_VARIABLE, "buildkit-cache"))
    if not container:
        raise wrong("container of the azblob cache is empty")
    prefix = attrs.get("prefix", environ.get(_PREFIX_VARIABLE, ""))
    return AzurePlace(
        container=container,
        base=f"{url.rstrip('/')}/{quote(container, safe=_NAME_SAFE)}",
        blobs=join_path(prefix, attrs.get("blobs_prefix", "blobs")),
        manifests=join_path(prefix, attrs.get("manifests_prefix", "manifests")),
    )


class AzureStore:
    """A `CacheStore` in one container, which is made before the first write."""

    name = "azblob"
    #: Blobs go up one after the other, their blocks side by side.
    upload_parallelism = 1

    def __init__(self, place: AzurePlace, blobs: AzureBlobs, service: Service) -> None:
        self._place = place
        self._blobs = blobs
        self._service = service
        self._lock = threading.Lock()
        self._has_container = False

    def close(self) -> None:
        self._service.close()

    def get_document(self, name: str) -> bytes | None:
        with self._blobs.read(self._place.manifest_url(name), 0) as answer:
            if _is_missing(answer):
                return None
            self._blobs.check(answer, f"read the cache {name!r}", 200)
            raw = answer.read(_MAX_DOCUMENT_BYTES + 1)
        if len(raw) > _MAX_DOCUMENT_BYTES:
            raise EnvironmentFault(
                f"the cache {name!r} in {_TITLE} is too large to be one", code="cache-refused"
            )
        return raw

    def put_document(self, name: str, raw: bytes) -> None:
        self._make_container()
        with self._blobs.write(self._place.manifest_url(name), raw) as answer:
            self._blobs.check(answer, f"write the cache {name!r}", 201)

    def has_blob(self, digest: Digest) -> bool:
        with self._blobs.send("HEAD", self._place.blob_url(digest)) as answer:
            if _is_missing(answer):
                return False
            self._blobs.check(answer, f"look for blob {digest}", 200)
        return True

    def open_blob(self, digest: Digest, size: int) -> AbstractContextManager[BinaryIO]:
        url = self._place.blob_url(digest)

        def check(answer: Answer, status: int) -> None:
            if _is_missing(answer):
                raise NotFoundError(
                    f"the cache in {_TITLE} no longer has blob {digest}", code="cache-blob-missing"
                )
            self._blobs.check(answer, f"read blob {digest}", status)

        return download(size, lambda offset: self._blobs.read(url, offset), check)

    def put_blob(self, digest: Digest, size: int, read: Opener) -> None:
        self._make_container()
        url = self._place.blob_url(digest)
        with self._blobs.write_blob(url, digest, size, read, only_new=True) as answer:
            if answer.status == 409 and error_code(answer) == "BlobAlreadyExists":
                return
            self._blobs.check(answer, f"write blob {digest}", 201)

    def _make_container(self) -> None:
        """Sees to it, once, that the container is there. Who may not look at it may be allowed to write into it."""
        with self._lock:
            if self._has_container:
                return
            query = {"restype": "container"}
            with self._blobs.send("HEAD", self._place.base, query=query) as answer:
                is_there = answer.status != 404
            if not is_there:
                with self._blobs.send("PUT", self._place.base, query=query, body=b"") as answer:
                    if answer.status != 201 and error_code(answer) != "ContainerAlreadyExists":
                        raise self._blobs.refused(answer, f"make container {self._place.container!r}")
            self._has_container = True


def _is_missing(answer: Answer) -> bool:
    return answer.status == 404 and error_code(answer) in _MISSING_CODES
