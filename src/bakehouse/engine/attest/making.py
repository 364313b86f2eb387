"""Puts together what is attested of the results of one target, when they are there and the exports begin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bakehouse.engine.attest.materials import Materials, images_for
from bakehouse.engine.attest.model import Attestation, BuildFacts
from bakehouse.engine.attest.options import ProvenanceOptions
from bakehouse.engine.attest.provenance import (
    ProvenanceSource,
    predicate,
    predicate_type,
    predicate_v1,
    require_complete,
)
from bakehouse.engine.graph import post_order
from bakehouse.engine.sources.pins import pin_of
from bakehouse.engine.tree import EngineContext, Tree
from bakehouse.llb.ops import Edge
from bakehouse.oci.platform import Platform
from bakehouse.snapshots import LayerChain

if TYPE_CHECKING:
    from bakehouse.store.layers import BlobRow

#: What the solve knows of the output of a vertex, by the vertex's digest; None: nothing.
KnownResult = Callable[[str, int], Tree | None]

_ADOPTED = "adopted"
#: Outputs of one vertex that are asked about: no step of a Dockerfile has more.
_OUTPUTS = 8


class ResultFacts:
    """One platform's result, and what can be said of it. `platforms` are those of all results of the target, `chains`
    their layers."""

    def __init__(
        self,
        facts: BuildFacts,
        number: int,
        platforms: Sequence[Platform],
        edge: Edge | None,
        chains: Sequence[LayerChain],
        context: EngineContext,
        known: KnownResult,
    ) -> None:
        self._facts = facts
        self._number = number
        self._platforms = platforms
        self._edge = edge
        self._chains = chains
        self._context = context
        self._known = known

    def provenance(self, options: ProvenanceOptions) -> Attestation:
        """Raises `DefinitionError` when complete materials are asked for and there are others."""
        if options.complete_materials:
            require_complete(self._materials())
        return Attestation(
            options.filename,
            predicate_type(options),
            lambda layers_exported: predicate(self._source(layers_exported), options),
            options.inline_only,
        )

    def detailed(self, *, layers_exported: bool) -> dict[str, Any]:
        """The most that provenance can tell, as a SLSA v1 predicate. Of what was asked, only who built counts."""
        asked = self._facts.options.provenance
        options = ProvenanceOptions(builder_id=asked.builder_id if asked is not None else "")
        return predicate_v1(self._source(layers_exported), options)

    def _source(self, layers_exported: bool) -> ProvenanceSource:
        def layers(numbers: Mapping[str, int]) -> dict[str, list[list[dict[str, Any]]]]:
            return self._layers(numbers, layers_exported)

        return ProvenanceSource(
            self._facts.request,
            self._materials(),
            self._facts.definition(self._number),
            self._facts.run,
            layers,
        )

    def _materials(self) -> Materials:
        vertices = [] if self._edge is None else post_order([self._edge])
        made = Materials.of(vertices, self._facts.read, lambda op: pin_of(op, self._context.answers))
        images: Sequence[Any] = self._facts.images
        if len(self._platforms) > 1:
            images = images_for(self._platforms[self._number], self._platforms, self._facts.images)
        made.add_images(images)
        return made

    # -- layers ---------------------------------------------------------------------------------------------------

    def _layers(
        self, numbers: Mapping[str, int], layers_exported: bool
    ) -> dict[str, list[list[dict[str, Any]]]]:
        """The layers of steps whose results lie in a registry or were exported: of others BuildKit has no blob."""
        exported = {id for chain in self._chains for id in chain.layers} if layers_exported else set()
        out = {}
        for digest, number in numbers.items():
            for output in range(_OUTPUTS):
                tree = self._known(digest, output)
                chain = _chain_of(tree)
                if chain is None:
                    continue
                descriptors = [self._descriptor(id, exported) for id in chain.layers]
                if descriptors and None not in descriptors:
                    out[f"step{number}:{output}"] = [[each for each in descriptors if each is not None]]
        return out

    def _descriptor(self, layer_id: str, exported: set[str]) -> dict[str, Any] | None:
        row = self._context.store.layers.get(layer_id)
        if row is None or not (layer_id in exported or row.origin == _ADOPTED):
            return None
        blobs = [blob for blob in self._context.store.layers.blobs(layer_id) if not blob.rewritten]
        return _as_json(blobs[0]) if blobs else None


def _chain_of(tree: Tree | None) -> LayerChain | None:
    from bakehouse.engine.layer_tree import LayerTree

    return tree.chain() if isinstance(tree, LayerTree) else None


def _as_json(blob: BlobRow) -> dict[str, Any]:
    return {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}
