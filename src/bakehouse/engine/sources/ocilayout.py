"""References to images in OCI layouts that the client lends: `oci-layout://STORE[:tag][@digest]` (engine.md §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakehouse.errors import IntegrityError
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import MAX_MANIFEST_BYTES, Descriptor, detect_media_type

if TYPE_CHECKING:
    from bakehouse.registry import OciLayout

LAYOUT_SCHEME = "oci-layout://"


def layout_reference(identifier: str) -> tuple[str, str]:
    """Store name and digest (else tag) of `oci-layout://NAME[:tag][@digest]`."""
    text = identifier.removeprefix(LAYOUT_SCHEME)
    name, at, digest = text.rpartition("@")
    if not at:
        name, digest = text, ""
    bare, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        return bare, digest or tag
    return name, digest


def layout_root(layout: OciLayout, reference: str) -> Descriptor:
    """The root document: a digest need not be in the layout's index, any manifest blob will do."""
    if ":" not in reference:
        return layout.resolve(reference)
    digest = Digest(reference)
    size = layout.size(digest)
    if size > MAX_MANIFEST_BYTES:
        raise IntegrityError(
            f"blob {digest} is larger than {MAX_MANIFEST_BYTES} bytes", code="manifest-too-large"
        )
    raw = layout.read(Descriptor("", digest, size))
    return Descriptor(detect_media_type(raw), digest, size)
