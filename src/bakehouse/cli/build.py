"""`bakehouse build`: one image from a Dockerfile, with `docker buildx build`'s flags."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bakehouse.cli.flags import Parsed, UsageError, parse, render_help
from bakehouse.cli.options import BUILD, progress_mode
from bakehouse.errors import BakehouseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.bake import Attest, CallOption, PolicyEntry, Resources, Target
    from bakehouse.builders.embedded import BuildOutcome
    from bakehouse.builders.stdin import StandardInput


def help_text() -> str:
    return render_help(
        "bakehouse build [OPTIONS] PATH | URL | -", "Build one image from a Dockerfile.", BUILD
    )


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    parsed = parse(BUILD, argv)
    if len(parsed.arguments) != 1:
        raise UsageError(
            f"'bakehouse build' requires 1 argument, got {len(parsed.arguments)}",
            hint="name the context directory, for example `bakehouse build .`",
        )
    mode = progress_mode(parsed, os.environ, extra=("none",))
    quiet = parsed.on("quiet")
    if quiet and "progress" in parsed.given and mode not in ("auto", "quiet"):
        raise UsageError(f"progress={mode} and quiet cannot be used together")
    from bakehouse.bake import parse_call

    call = parse_call(parsed.text("call"))
    target, stdin_role = target_of(parsed)
    _check_id_file(parsed, target)
    try:
        outcome = _build(
            parsed, target, stdin_role, "quiet" if quiet or mode == "none" else mode, debug, call
        )
    except BakehouseError as error:
        error.target = None
        error.during = f"failed to build: {error.during}"
        raise
    responses = outcome.responses.get(target.name, {})
    image_id = responses.get("containerimage.config.digest") or responses.get("containerimage.digest", "")
    if parsed.text("iidfile"):
        from bakehouse.cli.session import write_atomically

        write_atomically(Path(parsed.text("iidfile")), image_id)
    if image_id and (quiet or mode == "quiet"):
        sys.stdout.write(image_id + "\n")
    if call is None:
        return 0
    from bakehouse.cli.calls import print_answer

    return print_answer(outcome.answers[target.name], call, _shown_dockerfile(parsed, stdin_role))


def _shown_dockerfile(parsed: Parsed, stdin_role: str) -> str:
    """What the user calls the Dockerfile."""
    if stdin_role and not (stdin_role == "context" and parsed.text("file")):
        return "stdin"
    return parsed.text("file") or os.path.normpath(os.path.join(parsed.arguments[0], "Dockerfile"))


def _check_id_file(parsed: Parsed, target: Target) -> None:
    if parsed.text("iidfile") and any(output.type in ("local", "tar") for output in target.output or ()):
        raise UsageError("local and tar exporters are incompatible with image ID file")


def _build(
    parsed: Parsed, target: Target, stdin_role: str, mode: str, debug: bool, call: CallOption | None
) -> BuildOutcome:
    """Builds, or asks what `call` asks. The metadata file is written too."""
    from bakehouse.bake.checks import Surroundings, check_targets
    from bakehouse.builders.embedded import BuildRequest, build
    from bakehouse.cli.entitlements import require_privileges
    from bakehouse.cli.session import (
        answer_metadata,
        building,
        enter_user_namespace,
        loading,
        metadata_of,
        settings,
        stdout_stream,
        told_provenance,
        write_metadata,
    )
    from bakehouse.giturl import is_remote_url

    cwd = Path.cwd()
    check_targets([target], Surroundings(str(cwd), os.environ, sys.stdout.isatty()))
    require_privileges([target], parsed.texts("allow"), check_files=False)
    configured = settings()
    targets = {target.name: target}
    with loading(targets if call is None else {}) as loads:
        if call is None or is_remote_url(target.context or ""):
            enter_user_namespace()
        request = BuildRequest(
            targets,
            cwd,
            os.environ,
            standard_input(stdin_role, target),
            stdout_stream,
            frozenset(parsed.texts("allow")),
            parsed.text("cgroup-parent"),
            loads,
            calls={} if call is None else {target.name: call.name},
            provenance=told_provenance(parsed),
        )
        with building(mode, debug=debug) as (display, cancel):
            outcome = build(request, configured, display.reporter, cancel)
    if parsed.text("metadata-file"):
        if call is None:
            document = metadata_of(outcome.responses[target.name])
        else:
            document = answer_metadata(outcome.answers[target.name])
        write_metadata(parsed.text("metadata-file"), document, () if call else display.warnings)
    return outcome


def target_of(parsed: Parsed) -> tuple[Target, str]:
    """The flags as a resolved target, and what standard input is: the `dockerfile`, the `context`, or nothing."""
    from bakehouse.bake import Target, parse_caches, parse_outputs, parse_secrets, parse_sshs

    target = Target("default")
    context = parsed.arguments[0]
    stdin_role = ""
    target.dockerfile = parsed.text("file") or None
    if context == "-" or target.dockerfile == "-":
        if context == target.dockerfile:
            raise UsageError("invalid argument: can't use stdin for both build context and dockerfile")
        stdin_role = "context" if context == "-" else "dockerfile"
        # What stands for standard input is no path: the build puts what it finds there in its place.
        context = "." if context == "-" else context
        target.dockerfile = None if target.dockerfile == "-" else target.dockerfile
    elif target.dockerfile and _is_local_file(target.dockerfile, context):
        # -f is relative to the working directory, unlike a Bake file's `dockerfile`.
        target.dockerfile = os.path.abspath(target.dockerfile)
    target.context = context
    target.args = _pairs(parsed.texts("build-arg"), from_environment=True)
    target.labels = _pairs(parsed.texts("label"))
    target.contexts = _named_contexts(parsed.texts("build-context"))
    target.extra_hosts = _hosts(parsed.texts("add-host"))
    target.annotations = parsed.texts("annotation")
    target.tags = parsed.texts("tag")
    target.target = parsed.text("target") or None
    default_platform = os.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    target.platforms = parsed.texts("platform") or ([default_platform] if default_platform else [])
    target.secret = parse_secrets(parsed.texts("secret"))
    target.ssh = parse_sshs(parsed.texts("ssh"))
    target.output = parse_outputs(parsed.texts("output"))
    target.pull = parsed.tristate("pull")
    target.no_cache = parsed.tristate("no-cache")
    target.no_cache_filter = [name for item in parsed.texts("no-cache-filter") for name in item.split(",")]
    target.network = parsed.text("network")
    target.shm_size = parsed.text("shm-size") or None
    target.ulimits = parsed.texts("ulimit")
    target.resources = _resources(parsed)
    target.cache_from = parse_caches(parsed.texts("cache-from"))
    target.cache_to = parse_caches(parsed.texts("cache-to"))
    target.attest = _attests(parsed)
    target.policy = _policies(parsed.texts("policy"))
    target.entitlements = ["network.host"] if target.network == "host" else []
    _shorthands(parsed, target)
    if os.environ.get("SOURCE_DATE_EPOCH"):
        target.args.setdefault("SOURCE_DATE_EPOCH", os.environ["SOURCE_DATE_EPOCH"])
    return target, stdin_role


def _attests(parsed: Parsed) -> list[Attest]:
    """`--attest`, then its shorthands; of one type the first counts."""
    from bakehouse.bake import attest_flag, parse_attests

    texts = parsed.texts("attest")
    texts += [attest_flag(kind, parsed.text(kind)) for kind in ("provenance", "sbom")]
    return parse_attests(texts)


def standard_input(role: str, target: Target) -> StandardInput | None:
    from bakehouse.builders.stdin import StandardInput

    return StandardInput(sys.stdin.fileno(), role, bool(target.dockerfile)) if role else None


def _is_local_file(dockerfile: str, context: str) -> bool:
    """Whether -f names a file of this machine, rather than one from the web or one inside a remote context."""
    from bakehouse.giturl import is_remote_url

    return not dockerfile.startswith(("http://", "https://")) and (
        os.path.isdir(context) or not is_remote_url(context)
    )


def _policies(texts: list[str]) -> list[PolicyEntry]:
    from bakehouse.bake import parse_policies

    try:
        return parse_policies(texts)
    except BakehouseError as error:
        raise UsageError(error.message) from None


def _resources(parsed: Parsed) -> Resources | None:
    """`--resource` and the older flags of single limits; the former come last and win."""
    from bakehouse.bake import Resources
    from bakehouse.cli.options import LIMITS

    entries = [f"{key}={value}" for key in LIMITS for value in parsed.texts(key)] + parsed.texts("resource")
    limits: dict[str, str | int] = {}
    for entry in entries:
        key, equals, value = (part.strip() for part in entry.partition("="))
        if not equals:
            raise UsageError(f'invalid resource "{entry}", expected key=value')
        if key not in Resources.KEYS:
            raise UsageError(f'unknown resource "{key}"', hint=f"Use one of {', '.join(Resources.KEYS)}.")
        limits[key] = _whole(key, value) if Resources.KEYS[key] else value
    return Resources(limits) if limits else None


def _whole(key: str, value: str) -> int:
    from bakehouse.go.values import parse_int

    try:
        return parse_int(value)
    except ValueError as error:
        raise UsageError(f'invalid value "{value}" for resource {key}: {error}') from None


def _shorthands(parsed: Parsed, target: Target) -> None:
    """--push and --load, as buildx folds them into the outputs."""
    from bakehouse.bake import Output

    outputs = list(target.output or ())
    if parsed.on("push"):
        if not outputs:
            outputs = [Output("image", "", {"push": "true"})]
        elif len(outputs) == 1 and outputs[0].type == "image":
            outputs = [outputs[0].with_attr("push", "true")]
        elif not any(output.type in ("image", "registry") for output in outputs):
            outputs.append(Output("image", "", {"push": "true"}))
    if parsed.on("load") and not any(output.type == "docker" and not output.dest for output in outputs):
        outputs.append(Output("docker"))
    target.output = outputs


def _pairs(items: list[str], *, from_environment: bool = False) -> dict[str, str]:
    """`name=value` texts. A name alone takes its value from the environment, or is empty."""
    out = {}
    for item in items:
        key, separator, value = item.partition("=")
        if not key:
            raise UsageError(f'invalid key-value pair "{item}": empty key')
        if separator:
            out[key] = value
        elif not from_environment:
            out[key] = ""
        elif key in os.environ:
            out[key] = os.environ[key]
    return out


def _named_contexts(items: list[str]) -> dict[str, str]:
    """`--build-context` texts, names in the short form in which a Dockerfile's image names are looked up."""
    from bakehouse.oci.reference import Reference

    out = {}
    for item in items:
        name, separator, value = item.partition("=")
        if item == "":
            continue
        if not separator:
            raise UsageError(f"invalid context value: {item}, expected key=value")
        try:
            familiar = Reference.parse_exact(name).familiar()
        except BakehouseError as error:
            raise UsageError(f"invalid context name {name}: {error.message}") from error
        out[familiar.removesuffix(":latest")] = value
    return out


def _hosts(items: list[str]) -> dict[str, str]:
    """`host:ip` texts by host; several addresses of one host are joined by commas."""
    out: dict[str, str] = {}
    for item in items:
        separator = "=" if "=" in item else ":"
        name, found, ip = item.partition(separator)
        if not (found and name and ip):
            raise UsageError(f"invalid host {item}", hint="expected host:ip")
        out[name] = f"{out[name]},{ip}" if name in out else ip
    return out
