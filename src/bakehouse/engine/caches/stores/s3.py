"""Caches in S3 and in services that speak its language: one object a blob, one a cache config.

Objects are `PREFIX + BLOBS_PREFIX + DIGEST` and `PREFIX + MANIFESTS_PREFIX + NAME`, as BuildKit's, so that both read
what the other wrote. Blobs that are older than `touch_refresh` are copied onto themselves, which makes them young for
the bucket's lifecycle rules.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from bakehouse.engine.caches.stores.attributes import (
    document_names,
    lenient_bool,
    lenient_seconds,
    positive,
    wrong,
)
from bakehouse.engine.caches.stores.aws_credentials import (
    AwsCredentials,
    configured_endpoint,
    credentials_of,
    domain_of,
)
from bakehouse.engine.caches.stores.aws_signature import encoded_path, encoded_query, signed_headers
from bakehouse.engine.caches.stores.service import MAX_ERROR_BYTES, Patience, Request, Service, refusal
from bakehouse.engine.caches.stores.transfer import (
    Opener,
    download,
    part_size,
    read_whole,
    send_parts,
)
from bakehouse.engine.caches.stores.xml_documents import completed_upload, root_name, xml_error, xml_members
from bakehouse.errors import BakehouseError, DeniedError, EnvironmentFault, NotFoundError, TransientError
from bakehouse.oci.digest import Digest
from bakehouse.registry.transport import Answer
from bakehouse.values import dataclass, replace

_TITLE = "S3"
#: Blobs from this size on go up in parts; no upload has more than so many.
_PARTS_FROM_BYTES = 16 * 1024 * 1024
_MAX_PARTS = 10_000
#: What one request can copy.
_MAX_COPY_BYTES = 5 * 1024**3
_DAY_S = 24 * 3600.0
#: A cache config beyond this is no cache config.
_MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
#: Codes of refusals with status 400 that mean: come again.
_COME_AGAIN = frozenset({"RequestTimeout", "RequestTimeoutException", "Throttling", "ThrottlingException"})
#: A bucket that can be part of a host name, and of one that a wildcard certificate covers.
_HOST_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]\Z")
_ADDRESS = re.compile(r"\[?[0-9a-f:]*:[0-9a-f:.]*\]?\Z|[0-9]{1,3}(?:\.[0-9]{1,3}){3}\Z")


@dataclass(frozen=True, slots=True)
class S3Place:
    """Where the objects are. `base` is the URL of the bucket, without a slash at its end."""

    bucket: str
    region: str
    base: str
    blobs: str
    manifests: str
    touch_refresh_s: float

    def url(self, key: str, query: Mapping[str, str] | None = None) -> str:
        return f"{self.base}/{encoded_path(key)}" + (f"?{encoded_query(query)}" if query else "")


def open_s3(
    attrs: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    export: bool,
    wait: Callable[[float], None],
) -> tuple[S3Store, tuple[str, ...]]:
    """The store, and the names to write, or the one to read: BuildKit reads the first of the list alone."""
    place = _place(attrs, environ)
    if not export:
        # Who only reads may lack the right to copy.
        place = replace(place, touch_refresh_s=math.inf)
    parallelism = positive(attrs, "upload_parallelism", 4)
    service = Service(
        _TITLE, environ, _patience(attrs, environ), wait=wait, ca_file=environ.get("AWS_CA_BUNDLE", "")
    )
    store = S3Store(place, credentials_of(attrs, environ, place.region, wait), service, parallelism)
    names = document_names(attrs)
    return store, names if export else names[:1]


def _place(attrs: Mapping[str, str], environ: Mapping[str, str]) -> S3Place:
    bucket = _needed(attrs, environ, "bucket", "AWS_BUCKET")
    region = _needed(attrs, environ, "region", "AWS_REGION")
    prefix = attrs.get("prefix", "")
    return S3Place(
        bucket=bucket,
        region=region,
        base=_bucket_url(attrs, environ, bucket, region),
        blobs=prefix + attrs.get("blobs_prefix", "blobs/"),
        manifests=prefix + attrs.get("manifests_prefix", "manifests/"),
        touch_refresh_s=lenient_seconds(attrs, "touch_refresh", _DAY_S),
    )


def _needed(attrs: Mapping[str, str], environ: Mapping[str, str], name: str, variable: str) -> str:
    value = attrs.get(name, environ.get(variable))
    if value is None:
        raise wrong(
            f"{name} (${variable}) not set for s3 cache", f"Write `type=s3,{name}=…`, or set {variable}."
        )
    if not value:
        raise wrong(f"{name} of the s3 cache is empty")
    return value


def _bucket_url(attrs: Mapping[str, str], environ: Mapping[str, str], bucket: str, region: str) -> str:
    if bucket.startswith("arn:"):
        raise wrong("the s3 cache takes no access point", "Name the bucket itself.")
    own = attrs.get("endpoint_url", "")
    endpoint = own or configured_endpoint(environ, "S3") or _aws_endpoint(environ, region)
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
        raise wrong(
            f"endpoint_url of the s3 cache is no URL of a server: {parts.scheme}://{parts.hostname or ''}"
        )
    path_style = bool(own) and lenient_bool(attrs, "use_path_style")
    root = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.rstrip("/")
    if path_style or not _fits_host(bucket, parts.scheme, parts.hostname):
        return f"{root}{path}/{quote(bucket, safe='')}"
    return f"{parts.scheme}://{bucket}.{parts.netloc}{path}"


def _aws_endpoint(environ: Mapping[str, str], region: str) -> str:
    fips = "-fips" if environ.get("AWS_USE_FIPS_ENDPOINT", "").lower() == "true" else ""
    dual = ".dualstack" if environ.get("AWS_USE_DUALSTACK_ENDPOINT", "").lower() == "true" else ""
    return f"https://s3{fips}{dual}.{region}.{domain_of(region)}"


def _fits_host(bucket: str, scheme: str, host: str) -> bool:
    """Whether the bucket can stand before the host: no address, and with TLS no further dot."""
    if _ADDRESS.match(host) or not _HOST_BUCKET.match(bucket) or _ADDRESS.match(bucket) or ".." in bucket:
        return False
    return scheme == "http" or "." not in bucket


def _patience(attrs: Mapping[str, str], environ: Mapping[str, str]) -> Patience:
    """AWS's standard way of retrying; `adaptive` also holds back the other requests when one is throttled."""
    mode = attrs.get("retry_mode", environ.get("AWS_RETRY_MODE") or "standard")
    if "retry_mode" in attrs and mode not in ("standard", "adaptive"):
        raise wrong('retry_mode must be "standard" or "adaptive"')
    attempts = 3
    if "retry_max_attempts" in attrs:
        attempts = positive(attrs, "retry_max_attempts", attempts)
    elif environ.get("AWS_MAX_ATTEMPTS", "").isdigit():
        attempts = int(environ["AWS_MAX_ATTEMPTS"]) or attempts
    return Patience(attempts=attempts, together=mode == "adaptive")


