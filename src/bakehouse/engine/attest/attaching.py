"""Attestations of one target put beside the results that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bakehouse.engine.attest.making import KnownResult, ResultFacts
from bakehouse.engine.attest.model import Attestation, AttestationBundle
from bakehouse.values import replace

if TYPE_CHECKING:
    from bakehouse.engine.attest.options import ProvenanceOptions
    from bakehouse.engine.exporters.model import ExportPlatform
    from bakehouse.engine.jobs import Job, SolveRun
    from bakehouse.engine.tree import Tree


class Attested:
    """What is to be said of the results of `job`, which has facts: `platforms` are its results with what they attest,
    `scanned` the trees that its scanners wrote, in the order of the platforms that have one."""

    def __init__(
        self, job: Job, run: SolveRun, platforms: Sequence[ExportPlatform], scanned: Sequence[Tree]
    ) -> None:
        assert job.facts is not None
        self._job = job
        names = [item.platform for item in job.platforms]
        chains = [item.chain for item in platforms]
        self._told = [
            ResultFacts(job.facts, number, names, item.edge, chains, run.context, _known_in(run))
            for number, item in enumerate(job.platforms)
        ]
        self.platforms = self._attested(job.facts.options.provenance, platforms, scanned)

    def _attested(
        self,
        wanted: ProvenanceOptions | None,
        platforms: Sequence[ExportPlatform],
        scanned: Sequence[Tree],
    ) -> list[ExportPlatform]:
        """What scanners wrote, then how each result came about."""
        scans = iter(scanned)
        out = []
        for given, item, facts in zip(self._job.platforms, platforms, self._told, strict=True):
            attestations: list[Attestation | AttestationBundle] = []
            if given.scan is not None:
                attestations.append(_bundle(next(scans)))
            # Of nothing there is nothing to be said, as in BuildKit.
            if wanted is not None and given.edge is not None:
                attestations.append(facts.provenance(wanted))
            out.append(replace(item, attestations=tuple(attestations)))
        return out

    def provenance(self) -> dict[str, dict[str, Any]]:
        """The fullest provenance of every platform, as `JobResult` has it."""
        exported = any(not exporter.reads_files for exporter in self._job.exporters)
        return {
            item.platform.normalized().format_all() if self._job.multi_platform else "": facts.detailed(
                layers_exported=exported
            )
            for item, facts in zip(self._job.platforms, self._told, strict=True)
            if item.edge is not None
        }


def _bundle(tree: Tree) -> AttestationBundle:
    from bakehouse.engine.attest.scanning import CORE
    from bakehouse.engine.attest.spdx import PREDICATE_SPDX

    return AttestationBundle(tree.chain(), PREDICATE_SPDX, CORE)


def _known_in(run: SolveRun) -> KnownResult:
    """Finds the result of a vertex of the solve as far as anybody came upon it."""

    def known(digest: str, output: int) -> Tree | None:
        from bakehouse.engine.sources.image import ImageSource

        node = run.graph.nodes.get(digest)
        if node is None:
            return None
        found = run.solver.known(node, output)
        if found is None and output == 0 and isinstance(node.operation, ImageSource):
            # An image that nobody had to look into is known by its name all the same.
            return node.operation.named_tree()
        return found

    return known
