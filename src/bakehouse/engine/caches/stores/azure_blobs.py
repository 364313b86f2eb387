"""Block blobs of Azure Storage over HTTP: what both `azblob` and GitHub's Actions cache keep their bytes in.

How a request proves itself (a key, a token, a signed URL) is handed in.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bakehouse.engine.caches.stores.service import MAX_ERROR_BYTES, Request, Service, refusal
from bakehouse.engine.caches.stores.transfer import Opener, part_size, read_whole, send_parts
from bakehouse.engine.caches.stores.xml_documents import xml_error
from bakehouse.errors import BakehouseError
from bakehouse.oci.digest import Digest
from bakehouse.registry.transport import Answer

#: The version of the service's protocol that we speak.
API_VERSION = "2021-12-02"
_BLOCKS_FROM_BYTES = 16 * 1024 * 1024
_MAX_BLOCKS = 50_000

#: From method, URL, headers and length of the body: the headers with those that prove who asks.
Prove: TypeAlias = Callable[[str, str, Mapping[str, str], int], dict[str, str]]


def unproven(method: str, url: str, headers: Mapping[str, str], length: int) -> dict[str, str]:
    """The proof of a signed URL: none but the URL itself."""
    return {**headers, "x-ms-version": API_VERSION}


class AzureBlobs:
    """Requests for blobs, each by its URL (whose query, if any, is a signature and kept). Thread-safe."""

    def __init__(self, title: str, service: Service, prove: Prove = unproven) -> None:
        self._title = title
        self._service = service
        self._prove = prove

    def send(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        if query:
            parts = urlsplit(url)
            pairs = [*parse_qsl(parts.query, keep_blank_values=True), *query.items()]
            url = urlunsplit(parts._replace(query=urlencode(pairs)))
        length = len(body or b"")
        return self._service.send(
            lambda: Request(method, url, self._prove(method, url, headers or {}, length), body)
        )

    def read(self, url: str, offset: int) -> Answer:
        """The blob from `offset` on; the status is to be looked at."""
        return self.send("GET", url, headers={"x-ms-range": f"bytes={offset}-"} if offset else {})

    def write(self, url: str, raw: bytes, *, only_new: bool = False) -> Answer:
        """Stores a blob in one request: last writer wins, or, `only_new`, one that is there is kept (409)."""
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}
        if only_new:
            headers["If-None-Match"] = "*"
        return self.send("PUT", url, headers=headers, body=raw)

    def write_blob(
        self, url: str, digest: Digest, size: int, read: Opener, *, only_new: bool = False
    ) -> Answer:
        """As `write`, a large one in blocks; it appears with the last request. Unused blocks vanish after a week."""
        if size < _BLOCKS_FROM_BYTES:
            return self.write(url, read_whole(digest, size, read), only_new=only_new)
        block = part_size(size, _MAX_BLOCKS)
        upload = secrets.token_hex(8)

        def send(offset: int, data: bytes) -> str:
            id = base64.b64encode(f"{upload}{offset // block:08}".encode()).decode()
            with self.send("PUT", url, query={"comp": "block", "blockid": id}, body=data) as answer:
                self.check(answer, f"write blob {digest}", 201)
            return id

        ids = send_parts(digest, size, read, block, send)
        blocks = "".join(f"<Latest>{id}</Latest>" for id in ids)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{blocks}</BlockList>'.encode()
        headers = {"Content-Type": "application/xml"}
        if only_new:
            headers["If-None-Match"] = "*"
        return self.send("PUT", url, query={"comp": "blocklist"}, headers=headers, body=body)

    def check(self, answer: Answer, doing: str, *expected: int) -> None:
        if answer.status not in expected:
            raise self.refused(answer, doing)

    def refused(self, answer: Answer, doing: str, *, hint: str = "") -> BakehouseError:
        """The service's no. Its message may quote what it signed over several lines: the first one is shown."""
        code, message = xml_error(answer.read(MAX_ERROR_BYTES))
        code = code or error_code(answer)
        first = message.partition("\n")[0]
        text = f"{code}: {first}" if code and first else code or first
        return refusal(self._title, answer.url, answer.status, text, doing, hint=hint)


def error_code(answer: Answer) -> str:
    """The code of a refusal, which answers without a body have too."""
    return answer.header("x-ms-error-code")