class S3Store:
    """A `CacheStore` in one bucket."""

    name = "s3"

    def __init__(
        self, place: S3Place, credentials: AwsCredentials, service: Service, upload_parallelism: int
    ) -> None:
        self._place = place
        self._credentials = credentials
        self._service = service
        self.upload_parallelism = upload_parallelism

    def close(self) -> None:
        self._service.close()

    def get_document(self, name: str) -> bytes | None:
        key = self._place.manifests + name
        with self._send("GET", key) as answer:
            if answer.status == 404 and self._is_object_missing(answer):
                return None
            self._check(answer, f"read the cache {name!r}")
            raw = answer.read(_MAX_DOCUMENT_BYTES + 1)
        if len(raw) > _MAX_DOCUMENT_BYTES:
            raise EnvironmentFault(f"the cache {name!r} in S3 is too large to be one", code="cache-refused")
        return raw

    def put_document(self, name: str, raw: bytes) -> None:
        with self._send("PUT", self._place.manifests + name, body=raw) as answer:
            self._check(answer, f"write the cache {name!r}")

    def has_blob(self, digest: Digest) -> bool:
        key = self._place.blobs + digest
        with self._send("HEAD", key) as answer:
            if answer.status == 404:
                return False
            self._check(answer, f"look for blob {digest}")
            age = time.time() - _http_time(answer.header("Last-Modified"))
            size = int(answer.header("Content-Length") or 0)
        if age > self._place.touch_refresh_s:
            self._touch(digest, key, size)
        return True

    def open_blob(self, digest: Digest, size: int) -> AbstractContextManager[BinaryIO]:
        def ask(offset: int) -> Answer:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            return self._send("GET", self._place.blobs + digest, headers=headers)

        def check(answer: Answer, status: int) -> None:
            if answer.status == 404 and self._is_object_missing(answer):
                raise NotFoundError(f"the cache in S3 no longer has blob {digest}", code="cache-blob-missing")
            self._check(answer, f"read blob {digest}", expected=status)

        return download(size, ask, check)

    def put_blob(self, digest: Digest, size: int, read: Opener) -> None:
        key = self._place.blobs + digest
        if size < _PARTS_FROM_BYTES:
            with self._send("PUT", key, body=read_whole(digest, size, read)) as answer:
                self._check(answer, f"write blob {digest}")
            return
        part = part_size(size, _MAX_PARTS)

        def upload(upload_id: str) -> list[str]:
            def send(offset: int, data: bytes) -> str:
                query = {"partNumber": str(offset // part + 1), "uploadId": upload_id}
                with self._send("PUT", key, query=query, body=data) as answer:
                    self._check(answer, f"write blob {digest}")
                    return answer.header("ETag")

            return send_parts(digest, size, read, part, send)

        self._in_parts(key, f"write blob {digest}", upload)

    def _in_parts(
        self,
        key: str,
        doing: str,
        upload: Callable[[str], list[str]],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """An object made of parts: nothing is to be seen of it before the last step, and nothing stays if one fails."""
        with self._send(
            "POST", key, query={"uploads": ""}, headers=headers, body=b"", idempotent=False
        ) as answer:
            self._check(answer, doing)
            raw = answer.read(MAX_ERROR_BYTES)
        upload_id = xml_members(raw, "InitiateMultipartUploadResult").get("UploadId", "")
        if not upload_id:
            raise refusal(_TITLE, self._place.base, answer.status, "an upload without a name", doing)
        query = {"uploadId": upload_id}
        try:
            body = completed_upload(upload(upload_id))
            with self._send("POST", key, query=query, body=body) as answer:
                self._check_body(answer, doing)
        except BaseException:
            self._abort(key, query)
            raise

    def _abort(self, key: str, query: Mapping[str, str]) -> None:
        try:
            self._send("DELETE", key, query=query).close()
        except (TransientError, DeniedError, EnvironmentFault):
            pass  # the first error counts; the bucket's rules remove what is left of uploads

    def _touch(self, digest: Digest, key: str, size: int) -> None:
        """Copies the object onto itself, which sets its time."""
        doing = f"refresh blob {digest}"
        fresh = {"x-amz-meta-updated-at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        source = {"x-amz-copy-source": encoded_path(f"{self._place.bucket}/{key}")}
        if size < _MAX_COPY_BYTES:
            headers = {**source, **fresh, "x-amz-metadata-directive": "REPLACE"}
            with self._send("PUT", key, headers=headers, body=b"") as answer:
                self._check_body(answer, doing)
            return

        def upload(upload_id: str) -> list[str]:
            etags = []
            for number, start in enumerate(range(0, size, _MAX_COPY_BYTES), 1):
                end = min(start + _MAX_COPY_BYTES, size) - 1
                headers = {**source, "x-amz-copy-source-range": f"bytes={start}-{end}"}
                query = {"partNumber": str(number), "uploadId": upload_id}
                with self._send("PUT", key, query=query, headers=headers, body=b"") as answer:
                    raw = self._check_body(answer, doing)
                etags.append(xml_members(raw, "CopyPartResult").get("ETag", ""))
            return etags

        self._in_parts(key, doing, upload, fresh)

    def _send(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        idempotent: bool = True,
    ) -> Answer:
        url = self._place.url(key, query)

        def make() -> Request:
            keys = self._credentials.keys()
            sent = signed_headers(keys, self._place.region, method, url, headers or {}, body or b"")
            return Request(method, url, sent, body)

        return self._service.send(make, idempotent=idempotent, come_again=_says_come_again)

    def _is_object_missing(self, answer: Answer) -> bool:
        """Of a 404: whether it is the object that is not there. Raises when it is the bucket."""
        code, message = xml_error(answer.read(MAX_ERROR_BYTES))
        if code == "NoSuchBucket":
            raise self._refused(answer, f"use bucket {self._place.bucket!r}", code, message)
        return True

    def _check(self, answer: Answer, doing: str, *, expected: int = 200) -> None:
        if answer.status == expected:
            return
        raise self._refused(answer, doing, *xml_error(answer.read(MAX_ERROR_BYTES)))

    def _check_body(self, answer: Answer, doing: str) -> bytes:
        """S3 begins some answers before it knows their end: an error may come with status 200."""
        raw = answer.read(MAX_ERROR_BYTES)
        if answer.status != 200 or root_name(raw) == "Error":
            raise self._refused(answer, doing, *xml_error(raw))
        return raw

    def _refused(self, answer: Answer, doing: str, code: str, message: str) -> BakehouseError:
        hint = ""
        region = answer.header("x-amz-bucket-region")
        if region and region != self._place.region:
            hint = f"The bucket is in region {region!r}: write `region={region}`."
        elif code == "NoSuchBucket":
            hint = "Make the bucket first; the cache does not."
        elif code == "SignatureDoesNotMatch":
            hint = "Check secret_access_key and region."
        text = f"{code}: {message}" if code and message else code or message
        # An error within an answer 200 is one of the service itself.
        status = 503 if answer.status == 200 and code else answer.status
        return refusal(_TITLE, answer.url, status, text, doing, hint=hint)


def _says_come_again(raw: bytes) -> bool:
    return xml_error(raw)[0] in _COME_AGAIN


def _http_time(text: str) -> float:
    """Seconds since 1970; a service that tells no time has old blobs."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        return 0.0
