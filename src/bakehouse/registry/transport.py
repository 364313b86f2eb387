"""HTTP for one registry client: pools, redirects, retries, authentication. Knows requests, not images.

Connections are the business of `connections`; nothing of HTTP is imported before the first request. Guarantees: a
credential is sent to the registry host and its token service alone; a redirect never goes from https to http
(insecure registries excepted); transient failures are retried with growing waits or the server's `Retry-After`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urljoin, urlsplit

from bakehouse.errors import BakehouseError, DeniedError, EnvironmentFault, TransientError
from bakehouse.registry.auth import Authorizer
from bakehouse.registry.config import HostConfig, RegistryConfig, host_name, is_loopback
from bakehouse.values import dataclass
from bakehouse.version import __version__

if TYPE_CHECKING:
    import ssl

    from bakehouse.registry.connections import Connections, Readable, Reply, SendError
    from bakehouse.session import CredentialSource

_RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 10
_MAX_AUTH_ROUNDS = 2
#: How much of an error answer is read.
_MAX_ERROR_BYTES = 64 * 1024
CHUNK_BYTES = 256 * 1024

#: What connections may be shared by: the proxy's URL and the server's settings.
_PoolKey: TypeAlias = tuple[str, HostConfig]


class ConnectionBroken(TransientError):
    """The connection failed, or broke off in the middle of an answer: worth a retry, or a resume."""

    default_code = "connection-broken"


@dataclass(slots=True)
class Answer:
    """A response whose body is still to be read. Close it (or use `with`) in any case."""

    status: int
    headers: Mapping[str, str]
    url: str
    _reply: Reply

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The body in pieces. Raises `ConnectionBroken` when it ends early."""
        from bakehouse.registry.connections import SendError

        try:
            while data := self._reply.read(size):
                yield data
        except SendError as error:
            raise ConnectionBroken(
                f"connection to {urlsplit(self.url).netloc} broke off: {_short(error)}"
            ) from error

    def read(self, limit: int) -> bytes:
        """At most `limit` bytes of the body."""
        parts: list[bytes] = []
        left = limit
        for chunk in self.chunks(min(CHUNK_BYTES, limit) or 1):
            parts.append(chunk[:left])
            left -= len(chunk)
            if left <= 0:
                break
        return b"".join(parts)

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    def all_headers(self, name: str) -> list[str]:
        return self._reply.all_headers(name)

    def close(self) -> None:
        self._reply.close()

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _short(error: BaseException) -> str:
    """What went wrong below, in a few words; the libraries' texts name whole pools and objects."""
    error = error.__cause__ or error
    reason = getattr(error, "reason", None)
    while isinstance(reason, BaseException):
        error, reason = reason, getattr(reason, "reason", None)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


class Endpoint:
    """One registry host (or mirror) as it is spoken to. `prefix` is the path before `/v2` members of a mirror."""

    __slots__ = ("authorizer", "config", "is_mirror", "netloc", "prefix", "registry", "scheme")

    def __init__(self, registry: str, netloc: str, prefix: str, config: HostConfig, is_mirror: bool) -> None:
        self.registry = registry
        self.netloc = netloc
        self.prefix = prefix
        self.config = config
        self.is_mirror = is_mirror
        self.authorizer: Authorizer | None = None
        plain = config.plain_http
        if plain is None:
            plain = is_loopback(netloc)
        self.scheme = "http" if plain and not config.insecure else "https"

    def url(self, path: str, query: str = "") -> str:
        """The URL of `path` below `/v2/`; mirrors are told which registry is meant (`ns`)."""
        if self.is_mirror:
            query = f"{query}&ns={self.registry}" if query else f"ns={self.registry}"
        return f"{self.scheme}://{self.netloc}/v2/{self.prefix}{path}" + (f"?{query}" if query else "")


