"""How an error looks on the terminal, and its exit code. The only place that words errors for people."""

from __future__ import annotations

from bakehouse.errors import BakehouseError, CancelledError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


#: More findings than this do not help at once.
_MOST_FINDINGS = 20
_LONGEST_LINE = 200


def report(error: BakehouseError, stream: TextIO, *, debug: bool = False) -> int:
    """Writes `error` as BuildKit's clients do (dockerfile.md §17.1, bake.md §24): the failed step's last output, the
    source excerpt, then `ERROR:` and what to do. Returns the exit code."""
    parts: list[str] = []
    if error.log_tail and error.vertex:
        parts += ["------", f" > {error.vertex}:", *error.log_tail, "------"]
    if error.excerpt:
        parts.append(error.excerpt)
    parts += [f"Policy: {message}" for message in error.policy_messages if message]
    introduction = f"{f'target {error.target}: ' if error.target else ''}{error.during}"
    if isinstance(error, CancelledError):
        introduction += "Canceled: "
    parts.append(f"ERROR: {introduction}{error.message}")
    if error.hint:
        parts.append(f"hint: {error.hint}")
    parts += _other_findings(error)
    stream.write("\n".join(parts) + "\n")
    if debug:
        _traceback(error, stream)
    return error.exit_code


def _other_findings(error: BakehouseError) -> list[str]:
    """What else is wrong with a definition, each with its source line, so that one run shows all there is to mend."""
    from bakehouse.diagnostics import DiagnosticsError, render_lines

    if not isinstance(error, DiagnosticsError):
        return []
    others = error.others()
    out = []
    shown = None
    for finding in others[:_MOST_FINDINGS]:
        out.append(f"also: {finding}")
        where = finding.subject
        if (
            where is None
            or where.filename not in error.sources
            or shown == (where.filename, where.start.line)
        ):
            continue
        shown = (where.filename, where.start.line)
        lines = render_lines(error.sources[where.filename], where.start.line, where.start.line)
        # What is no text, or has no line breaks, helps nobody.
        out += [line for line in lines if len(line) <= _LONGEST_LINE and line.isprintable()]
    if len(others) > _MOST_FINDINGS:
        out.append(f"and {len(others) - _MOST_FINDINGS} more")
    return out


def report_bug(error: Exception, stream: TextIO, *, debug: bool = False) -> int:
    """An exception that nobody foresaw: our bug, said plainly."""
    import errno

    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        stream.write(
            f"ERROR: no space left on device: {error.filename or 'store'}\nhint: `bakehouse prune` frees space\n"
        )
        return 1
    stream.write(f"ERROR: internal error: {type(error).__name__}: {error}\n")
    if debug:
        _traceback(error, stream)
    else:
        stream.write("hint: this is a bug of Bakehouse; run again with -D for the traceback and report it\n")
    return 100


def _traceback(error: BaseException, stream: TextIO) -> None:
    import traceback

    traceback.print_exception(error, file=stream)
