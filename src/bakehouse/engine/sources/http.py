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

from bakehouse.engine.answers import question
from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.sources.http_client import bad_status, body_of, get
from bakehouse.engine.tree import EngineContext
from bakehouse.errors import (
    DefinitionError,
    IntegrityError,
    NotBuiltYetError,
    NotFoundError,
)
from bakehouse.giturl import without_passwords
from bakehouse.go.jsontext import compact_json
from bakehouse.go.units import format_bytes
from bakehouse.llb.ops import SourceOp, Vertex
from bakehouse.session import UPLOAD_HOST
from bakehouse.solver.model import CacheMap, RunContext
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from bakehouse.engine.tree import Tree

_SPACE = "http-source.v1"
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
        self._name = without_passwords(vertex.name)
        self._question = question(vertex.op)
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

    def last_modified(self, context: RunContext) -> int | None:
        """The `Last-Modified` of the file in seconds since the epoch; None when the server states none."""
        text = self._fetched(context).last_modified
        return int(parsedate_to_datetime(text).timestamp()) if text else None

    def digest(self, context: RunContext) -> str:
        """The digest of the file, which is fetched."""
        return self._fetched(context).digest

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
        ask = self._uploaded if urlsplit(self._url).hostname == UPLOAD_HOST else self._fetch
        return self._context.answers.once(self._question, lambda: ask(context))

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
                    raise bad_status(response.status, without_passwords(self._url))
                else:
                    resolved = self._download(context, body_of(response, self._url), response.headers)
                    self._remember(memory_key, resolved, response.headers.get("ETag", ""))
            except BaseException:
                # Nobody reads the rest: the connection is of no more use.
                response.close()
                raise
            finally:
                response.release_conn()
        if self._checksum and resolved.digest != self._checksum:
            raise IntegrityError(
                f"digest mismatch {resolved.digest}: {self._checksum}",
                code="digest-mismatch",
                hint=f"{without_passwords(self._url)} serves other content than the checksum names.",
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
        headers = dict(self._headers)
        if etag:
            headers["If-None-Match"] = etag
        return get(self._url, headers, self._authorization())

    def _uploaded(self, context: RunContext) -> _Resolved:
        """The stream that the client lends by the name of this address."""
        upload = self._context.session.uploads.get(urlsplit(self._url).path.lstrip("/"))
        if upload is None:
            raise NotFoundError(f"no upload {self._url} is offered by the client", code="upload-not-offered")
        return self._download(context, upload.chunks(context.cancel.check), {})

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

    def _download(self, context: RunContext, body: Iterator[bytes], headers: Mapping[str, str]) -> _Resolved:
        filename = self._filename(headers.get("Content-Disposition"))
        hasher = hashlib.sha256()
        size = 0
        length = headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else 0
        self._check_size(total)
        with self._context.store.temporary_dir() as directory:
            path = directory / "body"
            with open(path, "wb") as file, context.reporter.status(f"fetching {filename}", total) as status:
                for data in body:
                    context.cancel.check()
                    size += len(data)
                    self._check_size(size)
                    hasher.update(data)
                    file.write(data)
                    status.advance(len(data))
            modified = headers.get("Last-Modified", "")
            layer = self._layer(path, filename, size, modified)
        return _Resolved("sha256:" + hasher.hexdigest(), filename, _canonical_time(modified), layer)

    def _check_size(self, size: int) -> None:
        limit = self._context.limits.download
        if size > limit:
            raise IntegrityError(
                f"{without_passwords(self._url)} has more than {format_bytes(limit)}",
                code="download-too-large",
                hint="max-download in the settings file raises the limit",
            )

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


def _basic(url: str) -> str:
    """The credential that the address itself holds, as a header; "" when it holds none."""
    parts = urlsplit(url)
    if parts.username is None:
        return ""
    word = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(word.encode()).decode("ascii")


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
