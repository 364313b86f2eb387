"""`targets`: the stages that can be built (dockerfile.md §16.3)."""

from __future__ import annotations

from bakehouse.dockerfile.document import read_stages
from bakehouse.dockerfile.instructions import Stage
from bakehouse.dockerfile.lowering.request import LowerRequest
from bakehouse.dockerfile.requests.answer import VERSION, base64_text, location_as_json
from bakehouse.go.tabwriter import align
from bakehouse.go.text import replace_invalid
from bakehouse.values import dataclass


@dataclass(frozen=True, slots=True)
class TargetList:
    """All stages in order; the last one is the default. `source` is the Dockerfile."""

    stages: tuple[Stage, ...]
    source: bytes
    version: str = VERSION

    def as_json(self) -> object:
        last = len(self.stages) - 1
        targets = [_members(stage, index == last) for index, stage in enumerate(self.stages)]
        return {"targets": targets or None, "sources": [base64_text(self.source)]}

    def as_text(self) -> str:
        lines = ["TARGET\tDESCRIPTION\n"]
        for index, stage in enumerate(self.stages):
            name = stage.name
            if index == len(self.stages) - 1:
                name = f"{name} (default)".lstrip(" ")
            lines.append(f"{name}\t{stage.doc_comment}\n")
        return align(replace_invalid("".join(lines)), padding=1)


def list_targets(request: LowerRequest) -> TargetList:
    """The stages of the Dockerfile, read without looking anything up. Raises `DiagnosticsError`."""
    return TargetList(read_stages(request.dockerfile, request.filename), request.dockerfile)


def _members(stage: Stage, default: bool) -> dict[str, object]:
    members: dict[str, object] = {
        "name": stage.name,
        "default": default,
        "description": stage.doc_comment,
        "base": stage.base_name,
        "platform": stage.platform,
        "location": location_as_json(stage.location),
    }
    return {name: value for name, value in members.items() if value}
