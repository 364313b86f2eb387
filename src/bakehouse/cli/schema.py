"""`bakehouse schema`: the JSON schema of definitions in JSON form, for editors."""

from __future__ import annotations

import json
import sys

from bakehouse.cli.flags import Flag, UsageError, parse, render_help

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FLAGS = (Flag("output", help="Write to a file instead of standard output", short="o", metavar="file"),)


def help_text() -> str:
    return render_help(
        "bakehouse schema [OPTIONS]", "Print the JSON schema of docker-bake.json, for editors.", FLAGS
    )


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    parsed = parse(FLAGS, argv)
    if parsed.arguments:
        raise UsageError("`bakehouse schema` takes no arguments")
    from bakehouse.bake import definition_schema

    text = json.dumps(definition_schema(), indent=2) + "\n"
    if parsed.text("output"):
        from pathlib import Path

        from bakehouse.cli.session import write_atomically

        write_atomically(Path(parsed.text("output")), text)
    else:
        sys.stdout.write(text)
    return 0
