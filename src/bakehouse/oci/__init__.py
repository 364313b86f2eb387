"""OCI vocabulary: digests, references, platforms, descriptors, manifests, indexes, configs, validation.

Pure values: no disks, no networks. Follows OCI image-spec 1.1, with Docker's schema 2 media types beside it.
"""

from __future__ import annotations

from bakehouse.lazy import exports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.oci.digest import Digest
    from bakehouse.oci.image import Descriptor, ImageConfig, Index, Manifest
    from bakehouse.oci.platform import Platform, best_match
    from bakehouse.oci.reference import Reference

__all__ = ["Descriptor", "Digest", "ImageConfig", "Index", "Manifest", "Platform", "Reference", "best_match"]

# `bake --print` needs to know of platforms, and of nothing else here.
__getattr__ = exports(
    __name__,
    {
        "digest": ("Digest",),
        "image": ("Descriptor", "ImageConfig", "Index", "Manifest"),
        "platform": ("Platform", "best_match"),
        "reference": ("Reference",),
    },
)
