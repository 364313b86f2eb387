"""Servers on loopback that contexts are fetched from: files over HTTP, git over HTTP and over git's own protocol."""

from __future__ import annotations

import base64
import getpass
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.services import free_port, stop

GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_AUTHOR_DATE": "1500000000 +0000",
    "GIT_COMMITTER_DATE": "1500000000 +0000",
}


def git(directory: Path, *arguments: str) -> str:
    """Runs git in `directory` with settled names and times; its output."""
    command = ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(
        command, cwd=directory, env=GIT_ENVIRONMENT, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(repository: Path, files: Mapping[str, str], message: str = "m") -> str:
    """Writes `files` and commits everything; the commit. Makes the repository when there is none."""
    if not (repository / ".git").exists():
        repository.mkdir(parents=True, exist_ok=True)
        git(repository, "init")
        # What a public host allows: any commit that it has may be asked for.
        git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(repository, "add", "-A")
    git(repository, "commit", "--allow-empty", "-m", message)
    return git(repository, "rev-parse", "HEAD")


@dataclass(frozen=True)
class Request:
    """One request as a server got it."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Answer:
    """A fixed answer to a path: a status, headers and a body."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Web:
    """A running HTTP server. `answers` by path; repositories below `root` are at `/git/NAME.git`, those below
    `/private/` need the credentials `user`, `token` (basic) or `header` (the whole Authorization value). At
    `/files/NAME.git` is what a server that knows nothing of git has of them, once `git update-server-info` ran."""

    host: str
    root: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)

    def url(self, path: str) -> str:
        return f"http://{self.host}/{path.lstrip('/')}"

    def serve(self, path: str, body: bytes, **headers: str) -> str:
        """Answers `path` with `body`; the URL."""
        self.answers["/" + path.lstrip("/")] = Answer(
            body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        return self.url(path)

    def accept_token(self, token: str) -> None:
        encoded = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        self.authorizations.add(f"basic {encoded}")

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path.startswith(path)]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        web = self.server.web
        headers = {name.lower(): value for name, value in self.headers.items()}
        web.requests.append(Request(self.command, self.path, headers))
        path = urlsplit(self.path).path
        answer = web.answers.get(self.path) or web.answers.get(path)
        if answer is not None:
            self._send(answer)
        elif path.startswith("/private/") and headers.get("authorization", "") not in web.authorizations:
            self._send(Answer(b"no", 401, {"WWW-Authenticate": 'Basic realm="private"'}))
        elif path.startswith(("/git/", "/private/")):
            self._backend(path)
        elif path.startswith("/files/"):
            file = web.root / path.removeprefix("/files/").replace(".git/", ".git/.git/", 1)
            self._send(Answer(file.read_bytes()) if file.is_file() else Answer(b"not found", 404))
        else:
            self._send(Answer(b"not found", 404))

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

    def _backend(self, path: str) -> None:
        """git's own CGI program on `root`."""
        length = int(self.headers.get("Content-Length") or 0)
        environment = GIT_ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(self.server.web.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": "/" + path.split("/", 2)[2],
            "QUERY_STRING": urlsplit(self.path).query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=self.rfile.read(length), env=environment, capture_output=True
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        answer = Answer(body)
        for line in head.decode().splitlines():
            name, _, value = line.partition(": ")
            if name == "Status":
                answer.status = int(value.split()[0])
            else:
                answer.headers[name] = value
        self._send(answer)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    web: Web

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that hangs up early is part of what is tested.
        pass


@contextmanager
def running_web(root: Path) -> Iterator[Web]:
    """An HTTP server on a free port of loopback. Bare-looking names of repositories work: `/git/x.git` is `root/x.git`
    or the working tree that a link of this name leads to."""
    root.mkdir(parents=True, exist_ok=True)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.web = Web(f"127.0.0.1:{server.server_address[1]}", root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running_git_daemon(root: Path) -> Iterator[str]:
    """git's own protocol for the repositories below `root`; `127.0.0.1:PORT`."""
    port = free_port()
    process = subprocess.Popen(
        [
            *("git", "daemon", "--export-all", f"--base-path={root}", "--reuseaddr"),
            *("--listen=127.0.0.1", f"--port={port}", str(root)),
        ],
        env=GIT_ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _wait_for(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
        yield f"127.0.0.1:{port}"
    finally:
        # The daemon's children go with its session.
        stop(process)


def _wait_for(attempt: Callable[[], None], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            attempt()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@dataclass(frozen=True)
class SampleRepository:
    """`app.git`, with a submodule, branches, tags and a pull request; `first` is the commit that most of them name."""

    path: Path
    first: str
    last: str


_SAMPLE = {
    "Dockerfile": "FROM scratch\nCOPY . /\n",
    "other": "FROM scratch\nCOPY a /other\n",
    ".dockerignore": "a\n",
    "a": "one\n",
    "myfolder/Dockerfile": "FROM scratch\nCOPY . /folder/\n",
    "myfolder/b": "b\n",
    "docs/text": "no Dockerfile here\n",
    "lower/dockerfile": "FROM scratch\nCOPY . /lower/\n",
}


def sample_repository(root: Path, submodule_url: str) -> SampleRepository:
    """Makes `root/app.git` and `root/module.git`, which `submodule_url` must lead to."""
    commit(root / "module.git", {"inner": "inner\n"})
    path = root / "app.git"
    first = commit(path, _SAMPLE)
    os.symlink("a", path / "link")
    (path / "run.sh").write_text("#!/bin/sh\n")
    (path / "run.sh").chmod(0o755)
    first = commit(path, {"a": "two\n"})
    git(path, "tag", "mytag")
    git(path, "tag", "-a", "annotated", "-m", "tag")
    git(path, "branch", "mybranch")
    git(path, "update-ref", "refs/pull/42/head", first)
    (path / ".gitmodules").write_text(f'[submodule "m"]\n\tpath = m\n\turl = {submodule_url}\n')
    module = git(root / "module.git", "rev-parse", "HEAD")
    git(path, "update-index", "--add", "--cacheinfo", f"160000,{module},m")
    (path / "m").mkdir()
    git(path, "add", ".gitmodules")
    git(path, "commit", "-m", "submodule")
    last = git(path, "rev-parse", "HEAD")
    return SampleRepository(path, first, last)


@dataclass(frozen=True)
class SshServer:
    """A running sshd that lets in the owner of `key`: `url(path)` is the address of a repository at `path`."""

    port: int
    user: str
    key: Path
    host_keys: dict[str, str]

    def url(self, path: Path) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"


@contextmanager
def running_sshd(root: Path) -> Iterator[SshServer]:
    """OpenSSH's server on a free port of loopback, with throwaway keys and settings below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    # As the system's own unit does; the program refuses to start without.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    host_keys = {}
    for kind in ("rsa", "ecdsa", "ed25519"):
        make_key(root / f"host-{kind}", kind)
        name, text = (root / f"host-{kind}.pub").read_text().split()[:2]
        host_keys[name] = text
    key = make_key(root / "user", "ed25519")
    (root / "authorized").write_text((root / "user.pub").read_text())
    port = free_port()
    (root / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {root / 'authorized'}\nPermitRootLogin prohibit-password\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        + "".join(f"HostKey {root / f'host-{kind}'}\n" for kind in ("rsa", "ecdsa", "ed25519"))
    )
    with open(root / "log", "wb") as log:
        process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", str(root / "config")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_for(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
        yield SshServer(port, getpass.getuser(), key, host_keys)
    finally:
        stop(process)


def make_key(path: Path, kind: str, passphrase: str = "", form: str = "RFC4716") -> Path:
    """A new private key at `path`, its public half beside it."""
    pem = ["-m", form] if form != "RFC4716" else []
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, *pem, "-C", "test", "-f", str(path)], check=True
    )
    return path
