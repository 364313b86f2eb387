"""Names on the command line to targets and groups (reference bake.md §15)."""

from __future__ import annotations

from bakehouse.bake.target import Group
from bakehouse.errors import NotFoundError
from bakehouse.go.text import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PATTERN_CHARS = frozenset("*?[]")


class Selection:
    """What some names mean: `targets` and reached `groups`, in order, without repetitions."""

    __slots__ = ("groups", "names", "targets")

    def __init__(self, names: list[str], targets: list[str], groups: list[str]) -> None:
        self.names = names
        self.targets = targets
        self.groups = groups


def select(requested: Iterable[str], groups: Mapping[str, Group], target_names: Iterable[str]) -> Selection:
    """Expands patterns and groups. Plain names are not checked: an unknown one comes out as a target.

    Raises `NotFoundError` (code `unknown-target`) for a pattern that matches nothing.
    """
    known = [*groups, *target_names]
    names: list[str] = []
    for name in requested:
        names += _match(name.replace(".", "_"), known)
    names = list(dict.fromkeys(names))
    targets: dict[str, None] = {}
    reached: dict[str, None] = {}
    for name in names:
        found, through = _expand(name, groups, {})
        targets.update(dict.fromkeys(found))
        reached.update(dict.fromkeys(through))
    return Selection(names, list(targets), list(reached))


def _match(pattern: str, known: list[str]) -> list[str]:
    if _PATTERN_CHARS.isdisjoint(pattern):
        return [pattern]
    from bakehouse.go.globs import BadPatternError, match_path

    try:
        found = [name for name in known if match_path(pattern, name)]
    except BadPatternError:
        found = []
    if not found:
        from bakehouse.bake.suggestions import suggestion

        raise NotFoundError(
            f"could not find any target matching {quote(pattern)}",
            code="unknown-target",
            hint=suggestion(pattern.strip("*?[]"), known),
        )
    return found


def _expand(
    name: str, groups: Mapping[str, Group], visited: dict[str, tuple[list[str], list[str]]]
) -> tuple[list[str], list[str]]:
    """Targets and groups of one name, depth first. A group under way counts as a target of its name, and so does a
    group that means no target at all."""
    if name in visited:
        return visited[name]
    group = groups.get(name)
    if group is None:
        return [name], []
    visited[name] = ([], [])
    targets: list[str] = []
    reached = [name]
    for member in group.targets or ():
        found, through = _expand(member, groups, visited)
        targets += found or [member]
        reached += through
    visited[name] = (list(dict.fromkeys(targets)), list(dict.fromkeys(reached)))
    return visited[name]


def printed_groups(selection: Selection, groups: Mapping[str, Group]) -> dict[str, Group]:
    """The groups reached, and `default`: its own members if it was reached, plus every requested name but itself."""
    out = {name: groups[name] for name in selection.groups}
    default = out.get("default")
    if default is not None:
        # The original is kept as declared; what is printed is a copy.
        default = Group("default", default.targets, default.description)
    for name in selection.names:
        if name == "default" and default is not None:
            continue
        if default is None:
            default = Group("default", [])
        default.targets = [*(default.targets or ()), name]
    if default is not None:
        if default.targets:
            default.targets = sorted(set(default.targets))
        out["default"] = default
    return out
