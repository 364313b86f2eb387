"""The rawjson renderer: one JSON object a line, each a part of BuildKit's status stream (engine.md §16.1)."""

from __future__ import annotations

import base64
import json
import threading
from datetime import UTC, datetime
from typing import Any, TextIO

from bakehouse.progress.events import (
    Event,
    LogEvent,
    ProgressGroup,
    StatusEvent,
    VertexEvent,
    WarningEvent,
)


class RawJsonRenderer:
    """Writes every event at once, as a status with one element. Zero fields are left out, except where
    BuildKit's own output always holds them."""

    def __init__(self, stream: TextIO) -> None:
        self.warnings: list[WarningEvent] = []
        self._stream = stream
        self._lock = threading.Lock()
        self._closed = False

    def handle(self, event: Event) -> None:
        line = json.dumps(_status(event), ensure_ascii=False, separators=(",", ":")) + "\n"
        with self._lock:
            if isinstance(event, WarningEvent):
                self.warnings.append(event)
            if self._closed:
                return
            try:
                try:
                    self._stream.write(line)
                except UnicodeEncodeError:
                    self._stream.write(json.dumps(_status(event), separators=(",", ":")) + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                self._closed = True

    def close(self, error: bool = False) -> None:
        with self._lock:
            self._closed = True


def _status(event: Event) -> dict[str, Any]:
    if isinstance(event, VertexEvent):
        return {"vertexes": [_vertex(event)]}
    if isinstance(event, StatusEvent):
        return {"statuses": [_vertex_status(event)]}
    if isinstance(event, LogEvent):
        return {"logs": [_log(event)]}
    return {"warnings": [warning_as_json(event)]}


def _vertex(event: VertexEvent) -> dict[str, Any]:
    group = event.progress_group
    return _without_zeros(
        {
            "digest": event.digest,
            "inputs": list(event.inputs),
            "name": event.name,
            "started": _time(event.started),
            "completed": _time(event.completed),
            "cached": event.cached,
            "error": event.error,
            "progressGroup": None if group is None else _group(group),
        }
    )


def _group(group: ProgressGroup) -> dict[str, Any]:
    return _without_zeros({"id": group.id, "name": group.name, "weak": group.weak})


def _vertex_status(event: StatusEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        **_without_zeros({"vertex": event.vertex, "total": event.total}),
        "current": event.current,
        "timestamp": _time(event.timestamp),
        **_without_zeros({"started": _time(event.started), "completed": _time(event.completed)}),
    }


def _log(event: LogEvent) -> dict[str, Any]:
    return {
        **_without_zeros({"vertex": event.vertex, "stream": event.stream}),
        "data": _base64(event.data),
        "timestamp": _time(event.timestamp),
    }


def warning_as_json(event: WarningEvent) -> dict[str, Any]:
    """A warning as BuildKit's clients write it, texts in base64."""
    lines = range(event.first_line, event.last_line + 1) if event.first_line else ()
    source = None
    if event.filename:
        source = {"filename": event.filename, "data": _base64(event.source), "language": "Dockerfile"}
    return _without_zeros(
        {
            "vertex": event.vertex,
            "level": event.level,
            "short": _base64(_encode(event.short)),
            "detail": [_base64(_encode(text)) for text in event.detail],
            "url": event.url,
            "sourceInfo": source,
            "range": [{"start": {"line": line}, "end": {"line": line}} for line in lines],
        }
    )


def _without_zeros(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _time(seconds: float | None) -> str | None:
    """RFC 3339 in UTC, without trailing zeros of the fraction."""
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "Z"
