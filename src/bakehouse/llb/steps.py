"""Definitions as the numbered steps of provenance: what was asked to be built, without what belongs to one session."""

from __future__ import annotations

import hashlib
from typing import Any

from bakehouse.llb.decode import Fields
from bakehouse.llb.protojson import message_in_go
from bakehouse.values import dataclass, field

#: Attributes of local sources that name the session that lends them.
_OF_SESSION = ("local.session", "local.unique")
_INPUTS = 1
_DEFINITION_OPS, _DEFINITION_SOURCE = 1, 3
_SOURCE_LOCATIONS, _SOURCE_INFOS = 1, 2


@dataclass(frozen=True, slots=True)
class Steps:
    """`listed` are the steps as BuildKit writes them (`id`, `op`, `inputs`), inputs before their users, the end of the
    definition last; `numbers` those of the vertices' digests."""

    listed: tuple[dict[str, Any], ...] = ()
    numbers: dict[str, int] = field(default_factory=dict)

    def mapping(self) -> dict[str, str]:
        """Step ids by digest."""
        return {digest: f"step{self.numbers[digest]}" for digest in sorted(self.numbers)}


def steps_of(definition: bytes) -> Steps:
    """The steps of an encoded pb.Definition. Raises `IntegrityError` when it is none."""
    ops: dict[str, bytes] = {}
    last = ""
    for raw in Fields(definition).messages(_DEFINITION_OPS):
        last = "sha256:" + hashlib.sha256(raw).hexdigest()
        ops[last] = raw
    if not ops:
        return Steps()
    members = {digest: message_in_go("Op", raw) for digest, raw in ops.items()}
    numbers = {digest: number for number, digest in enumerate(_inputs_first(last, members))}
    return Steps(
        tuple(_step(number, members[digest], numbers) for digest, number in numbers.items()), numbers
    )


def _inputs_first(last: str, members: dict[str, dict[str, Any]]) -> list[str]:
    """Digests of `last` and all below it, every one once. Iterative: a graph may be thousands of steps deep."""
    order: list[str] = []
    seen = {last}
    stack = [(last, iter(members[last].get("inputs", ())))]
    while stack:
        digest, inputs = stack[-1]
        for entry in inputs:
            below = entry["digest"]
            if below not in seen:
                seen.add(below)
                stack.append((below, iter(members[below].get("inputs", ()))))
                break
        else:
            stack.pop()
            order.append(digest)
    return order


def _step(number: int, members: dict[str, Any], numbers: dict[str, int]) -> dict[str, Any]:
    op = dict(members)
    inputs = [f"step{numbers[entry['digest']]}:{entry.get('index', 0)}" for entry in op.pop("inputs", ())]
    source = op["Op"].get("source")
    if source is not None and "attrs" in source:
        attrs = {key: value for key, value in source["attrs"].items() if key not in _OF_SESSION}
        rest = {key: value for key, value in source.items() if key != "attrs"}
        op["Op"] = {"source": {**rest, "attrs": attrs} if attrs else rest}
    step: dict[str, Any] = {"id": f"step{number}", "op": op}
    if inputs:
        step["inputs"] = inputs
    return step


def source_map_of(definition: bytes, steps: Steps) -> dict[str, Any] | None:
    """The source map of a definition in provenance's form: `locations` by step, and the files with the steps that read
    them. None when there is no file."""
    source = Fields(Fields(definition).raw(_DEFINITION_SOURCE))
    infos = [_info(raw) for raw in source.messages(_SOURCE_INFOS)]
    if not infos:
        return None
    locations: dict[str, Any] = {}
    for entry in source.messages(_SOURCE_LOCATIONS):
        pair = Fields(entry)
        number = steps.numbers.get(pair.text(1))
        if number is not None:
            locations[f"step{number}"] = message_in_go("Locations", pair.raw(2))
    return {"locations": {key: locations[key] for key in sorted(locations)}, "infos": infos}


def _info(raw: bytes) -> dict[str, Any]:
    members = message_in_go("SourceInfo", raw)
    steps = steps_of(Fields(raw).raw(3))
    out = {key: members[key] for key in ("filename", "language", "data") if members.get(key)}
    if steps.listed:
        out |= {"llbDefinition": list(steps.listed), "digestMapping": steps.mapping()}
    return out
