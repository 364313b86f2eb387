"""Rules about how targets and groups refer to each other: names that do not exist, circles, targets that nothing leads
to. `buildable` tells which targets are there to be built, rather than to be inherited from."""

from __future__ import annotations

from bakehouse.bake.contexts import TARGET_PREFIX
from bakehouse.bake.explain.provenance import Part
from bakehouse.bake.fields import FIELDS_BY_NAME
from bakehouse.bake.suggestions import suggestion
from bakehouse.hcl.traversal import TraverseAttribute
from bakehouse.insight.lint import rules
from bakehouse.insight.lint.report import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakehouse.bake.target import Group, Target
    from bakehouse.diagnostics import SourceRange
    from bakehouse.insight.lint.subject import Subject

_INHERITS = FIELDS_BY_NAME["inherits"]
_CONTEXTS = FIELDS_BY_NAME["contexts"]


class Graph:
    """References between targets and groups, as the files make them."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        definition = subject.definition
        self._targets = definition.targets
        self._groups = definition.groups
        self._parents = {parent for target in self._targets.values() for parent in target.inherits or ()}
        self._linked = {name for target in self._targets.values() for _, name in links(target)}
        # A matrix makes a group of its own name, which leads to its targets only if something leads to it.
        self._made = {
            block.labels[0]: [instance.name for instance in subject.evaluator.state_of(block).instances]
            for block in subject.blocks("target")
            if "matrix" in subject.evaluator.state_of(block).attributes
        }
        self._members = {
            member
            for group in self._groups.values()
            if group.name not in self._made
            for member in group.targets or ()
        }
        for label, names in self._made.items():
            if label in self._members or label == "default":
                self._members.update(names)

    def look(self) -> Iterator[Finding]:
        """All findings of this module's rules."""
        yield from self._empty_matrices()
        yield from self._unknown()
        yield from self._circles()
        yield from self._unreachable()

    def buildable(self) -> list[str]:
        """The targets that somebody builds: all but those that are only inherited from, or whose names begin with an
        underscore, and that nothing else leads to."""
        wanted = self._members | self._linked | {"default"}
        return [
            name
            for name in self._targets
            if name in wanted or not (name in self._parents or name.startswith("_"))
        ]

    def complete(self, name: str) -> bool:
        """Whether a target, and all that it inherits from and links to, exists."""
        seen = {name}
        pending = [name]
        while pending:
            target = self._targets.get(pending.pop())
            if target is None:
                return False
            needed = {*(target.inherits or ()), *(linked for _, linked in links(target))} - seen
            seen |= needed
            pending += needed
        return True

    def _empty_matrices(self) -> Iterator[Finding]:
        for block in self._subject.blocks("target"):
            state = self._subject.evaluator.state_of(block)
            if not state.instances:
                message = f'target "{block.labels[0]}" makes no target: an axis of its matrix is empty'
                yield Finding(rules.EMPTY_MATRIX, message, state.attributes["matrix"].expr.range)

    def _unknown(self) -> Iterator[Finding]:
        for group in self._groups.values():
            for member in group.targets or ():
                if member not in self._targets and member not in self._groups:
                    message = f'group "{group.name}" names "{member}", which does not exist'
                    yield self._unknown_finding(message, self._member_place(group, member), member, True)
        for target in self._targets.values():
            for parent in target.inherits or ():
                if parent not in self._targets:
                    why = "is a group" if parent in self._groups else "does not exist"
                    message = f'target "{target.name}" inherits from "{parent}", which {why}'
                    place = self._place(target, parent)
                    yield self._unknown_finding(message, place, parent, False)
            for key, linked in links(target):
                if linked not in self._targets:
                    why = "is a group" if linked in self._groups else "does not exist"
                    message = f'context {key} of target "{target.name}" is target "{linked}", which {why}'
                    place = self._subject.provenance.place(target, _CONTEXTS, Part(key))
                    yield self._unknown_finding(message, place, linked, False)

    def _unknown_finding(
        self, message: str, place: SourceRange | None, name: str, groups_too: bool
    ) -> Finding:
        known = [*self._targets, *(self._groups if groups_too else ())]
        return Finding(rules.UNKNOWN_TARGET, message, place, suggestion(name, known))

    def _place(self, target: Target, parent: str) -> SourceRange | None:
        return self._subject.provenance.place(target, _INHERITS, Part(element=parent))

    def _member_place(self, group: Group, member: str) -> SourceRange | None:
        evaluator = self._subject.evaluator
        for state, instance in self._subject.instances("group", group.name):
            expression = state.attributes["targets"].expr
            for element in expression.core().as_list() or ():
                value = evaluator.look_again(element, instance.scope)
                if value is not None and value.raw == member:
                    return element.range
            return expression.range
        return None

    def _circles(self) -> Iterator[Finding]:
        told: set[str] = set()
        for name in self._in_circles():
            circle = self._circle_from(name) if name not in told else []
            if circle and not told.intersection(circle):
                told.update(circle)
                target = self._targets[circle[-1]]
                way = " → ".join([*circle, circle[0]])
                message = f"targets inherit from each other in a circle: {way}"
                yield Finding(rules.INHERITS_CYCLE, message, self._place(target, circle[0]))

    def _in_circles(self) -> list[str]:
        """Targets that may be in a circle: what is left when those without parents are taken away, again and again, and
        then those without children."""
        parents = {
            name: [parent for parent in target.inherits or () if parent in self._targets]
            for name, target in self._targets.items()
        }
        children: dict[str, list[str]] = {name: [] for name in parents}
        for name, above in parents.items():
            for parent in above:
                children[parent].append(name)
        left = set(parents)
        for before, after in ((parents, children), (children, parents)):
            count = {name: sum(other in left for other in before[name]) for name in left}
            free = [name for name in left if not count[name]]
            while free:
                name = free.pop()
                left.discard(name)
                for other in after[name]:
                    if other in left:
                        count[other] -= 1
                        if not count[other]:
                            free.append(other)
        return [name for name in parents if name in left]

    def _circle_from(self, start: str) -> list[str]:
        """The shortest way from `start` through its parents back to it, empty when there is none."""
        came_from: dict[str, str] = {}
        pending = [start]
        for name in pending:
            for parent in self._targets[name].inherits or ():
                if parent == start:
                    way = [name]
                    while way[0] != start:
                        way.insert(0, came_from[way[0]])
                    return way
                if parent in self._targets and parent not in came_from:
                    came_from[parent] = name
                    pending.append(parent)
        return []

    def _unreachable(self) -> Iterator[Finding]:
        declared = [name for name in self._groups if name not in self._made]
        if not declared and "default" not in self._targets:
            return
        reached = self._members | self._parents | self._linked | self._referred() | {"default"}
        told = set()
        for name, target in self._targets.items():
            if name in reached or name.startswith("_") or target.description:
                continue
            for state, _ in self._subject.instances("target", name):
                place = state.block.label_ranges[0]
                label = state.block.labels[0]
                if label not in told and not (label != name and label in reached):
                    told.add(label)
                    yield Finding(rules.UNREACHABLE_TARGET, f'nothing leads to target "{label}"', place)
                break

    def _referred(self) -> set[str]:
        """The names in expressions `target.NAME.…`."""
        found = set()
        for block in self._subject.blocks():
            for expression in self._subject.expressions(block):
                for traversal in expression.variables():
                    steps = traversal.steps
                    if traversal.root_name == "target" and steps and isinstance(steps[0], TraverseAttribute):
                        found.add(steps[0].name)
        return found


def links(target: Target) -> Iterator[tuple[str, str]]:
    """The named contexts of a target that are other targets, by key."""
    for key, value in (target.contexts or {}).items():
        if value.startswith(TARGET_PREFIX):
            yield key, value.removeprefix(TARGET_PREFIX)
