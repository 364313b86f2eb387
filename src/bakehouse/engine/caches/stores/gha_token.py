"""What the token of the Actions cache says about itself: which scopes it may read and write, and how long."""

from __future__ import annotations

import base64
import binascii
import json
import time
from typing import Any

from bakehouse.engine.caches.stores.attributes import wrong
from bakehouse.errors import DeniedError
from bakehouse.values import dataclass

_READ, _WRITE = 1, 2
_HINT = "Pass on the job's ACTIONS_RUNTIME_TOKEN; GitHub makes a new one for every job."


@dataclass(frozen=True, slots=True)
class Scope:
    """A ref whose caches the token opens, such as `refs/heads/main`."""

    name: str
    writable: bool


def token_scopes(token: str) -> tuple[Scope, ...]:
    """The scopes of `token`, in its order. Its signature is the service's business.

    Raises `DefinitionError` (code `cache-attribute`) for what is no such token, `DeniedError` (code `cache-denied`)
    when its time is over or has not come. Nothing of the token is shown.
    """
    claims = _claims(token)
    controls = claims.get("ac")
    if not isinstance(controls, str):
        raise wrong("invalid token without access controls", _HINT)
    now = time.time()
    expires, begins = _moment(claims, "exp", "expiration time"), _moment(claims, "nbf", "issue time")
    if now > expires:
        raise DeniedError(f"cache token expired at {_shown(expires)}", code="cache-denied", hint=_HINT)
    if now < begins:
        raise DeniedError(
            f"cache token is not valid before {_shown(begins)}", code="cache-denied", hint=_HINT
        )
    try:
        values = json.loads(controls)
        return tuple(_scope(value) for value in values)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise wrong("failed to parse token access controls", _HINT) from None


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    try:
        if len(parts) != 3:
            raise ValueError
        value = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise wrong("the token of the github actions cache is no JSON web token", _HINT)
    return value


def _moment(claims: dict[str, Any], name: str, what: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(f"invalid token without {what}", _HINT)
    return float(value)


def _shown(epoch_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_s))


def _scope(value: dict[str, Any]) -> Scope:
    members = {name.lower(): member for name, member in value.items()}
    return Scope(str(members["scope"]), bool(int(members["permission"]) & _WRITE))
