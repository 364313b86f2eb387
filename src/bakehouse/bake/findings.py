"""How evaluation fails inside the room; none of these leave it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from bakehouse.diagnostics import Diagnostic


class Findings(Exception):
    """Findings with their places."""

    def __init__(self, findings: Iterable[Diagnostic]) -> None:
        self.findings = list(findings)
        super().__init__(str(self.findings[0]))


class Failure(Exception):
    """Something is wrong, and who catches this knows where."""


class Undefined(Failure):
    """A name means nothing. Often tolerated: evaluation then reports it with a better place."""
