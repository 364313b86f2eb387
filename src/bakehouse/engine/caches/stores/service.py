"""HTTP to a service that keeps caches: proxies, retries, shared patience, errors in plain words. Knows no service.

Connections are those of `registry.connections`. A request is made anew for every attempt (a signature holds its
time), and nothing is redirected unless it carries no credential.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from bakehouse.errors import BakehouseError, DeniedError, EnvironmentFault, TransientError
from bakehouse.registry.config import proxies_of
from bakehouse.registry.transport import Answer, ConnectionBroken, retry_after_s
from bakehouse.values import dataclass, field
from bakehouse.version import __version__

if TYPE_CHECKING:
    import ssl

    from bakehouse.registry.connections import Connections, SendError

#: How much of an error answer is read, and of its text shown.
MAX_ERROR_BYTES = 64 * 1024
_MAX_SHOWN = 400
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 10


@dataclass(frozen=True, slots=True)
class Request:
    """One attempt: complete, signed, ready to be sent."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long a service is asked again.

    `attempts` counts all tries (0: as many as `deadline_s` allows). Waits begin at `first_wait_s` and double up to
    `longest_wait_s`; what the service asks for in `Retry-After` is granted while the deadline allows it. `together`:
    a throttled request holds back the others of the store as well.
    """

    attempts: int = 3
    first_wait_s: float = 1.0
    longest_wait_s: float = 20.0
    deadline_s: float = 600.0
    retried: frozenset[int] = frozenset({408, 429, 500, 502, 503, 504})
    together: bool = False


class Service:
    """One service as it is spoken to by one store. Thread-safe. Call `close` when done."""

    def __init__(
        self,
        title: str,
        environ: Mapping[str, str],
        patience: Patience,
        *,
        wait: Callable[[float], None] = time.sleep,
        ca_file: str = "",
        connect_timeout_s: float = 15.0,
        read_timeout_s: float = 60.0,
    ) -> None:
        self._title = title
        self._patience = patience
        self._wait = wait
        self._ca_file = ca_file
        self._proxies = proxies_of(environ)
        self._timeouts = {"connect_timeout_s": connect_timeout_s, "read_timeout_s": read_timeout_s}
        self._lock = threading.Lock()
        self._pools: dict[str, Connections] = {}
        self._held_until = 0.0
        self._throttled_wait_s = 0.0

    def close(self) -> None:
        with self._lock:
            pools = list(self._pools.values())
            self._pools.clear()
        for pool in pools:
            pool.close()

    def send(
        self,
        make: Callable[[], Request],
        *,
        idempotent: bool = True,
        come_again: Callable[[bytes], bool] | None = None,
    ) -> Answer:
        """The answer to the request, whatever its status; its body is unread. Close it in any case.

        What is not `idempotent` is repeated only when it was surely not carried out: no connection came about, or
        the service answered 429. `come_again` says whether the body of an answer 400 asks for another try. Raises
        `ConnectionBroken` (code `cache-unreachable`), `EnvironmentFault` (code `cache-tls`) and `TransientError`
        (code `cache-busy`) when the service asks for more than the patience.
        """
        begin = time.monotonic()
        attempt = 0
        while True:
            self._hold_back(begin)
            attempt += 1
            try:
                answer = self._once(make())
            except _Broken as broken:
                if not (idempotent or broken.connecting) or not self._may_repeat(attempt):
                    raise self._unreachable(broken) from broken
                self._pause(self._backoff_s(attempt), begin, f" ({broken.netloc} broke off)")
                continue
            if answer.status == 400 and come_again is not None:
                answer, repeatable = _looked_into(answer, come_again)
            else:
                repeatable = answer.status in self._patience.retried
            throttled = answer.status == 429
            if not (throttled or (idempotent and repeatable)) or not self._may_repeat(attempt, throttled):
                self._at_ease(answer.status)
                return answer
            answer.close()
            self._wait_for(answer, attempt, begin)

    def _wait_for(self, answer: Answer, attempt: int, begin: float) -> None:
        """Waits as long as the answer asks for, or as long as it is due after so many attempts."""
        asked = retry_after_s(answer.header("Retry-After"))
        if answer.status == 429 and self._patience.together:
            self._hold_others(asked)
            return
        self._pause(asked or self._backoff_s(attempt), begin, f" (status {answer.status})")

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET of a URL that needs no credential; redirects are followed, but never from https to http."""
        for _ in range(_MAX_REDIRECTS + 1):
            request = Request("GET", url, headers or {})
            answer = self.send(lambda request=request: request)  # type: ignore[misc]
            location = answer.header("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            answer.close()
            target = urljoin(url, location)
            before, after = urlsplit(url), urlsplit(target)
            if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http"):
                raise DeniedError(
                    f"{before.netloc} redirects to an unsafe place ({after.scheme}://{after.hostname})",
                    code="cache-denied",
                )
            url = target
        raise EnvironmentFault(
            f"{urlsplit(url).netloc} redirects more than {_MAX_REDIRECTS} times", code="cache-refused"
        )

    def _may_repeat(self, attempt: int, throttled: bool = False) -> bool:
        """Who holds back together waits for as long as the deadline allows; others count attempts."""
        limit = self._patience.attempts
        return (throttled and self._patience.together and limit == 0) or attempt < (limit or 3)

    def _backoff_s(self, attempt: int) -> float:
        """Between half and the whole of the doubled wait, so that many clients do not come back at once."""
        doubled = self._patience.first_wait_s * 2.0 ** (attempt - 1)
        longest = min(self._patience.longest_wait_s, doubled)
        return longest * random.uniform(0.5, 1.0)

    def _pause(self, seconds: float, begin: float, reason: str) -> None:
        if time.monotonic() - begin + seconds > self._patience.deadline_s:
            raise TransientError(
                f"{self._title} is busy: the next attempt would be in {seconds:.0f} seconds{reason}",
                code="cache-busy",
                retry_after_s=seconds,
                hint="Build again later; with `ignore-error=true` a cache that can't be written fails no build.",
            )
        self._wait(seconds)

    def _hold_others(self, asked_s: float) -> None:
        """Nobody asks before the time that the service named, or before a wait that doubles each time."""
        with self._lock:
            doubled = min(
                self._patience.longest_wait_s, self._throttled_wait_s * 2 or self._patience.first_wait_s
            )
            if not asked_s:
                self._throttled_wait_s = doubled
            self._held_until = max(self._held_until, time.monotonic() + (asked_s or doubled))

    def _hold_back(self, begin: float) -> None:
        while (left := self._held_until - time.monotonic()) > 0:
            self._pause(left, begin, " (status 429)")

    def _at_ease(self, status: int) -> None:
        if status != 429 and self._throttled_wait_s:
            with self._lock:
                self._throttled_wait_s = 0.0

    def _once(self, request: Request) -> Answer:
        from bakehouse.registry.connections import SendError

        parts = urlsplit(request.url)
        sent = {"User-Agent": f"bakehouse/{__version__}", "Accept-Encoding": "identity"}
        sent.update(request.headers)
        if request.body is not None or request.method in ("PUT", "POST", "PATCH"):
            sent["Content-Length"] = str(len(request.body or b""))
        try:
            reply = self._pool(parts.scheme, parts.netloc).request(
                request.method, request.url, sent, request.body
            )
        except SendError as error:
            raise _Broken(parts.netloc, error) from error
        return Answer(reply.status, reply.headers, request.url, reply)

    def _pool(self, scheme: str, netloc: str) -> Connections:
        from bakehouse.registry.connections import DirectConnections, ProxiedConnections

        proxy = self._proxies.proxy_for(scheme, netloc)
        with self._lock:
            pool = self._pools.get(proxy)
            if pool is None:
                if proxy:
                    pool = ProxiedConnections(proxy, self._tls, **self._timeouts)
                else:
                    pool = DirectConnections(self._tls, **self._timeouts)
                self._pools[proxy] = pool
            return pool

    def _tls(self) -> ssl.SSLContext:
        import ssl

        context = ssl.create_default_context()
        if self._ca_file:
            try:
                context.load_verify_locations(cafile=self._ca_file)
            except OSError as error:
                raise EnvironmentFault(
                    f"cannot load the certificates of {self._ca_file}: {error.strerror or error}",
                    code="cache-tls",
                ) from error
        return context

    def _unreachable(self, broken: _Broken) -> BakehouseError:
        import ssl

        chain = list(_causes(broken))
        for error in chain:
            if isinstance(error, ssl.SSLError):
                detail = getattr(error, "verify_message", "") or error.reason or "TLS failed"
                return EnvironmentFault(
                    f"cannot trust {self._title} at {broken.netloc}: {detail}",
                    code="cache-tls",
                    hint="Let SSL_CERT_FILE name a file with the certificate of the service's authority.",
                )
        verb = "reach" if broken.connecting else "talk to"
        return ConnectionBroken(
            f"cannot {verb} {self._title} at {broken.netloc}: {_reason(chain)}",
            code="cache-unreachable",
            hint="Check the URL, the network and the proxy settings.",
        )


def _looked_into(answer: Answer, come_again: Callable[[bytes], bool]) -> tuple[Answer, bool]:
    """The answer with its body in memory, and whether that asks for another try."""
    with answer:
        raw = answer.read(MAX_ERROR_BYTES)
    return Answer(answer.status, answer.headers, answer.url, _ReadReply(raw)), come_again(raw)


class _ReadReply:
    """A body that was read before anybody asked for it."""

    def __init__(self, raw: bytes) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._raw = raw

    def all_headers(self, name: str) -> list[str]:
        return []

    def read(self, size: int) -> bytes:
        data, self._raw = self._raw[:size], self._raw[size:]
        return data

    def close(self) -> None:
        pass


class _Broken(Exception):
    """An attempt without an answer."""

    def __init__(self, netloc: str, error: SendError) -> None:
        super().__init__()
        self.netloc = netloc
        self.connecting = error.connecting


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What led to `error`, from the outside inwards; urllib3 hides some of it in `reason`."""
    current: BaseException | None = error
    while current is not None:
        yield current
        reason = getattr(current, "reason", None)
        current = reason if isinstance(reason, BaseException) else current.__cause__ or current.__context__


def _reason(chain: list[BaseException]) -> str:
    for error in chain:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        if isinstance(error, TimeoutError):
            return "timed out"
    return type(chain[-1]).__name__


def refusal(title: str, url: str, status: int, text: str, doing: str, *, hint: str = "") -> BakehouseError:
    """The error for an answer that says no: `text` is the service's own words, cut to what can be shown."""
    shown = "".join(char if char.isprintable() else " " for char in text).strip()[:_MAX_SHOWN]
    message = f"cannot {doing}: {title} at {urlsplit(url).netloc} answers {status}" + (
        f": {shown}" if shown else ""
    )
    if status in (401, 403):
        return DeniedError(
            message, code="cache-denied", hint=hint or "Check the credentials and their rights."
        )
    if status in (408, 429) or status >= 500:
        return TransientError(message, code="cache-unavailable", hint=hint or None)
    return EnvironmentFault(message, code="cache-refused", hint=hint or None)
