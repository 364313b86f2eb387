"""In-toto statements: a predicate and the things that it is about (engine.md §18.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bakehouse.engine.attest.model import Attestation, AttestationBundle

if TYPE_CHECKING:
    from bakehouse.engine.tree import EngineContext
    from bakehouse.snapshots import LayerBlob, LayerChain

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

#: Name and digests (by algorithm) of something that a statement is about.
Subject = tuple[str, Mapping[str, str]]


def statement(
    attestation: Attestation, subjects: Sequence[Subject], *, layers_exported: bool
) -> dict[str, Any]:
    """The statement about `subjects`, or about those that `attestation` brought itself. `layers_exported`: see
    `Attestation`."""
    about = attestation.subjects or subjects
    return {
        "_type": STATEMENT_TYPE,
        "predicateType": attestation.predicate_type,
        "subject": [
            {"name": name, "digest": {key: digests[key] for key in sorted(digests)}}
            for name, digests in about
        ],
        "predicate": attestation.predicate(layers_exported),
    }


def single_attestations(
    attestations: Sequence[Attestation | AttestationBundle],
    context: EngineContext,
    blobs: Sequence[LayerBlob] = (),
    chain: LayerChain | None = None,
) -> list[Attestation]:
    """As `bundles.unbundled`, which most builds do not need."""
    single = [each for each in attestations if isinstance(each, Attestation)]
    if len(single) == len(attestations):
        return single
    from bakehouse.engine.attest.bundles import unbundled

    return unbundled(attestations, context, blobs, chain)
