"""Hints for misspelt names."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def suggestion(wanted: str, names: Iterable[str]) -> str | None:
    """A sentence naming the known name closest to `wanted`, or None when nothing is close."""
    # difflib is only worth its import time once something went wrong.
    from difflib import get_close_matches

    close = get_close_matches(wanted, list(names), n=1, cutoff=0.6)
    return f'Did you mean "{close[0]}"?' if close else None
