"""Images as inputs of a build: the resolver that the frontend asks, and the source op of the solver.

Names are resolved once a build and remembered. Layers stay where they are until somebody needs their files or
blobs: a build that only re-tags downloads nothing but documents (engine.md §2, §8.2).
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bakehouse.engine.answers import question
from bakehouse.engine.layer_fetching import LayerFetcher
from bakehouse.engine.sources.image_content import (
    ImageContent,
    LayoutContent,
    RegistryContent,
    ResolvedImage,
    StoreContent,
    choose_image,
)
from bakehouse.engine.sources.ocilayout import LAYOUT_SCHEME, layout_reference, layout_root
from bakehouse.errors import BakehouseError, DefinitionError, IntegrityError, NotFoundError
from bakehouse.go.jsontext import compact_json
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import MAX_MANIFEST_BYTES, Descriptor, detect_media_type
from bakehouse.oci.platform import Platform
from bakehouse.oci.reference import Reference
from bakehouse.oci.timestamps import parse_time_ns

if TYPE_CHECKING:
    from bakehouse.engine.layer_tree import LayerTree
    from bakehouse.engine.tree import EngineContext, Tree
    from bakehouse.llb.ops import LlbPlatform, SourceOp, Vertex
    from bakehouse.registry import RegistryClient
    from bakehouse.solver.model import CacheMap, RunContext

IMAGE_SCHEME = "docker-image://"
MODES = ("default", "pull", "local")
#: Where a layer blob was seen, for cross-repository mounts when pushing: digest → registry/repository.
SOURCES_SPACE = "distribution.source.v1"


class _Answer:
    """One question to the resolver. (A `Future` would do; its module imports half the standard library.)"""

    __slots__ = ("error", "image", "known")

    def __init__(self) -> None:
        self.known = threading.Event()
        self.image: ResolvedImage | None = None
        self.error: BaseException | None = None

    def wait(self) -> ResolvedImage:
        """The image, or what the search for it raised."""
        self.known.wait()
        if self.error is not None:
            raise self.error
        assert self.image is not None
        return self.image


class ImageResolver:
    """Resolves image names for one build. Thread-safe; equal questions are asked once, errors are remembered too.

    `client` is called at most once, when a registry is needed for the first time.
    """

    def __init__(self, context: EngineContext, client: Callable[[], RegistryClient] | None = None) -> None:
        self._context = context
        self._make_client = client or self._default_client
        self._client: RegistryClient | None = None
        self._lock = threading.Lock()
        self._resolved: dict[tuple[str, ...], _Answer] = {}

    def _default_client(self) -> RegistryClient:
        from bakehouse.registry import RegistryClient

        return RegistryClient(self._context.session.credentials)

    @property
    def client(self) -> RegistryClient:
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def close(self) -> None:
        """Closes the registry connections. The resolver may be used again."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    # -- for the frontend ------------------------------------------------------------------------------------

    def resolve_image_config(
        self, ref: str, platform: Platform | LlbPlatform | None = None, mode: str = "default"
    ) -> tuple[str, str, bytes]:
        """`(reference with digest, root digest, config bytes)` of image `ref` for `platform` (None: this machine).

        `ref` may carry the scheme `oci-layout://STORE[:tag]@digest`. In modes `default` and `local` an image of that
        name in the local image store serves first; `pull` always asks the registry. Reports one vertex
        `[internal] load metadata for REF`. Errors are those of `RegistryClient`, code `no-matching-platform` for a
        platform that the image lacks.
        """
        wanted = _platform(platform)
        if ref.startswith(LAYOUT_SCHEME):
            resolved = self._reported(ref, wanted, lambda: self.resolve_layout(ref, wanted))
            return ref, str(resolved.root.digest), resolved.config.raw
        reference = Reference.parse(ref.removeprefix(IMAGE_SCHEME))
        resolved = self._reported(str(reference), wanted, lambda: self.resolve(reference, wanted, mode))
        pinned = reference.with_digest(resolved.root.digest)
        return str(pinned), str(resolved.root.digest), resolved.config.raw

    def _reported(self, name: str, platform: Platform, resolve: Callable[[], ResolvedImage]) -> ResolvedImage:
        identity = f"load metadata for {name} {platform.format_all()} {id(self)}"
        digest = "sha256:" + hashlib.sha256(identity.encode()).hexdigest()
        vertex = self._context.reporter.vertex(digest, f"[internal] load metadata for {name}")
        vertex.start()
        try:
            resolved = resolve()
        except BaseException as error:
            vertex.fail(str(error))
            raise
        vertex.done()
        return resolved

    # -- for the source ops ----------------------------------------------------------------------------------

    def resolve(self, ref: Reference, platform: Platform, mode: str = "default") -> ResolvedImage:
        """The image that `ref` names on `platform`; remembered for the life of this resolver."""
        if mode not in MODES:
            raise DefinitionError(
                f"invalid image resolve mode {mode!r}: expected default, pull or local",
                code="invalid-resolve-mode",
            )
        key = ("image", str(ref), platform.format_all(), mode)
        return self._once(key, lambda: self._find(ref, platform, mode))

    def resolve_layout(self, identifier: str, platform: Platform, store_name: str = "") -> ResolvedImage:
        """The image of an `oci-layout://` identifier; `store_name` overrides the name in the identifier."""
        name, reference = layout_reference(identifier)
        key = ("layout", identifier, store_name, platform.format_all())
        return self._once(
            key, lambda: self._find_in_layout(store_name or name, reference, platform, identifier)
        )

    def _once(self, key: tuple[str, ...], find: Callable[[], ResolvedImage]) -> ResolvedImage:
        with self._lock:
            answer = self._resolved.get(key)
            mine = answer is None
            if answer is None:
                answer = self._resolved[key] = _Answer()
        if mine:
            try:
                answer.image = find()
            except BaseException as error:
                if not isinstance(error, BakehouseError) or error.category in ("cancelled", "transient"):
                    with self._lock:
                        self._resolved.pop(key, None)
                answer.error = error
            answer.known.set()
        return answer.wait()

    def _find(self, ref: Reference, platform: Platform, mode: str) -> ResolvedImage:
        local = self._local(ref, platform) if mode != "pull" else None
        if local is not None and platform.matches(local.config.platform):
            return local
        try:
            return self._remote(ref, platform)
        except BakehouseError as error:
            if local is not None and error.hint is None:
                error.hint = f"The local image of that name is for {local.config.platform}, not {platform}."
            raise

    def _local(self, ref: Reference, platform: Platform) -> ResolvedImage | None:
        """The image of the local image store, None when it has none that fits and is whole."""
        store = self._context.store
        descriptor = store.images.get(str(ref))
        if descriptor is None and ref.digest is not None:
            untagged = Reference(ref.registry, ref.repository, ref.tag)
            descriptor = store.images.get(str(untagged))
            if descriptor is not None and descriptor.digest != ref.digest:
                descriptor = None
        if descriptor is None:
            return None
        try:
            return choose_image(str(ref), descriptor, platform, StoreContent(store))
        except (NotFoundError, IntegrityError):
            return None

    def _remote(self, ref: Reference, platform: Platform) -> ResolvedImage:
        root = self._known_root(ref) or self.client.resolve(ref)
        content = RegistryContent(self._context.store, self.client, ref.with_digest(root.digest))
        return choose_image(str(ref), root, platform, content)

    def _known_root(self, ref: Reference) -> Descriptor | None:
        """The descriptor of a digest whose document is in the store: nothing to ask the registry."""
        store = self._context.store
        if ref.digest is None or not store.blobs.has(ref.digest):
            return None
        raw = store.blobs.read(ref.digest, MAX_MANIFEST_BYTES)
        return Descriptor(detect_media_type(raw), ref.digest, len(raw))

    def _find_in_layout(
        self, store_name: str, reference: str, platform: Platform, identifier: str
    ) -> ResolvedImage:
        from bakehouse.registry import OciLayout

        path = self._context.session.oci_layouts.get(store_name)
        if path is None:
            raise NotFoundError(
                f"no OCI layout named {store_name!r} is shared with this build", code="layout-not-found"
            )
        layout = OciLayout(path)
        root = layout_root(layout, reference)
        return choose_image(identifier, root, platform, LayoutContent(self._context.store, layout))


