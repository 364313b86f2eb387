"""Registry authentication: challenges, tokens, scopes. No sockets: the transport lends a function that fetches.

Implements the Bearer token flow of Docker's registry (GET with basic credentials, POST with an identity token) and
plain Basic authentication. Tokens live for one client.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bakehouse.errors import DeniedError, IntegrityError
from bakehouse.lazy import regex
from bakehouse.registry.config import is_loopback
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from bakehouse.session import BasicCredential, CredentialSource

#: What a token is worth when the server does not say (distribution's own default), in seconds.
_DEFAULT_LIFETIME_S = 60
_MAX_TOKEN_BYTES = 1024 * 1024
_PARAMETER = regex(r'\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|\Z)')
_CLIENT_ID = "bakehouse"


@dataclass(frozen=True, slots=True)
class Challenge:
    """One parsed `WWW-Authenticate` header: `scheme` lower case, parameter names lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenge(header: str) -> Challenge | None:
    """The challenge in one `WWW-Authenticate` value; None when it cannot be read."""
    scheme, _, rest = header.strip().partition(" ")
    parameters: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if match is None:
            break
        value = match[2] if match[2] is not None else match[3]
        parameters[match[1].lower()] = re.sub(r"\\(.)", r"\1", value)
        position = match.end()
    return Challenge(scheme.lower(), parameters) if scheme else None


def pick_challenge(headers: list[str]) -> Challenge | None:
    """The strongest challenge we can answer: Bearer before Basic."""
    challenges = [challenge for challenge in map(parse_challenge, headers) if challenge is not None]
    for scheme in ("bearer", "basic"):
        for challenge in challenges:
            if challenge.scheme == scheme:
                return challenge
    return None


class Fetch(Protocol):
    """Sends one request without registry authentication; returns (status, body of at most `limit` bytes)."""

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, limit: int
    ) -> tuple[int, bytes]: ...


@dataclass(slots=True)
class _Token:
    value: str
    expires: float


class Authorizer:
    """Answers the challenges of one registry host, whose credentials are filed under `credential_host`.

    Thread-safe: requests that need the same token wait for one fetch.
    """

    def __init__(
        self,
        credential_host: str,
        credentials: CredentialSource,
        fetch: Fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = credential_host
        self._credentials = credentials
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._tokens: dict[frozenset[str], _Token] = {}

    def header(self, scopes: frozenset[str]) -> str | None:
        """The `Authorization` value for a request that needs `scopes`, by what the host asked for so far."""
        with self._lock:
            challenge = self._challenge
            if challenge is None:
                return None
            if challenge.scheme == "basic":
                return self._basic()
            token = self._tokens.get(scopes)
            if token is None or token.expires <= self._clock():
                token = self._fetch_token(challenge, scopes)
                self._tokens[scopes] = token
            return f"Bearer {token.value}"

    def challenged(self, headers: list[str], scopes: frozenset[str], sent: str | None) -> bool:
        """Takes in a 401 answer to a request that carried the header `sent`; returns whether trying once more can
        help. Raises `DeniedError` when the host's token service refuses."""
        challenge = pick_challenge(headers)
        if challenge is None:
            return False
        with self._lock:
            self._challenge = challenge
            if challenge.scheme == "basic":
                return sent is None and self._basic() is not None
            token = self._tokens.get(scopes)
            if token is not None and sent == f"Bearer {token.value}":
                del self._tokens[scopes]
            # A token that lacks the scope will lack it again; an expired or revoked one is worth replacing.
            return sent is None or challenge.parameters.get("error") != "insufficient_scope"

    def _credential(self) -> BasicCredential | None:
        return self._credentials.credential(self._host)

    def _basic(self) -> str | None:
        credential = self._credential()
        return None if credential is None or not credential.username else _basic_header(credential)

    def _fetch_token(self, challenge: Challenge, scopes: frozenset[str]) -> _Token:
        realm = challenge.parameters.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise DeniedError(f"registry {self._host} names no token service", code="registry-auth")
        wanted = sorted(scopes.union(challenge.parameters.get("scope", "").split()))
        service = challenge.parameters.get("service", "")
        credential = self._credential()
        if credential is not None and parts.scheme == "http" and not is_loopback(parts.netloc):
            raise DeniedError(
                f"registry {self._host} wants credentials sent to {parts.netloc} without encryption",
                code="registry-auth",
                hint="Log out of this registry, or let it serve tokens over https.",
            )
        if credential is not None and credential.identity_token:
            answer = self._post_token(realm, service, wanted, credential.identity_token)
        else:
            answer = self._get_token(parts.geturl(), service, wanted, credential)
        return self._parse_token(answer)

    def _get_token(
        self, realm: str, service: str, scopes: list[str], credential: BasicCredential | None
    ) -> bytes:
        parts = urlsplit(realm)
        query = parse_qsl(parts.query, keep_blank_values=True)
        if service:
            query.append(("service", service))
        query.extend(("scope", scope) for scope in scopes)
        headers: dict[str, str] = {}
        if credential is not None:
            headers["Authorization"] = _basic_header(credential)
            query.append(("account", credential.username))
        url = urlunsplit(parts._replace(query=urlencode(query)))
        return self._checked(self._fetch("GET", url, headers, None, _MAX_TOKEN_BYTES))

    def _post_token(self, realm: str, service: str, scopes: list[str], refresh_token: str) -> bytes:
        form = {"grant_type": "refresh_token", "service": service, "client_id": _CLIENT_ID}
        form["refresh_token"] = refresh_token
        if scopes:
            form["scope"] = " ".join(scopes)
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        body = urlencode(form).encode("ascii")
        return self._checked(self._fetch("POST", realm, headers, body, _MAX_TOKEN_BYTES))

    def _checked(self, answer: tuple[int, bytes]) -> bytes:
        status, body = answer
        if status >= 400:
            raise DeniedError(
                f"failed to authorize with registry {self._host}: its token service answered status {status}",
                code="registry-auth",
                hint=f"Check the credentials for {self._host} (docker login {self._host}).",
            )
        return body

    def _parse_token(self, body: bytes) -> _Token:
        try:
            answer = json.loads(body)
            value = answer.get("token") or answer.get("access_token")
            lifetime = answer.get("expires_in") or _DEFAULT_LIFETIME_S
            if isinstance(value, str) and value.isascii() and value.isprintable():
                return _Token(value, self._clock() + max(float(lifetime), 1.0) * 0.9)
        except (ValueError, TypeError, AttributeError, RecursionError):
            pass
        raise IntegrityError(f"the token service of {self._host} gave no usable token", code="registry-auth")


def _basic_header(credential: BasicCredential) -> str:
    pair = f"{credential.username}:{credential.password}".encode()
    return "Basic " + base64.b64encode(pair).decode("ascii")


__all__ = ["Authorizer", "Challenge", "parse_challenge", "pick_challenge"]
