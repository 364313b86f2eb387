"""The source op `oci-layout://STORE@DIGEST`: an image in a layout directory that the client lends (engine.md §2)."""

from __future__ import annotations

from bakehouse.engine.sources.image import ImageSource
from bakehouse.engine.sources.image_content import ResolvedImage


class OciLayoutSource(ImageSource):
    """An `ImageSource` whose documents and layers come from `Session.oci_layouts`.

    Attributes: `oci.store` names the layout (else the identifier does), `oci.layerlimit`; `oci.session` is of no
    meaning inside one process.
    """

    limit_attr = "oci.layerlimit"

    def _resolve(self) -> ResolvedImage:
        store = self._op.attrs.get("oci.store", "")
        return self._resolver.resolve_layout(self._op.identifier, self._platform, store)
