"""Response keys of image-type exporters (engine.md §17.5)."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from bakehouse.engine.exporters.assemble import AssembledImage
from bakehouse.go.jsontext import compact_json
from bakehouse.oci.image import Descriptor


def image_response(image: AssembledImage, root: Descriptor, names: Sequence[str]) -> dict[str, str]:
    """Digest, config digest (of a bare manifest), descriptor as base64 JSON, and the names if there are any."""
    response = {"containerimage.digest": str(root.digest)}
    if image.config is not None:
        response["containerimage.config.digest"] = str(image.config.digest)
    response["containerimage.descriptor"] = base64.b64encode(compact_json(root.as_json()).encode()).decode(
        "ascii"
    )
    if names:
        response["image.name"] = ",".join(names)
    return response
