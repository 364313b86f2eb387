"""Hashes, UUIDs and RSA decryption (hashicorp/go-cty-funcs `crypto`, `uuid`)."""

from __future__ import annotations

from bakehouse.go.text import quote
from bakehouse.hcl.function import Function, FunctionError, Parameter
from bakehouse.hcl.functions.build import text_function, text_parameter, whole
from bakehouse.hcl.limits import spend
from bakehouse.hcl.types import NUMBER, STRING, Type
from bakehouse.hcl.values import Value, string


def _digest(algorithm: str) -> Function:
    def hexadecimal(text: str) -> str:
        import hashlib

        data = text.encode("utf-8", "surrogateescape")
        return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()

    return text_function("str", hexadecimal)


#: A second's work; each step up doubles it, and the highest cost would take a day.
_AFFORDABLE_COST = 14
_STEPS_AT_LEAST_COST = 200


def _bcrypt(arguments: list[Value], result: Type) -> Value:
    from bakehouse.hcl.functions.bcrypt import MAX_COST, MAX_PASSWORD_BYTES, MIN_COST, hash_password

    cost = whole(arguments[1]) if len(arguments) > 1 else 10
    if len(arguments) > 2:
        raise FunctionError("bcrypt() takes no more than two arguments")
    password = arguments[0].raw.encode("utf-8", "surrogateescape")
    failure = "error occured generating password "
    if len(password) > MAX_PASSWORD_BYTES:
        raise FunctionError(f"{failure}bcrypt: password length exceeds {MAX_PASSWORD_BYTES} bytes")
    if cost > MAX_COST:
        raise FunctionError(
            f"{failure}crypto/bcrypt: cost {cost} is outside allowed inclusive range {MIN_COST}..{MAX_COST}"
        )
    if cost > _AFFORDABLE_COST:
        raise FunctionError(
            f"{failure}bcrypt: cost {cost} takes too long, at most {_AFFORDABLE_COST} is accepted"
        )
    spend(_STEPS_AT_LEAST_COST << max(cost - MIN_COST, 0))
    import os

    return string(hash_password(password, 10 if cost < MIN_COST else cost, os.urandom(16)))


def _rsadecrypt(ciphertext: str, privatekey: str) -> str:
    from bakehouse.hcl.functions.encoding import decode_base64
    from bakehouse.hcl.functions.rsa import RsaError, decrypt

    data = decode_base64(ciphertext)
    if data is None:
        raise FunctionError(f"failed to decode input {quote(ciphertext)}: cipher text must be base64-encoded")
    try:
        return decrypt(data, privatekey).decode("utf-8", "surrogateescape")
    except RsaError as error:
        raise FunctionError(str(error)) from None


def _uuidv4(arguments: list[Value], result: Type) -> Value:
    from uuid import uuid4

    return string(str(uuid4()))


_NAMESPACES = {
    "dns": "6ba7b8109dad11d180b400c04fd430c8",
    "url": "6ba7b8119dad11d180b400c04fd430c8",
    "oid": "6ba7b8129dad11d180b400c04fd430c8",
    "x500": "6ba7b8149dad11d180b400c04fd430c8",
}


def _namespace(text: str) -> bytes:
    """The bytes of a namespace: a known name, or a UUID plain, dashed, in braces or with `urn:uuid:`."""
    if text in _NAMESPACES:
        return bytes.fromhex(_NAMESPACES[text])
    body, fault = text, "invalid UUID format"
    if len(text) == 45:
        if text[:9].lower() != "urn:uuid:":
            fault = f"invalid urn prefix: {quote(text[:9])}"
        body = text[9:]
    elif len(text) == 38:
        body = text[1:]
    elif len(text) not in (36, 32):
        fault = f"invalid UUID length: {len(text.encode('utf-8', 'surrogateescape'))}"
    if fault == "invalid UUID format" and len(text) != 32:
        dashed = all(body[index] == "-" for index in (8, 13, 18, 23))
        body = body[:36].replace("-", "") if dashed else ""
    try:
        if fault == "invalid UUID format" and len(body) == 32 and body.isalnum():
            return bytes.fromhex(body)
    except ValueError:
        pass
    raise FunctionError(f"uuidv5() doesn't support namespace {text} ({fault})")


def _uuidv5(namespace: str, name: str) -> str:
    from hashlib import sha1
    from uuid import UUID

    data = _namespace(namespace) + name.encode("utf-8", "surrogateescape")
    return str(UUID(bytes=sha1(data, usedforsecurity=False).digest()[:16], version=5))


FUNCTIONS = {
    "md5": _digest("md5"),
    "sha1": _digest("sha1"),
    "sha256": _digest("sha256"),
    "sha512": _digest("sha512"),
    "bcrypt": Function([text_parameter()], STRING, _bcrypt, variadic=Parameter("cost", NUMBER)),
    "rsadecrypt": text_function("ciphertext privatekey", _rsadecrypt),
    "uuidv4": Function([], STRING, _uuidv4),
    "uuidv5": text_function("namespace name", _uuidv5),
}
