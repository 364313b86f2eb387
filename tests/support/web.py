"""Web servers on loopback: git's own HTTP backend, plain files, errors, redirections.

One `WebServer` is one host; it remembers every request with its credentials, so that tests can say who was told what.
"""

from __future__ import annotations

import base64
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

_GIT_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_AUTHOR_DATE": "2024-01-02T03:04:05Z",
    "GIT_COMMITTER_DATE": "2024-01-02T03:04:05Z",
}


def git(*arguments: str, cwd: Path) -> str:
    """Runs git with fixed author, times and no settings of the machine; its output."""
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *arguments],
        cwd=cwd,
        env={**os.environ, **_GIT_ENVIRONMENT},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def write_files(root: Path, files: Mapping[str, str | bytes | None]) -> None:
    """Writes `files`, by path below `root`. A text that begins with `->` is a symbolic link; None removes a file."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        elif isinstance(content, bytes):
            path.write_bytes(content)
        elif content.startswith("->"):
            path.symlink_to(content[2:])
        else:
            path.write_text(content)


class Repository:
    """A repository below a server's root: `bare` is what is served, `work` where commits are made."""

    def __init__(self, root: Path, name: str) -> None:
        self.bare = root / name
        self.work = root.parent / f"work-{root.name}-{name}"
        self.work.mkdir(parents=True)
        self.bare.mkdir(parents=True)
        git("init", "--quiet", "--bare", ".", cwd=self.bare)
        git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=self.bare)
        git("config", "http.receivepack", "false", cwd=self.bare)
        git("init", "--quiet", ".", cwd=self.work)
        git("remote", "add", "origin", str(self.bare), cwd=self.work)

    def commit(self, files: Mapping[str, str | bytes | None], *, branch: str = "main", tag: str = "") -> str:
        """Commits `files` on top of `branch` (made when it is not there) and publishes it; the commit's name."""
        if git("branch", "--show-current", cwd=self.work) != branch:
            known = git("branch", "--list", branch, cwd=self.work)
            git("checkout", "--quiet", *([branch] if known else ["-b", branch]), cwd=self.work)
        write_files(self.work, files)
        git("add", "--all", cwd=self.work)
        git("commit", "--quiet", "--allow-empty", "-m", "change", cwd=self.work)
        if tag:
            git("tag", "-a", "-m", tag, tag, cwd=self.work)
        git("push", "--quiet", "--tags", "origin", branch, cwd=self.work)
        return git("rev-parse", "HEAD", cwd=self.work)


@dataclass(frozen=True)
class Request:
    """One request that a server got."""

    method: str
    path: str
    authorization: str


@dataclass
class WebServer:
    """A running server. `files` are answers by path: a body, or a status with a location or a body."""

    host: str
    root: Path
    files: dict[str, bytes | tuple[int, str | bytes]] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    bearers: dict[str, str] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def repository(self, name: str, password: str = "") -> Repository:
        """A new repository `/NAME`; with `password` it asks for that token as git's servers do."""
        if password:
            self.passwords[f"/{name}/"] = password
        return Repository(self.root, name)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: WebServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        server = self.server_of
        parts = urlsplit(self.path)
        given = self.headers.get("Authorization", "")
        server.requests.append(Request(self.command, self.path, given))
        if parts.path in server.slow:
            time.sleep(server.slow[parts.path])
        wanted = next((word for path, word in server.passwords.items() if parts.path.startswith(path)), "")
        allowed = base64.b64encode(f"x-access-token:{wanted}".encode()).decode()
        if wanted and given.lower() != f"basic {allowed}".lower() and given != f"Bearer {wanted}":
            self._answer(401, b"who is it?\n", {"WWW-Authenticate": 'Basic realm="git"'})
        elif parts.path in server.files:
            self._file(server.files[parts.path])
        elif ".git/" in parts.path:
            self._git(parts.path, parts.query)
        else:
            self._answer(404, b"not here\n")

    def _file(self, found: bytes | tuple[int, str | bytes]) -> None:
        if isinstance(found, bytes):
            self._answer(200, found)
        elif isinstance(found[1], str):
            self._answer(found[0], b"", {"Location": found[1]})
        else:
            self._answer(found[0], found[1])

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _git(self, path: str, query: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        environ = {
            **os.environ,
            **_GIT_ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(self.server_of.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": unquote(path),
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        body = self._body(length)
        done = subprocess.run(["git", "http-backend"], input=body, env=environ, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        status = int(fields.pop("Status", "200 OK").split()[0])
        self._answer(status, content, fields)

    def _body(self, length: int) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(length)
        pieces = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)


@contextmanager
def running_web_server(root: Path, address: str = "127.0.0.1") -> Iterator[WebServer]:
    """A server of its own host name and port; git repositories lie below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    handler = type("Handler", (_Handler,), {})
    listening = ThreadingHTTPServer((address, 0), handler)
    listening.daemon_threads = True
    server = WebServer(f"{address}:{listening.server_address[1]}", root)
    handler.server_of = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
