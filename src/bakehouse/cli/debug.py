"""`bakehouse debug`: a look into a build. `debug llb` shows the graph that a Dockerfile is compiled to."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bakehouse.cli.flags import BOOL, Flag, HelpWanted, Parsed, UsageError, parse, render_help
from bakehouse.cli.options import BUILD, progress_mode
from bakehouse.errors import BakehouseError, NotBuiltYetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.dockerfile.lowering import Lowered

#: What `debug llb` has beside the flags of `build`.
FLAGS = (
    Flag("json", BOOL, "llb: write the graph as JSON for people"),
    Flag("dot", BOOL, "llb: write the graph as a DOT digraph"),
)
SUBCOMMANDS = {"llb": "Write the graph of a Dockerfile, as BuildKit's client would send it"}
_LLB_FLAGS = (*FLAGS, *BUILD)


def help_text() -> str:
    lines = ["Usage:  bakehouse debug COMMAND", "", "Look into a build.", "", "Commands:"]
    lines += [f"  {name:<10}{text}" for name, text in SUBCOMMANDS.items()]
    return "\n".join([*lines, "", "`bakehouse debug COMMAND --help` tells more of a command."]) + "\n"


def llb_help_text() -> str:
    return render_help(
        "bakehouse debug llb [OPTIONS] PATH | URL | -",
        "Compile a Dockerfile and write the graph to standard output: the bytes of a pb.Definition, or a form for "
        "people. Takes the options of `build`; those that concern results change nothing. With several platforms, "
        "choose one.",
        _LLB_FLAGS,
    )


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    words = list(argv)
    if not words:
        sys.stdout.write(help_text())
        return 0
    name = words.pop(0)
    if name in ("--help", "-h"):
        raise HelpWanted
    if name == "build":
        raise NotBuiltYetError("`bakehouse debug build` is not supported yet: no debugger is there")
    if name not in SUBCOMMANDS:
        raise _unknown(name)
    try:
        return _llb(words, debug)
    except HelpWanted:
        sys.stdout.write(llb_help_text())
        return 0


def _unknown(name: str) -> UsageError:
    import difflib

    if name.startswith("-"):
        return UsageError(
            f"unknown flag: {name}", hint="flags stand behind the command: `bakehouse debug llb …`"
        )
    close = difflib.get_close_matches(name, SUBCOMMANDS, 1)
    hint = f"did you mean `debug {close[0]}`?" if close else f"there is: {', '.join(SUBCOMMANDS)}"
    return UsageError(f"unknown command: debug {name}", hint=hint)


def _llb(argv: Sequence[str], debug: bool) -> int:
    parsed = parse(_LLB_FLAGS, argv)
    mode = _check(parsed)
    lowered = _lower(parsed, mode, debug)
    edge = lowered.platforms[0].edge
    if not parsed.on("json") and not parsed.on("dot"):
        sys.stdout.buffer.write(lowered.definition())
        return 0
    from bakehouse.llb.describe import to_dot, to_json

    sys.stdout.write(to_json(edge) if parsed.on("json") else to_dot(edge))
    return 0


def _check(parsed: Parsed) -> str:
    """The progress mode. Raises `UsageError` for what cannot go together."""
    if len(parsed.arguments) != 1:
        raise UsageError(
            f"'bakehouse debug llb' requires 1 argument, got {len(parsed.arguments)}",
            hint="name the context directory, for example `bakehouse debug llb . > llb.pb`",
        )
    if parsed.text("call") not in ("", "build"):
        raise UsageError("--call and --check have no graph", hint="leave them out, or use `bakehouse build`")
    if parsed.on("json") and parsed.on("dot"):
        raise UsageError("--json and --dot cannot be used together")
    if not (parsed.on("json") or parsed.on("dot")) and sys.stdout.isatty():
        raise UsageError(
            "refusing to write a definition, which is no text, to a terminal",
            hint="redirect it to a file or a program, or add --json or --dot",
        )
    mode = progress_mode(parsed, os.environ, extra=("none",))
    return "quiet" if parsed.on("quiet") or mode == "none" else mode


def _lower(parsed: Parsed, mode: str, debug: bool) -> Lowered:
    """The Dockerfile compiled for one platform. Base images are looked up, nothing is built."""
    from bakehouse.builders.embedded import BuildRequest, lower_targets
    from bakehouse.cli.build import standard_input, target_of
    from bakehouse.cli.session import building, enter_user_namespace, settings
    from bakehouse.giturl import is_remote_url

    target, stdin_role = target_of(parsed)
    request = BuildRequest(
        {target.name: target},
        Path.cwd(),
        os.environ,
        standard_input(stdin_role, target),
        cgroup_parent=parsed.text("cgroup-parent"),
    )
    if is_remote_url(target.context or ""):
        enter_user_namespace()
    try:
        with building(mode, debug=debug) as (display, cancel):
            lowered = lower_targets(request, settings(), display.reporter, cancel)[target.name]
    except BakehouseError as error:
        error.during = f"failed to build: {error.during}"
        raise
    if len(lowered.platforms) > 1:
        names = ", ".join(each.id for each in lowered.platforms)
        raise UsageError(
            f"there is one graph a platform, and {len(lowered.platforms)} platforms: {names}",
            hint=f"choose one, for example --platform={lowered.platforms[0].id}",
        )
    return lowered
