"""Where the values of a resolved target come from, read from the record of how they came about (`recorder`).

`Provenance.field` walks the steps of one field backwards to the one that supplied a value, an element or a member:
through normalisation, overrides, parents and blocks to an expression in a file, and from there through what the
expression mentions. It computes no value: values are those that the steps hold and that printing prints.
"""

from __future__ import annotations

from bakehouse.bake import merge_rules, recorder
from bakehouse.bake.explain.following import Spot
from bakehouse.bake.explain.names import Names, Origin
from bakehouse.bake.fields import FIELDS, FIELDS_BY_NAME, LIST, OVERRIDE_KEYS, SCALAR
from bakehouse.bake.override_rules import ALWAYS_APPENDING
from bakehouse.bake.printing import target_as_json
from bakehouse.hcl.values import tuple_

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from bakehouse.bake.blocks import BlockState, Instance
    from bakehouse.bake.definition import Definition
    from bakehouse.bake.explain.following import Path
    from bakehouse.bake.fields import Field
    from bakehouse.bake.override_rules import Override
    from bakehouse.bake.recorder import Recorder, Step
    from bakehouse.bake.target import Target
    from bakehouse.diagnostics import SourceRange

_MERGES = (recorder.WRITTEN, recorder.COMPOSED, recorder.INHERITED, recorder.OWN)
#: Rules by which a new element takes the place of an equal old one.
_NEW_WINS = (merge_rules.replace, merge_rules.append_by_type, merge_rules.append_by_id)


class Part:
    """A part of a value: the member `key` of a map or object, or the elements of a list that equal `element`."""

    __slots__ = ("element", "key")

    def __init__(self, key: str | None = None, element: Any = None) -> None:
        self.key = key
        self.element = element

    def within(self, value: Any) -> bool:
        if value is None:
            return False
        return self.key in members(value) if self.key is not None else self.element in value


class Explained:
    """A field, or one member of it, with its origins. `value` is what printing shows (None: nothing); `members` are
    the parts of a collection, by key or index; `notes` tell what normalisation dropped; `replaced` are the values that
    stood there before, with their origins."""

    __slots__ = ("label", "members", "notes", "origins", "replaced", "value")

    def __init__(
        self,
        label: str | int,
        value: object,
        origins: list[Origin],
        members: list[Explained] | None = None,
        notes: list[str] | None = None,
        replaced: list[Explained] | None = None,
    ) -> None:
        self.replaced = replaced or []
        self.label = label
        self.value = value
        self.origins = origins
        self.members = members or []
        self.notes = notes or []

    def as_json(self) -> dict[str, object]:
        out: dict[str, object] = {"name": self.label, "value": self.value}
        out["origins"] = [origin.as_json() for origin in self.origins]
        if self.members:
            out["members"] = [member.as_json() for member in self.members]
        if self.notes:
            out["notes"] = self.notes
        if self.replaced:
            out["replaced"] = [
                {"value": old.value, "origins": [origin.as_json() for origin in old.origins]}
                for old in self.replaced
            ]
        return out


def members(value: Any) -> Mapping[str, Any]:
    """The members of a map, or of an object of limits; none of anything else."""
    if isinstance(value, dict):
        return value
    limits = getattr(value, "limits", None)
    return limits if isinstance(limits, dict) else {}


