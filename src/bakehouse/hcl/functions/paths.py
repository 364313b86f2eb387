"""Names, paths and versions: what buildx adds to the library (`bake/hclparser/stdlib.go`)."""

from __future__ import annotations

import re

from bakehouse.go.paths import base_name, parent_path
from bakehouse.hcl.function import Function, FunctionError
from bakehouse.hcl.functions.build import text_function, text_parameter
from bakehouse.hcl.types import BOOL, STRING, Type
from bakehouse.hcl.values import Value, boolean, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


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
    "basename": text_function("path", base_name),
    "dirname": text_function("path", parent_path),
    "homedir": homedir(None),
    "sanitize": text_function("name", lambda name: re.sub("[^a-zA-Z0-9_-]", "_", name)),
    "semvercmp": Function([text_parameter("version"), text_parameter("contraint")], BOOL, _semvercmp),
}
