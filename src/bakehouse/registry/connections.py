"""HTTP/1.1 connections to one kind of server, kept open between requests. Knows sockets and messages, no retries.

Two ways lead to a server: `DirectConnections` on the standard library, and, through a proxy, `ProxiedConnections` on
urllib3, which knows tunnels. Nearly every request goes the direct way, and the import of urllib3 alone would take
longer than a build from the cache.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable
    from http.client import HTTPConnection, HTTPResponse

    import urllib3

#: How much of an answer that nobody wants is read, so that its connection can be used again.
_MAX_DRAINED_BYTES = 64 * 1024
#: Idle connections to one server.
_MAX_IDLE = 8
_READ_BYTES = 16 * 1024
_BLOCK_BYTES = 256 * 1024
#: What stays as it is in a path or query; a percent sign is taken for the beginning of an escape.
_SAFE = "!#$%&'()*+,/:;=?@[]~"


class Readable(Protocol):
    """A request body: read in blocks until it gives nothing more."""

    def read(self, count: int = -1, /) -> bytes: ...


class SendError(Exception):
    """There was no (whole) answer; the reason is its cause. `connecting`: not even a connection came about."""

    def __init__(self, *, connecting: bool = False) -> None:
        super().__init__()
        self.connecting = connecting


class Reply(Protocol):
    """An answer whose body is still to be read. `close` it in any case."""

    status: int
    headers: Mapping[str, str]

    def all_headers(self, name: str) -> list[str]:
        """Every value of a header that may occur more than once."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes of the body, empty at its end. Raises `SendError` when it ends too early."""

    def close(self) -> None:
        """Gives the connection back if the body was read to its end, or nearly; else ends it. Idempotent."""


class Connections(Protocol):
    """Thread-safe."""

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Readable | None
    ) -> Reply:
        """Sends one request and waits for the head of the answer. Raises `SendError`."""

    def close(self) -> None:
        """Ends the idle connections. Idempotent."""


class DirectConnections:
    """Connections without a proxy. `tls` makes the context of the first https connection."""

    def __init__(
        self, tls: Callable[[], ssl.SSLContext], *, connect_timeout_s: float, read_timeout_s: float
    ) -> None:
        self._make_tls = tls
        self._tls: ssl.SSLContext | None = None
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[HTTPConnection]] = {}

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Readable | None
    ) -> Reply:
        from http.client import HTTPException

        parts = urlsplit(url)
        target = quote(parts.path or "/", _SAFE) + ("?" + quote(parts.query, _SAFE) if parts.query else "")
        server = (parts.scheme, parts.netloc)
        connection = self._idle_connection(server) or self._new_connection(*server)
        host = parts.netloc.rpartition("@")[2]
        content: Any = body  # the library's annotation asks for more of a stream than it uses
        try:
            try:
                connection.request(method, target, content, {"Host": host, **headers})
            except (BrokenPipeError, ConnectionResetError):
                # A server that refuses a body may answer, and hang up, before it has read all of it.
                if body is None:
                    raise
            response = connection.getresponse()
        except (OSError, HTTPException) as error:
            connection.close()
            raise SendError from error
        except BaseException:
            connection.close()
            raise
        return _DirectReply(response, connection, lambda: self._give_back(server, connection))

    def close(self) -> None:
        with self._lock:
            idle = [connection for each in self._idle.values() for connection in each]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _idle_connection(self, server: tuple[str, str]) -> HTTPConnection | None:
        while True:
            with self._lock:
                idle = self._idle.get(server)
                if not idle:
                    return None
                connection = idle.pop()
            # Something to read where no answer is awaited: the server has hung up.
            if connection.sock is not None and not _is_readable(connection.sock):
                return connection
            connection.close()

    def _give_back(self, server: tuple[str, str], connection: HTTPConnection) -> None:
        with self._lock:
            idle = self._idle.setdefault(server, [])
            if len(idle) < _MAX_IDLE:
                idle.append(connection)
                return
        connection.close()

    def _new_connection(self, scheme: str, netloc: str) -> HTTPConnection:
        import socket
        from http.client import HTTPConnection, InvalidURL

        try:
            parts = urlsplit(f"//{netloc}")
            name, port = parts.hostname or "", parts.port or (443 if scheme == "https" else 80)
            connection = HTTPConnection(name, port, blocksize=_BLOCK_BYTES)
            # As bytes: a text would go through the IDNA codec, whose import costs milliseconds.
            host: Any = name.encode() if name.isascii() else name
            sock = socket.create_connection((host, port), self._connect_timeout_s)
        except (OSError, ValueError, InvalidURL) as error:
            raise SendError(connecting=True) from error
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if scheme == "https":
                sock = self._context().wrap_socket(sock, server_hostname=name)
            sock.settimeout(self._read_timeout_s)
        except (OSError, ValueError) as error:
            sock.close()
            raise SendError from error
        except BaseException:
            sock.close()
            raise
        connection.sock = sock
        return connection

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                self._tls = self._make_tls()
            return self._tls


