"""Web servers on loopback: settled answers, git's own HTTP backend, what needs credentials.

One `WebServer` is one host; it remembers every request with its headers, so that tests can say who was told what.
"""

from __future__ import annotations

import base64
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.support.gitrepos import GIT_ENVIRONMENT, Repository


@dataclass(frozen=True)
class Request:
    """One request that a server got; `headers` by names in lower case."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


@dataclass
class Answer:
    """A fixed answer to a path: a status, headers and a body."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def redirect(location: str, status: int = 302) -> Answer:
    """An answer that sends the client elsewhere."""
    return Answer(b"", status, {"Location": location})


@dataclass
class WebServer:
    """A running server.

    `answers` are settled ones, by path with or without its query. Every other path that names something of a
    repository, `NAME.git/…`, is git's own program on `root`; it may stand below `/git/`, which opens to everybody, or
    `/private/`, which opens to the Authorization values `authorizations`. At `/files/NAME.git` is what a server that
    knows nothing of git has of working trees, once `git update-server-info` ran. What of the paths in `passwords`
    begins so needs that token; `slow` paths take so many seconds.
    """

    host: str
    root: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    passwords: dict[str, str] = field(default_factory=dict)
    authorizations: set[str] = field(default_factory=set)
    slow: dict[str, float] = field(default_factory=dict)

    def url(self, path: str = "") -> str:
        return f"http://{self.host}/{path.lstrip('/')}" if path else f"http://{self.host}"

    def serve(self, path: str, body: bytes, **headers: str) -> str:
        """Answers `path` with `body`; the URL."""
        self.answers["/" + path.lstrip("/")] = Answer(
            body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        return self.url(path)

    def repository(self, name: str, password: str = "") -> Repository:
        """A new repository `/NAME`; with `password` it asks for that token as git's servers do."""
        if password:
            self.passwords[f"/{name}/"] = password
        return Repository(self.root, name)

    def accept_token(self, token: str) -> None:
        """Opens `/private/` to `token`."""
        self.authorizations.add(f"basic {_basic(token)}")

    def asked(self, path: str) -> list[Request]:
        """The requests for what begins with `path`."""
        return [request for request in self.requests if request.path.startswith(path)]

    def lets_in(self, request: Request, path: str) -> bool:
        """Whether `request` has the credentials that `path` needs."""
        if path.startswith("/private/"):
            return request.authorization in self.authorizations
        wanted = next((word for start, word in self.passwords.items() if path.startswith(start)), "")
        given = request.authorization
        return not wanted or given == f"Bearer {wanted}" or given.lower() == f"basic {_basic(wanted)}".lower()


def _basic(token: str) -> str:
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        web = self.server.web
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers)
        web.requests.append(request)
        path = urlsplit(self.path).path
        time.sleep(web.slow.get(path, 0))
        answer = web.answers.get(self.path) or web.answers.get(path)
        if not web.lets_in(request, path):
            self._send(Answer(b"who is it?\n", 401, {"WWW-Authenticate": 'Basic realm="private"'}))
        elif answer is not None:
            self._send(answer)
        elif path.startswith("/files/"):
            self._send(self._file(path.removeprefix("/files/")))
        elif ".git/" in path:
            self._backend(path)
        else:
            self._send(Answer(b"not here\n", 404))

    do_HEAD = do_GET
    do_POST = do_GET

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _file(self, path: str) -> Answer:
        file = self.server.web.root / path.replace(".git/", ".git/.git/", 1)
        return Answer(file.read_bytes()) if file.is_file() else Answer(b"not here\n", 404)

    def _backend(self, path: str) -> None:
        """git's own CGI program on the server's root."""
        body = self._body()
        environment = GIT_ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(self.server.web.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": "/" + unquote(path).lstrip("/").removeprefix("git/").removeprefix("private/"),
            "QUERY_STRING": urlsplit(self.path).query,
            "REQUEST_METHOD": self.command,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        answer = Answer(content)
        for line in head.decode("latin-1").splitlines():
            name, _, value = line.partition(": ")
            if name == "Status":
                answer.status = int(value.split()[0])
            else:
                answer.headers[name] = value
        self._send(answer)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    web: WebServer

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that hangs up early is part of what is tested.
        pass


@contextmanager
def running_web_server(root: Path, address: str = "127.0.0.1") -> Iterator[WebServer]:
    """A server of its own host name and port. Bare-looking names of repositories work: `/x.git` is `root/x.git`, or
    the working tree of that name or that a link of this name leads to."""
    root.mkdir(parents=True, exist_ok=True)
    server = _Server((address, 0), _Handler)
    server.web = WebServer(f"{address}:{server.server_address[1]}", root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
