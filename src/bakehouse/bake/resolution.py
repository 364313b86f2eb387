"""Inheritance, overrides and links: from evaluated blocks to the targets a command builds (bake.md §13, §16, §18).

Pure: reads no files and no environment.
"""

from __future__ import annotations

from bakehouse.bake.contexts import TARGET_PREFIX, merge_bases, rebase
from bakehouse.bake.entries import Output
from bakehouse.bake.fields import FIELDS
from bakehouse.bake.overrides import apply_overrides
from bakehouse.bake.target import Target
from bakehouse.errors import DefinitionError, NotFoundError
from bakehouse.go.text import plain_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakehouse.bake.fields import Field
    from bakehouse.bake.overrides import Overrides
    from bakehouse.bake.target import Granted


def merge_target(old: Target, new: Target) -> None:
    """Merges `new` over `old`, changing `old`: the one merge of repeated blocks, later files and inheritance."""
    for field in FIELDS:
        value = getattr(new, field.attribute)
        if value is None:
            continue
        before = getattr(old, field.attribute)
        setattr(old, field.attribute, value if before is None else field.merge(before, value))


def merge_block(old: Target, new: Target) -> None:
    """Merges a later block of the same target over an earlier one; besides the fields, where contexts came from."""
    bases = merge_bases(old.base, new.base, new)
    merge_target(old, new)
    old.base = bases


def _names_of(fields: Sequence[Field]) -> tuple[tuple[str, Field], ...]:
    return tuple((field.attribute, field) for field in fields)


_TIDIED = _names_of([field for field in FIELDS if field.tidy is not None])
_LIST_FIELDS = (
    "inherits",
    "annotations",
    "attest",
    "tags",
    "cache_from",
    "cache_to",
    "secret",
    "ssh",
    "platforms",
    "output",
    "no_cache_filter",
    "ulimits",
    "entitlements",
    "policy",
)
_MAP_FIELDS = ("contexts", "args", "labels", "extra_hosts")


class Resolver:
    """Resolves targets by name over the evaluated ones.

    A target is resolved once and remembered, unless an inheritance cycle took part: what is skipped then depends on
    where the resolution began, as in buildx (trap T5).
    """

    def __init__(self, targets: Mapping[str, Target], overrides: Overrides, granted: Granted) -> None:
        self._targets = targets
        self._overrides = overrides
        self._granted = granted
        self._finished: dict[str, Target] = {}

    def resolve(self, name: str) -> Target:
        """The finished target, a copy of its own: parents and overrides merged, tidied, defaults filled in.

        Raises `NotFoundError` for a name that is no target, `DefinitionError` for a bad override.
        """
        resolved, _ = self._resolve(name, {})
        target = resolved.copy()
        target.inherits = None
        if target.context is None:
            base = target.base
            target.context = rebase(base.default or "", ".") if base is not None else "."
        if not target.dockerfile:
            target.dockerfile = "Dockerfile"
        for attribute in _LIST_FIELDS:
            setattr(target, attribute, list(getattr(target, attribute) or ()))
        for attribute in _MAP_FIELDS:
            setattr(target, attribute, dict(getattr(target, attribute) or {}))
        if target.description is None:
            target.description = ""
        return target

    def _resolve(self, name: str, under_way: dict[str, Target | None]) -> tuple[Target, bool]:
        """The merged target, and whether a cycle was cut on the way to it. `under_way` maps names begun in this
        resolution to their result, None before there is one."""
        if name in self._finished:
            return self._finished[name], False
        definition = self._targets.get(name)
        if definition is None:
            from bakehouse.bake.suggestions import suggestion

            raise NotFoundError(
                f"failed to find target {name}",
                code="unknown-target",
                hint=suggestion(name, self._targets),
            )
        under_way[name] = None
        target = Target(name)
        cut = False
        for parent_name in definition.inherits or ():
            if parent_name in under_way:
                parent = under_way[parent_name]
                # Not remembered either: its own result came about inside the same cycle or is complete.
                cut = cut or parent is None or parent_name not in self._finished
            else:
                parent, parent_cut = self._resolve(parent_name, under_way)
                cut = cut or parent_cut
            if parent is not None:
                merge_target(target, parent)
                # Parents of parents are no longer of interest, and would double with each level.
                target.inherits = None
        merge_target(target, definition)
        target.base = definition.base
        if name in self._overrides:
            apply_overrides(target, self._overrides[name], self._granted)
        _tidy(target)
        under_way[name] = target
        if not cut:
            self._finished[name] = target
        return target, cut


def _tidy(target: Target) -> None:
    if target.network == "host":
        target.entitlements = [*(target.entitlements or ()), "network.host"]
    for attribute, field in _TIDIED:
        value = getattr(target, attribute)
        if value is not None and field.tidy is not None:
            setattr(target, attribute, field.tidy(value))


def add_linked_targets(selected: dict[str, Target], resolver: Resolver) -> None:
    """Adds to `selected` every target that a `target:` context of one in it names, recursively, with a cache-only
    output, and hands entitlements on to the users of a link.

    Raises `DefinitionError` (codes `self-link`, `link-loop`, `platform-mismatch`) and `NotFoundError`.
    """
    for name in list(selected):
        _follow(name, selected, resolver, ())


def _follow(name: str, selected: dict[str, Target], resolver: Resolver, visited: tuple[str, ...]) -> None:
    visited = (*visited, name)
    user = selected[name]
    for _, value in sorted((user.contexts or {}).items()):
        if not value.startswith(TARGET_PREFIX):
            continue
        linked_name = value[len(TARGET_PREFIX) :]
        if linked_name == name:
            raise DefinitionError(f"target {linked_name} cannot link to itself", code="self-link")
        if linked_name in visited:
            raise DefinitionError(f"infinite loop from {name} to {linked_name}", code="link-loop")
        if linked_name not in selected:
            added = resolver.resolve(linked_name)
            added.output = [Output("cacheonly")]
            added.linked = True
            selected[linked_name] = added
        _follow(linked_name, selected, resolver, visited)
        _join(user, selected[linked_name])


def _join(user: Target, linked: Target) -> None:
    inherited = [value for value in linked.entitlements or () if value not in (user.entitlements or ())]
    user.entitlements = [*(user.entitlements or ()), *dict.fromkeys(inherited)]
    wanted, offered = user.platforms or [], linked.platforms or []
    if len(wanted) > 1 and len(offered) > 1 and not set(wanted) <= set(offered):
        raise DefinitionError(
            f"target {linked.name} can't be used by {user.name} because its platforms {plain_list(wanted)} "
            f"are not a subset of {plain_list(offered)}",
            code="platform-mismatch",
            hint=f"Add the missing platforms to target {linked.name}.",
        )
