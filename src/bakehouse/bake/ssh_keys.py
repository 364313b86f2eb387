"""Recognising SSH private keys well enough to refuse what is none, before a build starts. No cryptography: a key is
used by the agent that the engine starts, and only that can tell whether it is a good one."""

from __future__ import annotations

_LEGACY = ("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY")
_OPENSSH = "OPENSSH PRIVATE KEY"
_OPENSSH_MAGIC = b"openssh-key-v1\x00"
_PROTECTED = "ssh: this private key is passphrase protected"


def check_private_key(data: bytes) -> str | None:
    """What is wrong with a PEM private key, in Go's words, or None."""
    block = _pem_block(data)
    if block is None:
        return "ssh: no key found"
    kind, headers, body = block
    if "ENCRYPTED" in headers:
        return _PROTECTED
    if kind == _OPENSSH:
        return _check_openssh(body)
    return None if kind in _LEGACY else f'ssh: unsupported key type "{kind}"'


def _check_openssh(body: bytes) -> str | None:
    if not body.startswith(_OPENSSH_MAGIC):
        return "ssh: invalid openssh private key format"
    rest = body[len(_OPENSSH_MAGIC) :]
    size = int.from_bytes(rest[:4], "big")
    cipher = rest[4 : 4 + size]
    return None if cipher == b"none" else _PROTECTED


def _pem_block(data: bytes) -> tuple[str, str, bytes] | None:
    """Type, header lines and decoded body of the first PEM block."""
    import binascii

    text = data.decode("latin-1")
    start = text.find("-----BEGIN ")
    if start < 0:
        return None
    kind, dashes, rest = text[start + len("-----BEGIN ") :].partition("-----")
    body, end, _ = rest.partition(f"-----END {kind}-----")
    if not dashes or not end:
        return None
    lines = body.strip().splitlines()
    headers = [line for line in lines if ":" in line]
    payload = "".join(line.strip() for line in lines if ":" not in line)
    try:
        return kind, "\n".join(headers), binascii.a2b_base64(payload, strict_mode=True)
    except ValueError:
        return None
