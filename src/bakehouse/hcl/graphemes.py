"""Extended grapheme clusters (Unicode 15.0, UAX #29): splitting and counting. The property tables live in
`grapheme_tables`, which is loaded only for text outside ASCII.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def count_clusters(text: str) -> int:
    """The number of grapheme clusters in `text`."""
    if text.isascii() and "\r\n" not in text:
        return len(text)
    return sum(1 for _ in clusters(text))


def clusters(text: str) -> Iterator[str]:
    """The grapheme clusters of `text`, in order; together they are the text."""
    if text.isascii() and "\r" not in text:
        yield from text
        return
    from bakehouse.hcl.grapheme_tables import property_of

    start = 0
    previous = ""
    flags = 0  # how many regional indicators precede in this cluster
    emoji = False  # the cluster is a pictograph, with extenders and perhaps a joiner behind it
    for index, char in enumerate(text):
        current = property_of(char)
        if index and _breaks(previous, current, flags, emoji):
            yield text[start:index]
            start, flags, emoji = index, 0, False
        if current == "RI":
            flags += 1
        if current == "Pict":
            emoji = True
        elif current not in ("Extend", "ZWJ"):
            emoji = False
        previous = current
    if text:
        yield text[start:]


def _breaks(previous: str, current: str, flags: int, emoji: bool) -> bool:
    """Rules GB3 to GB999: whether a boundary lies between two characters with these properties."""
    if previous == "CR" and current == "LF":
        return False
    if previous in ("CR", "LF", "Control") or current in ("CR", "LF", "Control"):
        return True
    if previous == "L" and current in ("L", "V", "LV", "LVT"):
        return False
    if previous in ("LV", "V") and current in ("V", "T"):
        return False
    if previous in ("LVT", "T") and current == "T":
        return False
    if current in ("Extend", "ZWJ", "SpacingMark") or previous == "Prepend":
        return False
    if previous == "ZWJ" and current == "Pict" and emoji:
        return False
    return not (previous == "RI" and current == "RI" and flags % 2 == 1)
