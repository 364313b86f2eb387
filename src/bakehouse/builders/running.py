"""Running an image: its config and a throwaway writable view of its layers, handed to the OCI runtime."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bakehouse.builders.embedded import open_engine
from bakehouse.builders.image_names import find_image
from bakehouse.builders.settings import Settings
from bakehouse.engine.engine import Engine
from bakehouse.engine.sources.image import adopt_image
from bakehouse.engine.sources.image_content import ResolvedImage, StoreContent, choose_image
from bakehouse.errors import BakehouseError, DefinitionError, NotFoundError
from bakehouse.oci.platform import Platform
from bakehouse.oci.reference import Reference
from bakehouse.progress.events import null_reporter
from bakehouse.registry.credentials import DockerCredentials
from bakehouse.runtime import Step, StepMount
from bakehouse.runtime.foreground import Foreground
from bakehouse.session import Session
from bakehouse.snapshots import LayerChain
from bakehouse.solver.model import Cancellation, RunContext
from bakehouse.values import dataclass

_TERM = "TERM=xterm"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One `bakehouse run`. `entrypoint` None keeps the image's, an empty text clears it; `volumes` are
    `source:target[:ro]`."""

    image: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    entrypoint: str | None = None
    network: str = "host"
    volumes: tuple[str, ...] = ()
    hostname: str = ""
    extra_hosts: tuple[tuple[str, str], ...] = ()
    platform: str = ""
    pull: bool = False


def run_image(
    request: RunRequest,
    settings: Settings,
    environ: Mapping[str, str],
    on_output: Callable[[int, bytes], None],
    cancel: Cancellation,
    foreground: Foreground,
) -> int:
    """Runs to the end and returns the exit code. `foreground` lends standard input and passes signals on.

    Raises `NotFoundError` for an image that is neither in the local store nor in a registry, and the runtime's errors.
    """
    with open_engine(settings, environ) as engine:
        return engine.call(lambda: _run(engine, request, settings, on_output, cancel, foreground), cancel)


def _run(
    engine: Engine,
    request: RunRequest,
    settings: Settings,
    on_output: Callable[[int, bytes], None],
    cancel: Cancellation,
    foreground: Foreground,
) -> int:
    config, chain = _resolve(engine, request, settings, cancel)
    process = config.get("config") or {}
    args = _arguments(process, request)
    if not args:
        raise DefinitionError(
            f"no command: {request.image} has neither entrypoint nor command",
            hint="give one after the image's name",
        )
    with engine.layers.prepare(chain) as active:
        step = Step(
            args=tuple(args),
            rootfs=active.root,
            env=tuple(_environment(process.get("Env") or [], request.env, foreground.streams.terminal)),
            cwd=request.workdir or process.get("WorkingDir") or "/",
            user=request.user or process.get("User") or "",
            mounts=tuple(_volume(text) for text in request.volumes),
            network=request.network,
            hostname=request.hostname,
            extra_hosts=request.extra_hosts,
            terminal=foreground.streams.terminal,
        )
        return engine.runtime().run(step, on_output, cancel, foreground=foreground)


def _resolve(
    engine: Engine, request: RunRequest, settings: Settings, cancel: Cancellation
) -> tuple[dict[str, Any], LayerChain]:
    """The image's config, and its layers; found by name, by image ID, or in a registry."""
    credentials = DockerCredentials(settings.docker_config) if settings.docker_config else None
    session = Session(credentials=credentials) if credentials else Session()
    context = engine.context(session, null_reporter())
    resolver = engine.resolver(context)
    platform = Platform.parse(request.platform) if request.platform else Platform.local()
    image = None if request.pull else _stored(engine, request.image, platform)
    if image is None:
        try:
            image = resolver.resolve(
                Reference.parse(request.image), platform, "pull" if request.pull else "default"
            )
        except BakehouseError as error:
            if error.category != "cancelled" and not request.pull:
                _explain_absence(engine, request.image, error)
            raise
    reporter = context.reporter.vertex("sha256:run", f"load {request.image}")
    tree = adopt_image(image, context, RunContext(reporter, cancel))
    return json.loads(image.config.raw), tree.chain()


def _explain_absence(engine: Engine, image: str, error: BakehouseError) -> None:
    """Says of a failed look-up in a registry that the local store has no such image either, and what it has."""
    error.message = f"{image} is not in the local image store, and {error.message}"
    error.args = (error.message,)
    try:
        find_image(engine.store, image)
    except BakehouseError as absent:
        error.hint = absent.hint


def _stored(engine: Engine, text: str, platform: Platform) -> ResolvedImage | None:
    """The image of the local store that `text` names or is the beginning of the ID of; None when there is none."""
    try:
        name, descriptor = find_image(engine.store, text)
    except NotFoundError:
        return None
    return choose_image(name, descriptor, platform, StoreContent(engine.store))


def _arguments(process: Mapping[str, Any], request: RunRequest) -> list[str]:
    """Docker's rule: a replaced entrypoint drops the image's command, arguments replace the command."""
    if request.entrypoint is not None:
        entrypoint = [request.entrypoint] if request.entrypoint else []
        return [*entrypoint, *request.args]
    command = list(request.args) or list(process.get("Cmd") or [])
    return [*(process.get("Entrypoint") or []), *command]


def _environment(image: list[str], given: tuple[str, ...], terminal: bool) -> list[str]:
    merged: dict[str, str] = {}
    for item in (_PATH, *([_TERM] if terminal else []), *image, *given):
        key, _, value = item.partition("=")
        merged[key] = value
    return [f"{key}={value}" for key, value in merged.items()]


def _volume(text: str) -> StepMount:
    parts = text.split(":")
    if len(parts) not in (2, 3) or not parts[0] or not parts[1].startswith("/"):
        raise DefinitionError(f"invalid volume {text!r}", hint="expected source:/target[:ro]")
    mode = parts[2] if len(parts) == 3 else "rw"
    if mode not in ("ro", "rw"):
        raise DefinitionError(f"invalid volume {text!r}: mode {mode!r} is neither ro nor rw")
    source = Path(parts[0]).expanduser().resolve()
    if not source.exists():
        raise NotFoundError(f"volume source {parts[0]} does not exist", code="volume-not-found")
    return StepMount("bind", source, parts[1], ("rbind", mode))
