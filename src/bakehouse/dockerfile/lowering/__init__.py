"""Dockerfile to LLB: the graph that BuildKit's `dockerfile2llb` makes, byte for byte (dockerfile.md §4-§10, §12-§14).

`lower` is the entry point, `parse_options` reads BuildKit's frontend options into a `LowerRequest`. One module an
instruction family; `stages` holds what is known of a stage while it is lowered. Nothing here runs anything: images
and remote sources are looked up through the protocols in `request`.
"""

from __future__ import annotations

from bakehouse.dockerfile.lowering.contexts import main_context_root
from bakehouse.dockerfile.lowering.convert import lower
from bakehouse.dockerfile.lowering.options import parse_options
from bakehouse.dockerfile.lowering.request import (
    InputContext,
    Lowered,
    LoweredPlatform,
    LowerRequest,
    MetaResolver,
    SourceTimeResolver,
)

__all__ = [
    "InputContext",
    "LowerRequest",
    "Lowered",
    "LoweredPlatform",
    "MetaResolver",
    "SourceTimeResolver",
    "lower",
    "main_context_root",
    "parse_options",
]
