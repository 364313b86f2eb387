"""The frontend's image look-ups, answered by the engine's image resolver, and a record of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from bakehouse.dockerfile.lowering import MetaResolver
from bakehouse.engine.attest.model import ImageMaterial
from bakehouse.engine.sources.image import ImageResolver
from bakehouse.errors import BakehouseError
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass


@contextmanager
def naming(ref: str) -> Iterator[None]:
    """Says in front of an error's message, as BuildKit's frontend does, for which image it asked. The error is a copy:
    others that ask for the same image get it, too."""
    try:
        yield
    except BakehouseError as error:
        if error.category == "cancelled":
            raise
        named = copy.copy(error)
        named.message = f"failed to resolve source metadata for {ref}: {error.message}"
        named.args = (named.message,)
        raise named from error.__cause__


@dataclass(frozen=True, slots=True)
class NamingResolver:
    """A resolver whose errors name the image that was asked for."""

    resolver: MetaResolver

    def resolve_image_config(
        self, ref: str, platform: Platform | None, mode: str, *, log_name: str = "", oci_store: str = ""
    ) -> tuple[str, str, bytes]:
        with naming(ref):
            return self.resolver.resolve_image_config(
                ref, platform, mode, log_name=log_name, oci_store=oci_store
            )


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
        _, digest, config = self._resolver.resolve_image_config(ref, platform, mode)
        # As it was asked for: what pins it, and in the graph, is the frontend's business.
        return ref, digest, config


class RecordingResolver:
    """A `dockerfile.lowering.MetaResolver` that asks another one and remembers what was found. Thread-safe as far as
    that one is."""

    def __init__(self, resolver: MetaResolver) -> None:
        self._resolver = resolver
        self._found: dict[ImageMaterial, None] = {}

    def resolve_image_config(
        self,
        ref: str,
        platform: Platform | None,
        mode: str,
        *,
        log_name: str = "",
        oci_store: str = "",
    ) -> tuple[str, str, bytes]:
        answer = self._resolver.resolve_image_config(
            ref, platform, mode, log_name=log_name, oci_store=oci_store
        )
        self._found[ImageMaterial(answer[0], platform, answer[1], bool(oci_store))] = None
        return answer

    def found(self) -> tuple[ImageMaterial, ...]:
        """The images that were looked up, each once."""
        return tuple(self._found)