def _platform(platform: Platform | LlbPlatform | None) -> Platform:
    if platform is None:
        return Platform.local()
    return Platform(
        platform.os, platform.architecture, platform.variant, platform.os_version, tuple(platform.os_features)
    )


class ImageSource:
    """The source ops `docker-image://REF` and `oci-layout://STORE@DIGEST` for the solver.

    Attributes: `image.resolvemode`, `image.layerlimit`, `image.checksum`; `oci.store`, `oci.layerlimit`.
    `image.recordtype` and `oci.session` have no effect on the result. Raises `DefinitionError` (code
    `invalid-image-source`) for bad ones.
    """

    def __init__(self, vertex: Vertex, context: EngineContext, resolver: ImageResolver) -> None:
        self._op: SourceOp = vertex.op  # type: ignore[assignment]
        self._context = context
        self._resolver = resolver
        self._is_layout = self._op.identifier.startswith(LAYOUT_SCHEME)
        self._platform = _platform(vertex.platform)
        self._limit = self._layer_limit()

    def _layer_limit(self) -> int | None:
        text = self._op.attrs.get("oci.layerlimit" if self._is_layout else "image.layerlimit")
        if text is None:
            return None
        if not text.isdigit() or int(text) < 1:
            raise DefinitionError(f"invalid layer limit {text}", code="invalid-image-source")
        return int(text)

    def _resolve(self) -> ResolvedImage:
        if self._is_layout:
            store = self._op.attrs.get("oci.store", "")
            return self._resolver.resolve_layout(self._op.identifier, self._platform, store)
        ref = Reference.parse(self._op.identifier.removeprefix(IMAGE_SCHEME))
        mode = self._op.attrs.get("image.resolvemode") or "default"
        return self._resolver.resolve(ref, self._platform, mode)

    def _resolved(self) -> ResolvedImage:
        image = self._resolve()
        checksum = self._op.attrs.get("image.checksum")
        if checksum and checksum != image.root.digest:
            raise IntegrityError(
                f"image digest {image.root.digest} for {image.name} does not match expected checksum {checksum}",
                code="digest-mismatch",
            )
        if self._limit is not None and self._limit > len(image.layers):
            raise DefinitionError(
                f"layer limit {self._limit} is greater than the number of layers in the image "
                f"{len(image.layers)}",
                code="invalid-image-source",
            )
        return image

    def cache_map(self, context: RunContext) -> CacheMap:
        """Keyed by the digest that the name stands for, the platform and the layer limit (engine.md §8.2)."""
        from bakehouse.solver.model import CacheMap

        with context.reporter.status(f"resolve {self._op.identifier.partition('://')[2]}"):
            image = self._resolved()
        # For `pin_of`; the same root whatever the platform.
        self._context.answers.once(question(self._op), lambda: image.root)
        text = f"buildkit.source.v0:{Digest.of(compact_json(self._key(image)).encode())}"
        # Asked every time: only `run` knows where layers that were never downloaded come from.
        return CacheMap(str(Digest.of(text.encode())), recorded=False)

    def _key(self, image: ResolvedImage) -> dict[str, Any]:
        platform = self._platform
        key: dict[str, Any] = {
            "Digest": str(image.root.digest),
            "OS": platform.os,
            "Arch": platform.architecture,
        }
        if platform.variant:
            key["Variant"] = platform.variant
        if platform.os_version:
            key["OSVersion"] = platform.os_version
        if platform.os_features:
            key["OSFeatures"] = list(platform.os_features)
        if self._limit is not None:
            key["Limit"] = self._limit
        return key

    def run(self, context: RunContext, inputs: Sequence[Tree]) -> list[Tree]:
        """The image's layers as a tree. Nothing is downloaded here."""
        image = self._resolved()
        context.cached = _is_known(image, self._context, self._limit)
        return [adopt_image(image, self._context, context, limit=self._limit)]

    def named_tree(self) -> LayerTree:
        """The tree that `run` would give, of layers that the store may not know."""
        from bakehouse.engine.layer_tree import LayerTree
        from bakehouse.snapshots import LayerChain

        return LayerTree(LayerChain(tuple(_layer_ids(self._resolved(), self._limit))), self._context)


