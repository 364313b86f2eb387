"""Privileges that targets ask for and `--allow` grants (bake.md §23): refused, or asked for at a terminal.

The texts are buildx's, so that a script which looks for them finds them.
"""

from __future__ import annotations

import os
import sys

from bakehouse.bake import Granted, Requested, missing_privileges, parse_allowed
from bakehouse.bake.entitlements import filesystem_checks_enabled
from bakehouse.errors import DeniedError
from bakehouse.go.text import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bakehouse.bake import Target


def require_privileges(
    targets: Iterable[Target],
    allow: Sequence[str],
    *,
    granted: Granted | None = None,
    check_files: bool = True,
    remote: bool = False,
    ask: bool = True,
    before_asking: Callable[[], None] | None = None,
    reads: Iterable[str] = (),
) -> None:
    """Raises `DeniedError` when `targets` need more than `allow` grants and the user at the terminal does not agree.
    `reads` are files that the definition itself had read, beside those named by the user.

    `check_files` is off for `build`, whose paths the user names himself. `remote` says that strangers wrote the
    definition. Without `ask` (nobody reads what is printed) the error names the flags, and nothing else is said.
    `before_asking` is called before anything is printed.
    """
    requested = missing_privileges(
        targets,
        parse_allowed(allow),
        granted or Granted(),
        cwd=os.getcwd(),
        environ=os.environ,
        reads=reads,
    )
    if not check_files:
        requested.fs_messages, requested.fs_flags = [], []
    if not requested:
        return
    terminal = ask and sys.stdin is not None and sys.stdin.isatty()
    if ask:
        if before_asking is not None:
            before_asking()
        _write(_explanation(requested, terminal))
    files_count = filesystem_checks_enabled(os.environ, remote)
    if not files_count and not requested.messages:
        return
    if files_count and ask and requested.fs_messages and "BUILDX_BAKE_ENTITLEMENTS_FS" not in os.environ:
        _write("To disable filesystem entitlements checks, you can set BUILDX_BAKE_ENTITLEMENTS_FS=0 .\n\n")
    if terminal and _agreed():
        return
    flags = " ".join([*requested.flags, *(requested.fs_flags if files_count else ())])
    message = "additional privileges requested"
    if not ask:
        message += f": pass {quote(flags)} to grant requested privileges"
    raise DeniedError(message, code="privileges-requested", hint=f"pass {flags}")


def _explanation(requested: Requested, terminal: bool) -> str:
    """What is asked for, which flags grant it, and the whole command with them."""
    lines = ["Your build is requesting privileges for following possibly insecure capabilities:", ""]
    lines += [f" - {message}" for message in (*requested.messages, *requested.fs_messages)]
    flags = " ".join([*requested.flags, *requested.fs_flags])
    verb = "In order to not see this message in the future pass" if terminal else "Pass"
    lines += ["", f"{verb} {quote(flags)} to grant requested privileges."]
    words = _command_line()
    if "bake" in words:
        place = words.index("bake") + 1
        lines += ["", "Your full command with requested privileges:", ""]
        lines += [f"{' '.join(words[:place])} {flags} {' '.join(words[place:])}", ""]
    return "\n".join(lines) + "\n"


def _command_line() -> list[str]:
    """The words of this command, the program by the name that users know."""
    program = os.environ.get("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND") or sys.argv[0]
    if program.endswith("__main__.py"):
        program = "bakehouse"
    return [program, *sys.argv[1:]]


def _agreed() -> bool:
    """Asks at the terminal. An interrupt ends the command there and then: there is nothing to unwind yet."""
    import signal

    _write("Do you want to grant requested privileges and continue? [y/N] ")
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.readline().rstrip("\r\n").lower() == "y"
    finally:
        signal.signal(signal.SIGINT, previous)


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
