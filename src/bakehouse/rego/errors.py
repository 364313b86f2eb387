"""What is wrong with a policy, with the place in its text."""

from __future__ import annotations

from bakehouse.errors import DefinitionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.rego.syntax import Place


class RegoError(DefinitionError):
    """A text that is no policy, or an evaluation that cannot be brought to its end."""

    default_code = "invalid-policy"


def at(file: str, place: Place, message: str, hint: str | None = None) -> RegoError:
    """An error at a place of a policy file."""
    return RegoError(f"{file}:{place[0]}:{place[1]}: {message}", hint=hint)
