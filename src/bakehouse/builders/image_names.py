"""Finding and describing images of the local store by what a user types."""

from __future__ import annotations

from bakehouse.errors import BakehouseError, DefinitionError, NotFoundError
from bakehouse.oci.image import Descriptor, Index, Manifest
from bakehouse.oci.media_types import INDEXES
from bakehouse.oci.reference import Reference
from bakehouse.store import Store

_LIMIT = 4 * 1024 * 1024
_SHORTEST_ID = 6


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

    familiar = {_familiar(name): name for name, _, _ in images}
    close = difflib.get_close_matches(text, familiar, 1)
    raise NotFoundError(
        f"image {text} is not in the local image store",
        code="image-not-found",
        hint=f"did you mean {close[0]}?" if close else "`bakehouse images` lists what is there",
    )


def describe(store: Store, name: str, descriptor: object) -> dict[str, object]:
    """Repository, tag, ID (config digest, or the index's), and total size of the blobs, as JSON-able values."""
    assert isinstance(descriptor, Descriptor)
    repository, _, tag = _familiar(name).rpartition(":")
    if name.startswith("<none>"):
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
