"""What policies ask about sources, looked up for one target (`engine.policy.metadata.MetadataSource`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bakehouse.bake import Target
from bakehouse.dockerfile.lowering import MetaResolver
from bakehouse.engine.engine import Engine
from bakehouse.engine.policy.metadata import GitMetadata
from bakehouse.engine.tree import EngineContext
from bakehouse.llb.ops import SourceOp
from bakehouse.oci.platform import Platform
from bakehouse.oci.reference import Reference
from bakehouse.progress.events import Reporter
from bakehouse.session import Session
from bakehouse.solver.model import Cancellation, RunContext

T = TypeVar("T")

_IMAGE = "docker-image://"


class EngineMetadata:
    """A `MetadataSource` over the engine that will build the target."""

    def __init__(
        self,
        engine: Engine,
        resolver: MetaResolver,
        session: Callable[[], Session],
        reporter: Reporter,
        cancel: Cancellation,
    ) -> None:
        self._engine = engine
        self._resolver = resolver
        self._session = session
        self._reporter = reporter
        self._cancel = cancel

    def image(self, op: SourceOp, platform: Platform) -> tuple[str, bytes]:
        ref = op.identifier.removeprefix(_IMAGE)
        _, digest, config = self._resolver.resolve_image_config(ref, platform, "default")
        return digest, config

    def has_attestations(self, op: SourceOp, platform: Platform) -> bool:
        from bakehouse.engine.policy.lookups import has_attestations

        resolver = self._engine.resolver(self._engine.context(self._session(), self._reporter))
        ref = Reference.parse(op.identifier.removeprefix(_IMAGE))
        return has_attestations(resolver.resolve(ref, platform))

    def git(self, op: SourceOp, *, objects: bool) -> GitMetadata:
        from bakehouse.engine.policy.lookups import describe_git

        return self._ask(op, lambda context, run: describe_git(op, objects, context, run))

    def http(self, op: SourceOp) -> str:
        from bakehouse.engine.policy.lookups import describe_http

        return self._ask(op, lambda context, run: describe_http(op, context, run))

    def _ask(self, op: SourceOp, function: Callable[[EngineContext, RunContext], T]) -> T:
        name = f"resolve image config for {op.identifier}"
        return self._engine.ask(op, name, function, self._session(), self._reporter, self._cancel)


def metadata_for(
    engine: Engine,
    resolver: MetaResolver,
    session_of: Callable[[Target], Session],
    reporter: Reporter,
    cancel: Cancellation,
) -> Callable[[Target], EngineMetadata]:
    """Makes the metadata source of each target."""
    return lambda target: EngineMetadata(engine, resolver, lambda: session_of(target), reporter, cancel)