class Provenance:
    """Explains targets that were resolved from `definition` while `record` took notes. `flags` names the command's
    flags that overrides stand for, by the overrides' numbers."""

    def __init__(
        self, definition: Definition, record: Recorder, flags: Mapping[int, str] | None = None
    ) -> None:
        self._definition = definition
        self._record = record
        self._flags = flags or {}
        self._names = Names(definition, record)

    def fields(self, target: Target) -> list[Explained]:
        """Every field that has a printed value, and `inherits`, in the order of printing."""
        shown = set(target_as_json(target))
        if self._definition.targets[target.name].inherits:
            shown.add("inherits")
        return [self.field(target, field) for field in FIELDS if field.name in shown]

    def field(self, target: Target, field: Field) -> Explained:
        """One field of a resolved target; an unset one tells who emptied it, if anybody did."""
        self._names.begin()
        notes = self._notes(self._record.history(target), field)
        if field.name == "inherits":
            notes += self._passed_over(target)
        if not field.printed:
            # Consumed by resolution: only the evaluated target has it.
            target = self._definition.targets[target.name]
        steps = self._record.history(target)
        value = getattr(target, field.attribute)
        printed = target_as_json(target).get(field.name) if field.printed else value
        parts: list[Explained] = []
        if isinstance(value, list):
            for index, element in enumerate(value):
                shown = printed[index] if isinstance(printed, list) else element
                parts.append(Explained(index, shown, self._trace(steps, field, Part(element=element))))
        elif members(value):
            assert isinstance(printed, dict)
            for key, shown in printed.items():
                part = Part(key)
                origins = self._trace(steps, field, part)
                replaced = self._replaced(steps, field, part)
                parts.append(Explained(key, shown, origins, replaced=replaced))
        if parts:
            return Explained(field.name, printed, [], parts, notes)
        replaced = [] if isinstance(value, (list, dict)) else self._replaced(steps, field, None)
        return Explained(field.name, printed, self._trace(steps, field, None), None, notes, replaced)

    def place(
        self, target: Target, field: Field, part: Part | None, *, key: bool = False
    ) -> SourceRange | None:
        """Where a file says what the field, or a part of it, is; None when no file does. With `key`, where the key of a
        member stands, if it stands beside the value."""
        self._names.begin(places_only=True)
        return _first_place(self._trace(self._record.history(target), field, part), key)

    # Steps

    def _trace(self, steps: Sequence[Step], field: Field, part: Part | None) -> list[Origin]:
        """The origins of a value, or of a part of it, as it is after the last of `steps`."""
        index, step = self._last(steps, field, part)
        return self._origins(steps, index, step, field, part)

    def _last(self, steps: Sequence[Step], field: Field, part: Part | None) -> tuple[int, Step | None]:
        """The last step that made the value, or the part of it, and its number; None when there is none."""
        attribute = field.attribute
        for index in range(len(steps) - 1, -1, -1):
            step = steps[index]
            before = step.before.get(attribute)
            if step.kind in _MERGES:
                assert step.given is not None
                made = _supplies(field, before, step.given[attribute], part)
            elif step.kind == recorder.OVERRIDDEN:
                made = _overrides(step.source, field, before, part)
            else:
                made = _completes(before, step.after.get(attribute), part)
            if made:
                return index, step
        return -1, None

    def _origins(
        self, steps: Sequence[Step], index: int, step: Step | None, field: Field, part: Part | None
    ) -> list[Origin]:
        if step is None:
            return []
        if step.kind in _MERGES:
            return self._merged(step, field, part)
        if step.kind == recorder.OVERRIDDEN:
            return [self._overridden(steps[:index], step, field, part)]
        return [self._completed(steps[:index], step, field, part)]

    def _replaced(self, steps: Sequence[Step], field: Field, part: Part | None) -> list[Explained]:
        """Other values that a merge or an override put an end to, in the target's own blocks and above them."""
        index, step = self._last(steps, field, part)
        if step is None or step.kind not in (*_MERGES, recorder.OVERRIDDEN):
            return []
        before, after = (
            _part_value(values.get(field.attribute), part) for values in (step.before, step.after)
        )
        out = []
        if before is not None and before != after:
            out.append(Explained(field.name, before, self._trace(steps[:index], field, part)))
        if step.kind == recorder.OWN:
            out += self._replaced(self._record.history(step.source), field, part)
        return out

    def _merged(self, step: Step, field: Field, part: Part | None) -> list[Origin]:
        if step.kind == recorder.OWN:
            return self._trace(self._record.history(step.source), field, part)
        if step.kind == recorder.INHERITED:
            return [self._inherited(step.source, field, part)]
        if step.kind == recorder.COMPOSED:
            name, positions = step.source
            assert step.given is not None
            place = positions(name, field.name, _position_of(step.given[field.attribute], part))
            return [Origin("file", "written in a Compose file", place)]
        state, instance = step.source
        return [self.written(state, instance, field, part)]

    def _inherited(self, parent: Target, field: Field, part: Part | None) -> Origin:
        """The origin that a parent is, or the one at the end of a chain of parents that only hand the value on."""
        way = [parent.name]
        while True:
            index, step = self._last(self._record.history(parent), field, part)
            if step is None or step.kind != recorder.INHERITED:
                break
            parent = step.source
            way.append(parent.name)
        text = f"inherited from target {way[-1]}"
        if len(way) > 1:
            text += f", by way of {', '.join(way[:-1])}"
        causes = self._origins(self._record.history(parent), index, step, field, part)
        return Origin("inherited", text, causes=causes, facts={"targets": way})

    def _overridden(self, earlier: Sequence[Step], step: Step, field: Field, part: Part | None) -> Origin:
        override: Override = step.source
        numbers = list(dict.fromkeys(override.numbers))
        texts = [self._record.texts[number] for number in numbers]
        if OVERRIDE_KEYS[override.key][0].style != LIST:
            # All but the last value were overridden themselves.
            numbers, texts = numbers[-1:], texts[-1:]
        named = [
            self._flags.get(number) or f"--set {text}" for number, text in zip(numbers, texts, strict=True)
        ]
        kind = "flag" if all(number in self._flags for number in numbers) else "set"
        text = " ".join(named)
        if override.subkey is not None and "=" not in texts[-1]:
            text += f", of which the value is the environment's {override.subkey}"
        causes = []
        if part is not None and part.key is None:
            causes = self._derived(earlier, step, field, part.element)
        return Origin(kind, text, causes=causes, facts={"overrides": texts})

    def _derived(self, earlier: Sequence[Step], step: Step, field: Field, element: Any) -> list[Origin]:
        """The origins of the entry that a step changed into `element`: one of the same type or id that is gone."""
        if isinstance(element, str):
            return []
        before, after = step.before.get(field.attribute) or (), step.after.get(field.attribute) or ()
        names = [name for name in ("type", "id") if hasattr(element, name)]
        for old in before:
            if old not in after and all(getattr(old, name) == getattr(element, name) for name in names):
                return self._trace(earlier, field, Part(element=old))
        return []

    def _completed(self, earlier: Sequence[Step], step: Step, field: Field, part: Part | None) -> Origin:
        """The origin that a step which is neither a merge nor an override is."""
        if step.kind == recorder.HOST_NETWORK:
            causes = self._trace(earlier, FIELDS_BY_NAME["network"], None)
            return Origin("normalised", "the host's network needs this entitlement", causes=causes)
        if step.kind == recorder.DEFAULTED:
            return Origin("default", "the format's default")
        if step.kind == recorder.LINKED:
            return Origin("linked", "another target uses the result; outputs of its own are not made")
        if step.kind == recorder.JOINED:
            causes = self._trace(self._record.history(step.source), field, part)
            return Origin("linked", f"needed by the linked target {step.source.name}", causes=causes)
        if step.kind == recorder.EPOCH:
            return Origin("environment", "SOURCE_DATE_EPOCH of the environment")
        if step.kind == recorder.UNPOLICED:
            return Origin("flag", "--policy=disabled=true")
        if part is None or part.key is not None:
            causes = self._trace(earlier, field, part)
        else:
            causes = self._derived(earlier, step, field, part.element)
        if step.kind == recorder.REBASED:
            text = "seen from the working directory, not from that of its file"
        else:
            text = "the path, cleaned" if part is None else "without a destination it goes to standard output"
        return Origin("normalised", text, causes=causes)

    def _notes(self, steps: Sequence[Step], field: Field) -> list[str]:
        """What merging and normalisation dropped."""
        notes = []
        for step in steps:
            before, after = step.before.get(field.attribute), step.after.get(field.attribute)
            if step.kind == recorder.TIDIED and isinstance(before, dict):
                notes += [
                    f"{key} was dropped: its value is empty" for key in before if key not in (after or {})
                ]
            elif isinstance(before, list):
                if step.kind in _MERGES and step.given is not None and field.merge is not merge_rules.replace:
                    before = [*before, *(step.given[field.attribute] or ())]
                notes += _dropped(before, after or [])
        return notes

    def _passed_over(self, target: Target) -> list[str]:
        """The parents that were left out, anywhere above the target, because the way to them is a circle."""
        notes = []
        seen = {id(target)}
        pending = [target]
        for each in pending:
            for step in self._record.history(each):
                if step.kind == recorder.SKIPPED:
                    why = "the way leads round in a circle"
                    notes.append(f"{step.source} was passed over as a parent of {each.name}: {why}")
                elif step.kind == recorder.INHERITED and id(step.source) not in seen:
                    seen.add(id(step.source))
                    pending.append(step.source)
        return notes

    # Blocks

    def written(self, state: BlockState, instance: Instance, field: Field, part: Part | None) -> Origin:
        """The origin that a block is: its expression for the field, or as much of it as makes the part."""
        expression = state.attributes[field.name].expr
        path = () if part is None else self._path_of(instance, field, part)
        return self._names.origin(Spot(expression, instance.scope, path, state=state))

    def _path_of(self, instance: Instance, field: Field, part: Part) -> Path:
        """The way to the part in the value of the field's expression."""
        if part.key is not None:
            return (part.key,)
        value = instance.values.get(field.name)
        if value is None or not value.can_iterate():
            return ()
        for index, element in enumerate(value.elements()):
            if part.element in _decoded(field, element):
                return (index,)
        return ()


