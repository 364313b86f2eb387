"""The two protocols of GitHub's Actions cache: v1 (REST) and v2 (Twirp, bytes in Azure Storage behind signed URLs).

An entry has a key and never changes. Who wants to write one reserves its key, uploads, and commits; until then nobody
sees it. Looking for a key finds the newest entry whose key begins with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

from bakehouse.engine.caches.stores.azure_blobs import AzureBlobs
from bakehouse.engine.caches.stores.service import MAX_ERROR_BYTES, Request, Service, refusal
from bakehouse.engine.caches.stores.transfer import PART_BYTES, Opener, send_parts
from bakehouse.errors import BakehouseError, ConflictError, EnvironmentFault
from bakehouse.oci.digest import Digest
from bakehouse.registry.transport import Answer
from bakehouse.values import dataclass, field

TITLE = "the GitHub Actions cache"
#: The version of BuildKit's entries: the sha256 of `|go-actionscache-1.0`. Entries of other versions are not seen.
ENTRY_VERSION = "693bb7016429d80366022f036f84856888c9f13e00145f5f6f4dce303a38d6f2"
_MAX_ANSWER_BYTES = 64 * 1024


class KeyTaken(ConflictError):
    """The key is reserved, or has an entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that is there. `open_at(offset)` begins its download; the status is to be looked at."""

    key: str
    open_at: Callable[[int], Answer] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A key that is ours to fill. `place` is where its bytes go: an id, or a signed URL."""

    key: str
    place: str = field(repr=False)


class ActionsCache(Protocol):
    """Thread-safe."""

    def load(self, key: str) -> Entry | None:
        """The newest entry whose key begins with `key`."""
        ...

    def reserve(self, key: str) -> Reservation:
        """Raises `KeyTaken`."""
        ...

    def upload(self, reservation: Reservation, digest: Digest, size: int, read: Opener) -> None: ...

    def commit(self, reservation: Reservation, size: int) -> None:
        """The entry is there from now on."""
        ...


class _Api:
    """JSON calls with the job's token, which goes to this one host."""

    def __init__(self, service: Service, url: str, token: str) -> None:
        self._service = service
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(
        self,
        method: str,
        path: str,
        payload: Mapping[str, object] | None,
        doing: str,
        *,
        headers: Mapping[str, str] | None = None,
        idempotent: bool = False,
    ) -> dict[str, Any]:
        """The answer's members; none when it has no body. Raises `KeyTaken`."""
        body = None if payload is None else json.dumps(payload).encode()
        return self.send(method, path, body, doing, headers=headers, idempotent=idempotent)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        doing: str,
        *,
        headers: Mapping[str, str] | None = None,
        idempotent: bool = False,
    ) -> dict[str, Any]:
        request = Request(method, self._url + path, {**self._headers, **(headers or {})}, body)
        with self._service.send(lambda: request, idempotent=idempotent) as answer:
            raw = answer.read(_MAX_ANSWER_BYTES)
        if not 200 <= answer.status < 300:
            raise _refused(answer, raw, doing)
        if not raw.strip():
            return {}
        return _members(raw, answer, doing)


def _members(raw: bytes, answer: Answer, doing: str) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise EnvironmentFault(f"cannot {doing}: {TITLE} answers without JSON", code="cache-refused")
    return value


def _refused(answer: Answer, raw: bytes, doing: str) -> BakehouseError:
    try:
        value = json.loads(raw.decode("utf-8-sig"))
        kind = str(value.get("typeKey") or value.get("code") or "")
        message = str(value.get("message") or value.get("msg") or kind)
    except (ValueError, AttributeError, RecursionError):
        kind, message = "", ""
    if "AlreadyExists" in kind or kind == "already_exists" or "already exists" in message.lower():
        return KeyTaken(f"cannot {doing}: {message}")
    hint = ""
    if answer.status in (401, 403):
        hint = "The job's token may lack the right; jobs of forks and of `pull_request_target` only read."
    return refusal(TITLE, answer.url, answer.status, message, doing, hint=hint)


