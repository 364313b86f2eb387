"""The registry client: resolve, pull and push, every byte verified (OCI distribution-spec 1.1).

Builds on `transport` for HTTP and `auth` for tokens. Policies live here: mirrors first, HEAD before GET, resumed
downloads, cross-repository mounts, size limits. Knows nothing of stores: blobs go to a writer and come from an
opener that the caller lends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from bakehouse.errors import (
    BakehouseError,
    DefinitionError,
    DeniedError,
    IntegrityError,
    NotFoundError,
    TransientError,
)
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import MAX_MANIFEST_BYTES, Descriptor, detect_media_type
from bakehouse.oci.media_types import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    INDEXES,
    MANIFESTS,
    OCI_INDEX,
    OCI_MANIFEST,
)
from bakehouse.oci.reference import Reference
from bakehouse.registry.config import HostConfig, RegistryConfig
from bakehouse.registry.transport import Answer, ConnectionBroken, Endpoint, Transport, error_text

if TYPE_CHECKING:
    from bakehouse.session import CredentialSource

_ACCEPT = ", ".join((DOCKER_MANIFEST, DOCKER_INDEX, OCI_MANIFEST, OCI_INDEX, "*/*"))
OnBytes = Callable[[int], None]
T = TypeVar("T")


class BlobSink(Protocol):
    """What a blob is downloaded into: bytes come in order, each once."""

    def write(self, data: bytes, /) -> object: ...


def _ignore(count: int) -> None:
    """The progress callback of callers that do not watch."""


class _UploadBroken(TransientError):
    """The body of an upload did not arrive: start again."""

    default_code = "connection-broken"


class RegistryClient:
    """A client for any number of registries. Thread-safe; connections, tokens and scheme choices are shared.

    Without a proxy in `config`, loopback hosts speak plain http and all others https. Errors: `NotFoundError` (404),
    `DeniedError` (401, 403), `IntegrityError` (wrong bytes), `TransientError` (unreachable, busy, server errors,
    after retries), `EnvironmentFault` (TLS). `wait` sleeps between attempts; it may raise to give up.
    """

    def __init__(
        self,
        credentials: CredentialSource,
        config: RegistryConfig | None = None,
        *,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config or RegistryConfig()
        self._transport = Transport(credentials, self._config, wait)
        self._lock = threading.Lock()
        self._endpoints: dict[tuple[str, bool], tuple[Endpoint, ...]] = {}

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- resolving and pulling -------------------------------------------------------------------------------

    def resolve(self, ref: Reference) -> Descriptor:
        """What `ref` names now: media type, digest and size of its manifest or index.

        A digest in `ref` wins over its tag. Raises `NotFoundError` worded like `docker.io/library/x:1: not found`.
        """
        return self._first(ref, lambda endpoint: self._resolve_at(endpoint, ref))

    def _resolve_at(self, endpoint: Endpoint, ref: Reference) -> Descriptor:
        url = endpoint.url(f"{ref.repository}/manifests/{ref.target}")
        with self._send(endpoint, "HEAD", url, ref, {"Accept": _ACCEPT}) as answer:
            self._check(answer, ref, str(ref))
            media_type = answer.header("Content-Type").partition(";")[0].strip()
            length = answer.header("Content-Length")
            stated = answer.header("Docker-Content-Digest")
        digest = _stated_digest(stated, ref) or ref.digest
        if digest and length.isdigit() and media_type in MANIFESTS | INDEXES:
            if ref.digest and digest != ref.digest:
                raise _mismatch(str(ref), ref.digest, digest)
            return Descriptor(media_type, digest, int(length))
        # A registry that does not say all of this in its headers must show the manifest itself.
        raw, media_type = self._get_manifest(endpoint, ref, ref.target)
        found = Digest.of(raw)
        if ref.digest is not None:
            if not ref.digest.verify(raw):
                raise _mismatch(str(ref), ref.digest, found)
            found = ref.digest
        if stated and _stated_digest(stated, ref) not in (None, found):
            raise IntegrityError(
                f"{ref}: the registry states digest {stated} but sends {found}", code="digest-mismatch"
            )
        return Descriptor(media_type, found, len(raw))

    def manifest(self, ref: Reference, digest: Digest) -> bytes:
        """The bytes of the manifest or index `digest` in the repository of `ref`, verified.

        Raises `IntegrityError` (`digest-mismatch`, `manifest-too-large` above 4 MiB)."""

        def fetch(endpoint: Endpoint) -> bytes:
            raw, _ = self._get_manifest(endpoint, ref, digest)
            if not digest.verify(raw):
                raise _mismatch(f"{ref.name}@{digest}", digest, Digest.of(raw))
            return raw

        return self._first(ref, fetch)

    def _get_manifest(self, endpoint: Endpoint, ref: Reference, target: str) -> tuple[bytes, str]:
        what = f"{ref.name}@{target}" if ":" in target else f"{ref.name}:{target}"
        url = endpoint.url(f"{ref.repository}/manifests/{target}")
        with self._send(endpoint, "GET", url, ref, {"Accept": _ACCEPT}) as answer:
            self._check(answer, ref, what)
            raw = answer.read(MAX_MANIFEST_BYTES + 1)
            media_type = answer.header("Content-Type").partition(";")[0].strip()
        if len(raw) > MAX_MANIFEST_BYTES:
            raise IntegrityError(
                f"manifest of {what} is larger than {MAX_MANIFEST_BYTES} bytes", code="manifest-too-large"
            )
        if media_type not in MANIFESTS | INDEXES:
            media_type = detect_media_type(raw)
        return raw, media_type

    def has_blob(self, ref: Reference, digest: Digest) -> bool:
        """Whether blob `digest` can be had from the repository of `ref`, or a mirror of it."""

        def look(endpoint: Endpoint) -> bool:
            url = endpoint.url(f"{ref.repository}/blobs/{digest}")
            with self._send(endpoint, "HEAD", url, ref, {}) as answer:
                self._check(answer, ref, f"{ref.name}@{digest}")
            return True

        try:
            return self._first(ref, look)
        except NotFoundError:
            return False

    def fetch_blob(
        self, ref: Reference, descriptor: Descriptor, writer: BlobSink, on_bytes: OnBytes = _ignore
    ) -> None:
        """Downloads a blob of the repository of `ref` into `writer`, which the caller commits or discards.

        A download that breaks off is resumed where it stopped. When it returns, exactly the bytes meant were
        written; it raises `IntegrityError` (`digest-mismatch`, `size-mismatch`) otherwise. `on_bytes` is told the
        length of every piece and may raise to cancel.
        """
        _Download(self, ref, descriptor, writer, on_bytes).run()

    # -- pushing ---------------------------------------------------------------------------------------------

    def push_blob(
        self,
        ref: Reference,
        descriptor: Descriptor,
        open_blob: Callable[[], IO[bytes]],
        mount_from: Sequence[Reference] = (),
        on_bytes: OnBytes = _ignore,
    ) -> str:
        """Makes sure that the repository of `ref` holds a blob, and says how: `exists`, `mounted` or `uploaded`.

        A repository of `mount_from` on the same registry spares the upload. `open_blob` may be called again for a
        second attempt (`on_bytes` then takes back what it was told); each stream is closed here. Repeating a push is
        harmless.
        """
        if self._push_has(ref, descriptor.digest):
            return "exists"
        backoff = self._config.backoff_s
        candidates = [other for other in mount_from if _mountable(other, ref)]
        for remaining in range(self._config.attempts - 1, -1, -1):
            try:
                return self._upload(ref, descriptor, open_blob, candidates, on_bytes)
            except _UploadBroken:
                if not remaining:
                    raise
                self._transport.wait(backoff)
                backoff *= 2
        raise AssertionError("unreachable")

    def push_manifest(self, ref: Reference, raw: bytes, media_type: str) -> Digest:
        """Stores a manifest or index under the tag of `ref` (without a tag: under its digest) and returns its
        digest. Everything that it names must be there already."""
        digest = Digest.of(raw)
        endpoint = self._origin(ref)
        url = endpoint.url(f"{ref.repository}/manifests/{ref.tag or digest}")
        answer = self._send(endpoint, "PUT", url, ref, {"Content-Type": media_type}, push=True, body=raw)
        with answer:
            self._check(answer, ref, str(ref), push=True)
            stated = answer.header("Docker-Content-Digest")
        if stated and stated != digest:
            raise IntegrityError(
                f"{ref}: the registry stored {stated} instead of {digest}", code="digest-mismatch"
            )
        return digest

    def _push_has(self, ref: Reference, digest: Digest) -> bool:
        endpoint = self._origin(ref)
        url = endpoint.url(f"{ref.repository}/blobs/{digest}")
        with self._send(endpoint, "HEAD", url, ref, {}, push=True) as answer:
            # A registry may forbid looking and still allow pushing: the upload will tell.
            return answer.status == 200

    def _upload(
        self,
        ref: Reference,
        descriptor: Descriptor,
        open_blob: Callable[[], IO[bytes]],
        mount_from: list[Reference],
        on_bytes: OnBytes,
    ) -> str:
        endpoint = self._origin(ref)
        location = self._start_upload(endpoint, ref, descriptor, mount_from[:1])
        if location is None:
            return "mounted"
        separator = "&" if "?" in location else "?"
        url = f"{location}{separator}{urlencode({'digest': str(descriptor.digest)})}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(descriptor.size)}
        scopes = _scopes(ref, push=True)
        with open_blob() as stream:
            body = _CountedReader(stream, descriptor.size, on_bytes)
            try:
                answer = self._transport.stream(
                    endpoint, "PUT", url, scopes=scopes, headers=headers, body=body
                )
            except ConnectionBroken as error:
                on_bytes(-body.given)
                raise _UploadBroken(error.message, code=error.code) from error
        with answer:
            if answer.status >= 500 or answer.status in (401, 408, 429):
                # 401: the token ran out while the body was on its way; starting anew fetches another.
                on_bytes(-body.given)
                raise _UploadBroken(
                    f"{ref.name}: uploading blob {descriptor.digest} failed with status {answer.status}"
                )
            self._check(answer, ref, f"{ref.name}@{descriptor.digest}", push=True)
        return "uploaded"

    def _start_upload(
        self, endpoint: Endpoint, ref: Reference, descriptor: Descriptor, mount_from: list[Reference]
    ) -> str | None:
        """The URL to send the blob to, or None when a mount made the upload needless."""
        path = f"{ref.repository}/blobs/uploads/"
        for source in mount_from:
            query = urlencode({"mount": str(descriptor.digest), "from": source.repository})
            scopes = _scopes(ref, push=True) | _scopes(source, push=False)
            try:
                answer = self._transport.request(
                    endpoint,
                    "POST",
                    endpoint.url(path, query),
                    scopes=scopes,
                    headers={"Content-Length": "0"},
                )
            except DeniedError:
                continue  # no access to the source: upload instead
            with answer:
                if answer.status == 201:
                    return None
                if answer.status == 202:
                    return self._upload_url(answer, ref)
        url = endpoint.url(path)
        with self._send(endpoint, "POST", url, ref, {"Content-Length": "0"}, push=True) as answer:
            self._check(answer, ref, ref.name, push=True)
            return self._upload_url(answer, ref)

    def _upload_url(self, answer: Answer, ref: Reference) -> str:
        location = urljoin(answer.url, answer.header("Location"))
        before, after = urlsplit(answer.url), urlsplit(location)
        if not answer.header("Location") or (before.scheme == "https" and after.scheme != "https"):
            raise IntegrityError(f"{ref.registry} names no safe upload location", code="registry-protocol")
        return location

    # -- shared ----------------------------------------------------------------------------------------------

    def _send(
        self,
        endpoint: Endpoint,
        method: str,
        url: str,
        ref: Reference,
        headers: dict[str, str],
        *,
        push: bool = False,
        body: bytes | None = None,
    ) -> Answer:
        scopes = _scopes(ref, push=push)
        return self._transport.request(endpoint, method, url, scopes=scopes, headers=headers, body=body)

    def _endpoints_of(self, ref: Reference) -> tuple[Endpoint, ...]:
        """The hosts to pull `ref` from: mirrors in order, then the registry itself."""
        key = (ref.registry, True)
        with self._lock:
            found = self._endpoints.get(key)
            if found is None:
                config = self._config.host(ref.registry)
                mirrors = [self._mirror(ref.registry, text) for text in config.mirrors]
                origin = Endpoint(ref.registry, ref.api_host, "", config, is_mirror=False)
                found = self._endpoints[key] = (*mirrors, origin)
            return found

    def _mirror(self, registry: str, text: str) -> Endpoint:
        scheme, separator, rest = text.rpartition("://")
        netloc, _, path = rest.partition("/")
        config = self._config.host(netloc)
        if separator and scheme == "http":
            config = HostConfig(plain_http=True, insecure=config.insecure, ca_files=config.ca_files)
        prefix = path.strip("/")
        return Endpoint(registry, netloc, f"{prefix}/" if prefix else "", config, is_mirror=True)

    def _origin(self, ref: Reference) -> Endpoint:
        return self._endpoints_of(ref)[-1]

    def _first(self, ref: Reference, attempt: Callable[[Endpoint], T]) -> T:
        """The outcome at the first host that has one. When none has, the error that tells most: what a host refuses,
        else that it has no such thing, else that it cannot be reached; of several such the last one's, since it is the
        registry itself that comes last."""
        errors: list[BakehouseError] = []
        for endpoint in self._endpoints_of(ref):
            try:
                return attempt(endpoint)
            except (NotFoundError, DeniedError, TransientError) as error:
                # Wrong bytes and cancellation are never papered over by asking someone else.
                errors.append(error)
        raise max(reversed(errors), key=_telling)

    def _check(self, answer: Answer, ref: Reference, what: str, *, push: bool = False) -> None:
        """Raises the error that the answer's status means; returns for success."""
        status = answer.status
        if status < 300:
            return
        detail = error_text(answer)
        said = f": {detail}" if detail else ""
        if status == 404:
            raise NotFoundError(f"{what}: not found", code="image-not-found")
        if status in (401, 403):
            action = "push" if push else "pull"
            raise DeniedError(
                f"{what}: {action} access denied, repository does not exist or may require authorization{said}",
                code="registry-denied",
                hint=f"Log in to {ref.registry} (docker login {ref.registry}), or check the name.",
            )
        host = urlsplit(answer.url).netloc
        message = f"{what}: unexpected status {status} from {host}{said}"
        if status >= 500 or status in (408, 429):
            raise TransientError(message, code="registry-error")
        if status == 400 and "DIGEST_INVALID" in detail:
            raise IntegrityError(message, code="digest-mismatch")
        raise DefinitionError(message, code="registry-refused")