def _part_value(value: Any, part: Part | None) -> Any:
    return value if part is None or part.key is None else members(value).get(part.key)


def _dropped(before: list[Any], after: list[Any]) -> list[str]:
    """The repetitions of elements that are still there, and empty texts."""
    notes = []
    seen: list[Any] = []
    for element in before:
        if element == "" and "" not in after:
            notes.append("an empty text was dropped")
        elif element not in seen:
            seen.append(element)
            extra = before.count(element) - after.count(element) if element in after else 0
            notes += [f"a repetition of {_shown(element)} was dropped"] * extra
    return notes


def _supplies(field: Field, before: Any, given: Any, part: Part | None) -> bool:
    """Whether merging `given` over `before` is what made the value, or the part of it."""
    if given is None:
        return False
    if part is None:
        return field.merge is not merge_rules.replace_nonempty or given != "" or before is None
    if not part.within(given):
        return False
    return part.key is not None or field.merge in _NEW_WINS or not part.within(before)


def _completes(before: Any, after: Any, part: Part | None) -> bool:
    """Whether a step that is neither a merge nor an override made the value, or the part of it."""
    if before == after:
        return False
    if part is None:
        # Emptied, or made a collection: nothing that anybody said.
        return not isinstance(after, (list, dict)) and not (after == "" and before is None)
    if part.key is not None:
        return bool(members(before).get(part.key) != members(after).get(part.key))
    return not part.within(before)


def _overrides(override: Override, field: Field, before: Any, part: Part | None) -> bool:
    """Whether an override is what made the field's value, or the part of it."""
    key, changed = OVERRIDE_KEYS[override.key]
    if changed is not field:
        return False
    if part is None:
        return True
    if part.key is not None:
        return override.subkey == part.key
    appends = override.append or key.style == SCALAR or key.rule in ALWAYS_APPENDING or override.subkey
    return not (appends and part.within(before))


def _decoded(field: Field, value: Any) -> list[Any]:
    """What one element of a list becomes: no entry, one, or several."""
    from bakehouse.bake.kinds import Unsuitable

    try:
        return list(field.kind.decode(tuple_([value])) or ())
    except Unsuitable:
        return []


def _position_of(value: Any, part: Part | None) -> str | int | None:
    if part is None:
        return None
    return part.key if part.key is not None else value.index(part.element)


def _shown(element: Any) -> str:
    return f'"{element}"' if isinstance(element, str) else str(element)


def _first_place(origins: Sequence[Origin], key: bool) -> SourceRange | None:
    for origin in origins:
        if origin.place is not None:
            return (origin.key if key else None) or origin.place
        place = _first_place(origin.causes, key)
        if place is not None:
            return place
    return None
