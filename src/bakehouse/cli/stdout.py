"""Texts for people on a standard output whose encoding may not have all characters, and documents for programs."""

from __future__ import annotations

import sys


def can_show(text: str) -> bool:
    """Whether standard output has every character of `text`."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def show(text: str) -> None:
    """Writes `text`; a character that the encoding lacks, or that is none (a byte of the environment beyond UTF-8),
    is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def emit(text: str) -> None:
    """Writes a document for programs: UTF-8 whatever the terminal's encoding, and bytes beyond it as they came in."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
