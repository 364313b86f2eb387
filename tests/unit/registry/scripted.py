"""A registry of a few lines whose misbehaviour a test scripts. It records what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Scripted:
    """`host` is `127.0.0.1:PORT`; `answer` maps a request to (status, headers, body). A body shorter than its
    Content-Length header breaks the connection off."""

    host: str = ""
    requests: list[Request] = field(default_factory=list)


@contextmanager
def scripted(answer: Callable[[Request], Reply]) -> Iterator[Scripted]:
    service = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {key.lower(): value for key, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(length))
            service.requests.append(request)
            status, reply, body = answer(request)
            self.send_response(status)
            for key, value in reply.items():
                self.send_header(key, value)
            if "Content-Length" not in reply:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
                if int(reply.get("Content-Length", len(body))) > len(body):
                    self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = handle_any

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
