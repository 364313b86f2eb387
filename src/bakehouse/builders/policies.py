"""The source policies of a build's targets: where they come from, and every place at which sources are held against
them.

As in BuildKit that is three: an image that is looked up for the frontend, a graph that is solved, and what the frontend
reads of the client on its own, the Dockerfile. (A context is policed with the graph;
that its ignore file may not be read stops nothing.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bakehouse.builders.resolving import NamingResolver, naming
from bakehouse.dockerfile.lowering import Lowered, MetaResolver, SourceTimeResolver
from bakehouse.engine.policy.sources import SourcePolicy, apply_to_graph, check_source, normalized
from bakehouse.errors import BakehouseError, DefinitionError, NotBuiltYetError, NotFoundError
from bakehouse.go.jsontext import compact_json
from bakehouse.go.text import os_error_text
from bakehouse.llb.ops import LlbPlatform, SourceOp
from bakehouse.llb.platforms import to_llb
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass, replace

#: Names a file of rules for every target of the build.
VARIABLE = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"
_IMAGE = "docker-image://"
_LAYOUT = "oci-layout://"


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """All that sources of one target are held against. Without a policy everything is what it was."""

    policy: SourcePolicy | None = None

    def resolver(self, resolver: MetaResolver) -> MetaResolver:
        """A resolver that looks up what the policy puts in the place of an image; its errors name the image that was
        asked for."""
        return NamingResolver(resolver) if self.policy is None else _PolicedResolver(resolver, self.policy)

    def source_times(self, times: SourceTimeResolver | None) -> SourceTimeResolver | None:
        """As `resolver`, for the times of sources."""
        return times if times is None or self.policy is None else _PolicedTimes(times, self.policy)

    def lowered(self, lowered: Lowered) -> Lowered:
        """A target's graphs as they are solved. Raises what the policy raises."""
        policy = self.policy
        if policy is None:
            return lowered
        platforms = tuple(
            item if item.edge is None else replace(item, edge=apply_to_graph(policy, item.edge))
            for item in lowered.platforms
        )
        return replace(lowered, platforms=platforms)

    def check_client_files(self, name: str, paths: Sequence[str]) -> None:
        """Holds against the policy that the frontend reads the files `paths` of the client's directory `name`. Raises
        what the policy raises, and `NotBuiltYetError` for one that has them read elsewhere."""
        if self.policy is None:
            return
        attrs = {
            "local.followpaths": compact_json(list(paths)),
            "local.sharedkeyhint": name,
            "local.differ": "none",
        }
        op = SourceOp(f"local://{name}", attrs)
        try:
            changed = self.policy.evaluate(op, None)
        except BakehouseError as error:
            error.message = f"failed to load LLB: error evaluating the source policy: {error.message}"
            raise
        if changed.identifier != op.identifier:
            raise NotBuiltYetError(
                f"a source policy that converts {op.identifier} (here to {changed.identifier}) is not supported yet"
            )


def rules_of_environment(environ: Mapping[str, str], cwd: Path) -> Rules:
    """The rules in the file that `EXPERIMENTAL_BUILDKIT_SOURCE_POLICY` names. Raises `NotFoundError` and
    `DefinitionError`."""
    name = environ.get(VARIABLE, "")
    if not name:
        return Rules(lambda op: op, False)
    try:
        data = (cwd / name).read_bytes()
    except OSError as error:
        raise NotFoundError(
            f"failed to read policy file: {os_error_text('open', name, error)}",
            code="source-policy-unreadable",
            hint=f"{VARIABLE} names it",
        ) from None
    from bakehouse.engine.policy.reading import read_policy

    return Rules(read_policy(name, data).evaluate)


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules as a `SourcePolicy`: platforms mean nothing to them. `given` says whether there are any."""

    rules: Callable[[SourceOp], SourceOp]
    given: bool = True

    def evaluate(self, op: SourceOp, platform: LlbPlatform | None) -> SourceOp:
        return self.rules(op)


@dataclass(frozen=True, slots=True)
class _PolicedResolver:
    resolver: MetaResolver
    policy: SourcePolicy

    def resolve_image_config(
        self, ref: str, platform: Platform | None, mode: str, *, log_name: str = "", oci_store: str = ""
    ) -> tuple[str, str, bytes]:
        op = SourceOp(_LAYOUT + ref, {"oci.store": oci_store}) if oci_store else SourceOp(_IMAGE + ref)
        with naming(ref):
            changed = _looked_up(self.policy, op, to_llb(platform or Platform.local()))
            scheme, _, rest = changed.identifier.partition("://")
            if scheme == "docker-image":
                return self.resolver.resolve_image_config(rest, platform, mode, log_name=log_name)
            if scheme == "oci-layout" and oci_store:
                store = changed.attrs.get("oci.store", oci_store)
                return self.resolver.resolve_image_config(
                    rest, platform, mode, log_name=log_name, oci_store=store
                )
        raise DefinitionError(
            f"ref mutated by policy to non-image: {_IMAGE}{ref} -> {changed.identifier}",
            code="source-not-an-image",
            hint="where a Dockerfile needs an image, a policy can put another image only",
        )


@dataclass(frozen=True, slots=True)
class _PolicedTimes:
    times: SourceTimeResolver
    policy: SourcePolicy

    def resolve_source_time(self, source: SourceOp, log_name: str) -> int | None:
        changed = _looked_up(self.policy, normalized(source), None)
        return self.times.resolve_source_time(changed, log_name)


def _looked_up(policy: SourcePolicy, op: SourceOp, platform: LlbPlatform | None) -> SourceOp:
    """What is looked up instead of `op`. Errors are in the words of BuildKit's look-ups."""
    try:
        changed = policy.evaluate(op, platform)
    except BakehouseError as error:
        error.message = f"could not resolve image due to policy: {error.message}"
        raise
    if changed is not op:
        check_source(changed)
    return changed
