"""The provenance of one result: the SLSA predicates that BuildKit writes (engine.md §18.3, §18.4), member by member."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bakehouse.engine.attest.materials import Materials, without_credentials
from bakehouse.engine.attest.model import DOCKERFILE_FRONTEND, BuildRun, FrontendRequest
from bakehouse.engine.attest.options import SLSA_V02, ProvenanceOptions
from bakehouse.errors import DefinitionError
from bakehouse.go.timestamps import format_time_ns
from bakehouse.oci.platform import Platform
from bakehouse.values import dataclass

BUILD_TYPE_V1 = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"
BUILD_TYPE_V02 = "https://mobyproject.org/buildkit@v1"
#: The behaviour that we follow, by BuildKit's and its frontend's own numbers.
COMPATIBILITY_VERSION = 30
DOCKERFILE_VERSION = "1.27.0-dev"
_VCS = "vcs:"
#: Attributes that say how or where to build rather than what.
_OF_HOST = frozenset({"cgroup-parent", "image-resolve-mode", "platform", "cache-imports"})
#: Attributes that the frontend takes from build arguments.
_FROM_ARGS = {"multi-platform": "BUILDKIT_MULTI_PLATFORM", "hostname": "BUILDKIT_SANDBOX_HOSTNAME"}
_NOT_IN_MIN = ("build-arg:", "label:")

#: Descriptors of the layers of every step's results, as JSON values: one list of chains by `stepN:OUTPUT`.
StepLayers = Callable[[Mapping[str, int]], Mapping[str, Sequence[Sequence[dict[str, Any]]]]]


@dataclass(frozen=True, slots=True)
class ProvenanceSource:
    """Everything that the provenance of one result is made of. `definition` is its encoded graph, source map included;
    `layers` looks up what its steps yielded."""

    request: FrontendRequest
    materials: Materials
    definition: bytes
    run: BuildRun
    layers: StepLayers


def predicate(source: ProvenanceSource, options: ProvenanceOptions) -> dict[str, Any]:
    """The predicate in the version that `options` ask for. Members are in the order in which BuildKit writes them,
    empty ones left out."""
    made = predicate_v1(source, options)
    if options.version == SLSA_V02:
        return as_v02(made)
    definition = made["buildDefinition"]
    # BuildKit's go through a map on their way.
    definition["internalParameters"] = _sorted(definition["internalParameters"])
    return made


def predicate_v1(source: ProvenanceSource, options: ProvenanceOptions) -> dict[str, Any]:
    """The SLSA v1 predicate."""
    materials = source.materials
    args = filtered_args(source.request.args())
    request = _request(source.request, args, materials)
    config = request["configSource"]
    parameters = request["request"]
    vcs = _take_vcs(parameters)
    _add_lendings(parameters, materials)
    root = _root_request(source.request, args, materials)
    if root is not None:
        parameters["root"] = root
    complete_request = bool(source.request.frontend)
    if not options.detailed and _scrub(parameters):
        complete_request = False
    parameters["compatibilityVersion"] = COMPATIBILITY_VERSION
    build_config, source_map, layers = _graph(source) if options.detailed else (None, None, None)
    metadata: dict[str, Any] = {
        "invocationId": source.run.id,
        "startedOn": format_time_ns(source.run.started_ns),
        "finishedOn": format_time_ns(source.run.finished_ns()),
        "buildkit_metadata": _present(vcs=vcs, source=source_map, layers=layers),
    }
    if materials.complete and not materials.network:
        metadata["buildkit_hermetic"] = True
    metadata["buildkit_completeness"] = {
        "request": complete_request,
        "resolvedDependencies": materials.complete,
    }
    if options.reproducible:
        metadata["buildkit_reproducible"] = True
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE_V1,
            **_present(resolvedDependencies=materials.as_json()),
            "externalParameters": {"configSource": config, "request": _in_order(parameters)},
            "internalParameters": _internal(source.request.frontend, build_config),
        },
        "runDetails": {"builder": {"id": options.builder_id}, "metadata": metadata},
    }


def as_v02(made: Mapping[str, Any]) -> dict[str, Any]:
    """A SLSA v1 predicate in the form of v0.2."""
    definition, details = made["buildDefinition"], made["runDetails"]
    internal = dict(definition["internalParameters"])
    build_config = internal.pop("buildConfig", None)
    platform = internal.pop("builderPlatform")
    environment = {**internal, "platform": platform}
    config = definition["externalParameters"]["configSource"]
    entry = {"entryPoint" if key == "path" else key: value for key, value in config.items()}
    metadata = details["metadata"]
    completeness = metadata["buildkit_completeness"]
    shown: dict[str, Any] = {
        "buildInvocationID": metadata["invocationId"],
        "buildStartedOn": metadata["startedOn"],
        "buildFinishedOn": metadata["finishedOn"],
        "completeness": {
            "parameters": completeness["request"],
            "environment": True,
            "materials": completeness["resolvedDependencies"],
        },
        "reproducible": bool(metadata.get("buildkit_reproducible")),
        f"{BUILD_TYPE_V02}#metadata": metadata["buildkit_metadata"],
    }
    if metadata.get("buildkit_hermetic"):
        shown[f"{BUILD_TYPE_V02}#hermetic"] = True
    return {
        "builder": details["builder"],
        "buildType": BUILD_TYPE_V02,
        **_present(materials=definition.get("resolvedDependencies")),
        "invocation": {
            "configSource": entry,
            "parameters": definition["externalParameters"]["request"],
            "environment": {key: environment[key] for key in sorted(environment)},
        },
        **_present(buildConfig=build_config),
        "metadata": shown,
    }


def require_complete(materials: Materials) -> None:
    """Raises `DefinitionError` (code `incomplete-materials`) naming what nobody can say where it came from."""
    if materials.complete:
        return
    named = "".join(f"\n  - {name}\n    reason: local_source" for name in sorted(materials.locals))
    raise DefinitionError(
        "provenance materials are incomplete\n\nThe build requested complete provenance materials, but not all "
        f"dependencies could be captured.\n\nUncaptured local sources:{named}",
        code="incomplete-materials",
        hint="Build from a git repository or an archive on the web, or leave complete-materials out.",
    )


def filtered_args(args: Mapping[str, str]) -> dict[str, str]:
    """The attributes of a frontend that provenance tells, sorted, credentials in addresses made unreadable."""
    context = args.get("contextkey") or "context"
    out = {}
    for key in sorted(args):
        if key in _OF_HOST or key.startswith("attest:"):
            continue
        address = key == context or key.startswith(("context:", "input:", f"{_VCS}source"))
        out[key] = without_credentials(args[key]) if address else args[key]
    return out


def _request(request: FrontendRequest, args: Mapping[str, str], materials: Materials) -> dict[str, Any]:
    """A request apart from what its build file is: that is the `configSource`."""
    left = dict(args)
    if request.frontend == DOCKERFILE_FRONTEND:
        taken = {key: left.get(f"build-arg:{name}", "") for key, name in _FROM_ARGS.items()}
        left |= {key: value for key, value in taken.items() if value}
        left = {key: left[key] for key in sorted(left)}
    config: dict[str, Any] = {}
    key = left.get("contextkey") or ("input:context" if left.get("input:context") else "context")
    if left.get(key):
        found = materials.find(left[key])
        config = dict(found) if found is not None else {"uri": left[key]}
        config["uri"] = without_credentials(config["uri"])
        del left[key]
    if left.get("filename"):
        config["path"] = left.pop("filename")
    parameters: dict[str, Any] = _present(frontend=request.frontend, args=left)
    inputs = {
        name: _request(each, filtered_args(each.args()), materials)
        for name, each in sorted(request.inputs.items())
    }
    if inputs:
        parameters["inputs"] = {
            name: {"configSource": each["configSource"], "request": _in_order(each["request"])}
            for name, each in inputs.items()
        }
    return {"configSource": config, "request": parameters}


def _root_request(
    request: FrontendRequest, args: Mapping[str, str], materials: Materials
) -> dict[str, Any] | None:
    """The request as the client made it before it chose the frontend, when that says anything."""
    made = _request(FrontendRequest("", request.args), args, materials)
    return made if made["request"] else None


def _take_vcs(parameters: dict[str, Any]) -> dict[str, str]:
    """Takes what is told of the context's repository out of the arguments."""
    args = parameters.get("args", {})
    vcs = {key.removeprefix(_VCS): value for key, value in args.items() if key.startswith(_VCS)}
    rest = {key: value for key, value in args.items() if not key.startswith(_VCS)}
    parameters.pop("args", None)
    if rest:
        parameters["args"] = rest
    return {key: value for key, value in vcs.items() if value}


