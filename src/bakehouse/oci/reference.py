"""Image references, normalised as Docker does (`x` means `docker.io/library/x:latest`).

Grammar and messages follow the distribution project's `reference` package, which buildx, BuildKit and Docker share.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bakehouse.errors import DefinitionError
from bakehouse.lazy import regex
from bakehouse.oci.digest import Digest
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from typing import Self

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
_LEGACY_REGISTRY = "index.docker.io"
_OFFICIAL = "library/"
_MAX_REPOSITORY = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = regex(rf"({_HOST})/({_PATH})(?::({_TAG}))?(?:@({_DIGEST}))?\Z")
_BARE = regex(rf"((?:{_HOST}/)?{_PATH})(?::({_TAG}))?(?:@({_DIGEST}))?\Z")
_IDENTIFIER = regex(r"[a-f0-9]{64}\Z")


def _invalid(message: str) -> DefinitionError:
    return DefinitionError(message, code="invalid-reference")


def split_bare(text: str) -> tuple[str, str | None, Digest | None]:
    """Name, tag and digest of a reference as it stands, nothing filled in: `store:tag@sha256:…`.

    Raises `DefinitionError` (code `invalid-reference`) with Docker's wording.
    """
    match = _BARE.match(text)
    if match is None:
        if not text:
            raise _invalid("repository name must have at least one component")
        if _BARE.match(text.lower()):
            raise _invalid("repository name must be lowercase")
        raise _invalid("invalid reference format")
    try:
        digest = Digest(match[3]) if match[3] else None
    except DefinitionError as error:
        raise _invalid(error.message) from error
    return match[1], match[2], digest


def _split_registry(text: str) -> tuple[str, str]:
    """`text` cut into registry host and the rest, with Docker Hub's defaults filled in."""
    first, slash, rest = text.partition("/")
    if not slash:
        return DEFAULT_REGISTRY, _OFFICIAL + text
    if first == "localhost" or "." in first or ":" in first or first.lower() != first:
        registry = DEFAULT_REGISTRY if first == _LEGACY_REGISTRY else first
        remainder = rest
    else:
        registry, remainder = DEFAULT_REGISTRY, text
    if registry == DEFAULT_REGISTRY and "/" not in remainder:
        remainder = _OFFICIAL + remainder
    return registry, remainder


@dataclass(frozen=True, slots=True)
class Reference:
    """A named image: `registry/repository` with a tag, a digest, or both. Made by `parse`."""

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The reference `text` means; the tag defaults to `latest` when neither tag nor digest is given.

        Raises `DefinitionError` (code `invalid-reference`) with Docker's wording.
        """
        parsed = cls.parse_exact(text)
        if parsed.tag is None and parsed.digest is None:
            return cls(parsed.registry, parsed.repository, DEFAULT_TAG)
        return parsed

    @classmethod
    def parse_exact(cls, text: str) -> Self:
        """As `parse`, but without adding a default tag."""
        if _IDENTIFIER.match(text):
            raise _invalid(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
        registry, remainder = _split_registry(text)
        name = remainder.partition(":")[0]
        if name.lower() != name:
            raise _invalid(f"invalid reference format: repository name ({name}) must be lowercase")
        whole = f"{registry}/{remainder}"
        match = _REFERENCE.match(whole)
        if match is None:
            if _REFERENCE.match(whole.lower()):
                raise _invalid("repository name must be lowercase")
            raise _invalid("invalid reference format")
        if len(match[2]) > _MAX_REPOSITORY:
            raise _invalid(f"repository name must not be more than {_MAX_REPOSITORY} characters")
        try:
            digest = Digest(match[4]) if match[4] else None
        except DefinitionError as error:
            raise _invalid(error.message) from error
        return cls(match[1], match[2], match[3], digest)

    def __str__(self) -> str:
        """The full form: `docker.io/library/x:latest`."""
        return self.name + self._suffix()

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def familiar(self) -> str:
        """The short form that Docker shows: `x:latest`, `user/x:1`, `ghcr.io/a/b`."""
        return self.familiar_name + self._suffix()

    @property
    def familiar_name(self) -> str:
        """The short form of the name, without tag and digest."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        rest = self.repository.removeprefix(_OFFICIAL)
        return self.repository if "/" in rest else rest

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def api_host(self) -> str:
        """The host that serves the registry API (`registry-1.docker.io` for Docker Hub)."""
        return "registry-1.docker.io" if self.registry == DEFAULT_REGISTRY else self.registry

    @property
    def target(self) -> str:
        """What stands after `/manifests/` in a registry request: the digest, else the tag."""
        if self.digest:
            return str(self.digest)
        return self.tag or DEFAULT_TAG

    def with_digest(self, digest: Digest) -> Reference:
        """The same image pinned to `digest`; the tag stays."""
        return Reference(self.registry, self.repository, self.tag, digest)

    def with_tag(self, tag: str) -> Reference:
        """The repository under `tag`, without a digest. Raises `DefinitionError` for a malformed tag."""
        if not re.fullmatch(_TAG, tag):
            raise _invalid("invalid tag format")
        return Reference(self.registry, self.repository, tag)
