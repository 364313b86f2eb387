"""`bakehouse bake`: definition files in, images out, with `docker buildx bake`'s flags (bake.md §1).

On the start-up path of `--print`: only the bake room is imported before it is known that something is to be built.
"""

from __future__ import annotations

import os
import sys

from bakehouse.cli.flags import Parsed, UsageError, parse, render_help
from bakehouse.cli.options import BAKE, progress_mode
from bakehouse.errors import NotBuiltYetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.bake import Definition, Resolved
    from bakehouse.progress.events import Reporter


def help_text() -> str:
    return render_help("bakehouse bake [OPTIONS] [TARGET...]", "Build from definition files.", BAKE)


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    # Flags whose rooms are missing still show in --print, which builds nothing.
    parsed = parse(BAKE, argv, refuse=False)
    for old, new in (("list-targets", "targets"), ("list-variables", "variables")):
        if parsed.on(old):
            parsed.values["list"] = new
    from bakehouse.bake import (
        LoadOptions,
        load,
        parse_list,
        parse_vars,
        print_json,
        render_list,
        split_arguments,
    )

    overrides, disable_policies = _flag_overrides(parsed)
    listing = parse_list(parsed.text("list")) if parsed.text("list") else None
    if parsed.on("print") and listing is not None:
        raise UsageError("--print and --list are mutually exclusive")
    mode = progress_mode(parsed, os.environ)
    arguments = split_arguments(parsed.arguments)
    if arguments.url:
        raise NotBuiltYetError(
            "remote definitions are not supported yet", hint="check the repository out and bake in its folder"
        )
    definition = load(
        LoadOptions(
            cwd=os.getcwd(),
            environ=os.environ,
            files=parsed.texts("file"),
            variables=parse_vars(parsed.texts("var")),
            stdin=lambda: sys.stdin.buffer.read(),
            stdout_is_terminal=sys.stdout.isatty(),
            warn=_warn,
        )
    )
    if listing is not None:
        sys.stdout.write(render_list(definition, listing))
        return 0
    resolved = definition.resolve(
        arguments.names, [*parsed.texts("set"), *overrides], disable_policies=disable_policies
    )
    if parsed.on("print"):
        sys.stdout.write(print_json(resolved))
        return 0
    if parsed.refused is not None:
        raise parsed.refused
    return _build(parsed, definition, resolved, mode, debug)


def _warn(text: str) -> None:
    sys.stderr.write(f"WARNING: {text}\n")


def _flag_overrides(parsed: Parsed) -> tuple[list[str], bool]:
    """The overrides that flags stand for, and whether `--policy disabled=true` drops all policies."""
    from bakehouse.bake import flag_overrides, parse_call

    call = "check" if parsed.on("check") else parsed.text("call")
    return flag_overrides(
        push=parsed.on("push"),
        load=parsed.on("load"),
        call=parse_call(call),
        no_cache=parsed.tristate("no-cache"),
        pull=parsed.tristate("pull"),
        sbom=parsed.text("sbom"),
        provenance=parsed.text("provenance"),
        policies=parsed.texts("policy"),
    )


def _build(parsed: Parsed, definition: Definition, resolved: Resolved, mode: str, debug: bool) -> int:
    from pathlib import Path

    from bakehouse.builders.embedded import BuildRequest, build
    from bakehouse.cli.entitlements import require_privileges
    from bakehouse.cli.session import (
        building,
        enter_user_namespace,
        loading,
        metadata_of,
        refuse_unbuilt_environment,
        settings,
        stdout_stream,
        write_metadata,
    )

    refuse_unbuilt_environment()
    require_privileges(
        resolved.targets.values(),
        parsed.texts("allow"),
        granted=resolved.granted,
        reads=definition.compose.files if definition.compose is not None else (),
    )
    configured = settings()
    with loading(resolved.targets) as loads:
        enter_user_namespace()
        request = BuildRequest(
            resolved.targets, Path.cwd(), os.environ, open_stdout=stdout_stream, loads=loads
        )
        with building(mode, debug=debug) as (display, cancel):
            _show_definitions(definition, parsed, display.reporter)
            outcome = build(request, configured, display.reporter, cancel)
    if parsed.text("metadata-file"):
        document = {name: metadata_of(keys) for name, keys in sorted(outcome.responses.items())}
        write_metadata(parsed.text("metadata-file"), document, display.warnings)
    return 0


def _show_definitions(definition: Definition, parsed: Parsed, reporter: Reporter) -> None:
    """The first step of the display: which definition files were read. They were, before there was a display."""
    name = "[internal] load local bake definitions"
    if not parsed.texts("file") and os.environ.get("BUILDX_BAKE_FILE", "").strip():
        name += " from BUILDX_BAKE_FILE env"
    vertex = reporter.vertex(f"sha256:{'0' * 64}", name)
    vertex.start()
    for file in definition.file_names:
        try:
            size = os.stat(file).st_size
        except OSError:
            size = 0
        with vertex.status(f"reading {file}", size) as status:
            status.advance(size)
    vertex.done()
