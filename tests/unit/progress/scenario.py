"""One build's events, with fixed times: what the recorded renderings of BuildKit show."""

from __future__ import annotations

from bakehouse.progress.events import Event, LogEvent, StatusEvent, VertexEvent, WarningEvent

T = 1_700_000_000.0
A, B, C, D, E = (f"sha256:{letter * 64}" for letter in "abcde")


def events() -> list[Event]:
    """Two steps side by side, one of which fails; a cached and a cancelled one, a transfer, a warning."""
    return [
        VertexEvent(A, "[internal] load build definition from Dockerfile"),
        VertexEvent(A, "[internal] load build definition from Dockerfile", (), T),
        StatusEvent(A, "transferring dockerfile:", 32, 0, T + 0.1, T),
        StatusEvent(A, "transferring dockerfile:", 1234, 0, T + 0.3, T, T + 0.3),
        WarningEvent(A, "Rule: text (line 1)", ("why",), "", 1, "Dockerfile", b"FROM x\n", 1, 1),
        VertexEvent(A, "[internal] load build definition from Dockerfile", (), T, T + 0.5),
        VertexEvent(B, "[1/3] FROM x", (A,), T + 1),
        StatusEvent(B, "sha256:layer", 0, 5_000_000, T + 1, T + 1),
        StatusEvent(B, "sha256:layer", 100_000, 5_000_000, T + 1.1, T + 1),
        StatusEvent(B, "sha256:layer", 1_250_000, 5_000_000, T + 1.5, T + 1),
        StatusEvent(B, "sha256:layer", 5_000_000, 5_000_000, T + 2, T + 1, T + 2),
        VertexEvent(B, "[1/3] FROM x", (A,), T + 1, T + 2.25),
        VertexEvent(C, "[2/3] RUN a", (B,), T + 3, T + 3, cached=True),
        VertexEvent(D, "[3/3] RUN b", (C,), T + 4),
        LogEvent(D, 1, b"one\ntw", T + 4.5),
        LogEvent(D, 2, b"o\n", T + 4.6),
        LogEvent(D, 1, b"\xe6\xbc\xa2\n\n12", T + 20),
        VertexEvent(E, "[other] RUN c", (C,), T + 5),
        LogEvent(E, 1, b"hidden\n", T + 105),
        LogEvent(D, 1, b"3", T + 120),
        VertexEvent(D, "[3/3] RUN b", (C,), T + 4, T + 124, error="process failed: exit code: 1"),
        VertexEvent(E, "[other] RUN c", (C,), T + 5, T + 124, error="context canceled"),
    ]
