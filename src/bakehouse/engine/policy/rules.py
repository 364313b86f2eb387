"""The rules of a source policy and what they make of a source, as BuildKit's `sourcepolicy` package has it.

Every source is held against the rules in their order. Of the ALLOW and DENY rules that match it the last one counts;
the first CONVERT rule that changes it starts everything anew, for the source as it is then.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from bakehouse.errors import DefinitionError, DeniedError
from bakehouse.go.text import quote
from bakehouse.llb.ops import SourceOp
from bakehouse.values import dataclass, field

if TYPE_CHECKING:
    from bakehouse.hcl.functions.re2 import Pattern

#: The values of the enumerations on the wire are their places in these.
ACTIONS = ("ALLOW", "DENY", "CONVERT")
MATCH_TYPES = ("WILDCARD", "EXACT", "REGEX")
CONDITIONS = ("EQUAL", "NOTEQUAL", "MATCHES")
#: A source may be changed so often, so that rules which undo each other come to an end.
_MAX_CHANGES = 20
_QUOTED = frozenset(r"\.+*?()|[]{}^$")


@dataclass(frozen=True, slots=True)
class Constraint:
    """What an attribute of the source must be; an attribute that it does not have is the empty text."""

    key: str
    value: str
    condition: str = "EQUAL"

    def holds(self, attrs: Mapping[str, str]) -> bool:
        """Raises `DefinitionError` for a regular expression that is none."""
        actual = attrs.get(self.key, "")
        if self.condition == "EQUAL":
            return actual == self.value
        if self.condition == "NOTEQUAL":
            return actual != self.value
        from bakehouse.hcl.functions.re2 import PatternError

        try:
            return _compiled(self.value).search(actual) is not None
        except PatternError as error:
            raise _wrong(f"invalid regex {quote(self.value)}: {error}") from None


@dataclass(frozen=True)
class Selector:
    """Which sources a rule is about. An identifier that is equal matches whatever the type."""

    identifier: str
    match_type: str = "WILDCARD"
    constraints: tuple[Constraint, ...] = ()

    def matches(self, op: SourceOp) -> bool:
        """Raises `DefinitionError` for an expression that is none."""
        if not all(constraint.holds(op.attrs) for constraint in self.constraints):
            return False
        if self.identifier == op.identifier:
            return True
        return self.match_type != "EXACT" and self._pattern.search(op.identifier) is not None

    def formatted(self, identifier: str, template: str) -> str:
        """`template` with `$1`, `${1}` and `${name}` replaced by what the selector's groups matched of `identifier`; a
        selector's `*` are groups. An exact selector has none, and takes the template as it is."""
        if self.match_type == "EXACT":
            return template
        return self._pattern.replace_all(identifier, template)

    @cached_property
    def _pattern(self) -> Pattern:
        """The expression that sources are searched for."""
        from bakehouse.hcl.functions.re2 import PatternError

        text = self.identifier
        if self.match_type == "WILDCARD":
            if "**" in text:
                raise _wrong(
                    f'failed to translate wildcard {quote(text)} to regexp: invalid wildcard: "**"',
                    hint="one * matches any text, slashes included",
                )
            quoted = "".join("\\" + char if char in _QUOTED and char != "*" else char for char in text)
            text = "^" + quoted.replace("*", "(.*)") + "$"
        try:
            return _compiled(text)
        except PatternError as error:
            raise _wrong(str(error)) from None


@dataclass(frozen=True, slots=True)
class Update:
    """What a CONVERT rule makes of a source: another identifier (empty: the selector's own) and further attributes."""

    identifier: str = ""
    attrs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `action` is one of `ACTIONS`."""

    action: str
    selector: Selector
    update: Update | None = None

    def converted(self, op: SourceOp) -> SourceOp:
        """What a CONVERT rule makes of `op`; `op` itself when it changes nothing."""
        update = self.update
        if update is None:
            raise _wrong("error mutating source policy: missing destination for convert rule", _NO_UPDATES)
        try:
            target = self.selector.formatted(op.identifier, update.identifier or self.selector.identifier)
        except DefinitionError as error:
            raise _wrong(f"error mutating source policy: error formatting destination: {error}") from None
        added = {key: value for key, value in update.attrs.items() if op.attrs.get(key, "") != value}
        if not added and target in ("", op.identifier):
            return op
        return SourceOp(target or op.identifier, {**op.attrs, **added})


_NO_UPDATES = "a rule with the action CONVERT needs `updates` with an `identifier`, `attrs` or both"


@dataclass(frozen=True, slots=True)
class RulePolicy:
    """The rules of one policy file, applied to one source at a time."""

    rules: tuple[Rule, ...] = ()

    def evaluate(self, op: SourceOp) -> SourceOp:
        """The source to use for `op`. Raises `DeniedError` (code `source-denied`) when it may not be used, and
        `DefinitionError` (code `invalid-source-policy`) for rules that cannot be applied."""
        from bakehouse.hcl.limits import restart

        restart()
        for _ in range(_MAX_CHANGES + 1):
            changed = self._once(op)
            if changed is op:
                return op
            op = changed
        raise DefinitionError(
            "too many mutations on a single source: too many operations",
            code="invalid-source-policy",
            hint=f"the rules convert {op.identifier} over and over: let one of them not match its own result",
        )

    def _once(self, op: SourceOp) -> SourceOp:
        denied = False
        for rule in self.rules:
            try:
                if not rule.selector.matches(op):
                    continue
            except DefinitionError as error:
                error.message = f"error matching source policy: {error.message}"
                raise
            if rule.action == "CONVERT":
                changed = rule.converted(op)
                if changed is not op:
                    return changed
            else:
                denied = rule.action == "DENY"
        if denied:
            raise DeniedError(
                f"source {quote(op.identifier)} denied by policy: source denied by policy",
                code="source-denied",
                hint="the last rule of the source policy that matches this source denies it",
            )
        return op


def _compiled(text: str) -> Pattern:
    from bakehouse.hcl.functions.re2 import Pattern

    return Pattern(text)


def _wrong(message: str, hint: str | None = None) -> DefinitionError:
    return DefinitionError(message, code="invalid-source-policy", hint=hint)
