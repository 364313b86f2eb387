"""http sources against a loopback server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.unit.engine_files.engine import small_engine
from tests.unit.engine_files.trees import listing

from bakehouse.engine.tree import InputLimits
from bakehouse.errors import DefinitionError, IntegrityError, NotFoundError, TransientError
from bakehouse.llb.ops import Edge, SourceOp, Vertex
from bakehouse.session import Secret, Session

BODY = b"downloaded\n"
MODIFIED = "Wed, 21 Oct 2015 07:28:00 GMT"


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.body = BODY
        self.other = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        tag = '"' + hashlib.sha256(self.server.body).hexdigest()[:8] + '"'
        if self.path.startswith("/missing"):
            self.send_error(404)
        elif self.path.startswith("/broken"):
            self.send_error(503)
        elif self.path.startswith("/endless"):
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(bytes(1 << 16))
        elif self.path.startswith("/elsewhere"):
            self.send_response(302)
            self.send_header("Location", self.server.other)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.headers.get("If-None-Match") == tag:
            self.send_response(304)
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("ETag", tag)
            if "dated" in self.path:
                self.send_header("Last-Modified", MODIFIED)
            self.send_header("Content-Length", str(len(self.server.body)))
            self.end_headers()
            self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        return


def start() -> Server:
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


@pytest.fixture
def server() -> Iterator[Server]:
    running = start()
    yield running
    running.shutdown()
    running.server_close()


def http(url: str, **attrs: str) -> Edge:
    return Edge(Vertex(SourceOp(url, {f"http.{name}": value for name, value in attrs.items()})))


def test_download(tmp_path: Path, server: Server) -> None:
    edge = http(f"{server.url}/path/dated.bin?x=1#frag")
    with small_engine(tmp_path) as engine:
        ((name, kind, mode, uid, gid, time, size, _, _),) = listing(engine.layers(engine.run(edge))[0])
        assert (name, kind, mode, uid, gid, size) == ("dated.bin", b"0", "0o600", 0, 0, len(BODY))
        assert time == 1445412480


def test_attributes_and_missing_time(tmp_path: Path, server: Server) -> None:
    edge = http(f"{server.url}/", perm="0755", uid="7", gid="8")
    with small_engine(tmp_path) as engine:
        ((name, _, mode, uid, gid, time, *_),) = listing(engine.layers(engine.run(edge))[0])
        assert (name, mode, uid, gid, time) == ("__unnamed__", "0o755", 7, 8, 0)


def test_key_is_buildkits(tmp_path: Path, server: Server) -> None:
    """engine.md §2: the fields of the key; §8.2: its prefix."""
    edge = http(f"{server.url}/dated", filename="name")
    digest = hashlib.sha256(BODY).hexdigest()
    text = f'{{"Filename":"name","Perm":0,"UID":0,"GID":0,"Checksum":"sha256:{digest}","LastModTime":"{MODIFIED}"}}'
    key = "buildkit.source.v0:sha256:" + hashlib.sha256(text.encode()).hexdigest()
    with small_engine(tmp_path) as engine:
        engine.run(edge)
        assert engine.keys[edge.vertex.digest] == "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def test_revalidated_between_builds(tmp_path: Path, server: Server) -> None:
    edge = http(f"{server.url}/f")
    chains = []
    for body in (BODY, BODY, b"new"):
        server.body = body
        with small_engine(tmp_path) as engine:
            chains.append(engine.run(edge).chain())
    assert chains[0] == chains[1] != chains[2]
    assert ["If-None-Match" in headers for _, headers in server.seen] == [False, True, True]


def test_pinned_checksum_needs_no_network_for_its_key(tmp_path: Path, server: Server) -> None:
    digest = "sha256:" + hashlib.sha256(BODY).hexdigest()
    edge = http(f"{server.url}/f", checksum=digest)
    with small_engine(tmp_path) as engine:
        operation = engine.operation(edge.vertex)
        from tests.unit.engine_files.trees import run_context

        operation.cache_map(run_context())
        assert server.seen == []
        engine.run(edge)
        assert len(server.seen) == 1
    with small_engine(tmp_path) as engine:
        engine.run(edge)
        assert len(server.seen) == 1


def test_digest_mismatch(tmp_path: Path, server: Server) -> None:
    wanted = "sha256:" + "0" * 64
    got = "sha256:" + hashlib.sha256(BODY).hexdigest()
    with (
        small_engine(tmp_path) as engine,
        pytest.raises(IntegrityError, match=f"digest mismatch {got}: {wanted}"),
    ):
        engine.run(http(f"{server.url}/f", checksum=wanted))


def test_statuses(tmp_path: Path, server: Server) -> None:
    with small_engine(tmp_path) as engine:
        with pytest.raises(NotFoundError, match="invalid response status 404"):
            engine.run(http(f"{server.url}/missing"))
        with pytest.raises(TransientError, match="invalid response status 503"):
            engine.run(http(f"{server.url}/broken"))
        server.server_close()
        with pytest.raises(DefinitionError, match="unknown attribute"):
            engine.run(http(f"{server.url}/f", nonsense="1"))


def test_what_is_too_large_is_refused(tmp_path: Path, server: Server) -> None:
    """By what the server says of the size, which spares the download, or once it has sent too much."""
    with small_engine(tmp_path, limits=InputLimits(download=len(BODY))) as engine:
        with engine.run(http(server.url + "/just")).mounted() as root:
            assert (root / "just").read_bytes() == BODY
        server.body = BODY + b"!"
        for path in ("/large", "/endless"):
            with pytest.raises(IntegrityError, match=r"has more than 11B") as caught:
                engine.run(http(server.url + path))
            assert caught.value.code == "download-too-large"
            assert caught.value.hint is not None and "max-download" in caught.value.hint
        assert list(engine.context.store.path("tmp").rglob("body")) == []


def test_secrets_authorise_and_do_not_follow_to_another_host(tmp_path: Path, server: Server) -> None:
    other = start()
    try:
        server.other = f"http://localhost:{other.server_port}/f"
        session = Session(
            secrets={
                "HTTP_AUTH_TOKEN_127.0.0.1": Secret("t", value=b"tok"),
                "mine": Secret("mine", value=b"Basic abc"),
            }
        )
        with small_engine(tmp_path, session) as engine:
            engine.run(http(f"{server.url}/a"))
            engine.run(http(f"{server.url}/b", authheadersecret="mine"))
            engine.run(http(f"{server.url}/elsewhere"))
            with pytest.raises(NotFoundError, match="failed to retrieve HTTP auth secret none"):
                engine.run(http(f"{server.url}/c", authheadersecret="none"))
        assert [headers.get("Authorization") for _, headers in server.seen] == [
            "Bearer tok",
            "Basic abc",
            "Bearer tok",
        ]
        assert [headers.get("Authorization") for _, headers in other.seen] == [None]
    finally:
        other.shutdown()
        other.server_close()
