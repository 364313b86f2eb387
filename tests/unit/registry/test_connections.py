"""Connections against servers of a few lines: kept, dropped, encrypted, chunked, broken off, and through a proxy."""

from __future__ import annotations

import io
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.registry.scripted import Reply, Request, scripted

from bakehouse.errors import EnvironmentFault, NotFoundError
from bakehouse.oci import Reference
from bakehouse.registry import HostConfig, RegistryClient, RegistryConfig
from bakehouse.registry.connections import DirectConnections, SendError
from bakehouse.session import NoCredentials

OK = b"HTTP/1.1 200 OK\r\n"


class RawServer:
    """Answers connection number n, request by request, with `script[n]`, byte for byte, then hangs up."""

    def __init__(self, script: list[list[bytes]], tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.tls = tls
        self.heads: list[list[str]] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        for answers in self.script:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            heads: list[str] = []
            self.heads.append(heads)
            try:
                with sock if self.tls is None else self.tls.wrap_socket(sock, server_side=True) as stream:
                    reader = stream.makefile("rb")
                    for answer in answers:
                        head = b""
                        while not head.endswith(b"\r\n\r\n") and (line := reader.readline()):
                            head += line
                        heads.append(head.decode())
                        stream.sendall(answer)
                    reader.close()
            except OSError:
                sock.close()

    def close(self) -> None:
        # Wakes an `accept` that nobody will connect to.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


@contextmanager
def serving(script: list[list[bytes]], tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    server = RawServer(script, tls)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def connections(
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
) -> Iterator[DirectConnections]:
    made = DirectConnections(tls, connect_timeout_s=5, read_timeout_s=5)
    try:
        yield made
    finally:
        made.close()


def body_of(made: DirectConnections, url: str, method: str = "GET", block: int = 4) -> bytes:
    reply = made.request(method, url, {}, None)
    try:
        return b"".join(iter(lambda: reply.read(block), b""))
    finally:
        reply.close()


def sized(body: bytes) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_one_connection_serves_many_requests() -> None:
    with serving([[sized(b"one"), sized(b""), sized(b"three")]]) as server, connections() as made:
        found = [body_of(made, f"http://{server.host}/v2/{name}?n=1") for name in ("a", "b", "c d")]
    assert found == [b"one", b"", b"three"]
    assert [head.split("\r\n")[0] for head in server.heads[0]] == [
        "GET /v2/a?n=1 HTTP/1.1",
        "GET /v2/b?n=1 HTTP/1.1",
        "GET /v2/c%20d?n=1 HTTP/1.1",
    ]
    assert f"Host: {server.host}\r\n" in server.heads[0][0]


def test_the_body_of_a_head_request_is_not_awaited() -> None:
    with (
        serving([[OK + b"Content-Length: 99\r\n\r\n", sized(b"next")]]) as server,
        connections() as made,
    ):
        assert body_of(made, f"http://{server.host}/", "HEAD") == b""
        assert body_of(made, f"http://{server.host}/") == b"next"


def test_a_connection_that_the_server_dropped_is_not_used_again() -> None:
    with serving([[sized(b"one")], [sized(b"two")]]) as server, connections() as made:
        assert body_of(made, f"http://{server.host}/") == b"one"
        # The server hangs up after its last answer; wait until it is seen.
        with made._lock:
            (idle,) = made._idle.values()
            assert idle[0].sock.recv(1, socket.MSG_PEEK) == b""
        assert body_of(made, f"http://{server.host}/") == b"two"
    assert len(server.heads) == 2


def test_a_short_rest_is_read_and_a_long_one_is_not() -> None:
    long = OK + b"Content-Length: 900000\r\n\r\n" + bytes(70_000)
    with serving([[sized(b"short"), long], [sized(b"again")]]) as server, connections() as made:
        for _ in range(2):
            made.request("GET", f"http://{server.host}/", {}, None).close()
        assert body_of(made, f"http://{server.host}/") == b"again"
    assert [len(heads) for heads in server.heads] == [2, 1]


def test_chunked_bodies_are_put_together() -> None:
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"
    with serving([[chunked, sized(b"next")]]) as server, connections() as made:
        assert body_of(made, f"http://{server.host}/") == b"hello world"
        assert body_of(made, f"http://{server.host}/") == b"next"


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 10\r\n\r\nhalf",
        OK + b"Transfer-Encoding: chunked\r\n\r\n8\r\nhalf",
        OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_breaks_off_is_an_error(answer: bytes) -> None:
    with serving([[answer]]) as server, connections() as made, pytest.raises(SendError) as caught:
        body_of(made, f"http://{server.host}/")
    assert not caught.value.connecting
    assert caught.value.__cause__ is not None


def test_nobody_listening_is_told_apart() -> None:
    with connections() as made, pytest.raises(SendError) as caught:
        made.request("GET", "http://127.0.0.1:1/", {}, None)
    assert caught.value.connecting
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_a_refusal_in_the_middle_of_an_upload_is_read() -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with serving([[refusal]]) as server, connections() as made:
        reply = made.request("PUT", f"http://{server.host}/", {}, io.BytesIO(bytes(256 * 1024)))
        reply.close()
    assert reply.status == 413
    assert "Transfer-Encoding: chunked" in server.heads[0][0]


def ref(host: str) -> Reference:
    return Reference.parse(f"{host}/a/b:1")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=127.0.0.1"]
        + ["-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    return key, cert


def test_tls_with_its_authority_and_without(certificate: tuple[Path, Path]) -> None:
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    manifest = OK + b"Content-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: 7\r\n"
    manifest += b"Docker-Content-Digest: sha256:" + b"a" * 64 + b"\r\n\r\n"
    for trusted in (HostConfig(plain_http=False, ca_files=(cert,)), HostConfig(insecure=True)):
        with serving([[manifest]], context) as server:
            config = RegistryConfig(hosts={server.host: trusted}, attempts=1)
            with RegistryClient(NoCredentials(), config) as client:
                assert client.resolve(ref(server.host)).digest == "sha256:" + "a" * 64
    with serving([[manifest]], context) as server:
        config = RegistryConfig(hosts={server.host: HostConfig(plain_http=False)}, attempts=1)
        with RegistryClient(NoCredentials(), config) as client, pytest.raises(EnvironmentFault) as caught:
            client.resolve(ref(server.host))
    assert caught.value.code == "registry-tls"
    assert "self-signed certificate" in str(caught.value)


def test_requests_through_a_proxy_name_the_whole_address() -> None:
    def answer(request: Request) -> Reply:
        return 404, {}, b"{}"

    with scripted(answer) as proxy:
        config = RegistryConfig(
            hosts={"registry.test": HostConfig(plain_http=True)},
            attempts=1,
            http_proxy=f"http://{proxy.host}",
        )
        with RegistryClient(NoCredentials(), config) as client, pytest.raises(NotFoundError):
            client.resolve(ref("registry.test"))
    (request,) = proxy.requests
    assert request.path == "http://registry.test/v2/a/b/manifests/1"
    assert request.headers["host"] == "registry.test"


def test_https_goes_through_a_tunnel_of_the_proxy() -> None:
    with serving([[b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"]]) as proxy:
        config = RegistryConfig(attempts=1, https_proxy=f"http://{proxy.host}")
        with (
            RegistryClient(NoCredentials(), config) as client,
            pytest.raises(Exception, match=r"registry\.test"),
        ):
            client.resolve(ref("registry.test"))
    assert proxy.heads[0][0].startswith("CONNECT registry.test:443 HTTP/1.")
