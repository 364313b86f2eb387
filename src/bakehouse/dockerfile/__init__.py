"""The Dockerfile frontend: text to typed instructions (`parser`, `instructions`), instructions to LLB (`lowering`).

This face holds what other rooms need: `lower` and the values that go in and come out of it. Nothing is imported
until it is asked for, since parsing and lowering are not wanted by every command. Knows nothing of engines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bakehouse.dockerfile.lowering import (
        InputContext,
        Lowered,
        LoweredPlatform,
        LowerRequest,
        MetaResolver,
        SourceTimeResolver,
        lower,
        parse_options,
    )

__all__ = [
    "InputContext",
    "LowerRequest",
    "Lowered",
    "LoweredPlatform",
    "MetaResolver",
    "SourceTimeResolver",
    "lower",
    "parse_options",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from bakehouse.dockerfile import lowering

        return getattr(lowering, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
