"""`bakehouse bake`: definition files in, images out, with `docker buildx bake`'s flags (bake.md §1).

On the start-up path of `--print`: only the bake room is imported before it is known that something is to be built.
"""

from __future__ import annotations

import os
import sys

from bakehouse.cli.flags import Parsed, UsageError, parse, render_help
from bakehouse.cli.options import BAKE, progress_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.bake import Arguments, Definition, LoadOptions, Resolved
    from bakehouse.bake.remote import RemoteTree
    from bakehouse.builders.remote import FetchedDefinition
    from bakehouse.cli.session import Display
    from bakehouse.progress.events import Reporter
    from bakehouse.solver.model import Cancellation


def help_text() -> str:
    return render_help(
        "bakehouse bake [OPTIONS] [URL [URL]] [TARGET...]", "Build from definition files.", BAKE
    )


class _Command:
    """One command line, its flags checked in buildx's order."""

    def __init__(self, parsed: Parsed, debug: bool) -> None:
        from bakehouse.bake import parse_allowed, split_arguments
        from bakehouse.bake.files import names_from_environment

        self.parsed = parsed
        self.debug = debug
        self.files = parsed.texts("file") or names_from_environment(os.environ, os.getcwd())
        self.files_from_environment = bool(self.files) and not parsed.texts("file")
        self.arguments: Arguments = split_arguments(parsed.arguments)
        self.overrides, self.disable_policies = _flag_overrides(parsed)
        parse_allowed(parsed.texts("allow"))
        self.listing = parsed.text("list")
        if parsed.on("print") and self.listing:
            raise UsageError("--print and --list are mutually exclusive")
        self.mode = progress_mode(parsed, os.environ)

    def options(self, tree: RemoteTree | None = None) -> LoadOptions:
        from bakehouse.bake import LoadOptions, parse_vars

        return LoadOptions(
            cwd=os.getcwd(),
            environ=os.environ,
            files=self.files,
            tree=tree,
            command_context=self.arguments.command_context,
            variables=lambda: parse_vars(self.parsed.texts("var")),
            stdin=lambda: sys.stdin.buffer.read(),
            stdout_is_terminal=sys.stdout.isatty(),
            warn=_warn,
        )


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    # Flags whose rooms are missing still show in --print, which builds nothing.
    parsed = parse(BAKE, argv, refuse=False)
    for old, new in (("list-targets", "targets"), ("list-variables", "variables")):
        if parsed.on(old) and not parsed.text("list"):
            parsed.values["list"] = new
    line = _Command(parsed, debug)
    if line.arguments.url:
        return _bake_remote(line)
    from bakehouse.bake import load

    return _answer(line, load(line.options()))


def _bake_remote(line: _Command) -> int:
    """A definition behind a URL: fetching it is the first part of the display, whatever comes then."""
    from pathlib import Path

    from bakehouse.bake import load
    from bakehouse.builders.remote import fetched_definition
    from bakehouse.cli.session import building, enter_user_namespace, settings

    configured = settings()
    enter_user_namespace()
    url = line.arguments.url
    with building(line.mode, debug=line.debug) as (display, cancel):
        with fetched_definition(url, Path.cwd(), configured, os.environ, display.reporter, cancel) as fetched:
            definition = load(line.options(fetched.files))
            if definition.file_names:
                _show_definitions(line, definition, display.reporter)
            return _answer(line, definition, (display, cancel), fetched)


def _answer(
    line: _Command,
    definition: Definition,
    shown: tuple[Display, Cancellation] | None = None,
    fetched: FetchedDefinition | None = None,
) -> int:
    """Lists, prints or builds. `shown` is the display that is there already, `fetched` a remote definition."""
    from bakehouse.bake import parse_list, print_json, render_list

    if line.listing:
        listing = parse_list(line.listing)
        _write(render_list(definition, listing), shown)
        return 0
    parsed = line.parsed
    resolved = definition.resolve(
        line.arguments.names,
        [*parsed.texts("set"), *line.overrides],
        disable_policies=line.disable_policies,
    )
    if parsed.on("print"):
        _write(print_json(resolved), shown)
        return 0
    if parsed.refused is not None:
        raise parsed.refused
    return _build(line, definition, resolved, shown, fetched)


