"""SPDX documents of images: which layer each file lies in, which the scanner could not know (engine.md §18.5)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bakehouse.engine.attest.model import Attestation
from bakehouse.snapshots import LayerChain
from bakehouse.values import replace
from bakehouse.version import __version__

if TYPE_CHECKING:
    from bakehouse.engine.tree import EngineContext
    from bakehouse.snapshots import LayerBlob

PREDICATE_SPDX = "https://spdx.dev/Document"
_VERSIONS = ("SPDX-2.1", "SPDX-2.2", "SPDX-2.3")
_WHITEOUT = ".wh."


def with_layers(
    attestation: Attestation, context: EngineContext, chain: LayerChain, blobs: Sequence[LayerBlob]
) -> Attestation:
    """`attestation` with a comment at every file of its document that has none: the digest of the layer that made it.
    What is no SPDX document stays as it is."""

    def predicate(layers_exported: bool) -> Any:
        document = attestation.predicate(layers_exported)
        if not isinstance(document, dict) or document.get("spdxVersion") not in _VERSIONS:
            return document
        finder = _LayerFinder(context, chain, blobs)
        for file in _files(document):
            name = file.get("fileName")
            if isinstance(name, str) and not file.get("comment"):
                digest = finder.find(name)
                if digest is not None:
                    file["comment"] = f"layerID: {digest}"
        creation = document.setdefault("creationInfo", {})
        if isinstance(creation, dict) and isinstance(creation.setdefault("creators", []), list):
            creation["creators"].append(f"Tool: bakehouse-{__version__}")
        return document

    return replace(attestation, predicate=predicate)


def _files(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The files of the document and those of its packages."""
    packages = document.get("packages")
    holders = [document, *(packages if isinstance(packages, list) else [])]
    for holder in holders:
        found = holder.get("files") if isinstance(holder, dict) else None
        for file in found if isinstance(found, list) else []:
            if isinstance(file, dict):
                yield file


class _LayerFinder:
    """Which layer a file lies in: the topmost that brings one of its name. Layers are looked into as they are needed,
    the topmost first."""

    def __init__(self, context: EngineContext, chain: LayerChain, blobs: Sequence[LayerBlob]) -> None:
        self._context = context
        self._pending = list(zip(chain.layers, blobs, strict=True))
        self._known: dict[str, str] = {}

    def find(self, name: str) -> str | None:
        path = posixpath.normpath("/" + name.lstrip("/"))
        while path not in self._known and self._pending:
            layer_id, blob = self._pending.pop()
            for found in self._names(layer_id, blob):
                self._known.setdefault(found, str(blob.descriptor.digest))
        return self._known.get(path)

    def _names(self, layer_id: str, blob: LayerBlob) -> Iterator[str]:
        from bakehouse.snapshots.compression import DecompressingReader
        from bakehouse.snapshots.tarreader import TarReader

        if not self._context.store.blobs.has(blob.descriptor.digest):
            self._context.layers.fetch(LayerChain((layer_id,)))
        with self._context.store.blobs.open(blob.descriptor.digest) as stream:
            for entry in TarReader(DecompressingReader(stream)):
                path = posixpath.normpath("/" + entry.path.decode("utf-8", "replace"))
                if not posixpath.basename(path).startswith(_WHITEOUT):
                    yield path
