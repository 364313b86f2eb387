"""The client against Debian's docker-registry and skopeo, and against scripted misbehaviour."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.support.services import Registry, free_port
from tests.unit.registry.scripted import Reply, Request, scripted

from bakehouse.errors import (
    BakehouseError,
    DefinitionError,
    DeniedError,
    IntegrityError,
    NotFoundError,
    TransientError,
)
from bakehouse.oci import Descriptor, Digest, Index, Manifest, Platform, Reference
from bakehouse.oci.media_types import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from bakehouse.oci.validate import validate_image
from bakehouse.registry import HostConfig, RegistryClient, RegistryConfig

FAST = RegistryConfig(backoff_s=0.001, attempts=3, connect_timeout_s=5, read_timeout_s=5)
BLOB = bytes(range(256)) * 4096


@dataclass
class Known:
    """Credentials for tests, shaped like `session.BasicCredential`."""

    username: str = ""
    password: str = ""
    identity_token: str = ""


class Wallet:
    def __init__(self, **known: Known) -> None:
        self.known = known
        self.asked: list[str] = []

    def credential(self, host: str) -> Known | None:
        self.asked.append(host)
        return next(iter(self.known.values()), None)


def client(config: RegistryConfig = FAST, wallet: Wallet | None = None, **options: object) -> RegistryClient:
    return RegistryClient(wallet or Wallet(), config, **options)  # type: ignore[arg-type]


def ref(host: str, name: str = "a/b:1") -> Reference:
    return Reference.parse(f"{host}/{name}")


def push_image(service: RegistryClient, where: Reference, layer: bytes = b"\0" * 1024) -> Descriptor:
    """Pushes a small sound image and returns its root descriptor."""
    config_raw = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [Digest.of(layer)]}}
    ).encode()
    layer_descriptor = Descriptor.of(OCI_LAYER, layer)
    config = Descriptor.of(OCI_CONFIG, config_raw)
    service.push_blob(where, layer_descriptor, lambda: io.BytesIO(layer))
    service.push_blob(where, config, lambda: io.BytesIO(config_raw))
    manifest = Manifest.build(config, [layer_descriptor])
    assert service.push_manifest(where, manifest.raw, OCI_MANIFEST) == Digest.of(manifest.raw)
    return manifest.descriptor()


def test_push_and_pull(bare_registry: Registry, tmp_path: Path) -> None:
    where = ref(bare_registry.host, "push/pull:v1")
    with client() as service:
        root = push_image(service, where)
        assert service.resolve(where) == root
        raw = service.manifest(where, root.digest)
        layer = Manifest.parse(raw).layers[0]
        out, seen = io.BytesIO(), []
        service.fetch_blob(where, layer, out, seen.append)
        assert Digest.of(out.getvalue()) == layer.digest
        assert sum(seen) == layer.size
        assert service.has_blob(where, layer.digest)
        assert not service.has_blob(where, Digest.of(b"other"))

        def read(descriptor: Descriptor) -> bytes:
            if descriptor.is_manifest:
                return service.manifest(where, descriptor.digest)
            sink = io.BytesIO()
            service.fetch_blob(where, descriptor, sink)
            return sink.getvalue()

        assert validate_image(read, root) == []
    # A peer's opinion of what we pushed.
    shown = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{where}"],
        capture_output=True,
        check=True,
    )
    assert shown.stdout == raw


def test_existing_and_mounted_blobs_are_not_sent(bare_registry: Registry) -> None:
    source, target = ref(bare_registry.host, "mount/source:1"), ref(bare_registry.host, "mount/target:1")
    descriptor = Descriptor.of(OCI_LAYER, BLOB)

    def never() -> io.BytesIO:
        raise AssertionError("the blob was asked for")

    with client() as service:
        assert service.push_blob(source, descriptor, lambda: io.BytesIO(BLOB)) == "uploaded"
        assert service.push_blob(source, descriptor, never) == "exists"
        assert service.push_blob(target, descriptor, never, [source]) == "mounted"
        assert service.has_blob(target, descriptor.digest)


def test_mount_that_fails_becomes_an_upload(bare_registry: Registry) -> None:
    descriptor = Descriptor.of(OCI_LAYER, b"never mounted")
    with client() as service:
        how = service.push_blob(
            ref(bare_registry.host, "x/y"),
            descriptor,
            lambda: io.BytesIO(b"never mounted"),
            [ref(bare_registry.host, "no/such")],
        )
    assert how == "uploaded"


def test_index_pushed_by_us_is_read_by_skopeo(bare_registry: Registry) -> None:
    where = ref(bare_registry.host, "multi/arch:1")
    with client() as service:
        member = push_image(service, Reference(where.registry, where.repository))
        entry = Descriptor(member.media_type, member.digest, member.size, {}, Platform("linux", "amd64"))
        index = Index.build([entry])
        service.push_manifest(where, index.raw, index.media_type)
        assert service.resolve(where) == index.descriptor()
    shown = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", "--override-arch=amd64", f"docker://{where}"],
        capture_output=True,
        check=True,
    )
    assert json.loads(shown.stdout)["Architecture"] == "amd64"


def test_missing_image_is_worded_like_docker(bare_registry: Registry) -> None:
    with client() as service, pytest.raises(NotFoundError) as caught:
        service.resolve(ref(bare_registry.host, "no/such:tag"))
    assert str(caught.value) == f"{bare_registry.host}/no/such:tag: not found"


def test_docker_hub_is_named_in_full() -> None:
    with scripted(lambda request: (404, {}, b"")) as mirror:
        hosts = {
            "docker.io": HostConfig(mirrors=(mirror.host,)),
            "registry-1.docker.io": HostConfig(),
        }
        config = RegistryConfig(hosts=hosts, attempts=1, https_proxy="http://127.0.0.1:1")
        with client(config) as service, pytest.raises(NotFoundError) as caught:
            service.resolve(Reference.parse("x"))
    # That nobody else could be reached tells less.
    assert str(caught.value) == "docker.io/library/x:latest: not found"
    assert [request.path for request in mirror.requests] == ["/v2/library/x/manifests/latest?ns=docker.io"]


@pytest.mark.parametrize(
    ("mirror", "registry", "message"),
    [
        (404, 401, "pull access denied"),
        (403, 404, "pull access denied"),
        (500, 404, "unexpected status 500"),
        (None, 404, "not found"),
        (404, None, "not found"),
        (None, None, "cannot reach|connection to"),
    ],
)
def test_the_error_that_tells_most(mirror: int | None, registry: int | None, message: str) -> None:
    """The ranks are those of containerd's resolver, by which BuildKit pulls: an answer of any other kind, not found, no
    answer."""

    def answering(status: int | None) -> Any:
        return lambda request: (status or 404, {}, b"")

    with scripted(answering(mirror)) as first, scripted(answering(registry)) as last:
        unused = f"127.0.0.1:{free_port()}"
        mirrors = (first.host if mirror else unused,)
        origin = last.host if registry else f"127.0.0.1:{free_port()}"
        config = RegistryConfig(hosts={origin: HostConfig(mirrors=mirrors)}, attempts=1)
        with client(config) as service, pytest.raises(BakehouseError, match=message):
            service.resolve(Reference.parse(f"{origin}/x"))


def test_mirror_serves_before_the_registry(bare_registry: Registry) -> None:
    with client() as service:
        root = push_image(service, ref(bare_registry.host, "library/mirrored:1"))
    hosts = {"docker.io": HostConfig(mirrors=(bare_registry.host,))}
    with client(RegistryConfig(hosts=hosts)) as service:
        assert service.resolve(Reference.parse("mirrored:1")) == root


def test_unreachable_registry_names_the_host() -> None:
    where = ref(f"127.0.0.1:{free_port()}")
    with client() as service, pytest.raises(TransientError) as caught:
        service.resolve(where)
    assert caught.value.code == "registry-unreachable"
    assert str(caught.value) == f"cannot reach registry {where.registry}: Connection refused"
    assert caught.value.hint


def serve_blob(raw: bytes) -> Reply:
    return 200, {}, raw


def test_broken_download_is_resumed_where_it_stopped() -> None:
    half = len(BLOB) // 2

    def answer(request: Request) -> Reply:
        start = request.headers.get("range", "")
        if not start:
            return 200, {"Content-Length": str(len(BLOB))}, BLOB[:half]
        offset = int(start.removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {offset}-{len(BLOB) - 1}/{len(BLOB)}"
        return 206, {"Content-Range": span}, BLOB[offset:]

    out = io.BytesIO()
    with scripted(answer) as server, client() as service:
        service.fetch_blob(ref(server.host), Descriptor.of(OCI_LAYER, BLOB), out)
    assert out.getvalue() == BLOB
    ranges = [request.headers.get("range") for request in server.requests]
    assert ranges[0] is None
    assert len(ranges) == 2
    assert int(str(ranges[1]).removeprefix("bytes=").removesuffix("-")) > 0


def test_server_without_ranges_sends_all_again() -> None:
    half = len(BLOB) // 2
    sent: list[int] = []

    def answer(request: Request) -> Reply:
        sent.append(1)
        return 200, {"Content-Length": str(len(BLOB))}, BLOB[:half] if len(sent) == 1 else BLOB

    out = io.BytesIO()
    with scripted(answer) as server, client() as service:
        service.fetch_blob(ref(server.host), Descriptor.of(OCI_LAYER, BLOB), out)
    assert out.getvalue() == BLOB


@pytest.mark.parametrize(
    ("body", "code"),
    [(BLOB[:-1] + b"x", "digest-mismatch"), (BLOB + b"x", "size-mismatch")],
)
def test_wrong_bytes_are_refused(body: bytes, code: str) -> None:
    with scripted(lambda request: serve_blob(body)) as server, client() as service:
        with pytest.raises(IntegrityError) as caught:
            service.fetch_blob(ref(server.host), Descriptor.of(OCI_LAYER, BLOB), io.BytesIO())
    assert caught.value.code == code


def test_short_blob_is_a_transient_fault() -> None:
    with scripted(lambda request: serve_blob(BLOB[:10])) as server, client() as service:
        with pytest.raises(TransientError, match="sent 10 of"):
            service.fetch_blob(ref(server.host), Descriptor.of(OCI_LAYER, BLOB), io.BytesIO())


def test_manifest_with_another_digest_is_refused() -> None:
    with scripted(lambda request: (200, {}, b'{"schemaVersion":2,"manifests":[]}')) as server:
        with client() as service, pytest.raises(IntegrityError) as caught:
            service.manifest(ref(server.host), Digest.of(b"wanted"))
    assert caught.value.code == "digest-mismatch"


def test_huge_manifest_is_refused() -> None:
    with scripted(lambda request: (200, {}, b" " * (4 * 1024 * 1024 + 1))) as server:
        with client() as service, pytest.raises(IntegrityError) as caught:
            service.manifest(ref(server.host), Digest.of(b"wanted"))
    assert caught.value.code == "manifest-too-large"


def test_digest_header_must_agree_with_the_contents() -> None:
    raw = b'{"schemaVersion":2,"manifests":[]}'

    def answer(request: Request) -> Reply:
        return 200, {"Docker-Content-Digest": "sha256:" + "1" * 64}, raw

    with scripted(answer) as server, client() as service, pytest.raises(IntegrityError) as caught:
        service.resolve(ref(server.host))
    assert caught.value.code == "digest-mismatch"


def test_server_errors_are_retried_with_the_wait_that_is_asked_for() -> None:
    replies: list[Reply] = [
        (503, {"Retry-After": "7"}, b""),
        (429, {}, b""),
        (
            200,
            {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": Digest.of(b"x"), "Content-Length": "9"},
            b"",
        ),
    ]
    waits: list[float] = []
    with scripted(lambda request: replies.pop(0)) as server:
        with client(wait=waits.append) as service:
            assert service.resolve(ref(server.host)).digest == Digest.of(b"x")
    assert waits == [7.0, 0.002]


def test_a_wait_that_is_too_long_is_told() -> None:
    with scripted(lambda request: (429, {"Retry-After": "3600"}, b"")) as server:
        with client() as service, pytest.raises(TransientError) as caught:
            service.resolve(ref(server.host))
    assert caught.value.retry_after_s == 3600
    assert len(server.requests) == 1


def test_attempts_are_limited() -> None:
    with scripted(lambda request: (500, {}, b"")) as server:
        with client() as service, pytest.raises(TransientError, match="status 500"):
            service.resolve(ref(server.host))
    assert len(server.requests) == 3


def bearer(request: Request, token: str, host: list[str]) -> Reply | None:
    """The 401 of a registry that wants `token`, None when it is there."""
    if request.headers.get("authorization") == f"Bearer {token}":
        return None
    realm = f'Bearer realm="http://{host[0]}/token",service="svc",scope="repository:a/b:pull"'
    return 401, {"WWW-Authenticate": realm}, b""


def test_token_is_fetched_once_with_the_credential() -> None:
    host: list[str] = [""]

    def answer(request: Request) -> Reply:
        if request.path.startswith("/token"):
            return 200, {}, b'{"token":"T1","expires_in":300}'
        return bearer(request, "T1", host) or serve_blob(BLOB)

    wallet = Wallet(any=Known("me", "secret"))
    with scripted(answer) as server, client(wallet=wallet) as service:
        host[0] = server.host
        for _ in range(2):
            service.fetch_blob(ref(server.host), Descriptor.of(OCI_LAYER, BLOB), io.BytesIO())
    tokens = [request for request in server.requests if request.path.startswith("/token")]
    assert len(tokens) == 1
    query = parse_qs(urlsplit(tokens[0].path).query)
    assert query == {"service": ["svc"], "scope": ["repository:a/b:pull"], "account": ["me"]}
    expected = base64.b64encode(b"me:secret").decode()
    assert tokens[0].headers["authorization"] == f"Basic {expected}"
    assert set(wallet.asked) == {server.host}


def test_identity_token_is_posted() -> None:
    host: list[str] = [""]

    def answer(request: Request) -> Reply:
        if request.path.startswith("/token"):
            return 200, {}, b'{"access_token":"T2"}'
        return bearer(request, "T2", host) or serve_blob(BLOB)

    with scripted(answer) as server, client(wallet=Wallet(any=Known(identity_token="refresh"))) as service:
        host[0] = server.host
        service.fetch_blob(ref(server.host), Descriptor.of(OCI_LAYER, BLOB), io.BytesIO())
    (token,) = [request for request in server.requests if request.path.startswith("/token")]
    form = parse_qs(token.body.decode())
    assert token.method == "POST"
    assert (form["grant_type"], form["refresh_token"]) == (["refresh_token"], ["refresh"])
    assert "authorization" not in token.headers


def test_expired_token_is_replaced() -> None:
    host: list[str] = [""]
    made: list[str] = []

    def answer(request: Request) -> Reply:
        if request.path.startswith("/token"):
            made.append(f"T{len(made)}")
            return 200, {}, json.dumps({"token": made[-1], "expires_in": 300}).encode()
        wanted = "T0" if len(server.requests) < 5 else "T1"
        return bearer(request, wanted, host) or serve_blob(BLOB)

    with scripted(answer) as server, client() as service:
        host[0] = server.host
        for _ in range(3):
            service.fetch_blob(ref(server.host), Descriptor.of(OCI_LAYER, BLOB), io.BytesIO())
    assert made == ["T0", "T1"]


def test_denied_access_says_so_without_secrets() -> None:
    host: list[str] = [""]

    def answer(request: Request) -> Reply:
        if request.path.startswith("/token"):
            return 200, {}, b'{"token":"useless"}'
        return bearer(request, "other", host) or serve_blob(b"")

    with scripted(answer) as server, client(wallet=Wallet(any=Known("me", "hunter2"))) as service:
        host[0] = server.host
        with pytest.raises(DeniedError) as caught:
            service.resolve(ref(server.host))
    text = f"{caught.value} {caught.value.hint}"
    assert "pull access denied, repository does not exist or may require authorization" in text
    assert "hunter2" not in text
    assert "useless" not in text


def test_refused_token_is_denied() -> None:
    host: list[str] = [""]

    def answer(request: Request) -> Reply:
        if request.path.startswith("/token"):
            return 401, {}, b"hunter2 is wrong"
        return bearer(request, "other", host) or serve_blob(b"")

    with scripted(answer) as server, client(wallet=Wallet(any=Known("me", "hunter2"))) as service:
        host[0] = server.host
        with pytest.raises(DeniedError, match="token service answered status 401") as caught:
            service.resolve(ref(server.host))
    assert "hunter2" not in str(caught.value)


def test_basic_authentication() -> None:
    def answer(request: Request) -> Reply:
        if "authorization" not in request.headers:
            return 401, {"WWW-Authenticate": 'Basic realm="r"'}, b""
        return serve_blob(BLOB)

    with scripted(answer) as server, client(wallet=Wallet(any=Known("me", "pw"))) as service:
        service.fetch_blob(ref(server.host), Descriptor.of(OCI_LAYER, BLOB), io.BytesIO())
    assert server.requests[-1].headers["authorization"] == "Basic " + base64.b64encode(b"me:pw").decode()


def test_credentials_do_not_follow_a_redirect_to_another_host() -> None:
    def answer(request: Request) -> Reply:
        if "authorization" not in request.headers:
            return 401, {"WWW-Authenticate": 'Basic realm="r"'}, b""
        return 307, {"Location": f"http://{storage.host}/data"}, b""

    with scripted(lambda request: serve_blob(BLOB)) as storage, scripted(answer) as server:
        with client(wallet=Wallet(any=Known("me", "pw"))) as service:
            out = io.BytesIO()
            service.fetch_blob(ref(server.host), Descriptor.of(OCI_LAYER, BLOB), out)
    assert out.getvalue() == BLOB
    assert [request.path for request in storage.requests] == ["/data"]
    assert "authorization" not in storage.requests[0].headers


def test_redirect_loops_end() -> None:
    with scripted(lambda request: (302, {"Location": request.path}, b"")) as server:
        with client() as service, pytest.raises(TransientError, match="redirects more than"):
            service.resolve(ref(server.host))


def test_redirect_to_a_strange_scheme_is_refused() -> None:
    with scripted(lambda request: (302, {"Location": "file:///etc/passwd"}, b"")) as server:
        with client() as service, pytest.raises(DeniedError, match="unsafe place"):
            service.resolve(ref(server.host))


def test_push_denied() -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": "read only\x1b[31m"}]}).encode()
    with scripted(lambda request: (404, {}, b"") if request.method == "HEAD" else (403, {}, body)) as server:
        with client() as service, pytest.raises(DeniedError) as caught:
            service.push_blob(ref(server.host), Descriptor.of(OCI_LAYER, BLOB), lambda: io.BytesIO(BLOB))
    assert "push access denied" in str(caught.value)
    assert "DENIED: read only" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_upload_that_breaks_is_begun_again() -> None:
    puts: list[int] = []

    def answer(request: Request) -> Reply:
        if request.method == "HEAD":
            return 404, {}, b""
        if request.method == "POST":
            return 202, {"Location": "/v2/upload/1?state=s"}, b""
        puts.append(len(request.body))
        return (500, {}, b"") if len(puts) == 1 else (201, {}, b"")

    counted: list[int] = []
    with scripted(answer) as server, client() as service:
        descriptor = Descriptor.of(OCI_LAYER, BLOB)
        how = service.push_blob(
            ref(server.host), descriptor, lambda: io.BytesIO(BLOB), on_bytes=counted.append
        )
    assert how == "uploaded"
    assert puts == [len(BLOB)] * 2
    assert sum(counted) == len(BLOB)
    query = parse_qs(urlsplit(server.requests[-1].path).query)
    assert query == {"state": ["s"], "digest": [str(descriptor.digest)]}


def test_bad_request_is_not_retried() -> None:
    with scripted(lambda request: (400, {}, b"")) as server:
        hosts = {server.host: HostConfig(plain_http=True)}
        with (
            client(RegistryConfig(hosts=hosts)) as service,
            pytest.raises(DefinitionError, match="status 400"),
        ):
            service.resolve(ref(server.host))
    assert len(server.requests) == 1


def test_insecure_registry_falls_back_to_http() -> None:
    raw = b'{"schemaVersion":2,"manifests":[]}'
    with scripted(lambda request: (200, {}, raw)) as server:
        hosts = {server.host: HostConfig(insecure=True)}
        with client(RegistryConfig(hosts=hosts, backoff_s=0.001)) as service:
            assert service.resolve(ref(server.host)).digest == Digest.of(raw)


def test_cancellation_passes_through() -> None:
    class Stop(Exception):
        pass

    def on_bytes(count: int) -> None:
        raise Stop

    with scripted(lambda request: serve_blob(BLOB)) as server, client() as service, pytest.raises(Stop):
        service.fetch_blob(ref(server.host), Descriptor.of(OCI_LAYER, BLOB), io.BytesIO(), on_bytes)
