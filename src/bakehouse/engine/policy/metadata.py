"""What is looked up about a source because a policy asks for it."""

from __future__ import annotations

from typing import Any, Protocol

from bakehouse.llb.ops import SourceOp
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass

_SIGNATURES = ("-----BEGIN PGP SIGNATURE-----", "-----BEGIN SSH SIGNATURE-----")


class GitObject:
    """A commit or tag object: its headers, its message, and its signature with what that signs."""

    def __init__(self, raw: bytes) -> None:
        self.is_tag = raw.startswith(b"object ")
        self._headers: dict[str, list[str]] = {}
        head, _, body = raw.decode("utf-8", "surrogateescape").partition("\n\n")
        signature, signed = self._read_head(head)
        if self.is_tag:
            at = min(
                (found for mark in _SIGNATURES if (found := ("\n" + body).find("\n" + mark)) >= 0), default=-1
            )
            if at >= 0:
                body, signature = body[:at], body[at:].split("\n")
        self.message = body.removesuffix("\n")
        self.signature = "\n".join(signature)
        self.signed = ("\n".join(signed) + "\n\n" + body).encode("utf-8", "surrogateescape")

    def _read_head(self, head: str) -> tuple[list[str], list[str]]:
        signature: list[str] = []
        signed: list[str] = []
        inside = False
        for line in head.split("\n"):
            if not self.is_tag and line.startswith(("gpgsig ", "gpgsig-sha256 ")):
                inside = True
                signature.append(line.partition(" ")[2])
            elif inside and line.startswith(" "):
                signature.append(line[1:])
            else:
                inside = False
                signed.append(line)
                name, found, value = line.partition(" ")
                if found:
                    self._headers.setdefault(name, []).append(value)
        return signature, signed

    def header(self, name: str) -> str:
        """The first header of that name; empty when there is none."""
        return self._headers.get(name, [""])[0]

    def headers(self, name: str) -> list[str]:
        return self._headers.get(name, [])

    def signatures(self) -> dict[str, Any]:
        """The member that tells of the signature: `pgpSignature` or `sshSignature`; none when it is no signature."""
        from bakehouse.engine.policy.signatures import described

        return described(self.signature)


@dataclass(frozen=True, slots=True)
class GitMetadata:
    """What a git reference stands for: the full name, the object (a tag's own), the commit; and both objects, once they
    are fetched."""

    ref: str
    checksum: str
    commit_checksum: str
    commit: GitObject | None = None
    tag: GitObject | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of one source. `image` is the digest of the manifest or index and the config."""

    image: tuple[str, bytes] | None = None
    has_attestations: bool | None = None
    git: GitMetadata | None = None
    http_checksum: str = ""


class MetadataSource(Protocol):
    """Looks things up, with what the target lends its build. Raises what a build raises."""

    def image(self, op: SourceOp, platform: Platform) -> tuple[str, bytes]:
        """The digest that the name stands for, and the config of the image for `platform`."""
        ...

    def has_attestations(self, op: SourceOp, platform: Platform) -> bool:
        """Whether an index names attestations of the image for `platform`."""
        ...

    def git(self, op: SourceOp, *, objects: bool) -> GitMetadata:
        """What the reference stands for; with `objects`, the commit and the tag are fetched."""
        ...

    def http(self, op: SourceOp) -> str:
        """The digest of the file, which is downloaded."""
        ...
