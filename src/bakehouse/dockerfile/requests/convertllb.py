"""`convertllb`: the graph of a target as JSON. BuildKit knows the question but does not list it; its version says that
it is not settled."""

from __future__ import annotations

import hashlib

from bakehouse.dockerfile.lint import LintWarning
from bakehouse.dockerfile.lowering.contexts import dockerfile_source
from bakehouse.dockerfile.lowering.convert import evaluate, parse
from bakehouse.dockerfile.lowering.request import LowerRequest, MetaResolver
from bakehouse.dockerfile.requests.answer import json_text
from bakehouse.llb.decode import Fields
from bakehouse.llb.describe import definition_as_json
from bakehouse.llb.encode import encode_definition
from bakehouse.llb.protojson import message_as_json
from bakehouse.values import dataclass


@dataclass(frozen=True, slots=True)
class ConvertedGraph:
    """`definition` is an encoded pb.Definition. There is no form for people: the text is what buildx makes of any
    answer that has none."""

    definition: bytes
    warnings: tuple[LintWarning, ...] = ()
    version: str = "0.1.0"

    def as_json(self) -> object:
        top = Fields(self.definition)
        ops = {
            f"sha256:{hashlib.sha256(op).hexdigest()}": message_as_json("Op", op) for op in top.messages(1)
        }
        return {
            "def": {digest: ops[digest] for digest in sorted(ops)},
            "metadata": definition_as_json(self.definition).get("metadata", {}),
            "source": message_as_json("Source", top.raw(3)),
        }

    def as_text(self) -> str:
        return f"map[result.json:{json_text(self)} version:{self.version}]\n"


def convert_llb(request: LowerRequest, resolver: MetaResolver) -> ConvertedGraph:
    """The graph of the target of `request` for the builder's own platform. Raises what `lower` raises."""
    file = parse(request)
    lowered, _ = evaluate(request, resolver, file)
    definition = encode_definition(lowered.edge, (dockerfile_source(request),))
    return ConvertedGraph(definition, tuple(file.warnings))
