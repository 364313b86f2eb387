"""`bakehouse build`: one image from a Dockerfile, with `docker buildx build`'s flags."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bakehouse.cli.flags import Parsed, UsageError, parse, render_help
from bakehouse.cli.options import BUILD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.bake import Target


def help_text() -> str:
    return render_help(
        "bakehouse build [OPTIONS] PATH | URL | -", "Build one image from a Dockerfile.", BUILD
    )


def command(argv: Sequence[str]) -> int:
    parsed = parse(BUILD, argv)
    if len(parsed.arguments) != 1:
        raise UsageError(
            f"'bakehouse build' requires 1 argument, got {len(parsed.arguments)}",
            hint="name the context directory, for example `bakehouse build .`",
        )
    from bakehouse.bake.checks import Surroundings, check_targets
    from bakehouse.builders.embedded import BuildRequest, build
    from bakehouse.cli.entitlements import require_privileges
    from bakehouse.cli.session import (
        building,
        enter_user_namespace,
        settings,
        stdout_stream,
        write_atomically,
    )

    target, stdin_dockerfile = target_of(parsed)
    cwd = Path.cwd()
    check_targets([target], Surroundings(str(cwd), os.environ, sys.stdout.isatty()))
    require_privileges([target], parsed.texts("allow"), check_files=False)
    configured = settings()
    enter_user_namespace()
    quiet = parsed.on("quiet")
    request = BuildRequest({target.name: target}, cwd, os.environ, stdin_dockerfile, stdout_stream, frozenset(parsed.texts("allow")))
    with building("quiet" if quiet else parsed.text("progress")) as (display, cancel):
        outcome = build(request, configured, display.reporter, cancel)
    responses = outcome.responses[target.name]
    image_id = responses.get("containerimage.config.digest") or responses.get("containerimage.digest", "")
    if parsed.text("iidfile"):
        write_atomically(Path(parsed.text("iidfile")), image_id)
    if parsed.text("metadata-file"):
        from bakehouse.cli.session import metadata_of, write_metadata

        write_metadata(parsed.text("metadata-file"), metadata_of(responses))
    if quiet and image_id:
        sys.stdout.write(image_id + "\n")
    return 0


def target_of(parsed: Parsed) -> tuple[Target, bytes | None]:
    """The flags as a resolved target, and the Dockerfile's text when it comes from standard input."""
    from bakehouse.bake import Target, parse_outputs, parse_secrets, parse_sshs

    target = Target("default")
    context = parsed.arguments[0]
    stdin_dockerfile = None
    target.dockerfile = parsed.text("file") or None
    if context == "-" or target.dockerfile == "-":
        if context == "-" and target.dockerfile == "-":
            raise UsageError("invalid argument: can't use stdin for both build context and dockerfile")
        stdin_dockerfile = _read_stdin(context, target.dockerfile)
        target.dockerfile = "-"
        context = _empty_directory() if context == "-" else context
    elif target.dockerfile:
        # -f is relative to the working directory, unlike a Bake file's `dockerfile`.
        target.dockerfile = os.path.abspath(target.dockerfile)
    target.context = context
    target.args = _pairs("build-arg", parsed.texts("build-arg"), from_environment=True)
    target.labels = _pairs("label", parsed.texts("label"))
    target.contexts = _pairs("build-context", parsed.texts("build-context"), required=True)
    target.extra_hosts = dict(_host(item) for item in parsed.texts("add-host"))
    target.annotations = parsed.texts("annotation")
    target.tags = parsed.texts("tag")
    target.target = parsed.text("target") or None
    target.platforms = parsed.texts("platform")
    target.secret = parse_secrets(parsed.texts("secret"))
    target.ssh = parse_sshs(parsed.texts("ssh"))
    target.output = parse_outputs(parsed.texts("output"))
    target.pull = parsed.tristate("pull")
    target.no_cache = parsed.tristate("no-cache")
    target.no_cache_filter = [name for item in parsed.texts("no-cache-filter") for name in item.split(",")]
    target.network = parsed.text("network")
    target.shm_size = parsed.text("shm-size") or None
    target.ulimits = parsed.texts("ulimit")
    target.cache_from, target.cache_to, target.attest, target.policy = [], [], [], []
    target.entitlements = ["network.host"] if target.network == "host" else []
    _shorthands(parsed, target)
    if "SOURCE_DATE_EPOCH" in os.environ and os.environ["SOURCE_DATE_EPOCH"]:
        target.args.setdefault("SOURCE_DATE_EPOCH", os.environ["SOURCE_DATE_EPOCH"])
    return target, stdin_dockerfile


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


def _read_stdin(context: str, dockerfile: str | None) -> bytes:
    data = sys.stdin.buffer.read()
    if context == "-":
        from bakehouse.errors import NotBuiltYetError

        magics = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
        if data.startswith(magics) or data[257:262] == b"ustar":
            raise NotBuiltYetError(
                "a context archive on standard input is not supported yet",
                hint="unpack it and give the directory",
            )
        if dockerfile:
            raise UsageError("ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles")
    return data


def _empty_directory() -> str:
    """A context without files, for `build -`. The operating system's own empty place needs no cleaning up."""
    return "/var/empty" if os.path.isdir("/var/empty") else "/proc/self/task/none/.."


def _pairs(
    flag: str, items: list[str], *, from_environment: bool = False, required: bool = False
) -> dict[str, str]:
    out = {}
    for item in items:
        key, separator, value = item.partition("=")
        if not key or (required and not separator):
            raise UsageError(f"invalid {flag} {item!r}, expected name=value")
        if separator:
            out[key] = value
        elif from_environment:
            if key in os.environ:
                out[key] = os.environ[key]
        else:
            out[key] = ""
    return out


def _host(text: str) -> tuple[str, str]:
    for separator in "=:":
        name, found, ip = text.partition(separator)
        if found and name and ip:
            return name, ip.strip("[]") if ip.startswith("[") else ip
    raise UsageError(f'bad format for add-host: "{text}"', hint="expected host:ip")
