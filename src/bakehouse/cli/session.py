"""What every building command does around a build: settings, progress display, signals, metadata file, summary."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from bakehouse.builders.settings import Settings, read_settings
from bakehouse.errors import BakehouseError, DefinitionError
from bakehouse.progress.events import Event, Reporter, WarningEvent
from bakehouse.progress.select import make_renderer, warning_summary
from bakehouse.solver.model import Cancellation


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
    """The progress display of one build: `reporter` feeds it; warnings are counted for the closing summary."""

    def __init__(self, mode: str) -> None:
        self._debug = bool(os.environ.get("BAKEHOUSE_DEBUG"))
        if mode == "auto":
            mode = os.environ.get("BUILDKIT_PROGRESS", "auto") or "auto"
        self._renderer = make_renderer(mode, sys.stderr, os.environ)
        self._mode = mode
        self._warnings: list[WarningEvent] = []
        self._lock = threading.Lock()
        self.reporter = Reporter(self._handle)

    def _handle(self, event: Event) -> None:
        if isinstance(event, WarningEvent):
            with self._lock:
                self._warnings.append(event)
        self._renderer.handle(event)

    def close(self, error: bool) -> None:
        """Draws the last state and the warnings' summary. Idempotent."""
        self._renderer.close(error)
        warnings, self._warnings = self._warnings, []
        if self._mode not in ("quiet", "rawjson"):
            color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
            sys.stderr.write(warning_summary(warnings, os.environ, expand=self._debug, color=color))


@contextmanager
def interruptible() -> Iterator[Cancellation]:
    """A cancellation that SIGINT, SIGTERM and SIGHUP fire; a second signal ends the process at once."""
    cancel = Cancellation()

    def stop(number: int, frame: object) -> None:
        if cancel.cancelled:
            os._exit(130)
        cancel.cancel()

    previous = {
        number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield cancel
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def building(mode: str) -> Iterator[tuple[Display, Cancellation]]:
    """A display and a cancellation for the length of a build."""
    display = Display(mode)
    failed = True
    try:
        with interruptible() as cancel:
            yield display, cancel
        failed = False
    except BakehouseError as error:
        if mode != "quiet":
            # The display shows the failed step's last output itself when it closes.
            error.log_tail = ()
        raise
    finally:
        display.close(failed)


def stdout_stream() -> BinaryIO:
    """Standard output for an exported archive. Refused when it is a terminal, as buildx does."""
    if sys.stdout.isatty():
        raise DefinitionError(
            "dest file is required for this exporter. refusing to write to console",
            code="stdout-is-a-terminal",
        )
    return sys.stdout.buffer


def metadata_of(responses: Mapping[str, str]) -> dict[str, Any]:
    """Exporter responses as the metadata file shows them: base64 JSON decoded (bake.md §22)."""
    import base64

    out: dict[str, Any] = {}
    for key, value in sorted(responses.items()):
        out[key] = value
        if key in ("containerimage.descriptor",):
            out[key] = json.loads(base64.b64decode(value))
    return out


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


def write_metadata(path: str, document: Mapping[str, Any]) -> None:
    if path:
        write_atomically(Path(path), json.dumps(document, indent=2, ensure_ascii=False))
