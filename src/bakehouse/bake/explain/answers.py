"""Questions about a definition, `TARGET[.FIELD[.KEY]]`, and their answers as data (`bakehouse explain`)."""

from __future__ import annotations

from bakehouse.bake.explain.provenance import Explained, Provenance
from bakehouse.bake.fields import FIELDS, FIELDS_BY_NAME
from bakehouse.bake.suggestions import suggestion
from bakehouse.errors import DefinitionError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakehouse.bake.definition import Definition
    from bakehouse.bake.recorder import Recorder
    from bakehouse.diagnostics import SourceRange


class Address:
    """What is asked for: a target or group, perhaps a field of a target, perhaps a key or index of that field."""

    __slots__ = ("field", "part", "target")

    def __init__(self, target: str, field: str = "", part: str = "") -> None:
        self.target = target
        self.field = field
        self.part = part


def parse_address(text: str) -> Address:
    """`TARGET`, `TARGET.FIELD`, `TARGET.FIELD.KEY`, `TARGET.FIELD[KEY]`; keys may hold dots, and quotes around a
    key in brackets are taken off. Raises `DefinitionError`."""
    target, dot, rest = text.partition(".")
    head, bracket, inner = rest.partition("[")
    if bracket and "." not in head:
        if not inner.endswith("]") or inner == "]":
            raise _bad_address(text)
        field, part = head, inner[:-1]
        if len(part) > 1 and part[0] == part[-1] and part[0] in "\"'":
            part = part[1:-1]
        missing = not field
    else:
        field, second, part = rest.partition(".")
        missing = bool(dot and not field) or bool(second and not part)
    if not target or missing:
        raise _bad_address(text)
    return Address(target, field, part)


def _bad_address(text: str) -> DefinitionError:
    return DefinitionError(
        f"cannot read {text!r}: expected TARGET, TARGET.FIELD or TARGET.FIELD[KEY]",
        code="invalid-address",
        hint="For example web.args.VERSION or web.tags[0].",
    )


class Named:
    """A target or group of a list: where it is declared, its description, what a group expands to (None: a target)."""

    __slots__ = ("description", "members", "name", "place")

    def __init__(
        self, name: str, description: str, place: SourceRange | None, members: list[str] | None
    ) -> None:
        self.name = name
        self.description = description
        self.place = place
        self.members = members

    def as_json(self) -> dict[str, object]:
        out: dict[str, object] = {"name": self.name}
        if self.description:
            out["description"] = self.description
        if self.place is not None:
            out["place"] = self.place.as_json()
        if self.members is not None:
            out["members"] = self.members
        return out


class Answer:
    """What there is to say: `targets` and `groups` when names were asked for, `fields` of `target` otherwise."""

    __slots__ = ("fields", "groups", "place", "target", "targets")

    def __init__(
        self,
        *,
        target: str = "",
        place: SourceRange | None = None,
        fields: Sequence[Explained] = (),
        groups: Sequence[Named] = (),
        targets: Sequence[Named] = (),
    ) -> None:
        self.target = target
        self.place = place
        self.fields = fields
        self.groups = groups
        self.targets = targets

    def as_json(self) -> dict[str, object]:
        if self.target:
            out: dict[str, object] = {"target": self.target}
            if self.place is not None:
                out["place"] = self.place.as_json()
            return {**out, "fields": [field.as_json() for field in self.fields]}
        return {
            "groups": [group.as_json() for group in self.groups],
            "targets": [target.as_json() for target in self.targets],
        }


