"""Services that keep caches, on loopback: moto as S3, and strict stand-ins for Azure Blob Storage and for GitHub's
Actions cache, written from their protocols. BuildKit itself is made to use the same ones, which shows that they are
right.

The stand-ins verify what the services verify (signatures, tokens, block lists, ranges, sizes), remember every request,
and can be told to fail.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

from tests.support.services import free_port, stop, wait_until

ACCOUNT = "bakeaccount"
#: No secret: it opens nothing but the server below.
ACCOUNT_KEY = base64.b64encode(hashlib.sha512(b"a key for tests").digest()).decode()


@dataclass
class Call:
    """One request as it came in."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        values = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name: value[0] for name, value in values.items()}

    def json(self) -> dict[str, object]:
        value: dict[str, object] = json.loads(self.body)
        return value


@dataclass
class Reply:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Break the connection after so many bytes of the body.
    cut_at: int | None = None


def json_reply(status: int, value: object) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        # Clients that hang up in the middle are what tests are about; anything else is a mistake of the stand-in.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Server:
    """An HTTP server with one function for all requests. `scripted` answers are given first, one a matching request."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.scripted: list[tuple[Callable[[Call], bool], Reply]] = []
        self.lock = threading.RLock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            # Head and body leave in one packet.
            wbufsize = -1

            def _any(self) -> None:
                owner._handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _any

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = _Http(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def next_reply(self, reply: Reply, when: Callable[[Call], bool] = lambda call: True) -> None:
        self.scripted.append((when, reply))

    def answer(self, call: Call) -> Reply:
        raise NotImplementedError

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        call = Call(handler.command, handler.path, headers, _request_body(handler))
        with self.lock:
            self.calls.append(call)
            reply = self._scripted_reply(call) or self.answer(call)
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.status != 204 and "Content-Length" not in reply.headers:
            handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(reply.body if reply.cut_at is None else reply.body[: reply.cut_at])
        handler.wfile.flush()
        if reply.cut_at is not None:
            handler.close_connection = True

    def _scripted_reply(self, call: Call) -> Reply | None:
        for each in self.scripted:
            if each[0](call):
                self.scripted.remove(each)
                return each[1]
        return None


def _request_body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    parts = []
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        parts.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(parts)


def _ranged(call: Call, content: bytes, headers: Mapping[str, str]) -> Reply:
    """All of `content`, or what `Range` (of Azure: `x-ms-range`) asks for."""
    wanted = call.headers.get("x-ms-range") or call.headers.get("range")
    if not wanted:
        return Reply(200, content, headers)
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    end = min(int(last) + 1 if last else len(content), len(content))
    if int(first) >= len(content):
        return Reply(416, b"", headers)
    place = {"Content-Range": f"bytes {int(first)}-{end - 1}/{len(content)}"}
    return Reply(206, content[int(first) : end], {**headers, **place})


@dataclass
class BlockBlob:
    """A blob of Azure Storage, and its blocks that no list has committed."""

    content: bytes | None = None
    blocks: dict[str, bytes] = field(default_factory=dict)

    def request(self, call: Call) -> Reply:
        """Get, head, put, put block, put block list."""
        operation = call.query.get("comp", "")
        if call.method in ("GET", "HEAD"):
            if self.content is None:
                return azure_error(404, "BlobNotFound")
            return _ranged(
                call, self.content, {"x-ms-blob-type": "BlockBlob", "ETag": '"1"', **_azure_headers()}
            )
        if call.method != "PUT":
            return azure_error(405, "UnsupportedHttpVerb")
        if operation == "block":
            id = call.query["blockid"]
            if len(base64.b64decode(id, validate=True)) > 64 or any(
                len(each) != len(id) for each in self.blocks
            ):
                return azure_error(400, "InvalidBlobOrBlock")
            self.blocks[id] = call.body
            return Reply(201, b"", _azure_headers())
        if call.headers.get("if-none-match") == "*" and self.content is not None:
            return azure_error(409, "BlobAlreadyExists")
        if operation == "blocklist":
            ids = [element.text or "" for element in ElementTree.fromstring(call.body)]
            if any(id not in self.blocks for id in ids):
                return azure_error(400, "InvalidBlockList")
            self.content = b"".join(self.blocks[id] for id in ids)
            self.blocks.clear()
            return Reply(201, b"", {"ETag": '"1"', **_azure_headers()})
        if operation or call.headers.get("x-ms-blob-type") != "BlockBlob":
            return azure_error(400, "InvalidHeaderValue")
        self.content = call.body
        return Reply(201, b"", {"ETag": '"1"', **_azure_headers()})


def _azure_headers() -> dict[str, str]:
    return {"x-ms-request-id": "00000000-0000-0000-0000-000000000000", "x-ms-version": "2021-12-02"}


def azure_error(status: int, code: str, message: str = "No.") -> Reply:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(
        status,
        body.encode(),
        {"x-ms-error-code": code, "Content-Type": "application/xml", **_azure_headers()},
    )


class AzureStorage(Server):
    """Blob storage of one account at `URL/ACCOUNT`, opened by its shared key alone."""

    def __init__(self) -> None:
        super().__init__()
        self.containers: dict[str, dict[str, BlockBlob]] = {}
        self.account_url = f"{self.url}/{ACCOUNT}"

    def attrs(self, **more: str) -> dict[str, str]:
        return {
            "account_url": self.account_url,
            "account_name": ACCOUNT,
            "secret_access_key": ACCOUNT_KEY,
            **more,
        }

    def answer(self, call: Call) -> Reply:
        wrong = self._proof_wrong(call)
        if wrong:
            return azure_error(
                403, "AuthenticationFailed", f"Server failed to authenticate the request.\n{wrong}"
            )
        _, account, container, *rest = call.path.split("/", 3)
        if account != ACCOUNT:
            return azure_error(404, "ResourceNotFound")
        if call.query.get("restype") == "container":
            return self._container(call, container)
        blobs = self.containers.get(container)
        if blobs is None:
            return azure_error(404, "ContainerNotFound")
        return blobs.setdefault("/".join(rest), BlockBlob()).request(call)

    def _container(self, call: Call, name: str) -> Reply:
        if call.method == "PUT":
            if name in self.containers:
                return azure_error(409, "ContainerAlreadyExists")
            self.containers[name] = {}
            return Reply(201, b"", _azure_headers())
        if name not in self.containers:
            return azure_error(404, "ContainerNotFound")
        return Reply(200, b"", _azure_headers())

    def _proof_wrong(self, call: Call) -> str:
        """What is wrong with the signature; by the documentation of SharedKey, one line after the other."""
        headers = call.headers
        if not headers.get("x-ms-version", "").startswith("20"):
            return "no version"
        moment = parsedate_to_datetime(headers["x-ms-date"]).timestamp() if "x-ms-date" in headers else 0
        if abs(time.time() - moment) > 900:
            return "not of this hour"
        length = headers.get("content-length", "")
        conditions = ("if-modified-since", "if-match", "if-none-match", "if-unmodified-since")
        lines = [call.method, headers.get("content-encoding", ""), headers.get("content-language", "")]
        lines.append("" if length == "0" else length)
        lines += [
            headers.get(name, "") for name in ("content-md5", "content-type", "date", *conditions, "range")
        ]
        lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-ms-")]
        lines.append(f"/{ACCOUNT}{urlsplit(call.target).path}")
        lines += [f"{name.lower()}:{call.query[name]}" for name in sorted(call.query, key=str.lower)]
        digest = hmac.new(base64.b64decode(ACCOUNT_KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
        expected = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
        return "" if hmac.compare_digest(headers.get("authorization", ""), expected) else "signature"


def actions_token(*scopes: tuple[str, int], lifetime_s: float = 3600, begins_s: float = -60) -> str:
    """A token of a job: `scopes` are refs with 1 (read) or 3 (read and write). Its signature is nonsense."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    now = time.time()
    controls = json.dumps([{"Scope": name, "Permission": permission} for name, permission in scopes])
    claims = {"ac": controls, "nbf": int(now + begins_s), "exp": int(now + lifetime_s)}
    return f"{part({'typ': 'JWT', 'alg': 'RS256'})}.{part(claims)}.{part('signature')}"


