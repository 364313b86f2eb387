"""What a runtime said about itself: its JSON log, and its own words put into those of BuildKit's runc.

A step cannot tell which of the two runtimes it is run by, and neither should its log.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from bakehouse.lazy import regex

_MAX_LOG_BYTES = 256 * 1024
#: crun's own error lines, written to the step's standard error before any process of the step runs.
_NOT_FOUND = regex(r"^executable file `(?P<name>.*)` not found(?: in \$PATH)?: ")
_CANNOT_EXEC = regex(r"^(?:exec container process|open executable) ?(?:`(?P<name>.*)`)?: (?P<why>.*)$")
_LATE_ERROR = b'{"msg":"exec container process '
_REFUSED = regex(
    r"operation not permitted|permission denied|cgroup.*read-only|unshare|clone.*: (?:invalid|no space)",
    re.IGNORECASE,
)
_SETUP = regex(
    r"namespace|unshare|clone|cgroup|newuidmap|setgroups|mount `?(?:proc|sysfs|devpts)", re.IGNORECASE
)


def last_error(log: Path) -> str:
    """The message of the last error in a runtime's JSON log; empty when there is none."""
    try:
        with open(log, "rb") as file:
            data = file.read(_MAX_LOG_BYTES)
    except OSError:
        return ""
    for line in reversed(data.split(b"\n")):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("level") in ("error", "fatal"):
            return str(entry.get("msg", ""))
    return ""


def names_missing_permission(message: str) -> bool:
    """True when a runtime could not build the sandbox because the machine forbids it, whatever the step is."""
    return bool(_REFUSED.search(message) and _SETUP.search(message)) and not _CANNOT_EXEC.match(message)


def starts_like_error(data: bytes) -> bool:
    """True for output that may be crun's own error about the step's executable."""
    return data.startswith((b"executable file `", b"exec container process", b"open executable", _LATE_ERROR))


def late_error(data: bytes) -> str:
    """The message when `data` is nothing but the line that crun writes once its log is out of reach: the kernel refused
    to execute the file. Empty for any other output."""
    if not data.startswith(_LATE_ERROR) or data.count(b"\n") != 1:
        return ""
    try:
        entry = json.loads(data)
    except ValueError:
        return ""
    return str(entry["msg"]) if set(entry) == {"msg", "level", "time"} else ""


def in_the_words_of_runc(message: str, executable: str) -> str:
    """crun's `message` about `executable` (argv[0]) as runc 1.1 prints it; other messages with a prefix only."""
    failed = "runc run failed: unable to start container process"
    if _NOT_FOUND.match(message):
        if "/" in executable:
            return f'{failed}: exec: "{executable}": stat {executable}: no such file or directory'
        return f'{failed}: exec: "{executable}": executable file not found in $PATH'
    found = _CANNOT_EXEC.match(message)
    if found is None:
        return message
    why = found["why"].lower()
    if "permission denied" in why or "not permitted" in why:
        return f'{failed}: exec: "{executable}": permission denied'
    return f"exec {executable}: {why}"
