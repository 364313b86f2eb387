"""Signatures of commits and tags: what they say of themselves, and whether a key made them.

Verification is the trade of GnuPG and OpenSSH, whose programs are asked; without them a policy that needs them fails.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakehouse.errors import EnvironmentFault

_PGP = "-----BEGIN PGP SIGNATURE-----"
_SSH = "-----BEGIN SSH SIGNATURE-----"
_TIMEOUT_S = 60


def described(signature: str) -> dict[str, Any]:
    """`pgpSignature` with version and key id, or `sshSignature` with version and the key's fingerprint; nothing for
    what cannot be read."""
    data = _unarmored(signature)
    try:
        if signature.startswith(_SSH):
            return {"sshSignature": _ssh(data)}
        if signature.startswith(_PGP):
            return {"pgpSignature": _pgp(data)}
    except (ValueError, IndexError, struct.error):
        pass
    return {}


def is_signed_by(signed: bytes, signature: str, key: bytes) -> bool:
    """Whether one of the keys in `key` (armoured PGP keys, or SSH public keys, one a line) made `signature` over
    `signed`. Raises `EnvironmentFault` (code `signature-program-missing`) when the program for it is not installed."""
    if signature.startswith(_SSH):
        return _ssh_signed(signed, signature, key)
    if signature.startswith(_PGP):
        return _pgp_signed(signed, signature, key)
    return False


def _unarmored(text: str) -> bytes:
    """What an armoured text holds; headers and the checksum line left out."""
    lines = text.strip().split("\n")[1:-1]
    body = [line.strip() for line in lines if line.strip() and ": " not in line and not line.startswith("=")]
    try:
        return base64.b64decode("".join(body), validate=True)
    except ValueError:
        return b""


def _ssh(data: bytes) -> dict[str, Any]:
    if data[:6] != b"SSHSIG":
        raise ValueError
    version, length = struct.unpack(">II", data[6:14])
    key = data[14 : 14 + length]
    fingerprint = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
    return {"version": version, "pubKey": f"SHA256:{fingerprint}"}


def _pgp(data: bytes) -> dict[str, Any]:
    """Version and issuer of the first signature packet (RFC 4880, RFC 9580)."""
    body = _packet(data)
    version = body[0]
    if version == 3:
        return {"version": 3, "keyID": body[7:15].hex()}
    if version not in (4, 5, 6):
        raise ValueError
    wide = ">I" if version == 6 else ">H"
    at, issuer = 4, ""
    for _ in range(2):
        (length,) = struct.unpack_from(wide, body, at)
        at += struct.calcsize(wide)
        issuer = issuer or _issuer(body[at : at + length])
        at += length
    return {"version": version, "keyID": issuer} if issuer else {"version": version}


def _packet(data: bytes) -> bytes:
    tag = data[0]
    if not tag & 0x80:
        raise ValueError
    if tag & 0x40:
        if tag & 0x3F != 2:
            raise ValueError
        length, at = _new_length(data, 1)
    else:
        if tag >> 2 & 0x0F != 2:
            raise ValueError
        size = 1 << (tag & 3)
        length, at = int.from_bytes(data[1 : 1 + size], "big"), 1 + size
    return data[at : at + length]


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 192:
        return first, at + 1
    if first < 224:
        return ((first - 192) << 8) + data[at + 1] + 192, at + 2
    return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5


def _issuer(subpackets: bytes) -> str:
    at = 0
    while at < len(subpackets):
        length, at = _new_length(subpackets, at)
        if subpackets[at] & 0x7F == 16:
            return subpackets[at + 1 : at + 9].hex()
        at += length
    return ""


# -- programs -----------------------------------------------------------------------------------------------------


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise EnvironmentFault(
            f"the policy verifies a signature, and {name} is not installed",
            code="signature-program-missing",
            hint=f"install {package}",
        )
    return found


def _run(argv: list[str], data: bytes, environ: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(argv, input=data, capture_output=True, env=dict(environ), timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _environ(home: str) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "GNUPGHOME": home, "LC_ALL": "C"}


def _ssh_signed(signed: bytes, signature: str, key: bytes) -> bool:
    program = _program("ssh-keygen", "openssh-client")
    with tempfile.TemporaryDirectory(prefix="bakehouse-") as home:
        keys = [
            line for line in key.decode("utf-8", "replace").splitlines() if line.strip() and line[0] != "#"
        ]
        allowed, written = Path(home, "allowed"), Path(home, "signature")
        allowed.write_text("".join(f"git {_bare_key(line)}\n" for line in keys))
        written.write_text(signature + "\n")
        argv = [program, "-Y", "verify", "-f", str(allowed), "-I", "git", "-n", "git", "-s", str(written)]
        return _run(argv, signed, _environ(home))


def _bare_key(line: str) -> str:
    """Kind and key of a line, without options, names or comments."""
    words = line.split()
    for at, word in enumerate(words[:-1]):
        if word.startswith(("ssh-", "ecdsa-", "sk-")):
            return f"{word} {words[at + 1]}"
    return line


def _pgp_signed(signed: bytes, signature: str, key: bytes) -> bool:
    program = _program("gpg", "gnupg")
    with tempfile.TemporaryDirectory(prefix="bakehouse-") as home:
        os.chmod(home, 0o700)
        environ = _environ(home)
        base = [program, "--batch", "--no-tty", "--quiet", "--no-autostart", "--trust-model", "always"]
        if not _run([*base, "--import"], key, environ):
            return False
        written = Path(home, "signature.asc")
        written.write_text(signature + "\n")
        return _run([*base, "--verify", str(written), "-"], signed, environ)