MAIN = ("refs/heads/main", 3)
MAIN_READ = ("refs/heads/main", 1)
BRANCH = ("refs/heads/work", 3)


@dataclass
class ActionsEntry:
    id: int
    key: str
    version: str
    scope: str
    blob: BlockBlob = field(default_factory=BlockBlob)
    chunks: dict[int, bytes] = field(default_factory=dict)
    committed: bool = False
    #: Signed URLs of earlier generations are expired.
    generation: int = 0


class ActionsCache(Server):
    """GitHub's cache of one repository, both protocols at once: `url` serves v1, v2 and the storage behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[ActionsEntry] = []
        self.redirect_downloads = False

    def environ(self, version: int, *scopes: tuple[str, int]) -> dict[str, str]:
        """What a job's environment holds."""
        token = actions_token(*(scopes or (MAIN,)))
        if version == 1:
            return {"ACTIONS_RUNTIME_TOKEN": token, "ACTIONS_CACHE_URL": self.url + "/"}
        return {
            "ACTIONS_RUNTIME_TOKEN": token,
            "ACTIONS_RESULTS_URL": self.url + "/",
            "ACTIONS_CACHE_SERVICE_V2": "True",
        }

    def keys(self) -> list[str]:
        return [entry.key for entry in self.entries if entry.committed]

    def answer(self, call: Call) -> Reply:
        if call.path.startswith("/storage/"):
            return self._storage(call)
        if call.path.startswith("/repos/"):
            return self._list(call)
        scopes = self._scopes(call)
        if scopes is None:
            return json_reply(401, {"message": "no such token", "typeKey": "Unauthorized"})
        if call.path.startswith("/_apis/artifactcache/"):
            return self._v1(call, call.path.removeprefix("/_apis/artifactcache/"), scopes)
        method = call.path.removeprefix("/twirp/github.actions.results.api.v1.CacheService/")
        if call.method != "POST" or call.headers.get("content-type") != "application/json":
            return json_reply(415, {"code": "bad_route", "msg": "POST JSON"})
        return self._v2(call, method, scopes)

    @staticmethod
    def _scopes(call: Call) -> list[tuple[str, int]] | None:
        kind, _, token = call.headers.get("authorization", "").partition(" ")
        parts = token.split(".")
        if kind != "Bearer" or len(parts) != 3:
            return None
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
        return [(each["Scope"], each["Permission"]) for each in json.loads(claims["ac"])]

    def _find(self, key: str, version: str, scopes: list[tuple[str, int]]) -> ActionsEntry | None:
        """Scope by scope in the token's order, the newest whose key begins so."""
        for scope, _ in scopes:
            for entry in reversed(self.entries):
                same = (entry.scope, entry.version) == (scope, version)
                if entry.committed and same and entry.key.startswith(key):
                    return entry
        return None

    def _reserve(self, call: Call, scopes: list[tuple[str, int]]) -> ActionsEntry | str | None:
        """A new entry, None when its key is taken, or why not."""
        payload = call.json()
        writable = [scope for scope, permission in scopes if permission & 2]
        if not writable:
            return "cache write denied: token has no writable scopes"
        key, version = str(payload["key"]), str(payload["version"])
        if len(key) > 512 or "," in key or len(version) != 64:
            return "malformed key"
        for entry in self.entries:
            if (entry.key, entry.version, entry.scope) == (key, version, writable[-1]):
                return None
        entry = ActionsEntry(len(self.entries) + 1, key, version, writable[-1])
        self.entries.append(entry)
        return entry

    def _v1(self, call: Call, path: str, scopes: list[tuple[str, int]]) -> Reply:
        if "api-version=6.0-preview" not in call.headers.get("accept", ""):
            return json_reply(400, {"message": "no version", "typeKey": "VssVersionNotSpecified"})
        if path == "cache" and call.method == "GET":
            found = self._find(call.query["keys"], call.query["version"], scopes)
            if found is None:
                return Reply(204)
            location = self._signed(found, "GET")
            return json_reply(200, {"cacheKey": found.key, "scope": found.scope, "archiveLocation": location})
        if path == "caches" and call.method == "POST":
            made = self._reserve(call, scopes)
            if isinstance(made, str):
                return json_reply(403, {"message": made, "typeKey": "Forbidden"})
            if made is None:
                kind = "ArtifactCacheItemAlreadyExistsException"
                return json_reply(409, {"message": "Cache already exists.", "typeKey": kind, "errorCode": 0})
            return json_reply(201, {"cacheId": made.id})
        entry = self.entries[int(path.removeprefix("caches/")) - 1]
        if call.method == "PATCH":
            first, _, last = (
                call.headers["content-range"].removeprefix("bytes ").removesuffix("/*").partition("-")
            )
            if int(last) - int(first) + 1 != len(call.body):
                return json_reply(400, {"message": "wrong range", "typeKey": "BadRange"})
            entry.chunks[int(first)] = call.body
            return Reply(204)
        content = b"".join(data for _, data in sorted(entry.chunks.items()))
        if entry.committed or call.json()["size"] != len(content):
            return json_reply(400, {"message": "wrong size", "typeKey": "BadSize"})
        entry.blob.content, entry.committed = content, True
        return Reply(204)

    def _v2(self, call: Call, method: str, scopes: list[tuple[str, int]]) -> Reply:
        payload = call.json()
        if method == "CreateCacheEntry":
            made = self._reserve(call, scopes)
            if isinstance(made, str):
                return json_reply(403, {"code": "permission_denied", "msg": made})
            if made is None:
                return json_reply(
                    409, {"code": "already_exists", "msg": "cache entry with the same key exists"}
                )
            return json_reply(200, {"ok": True, "signed_upload_url": self._signed(made, "PUT")})
        if method == "FinalizeCacheEntryUpload":
            for entry in self.entries:
                if (entry.key, entry.version) == (payload["key"], payload["version"]) and not entry.committed:
                    if len(entry.blob.content or b"") != int(str(payload["size_bytes"])):
                        return json_reply(400, {"code": "invalid_argument", "msg": "wrong size"})
                    entry.committed = entry.blob.content is not None
                    return json_reply(200, {"ok": entry.committed, "entry_id": str(entry.id)})
            return json_reply(404, {"code": "not_found", "msg": "no such reservation"})
        if method == "GetCacheEntryDownloadURL":
            keys = payload["restore_keys"]
            assert isinstance(keys, list)
            for key in keys:
                found = self._find(key, str(payload["version"]), scopes)
                if found is not None:
                    url = self._signed(found, "GET")
                    return json_reply(200, {"ok": True, "signed_download_url": url, "matched_key": found.key})
            return json_reply(200, {"ok": False, "signed_download_url": "", "matched_key": ""})
        return json_reply(404, {"code": "bad_route", "msg": "no such method"})

    def _signed(self, entry: ActionsEntry, method: str) -> str:
        return f"{self.url}/storage/{entry.id}?sp={method}&se={entry.generation}&sig={self._signature(entry, method)}"

    @staticmethod
    def _signature(entry: ActionsEntry, method: str) -> str:
        text = f"secret {entry.id} {method} {entry.generation}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _storage(self, call: Call) -> Reply:
        """Azure Storage behind signed URLs; who also sends a credential is refused, as there."""
        entry = self.entries[int(call.path.rpartition("/")[2]) - 1]
        method = call.query.get("sp", "")
        if "authorization" in call.headers:
            return azure_error(400, "InvalidAuthenticationInfo")
        if call.query.get("sig") != self._signature(entry, method) or method not in (
            "GET" if call.method == "HEAD" else call.method
        ):
            return azure_error(403, "AuthenticationFailed")
        if self.redirect_downloads and call.method == "GET" and "moved" not in call.query:
            return Reply(302, b"", {"Location": f"{call.target}&moved=1"})
        return entry.blob.request(call)

    def _list(self, call: Call) -> Reply:
        """`GET /repos/OWNER/NAME/actions/caches` of the REST API."""
        if call.headers.get("authorization") != "Bearer github-token":
            return json_reply(401, {"message": "Bad credentials"})
        if call.path != "/repos/team/app/actions/caches":
            return json_reply(404, {"message": "Not Found"})
        query = call.query
        found = [
            {"id": entry.id, "key": entry.key, "ref": entry.scope}
            for entry in self.entries
            if entry.committed and entry.key.startswith(query["key"]) and entry.scope == query["ref"]
        ]
        size, page = int(query["per_page"]), int(query["page"])
        part = found[(page - 1) * size : page * size]
        return json_reply(200, {"total_count": len(found), "actions_caches": part})


@dataclass(frozen=True)
class S3Server:
    """A running moto. It takes any key: signatures are compared with those of AWS's own library elsewhere."""

    url: str

    def attrs(self, bucket: str, **more: str) -> dict[str, str]:
        return {
            "bucket": bucket,
            "region": "us-east-1",
            "endpoint_url": self.url,
            "use_path_style": "true",
            "access_key_id": "key-of-tests",
            "secret_access_key": "secret-of-tests",
            **more,
        }

    def make_bucket(self, name: str) -> None:
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=10).close()

    def keys(self, bucket: str) -> list[str]:
        with urllib.request.urlopen(f"{self.url}/{bucket}?list-type=2", timeout=10) as answer:
            tree = ElementTree.fromstring(answer.read())
        return [element.text or "" for element in tree.iter() if element.tag.rpartition("}")[2] == "Key"]


@contextmanager
def running_s3(root: Path) -> Iterator[S3Server]:
    """moto on a free port."""
    root.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), root / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    server = S3Server(f"http://127.0.0.1:{port}")
    try:
        wait_until(
            lambda: urllib.request.urlopen(f"{server.url}/moto-api/", timeout=5).close() or True, process, log
        )
        yield server
    finally:
        stop(process)