def _layer_ids(image: ResolvedImage, limit: int | None) -> list[str]:
    from bakehouse.snapshots import layer_id_of

    layers = zip(image.config.diff_ids, image.layers[:limit], strict=False)
    return [layer_id_of(diff_id, layer.digest) for diff_id, layer in layers]


def _is_known(image: ResolvedImage, context: EngineContext, limit: int | None) -> bool:
    """Whether an earlier build has used this image already, and the store still knows its layers."""
    ids = _layer_ids(image, limit)
    return len(context.store.layers.existing(ids)) == len(set(ids))


def adopt_image(
    image: ResolvedImage, context: EngineContext, run: RunContext, *, limit: int | None = None
) -> LayerTree:
    """The first `limit` layers of `image` (all by default) as a tree. Nothing is downloaded here: a layer that is not
    in the store is fetched, with progress on `run`'s vertex, when somebody needs it."""
    from bakehouse.engine.layer_tree import LayerTree
    from bakehouse.snapshots import LayerChain

    layers = image.layers[:limit]
    fetcher = LayerFetcher(image.content.fetch, layers, run.reporter, run.cancel)
    created = layer_times(image, len(layers))
    ids = []
    for layer, diff_id, time in zip(layers, image.config.diff_ids, created, strict=False):
        fetch = functools.partial(fetcher.fetch, layer)
        ids.append(
            context.layers.adopt(diff_id, layer, fetch, created=time, description=f"pulled from {image.name}")
        )
    remember_source(context, image.content, layers)
    return LayerTree(LayerChain(tuple(ids)), context)