class RestCache:
    """Protocol v1: reserve, chunks by PATCH, commit; downloads from wherever the answer points."""

    def __init__(self, service: Service, url: str, token: str) -> None:
        self._service = service
        self._api = _Api(service, url.rstrip("/") + "/_apis/artifactcache", token)
        self._headers = {"Accept": "application/json;api-version=6.0-preview.1"}

    def load(self, key: str) -> Entry | None:
        query = urlencode({"keys": key, "version": ENTRY_VERSION})
        found = self._api.call(
            "GET", f"/cache?{query}", None, f"look for {key}", headers=self._headers, idempotent=True
        )
        name, location = found.get("cacheKey"), found.get("archiveLocation")
        if not name or not isinstance(location, str):
            return None

        def open_at(offset: int) -> Answer:
            return self._service.fetch(location, {"Range": f"bytes={offset}-"} if offset else {})

        return Entry(str(name), open_at)

    def reserve(self, key: str) -> Reservation:
        payload = {"key": key, "version": ENTRY_VERSION}
        found = self._api.call("POST", "/caches", payload, f"reserve {key}", headers=self._headers)
        id = found.get("cacheID") or found.get("cacheId")
        if not isinstance(id, int) or not id:
            raise EnvironmentFault(
                f"cannot reserve {key}: {TITLE} answers without an id", code="cache-refused"
            )
        return Reservation(key, str(id))

    def upload(self, reservation: Reservation, digest: Digest, size: int, read: Opener) -> None:
        def send(offset: int, data: bytes) -> None:
            headers = {
                **self._headers,
                "Content-Type": "application/octet-stream",
                "Content-Range": f"bytes {offset}-{offset + len(data) - 1}/*",
            }
            path = f"/caches/{reservation.place}"
            self._api.send("PATCH", path, data, f"write {reservation.key}", headers=headers, idempotent=True)

        send_parts(digest, size, read, PART_BYTES, send)

    def commit(self, reservation: Reservation, size: int) -> None:
        path = f"/caches/{reservation.place}"
        self._api.call("POST", path, {"size": size}, f"commit {reservation.key}", headers=self._headers)


class TwirpCache:
    """Protocol v2: signed URLs of Azure Storage for both directions."""

    def __init__(self, service: Service, url: str, token: str) -> None:
        self._api = _Api(
            service, url.rstrip("/") + "/twirp/github.actions.results.api.v1.CacheService", token
        )
        self._blobs = AzureBlobs(f"the storage of {TITLE}", service)

    def load(self, key: str) -> Entry | None:
        url = [""]

        def ask() -> str | None:
            payload = {"key": key, "restore_keys": [key], "version": ENTRY_VERSION}
            found = self._api.call(
                "POST", "/GetCacheEntryDownloadURL", payload, f"look for {key}", idempotent=True
            )
            if not found.get("ok"):
                return None
            url[0] = str(found.get("signed_download_url", ""))
            return str(found.get("matched_key", ""))

        def open_at(offset: int) -> Answer:
            answer = self._blobs.read(url[0], offset)
            if answer.status in (401, 403):  # the URL's time may be over
                answer.close()
                if ask() is None:
                    raise EnvironmentFault(
                        f"cannot read {key}: the entry no longer exists", code="cache-refused"
                    )
                answer = self._blobs.read(url[0], offset)
            return answer

        matched = ask()
        return None if matched is None else Entry(matched, open_at)

    def reserve(self, key: str) -> Reservation:
        payload = {"key": key, "version": ENTRY_VERSION}
        found = self._api.call("POST", "/CreateCacheEntry", payload, f"reserve {key}")
        url = found.get("signed_upload_url")
        if not found.get("ok") or not isinstance(url, str):
            raise self._no(found, f"reserve {key}")
        return Reservation(key, url)

    def upload(self, reservation: Reservation, digest: Digest, size: int, read: Opener) -> None:
        doing = f"write {reservation.key}"
        with self._blobs.write_blob(reservation.place, digest, size, read) as answer:
            self._blobs.check(answer, doing, 201)

    def commit(self, reservation: Reservation, size: int) -> None:
        payload = {"key": reservation.key, "size_bytes": size, "version": ENTRY_VERSION}
        doing = f"commit {reservation.key}"
        found = self._api.call("POST", "/FinalizeCacheEntryUpload", payload, doing)
        if not found.get("ok"):
            raise self._no(found, doing)

    @staticmethod
    def _no(found: Mapping[str, Any], doing: str) -> BakehouseError:
        """An answer that is fine but for its `ok`."""
        message = str(found.get("message") or "no reason given")[:400]
        if "already exists" in message.lower():
            return KeyTaken(f"cannot {doing}: {message}")
        return EnvironmentFault(f"cannot {doing}: {TITLE} says no: {message}", code="cache-refused")


def listed_keys(
    service: Service, api_url: str, repository: str, token: str, prefix: str, ref: str
) -> set[str]:
    """The keys of a repository's entries that begin with `prefix`, by GitHub's REST API."""
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    keys: set[str] = set()
    page, total = 1, 1
    while (page - 1) * 100 < total:
        query = urlencode({"per_page": 100, "page": page, "key": prefix, "ref": ref})
        request = Request("GET", f"{api_url.rstrip('/')}/repos/{repository}/actions/caches?{query}", headers)
        with service.send(lambda request=request: request) as answer:  # type: ignore[misc]
            raw = answer.read(MAX_ERROR_BYTES * 16)
            if answer.status != 200:
                raise _refused(answer, raw, "list the repository's caches")
        found = _members(raw, answer, "list the repository's caches")
        keys.update(str(item["key"]) for item in found.get("actions_caches", ()))
        total, page = int(found.get("total_count", 0)), page + 1
    return keys
