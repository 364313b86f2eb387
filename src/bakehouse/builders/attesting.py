"""What a target's build is to attest, and what the client knows that attestations tell: the request, the images that
were looked up, the sources that were read to plan it, the repository of the files."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakehouse.bake import Target
from bakehouse.builders.display import solving
from bakehouse.builders.frontend_attrs import frontend_attrs
from bakehouse.builders.git_info import GitInfo
from bakehouse.dockerfile.lowering import main_context_root
from bakehouse.engine.attest.model import BuildFacts, BuildRun, FrontendRequest
from bakehouse.engine.attest.options import PROVENANCE, AttestOptions, parse_attest_options
from bakehouse.engine.attest.provenance import DOCKERFILE_FRONTEND, as_v02
from bakehouse.engine.graph import post_order
from bakehouse.errors import DefinitionError
from bakehouse.giturl import is_remote_url
from bakehouse.go.jsontext import compact_json
from bakehouse.go.values import FALSE, parse_bool
from bakehouse.llb.encode import SourceInfo, encode_definition
from bakehouse.llb.ops import SourceOp
from bakehouse.values import dataclass

if TYPE_CHECKING:
    from bakehouse.builders.plan import PlannedTarget

_NO_DEFAULT = "BUILDX_NO_DEFAULT_ATTESTATIONS"
_NO_ARTIFACT = "BUILDX_NO_DEFAULT_OCI_ARTIFACT"
_DEFAULT_PROVENANCE = "mode=min,inline-only=true"
#: How much provenance a metadata file holds (`BUILDX_METADATA_PROVENANCE`).
PROVENANCE_MIN, PROVENANCE_MAX, PROVENANCE_DISABLED = "min", "max", "disabled"


@dataclass(frozen=True, slots=True)
class Attests:
    """What one target attests. `texts` are the frontend's options by type, `options` their meaning; `asked` says that
    the target itself wants one, and `as_artifact` in which form images have them where the output does not say."""

    texts: Mapping[str, str]
    options: AttestOptions
    asked: bool
    as_artifact: bool = True


def attests_of(target: Target, environ: Mapping[str, str]) -> Attests:
    """As buildx combines a target's own attestations with its default. Raises `DefinitionError`."""
    entries = {entry.type: entry for entry in reversed(target.attest or ())}
    texts = {kind: str(entry) for kind, entry in entries.items() if not entry.disabled}
    asked = bool(texts)
    if PROVENANCE not in entries and not _switch(environ, _NO_DEFAULT):
        texts[PROVENANCE] = _DEFAULT_PROVENANCE
    artifact = not _switch(environ, _NO_ARTIFACT)
    given = {f"build-arg:{name}": value for name, value in (target.args or {}).items()}
    with solving():
        options = parse_attest_options(given | {f"attest:{kind}": text for kind, text in texts.items()})
    return Attests(texts, options, asked, artifact)


def _switch(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name)
    if text is None:
        return False
    try:
        return parse_bool(text)
    except ValueError as error:
        raise DefinitionError(f"invalid {name}: {error}", code="invalid-boolean") from None


def with_git_labels(
    targets: Mapping[str, Target], cwd: Path, environ: Mapping[str, str]
) -> Mapping[str, Target]:
    """`targets`, where the environment asks for it with labels that name the repository of their contexts."""
    git = GitInfo(environ)
    if not git.labelled:
        return targets
    out = {}
    for name, target in targets.items():
        directory = _context_directory(target, cwd)
        out[name] = labelled = target.copy()
        if directory is not None:
            dockerfile = (target.dockerfile or "Dockerfile").removeprefix("cwd://")
            labelled.labels = {**(target.labels or {}), **git.labels(directory, directory / dockerfile)}
    return out


def _context_directory(target: Target, cwd: Path) -> Path | None:
    """The context where it is a directory of this machine."""
    context = target.context or "."
    directory = Path(cwd, context.removeprefix("cwd://"))
    return None if is_remote_url(context) and not directory.is_dir() else directory


