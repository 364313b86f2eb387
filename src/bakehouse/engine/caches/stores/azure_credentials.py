"""How requests to Azure Storage prove themselves: an account's key, or a token of the chain of Azure's own SDKs.

The chain, in its order: a service principal of the environment, a workload identity, the managed identity of the
machine, the `az` command line. Certificates are left to `az`, since signing with them needs a cryptography library.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from bakehouse.engine.caches.stores.attributes import wrong
from bakehouse.engine.caches.stores.azure_blobs import API_VERSION, Prove
from bakehouse.engine.caches.stores.service import MAX_ERROR_BYTES, Patience, Request, Service, refusal
from bakehouse.errors import DeniedError, EnvironmentFault, TransientError

_RESOURCE = "https://storage.azure.com"
_SCOPE = f"{_RESOURCE}/.default"
_AUTHORITY = "https://login.microsoftonline.com/"
_METADATA_URL = "http://169.254.169.254/metadata/identity/oauth2/token"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_EARLY_S = 300.0
_PROGRAM_TIMEOUT_S = 30.0
#: The headers that a shared key signs by their place, after the method.
_PLACED = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
_HINT = (
    "Give secret_access_key, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or log in with "
    "`az login`."
)


def shared_key(account: str, key: str, clock: Callable[[], float] = time.time) -> Prove:
    """Signs requests with an account's key (the scheme SharedKey). Raises `DefinitionError` when it is no key."""
    try:
        secret = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise wrong(
            "secret_access_key of the azblob cache is not base64", "Copy the account's key as it is shown."
        ) from None

    def prove(method: str, url: str, headers: Mapping[str, str], length: int) -> dict[str, str]:
        from email.utils import formatdate

        sent = {**headers, "x-ms-date": formatdate(clock(), usegmt=True), "x-ms-version": API_VERSION}
        text = string_to_sign(account, method, url, sent, length)
        signature = base64.b64encode(hmac.digest(secret, text.encode(), "sha256")).decode()
        sent["Authorization"] = f"SharedKey {account}:{signature}"
        return sent

    return prove


def string_to_sign(account: str, method: str, url: str, headers: Mapping[str, str], length: int) -> str:
    """What a shared key signs of a request."""
    lowered = {name.lower(): value.strip() for name, value in headers.items()}
    lowered["content-length"] = str(length) if length else ""
    special = sorted(name for name in lowered if name.startswith("x-ms-"))
    parts = urlsplit(url)
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        query.setdefault(name.lower(), []).append(value)
    return "\n".join(
        [
            method,
            *(lowered.get(name, "") for name in _PLACED),
            *(f"{name}:{lowered[name]}" for name in special),
            f"/{account}{parts.path or '/'}",
            *(f"{name}:{','.join(sorted(values))}" for name, values in sorted(query.items())),
        ]
    )


def bearer(environ: Mapping[str, str], wait: Callable[[float], None]) -> Prove:
    """Proves requests with a token, asked for at first use and again before it ends."""
    tokens = _Tokens(environ, wait)

    def prove(method: str, url: str, headers: Mapping[str, str], length: int) -> dict[str, str]:
        if urlsplit(url).scheme != "https":
            raise wrong(
                "the azblob cache sends its token over https alone",
                "Give secret_access_key, or an https URL.",
            )
        from email.utils import formatdate

        return {
            **headers,
            "x-ms-date": formatdate(usegmt=True),
            "x-ms-version": API_VERSION,
            "Authorization": f"Bearer {tokens.token()}",
        }

    return prove


def _missing(message: str) -> DeniedError:
    return DeniedError(
        f"no Azure credentials for the azblob cache: {message}", code="cache-credentials", hint=_HINT
    )