def _is_readable(sock: socket.socket) -> bool:
    import select

    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class _DirectReply:
    """A `Reply` of the standard library."""

    def __init__(
        self, response: HTTPResponse, connection: HTTPConnection, give_back: Callable[[], None]
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers  # type: ignore[assignment]
        self._response = response
        self._connection = connection
        self._give_back = give_back
        self._closed = False

    def all_headers(self, name: str) -> list[str]:
        return self._response.headers.get_all(name) or []

    def read(self, size: int) -> bytes:
        from http.client import HTTPException, IncompleteRead

        try:
            data = self._response.read(size)
            # The library takes a body that is too short for a whole one.
            if not data and size and self._response.length:
                raise IncompleteRead(b"", self._response.length)
            return data
        except (OSError, HTTPException) as error:
            self._end()
            raise SendError from error

    def close(self) -> None:
        if self._closed:
            return
        rest = self._response.length
        try:
            if not self._response.isclosed() and rest is not None and rest <= _MAX_DRAINED_BYTES:
                while self.read(_READ_BYTES):
                    pass
        except SendError:
            return
        if self._response.isclosed() and self._connection.sock is not None:
            self._closed = True
            self._give_back()
        else:
            self._end()

    def _end(self) -> None:
        self._closed = True
        self._response.close()
        self._connection.close()


class ProxiedConnections:
    """Connections through the proxy at URL `proxy`."""

    def __init__(
        self,
        proxy: str,
        tls: Callable[[], ssl.SSLContext],
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
    ) -> None:
        import urllib3

        context = tls()
        options: dict[str, Any] = {} if context.check_hostname else {"assert_hostname": False}
        self._pool = urllib3.ProxyManager(
            proxy,
            timeout=urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s),
            maxsize=_MAX_IDLE,
            blocksize=_BLOCK_BYTES,
            num_pools=32,
            ssl_context=context,
            **options,
        )

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Readable | None
    ) -> Reply:
        import urllib3

        content: Any = body
        try:
            response = self._pool.request(
                method,
                url,
                headers=dict(headers),
                body=content,
                preload_content=False,
                redirect=False,
                retries=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            connecting = isinstance(
                error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
            )
            raise SendError(connecting=connecting) from error
        return _ProxiedReply(response)

    def close(self) -> None:
        self._pool.clear()


class _ProxiedReply:
    """A `Reply` of urllib3."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response: Any = response

    def all_headers(self, name: str) -> list[str]:
        values: list[str] = self._response.headers.getlist(name)
        return values

    def read(self, size: int) -> bytes:
        import urllib3

        try:
            data: bytes = self._response.read(size, decode_content=False)
            return data
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise SendError from error

    def close(self) -> None:
        rest = self._response.length_remaining
        if rest is not None and rest <= _MAX_DRAINED_BYTES:
            self._response.drain_conn()
        else:
            self._response.close()
