"""`http://` and `https://` sources: one downloaded file as a tree (engine.md §2, dockerfile.md §7.5).

Role: download, revalidation by ETag, the file's name, mode, owner and time. A file that was fetched once stays a
layer; its address is remembered with its ETag. Unpacking archives is the copy's business.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from email.message import Message
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.tree import EngineContext
from bakehouse.errors import (
    DefinitionError,
    IntegrityError,
    NotBuiltYetError,
    NotFoundError,
    TransientError,
)
from bakehouse.go.jsontext import compact_json
from bakehouse.go.urls import redacted
from bakehouse.llb.ops import SourceOp, Vertex
from bakehouse.solver.model import CacheMap, RunContext
from bakehouse.values import dataclass
from bakehouse.version import __version__

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from bakehouse.engine.tree import Tree

_SPACE = "http-source.v1"
_CHUNK = 1 << 18
_CONNECT_TIMEOUT_S = 30.0
_READ_TIMEOUT_S = 120.0
_REDIRECTS = 10
_HEADERS = {"http.header.accept": "Accept", "http.header.user-agent": "User-Agent"}
_KNOWN = {
    "http.checksum",
    "http.filename",
    "http.perm",
    "http.uid",
    "http.gid",
    "http.authheadersecret",
    *_HEADERS,
}


@dataclass(frozen=True, slots=True)
class _Resolved:
    """What an address stood for: the content's digest, the file's name, `Last-Modified` ("" when not stated) and
    the layer that holds the file (None before a download)."""

    digest: str
    filename: str
    last_modified: str
    layer: str | None


class HttpSource:
    """The operation of an http(s) vertex. The network is asked once, in `cache_map`; an address with a pinned
    checksum only when the file itself is needed."""

    def __init__(self, vertex: Vertex, context: EngineContext) -> None:
        assert isinstance(vertex.op, SourceOp)
        self._url = vertex.op.identifier
        self._attrs: Mapping[str, str] = vertex.op.attrs
        self._name = vertex.name
        self._digest = vertex.digest
        self._context = context
        for attribute in self._attrs:
            if attribute.startswith("http.sig."):
                raise NotBuiltYetError(f"{attribute}: signature checks of http sources are not supported")
            if attribute.startswith("http.") and attribute not in _KNOWN:
                raise DefinitionError(f"unknown attribute {attribute}", code="invalid-source-attribute")
        self._checksum = self._attrs.get("http.checksum", "")
        self._perm = _number(self._attrs, "http.perm")
        self._uid = _number(self._attrs, "http.uid")
        self._gid = _number(self._attrs, "http.gid")
        fields = [(name, self._attrs[key]) for key, name in _HEADERS.items() if key in self._attrs]
        self._headers = sorted(fields)

    def cache_map(self, context: RunContext) -> CacheMap:
        if self._checksum:
            resolved = _Resolved(self._checksum, self._filename(None), "", None)
        else:
            resolved = self._fetched(context)
        key = hashlib.sha256(compact_json(self._key(resolved)).encode()).hexdigest()
        text = f"buildkit.source.v0:sha256:{key}"
        return CacheMap("sha256:" + hashlib.sha256(text.encode()).hexdigest())

    def run(self, context: RunContext, inputs: Sequence[Tree]) -> list[Tree]:
        from bakehouse.snapshots import LayerChain

        resolved = self._fetched(context)
        assert resolved.layer is not None
        return [LayerTree(LayerChain((resolved.layer,)), self._context)]

    def _key(self, resolved: _Resolved) -> dict[str, Any]:
        key: dict[str, Any] = {
            "Filename": resolved.filename,
            "Perm": self._perm,
            "UID": self._uid,
            "GID": self._gid,
            "Checksum": resolved.digest,
        }
        if resolved.last_modified:
            key["LastModTime"] = resolved.last_modified
        if secret := self._attrs.get("http.authheadersecret"):
            key["AuthHeaderSecret"] = secret
        if self._headers:
            key["Header"] = [{"Name": name, "Value": value} for name, value in self._headers]
        return key

    # -- fetching -------------------------------------------------------------------------------------------------

    def _fetched(self, context: RunContext) -> _Resolved:
        return self._context.answers.once(self._digest, lambda: self._fetch(context))

    def _fetch(self, context: RunContext) -> _Resolved:
        """The file, from the store when the server (or a pinned checksum) says that it has not changed."""
        memory_key = hashlib.sha256(
            json.dumps(
                [self._url, self._attrs.get("http.filename"), self._perm, self._uid, self._gid]
            ).encode()
        ).hexdigest()
        with self._context.store.locks.locked("http-" + memory_key):
            known, etag = self._remembered(memory_key)
            if known is not None and self._checksum and known.digest == self._checksum:
                return known
            response = self._request(etag if known is not None else "")
            try:
                if known is not None and response.status == 304:
                    resolved = known
                elif not 200 <= response.status < 300:
                    raise _bad_status(response.status, redacted(self._url))
                else:
                    resolved = self._download(context, response)
                    self._remember(memory_key, resolved, response.headers.get("ETag", ""))
            finally:
                response.release_conn()
        if self._checksum and resolved.digest != self._checksum:
            raise IntegrityError(
                f"digest mismatch {resolved.digest}: {self._checksum}",
                code="digest-mismatch",
                hint=f"{redacted(self._url)} serves other content than the checksum names.",
            )
        return resolved

    def _remembered(self, key: str) -> tuple[_Resolved | None, str]:
        from bakehouse.snapshots import LayerChain

        record = self._context.store.kv.get(_SPACE, key)
        if record is None:
            return None, ""
        value = json.loads(record)
        if not self._context.layers.exists(LayerChain((value["layer"],))):
            return None, ""
        return (
            _Resolved(value["digest"], value["filename"], value["last_modified"], value["layer"]),
            value["etag"],
        )

    def _remember(self, key: str, resolved: _Resolved, etag: str) -> None:
        value = {
            "digest": resolved.digest,
            "filename": resolved.filename,
            "last_modified": resolved.last_modified,
            "layer": resolved.layer,
            "etag": etag,
        }
        self._context.store.kv.put(_SPACE, key, json.dumps(value).encode())

    def _request(self, etag: str) -> BaseHTTPResponse:
        import urllib3

        headers = {"User-Agent": f"bakehouse/{__version__}", "Accept-Encoding": "identity"}
        headers.update(self._headers)
        if etag:
            headers["If-None-Match"] = etag
        authorization = self._authorization()
        if authorization:
            headers["Authorization"] = authorization
        retries = urllib3.Retry(
            total=None, connect=2, read=2, redirect=_REDIRECTS, status=0, backoff_factor=0.2
        )
        timeout = urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=_READ_TIMEOUT_S)
        try:
            response: BaseHTTPResponse = http_pool(self._url).request(
                "GET", self._url, headers=headers, preload_content=False, retries=retries, timeout=timeout
            )
            return response
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(
                f"cannot fetch {redacted(self._url)}: {_reason(error)}", code="http-unreachable"
            ) from error

    def _authorization(self) -> str:
        session = self._context.session
        named = self._attrs.get("http.authheadersecret")
        if named:
            value = session.secret(named)
            if value is None:
                raise NotFoundError(
                    f"failed to retrieve HTTP auth secret {named}: secret {named}: not found",
                    code="secret-not-found",
                )
            return value.decode("latin-1").strip()
        host = urlsplit(self._url).hostname or ""
        token = session.secret(f"HTTP_AUTH_TOKEN_{host}")
        if token is not None:
            return "Bearer " + token.decode("latin-1").strip()
        header = session.secret(f"HTTP_AUTH_HEADER_{host}")
        return _basic(self._url) if header is None else header.decode("latin-1").strip()

    def _download(self, context: RunContext, response: BaseHTTPResponse) -> _Resolved:
        filename = self._filename(response.headers.get("Content-Disposition"))
        hasher = hashlib.sha256()
        size = 0
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else 0
        with self._context.store.temporary_dir() as directory:
            path = directory / "body"
            with open(path, "wb") as file, context.reporter.status(f"fetching {filename}", total) as status:
                for data in self._stream(response):
                    context.cancel.check()
                    hasher.update(data)
                    file.write(data)
                    size += len(data)
                    status.advance(len(data))
            modified = response.headers.get("Last-Modified", "")
            layer = self._layer(path, filename, size, modified)
        return _Resolved("sha256:" + hasher.hexdigest(), filename, _canonical_time(modified), layer)

    def _stream(self, response: BaseHTTPResponse) -> Iterator[bytes]:
        import urllib3

        try:
            yield from response.stream(_CHUNK, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransientError(
                f"the download of {redacted(self._url)} ended too early: {_reason(error)}",
                code="http-cut-short",
            ) from error

    def _layer(self, path: Path, filename: str, size: int, modified: str) -> str:
        from bakehouse.snapshots import LayerChain, TarEntry

        time_s = 0
        if _canonical_time(modified):
            time_s = int(parsedate_to_datetime(modified).timestamp())
        entry = TarEntry(
            os.fsencode(filename),
            mode=(self._perm or 0o600) & 0o7777,
            uid=self._uid,
            gid=self._gid,
            mtime_ns=time_s * 1_000_000_000,
            size=size,
        )
        with self._context.layers.packed(LayerChain(()), description=self._name) as packed:
            with open(path, "rb") as file:
                packed.add(entry, file.fileno() if size else None)
            return str(packed.commit())

    def _filename(self, disposition: str | None) -> str:
        named = self._attrs.get("http.filename")
        if named:
            return _safe(named)
        if disposition:
            message = Message()
            message["Content-Disposition"] = disposition
            offered = message.get_filename()
            if offered and not offered.endswith("/"):
                return _safe(posixpath.basename(offered))
        return _safe(posixpath.basename(unquote(urlsplit(self._url).path).rstrip("/")))


def http_pool(url: str) -> Any:
    """A connection pool for `url`, through the proxy that the environment names for it."""
    from urllib.request import getproxies_environment, proxy_bypass

    import urllib3

    parts = urlsplit(url)
    proxy = getproxies_environment().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


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
            f"cannot fetch {redacted(url)}: {type(error).__name__}", code="http-unreachable"
        ) from error
    response.release_conn()
    return str(response.headers.get("Location", ""))


def _basic(url: str) -> str:
    """The credential that the address itself holds, as a header; "" when it holds none."""
    parts = urlsplit(url)
    if parts.username is None:
        return ""
    word = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(word.encode()).decode("ascii")


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


def _bad_status(status: int, url: str) -> Exception:
    message = f"invalid response status {status}"
    hint = f"The server answered so for {url}."
    if status == 429 or status >= 500:
        return TransientError(message, code="http-status", hint=hint)
    return NotFoundError(message, code="http-status", hint=hint)


def _canonical_time(text: str) -> str:
    """`Last-Modified` as Go prints it; "" when it is absent or no date."""
    if not text:
        return ""
    try:
        return format_datetime(parsedate_to_datetime(text), usegmt=True)
    except (ValueError, TypeError):
        return ""


def _safe(name: str) -> str:
    """A name that is one component; BuildKit's stand-in when there is none."""
    name = name.replace("\\", "/").rpartition("/")[2]
    return "__unnamed__" if name in ("", ".", "..") else name


def _number(attrs: Mapping[str, str], name: str) -> int:
    """A number as Go parses it with base 0: a leading 0 makes it octal."""
    text = attrs.get(name, "")
    if not text:
        return 0
    try:
        if text.startswith("0") and text[1:].isdigit():
            return int(text, 8)
        return int(text, 0)
    except ValueError:
        raise DefinitionError(f"{name}: invalid number {text!r}", code="invalid-source-attribute") from None
