"""`--list`: targets with groups, and variables, as data, table or JSON (reference bake.md §22)."""

from __future__ import annotations

from bakehouse.go.jsontext import indented_json
from bakehouse.go.sorting import sorted_as_go

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.definition import Definition
    from bakehouse.bake.flags import ListOption


class ListedTarget:
    """A line of `--list=targets`. A group's description ends with its members."""

    __slots__ = ("description", "group", "name")

    def __init__(self, name: str, description: str, group: bool) -> None:
        self.name = name
        self.description = description
        self.group = group


class ListedVariable:
    """A line of `--list=variables`. `type` is "" when not declared; `value` None for null."""

    __slots__ = ("description", "name", "type", "value")

    def __init__(self, name: str, type: str, value: str | None, description: str) -> None:
        self.name = name
        self.type = type
        self.value = value
        self.description = description


def list_targets(definition: Definition) -> list[ListedTarget]:
    """Targets and groups by name; those whose names start with `_` are private and left out."""
    out = [ListedTarget(t.name, t.description or "", False) for t in definition.targets.values()]
    for group in definition.all_groups:
        members = ", ".join(sorted(group.targets or ()))
        description = group.description
        if members:
            description = f"{description} ({members})" if description else members
        out.append(ListedTarget(group.name, description, True))
    # Private ones count for where equal names end.
    return [entry for entry in sorted_as_go(out, lambda entry: entry.name) if not entry.name.startswith("_")]


def list_variables(definition: Definition) -> list[ListedVariable]:
    return sorted(definition.variables, key=lambda variable: variable.name)


def render_list(definition: Definition, option: ListOption) -> str:
    """The text of `--list`, with its final newline."""
    if option.type == "targets":
        entries = list_targets(definition)
        if option.format == "json":
            return indented_json([_target_members(entry) for entry in entries] or None) + "\n"
        return _table(["TARGET", "DESCRIPTION"], [[entry.name, entry.description] for entry in entries])
    variables = list_variables(definition)
    if option.format == "json":
        members = [_variable_members(variable) for variable in variables]
        return indented_json(None if definition.only_compose else members) + "\n"
    rows = [[v.name, v.type, "<null>" if v.value is None else v.value, v.description] for v in variables]
    return _table(["VARIABLE", "TYPE", "VALUE", "DESCRIPTION"], rows)


def _target_members(entry: ListedTarget) -> dict[str, object]:
    out: dict[str, object] = {"name": entry.name}
    if entry.description:
        out["description"] = entry.description
    if entry.group:
        out["group"] = True
    return out


def _variable_members(variable: ListedVariable) -> dict[str, object]:
    out: dict[str, object] = {"name": variable.name}
    if variable.description:
        out["description"] = variable.description
    if variable.type:
        out["type"] = variable.type
    if variable.value is not None:
        out["value"] = variable.value
    return out


def _table(header: list[str], rows: list[list[str]]) -> str:
    """Columns aligned with tabs of width eight."""
    from bakehouse.go.tabwriter import align

    return align("".join("\t".join(row) + "\n" for row in [header, *rows]), padding=1, tab_width=8)