class Transport:
    """Sends requests for one client. Thread-safe.

    `wait` sleeps between attempts and may raise (a cancelled build does). Call `close` when done.
    """

    def __init__(
        self,
        credentials: CredentialSource,
        config: RegistryConfig,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._credentials = credentials
        self.config = config
        self.wait = wait
        self._lock = threading.Lock()
        self._pools: dict[_PoolKey, Connections] = {}

    def close(self) -> None:
        with self._lock:
            pools = list(self._pools.values())
            self._pools.clear()
        for pool in pools:
            pool.close()

    def authorizer(self, endpoint: Endpoint) -> Authorizer:
        with self._lock:
            if endpoint.authorizer is None:
                name = endpoint.netloc if endpoint.is_mirror else endpoint.registry

                def fetch(
                    method: str, url: str, headers: Mapping[str, str], body: bytes | None, limit: int
                ) -> tuple[int, bytes]:
                    answer = self._retried(lambda: self._once(endpoint, method, url, dict(headers), body))
                    with answer:
                        return answer.status, answer.read(limit)

                endpoint.authorizer = Authorizer(name, self._credentials, fetch)
            return endpoint.authorizer

    def request(
        self,
        endpoint: Endpoint,
        method: str,
        url: str,
        *,
        scopes: frozenset[str],
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One exchange with authentication, redirects and retries; any final status is returned.

        Raises `ConnectionBroken`/`TransientError` (unreachable, code `registry-unreachable`) and `EnvironmentFault`
        (code `registry-tls`) when there is no answer at all.
        """
        return self._retried(
            lambda: self._authorized(endpoint, method, url, scopes, dict(headers or {}), body)
        )

    def stream(
        self,
        endpoint: Endpoint,
        method: str,
        url: str,
        *,
        scopes: frozenset[str],
        headers: Mapping[str, str],
        body: Readable,
    ) -> Answer:
        """Sends `body` once: no retry and no redirect, because a stream cannot be sent twice."""
        headers = dict(headers)
        if self._is_own(endpoint, url):
            authorization = self.authorizer(endpoint).header(scopes)
            if authorization:
                headers["Authorization"] = authorization
        return self._once(endpoint, method, url, headers, body)

    def _is_own(self, endpoint: Endpoint, url: str) -> bool:
        parts = urlsplit(url)
        return (parts.scheme, parts.netloc) == (endpoint.scheme, endpoint.netloc)

    def _retried(self, attempt: Callable[[], Answer]) -> Answer:
        backoff = self.config.backoff_s
        for remaining in range(self.config.attempts - 1, -1, -1):
            try:
                answer = attempt()
            except ConnectionBroken:
                if not remaining:
                    raise
                delay = backoff
            else:
                if answer.status not in _RETRIED_STATUS or not remaining:
                    return answer
                delay = retry_after_s(answer.header("Retry-After")) or backoff
                answer.close()
                if delay > self.config.max_wait_s:
                    raise TransientError(
                        f"{urlsplit(answer.url).netloc} asks to come back in {delay:.0f} seconds "
                        f"(status {answer.status})",
                        code="registry-busy",
                        retry_after_s=delay,
                        hint="Wait, or log in: registries grant more requests to known users.",
                    )
            self.wait(delay)
            backoff *= 2
        raise AssertionError("unreachable")

    def _authorized(
        self,
        endpoint: Endpoint,
        method: str,
        url: str,
        scopes: frozenset[str],
        headers: dict[str, str],
        body: bytes | None,
    ) -> Answer:
        authorizer = self.authorizer(endpoint)
        for _ in range(_MAX_AUTH_ROUNDS + 1):
            sent = authorizer.header(scopes)
            answer = self._followed(endpoint, method, url, headers, sent, body)
            if answer.status != 401 or not self._is_own(endpoint, answer.url):
                return answer
            challenges = answer.all_headers("WWW-Authenticate")
            if not authorizer.challenged(challenges, scopes, sent):
                return answer
            answer.close()
        return answer

    def _followed(
        self,
        endpoint: Endpoint,
        method: str,
        url: str,
        headers: dict[str, str],
        authorization: str | None,
        body: bytes | None,
    ) -> Answer:
        """Sends one request and follows redirects; the credential stays with the endpoint's own host."""
        for _ in range(_MAX_REDIRECTS + 1):
            sent = dict(headers)
            if authorization and self._is_own(endpoint, url):
                sent["Authorization"] = authorization
            answer = self._once(endpoint, method, url, sent, body)
            location = answer.header("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            answer.close()
            target = urljoin(answer.url, location)
            self._check_redirect(endpoint, answer.url, target)
            url = target
            if answer.status == 303 and method != "HEAD":
                method, body = "GET", None
        raise TransientError(
            f"{endpoint.netloc} redirects more than {_MAX_REDIRECTS} times", code="registry-redirects"
        )

    def _check_redirect(self, endpoint: Endpoint, source: str, target: str) -> None:
        before, after = urlsplit(source), urlsplit(target)
        downgrade = before.scheme == "https" and after.scheme == "http" and not endpoint.config.insecure
        if after.scheme not in ("http", "https") or not after.netloc or downgrade:
            raise DeniedError(
                f"{before.netloc} redirects to an unsafe place ({after.scheme}://{after.hostname})",
                code="registry-redirects",
            )

    def _once(
        self,
        endpoint: Endpoint,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | Readable | None,
    ) -> Answer:
        from bakehouse.registry.connections import SendError

        parts = urlsplit(url)
        # Only the endpoint's own settings (CA, client certificate) apply to it; other hosts get the defaults.
        own = parts.netloc == endpoint.netloc
        config = endpoint.config if own else HostConfig(insecure=endpoint.config.insecure)
        pool = self._pool(parts.scheme, parts.netloc, config)
        headers.setdefault("User-Agent", f"bakehouse/{__version__}")
        headers.setdefault("Accept-Encoding", "identity")
        try:
            reply = pool.request(method, url, headers, body)
        except SendError as error:
            if own and self._fell_back(endpoint, error):
                plain = url.replace("https://", "http://", 1)
                return self._once(endpoint, method, plain, headers, body)
            raise self._explained(endpoint, parts.netloc, error) from error
        if own and self._stepped_up(endpoint, reply.status, parts.scheme, body):
            reply.close()
            return self._once(endpoint, method, url.replace("http://", "https://", 1), headers, body)
        return Answer(reply.status, reply.headers, url, reply)

    def _fell_back(self, endpoint: Endpoint, error: SendError) -> bool:
        """An insecure registry that does not speak TLS is spoken to in plain http from now on."""
        if not endpoint.config.insecure or endpoint.scheme != "https":
            return False
        if isinstance(self._root(error), ConnectionError) or _is_tls_error(error):
            endpoint.scheme = "http"
            return True
        return False

    def _stepped_up(self, endpoint: Endpoint, status: int, scheme: str, body: object) -> bool:
        """A loopback registry that answers 400 to the very first plain request may want TLS."""
        if status != 400 or scheme != "http" or endpoint.scheme != "http" or body is not None:
            return False
        if endpoint.config.plain_http is not None or endpoint.config.insecure:
            return False
        endpoint.scheme = "https"
        return True

    @staticmethod
    def _root(error: BaseException) -> BaseException:
        """Where a `SendError` began: there may be several layers of urllib3 in between."""
        reason = getattr(error, "reason", None)
        if isinstance(reason, BaseException):
            return Transport._root(reason)
        below = error.__cause__ or error.__context__
        return error if below is None else Transport._root(below)

    def _explained(self, endpoint: Endpoint, netloc: str, error: SendError) -> BakehouseError:
        root = self._root(error)
        if _is_tls_error(error):
            detail = getattr(root, "verify_message", "") or getattr(root, "reason", "") or "TLS failed"
            return EnvironmentFault(
                f"cannot trust registry {netloc}: {detail}",
                code="registry-tls",
                hint=f"Give the certificate of {host_name(netloc)}'s authority, or mark the registry insecure.",
            )
        if error.connecting:
            return TransientError(
                f"cannot reach registry {netloc}: {_short(error)}",
                code="registry-unreachable",
                hint="Check the name, the network and the proxy settings.",
            )
        return ConnectionBroken(
            f"connection to {netloc} failed: {_short(error)}", code="registry-unreachable"
        )

    def _pool(self, scheme: str, netloc: str, config: HostConfig) -> Connections:
        proxy = self.config.proxy_for(scheme, netloc)
        key = (proxy, config)
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = self._new_pool(proxy, config)
            return pool

    def _new_pool(self, proxy: str, config: HostConfig) -> Connections:
        from bakehouse.registry.connections import DirectConnections, ProxiedConnections

        connect_s, read_s = self.config.connect_timeout_s, self.config.read_timeout_s
        if proxy:
            return ProxiedConnections(
                proxy, lambda: self._tls(config), connect_timeout_s=connect_s, read_timeout_s=read_s
            )
        return DirectConnections(
            lambda: self._tls(config), connect_timeout_s=connect_s, read_timeout_s=read_s
        )

    @staticmethod
    def _tls(config: HostConfig) -> ssl.SSLContext:
        import ssl

        context = ssl.create_default_context()
        try:
            for path in config.ca_files:
                context.load_verify_locations(cafile=path)
            if config.client_certificate is not None:
                context.load_cert_chain(config.client_certificate, config.client_key)
        except OSError as error:
            raise EnvironmentFault(
                f"cannot load a registry certificate: {error.strerror or error}", code="registry-tls"
            ) from error
        if config.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _is_tls_error(error: SendError) -> bool:
    import ssl

    # urllib3 has an error of its own for it.
    return isinstance(Transport._root(error), ssl.SSLError) or "SSL" in type(error.__cause__).__name__


def retry_after_s(value: str) -> float:
    """Seconds that a `Retry-After` header asks for; 0 when it says nothing useful."""
    value = value.strip()
    if value.isdigit():
        return float(value)
    if not value:
        return 0.0
    import email.utils

    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def error_text(answer: Answer) -> str:
    """The registry's own words in an error answer, printable and short; empty when there are none."""
    import json

    try:
        value = json.loads(answer.read(_MAX_ERROR_BYTES))
        items = value["errors"]
        texts = [f"{item.get('code', '')}: {item.get('message', '')}".strip(": ") for item in items]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, TransientError):
        return ""
    text = "; ".join(text for text in texts if text)
    return "".join(char if char.isprintable() else " " for char in text)[:500]