class Explainer:
    """Answers questions about a definition that was loaded with `record` as its recorder. `overrides` and
    `disable_policies` are those of the command, `flags` the flags that some of the overrides stand for, by number."""

    def __init__(
        self,
        definition: Definition,
        record: Recorder,
        overrides: Sequence[str] = (),
        *,
        disable_policies: bool = False,
        flags: Mapping[int, str] | None = None,
    ) -> None:
        self._definition = definition
        self._record = record
        self._overrides = overrides
        self._disable_policies = disable_policies
        self._provenance = Provenance(definition, record, flags)

    def answer(self, address: Address | None) -> Answer:
        """The answer; without an address, all names. Raises what `Definition.resolve` raises, `NotFoundError` for an
        unknown key, `DefinitionError` for an unknown field."""
        if address is None:
            names = self._definition.targets
            return Answer(groups=self._groups(self._definition.groups), targets=self._targets(names))
        definition = self._definition
        if address.target in definition.groups and not address.field:
            resolved = definition.resolve(
                [address.target], self._overrides, disable_policies=self._disable_policies
            )
            reached = [name for name in resolved.groups if name in definition.groups]
            wanted = [name for name in resolved.targets if not resolved.targets[name].linked]
            return Answer(groups=self._groups(reached), targets=self._targets(wanted))
        if address.target not in definition.targets:
            raise self._unknown_target(address)
        return self._fields(address)

    def _unknown_target(self, address: Address) -> NotFoundError:
        if address.target in self._definition.groups:
            return NotFoundError(
                f"{address.target} is a group: only targets have fields",
                code="unknown-target",
                hint=f"`bakehouse explain {address.target}` lists its targets.",
            )
        known = [*self._definition.groups, *self._definition.targets]
        return NotFoundError(
            f"failed to find target {address.target}",
            code="unknown-target",
            hint=suggestion(address.target, known) or "`bakehouse explain` lists all targets.",
        )

    def _fields(self, address: Address) -> Answer:
        field = FIELDS_BY_NAME.get(address.field)
        if address.field and field is None:
            raise DefinitionError(
                f'a target has no field "{address.field}"',
                code="unknown-field",
                hint=suggestion(address.field, [row.name for row in FIELDS])
                or "docs/reference/bake-fields.md lists the fields.",
            )
        resolved = self._definition.resolve(
            [address.target], self._overrides, disable_policies=self._disable_policies
        )
        # A target whose name is a group's too cannot be selected by it; as a member of the result it may be there.
        target = resolved.targets.get(address.target)
        if target is None:
            raise NotFoundError(
                f"{address.target} is a group of that name, which hides the target", code="unknown-target"
            )
        if field is None:
            fields = self._provenance.fields(target)
        else:
            fields = [self._provenance.field(target, field)]
            if address.part:
                fields = [_member(fields[0], address)]
        return Answer(target=target.name, place=self._place(address.target), fields=fields)

    def _place(self, name: str) -> SourceRange | None:
        assert self._record.evaluator is not None
        blocks = [state.block for state, _ in self._record.evaluator.blocks_named(name)]
        if blocks:
            # The last of them is the first in the files.
            return blocks[-1].label_ranges[0]
        composed = self._definition.compose
        return None if composed is None else composed.place(name, "name")

    def _targets(self, names: Sequence[str] | Mapping[str, object]) -> list[Named]:
        targets = self._definition.targets
        return [Named(name, targets[name].description or "", self._place(name), None) for name in names]

    def _groups(self, names: Sequence[str] | Mapping[str, object]) -> list[Named]:
        from bakehouse.bake.selection import select

        groups, targets = self._definition.groups, self._definition.targets
        assert self._record.evaluator is not None
        places = {
            block.labels[0]: block.label_ranges[0]
            for block in self._record.evaluator.declared.blocks
            if block.labels[0] in groups
        }
        return [
            Named(name, groups[name].description, places.get(name), select([name], groups, targets).targets)
            for name in names
        ]


def _member(field: Explained, address: Address) -> Explained:
    """One member or element of an explained field. Raises `NotFoundError`, which names those that there are."""
    wanted: str | int = address.part
    if field.members and isinstance(field.members[0].label, int):
        count = len(field.members)
        try:
            wanted = int(address.part)
        except ValueError:
            raise _no_member(field, address, f"Elements are counted from 0 to {count - 1}.") from None
        if wanted < 0:
            wanted += count
    for member in field.members:
        if member.label == wanted:
            label = _label(field.label, member.label)
            return Explained(label, member.value, member.origins, replaced=member.replaced)
    if not field.members:
        raise _no_member(field, address, "Nothing sets it." if field.value is None else "It is one value.")
    labels = [str(member.label) for member in field.members]
    hint = suggestion(address.part, labels) if isinstance(wanted, str) else None
    raise _no_member(field, address, hint or f"There are: {', '.join(labels)}.")


def _no_member(field: Explained, address: Address, hint: str) -> NotFoundError:
    return NotFoundError(
        f'{field.label} of target {address.target} has no "{address.part}"', code="unknown-member", hint=hint
    )


def _label(field: str | int, member: str | int) -> str:
    return f"{field}[{member}]" if isinstance(member, int) else f"{field}.{member}"
