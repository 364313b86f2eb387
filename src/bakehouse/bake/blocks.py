"""The state of one target or group block while it is evaluated: its instances (one a matrix combination), what of them
is decoded, and how that reads back through `target.NAME.attribute` (reference bake.md §10, §14)."""

from __future__ import annotations

from bakehouse.bake.declarations import unsuitable
from bakehouse.bake.fields import FIELDS, FIELDS_BY_NAME, GROUP_ATTRIBUTES
from bakehouse.bake.findings import Failure
from bakehouse.bake.kinds import Kind, Unsuitable
from bakehouse.bake.target import Group, Target
from bakehouse.hcl.convert import ConversionError, convert
from bakehouse.hcl.limits import STEPS_OF_A_TARGET, spend
from bakehouse.hcl.types import STRING
from bakehouse.hcl.values import object_, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from bakehouse.bake.evaluator import Scope
    from bakehouse.diagnostics import Diagnostic
    from bakehouse.hcl.syntax import Attribute, Block, Expression
    from bakehouse.hcl.values import Value

_NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_KINDS: dict[str, dict[str, Kind]] = {
    "target": {field.name: field.kind for field in FIELDS},
    "group": {row.name: row.kind for row in GROUP_ATTRIBUTES if row.kind is not None},
}


class BlockState:
    """A block with its attributes by name (those of its schema, `matrix` and `name` included)."""

    __slots__ = ("attributes", "block", "instances", "targets", "under_way")

    def __init__(self, block: Block, attributes: dict[str, Attribute]) -> None:
        self.block = block
        # In source order, so that of several findings the first in the file comes first (in buildx: any of them).
        self.attributes = dict(sorted(attributes.items(), key=_place))
        self.instances: list[Instance] = []
        self.targets: list[Target] = []
        self.under_way = False

    def finish(self, first: dict[str, Instance]) -> None:
        """Makes the targets of a wholly evaluated block. `first` has the first instance of each name so far."""
        self.targets = [instance.as_target() for instance in self.instances]
        for instance in self.instances:
            earlier = first.setdefault(instance.name, instance)
            if earlier is not instance:
                earlier.absorb(instance)

    def evaluable(self) -> Iterator[tuple[str, Attribute]]:
        """The attributes that have a field, in source order."""
        kinds = _KINDS[self.block.type]
        return ((name, attribute) for name, attribute in self.attributes.items() if name in kinds)

    def evaluable_attribute(self, name: str) -> Attribute | None:
        return self.attributes.get(name) if name in _KINDS[self.block.type] else None


def _place(item: tuple[str, Attribute]) -> int:
    return item[1].name_range.start.byte


class Instance:
    """One target or group that a block makes. `values` are the decoded attributes as HCL gave them."""

    __slots__ = ("_value", "decoded", "done", "name", "scope", "under_way", "values")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.name = ""
        self.done: set[str] = set()
        self.under_way: set[str] = set()
        self.values: dict[str, Value] = {}
        self.decoded: dict[str, Any] = {}
        self._value: tuple[int, Value] | None = None

    def decode(self, state: BlockState, name: str, value: Value) -> list[Diagnostic]:
        """Takes the value of an attribute; the findings when it does not suit."""
        try:
            self.decoded[name] = _KINDS[state.block.type][name].decode(value)
        except Unsuitable as error:
            return [unsuitable(state.attributes[name], error)]
        self.values[name] = value
        return []

    def absorb(self, later: Instance) -> None:
        """Merges a later block of the same target into this one, for references: buildx shows the merged target to
        whoever asks for an attribute that only the later block has."""
        for name, new in later.decoded.items():
            old = self.decoded.get(name)
            # A map without entries (all null, say) does not make an unset one set.
            if new is not None and not (old is None and new == {}):
                self.decoded[name] = new if old is None else FIELDS_BY_NAME[name].merge(old, new)
                self.values.pop(name, None)
        self._value = None

    def as_value(self, kind: str) -> Value:
        """The object that references see: all attributes, the undecoded ones as if unset."""
        if self._value is None or self._value[0] != len(self.decoded):
            members = {
                name: row.reference(self.values.get(name), self.decoded.get(name))
                for name, row in _KINDS[kind].items()
            }
            self._value = (len(self.decoded), object_({**members, "name": string(self.name)}))
        return self._value[1]

    def as_target(self) -> Target:
        target = Target(self.name)
        for name, decoded in self.decoded.items():
            if decoded is not None:
                setattr(target, FIELDS_BY_NAME[name].attribute, decoded)
        return target

    def as_group(self) -> Group:
        targets = self.decoded.get("targets")
        unique = None if targets is None else list(dict.fromkeys(targets))
        return Group(self.name, unique, self.decoded.get("description", ""))


def expand_matrix(value: Value) -> list[dict[str, Value]]:
    """The combinations of a matrix as values by axis name, the first axis (by name) varying fastest. Raises
    `Failure`."""
    if value.type.kind not in ("map", "object") or type(value.raw) is not dict:
        raise Failure("matrix must be a map")
    combinations: list[dict[str, Value]] = [{}]
    for axis, values in value.raw.items():
        if values.raw is None and values.type.kind in ("tuple", "object") and values.type.weight == 0:
            return []  # a null that, by its type, would have no elements either
        if not values.can_iterate() or not values.is_known:
            raise Failure("matrix values must be a list")
        spend(STEPS_OF_A_TARGET * len(values.raw) * len(combinations))
        combinations = [
            {**combination, axis: element} for element in values.elements() for combination in combinations
        ]
    return combinations


def instance_name(
    block: Block, attributes: Mapping[str, Attribute], evaluate: Callable[[Expression], Value]
) -> str:
    """The name of one instance: the label, or what `name` evaluates to. Raises `Failure`."""
    label = _checked(block.labels[0])
    attribute = attributes.get("name")
    if attribute is None:
        return label
    if "matrix" not in attributes:
        raise Failure("name requires matrix")
    value = evaluate(attribute.expr)
    try:
        name = convert(value, STRING).raw
    except ConversionError as error:
        raise Failure(str(error)) from None
    if not isinstance(name, str):
        raise Failure("name must be a string, not null")
    return _checked(name)


def _checked(name: str) -> str:
    if not name or not _NAME_CHARS.issuperset(name):
        raise Failure('only "[a-zA-Z0-9_-]+" are allowed')
    return name