def layer_times(image: ResolvedImage, count: int) -> list[float | None]:
    """When each of the first `count` layers was made, by the config's history, in seconds; None when unknown."""
    times: list[float | None] = []
    for entry in image.config.history:
        if entry.get("empty_layer"):
            continue
        created = entry.get("created")
        try:
            times.append(parse_time_ns(created) / 1e9 if isinstance(created, str) else None)
        except DefinitionError:
            times.append(None)
    return (times + [None] * count)[:count]


def remember_source(context: EngineContext, content: ImageContent, layers: Sequence[Descriptor]) -> None:
    """Notes which repository holds these blobs, so that a push can mount them from there."""
    origin = content.origin
    if origin is None or not layers:
        return
    context.store.kv.put_many(SOURCES_SPACE, {str(layer.digest): origin.name.encode() for layer in layers})


def fetch_from_origin(
    digest: str, size: int, context: EngineContext, resolver: ImageResolver
) -> Callable[[], None] | None:
    """What downloads blob `digest` from the repository where `remember_source` noted it; None when none is noted."""
    name = context.store.kv.get(SOURCES_SPACE, digest)
    if name is None:
        return None
    ref = Reference.parse(name.decode())

    def fetch() -> None:
        content = RegistryContent(context.store, resolver.client, ref)
        content.fetch(Descriptor("", Digest(digest), size), lambda count: None)

    return fetch
