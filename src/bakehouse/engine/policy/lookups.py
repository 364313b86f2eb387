"""Metadata of sources, looked up with the engine's own sources; what is found, the build finds known."""

from __future__ import annotations

from bakehouse.engine.policy.metadata import GitMetadata, GitObject
from bakehouse.engine.sources.image_content import ResolvedImage
from bakehouse.engine.tree import EngineContext
from bakehouse.errors import IntegrityError
from bakehouse.llb.ops import SourceOp, Vertex
from bakehouse.oci.digest import Digest
from bakehouse.oci.image import MAX_MANIFEST_BYTES, Index
from bakehouse.solver.model import RunContext

_KIND, _OF = "vnd.docker.reference.type", "vnd.docker.reference.digest"


def describe_git(op: SourceOp, objects: bool, context: EngineContext, run: RunContext) -> GitMetadata:
    """What a git source stands for; with `objects`, the commit and the tag that leads to it. Call it in a worker
    thread."""
    from bakehouse.engine.sources.git import GitSource

    source = GitSource(Vertex(op), context)
    ref, found, commit = source.names(run)
    if not objects:
        return GitMetadata(ref, found, commit)
    raw, tag = source.objects(run)
    return GitMetadata(
        ref,
        found,
        commit,
        _checked(raw, commit),
        None if tag is None else _checked(tag, found),
    )


def describe_http(op: SourceOp, context: EngineContext, run: RunContext) -> str:
    """The digest of a file from the web, which is fetched. Call it in a worker thread."""
    from bakehouse.engine.sources.http import HttpSource

    return HttpSource(Vertex(op), context).digest(run)


def has_attestations(image: ResolvedImage) -> bool:
    """Whether the index that the image was chosen from names attestations of it."""
    if not image.root.is_index:
        return False
    index = Index.parse(image.content.document(image.root, MAX_MANIFEST_BYTES))
    return any(
        member.annotations.get(_KIND) == "attestation-manifest"
        and member.annotations.get(_OF) == str(Digest.of(image.manifest.raw))
        for member in index.manifests
    )


def _checked(raw: bytes, name: str) -> GitObject:
    """The object, whose name is the digest of what it holds. Raises `IntegrityError`."""
    import hashlib

    kind = "tag" if raw.startswith(b"object ") else "commit"
    algorithm = hashlib.sha256 if len(name) == 64 else hashlib.sha1
    actual = algorithm(f"{kind} {len(raw)}\0".encode() + raw).hexdigest()
    if actual != name:
        raise IntegrityError(f"checksum mismatch: expected {name}, got {actual}", code="digest-mismatch")
    return GitObject(raw)
