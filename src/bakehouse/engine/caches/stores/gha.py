"""Caches in GitHub's Actions cache, with BuildKit's keys: `buildkit-blob-1-DIGEST` and `index-SCOPE-1-HASH#NUMBER`.

HASH stands for the ref that a token may write (a branch, a pull request): a job reads the indexes of all the refs that
its token names, and writes its own. Entries never change, so that every new index has the next number.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import BinaryIO

from bakehouse.engine.caches.stores.attributes import seconds, wrong
from bakehouse.engine.caches.stores.gha_service import (
    TITLE,
    ActionsCache,
    Entry,
    KeyTaken,
    RestCache,
    TwirpCache,
    listed_keys,
)
from bakehouse.engine.caches.stores.gha_token import Scope, token_scopes
from bakehouse.engine.caches.stores.service import MAX_ERROR_BYTES, Patience, Service, refusal
from bakehouse.engine.caches.stores.transfer import Opener, download
from bakehouse.errors import DeniedError, EnvironmentFault, NotFoundError, TransientError
from bakehouse.go.values import parse_bool, parse_int
from bakehouse.oci.digest import Digest
from bakehouse.registry.transport import Answer

_BLOB_PREFIX = "buildkit-blob-1-"
_RESULTS_HOST = "results-receiver.actions.githubusercontent.com"
_GITHUB_API = "https://api.github.com"
_TIMEOUT_S = 600.0
_MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
#: How long a number of an index that somebody else reserved is waited for; who reserved it may have died.
_PATIENCE_FOR_OTHERS_S = 15.0
_POLL_S = 2.0
_MAX_NUMBERS = 100


def filled(attrs: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """`attrs` with what buildx takes from a job's environment."""
    values = dict(attrs)
    version = attrs.get("version", "2" if _is_true(environ.get("ACTIONS_CACHE_SERVICE_V2", "")) else "")
    if "token" not in values and "ACTIONS_RUNTIME_TOKEN" in environ:
        values["token"] = environ["ACTIONS_RUNTIME_TOKEN"]
    if "url_v2" not in values and version == "2" and "ACTIONS_RESULTS_URL" in environ:
        values["url_v2"] = environ["ACTIONS_RESULTS_URL"]
    if "url" not in values:
        url = environ.get("ACTIONS_CACHE_URL", environ.get("ACTIONS_RESULTS_URL"))
        if url is not None:
            values["url"] = url
    return values


def _is_true(text: str) -> bool:
    try:
        return parse_bool(text)
    except ValueError:
        return False


