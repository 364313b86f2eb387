"""Finding and describing images of the local store by what a user types."""

from __future__ import annotations

import json
import re

from bakehouse.errors import BakehouseError, DefinitionError, NotFoundError
from bakehouse.oci.image import Descriptor, Index, Manifest
from bakehouse.oci.media_types import INDEXES
from bakehouse.oci.reference import Reference
from bakehouse.store import Store
from bakehouse.values import dataclass

_LIMIT = 4 * 1024 * 1024
_SHORTEST_ID = 6
#: How the names of images begin that were given none.
DANGLING = "<none>"


def find_image(store: Store, text: str) -> tuple[str, Descriptor]:
    """(full name, descriptor) of the image that `text` names: a reference, or the beginning of an image ID or digest.

    Raises `NotFoundError` with close names, `DefinitionError` for an ambiguous ID.
    """
    images = store.images.list()
    try:
        full = str(Reference.parse(text))
    except BakehouseError:
        full = text
    for name, descriptor, _ in images:
        if name in (full, text):
            return name, descriptor
    wanted = text.removeprefix("sha256:").lower()
    if len(wanted) >= _SHORTEST_ID and all(letter in "0123456789abcdef" for letter in wanted):
        found = {
            descriptor.digest: (name, descriptor)
            for name, descriptor, _ in images
            if any(digest.removeprefix("sha256:").startswith(wanted) for digest in _ids(store, descriptor))
        }
        if len(found) > 1:
            raise DefinitionError(
                f"image ID {text} is ambiguous", code="ambiguous-image", hint="give more digits"
            )
        if found:
            return next(iter(found.values()))
    import difflib

    familiar = [_familiar(name).removesuffix(":latest") for name, _, _ in images]
    close = difflib.get_close_matches(text.removesuffix(":latest"), familiar, 1)
    raise NotFoundError(
        f"image {text} is not in the local image store",
        code="image-not-found",
        hint=f"did you mean {close[0]}?" if close else "`bakehouse images` lists what is there",
    )


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """One condition of a listing: `reference` with a pattern, `label` with `KEY[=VALUE]`, `dangling` with a boolean."""

    key: str
    value: str

    @classmethod
    def parse(cls, text: str) -> ImageFilter:
        """Reads `KEY=VALUE`. Raises `DefinitionError` (code `invalid-filter`)."""
        key, equals, value = text.partition("=")
        if not equals or key not in ("reference", "label", "dangling"):
            raise DefinitionError(
                f'invalid filter "{text}"',
                code="invalid-filter",
                hint="reference=PATTERN, label=KEY[=VALUE] or dangling=true",
            )
        if key == "dangling" and value not in ("true", "false", "1", "0"):
            raise DefinitionError(f'invalid filter "{text}": expected true or false', code="invalid-filter")
        return cls(key, value)

    def matches(self, store: Store, name: str, descriptor: Descriptor) -> bool:
        if self.key == "dangling":
            return name.startswith(DANGLING) == (self.value in ("true", "1"))
        if self.key == "label":
            return any(self._labelled(labels) for labels in _labels(store, descriptor))
        return self._is_named(name)

    def _is_named(self, name: str) -> bool:
        """Docker's rule: the pattern is one of the familiar name with or without the tag; `*` stops at slashes."""
        familiar = _familiar(name)
        repository, _, tag = familiar.rpartition(":")
        candidates = {name, familiar}
        if repository and "/" not in tag:
            candidates.add(repository)
        pattern = re.compile(_glob(self.value))
        return any(pattern.fullmatch(candidate) for candidate in candidates)

    def _labelled(self, labels: dict[str, str]) -> bool:
        key, equals, value = self.value.partition("=")
        return key in labels and (not equals or labels[key] == value)


def _glob(pattern: str) -> str:
    """A shell pattern over names as a regular expression."""
    parts = []
    for piece in re.split(r"(\*|\?|\[[^\]]+\])", pattern):
        if piece in ("*", "?"):
            parts.append("[^/]" + ("*" if piece == "*" else ""))
        elif piece.startswith("[") and piece.endswith("]"):
            parts.append(piece.replace("\\", "\\\\"))
        else:
            parts.append(re.escape(piece))
    return "".join(parts)


def _labels(store: Store, descriptor: Descriptor) -> list[dict[str, str]]:
    """The labels of every platform of an image that the store holds."""
    if not store.blobs.has(descriptor.digest):
        return []
    raw = store.blobs.read(descriptor.digest, _LIMIT)
    if descriptor.media_type in INDEXES:
        return [labels for child in Index.parse(raw).manifests for labels in _labels(store, child)]
    config = Manifest.parse(raw).config
    if not store.blobs.has(config.digest):
        return []
    return [(json.loads(store.blobs.read(config.digest, _LIMIT)).get("config") or {}).get("Labels") or {}]


def describe(store: Store, name: str, descriptor: Descriptor) -> dict[str, object]:
    """Repository, tag, ID (config digest, or the index's), and total size of the blobs, as JSON-able values."""
    repository, _, tag = _familiar(name).rpartition(":")
    if name.startswith(DANGLING):
        repository, tag = "<none>", "<none>"
    elif not repository or "/" in tag:
        repository, tag = _familiar(name), "latest"
    ids = _ids(store, descriptor)
    return {
        "repository": repository,
        "tag": tag,
        "id": ids[-1],
        "digest": str(descriptor.digest),
        "size": _size(store, descriptor),
    }


def _familiar(name: str) -> str:
    return name.removeprefix("docker.io/").removeprefix("library/")


def _ids(store: Store, descriptor: Descriptor) -> list[str]:
    """The digests a user may call an image by: of the root, and of the config when there is a single one."""
    digests = [str(descriptor.digest)]
    if descriptor.media_type not in INDEXES and store.blobs.has(descriptor.digest):
        digests.append(str(Manifest.parse(store.blobs.read(descriptor.digest, _LIMIT)).config.digest))
    return digests


def _size(store: Store, descriptor: Descriptor) -> int:
    if not store.blobs.has(descriptor.digest):
        return 0
    raw = store.blobs.read(descriptor.digest, _LIMIT)
    if descriptor.media_type in INDEXES:
        return sum(_size(store, child) for child in Index.parse(raw).manifests)
    manifest = Manifest.parse(raw)
    return manifest.config.size + sum(layer.size for layer in manifest.layers)
