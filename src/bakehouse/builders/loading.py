"""`--load`: an image handed to the container engine of this machine, Docker or Podman.

An engine counts as there when its program is on PATH and, for Docker, its daemon answers. Where none is, the image goes
to the local image store (`builders.outputs`), and the user is told. Archives are written by the engine room's `docker`
exporter; here is only the pipe to the other program.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, cast

from bakehouse.engine.exporters.model import ExportResult, ExportSpec, start_vertex
from bakehouse.errors import EnvironmentFault
from bakehouse.values import dataclass, replace

if TYPE_CHECKING:
    import subprocess

    from bakehouse.bake import Output, Target
    from bakehouse.engine.tree import EngineContext
    from bakehouse.solver.model import Cancellation

_PROBE_TIMEOUT_S = 10
_MAX_MESSAGE_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Loader:
    """A container engine: `name` for people, `argv` that loads an archive from standard input, its environment."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]


def is_load(output: Output) -> bool:
    """Whether an output is `--load`'s: an image in Docker's format that goes to no file."""
    return output.type == "docker" and not output.dest and output.attrs.get("tar") not in ("false", "0", "f")


def find_loader(environ: Mapping[str, str], docker_context: str = "") -> Loader | None:
    """The container engine that images are loaded into: Docker when its daemon answers, else Podman, else None.

    `docker_context` names one of Docker's own contexts (`type=docker,context=NAME`), which must answer then; raises
    `EnvironmentFault` (code `no-container-engine`) when it does not.
    """

    import shutil

    docker = shutil.which("docker", path=environ.get("PATH", ""))
    chosen = ("--context", docker_context) if docker_context else ()
    if docker is not None and _answers(
        [docker, *chosen, "version", "--format", "{{.Server.Version}}"], environ
    ):
        return Loader("docker", (docker, *chosen, "load"), environ)
    if docker_context:
        raise EnvironmentFault(
            f"cannot load into the docker context {docker_context}: it does not answer",
            code="no-container-engine",
            hint="`docker context ls` lists the contexts; is the daemon running?",
        )
    podman = shutil.which("podman", path=environ.get("PATH", ""))
    return Loader("podman", (podman, "load"), environ) if podman is not None else None


def _answers(argv: Sequence[str], environ: Mapping[str, str]) -> bool:
    import subprocess

    try:
        done = subprocess.run(
            argv,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class LoadStream(io.RawIOBase):
    """A binary stream whose other end is a loading program; it is started by the first write, or by `start`."""

    def __init__(self, loader: Loader) -> None:
        super().__init__()
        self._loader = loader
        self._process: subprocess.Popen[bytes] | None = None
        self._said: BinaryIO | None = None

    def start(self) -> None:
        """Starts the program. Raises `EnvironmentFault` when that fails."""

        if self._process is not None:
            return
        import subprocess
        import tempfile

        self._said = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 (closed by `_message`)
        try:
            self._process = subprocess.Popen(
                self._loader.argv,
                env=dict(self._loader.environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                start_new_session=True,
            )
        except OSError as error:
            self._said.close()
            raise self._fault(error.strerror or str(error)) from error

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        view = memoryview(data)  # type: ignore[arg-type]
        try:
            self._process.stdin.write(view)
        except BrokenPipeError:
            self.finish()
            raise self._fault("it ended before it had read the image") from None
        return view.nbytes

    def finish(self) -> None:
        """Ends the input and waits until the image is loaded. Raises `EnvironmentFault` with what the program said."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
        code = process.wait()
        said = self._message()
        if code:
            raise self._fault(said or f"exit code {code}")

    def abandon(self) -> None:
        """Ends the program without an image. Idempotent; harmless after `finish`."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdin is not None
            try:
                process.stdin.close()
            except BrokenPipeError:
                pass
            self._message()

    def _message(self) -> str:
        if self._said is None:
            return ""
        self._said.seek(0)
        text = self._said.read(_MAX_MESSAGE_BYTES).decode("utf-8", "replace").strip()
        self._said.close()
        return text

    def _fault(self, why: str) -> EnvironmentFault:
        return EnvironmentFault(
            f"{self._loader.name} could not load the image: {why}",
            code="load-failed",
            hint="leave --load out to keep the image in Bakehouse's own image store",
        )


class LoadExporter:
    """An `Exporter` that pipes the image into a container engine."""

    def __init__(self, spec: ExportSpec, stream: LoadStream, engine: str) -> None:

        attrs = {key: value for key, value in spec.attrs.items() if key != "context"}
        self._spec = replace(spec, attrs=attrs, stdout=cast(BinaryIO, stream))
        from bakehouse.engine.exporters.docker import DockerExporter

        self._archive = DockerExporter(self._spec)
        self.name = self._archive.name
        self.reads_files = self._archive.reads_files
        self.takes_blobs = self._archive.takes_blobs
        self._stream = stream
        self._engine = engine

    def export(self, result: ExportResult, context: EngineContext, cancel: Cancellation) -> dict[str, str]:
        try:
            response = self._archive.export(result, context, cancel)
            vertex = start_vertex(context.reporter, self._spec, f"importing to {self._engine}")
            try:
                self._stream.finish()
            except BaseException as error:
                vertex.fail(str(error))
                raise
            vertex.done()
            return response
        finally:
            self._stream.abandon()


class Loads:
    """The loads of one build. Made before anything is built, so that the absence of an engine is known early.

    `note` is what the user is to be told when images stay in the local image store, else empty.
    """

    def __init__(self, targets: Mapping[str, Target], environ: Mapping[str, str], *, start_now: bool) -> None:
        """`start_now` starts the programs at once: for a process that is about to move into a user namespace, where
        they would not find what belongs to the user. Raises `EnvironmentFault`."""
        self._streams: dict[tuple[str, int], tuple[LoadStream, str]] = {}
        self.note = ""
        found: dict[str, Loader | None] = {}
        for name, target in targets.items():
            for number, output in enumerate(target.output or ()):
                if not is_load(output):
                    continue
                docker_context = output.attrs.get("context", "")
                if docker_context not in found:
                    found[docker_context] = find_loader(environ, docker_context)
                loader = found[docker_context]
                if loader is None:
                    self.note = (
                        "neither Docker nor Podman is running here: what --load asks for is kept in Bakehouse's own "
                        "image store (`bakehouse images`)"
                    )
                    continue
                stream = LoadStream(loader)
                if start_now:
                    stream.start()
                self._streams[name, number] = (stream, loader.name)

    def exporter(self, target: str, number: int, spec: ExportSpec) -> LoadExporter | None:
        """The exporter of output `number` of a target; None when no engine is there."""
        found = self._streams.get((target, number))
        return None if found is None else LoadExporter(spec, *found)

    def close(self) -> None:
        """Ends programs that got no image. Idempotent."""
        for stream, _ in self._streams.values():
            stream.abandon()


def no_loads() -> Loads:
    """For builds without `--load`."""
    return Loads({}, os.environ, start_now=False)
