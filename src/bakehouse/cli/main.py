"""The entry point: finds the command, runs it, turns errors into text and exit codes.

Only the module of the command that was asked for is imported, and each of those imports the rooms it needs inside
its own functions: start-up time is a feature.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

#: Command → (module, one line of help), in the order in which the help shows them.
COMMANDS = {
    "bake": ("bake", "Build from definition files"),
    "build": ("build", "Build one image from a Dockerfile"),
    "lint": ("lint", "Find mistakes in definition files"),
    "explain": ("explain", "Show where the values of a target come from"),
    "schema": ("schema", "Print the JSON schema of docker-bake.json, for editors"),
    "run": ("run", "Run a command in an image that was built"),
    "images": ("images", "List, or remove, images of the local store"),
    "import": ("import_", "Make an image from a root file system or an image archive"),
    "du": ("du", "Show what the store holds"),
    "prune": ("prune", "Remove what the store no longer needs"),
    "debug": ("debug", "Look into a build"),
    "version": ("version", "Show the version"),
}

#: buildx's other commands: named, so that the refusal is a clear one.
UNBUILT = {
    "create": "builder instances",
    "use": "builder instances",
    "ls": "builder instances",
    "inspect": "builder instances",
    "rm": "builder instances",
    "stop": "builder instances",
    "imagetools": "registry tools",
    "history": "build records",
    "dial-stdio": "remote builders",
    "policy": "build policies",
    "dap": "debugging",
    "install": "Docker's plug-in links",
    "uninstall": "Docker's plug-in links",
}


def entry() -> NoReturn:
    """The console script."""
    _collect_rarely()
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output went away (`| head`): end quietly, and keep the interpreter from complaining.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 141
    except KeyboardInterrupt:
        code = 130
    # No interpreter shutdown: worker threads may sit in system calls, and everything durable is on disk already.
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _collect_rarely() -> None:
    """Lets the cyclic garbage collector rest while a short command runs.

    Python looks for cycles whenever 700 more objects live than before. The modules and file trees of a build are many
    times that, and all in use: the search was a tenth of a build from the cache. Few of our objects form cycles.
    """
    import gc

    gc.set_threshold(100_000, 20, 20)


def main(argv: Sequence[str]) -> int:
    """Runs one command line and returns its exit code. Never raises `BakehouseError`."""
    from bakehouse.cli.flags import HelpWanted
    from bakehouse.errors import BakehouseError

    words = list(argv)
    debug = False
    try:
        words, debug = _global_flags(words)
        if not words or words[0] in ("help", "--help", "-h"):
            if len(words) > 1 and words[0] == "help":
                words = [words[1], "--help"]
            else:
                sys.stdout.write(_overview())
                return 0
        name = words.pop(0)
        if name in ("--version", "-v"):
            name = "version"
        module = _command_module(name)
        try:
            return int(module.command(words, debug=debug))
        except HelpWanted:
            sys.stdout.write(module.help_text())
            return 0
    except BakehouseError as error:
        from bakehouse.cli.failure import report

        return report(error, sys.stderr, debug=debug)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:
        from bakehouse.cli.failure import report_bug

        return report_bug(error, sys.stderr, debug=debug)


def _global_flags(words: list[str]) -> tuple[list[str], bool]:
    """Takes `--builder` and `-D`/`--debug` off, before or after the command's name, as buildx allows."""
    from bakehouse.errors import NotBuiltYetError

    debug = bool(os.environ.get("BAKEHOUSE_DEBUG"))
    rest: list[str] = []
    builder = os.environ.get("BUILDX_BUILDER", "")
    while words:
        word = words.pop(0)
        if word in ("-D", "--debug") and not (rest and rest[0] == "run"):
            debug = True
        elif word == "--builder" and words:
            builder = words.pop(0)
        elif word.startswith("--builder="):
            builder = word.partition("=")[2]
        else:
            rest.append(word)
            if word == "--" or (rest[0] == "run" and len(rest) > 1 and not word.startswith("-")):
                rest += words
                break
    if builder not in ("", "default", "embedded"):
        raise NotBuiltYetError(
            f"--builder {builder} is not supported yet: only the embedded engine (`embedded`) is there"
        )
    return rest, debug


def _command_module(name: str) -> Any:
    from bakehouse.cli.flags import UsageError
    from bakehouse.errors import NotBuiltYetError

    # `f` is buildx's short name of bake, `b` of build.
    name = {"f": "bake", "b": "build"}.get(name, name)
    if name in COMMANDS:
        return __import__(f"bakehouse.cli.{COMMANDS[name][0]}", fromlist=["command"])
    if name in UNBUILT:
        raise NotBuiltYetError(f"`bakehouse {name}` is not supported yet: {UNBUILT[name]} are not there")
    import difflib

    close = difflib.get_close_matches(name, COMMANDS, 1)
    hint = f"did you mean `{close[0]}`?" if close else "`bakehouse --help` lists the commands"
    raise UsageError(f"unknown command: {name}", hint=hint)


def _overview() -> str:
    lines = [
        "Usage:  bakehouse [OPTIONS] COMMAND",
        "",
        "Build container images, with no daemon.",
        "",
        "Commands:",
    ]
    lines += [f"  {name:<10}{text}" for name, (_, text) in COMMANDS.items()]
    lines += [
        "",
        "Options:",
        "      --builder string   Builder instance (only `embedded` so far)",
        "  -D, --debug            Show tracebacks of internal errors",
        "",
        "`bakehouse COMMAND --help` tells more of a command.",
    ]
    return "\n".join(lines) + "\n"
