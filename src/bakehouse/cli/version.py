"""`bakehouse version`."""

from __future__ import annotations

import sys

from bakehouse.cli.flags import UsageError, parse, render_help
from bakehouse.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    parsed = parse((), argv)
    if parsed.arguments:
        raise UsageError("`bakehouse version` takes no arguments")
    sys.stdout.write(f"bakehouse {__version__}\n")
    return 0


def help_text() -> str:
    return render_help("bakehouse version", "Show the version.", ())
