"""Reads ignore files: lines to patterns (dockerfile.md §11.1). Which file counts is the frontend's
business."""

from __future__ import annotations

from bakehouse.dockerfile.directives import MAX_LINE_BYTES
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.go.paths import clean_path
from bakehouse.go.text import SPACES

_BOM = b"\xef\xbb\xbf"


def read_ignore_file(data: bytes) -> list[str]:
    """The patterns of a `.dockerignore`, in order, cleaned, exclusions with their `!`. Names that are not
    UTF-8 come as `surrogateescape`. Raises `DockerfileError` for a line that is too long."""
    patterns: list[str] = []
    lines = data.removeprefix(_BOM).split(b"\n")
    for number, raw in enumerate(lines, 1):
        if len(raw) > MAX_LINE_BYTES:
            raise DockerfileError(
                "bufio.Scanner: token too long",
                location=LineRange(number, number),
                code="line-too-long",
                hint=f"A line of an ignore file holds at most {MAX_LINE_BYTES} bytes.",
            )
        line = raw.removesuffix(b"\r").decode("utf-8", "surrogateescape")
        if line.startswith("#"):
            continue
        pattern = _normalise(line.strip(SPACES))
        if pattern:
            patterns.append(pattern)
    return patterns


def _normalise(pattern: str) -> str:
    exclusion = pattern.startswith("!")
    if exclusion:
        pattern = pattern[1:].strip(SPACES)
    if pattern:
        pattern = clean_path(pattern)
        if len(pattern) > 1:
            pattern = pattern.removeprefix("/")
    return "!" + pattern if exclusion else pattern
