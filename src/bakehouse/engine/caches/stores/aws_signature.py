"""AWS Signature Version 4 for S3: the `Authorization` header of one request. Text in, text out."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlsplit

from bakehouse.values import dataclass, field

_ALGORITHM = "AWS4-HMAC-SHA256"
#: Characters that AWS leaves as they are, beside letters and digits.
_UNRESERVED = "-._~"


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """An access key. `expires_s` (seconds since 1970) is when a temporary one ends; 0 means never."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    expires_s: float = 0.0


def encoded_path(path: str) -> str:
    """A path as S3 signs it: everything but unreserved characters and slashes in escapes, once."""
    return quote(path, safe=_UNRESERVED + "/")


def encoded_query(parameters: Mapping[str, str]) -> str:
    """A query as it is signed: sorted, escaped, with `=` after every name."""
    return "&".join(f"{_escaped(name)}={_escaped(value)}" for name, value in sorted(parameters.items()))


def _escaped(text: str) -> str:
    return quote(text, safe=_UNRESERVED)


def signed_headers(
    keys: AwsKeys,
    region: str,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now_s: float | None = None,
    service: str = "s3",
) -> dict[str, str]:
    """`headers` with those that sign them: date, content digest, token and authorization.

    `url` must be escaped already (`encoded_path`, `encoded_query`); all of `headers` are signed.
    """
    moment = time.gmtime(time.time() if now_s is None else now_s)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", moment)
    parts = urlsplit(url)
    content = hashlib.sha256(body).hexdigest()
    sent = {**headers, "X-Amz-Date": stamp, "X-Amz-Content-Sha256": content}
    if keys.session_token:
        sent["X-Amz-Security-Token"] = keys.session_token
    signed = {name.lower(): " ".join(value.split()) for name, value in sent.items()}
    signed["host"] = parts.netloc.rpartition("@")[2]
    names = ";".join(sorted(signed))
    query = encoded_query(dict(parse_qsl(parts.query, keep_blank_values=True)))
    canonical = "\n".join(
        [
            method,
            parts.path or "/",
            query,
            "".join(f"{name}:{signed[name]}\n" for name in sorted(signed)),
            names,
            content,
        ]
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{keys.secret_access_key}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    sent["Authorization"] = (
        f"{_ALGORITHM} Credential={keys.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return sent
