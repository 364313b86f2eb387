"""`outline`: what a target can be given: build arguments, secrets, SSH sockets (dockerfile.md §16.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bakehouse.dockerfile.lint import LintWarning
from bakehouse.dockerfile.lowering.convert import evaluate, parse
from bakehouse.dockerfile.lowering.outline import Argument, Lent
from bakehouse.dockerfile.lowering.request import LowerRequest, MetaResolver
from bakehouse.dockerfile.lowering.stages import StageState
from bakehouse.dockerfile.positions import LineRange
from bakehouse.dockerfile.requests.answer import VERSION, base64_text, location_as_json
from bakehouse.go.tabwriter import align
from bakehouse.go.text import replace_invalid
from bakehouse.values import dataclass


@dataclass(frozen=True, slots=True)
class Outline:
    """`name` and `description` are those of the target stage. The lists hold each name once, sorted by line; of stages
    that declare the same name, the one nearest to the target counts. `warnings` are the build checks' findings."""

    name: str
    description: str
    arguments: tuple[Argument, ...]
    secrets: tuple[tuple[str, Lent], ...]
    ssh: tuple[tuple[str, Lent], ...]
    source: bytes
    warnings: tuple[LintWarning, ...] = ()
    version: str = VERSION

    def as_json(self) -> object:
        members: dict[str, object] = {
            "name": self.name,
            "description": self.description,
            "args": [_argument(argument) for argument in self.arguments],
            "secrets": [_lent(name, lent) for name, lent in self.secrets],
            "ssh": [_lent(name, lent) for name, lent in self.ssh],
            "sources": [base64_text(self.source)],
        }
        return {name: value for name, value in members.items() if value}

    def as_text(self) -> str:
        """Tables, an empty line after each."""
        tables = []
        if self.name or self.description:
            description = f"DESCRIPTION:\t{self.description}\n" if self.description else ""
            tables.append(_table(f"TARGET:\t{self.name or '(default)'}\n{description}", padding=1))
        if self.arguments:
            rows = [f"{each.name}\t{each.value}\t{each.description}\n" for each in self.arguments]
            tables.append(_table("BUILD ARG\tVALUE\tDESCRIPTION\n" + "".join(rows)))
        for title, entries in (("SECRET", self.secrets), ("SSH", self.ssh)):
            if entries:
                rows = [f"{name}\t{'true' if lent.required else ''}\n" for name, lent in entries]
                tables.append(_table(f"{title}\tREQUIRED\n" + "".join(rows)))
        return "".join(table + "\n" for table in tables)


def outline(request: LowerRequest, resolver: MetaResolver) -> Outline:
    """The outline of the target of `request`. Raises what `lower` raises."""
    file = parse(request)
    _, target = evaluate(request, resolver, file)
    assert target.stage is not None
    arguments: dict[str, Argument] = {}
    secrets: dict[str, Lent] = {}
    ssh: dict[str, Lent] = {}
    for stage in _nearest_first(target):
        notes = stage.outline
        for name in notes.all_used():
            if name in notes.arguments:
                arguments.setdefault(name, notes.arguments[name])
        _add_new(secrets, notes.secrets)
        _add_new(ssh, notes.ssh)
    return Outline(
        target.stage.name,
        target.stage.doc_comment,
        tuple(sorted(arguments.values(), key=lambda each: each.location.first)),
        _by_line(secrets),
        _by_line(ssh),
        request.dockerfile,
        tuple(file.warnings),
    )


def _nearest_first(target: StageState) -> Iterator[StageState]:
    """`target`, its bases, and the stages that each of these reads, each once."""
    seen: set[StageState] = set()
    pending = [target]
    while pending:
        stage = pending.pop()
        if stage in seen:
            continue
        seen.add(stage)
        yield stage
        base = () if stage.base is None else (stage.base,)
        pending += reversed((*base, *stage.dependencies))


def _add_new(found: dict[str, Lent], entries: Mapping[str, Lent]) -> None:
    for name, lent in entries.items():
        found.setdefault(name, lent)


def _by_line(entries: Mapping[str, Lent]) -> tuple[tuple[str, Lent], ...]:
    return tuple(sorted(entries.items(), key=lambda entry: entry[1].location.first))


def _table(text: str, padding: int = 3) -> str:
    return align(replace_invalid(text), padding=padding)


def _argument(argument: Argument) -> dict[str, object]:
    optional = {"description": argument.description, "value": argument.value}
    return _named(argument.name, optional, argument.location)


def _lent(name: str, lent: Lent) -> dict[str, object]:
    return _named(name, {"required": lent.required}, lent.location)


def _named(
    name: str, optional: Mapping[str, object], location: Iterable[int] | LineRange
) -> dict[str, object]:
    set_members = {key: value for key, value in optional.items() if value}
    return {"name": name, **set_members, "location": location_as_json(location)}
