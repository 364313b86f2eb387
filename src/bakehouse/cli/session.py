"""What every building command does around a build: settings, progress display, signals, metadata file, summary."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from bakehouse.bake import Target
from bakehouse.builders.loading import Loads
from bakehouse.builders.settings import Settings, read_settings
from bakehouse.errors import BakehouseError, CancelledError, DefinitionError
from bakehouse.go.jsontext import indented_json
from bakehouse.go.text import os_error_text
from bakehouse.progress.events import Event, Reporter, WarningEvent
from bakehouse.progress.renderer import Renderer
from bakehouse.progress.select import make_renderer, warning_summary
from bakehouse.runtime.foreground import Foreground
from bakehouse.solver.model import Cancellation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.cli.flags import Parsed
    from bakehouse.dockerfile.requests.answer import Answer


def settings() -> Settings:
    """The settings of the user who runs the command."""
    return read_settings(os.environ, root_user=os.geteuid() == 0, home=Path.home())


def enter_user_namespace() -> None:
    """Not root: starts the command again inside a user namespace, where it may mount and run steps. Returns at once
    for root, and when already inside."""
    if os.geteuid() != 0:
        from bakehouse.runtime.rootless import reexec_in_user_namespace

        reexec_in_user_namespace()


class Display:
    """The progress display of one build: `reporter` feeds it; `warnings` are those it was told of."""

    def __init__(self, mode: str, *, debug: bool = False) -> None:
        self._debug = debug
        self._renderer: Renderer | None = make_renderer(mode, sys.stderr, os.environ)
        self._mode = mode
        self._closed = False
        self._lock = threading.Lock()
        self.warnings: list[WarningEvent] = []
        self.reporter = Reporter(self._handle)

    def _handle(self, event: Event) -> None:
        if isinstance(event, WarningEvent):
            with self._lock:
                self.warnings.append(event)
        if self._renderer is None:
            self._renderer = make_renderer(self._mode, sys.stderr, os.environ)
        self._renderer.handle(event)

    def pause(self) -> None:
        """Draws the last state and leaves the terminal to others; the next event begins a display anew."""
        if self._renderer is not None:
            self._renderer.close(False)
            self._renderer = None

    def close(self, error: bool) -> None:
        """Draws the last state and the warnings' summary. Idempotent."""
        if self._renderer is not None:
            self._renderer.close(error)
        if self._mode in ("quiet", "rawjson") or self._closed:
            return
        self._closed = True
        color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        _write_quietly(warning_summary(self.warnings, os.environ, expand=self._debug, color=color))


