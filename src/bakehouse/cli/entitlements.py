"""Privileges that targets ask for and `--allow` grants (bake.md §23): refused, or asked for at a terminal."""

from __future__ import annotations

import os
import sys

from bakehouse.bake import Granted, missing_privileges, parse_allowed
from bakehouse.bake.entitlements import filesystem_checks_enabled
from bakehouse.errors import DeniedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bakehouse.bake import Target


def require_privileges(
    targets: Iterable[Target],
    allow: Sequence[str],
    *,
    granted: Granted | None = None,
    check_files: bool = True,
    reads: Iterable[str] = (),
) -> None:
    """Raises `DeniedError` when `targets` need more than `allow` grants and the user at the terminal does not agree.
    `reads` are files that the definition itself had read, beside those named by the user.

    `check_files` is off for `build`, whose paths the user names himself.
    """
    requested = missing_privileges(
        targets,
        parse_allowed(allow),
        granted or Granted(),
        cwd=os.getcwd(),
        environ=os.environ,
        reads=reads,
    )
    messages, flags = list(requested.messages), list(requested.flags)
    if check_files:
        messages += requested.fs_messages
        flags += requested.fs_flags
    if not messages:
        return
    lines = ["Your build is requesting privileges for following possibly insecure capabilities:", ""]
    lines += [f" - {message}" for message in messages]
    lines += [
        "",
        "In order to not see this message in the future pass "
        + " ".join(flags)
        + " to grant requested privileges.",
    ]
    sys.stderr.write("\n".join(lines) + "\n")
    if not requested.messages and not filesystem_checks_enabled(os.environ):
        return
    if sys.stdin is not None and sys.stdin.isatty():
        sys.stderr.write("\nDo you want to grant requested privileges and continue? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip() in ("y", "Y"):
            return
    raise DeniedError(
        "additional privileges requested", code="privileges-requested", hint="pass " + " ".join(flags)
    )
