"""`bakehouse bake`: definition files in, images out, with `docker buildx bake`'s flags (bake.md §1).

On the start-up path of `--print`: only the bake room is imported before it is known that something is to be built.
"""

from __future__ import annotations

import os
import sys

from bakehouse.cli.flags import Parsed, UsageError, parse, render_help
from bakehouse.cli.options import BAKE
from bakehouse.errors import NotBuiltYetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.bake import Resolved


def help_text() -> str:
    return render_help("bakehouse bake [OPTIONS] [TARGET...]", "Build from definition files.", BAKE)


def command(argv: Sequence[str]) -> int:
    parsed = parse(BAKE, argv)
    for old, new in (("list-targets", "targets"), ("list-variables", "variables")):
        if parsed.on(old):
            parsed.values["list"] = new
    from bakehouse.bake import (
        LoadOptions,
        flag_overrides,
        load,
        parse_list,
        parse_vars,
        print_json,
        render_list,
        split_arguments,
    )

    listing = parse_list(parsed.text("list")) if parsed.text("list") else None
    if parsed.on("print") and listing is not None:
        raise UsageError("--print and --list are mutually exclusive")
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
        )
    )
    if listing is not None:
        sys.stdout.write(render_list(definition, listing))
        return 0
    extra, disable_policies = flag_overrides(
        push=parsed.on("push"),
        load=parsed.on("load"),
        no_cache=parsed.tristate("no-cache"),
        pull=parsed.tristate("pull"),
    )
    resolved = definition.resolve(
        arguments.names, [*parsed.texts("set"), *extra], disable_policies=disable_policies
    )
    if parsed.on("print"):
        sys.stdout.write(print_json(resolved))
        return 0
    return _build(parsed, resolved)


def _build(parsed: Parsed, resolved: Resolved) -> int:
    from pathlib import Path

    from bakehouse.builders.embedded import BuildRequest, build
    from bakehouse.cli.entitlements import require_privileges
    from bakehouse.cli.session import (
        building,
        enter_user_namespace,
        metadata_of,
        settings,
        stdout_stream,
        write_metadata,
    )

    require_privileges(resolved.targets.values(), parsed.texts("allow"), granted=resolved.granted)
    configured = settings()
    enter_user_namespace()
    request = BuildRequest(resolved.targets, Path.cwd(), os.environ, None, stdout_stream)
    with building(parsed.text("progress")) as (display, cancel):
        outcome = build(request, configured, display.reporter, cancel)
    if parsed.text("metadata-file"):
        document = {name: metadata_of(keys) for name, keys in sorted(outcome.responses.items())}
        write_metadata(parsed.text("metadata-file"), document)
    return 0