class _Tokens:
    def __init__(self, environ: Mapping[str, str], wait: Callable[[float], None]) -> None:
        self._environ = environ
        self._wait = wait
        self._lock = threading.Lock()
        self._token = ""
        self._expires_s = 0.0

    def token(self) -> str:
        with self._lock:
            if not self._token or self._expires_s - _EARLY_S < time.time():
                self._token, self._expires_s = self._find()
            return self._token

    def _find(self) -> tuple[str, float]:
        environ = self._environ
        tenant, client = environ.get("AZURE_TENANT_ID", ""), environ.get("AZURE_CLIENT_ID", "")
        if tenant and client and environ.get("AZURE_CLIENT_SECRET"):
            return self._principal(tenant, client, {"client_secret": environ["AZURE_CLIENT_SECRET"]})
        token_file = environ.get("AZURE_FEDERATED_TOKEN_FILE", "")
        if tenant and client and token_file:
            assertion = {"client_assertion": _read(token_file), "client_assertion_type": _ASSERTION}
            return self._principal(tenant, client, assertion)
        managed = self._managed(client)
        return managed or self._from_az()

    def _principal(self, tenant: str, client: str, proof: Mapping[str, str]) -> tuple[str, float]:
        authority = self._environ.get("AZURE_AUTHORITY_HOST") or _AUTHORITY
        url = f"{authority.rstrip('/')}/{tenant}/oauth2/v2.0/token"
        if urlsplit(url).scheme != "https":
            raise _missing("AZURE_AUTHORITY_HOST is no https URL")
        form = {"grant_type": "client_credentials", "client_id": client, "scope": _SCOPE, **proof}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        request = Request("POST", url, headers, urlencode(form).encode())
        service = Service("Microsoft Entra", self._environ, Patience(attempts=4), wait=self._wait)
        return self._asked(service, request, "get a token for the client")

    def _managed(self, client: str) -> tuple[str, float] | None:
        """The identity that the machine has; None when there is nobody who would know."""
        query = {"resource": _RESOURCE}
        if client:
            query["client_id"] = client
        endpoint, secret = self._environ.get("IDENTITY_ENDPOINT"), self._environ.get("IDENTITY_HEADER")
        if endpoint and secret:
            query["api-version"] = "2019-08-01"
            headers = {"X-IDENTITY-HEADER": secret}
        else:
            endpoint, headers = _METADATA_URL, {"Metadata": "true"}
            query["api-version"] = "2018-02-01"
        # Near or not there at all: no proxy is between, and nothing is waited for.
        service = Service("Azure's metadata", {}, Patience(attempts=2), connect_timeout_s=1, wait=self._wait)
        request = Request("GET", f"{endpoint}?{urlencode(query)}", headers)
        try:
            return self._asked(service, request, "get a token of the machine")
        except (TransientError, DeniedError, EnvironmentFault):
            return None

    def _from_az(self) -> tuple[str, float]:
        import subprocess

        command = ["az", "account", "get-access-token", "--output", "json", "--resource", _RESOURCE]
        try:
            done = subprocess.run(
                command,
                env=dict(self._environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PROGRAM_TIMEOUT_S,
                check=True,
            )
        except FileNotFoundError:
            raise _missing("neither the environment nor the machine has any, and there is no `az`") from None
        except (OSError, subprocess.SubprocessError):
            raise _missing("`az account get-access-token` failed") from None
        return _token_of(done.stdout, "accessToken", "expires_on")

    def _asked(self, service: Service, request: Request, doing: str) -> tuple[str, float]:
        try:
            with service.send(lambda: request) as answer:
                raw = answer.read(MAX_ERROR_BYTES)
                if answer.status != 200:
                    raise refusal("Azure", request.url, answer.status, _error_code(raw), doing)
        finally:
            service.close()
        return _token_of(raw, "access_token", "expires_on")


def _token_of(raw: bytes, name: str, expires: str) -> tuple[str, float]:
    """Token and end of a JSON document; its text is never shown."""
    try:
        value: Any = json.loads(raw)
        token = value[name]
        end = value.get(expires)
        expires_s = float(end) if end else time.time() + float(value.get("expires_in") or 600)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        token = None
    if not isinstance(token, str) or not token:
        raise _missing("an answer holds no token")
    return token, expires_s


def _error_code(raw: bytes) -> str:
    try:
        value: Any = json.loads(raw)
        return str(value.get("error", ""))
    except (ValueError, AttributeError, RecursionError):
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise _missing(f"cannot read {path}: {reason}") from None