class _Download:
    """One blob on its way in: written and hashed once, resumed with Range after a break."""

    def __init__(
        self,
        client: RegistryClient,
        ref: Reference,
        descriptor: Descriptor,
        writer: BlobSink,
        on_bytes: OnBytes,
    ) -> None:
        self._client = client
        self._ref = ref
        self._descriptor = descriptor
        self._writer = writer
        self._on_bytes = on_bytes
        self._hash = descriptor.digest.hasher()
        self._done = 0

    def run(self) -> None:
        transport = self._client._transport
        attempts = backoff = 0.0
        while True:
            before = self._done
            try:
                self._client._first(self._ref, self._pull)
                break
            except ConnectionBroken:
                attempts = 1 if self._done > before else attempts + 1
                if attempts >= self._client._config.attempts:
                    raise
                backoff = self._client._config.backoff_s * 2 ** (attempts - 1)
                transport.wait(backoff)
        if self._hash.hexdigest() != self._descriptor.digest.encoded:
            found = Digest(f"{self._descriptor.digest.algorithm}:{self._hash.hexdigest()}")
            raise _mismatch(f"blob of {self._ref.name}", self._descriptor.digest, found)

    def _pull(self, endpoint: Endpoint) -> None:
        """Fetches what is missing from one host."""
        descriptor, ref = self._descriptor, self._ref
        url = endpoint.url(f"{ref.repository}/blobs/{descriptor.digest}")
        headers = {"Range": f"bytes={self._done}-"} if self._done else {}
        with self._client._send(endpoint, "GET", url, ref, headers) as answer:
            if answer.status == 416 and self._done == descriptor.size:
                return
            self._client._check(answer, ref, f"{ref.name}@{descriptor.digest}")
            skip = self._skipped(answer)
            for chunk in answer.chunks():
                if skip:
                    chunk, skip = chunk[skip:], max(0, skip - len(chunk))
                if chunk:
                    self._take(chunk)
        if self._done != descriptor.size:
            raise ConnectionBroken(
                f"{endpoint.netloc} sent {self._done} of {descriptor.size} bytes of blob {descriptor.digest}"
            )

    def _skipped(self, answer: Answer) -> int:
        """How many bytes of this answer's body are already here."""
        if not self._done or answer.status != 206:
            return self._done
        unit, _, span = answer.header("Content-Range").partition(" ")
        start = span.partition("-")[0]
        if unit != "bytes" or not start.isdigit() or int(start) > self._done:
            raise IntegrityError(
                f"{urlsplit(answer.url).netloc} answered another range than asked", code="registry-protocol"
            )
        return self._done - int(start)

    def _take(self, chunk: bytes) -> None:
        if self._done + len(chunk) > self._descriptor.size:
            raise IntegrityError(
                f"blob {self._descriptor.digest} is larger than the {self._descriptor.size} bytes stated",
                code="size-mismatch",
            )
        self._hash.update(chunk)
        self._writer.write(chunk)
        self._done += len(chunk)
        self._on_bytes(len(chunk))


