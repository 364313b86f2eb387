"""Content digests, checked at birth (OCI image-spec, descriptor.md "Digests")."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bakehouse.errors import DefinitionError
from bakehouse.lazy import regex

if TYPE_CHECKING:
    from typing import Self

_FORM = regex(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+\Z")
_HEX = regex(r"[a-f0-9]+\Z")
_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


class Digest(str):
    """`ALGORITHM:HEX` with algorithm sha256, sha384 or sha512; a value that exists is valid.

    Raises `DefinitionError` (code `invalid-digest`) with the wording of Go's digest package otherwise.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if type(text) is cls:
            return text
        algorithm, _, encoded = text.partition(":")
        length = _LENGTHS.get(algorithm)
        if not encoded or (length is None and not _FORM.match(text)):
            raise DefinitionError("invalid checksum digest format", code="invalid-digest")
        if length is None:
            raise DefinitionError("unsupported digest algorithm", code="invalid-digest")
        if len(encoded.encode("utf-8", "surrogateescape")) != length:
            raise DefinitionError("invalid checksum digest length", code="invalid-digest")
        if not _HEX.match(encoded):
            raise DefinitionError("invalid checksum digest format", code="invalid-digest")
        return super().__new__(cls, text)

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        """The hexadecimal part."""
        return self.partition(":")[2]

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The sha256 digest of `data`."""
        return cls("sha256:" + hashlib.sha256(data).hexdigest())

    def hasher(self) -> hashlib._Hash:
        """A fresh hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm)

    def verify(self, data: bytes) -> bool:
        return self.hasher_of(data) == self.encoded

    def hasher_of(self, data: bytes) -> str:
        """The hexadecimal hash of `data` under this digest's algorithm."""
        return hashlib.new(self.algorithm, data).hexdigest()
