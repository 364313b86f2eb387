"""Media types of OCI and of Docker's schema 2, and the conversions between the two families."""

from __future__ import annotations

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = OCI_LAYER + "+gzip"
OCI_LAYER_ZSTD = OCI_LAYER + "+zstd"
OCI_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_FOREIGN_LAYER_GZIP = OCI_FOREIGN_LAYER + "+gzip"
OCI_FOREIGN_LAYER_ZSTD = OCI_FOREIGN_LAYER + "+zstd"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_V1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = DOCKER_LAYER + ".gzip"
DOCKER_LAYER_ZSTD = DOCKER_LAYER + ".zstd"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar"
DOCKER_FOREIGN_LAYER_GZIP = DOCKER_FOREIGN_LAYER + ".gzip"

IN_TOTO = "application/vnd.in-toto+json"

INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
FOREIGN_LAYERS = frozenset(
    {
        OCI_FOREIGN_LAYER,
        OCI_FOREIGN_LAYER_GZIP,
        OCI_FOREIGN_LAYER_ZSTD,
        DOCKER_FOREIGN_LAYER,
        DOCKER_FOREIGN_LAYER_GZIP,
    }
)

# (OCI, Docker, compression): each layer type beside its twin.
_LAYERS = (
    (OCI_LAYER, DOCKER_LAYER, "uncompressed"),
    (OCI_LAYER_GZIP, DOCKER_LAYER_GZIP, "gzip"),
    (OCI_LAYER_ZSTD, DOCKER_LAYER_ZSTD, "zstd"),
    (OCI_FOREIGN_LAYER, DOCKER_FOREIGN_LAYER, "uncompressed"),
    (OCI_FOREIGN_LAYER_GZIP, DOCKER_FOREIGN_LAYER_GZIP, "gzip"),
)
_TO_OCI = {docker: oci for oci, docker, _ in _LAYERS}
_TO_DOCKER = {oci: docker for oci, docker, _ in _LAYERS}
_COMPRESSIONS = {media_type: kind for oci, docker, kind in _LAYERS for media_type in (oci, docker)}
_DISTRIBUTABLE = {
    OCI_FOREIGN_LAYER: OCI_LAYER,
    OCI_FOREIGN_LAYER_GZIP: OCI_LAYER_GZIP,
    OCI_FOREIGN_LAYER_ZSTD: OCI_LAYER_ZSTD,
    DOCKER_FOREIGN_LAYER: DOCKER_LAYER,
    DOCKER_FOREIGN_LAYER_GZIP: DOCKER_LAYER_GZIP,
}
_NONDISTRIBUTABLE = {ordinary: foreign for foreign, ordinary in _DISTRIBUTABLE.items()}


def layer_as(media_type: str, *, oci: bool) -> str:
    """The twin of a layer media type in the OCI or the Docker family; an unknown type is returned as it is."""
    return (_TO_OCI if oci else _TO_DOCKER).get(media_type, media_type)


def distributable(media_type: str) -> str:
    """The ordinary layer type for a foreign ("nondistributable") one."""
    return _DISTRIBUTABLE.get(media_type, media_type)


def nondistributable(media_type: str) -> str:
    """The foreign type for an ordinary layer type; a type that has none is returned as it is."""
    return _NONDISTRIBUTABLE.get(media_type, media_type)


def layer_compression(media_type: str) -> str | None:
    """`uncompressed`, `gzip` or `zstd` for a layer media type, None for anything else."""
    if media_type == OCI_FOREIGN_LAYER_ZSTD:
        return "zstd"
    return _COMPRESSIONS.get(media_type)
