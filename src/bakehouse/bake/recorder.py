"""A record of how targets came about: what each block, parent, override and rule gave, in the order applied.

A recorder is handed to `LoadOptions`; the code that merges, overrides and completes targets notes each step with it.
Without one nothing is noted and nothing is paid for. Since a step holds the very values that the step produced, what
`explain` tells of them cannot disagree with what is printed. Values are never copied: collections of targets are
replaced, not changed.
"""

from __future__ import annotations

from bakehouse.bake.fields import FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from bakehouse.bake.blocks import BlockState, Instance
    from bakehouse.bake.evaluator import Evaluator
    from bakehouse.bake.override_rules import Override
    from bakehouse.bake.target import Target
    from bakehouse.diagnostics import SourceRange
    from bakehouse.hcl.syntax import Body

    #: Where a value stands in a file that has no expressions: target, field, and the member's key or the element's
    #: index (None: the whole value). None when that is not known.
    Positions = Callable[[str, str, str | int | None], SourceRange | None]

#: Kinds of steps; `Step.source` holds what is named in brackets.
WRITTEN = "written"  # a block of an HCL or JSON file (its state and instance)
COMPOSED = "composed"  # a service of a Compose file (the target's name, positions)
INHERITED = "inherited"  # a parent was merged (the parent as resolved)
SKIPPED = "skipped"  # a parent was passed over, since it is under way itself (its name)
OWN = "own"  # the target's own blocks were merged over its parents (the target as evaluated)
OVERRIDDEN = "overridden"  # an override was applied (the override)
HOST_NETWORK = "host-network"  # `network = "host"` asks for an entitlement
TIDIED = "tidied"  # repetitions and empty values were dropped
DEFAULTED = "defaulted"  # the format's defaults were filled in
REBASED = "rebased"  # relative contexts were joined to the directory of their file
LINKED = "linked"  # the target is only there for another one, which takes its result
JOINED = "joined"  # entitlements of a linked target were added (that target)
EPOCH = "epoch"  # SOURCE_DATE_EPOCH of the environment became an argument
UNPOLICED = "unpoliced"  # a flag replaced all policies
CHECKED = "checked"  # checks completed paths and destinations


class Step:
    """One step: `before` and `after` are the values of all fields by attribute, `given` those that a merged target
    brought (None where the step merges nothing)."""

    __slots__ = ("after", "before", "given", "kind", "source")

    def __init__(
        self,
        kind: str,
        source: Any,
        given: dict[str, Any] | None,
        before: dict[str, Any],
        after: dict[str, Any],
    ) -> None:
        self.kind = kind
        self.source = source
        self.given = given
        self.before = before
        self.after = after


class Recorder:
    """The record of one load and of resolutions of it. `bodies` are the files as
    parsed, `texts` the overrides of the latest resolution, in order."""

    def __init__(self) -> None:
        # Targets are kept with their steps: an id is only good while its object lives.
        self._histories: dict[int, tuple[Target, list[Step]]] = {}
        self.evaluator: Evaluator | None = None
        self.bodies: list[Body] = []
        self.texts: list[str] = []

    def written(self, target: Target, state: BlockState, instance: Instance, made: Target) -> None:
        """A block was merged into the target, of which it made `made`."""
        self._note(target, WRITTEN, (state, instance), made)

    def composed(self, target: Target, positions: Positions) -> None:
        """The target came of a Compose file, or one was merged into it."""
        self._note(target, COMPOSED, (target.name, positions), target)

    def inherited(self, target: Target, name: str, parent: Target | None) -> None:
        """A parent was merged, or passed over (None)."""
        self._note(target, SKIPPED if parent is None else INHERITED, parent or name, parent)

    def own(self, target: Target, definition: Target) -> None:
        self._note(target, OWN, definition, definition)

    def overridden(self, target: Target, override: Override) -> None:
        self._note(target, OVERRIDDEN, override, target)

    def host_network(self, target: Target) -> None:
        self._note(target, HOST_NETWORK)

    def tidied(self, target: Target) -> None:
        self._note(target, TIDIED)

    def defaulted(self, target: Target) -> None:
        self._note(target, DEFAULTED)

    def rebased(self, targets: Iterable[Target]) -> None:
        for target in targets:
            self._note(target, REBASED)

    def linked(self, target: Target) -> None:
        self._note(target, LINKED)

    def joined(self, target: Target, linked: Target) -> None:
        self._note(target, JOINED, linked)

    def epoch(self, target: Target) -> None:
        self._note(target, EPOCH)

    def unpoliced(self, target: Target) -> None:
        self._note(target, UNPOLICED)

    def checked(self, targets: Iterable[Target]) -> None:
        for target in targets:
            self._note(target, CHECKED)

    def _note(self, target: Target, kind: str, source: Any = None, given: Target | None = None) -> None:
        """The target has just become what it is, through `kind`; `given` is the target that was merged into it."""
        steps = self._histories.setdefault(id(target), (target, []))[1]
        before = steps[-1].after if steps else {}
        after = _values(target)
        if given is not None or kind == SKIPPED or before != after:
            steps.append(Step(kind, source, None if given is None else _values(given), before, after))

    def copied(self, original: Target, copy: Target) -> None:
        """`copy` goes on from where `original` is."""
        self._histories[id(copy)] = (copy, list(self.history(original)))

    def history(self, target: Target) -> list[Step]:
        found = self._histories.get(id(target))
        return [] if found is None else found[1]


def _values(target: Target) -> dict[str, Any]:
    return {field.attribute: getattr(target, field.attribute) for field in FIELDS}