def _write(text: str, shown: tuple[Display, Cancellation] | None) -> None:
    """Writes the answer, behind what the display has to show."""
    if shown is not None:
        shown[0].close(False)
    from bakehouse.cli.stdout import emit

    emit(text)


def _warn(text: str) -> None:
    sys.stderr.write(f"WARNING: {text}\n")


def _flag_overrides(parsed: Parsed) -> tuple[list[str], bool]:
    """The overrides that flags stand for, and whether `--policy disabled=true` drops all policies."""
    from bakehouse.bake import flag_overrides, parse_call

    return flag_overrides(
        push=parsed.on("push"),
        load=parsed.on("load"),
        call=parse_call(parsed.text("call")),
        no_cache=parsed.tristate("no-cache"),
        pull=parsed.tristate("pull"),
        sbom=parsed.text("sbom"),
        provenance=parsed.text("provenance"),
        policies=parsed.texts("policy"),
    )


def _build(
    line: _Command,
    definition: Definition,
    resolved: Resolved,
    shown: tuple[Display, Cancellation] | None,
    fetched: FetchedDefinition | None,
) -> int:
    from contextlib import nullcontext
    from pathlib import Path

    from bakehouse.bake import parse_call
    from bakehouse.builders.calls import calls_of
    from bakehouse.builders.embedded import BuildRequest, build
    from bakehouse.builders.remote import built_targets
    from bakehouse.cli.entitlements import require_privileges
    from bakehouse.cli.session import (
        answer_metadata,
        building,
        enter_user_namespace,
        loading,
        metadata_of,
        settings,
        stdout_stream,
        told_provenance,
        write_metadata,
    )
    from bakehouse.giturl import is_remote_url

    parsed = line.parsed
    targets = built_targets(resolved, fetched.files if fetched else None, os.environ)
    flag, calls = parse_call(parsed.text("call")), calls_of(targets)
    require_privileges(
        targets.values(),
        parsed.texts("allow"),
        granted=resolved.granted,
        remote=fetched is not None,
        ask=line.mode != "rawjson",
        before_asking=None if shown is None else shown[0].pause,
        reads=definition.compose.files if definition.compose is not None else (),
    )
    configured = settings()
    built = {name: target for name, target in targets.items() if name not in calls}
    with loading(built) as loads:
        if built or any(is_remote_url(target.context or "") for target in targets.values()):
            enter_user_namespace()
        request = BuildRequest(
            targets,
            Path.cwd(),
            os.environ,
            open_stdout=stdout_stream,
            loads=loads,
            tree=fetched.tree if fetched else None,
            engine=fetched.engine if fetched else None,
            calls=calls,
            provenance=told_provenance(parsed),
        )
        opened = building(line.mode, debug=line.debug) if shown is None else nullcontext(shown)
        with opened as (display, cancel):
            if shown is None:
                _show_definitions(line, definition, display.reporter)
            outcome = build(request, configured, display.reporter, cancel)
            if shown is not None:
                display.close(False)
    if parsed.text("metadata-file"):
        document = {name: metadata_of(keys) for name, keys in outcome.responses.items()}
        document |= {name: answer_metadata(answer) for name, answer in outcome.answers.items()}
        write_metadata(parsed.text("metadata-file"), document, () if flag else display.warnings)
    if flag is None and not calls:
        return 0
    from bakehouse.cli.calls import print_answers

    return print_answers(outcome.answers, calls, flag, resolved)


def _show_definitions(line: _Command, definition: Definition, reporter: Reporter) -> None:
    """A step of the display: which definition files of this machine were read. They were, before it was shown."""
    name = "[internal] load local bake definitions"
    if line.files_from_environment:
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
