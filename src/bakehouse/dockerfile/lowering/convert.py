"""The entry point of the lowering."""

from __future__ import annotations

from bakehouse.dockerfile.lowering.request import Lowered, LowerRequest, MetaResolver


def lower(request: LowerRequest, resolver: MetaResolver) -> Lowered:
    raise NotImplementedError
