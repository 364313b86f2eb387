"""Names, paths and versions: what buildx adds to the library (`bake/hclparser/stdlib.go`)."""

from __future__ import annotations

import re

from bakehouse.hcl.function import Function, FunctionError
from bakehouse.hcl.functions.build import text_function, text_parameter
from bakehouse.hcl.types import BOOL, STRING, Type
from bakehouse.hcl.values import Value, boolean, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _basename(path: str) -> str:
    """The last element of a slash-separated path; `.` for an empty one, `/` for one of slashes only."""
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def _dirname(path: str) -> str:
    """All but the last element of a path, cleaned."""
    head = path[: path.rfind("/") + 1]
    return _clean(head)


def _clean(path: str) -> str:
    """The shortest path that means the same lexically (Go's `path.Clean`)."""
    rooted = path.startswith("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            parts.append(part)
        elif parts and parts[-1] != "..":
            parts.pop()
        elif not rooted:
            parts.append(part)
    return ("/" if rooted else "") + "/".join(parts) or "."


def homedir(provider: Callable[[], str] | None) -> Function:
    """The function `homedir()`, answered by `provider`."""

    def call(arguments: list[Value], result: Type) -> Value:
        if provider is None:
            raise FunctionError("the home directory is not known here")
        return string(provider())

    return Function([], STRING, call)


def _semvercmp(arguments: list[Value], result: Type) -> Value:
    from bakehouse.hcl.functions.semver import Constraints, SemverError, Version

    try:
        version = Version.parse(arguments[0].raw)
        return boolean(Constraints(arguments[1].raw).check(version))
    except SemverError as error:
        raise FunctionError(str(error)) from None


FUNCTIONS = {
    "basename": text_function("path", _basename),
    "dirname": text_function("path", _dirname),
    "homedir": homedir(None),
    "sanitize": text_function("name", lambda name: re.sub("[^a-zA-Z0-9_-]", "_", name)),
    "semvercmp": Function([text_parameter("version"), text_parameter("contraint")], BOOL, _semvercmp),
}
