"""A policy applied to what a build uses: every source of a graph, before anything is looked up (engine.md §22)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bakehouse.errors import BakehouseError, DefinitionError
from bakehouse.giturl import GitUrl, UnknownProtocol, parse_git_url
from bakehouse.go.paths import rooted_path
from bakehouse.llb.graph import SealedVertex, post_order
from bakehouse.llb.ops import Edge, LlbPlatform, SourceOp, Vertex
from bakehouse.values import replace

_GIT = "git://"
_SCHEMES = (
    "docker-image",
    "git",
    "http",
    "https",
    "local",
    "oci-layout",
    "docker-image+blob",
    "oci-layout+blob",
)


class SourcePolicy(Protocol):
    """Says which source is to be used for one that a build asks for."""

    def evaluate(self, op: SourceOp, platform: LlbPlatform | None) -> SourceOp:
        """The source to use for `op`: `op` itself when the policy has nothing against it. `platform` is the one that
        the source is wanted for. Raises `DeniedError` (code `source-denied`) and `DefinitionError`."""
        ...


def apply_to_graph(policy: SourcePolicy, edge: Edge) -> Edge:
    """The graph of `edge` with every source held against `policy`. Vertices that no change touches stay what they are.
    Raises what the policy raises, and `check_source`, in BuildKit's words."""
    return rebuilt(edge, lambda vertex: _policed(policy, vertex))


def _policed(policy: SourcePolicy, vertex: Vertex) -> Vertex:
    if not isinstance(vertex.op, SourceOp):
        return vertex
    try:
        op = policy.evaluate(normalized(vertex.op), vertex.platform)
    except BakehouseError as error:
        error.message = f"failed to load LLB: error evaluating the source policy: {error.message}"
        raise
    if op.identifier == vertex.op.identifier and op.attrs == vertex.op.attrs:
        return vertex
    try:
        check_source(op)
    except BakehouseError as error:
        error.message = f"failed to load cache key: {error.message}"
        raise
    return Vertex(op, (), vertex.platform, vertex.metadata, vertex.locations)


def rebuilt(edge: Edge, change: Callable[[Vertex], Vertex]) -> Edge:
    """The graph of `edge` with `change` made of every vertex without inputs, and all that stands on a changed one
    made anew."""
    new: dict[int, Vertex] = {}
    changed: dict[str, Vertex] = {}

    def moved(source: Edge) -> Edge:
        vertex = new[id(source.vertex)]
        return source if vertex is source.vertex else Edge(vertex, source.index)

    for vertex in post_order([edge.vertex]):
        if not vertex.inputs:
            known = changed.get(vertex.digest)
            if known is None:
                known = changed[vertex.digest] = change(vertex)
            if known.digest == vertex.digest:
                new[id(vertex)] = vertex
            else:
                # Equal vertices may carry metadata of their own.
                new[id(vertex)] = replace(known, metadata=vertex.metadata, locations=vertex.locations)
            continue
        inputs = tuple(moved(source) for source in vertex.inputs)
        if all(one is other for one, other in zip(inputs, vertex.inputs, strict=True)):
            new[id(vertex)] = vertex
        elif isinstance(vertex, SealedVertex):
            visits = tuple(moved(source) for source in vertex.visits)
            new[id(vertex)] = SealedVertex(
                vertex.op, inputs, vertex.platform, vertex.metadata, vertex.locations, visits
            )
        else:
            new[id(vertex)] = Vertex(vertex.op, inputs, vertex.platform, vertex.metadata, vertex.locations)
    return moved(edge)


def normalized(op: SourceOp) -> SourceOp:
    """`op` with its identifier as policies see it: that of a git source without scheme, user and `.git` details of the
    URL, which is in `git.fullurl`. Anything else is normalised already."""
    if not op.identifier.startswith(_GIT):
        return op
    try:
        url = _git_url(op.identifier.removeprefix(_GIT))
        full = _git_url(op.attrs["git.fullurl"]) if "git.fullurl" in op.attrs else url
    except ValueError:
        return op
    text = _GIT + full.host + rooted_path(full.path)
    if url.ref or url.sub_dir:
        text += "#" + url.ref
        if url.sub_dir:
            text += ":" + url.sub_dir
    return op if text == op.identifier else SourceOp(text, op.attrs)


def check_source(op: SourceOp) -> None:
    """Raises `DefinitionError` (code `invalid-source-policy`) for a source that a policy has made and no build would:
    one of an unknown kind; an image without tag and digest; a git source whose full URL is that of another repository
    than its identifier names, since the rule changed the one and not the other."""
    scheme, found, rest = op.identifier.partition("://")
    if not found or scheme not in _SCHEMES:
        raise _unusable(f"unknown scheme {scheme}: not found", f"sources are {', '.join(_SCHEMES)}")
    if scheme == "docker-image" and not _has_object(rest):
        raise _unusable(
            "object required", f"{op.identifier}, to which a rule converts, needs a tag or a digest"
        )
    if scheme == "git" and "git.fullurl" in op.attrs:
        _check_git_source(op)


def _has_object(ref: str) -> bool:
    return "@" in ref or ":" in ref.rpartition("/")[2]


def _check_git_source(op: SourceOp) -> None:
    hint = f"a rule that converts a git source to {op.identifier} sets the attribute git.fullurl too"
    try:
        named, full = _git_url(op.identifier.removeprefix(_GIT)), _git_url(op.attrs["git.fullurl"])
    except ValueError:
        raise _unusable("failed to parse git.fullurl", hint) from None
    if named.host.lower() != full.host.lower() or _repository(named) != _repository(full):
        raise _unusable("git.fullurl does not match source identifier", hint)


def _unusable(message: str, hint: str) -> DefinitionError:
    return DefinitionError(message, code="invalid-source-policy", hint=hint)


def _repository(url: GitUrl) -> str:
    return rooted_path(url.path).removesuffix(".git")


def _git_url(text: str) -> GitUrl:
    try:
        return parse_git_url(text)
    except UnknownProtocol:
        return parse_git_url("https://" + text)
