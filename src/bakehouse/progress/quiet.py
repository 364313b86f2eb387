"""The quiet renderer: shows nothing, but keeps the warnings for whoever asks."""

from __future__ import annotations

from bakehouse.progress.events import Event, WarningEvent


class QuietRenderer:
    def __init__(self) -> None:
        self.warnings: list[WarningEvent] = []

    def handle(self, event: Event) -> None:
        if isinstance(event, WarningEvent):
            self.warnings.append(event)

    def close(self, error: bool = False) -> None:
        """Nothing to restore."""
