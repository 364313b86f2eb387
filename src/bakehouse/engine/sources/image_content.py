"""Where the bytes of one image come from: a registry, the local image store, or an OCI layout.

An `ImageContent` yields verified documents (manifests, configs) and brings layer blobs into the store. Choosing an
image for a platform lives here too, because it needs nothing but documents. Caching of names does not: see
`engine.sources.image`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from bakehouse.errors import IntegrityError, NotFoundError
from bakehouse.oci.image import MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, Descriptor, ImageConfig, Index, Manifest
from bakehouse.oci.media_types import DOCKER_MANIFEST_V1
from bakehouse.oci.platform import Platform, best_match
from bakehouse.oci.reference import Reference
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from bakehouse.registry import OciLayout, RegistryClient
    from bakehouse.store import Store

_MAX_INDEX_DEPTH = 4
OnBytes = Callable[[int], None]


class ImageContent(Protocol):
    """The source of one image's bytes. Thread-safe."""

    def document(self, descriptor: Descriptor, limit: int) -> bytes:
        """A verified manifest, index or config; kept in the store afterwards."""
        ...

    def fetch(self, descriptor: Descriptor, on_bytes: OnBytes) -> None:
        """Puts a blob into the store. Idempotent."""
        ...

    @property
    def origin(self) -> Reference | None:
        """The registry repository that holds the blobs, if one does."""
        ...


def _stored(store: Store, descriptor: Descriptor, limit: int) -> bytes | None:
    """The document from the store, None when it is not there."""
    if descriptor.size > limit:
        raise IntegrityError(
            f"document {descriptor.digest} is larger than {limit} bytes", code="manifest-too-large"
        )
    if not store.blobs.has(descriptor.digest):
        return None
    return descriptor.verify(store.blobs.read(descriptor.digest, limit))


class StoreContent:
    """An image of the local image store: everything is there already, or it is an error."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def document(self, descriptor: Descriptor, limit: int) -> bytes:
        found = _stored(self._store, descriptor, limit)
        if found is None:
            raise NotFoundError(f"blob {descriptor.digest} is not in the store", code="blob-missing")
        return found

    def fetch(self, descriptor: Descriptor, on_bytes: OnBytes) -> None:
        if not self._store.blobs.has(descriptor.digest):
            raise NotFoundError(
                f"blob {descriptor.digest} of a local image is missing",
                code="blob-missing",
                hint="Remove the image name and build or import it again.",
            )

    @property
    def origin(self) -> Reference | None:
        return None


class RegistryContent:
    """An image in a registry repository; documents already in the store are not asked for again."""

    def __init__(self, store: Store, client: RegistryClient, ref: Reference) -> None:
        self._store = store
        self._client = client
        self._ref = ref

    def document(self, descriptor: Descriptor, limit: int) -> bytes:
        found = _stored(self._store, descriptor, limit)
        if found is not None:
            return found
        if descriptor.is_manifest or descriptor.is_index:
            raw = descriptor.verify(self._client.manifest(self._ref, descriptor.digest))
            self._store.blobs.put(raw)
            return raw
        self.fetch(descriptor, lambda count: None)
        return descriptor.verify(self._store.blobs.read(descriptor.digest, limit))

    def fetch(self, descriptor: Descriptor, on_bytes: OnBytes) -> None:
        # One download a blob on this machine, whoever asks: other processes wait for it.
        with self._store.locks.locked(f"fetch:{descriptor.digest}"):
            if self._store.blobs.has(descriptor.digest):
                return
            with self._store.blobs.writer(descriptor.digest.algorithm) as writer:
                self._client.fetch_blob(self._ref, descriptor, writer, on_bytes)
                writer.commit(descriptor.digest, descriptor.size)

    @property
    def origin(self) -> Reference | None:
        return self._ref


class LayoutContent:
    """An image in an OCI layout that the client lends."""

    def __init__(self, store: Store, layout: OciLayout) -> None:
        self._store = store
        self._layout = layout

    def document(self, descriptor: Descriptor, limit: int) -> bytes:
        found = _stored(self._store, descriptor, limit)
        if found is None:
            found = self._layout.read(descriptor, limit)
            self._store.blobs.put(found)
        return found

    def fetch(self, descriptor: Descriptor, on_bytes: OnBytes) -> None:
        if self._store.blobs.has(descriptor.digest):
            return
        with closing(self._layout.open(descriptor)) as stream:
            with self._store.blobs.writer(descriptor.digest.algorithm) as writer:
                for chunk in stream.chunks():
                    writer.write(chunk)
                    on_bytes(len(chunk))
                writer.commit(descriptor.digest, descriptor.size)

    @property
    def origin(self) -> Reference | None:
        return None


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """One image for one platform. `name` is for people; `root` is what the name stood for (an index, perhaps)."""

    name: str
    root: Descriptor
    manifest: Manifest
    config: ImageConfig
    content: ImageContent

    @property
    def layers(self) -> Sequence[Descriptor]:
        return self.manifest.layers


def choose_image(name: str, root: Descriptor, platform: Platform, content: ImageContent) -> ResolvedImage:
    """The image below `root` that runs on `platform`, with its config.

    A bare manifest is taken whatever its platform. Raises `NotFoundError` (code `no-matching-platform`) naming the
    platforms of an index that has no fitting one, and `IntegrityError` for documents that do not fit together.
    """
    descriptor = root
    for _ in range(_MAX_INDEX_DEPTH):
        if not descriptor.is_index:
            return _of_manifest(name, root, descriptor, content)
        index = Index.parse(content.document(descriptor, MAX_MANIFEST_BYTES))
        descriptor = _member(name, index, descriptor, platform, content)
    raise IntegrityError(f"{name}: indexes are nested too deeply", code="invalid-manifest")


def _member(
    name: str, index: Index, descriptor: Descriptor, platform: Platform, content: ImageContent
) -> Descriptor:
    members = index.images
    stated = [member for member in members if member.platform is not None]
    found = best_match(platform, [member.platform for member in stated if member.platform is not None])
    if found is not None:
        return stated[found]
    for member in members:
        if member.platform is None and _runs_on(name, member, platform, content):
            return member
    offered = ", ".join(sorted({member.platform.format_all() for member in stated if member.platform}))
    raise NotFoundError(
        f"{name}: no match for platform {platform.format_all()} in manifest {descriptor.digest}: not found",
        code="no-matching-platform",
        hint=f"The image is offered for: {offered or 'no stated platform'}.",
    )


def _runs_on(name: str, member: Descriptor, platform: Platform, content: ImageContent) -> bool:
    """Whether a member without a stated platform is for `platform` by its config."""
    if not member.is_manifest:
        return member.is_index
    return platform.matches(_of_manifest(name, member, member, content).config.platform)


def _of_manifest(name: str, root: Descriptor, descriptor: Descriptor, content: ImageContent) -> ResolvedImage:
    if descriptor.media_type == DOCKER_MANIFEST_V1:
        raise IntegrityError(
            f"{name}: Docker's manifest version 1 is not supported",
            code="invalid-manifest",
            hint="Push the image again with a current tool.",
        )
    manifest = Manifest.parse(content.document(descriptor, MAX_MANIFEST_BYTES))
    config = ImageConfig.parse(content.document(manifest.config, MAX_CONFIG_BYTES))
    if len(config.diff_ids) != len(manifest.layers):
        raise IntegrityError(
            f"{name}: mismatched image rootfs and manifest layers: {len(config.diff_ids)} diff IDs, "
            f"{len(manifest.layers)} layers",
            code="invalid-manifest",
        )
    return ResolvedImage(name, root, manifest, config, content)