def is_active(attrs: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Whether there is a token and a place to go with it."""
    values = filled(attrs, environ)
    return bool(values.get("token")) and bool(values.get("url") or values.get("url_v2"))


def open_gha(
    attrs: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    export: bool,
    wait: Callable[[float], None],
) -> tuple[GhaStore, tuple[str, ...]]:
    """The store, and the index of the scope to write, or those of all scopes to read."""
    values = filled(attrs, environ)
    if "token" not in values:
        raise wrong(
            "token not set for github actions cache", "Set ACTIONS_RUNTIME_TOKEN, as GitHub does for actions."
        )
    version, url = _endpoint(values)
    timeout_s = _TIMEOUT_S
    if "timeout" in values:
        timeout_s = seconds(values["timeout"], "timeout for github actions cache")
    scopes = token_scopes(values["token"])
    patience = Patience(attempts=0, longest_wait_s=90, deadline_s=timeout_s, together=True)
    service = Service(TITLE, environ, patience, wait=wait)
    make = TwirpCache if version > 1 else RestCache
    store = GhaStore(
        make(service, url, values["token"]),
        service,
        scopes,
        _known_keys(values, environ, service, scopes),
        wait,
    )
    scope = values.get("scope", "buildkit")
    if export:
        writable = [each.name for each in scopes if each.writable]
        return store, (index_key(scope, writable[-1] if writable else ""),)
    return store, tuple(index_key(scope, each.name) for each in scopes)


def _endpoint(values: Mapping[str, str]) -> tuple[int, str]:
    """Which protocol is spoken, and where."""
    version = 0
    if "version" in values:
        try:
            version = parse_int(values["version"])
        except ValueError:
            raise wrong(
                f"failed to parse api version {values['version']!r}, expected positive integer"
            ) from None
    url = ""
    if version != 1 and "url_v2" in values:
        version, url = 2, values["url_v2"]
    url = url or values.get("url", "")
    if not url:
        raise wrong(
            "url not set for github actions cache", "Set ACTIONS_CACHE_URL, as GitHub does for actions."
        )
    if not url.startswith(("https://", "http://")):
        raise wrong("the url of the github actions cache is no http or https URL")
    return version or (2 if _RESULTS_HOST in url else 1), url


def index_key(scope: str, ref: str) -> str:
    """The key of an index without its number."""
    return f"index-{scope}-1-{Digest.of(ref.encode()).encoded[:8]}"


def _known_keys(
    values: Mapping[str, str], environ: Mapping[str, str], service: Service, scopes: tuple[Scope, ...]
) -> Callable[[], set[str]] | None:
    """How to learn of all blobs at once, where a token of GitHub's API was given: then they cost no request each."""
    repository, token = values.get("repository", ""), values.get("ghtoken", "")
    if not repository or not token:
        return None
    api = environ.get("GITHUB_API_URL") or _GITHUB_API

    def ask() -> set[str]:
        keys: set[str] = set()
        for scope in scopes:
            keys |= listed_keys(service, api, repository, token, _BLOB_PREFIX, scope.name)
        return keys

    return ask


class GhaStore:
    """A `CacheStore` in the Actions cache of one repository."""

    name = "gha"
    #: BuildKit asks for one blob after the other; the service counts requests.
    upload_parallelism = 1

    def __init__(
        self,
        cache: ActionsCache,
        service: Service,
        scopes: tuple[Scope, ...],
        ask_keys: Callable[[], set[str]] | None,
        wait: Callable[[float], None],
    ) -> None:
        self._cache = cache
        self._service = service
        self._scopes = scopes
        self._ask_keys = ask_keys
        self._wait = wait
        self._lock = threading.Lock()
        self._keys: set[str] | None = None
        self._entries: dict[Digest, Entry] = {}

    def close(self) -> None:
        self._service.close()

    def get_document(self, name: str) -> bytes | None:
        entry = self._cache.load(f"{name}#")
        if entry is None:
            return None
        with entry.open_at(0) as answer:
            self._check(answer, f"read the cache {name!r}", 200)
            raw = answer.read(_MAX_DOCUMENT_BYTES + 1)
        if len(raw) > _MAX_DOCUMENT_BYTES:
            raise EnvironmentFault(
                f"the cache {name!r} in {TITLE} is too large to be one", code="cache-refused"
            )
        return raw

    def put_document(self, name: str, raw: bytes) -> None:
        self._check_writable()
        waited = 0.0
        number = self._last_number(name)
        for _ in range(_MAX_NUMBERS):
            number += 1
            try:
                self._save(f"{name}#{number}", Digest.of(raw), len(raw), lambda: io.BytesIO(raw))
                return
            except KeyTaken:
                if waited <= _PATIENCE_FOR_OTHERS_S:
                    waited += _POLL_S
                    self._wait(_POLL_S)
                    number = self._last_number(name)
        raise TransientError(f"cannot write the cache {name!r}: others hold it", code="cache-busy")

    def _last_number(self, name: str) -> int:
        entry = self._cache.load(f"{name}#")
        if entry is None:
            return 0
        digits = entry.key.removeprefix(f"{name}#")
        if not digits.isdigit() or not digits.isascii():
            raise EnvironmentFault(
                f"cannot write the cache {name!r}: {entry.key!r} has no number", code="cache-refused"
            )
        return int(digits)

    def has_blob(self, digest: Digest) -> bool:
        known = self._known()
        if known is not None:
            return _BLOB_PREFIX + digest in known
        return self._blob(digest) is not None

    def _known(self) -> set[str] | None:
        """The keys that GitHub's API lists, asked once; None when it can't be asked."""
        with self._lock:
            if self._ask_keys is not None:
                try:
                    self._keys = self._ask_keys()
                except (TransientError, DeniedError, EnvironmentFault):
                    self._keys = None  # it spares requests, no more: each blob is asked for then
                self._ask_keys = None
            return self._keys

    def _blob(self, digest: Digest) -> Entry | None:
        entry = self._entries.get(digest)
        if entry is None:
            entry = self._cache.load(_BLOB_PREFIX + digest)
            if entry is None or entry.key != _BLOB_PREFIX + digest:
                return None
            self._entries[digest] = entry
        return entry

    def open_blob(self, digest: Digest, size: int) -> AbstractContextManager[BinaryIO]:
        def gone() -> NotFoundError:
            return NotFoundError(f"{TITLE} no longer has blob {digest}", code="cache-blob-missing")

        def check(answer: Answer, status: int) -> None:
            if answer.status == 404:
                raise gone()
            self._check(answer, f"read blob {digest}", status)

        entry = self._blob(digest)
        if entry is None:
            raise gone()
        return download(size, entry.open_at, check)

    def put_blob(self, digest: Digest, size: int, read: Opener) -> None:
        self._check_writable()
        try:
            self._save(_BLOB_PREFIX + digest, digest, size, read)
        except KeyTaken:
            pass  # somebody else is at it, or was

    def _save(self, key: str, digest: Digest, size: int, read: Opener) -> None:
        reservation = self._cache.reserve(key)
        self._cache.upload(reservation, digest, size, read)
        self._cache.commit(reservation, size)

    def _check_writable(self) -> None:
        if not any(scope.writable for scope in self._scopes):
            raise DeniedError(
                f"cannot write to {TITLE}: the job's token only reads",
                code="cache-denied",
                hint="Jobs of pull requests from forks can't write; leave out `cache-to` there.",
            )

    @staticmethod
    def _check(answer: Answer, doing: str, expected: int) -> None:
        if answer.status != expected:
            answer.read(MAX_ERROR_BYTES)
            raise refusal(TITLE, answer.url, answer.status, "", doing)
