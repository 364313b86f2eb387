"""What a target may ask for that the embedded engine does not do yet: refused by name, never ignored."""

from __future__ import annotations

from bakehouse.bake import Target
from bakehouse.errors import NotBuiltYetError


def refuse_unbuilt(target: Target) -> None:
    """Raises `NotBuiltYetError` naming the first field of `target` whose room does not exist."""

    def refuse(field: str, why: str, override: str = "") -> None:
        hint = f"leave it out for this run with --set {target.name}.{override}" if override else None
        error = NotBuiltYetError(f"{field} is not supported yet: {why}", hint=hint)
        error.target = target.name
        raise error

    if any(not entry.disabled for entry in target.policy or ()):
        refuse("policy", "source policies are not there")
