"""`OciRuntime`: finds a runtime binary and runs steps with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakehouse.errors import InternalError
from bakehouse.runtime.step import Cancel, OnOutput, OnWarning, Step


class OciRuntime:
    """Runs steps. Thread-safe."""

    @classmethod
    def discover(cls, environ: Mapping[str, str], state_dir: Path) -> OciRuntime:
        raise InternalError("not written yet")

    def run(
        self, step: Step, on_output: OnOutput, cancel: Cancel, on_warning: OnWarning | None = None
    ) -> int:
        raise InternalError("not written yet")

    def close(self) -> None:
        raise InternalError("not written yet")