def _add_lendings(parameters: dict[str, Any], materials: Materials) -> None:
    for name, ids in (("secrets", materials.secrets), ("ssh", materials.agents)):
        if ids:
            parameters[name] = [{"id": id, "optional": True} if ids[id] else {"id": id} for id in sorted(ids)]
    if materials.locals:
        parameters["locals"] = [{"name": name} for name in sorted(materials.locals)]


def _scrub(parameters: dict[str, Any]) -> bool:
    """Takes out what minimal provenance does not tell; whether that was part of the request itself."""
    args = parameters.pop("args", {})
    kept = {key: value for key, value in args.items() if not key.startswith(_NOT_IN_MIN)}
    incomplete = len(kept) < len(args)
    if kept:
        parameters["args"] = kept
    parameters.pop("secrets", None)
    parameters.pop("ssh", None)
    inner = [*parameters.get("inputs", {}).values()]
    if "root" in parameters:
        inner.append(parameters["root"])
    for each in inner:
        incomplete = _scrub(each["request"]) or incomplete
    return incomplete


def _graph(source: ProvenanceSource) -> tuple[dict[str, Any], Any, Any]:
    """The steps, their source map, and the layers that they yielded."""
    from bakehouse.llb.steps import source_map_of, steps_of

    steps = steps_of(source.definition)
    layers = source.layers(steps.numbers)
    config = _present(llbDefinition=list(steps.listed), digestMapping=steps.mapping())
    return config, source_map_of(source.definition, steps), {key: layers[key] for key in sorted(layers)}


def _internal(frontend: str, build_config: dict[str, Any] | None) -> dict[str, Any]:
    out: dict[str, Any] = {} if build_config is None else {"buildConfig": build_config}
    out["builderPlatform"] = str(Platform.local().normalized())
    if frontend == DOCKERFILE_FRONTEND:
        out["dockerfileVersion"] = DOCKERFILE_VERSION
    return out


_PARAMETERS = ("frontend", "args", "secrets", "ssh", "locals", "inputs", "root", "compatibilityVersion")


def _in_order(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: parameters[name] for name in _PARAMETERS if parameters.get(name)}


def _sorted(value: Any) -> Any:
    """`value` with the members of all objects sorted, as what passed through one of Go's maps has them."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def _present(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}