def _write_quietly(text: str) -> None:
    """Writes to standard error; that nobody reads there any more is no reason to fail a build."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except BrokenPipeError:
        pass


def note(text: str) -> None:
    """A remark to the user beside the progress display."""
    _write_quietly(f"note: {text}\n")


#: How long an orderly end may take. The store is sound and its containers end however the process does.
_UNWINDING_S = 5.0


def _end_after(seconds: float, give_up: Callable[[], None]) -> None:
    def end() -> None:
        try:
            give_up()
        finally:
            os._exit(130)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


@contextmanager
def interruptible(give_up: Callable[[], None]) -> Iterator[Cancellation]:
    """A cancellation that SIGINT, SIGTERM and SIGHUP fire. A second signal ends the process at once; so does some time
    later the first, when something that cannot be interrupted (a server that does not answer) is waited for. `give_up`
    is called before that."""
    cancel = Cancellation()

    def stop(number: int, frame: object) -> None:
        if cancel.cancelled:
            os._exit(130)
        _end_after(_UNWINDING_S, give_up)
        cancel.cancel()

    previous = {
        number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield cancel
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


#: Signals that `bakehouse run` passes on to the process that it runs.
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_PATIENCE = 2


@contextmanager
def signals_to(foreground: Foreground) -> Iterator[Cancellation]:
    """Passes signals on to a process in the foreground. One that comes before there is a process, or for the third
    time, fires the cancellation instead, which kills; one after that ends us at once."""
    cancel = Cancellation()
    received: Counter[int] = Counter()

    def handle(number: int, frame: object) -> None:
        if cancel.cancelled:
            os._exit(128 + number)
        received[number] += 1
        if received[number] > _PATIENCE or not foreground.pass_on(number):
            _end_after(_UNWINDING_S, lambda: None)
            cancel.cancel()

    previous = {number: signal.signal(number, handle) for number in _PASSED_ON}
    previous[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, lambda number, frame: foreground.resized())
    try:
        yield cancel
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def building(mode: str, *, debug: bool = False) -> Iterator[tuple[Display, Cancellation]]:
    """A display and a cancellation for the length of a build."""
    display = Display(mode, debug=debug)
    failed = True
    try:
        with interruptible(lambda: _tell_cancelled(display)) as cancel:
            yield display, cancel
        failed = False
    except BakehouseError as error:
        if mode != "quiet":
            # The display shows the failed step's last output itself when it closes.
            error.log_tail = ()
        raise
    finally:
        display.close(failed)


def _tell_cancelled(display: Display) -> None:
    """The last words of a build that could not be unwound in time."""
    display.close(True)
    _write_quietly(f"ERROR: failed to solve: Canceled: {CancelledError().message}\n")


def stdout_stream() -> BinaryIO:
    """Standard output for an exported archive. Refused when it is a terminal, as buildx does."""
    if sys.stdout.isatty():
        raise DefinitionError(
            "dest file is required for this exporter. refusing to write to console",
            code="stdout-is-a-terminal",
        )
    return sys.stdout.buffer


def metadata_of(responses: Mapping[str, str]) -> dict[str, Any]:
    """What the metadata file shows of one build: its name, and the exporters' responses, JSON in base64 as JSON
    (bake.md §22)."""
    shown = {"buildx.build.ref": build_ref(), **responses}
    return {key: _decoded(shown[key]) for key in sorted(shown)}


def told_provenance(parsed: Parsed) -> str:
    """How much provenance the build is to tell: what the environment says, when there is a metadata file for it."""
    from bakehouse.builders.attesting import PROVENANCE_DISABLED, metadata_provenance

    return metadata_provenance(os.environ) if parsed.text("metadata-file") else PROVENANCE_DISABLED


def _decoded(value: str) -> Any:
    """The object, or list of objects, that `value` holds in base64; else `value` itself."""
    import base64

    try:
        found = json.loads(base64.b64decode(value, validate=True))
    except (ValueError, RecursionError):
        return value
    listed = found if isinstance(found, list) else [found]
    return found if found and all(isinstance(item, dict) for item in listed) else value


def answer_metadata(answer: Answer) -> dict[str, Any]:
    """An answer to a call as the metadata file shows it."""
    from bakehouse.dockerfile.requests.answer import metadata_of as members

    return members(answer)


def build_ref() -> str:
    """A name for one build of one target, as `BUILDER/NODE/ID` (bake.md §22); the id is 25 digits of base 36."""
    import secrets

    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return "embedded/embedded0/" + "".join(secrets.choice(digits) for _ in range(25))


def write_atomically(path: Path, text: str) -> None:
    """Writes a file whole or not at all, mode 0644."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DefinitionError(f"cannot write {path}: {error.strerror}", code="unwritable") from error


def write_metadata(path: str, document: Mapping[str, Any], warnings: Sequence[WarningEvent]) -> None:
    """Writes a metadata file. `BUILDX_METADATA_WARNINGS` adds the build's warnings under a key of their own."""
    whole = dict(document)
    if warnings and _wants(os.environ.get("BUILDX_METADATA_WARNINGS", "")):
        from bakehouse.progress.rawjson import warning_as_json

        whole["buildx.build.warnings"] = [warning_as_json(warning) for warning in warnings]
    whole = {key: whole[key] for key in sorted(whole)}
    parent = Path(path).parent
    try:
        parent.stat()
    except OSError as error:
        raise DefinitionError(
            f"invalid output path: {os_error_text('stat', str(parent), error)}", code="unwritable"
        ) from None
    write_atomically(Path(path), indented_json(whole))


def _wants(text: str) -> bool:
    return text in ("1", "t", "T", "TRUE", "true", "True")


@contextmanager
def loading(targets: Mapping[str, Target]) -> Iterator[Loads]:
    """What `--load` hands on to Docker or Podman, found before we enter a user namespace of our own, in which they
    would not find what belongs to the user. Says so when there is neither."""
    loads = Loads(targets, os.environ, start_now=os.geteuid() != 0)
    try:
        if loads.note:
            note(loads.note)
        yield loads
    finally:
        loads.close()
