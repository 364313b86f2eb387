"""`bakehouse import`: a root file system tar, or an image archive, into the local image store."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from bakehouse.cli.flags import LIST, STRING, Flag, Parsed, UsageError, parse, render_help

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.engine.importer import ConfigChanges

FLAGS = (
    Flag("cmd", STRING, "Default command, as JSON ('[\"sh\"]') or as text for the shell"),
    Flag("entrypoint", STRING, "Entrypoint, as JSON or as text for the shell"),
    Flag("env", LIST, "Environment variable of the image", short="e"),
    Flag("workdir", STRING, "Working directory of the image", short="w"),
    Flag("user", STRING, "User of the image", short="u"),
    Flag("label", LIST, "Label of the image"),
    Flag("platform", STRING, "Platform of the image (default: this machine's)"),
)


def help_text() -> str:
    return render_help(
        "bakehouse import [OPTIONS] FILE|- [NAME[:TAG]]",
        "Make an image of a root file system tar (any compression), or take in an OCI or Docker image archive.",
        FLAGS,
    )


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    parsed = parse(FLAGS, argv)
    if len(parsed.arguments) not in (1, 2):
        raise UsageError(
            "'bakehouse import' requires a file and a name",
            hint="for example `… | bakehouse import - base:latest`",
        )
    source = parsed.arguments[0]
    name = parsed.arguments[1] if len(parsed.arguments) == 2 else ""
    from bakehouse.builders.importing import ImportRequest, import_image
    from bakehouse.cli.session import enter_user_namespace, settings

    request = ImportRequest(
        path=None if source == "-" else Path(source),
        name=name,
        platform=parsed.text("platform"),
        changes=_changes(parsed),
    )
    configured = settings()
    enter_user_namespace()
    for full, digest in import_image(request, configured, os.environ, sys.stdin.buffer):
        sys.stdout.write(f"{full} {digest}\n")
    return 0


def _changes(parsed: Parsed) -> ConfigChanges | None:
    """What the flags ask of the image config; None when they ask nothing."""
    if not parsed.given & {"cmd", "entrypoint", "env", "workdir", "user", "label"}:
        return None
    from bakehouse.engine.importer import ConfigChanges

    return ConfigChanges(
        cmd=_words("cmd", parsed.text("cmd")),
        entrypoint=_words("entrypoint", parsed.text("entrypoint")),
        env=parsed.texts("env"),
        workdir=parsed.text("workdir"),
        user=parsed.text("user"),
        labels=dict(text.partition("=")[::2] for text in parsed.texts("label")),
    )


def _words(flag: str, text: str) -> list[str]:
    if not text:
        return []
    if not text.lstrip().startswith("["):
        return ["/bin/sh", "-c", text]
    try:
        words = json.loads(text)
    except ValueError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UsageError(f"--{flag} {text!r} is not a JSON array of strings")
    return words
