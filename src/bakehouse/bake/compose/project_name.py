"""The name of the project, which files can use as `${COMPOSE_PROJECT_NAME}`."""

from __future__ import annotations

from bakehouse.bake.compose.interpolation import interpolate
from bakehouse.bake.compose.nodes import ComposeFailure, Node, go_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.bake.compose.reader import YamlFile
    from bakehouse.bake.compose.template import Warn

_VARIABLE = "COMPOSE_PROJECT_NAME"
_DEFAULT = "bake"


def project_name(files: Sequence[YamlFile], environment: dict[str, str], warn: Warn) -> str:
    """The last `name` of the files, with variables filled in; else what the environment says, else `bake`.

    Raises `ComposeFailure`; text that cannot be read is left for the loader to tell.
    """
    found: Node | None = None
    for file in files:
        if file.mentions("name"):
            found = _named(file) or found
    if found is not None:
        name = interpolate(found.like({"name": found}), environment.get, warn).get("name")
        if name is not None and name.value:
            return str(name.value)
    return environment.get(_VARIABLE) or _DEFAULT


def _named(file: YamlFile) -> Node | None:
    """The last `name` of a file's documents, up to one in which it cannot be found."""
    found: Node | None = None
    try:
        for document in file.documents():
            root = document.root
            if root.value is None:
                continue
            name = root.get("name")
            if not isinstance(root.value, dict) or (
                name is not None and isinstance(name.value, (dict, list))
            ):
                break
            if name is not None and name.value not in (None, ""):
                found = name.like(go_text(name.value))
    except ComposeFailure:
        pass
    return found
