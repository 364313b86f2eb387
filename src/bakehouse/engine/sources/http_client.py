"""One GET over HTTP: redirects, proxies, credentials that stay with their host, errors in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bakehouse.errors import NotFoundError, TransientError
from bakehouse.giturl import without_passwords
from bakehouse.version import __version__

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_CHUNK = 1 << 18
_CONNECT_TIMEOUT_S = 30.0
_READ_TIMEOUT_S = 120.0
_REDIRECTS = 10


def get(url: str, headers: Mapping[str, str], authorization: str = "") -> BaseHTTPResponse:
    """The response to a GET, its body unread. `authorization` is sent to no other host than that of `url`.

    Raises `TransientError` (code `http-unreachable`) when there is no response."""
    import urllib3

    sent = {"User-Agent": f"bakehouse/{__version__}", "Accept-Encoding": "identity", **headers}
    if authorization:
        sent["Authorization"] = authorization
    retries = urllib3.Retry(total=None, connect=2, read=2, redirect=_REDIRECTS, status=0, backoff_factor=0.2)
    timeout = urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=_READ_TIMEOUT_S)
    try:
        response: BaseHTTPResponse = http_pool(url).request(
            "GET", url, headers=sent, preload_content=False, retries=retries, timeout=timeout
        )
        return response
    except urllib3.exceptions.HTTPError as error:
        raise TransientError(
            f"cannot fetch {without_passwords(url)}: {_reason(error)}", code="http-unreachable"
        ) from error


def ask_once(url: str, headers: Mapping[str, str]) -> str:
    """Where the server sends one who asks for `url`; "" when nowhere. Nothing is followed. Raises `TransientError`."""
    import urllib3

    timeout = urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=_CONNECT_TIMEOUT_S)
    try:
        response = http_pool(url).request(
            "GET",
            url,
            headers=dict(headers),
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=timeout,
        )
    except urllib3.exceptions.HTTPError as error:
        raise TransientError(
            f"cannot fetch {without_passwords(url)}: {_reason(error)}", code="http-unreachable"
        ) from error
    response.release_conn()
    return str(response.headers.get("Location", ""))


def body_of(response: BaseHTTPResponse, url: str) -> Iterator[bytes]:
    """The body in pieces. Raises `TransientError` (code `http-cut-short`) when it ends too early."""
    import urllib3

    try:
        yield from response.stream(_CHUNK, decode_content=False)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise TransientError(
            f"the download of {without_passwords(url)} ended too early: {_reason(error)}",
            code="http-cut-short",
        ) from error


def http_pool(url: str) -> Any:
    """A connection pool for `url`, through the proxy that the environment names for it."""
    from urllib.request import getproxies_environment, proxy_bypass

    import urllib3

    parts = urlsplit(url)
    proxy = getproxies_environment().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def bad_status(status: int, url: str) -> Exception:
    message = f"invalid response status {status}"
    hint = f"The server answered so for {url}."
    if status == 429 or status >= 500:
        return TransientError(message, code="http-status", hint=hint)
    return NotFoundError(message, code="http-status", hint=hint)


def _reason(error: Exception) -> str:
    """Why a request came to nothing: the system's own words where it has any. They name no header and no secret."""
    seen: BaseException | None = getattr(error, "reason", None) or error
    if "too many redirects" in str(seen):
        return f"stopped after {_REDIRECTS} redirects"
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror.lower()
        following = seen.__cause__ or seen.__context__
        if following is None:
            return type(seen).__name__
        seen = following
    return type(error).__name__
