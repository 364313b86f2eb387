"""What a target may ask for that the embedded engine does not do yet: refused by name, never ignored."""

from __future__ import annotations

from bakehouse.bake import Target
from bakehouse.errors import NotBuiltYetError


def refuse_unbuilt(target: Target, *, asked: bool = False) -> None:
    """Raises `NotBuiltYetError` naming the first field of `target` whose room does not exist. A target that is `asked`
    about, not built, may have those that only a build would use."""

    def refuse(field: str, why: str, override: str = "") -> None:
        hint = f"leave it out for this run with --set {target.name}.{override}" if override else None
        error = NotBuiltYetError(f"{field} is not supported yet: {why}", hint=hint)
        error.target = target.name
        raise error

    if asked:
        return
    if target.cache_from:
        refuse("cache-from", "the local store is the only cache so far", "cache-from=")
    if target.cache_to:
        refuse("cache-to", "the local store is the only cache so far", "cache-to=")
    for entry in target.attest or ():
        if not entry.disabled:
            refuse(
                f"attest type={entry.type}",
                "nothing is attested so far",
                f"attest=type={entry.type},disabled=true",
            )
