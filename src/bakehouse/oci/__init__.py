"""OCI vocabulary: digests, references, platforms, descriptors, manifests, indexes, configs, validation.

Pure values: no disks, no networks. Follows OCI image-spec 1.1, with Docker's schema 2 media types beside it.
"""

from bakehouse.oci.digest import Digest
from bakehouse.oci.image import Descriptor, ImageConfig, Index, Manifest
from bakehouse.oci.platform import Platform, best_match
from bakehouse.oci.reference import Reference

__all__ = ["Descriptor", "Digest", "ImageConfig", "Index", "Manifest", "Platform", "Reference", "best_match"]
