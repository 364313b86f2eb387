"""The frontend's image look-ups, answered by the engine's image resolver."""

from __future__ import annotations

from bakehouse.engine.sources.image import ImageResolver
from bakehouse.oci.platform import Platform


class FrontendResolver:
    """`dockerfile.lowering.MetaResolver` over an `ImageResolver`."""

    def __init__(self, resolver: ImageResolver) -> None:
        self._resolver = resolver

    def resolve_image_config(
        self,
        ref: str,
        platform: Platform | None,
        mode: str,
        *,
        log_name: str = "",
        oci_store: str = "",
    ) -> tuple[str, str, bytes]:
        if oci_store:
            wanted = platform or Platform.local()
            found = self._resolver.resolve_layout(f"oci-layout://{ref}", wanted, oci_store)
            return ref, str(found.root.digest), found.config.raw
        return self._resolver.resolve_image_config(ref, platform, mode)
