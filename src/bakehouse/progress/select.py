"""Which renderer shows a build, and the summary of warnings behind it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TextIO

from bakehouse.diagnostics import render_excerpt
from bakehouse.errors import DefinitionError
from bakehouse.progress.ansi import Palette, sanitized
from bakehouse.progress.events import WarningEvent
from bakehouse.progress.plain import PlainRenderer
from bakehouse.progress.quiet import QuietRenderer
from bakehouse.progress.rawjson import RawJsonRenderer
from bakehouse.progress.renderer import Renderer
from bakehouse.progress.tty import Size, TtyRenderer

MODES = ("auto", "plain", "tty", "quiet", "rawjson")
_DEFAULT_SIZE = (80, 10)


def make_renderer(
    mode: str,
    stream: TextIO,
    environ: Mapping[str, str],
    columns: int | None = None,
    *,
    phase: str = "Building",
    description: str = "",
) -> Renderer:
    """The renderer for `mode` (the empty mode is `auto`: tty on a terminal, else plain).

    `columns` fixes the width of the display instead of the terminal's own. `phase` is the verb of the live
    display's header; `description` says in a few words what builds where. Raises `DefinitionError` for a mode
    that does not exist and for `tty` where there is no terminal.
    """
    is_terminal = stream.isatty()
    if mode == "tty" and not is_terminal:
        raise DefinitionError(
            "failed to get console: the output is not a terminal",
            code="not-a-terminal",
            hint="Use --progress=plain, or auto, which chooses by itself.",
        )
    if mode == "tty" or (mode in ("auto", "") and is_terminal and environ.get("TERM") != "dumb"):
        return TtyRenderer(
            stream, environ, terminal_size(stream, columns), phase=phase, description=description
        )
    if mode in ("auto", "", "plain"):
        return PlainRenderer(stream, environ, description=description)
    if mode == "rawjson":
        return RawJsonRenderer(stream)
    if mode == "quiet":
        return QuietRenderer()
    raise DefinitionError(
        f"invalid progress mode {mode}", code="invalid-progress-mode", hint=f"Use one of {', '.join(MODES)}."
    )


def terminal_size(stream: TextIO, columns: int | None = None) -> Size:
    """A function that gives the size of the terminal behind `stream`, 80 by 10 where it cannot be known."""

    def size() -> tuple[int, int]:
        try:
            found = os.get_terminal_size(stream.fileno())
        except (OSError, ValueError):
            return columns or _DEFAULT_SIZE[0], _DEFAULT_SIZE[1]
        width, height = (found.columns, found.lines) if found.columns and found.lines else _DEFAULT_SIZE
        return columns or width, height

    return size


def warning_summary(
    warnings: Sequence[WarningEvent], environ: Mapping[str, str], *, expand: bool = False, color: bool = True
) -> str:
    """What is printed below the display when there were warnings, the empty string when there were none.

    With `expand` each comes with its details, its address and its source lines.
    """
    if not warnings:
        return ""
    count = len(warnings)
    title = f"{count} warning{'s' if count > 1 else ''} found"
    title += ":\n" if expand else " (use --debug to expand):\n"
    out = ["\n ", Palette(environ).paint("warning", title) if color else title]
    for warning in warnings:
        out.append(f" - {sanitized(warning.short)}\n")
        if expand:
            out += _details(warning)
    return "".join(out)


def _details(warning: WarningEvent) -> list[str]:
    out = [sanitized(text) + "\n" for text in warning.detail]
    if warning.url:
        out.append(f"More info: {sanitized(warning.url)}\n")
    if warning.filename and warning.first_line:
        source = warning.source.decode("utf-8", "replace")
        excerpt = render_excerpt(warning.filename, source, warning.first_line, warning.last_line)
        out.append("\n".join(map(sanitized, excerpt.split("\n"))) + "\n")
    out.append("\n")
    return out