class FactFinder:
    """Tells of the targets of one build what their attestations need. Looks for nothing before it is asked."""

    def __init__(self, cwd: Path, environ: Mapping[str, str], attests: Mapping[str, Attests]) -> None:
        self._cwd = cwd
        self._git = GitInfo(environ)
        self._attests = attests

    def facts(self, planned: Mapping[str, PlannedTarget], name: str, run: BuildRun) -> BuildFacts:
        """Of the target `name`, one of those planned."""
        item = planned[name]
        return BuildFacts(
            self._request(planned, name),
            self._attests[name].options,
            lambda number: encode_definition(
                item.lowered.platforms[number].edge, item.lowered.sources, _foreign_files(planned, name)
            ),
            item.images,
            tuple(_read_to_plan(item)),
            run,
        )

    def _request(self, planned: Mapping[str, PlannedTarget], name: str) -> FrontendRequest:
        """The request for a target, and those for the targets whose results it is handed."""
        item = planned[name]
        inputs = {
            key: self._request(planned, linked)
            for key, linked in item.linked_inputs.items()
            if linked in planned
        }
        return FrontendRequest(DOCKERFILE_FRONTEND, lambda: self._args(item), inputs)

    def _args(self, item: PlannedTarget) -> dict[str, str]:
        attrs = frontend_attrs(
            item.target,
            item.request,
            self._attests[item.target.name].texts,
            named_dockerfile=item.named_dockerfile,
        )
        return attrs | self._vcs(item)

    def _vcs(self, item: PlannedTarget) -> dict[str, str]:
        """What is told of the repository of a context that is a directory of this machine."""
        directory = _context_directory(item.target, self._cwd)
        if directory is None:
            return {}
        lent = {value.removeprefix("local:") for value in item.request.named_contexts.values()}
        named = {key.partition(":")[2]: path for key, path in item.local_dirs.items()}
        dirs = {name: path for name, path in named.items() if name in lent} | {"context": directory}
        if item.dockerfile_dir is not None:
            dirs["dockerfile"] = item.dockerfile_dir
        return self._git.attributes(directory, dirs)


def _foreign_files(planned: Mapping[str, PlannedTarget], name: str) -> dict[str, SourceInfo]:
    """The Dockerfiles of the targets that `name` links to, by the digests of the vertices that they made."""
    out: dict[str, SourceInfo] = {}
    for linked in dict.fromkeys(planned[name].linked_inputs.values()):
        if linked not in planned:
            continue
        files = {file.filename: file for file in planned[linked].lowered.sources}
        below = _foreign_files(planned, linked)
        edges = [platform.edge for platform in planned[linked].lowered.platforms if platform.edge is not None]
        for vertex in post_order(edges):
            own = [files[place[0]] for place in vertex.locations if place[0] in files]
            found = below.get(vertex.digest) or (own[0] if own else None)
            if found is not None:
                out.setdefault(vertex.digest, found)
    return out


def _read_to_plan(item: PlannedTarget) -> list[SourceOp]:
    """The sources that were read before the graph was there: for the Dockerfile, and for the ignore file."""
    request = item.request
    root = (
        None if request.main_context is None and request.context_input is None else main_context_root(request)
    )
    if root is None:
        return [SourceOp("local://context", {}), SourceOp("local://dockerfile", {})]
    found = [vertex.op for vertex in post_order([root]) if isinstance(vertex.op, SourceOp)]
    if item.named_dockerfile:
        found.append(SourceOp("local://dockerfile", {}))
    return found


def metadata_provenance(environ: Mapping[str, str]) -> str:
    """How much provenance metadata files are to hold, as the environment says."""
    text = environ.get("BUILDX_METADATA_PROVENANCE", "")
    if text in (PROVENANCE_MIN, PROVENANCE_MAX, PROVENANCE_DISABLED):
        return text
    return PROVENANCE_DISABLED if text in FALSE else PROVENANCE_MIN


def provenance_responses(predicates: Mapping[str, dict[str, Any]], mode: str) -> dict[str, str]:
    """Provenance of a target's platforms as response keys (engine.md §17.5): JSON in base64, in SLSA 0.2's form."""
    out = {}
    for platform, made in predicates.items():
        shown = as_v02(made)
        if mode == PROVENANCE_MIN:
            shown = {key: value for key, value in shown.items() if key not in ("buildConfig", "metadata")}
        key = "buildx.build.provenance" + (f"/{platform}" if platform else "")
        out[key] = b64encode(compact_json(shown).encode()).decode("ascii")
    return out
