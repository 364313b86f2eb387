"""What a stage asks of whoever builds it: arguments, secrets, SSH sockets. Noted while the stage is lowered, for
`dockerfile.requests.outline` (dockerfile.md §16.2)."""

from __future__ import annotations

from collections.abc import Iterable

from bakehouse.dockerfile.positions import LineRange
from bakehouse.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Argument:
    """An ARG as declared last. `value` is the one in force, empty when there is none; `needs` are the arguments that
    the default of a global one is made of."""

    name: str
    description: str
    value: str
    location: LineRange
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Lent:
    """A secret or an SSH socket, by the first mount that names it."""

    required: bool
    location: LineRange


@dataclass(slots=True, eq=False)
class StageOutline:
    """The notes of one stage. `used` keeps the order in which arguments were first used."""

    arguments: dict[str, Argument] = field(default_factory=dict)
    used: dict[str, None] = field(default_factory=dict)
    secrets: dict[str, Lent] = field(default_factory=dict)
    ssh: dict[str, Lent] = field(default_factory=dict)

    def copy(self) -> "StageOutline":
        return StageOutline(dict(self.arguments), dict(self.used), dict(self.secrets), dict(self.ssh))

    def use(self, names: Iterable[str]) -> None:
        self.used.update(dict.fromkeys(names))

    def all_used(self) -> dict[str, None]:
        """The arguments used, with those that their defaults need."""
        found: dict[str, None] = {}
        pending = list(self.used)
        while pending:
            name = pending.pop(0)
            if name not in found:
                found[name] = None
                argument = self.arguments.get(name)
                pending += sorted(argument.needs) if argument is not None else ()
        return found