class _CountedReader:
    """A request body: reports what is read and never gives more than `size` bytes."""

    def __init__(self, stream: IO[bytes], size: int, on_bytes: OnBytes) -> None:
        self._stream = stream
        self._size = size
        self._on_bytes = on_bytes
        self.given = 0

    def read(self, count: int = -1, /) -> bytes:
        left = self._size - self.given
        wanted = left if count < 0 else min(count, left)
        data = self._stream.read(wanted) if wanted else b""
        self.given += len(data)
        if data:
            self._on_bytes(len(data))
        return data


def _scopes(ref: Reference, *, push: bool) -> frozenset[str]:
    return frozenset({f"repository:{ref.repository}:{'pull,push' if push else 'pull'}"})


def _mountable(source: Reference, target: Reference) -> bool:
    return source.registry == target.registry and source.repository != target.repository


def _stated_digest(text: str, ref: Reference) -> Digest | None:
    if not text:
        return None
    try:
        return Digest(text)
    except DefinitionError as error:
        raise IntegrityError(
            f"{ref}: the registry states a malformed digest", code="digest-mismatch"
        ) from error


def _telling(error: BakehouseError) -> int:
    """How far the request got that ended so."""
    if error.code == "registry-unreachable":
        return 0
    return 1 if isinstance(error, NotFoundError) else 2


def _mismatch(what: str, wanted: Digest, found: Digest) -> IntegrityError:
    return IntegrityError(f"{what}: expected {wanted}, got {found}", code="digest-mismatch")
