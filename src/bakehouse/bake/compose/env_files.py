"""Environment files that Compose files name."""

from __future__ import annotations

from bakehouse.bake.compose.dotenv import DotenvError, parse_dotenv
from bakehouse.bake.compose.nodes import ComposeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.compose.model import Loading
    from bakehouse.bake.compose.nodes import Node
    from bakehouse.bake.compose.template import Lookup


def read_env_file(
    loading: Loading, path: str, place: Node | None, lookup: Lookup, found: dict[str, str], shown: str
) -> None:
    """Adds the variables of the file `path` to `found`; `place` names it, `shown` is how messages call it.

    Raises `ComposeFailure`.
    """
    text = loading.disk.read(path, place).decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        parse_dotenv(text, lookup, loading.warn, found)
    except DotenvError as error:
        raise ComposeFailure(f"failed to read {shown}: {error}", place, code="invalid-env-file") from None
