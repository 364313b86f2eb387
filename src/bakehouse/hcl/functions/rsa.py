"""RSA decryption with PKCS #1 v1.5 padding and a PKCS #1 key in PEM form (RFC 8017), for `rsadecrypt`.

Not constant-time: the one who runs the build holds key and ciphertext both.
"""

from __future__ import annotations

import re

from bakehouse.lazy import regex

_PEM = regex(r"-----BEGIN ([^-\n]*)-----[ \t]*\r?\n(.*?)\r?\n?-----END \1-----", re.DOTALL)


class RsaError(ValueError):
    """The key cannot be read, or does not fit the ciphertext."""


def decrypt(ciphertext: bytes, pem: str) -> bytes:
    """The plain bytes. Raises RsaError."""
    modulus, exponent = _private_key(pem)
    size = (modulus.bit_length() + 7) // 8
    number = int.from_bytes(ciphertext, "big")
    if len(ciphertext) > size or number >= modulus or size < 11:
        raise RsaError("crypto/rsa: decryption error")
    padded = pow(number, exponent, modulus).to_bytes(size, "big")
    end = padded.find(b"\0", 2)
    if padded[:2] != b"\0\2" or end < 10:
        raise RsaError("crypto/rsa: decryption error")
    return padded[end + 1 :]


def _private_key(pem: str) -> tuple[int, int]:
    """Modulus and private exponent."""
    from bakehouse.hcl.functions.encoding import decode_base64

    found = _PEM.search(pem)
    if found is None:
        raise RsaError("failed to parse key: no key found")
    body = found.group(2)
    if "Proc-Type: 4,ENCRYPTED" in body:
        raise RsaError(
            "failed to parse key: password protected keys are not supported. Please decrypt the key prior to use"
        )
    data = decode_base64(re.sub(r"\s", "", body))
    if data is None:
        raise RsaError("failed to parse key: no key found")
    try:
        content, _ = _element(data, 0, 0x30)
        fields: list[int] = []
        at = 0
        while at < len(content) and len(fields) < 4:
            field, at = _element(content, at, 0x02)
            fields.append(int.from_bytes(field, "big", signed=True))
        _, modulus, _, exponent = fields
    except (IndexError, ValueError):
        raise RsaError("x509: failed to parse private key, which must be in PKCS #1 form") from None
    if modulus <= 0 or exponent <= 0:
        raise RsaError("x509: private key contains zero or negative value")
    return modulus, exponent


def _element(data: bytes, at: int, tag: int) -> tuple[bytes, int]:
    """The content of the DER element at `at` and the place behind it."""
    if data[at] != tag:
        raise ValueError("unexpected tag")
    length, at = data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, at = int.from_bytes(data[at : at + count], "big"), at + count
    if at + length > len(data):
        raise ValueError("truncated")
    return data[at : at + length], at + length
