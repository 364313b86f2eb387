"""Progress groups: the two steps of a linked copy are one line, which a weak member alone does not show."""

from __future__ import annotations

import io
import json

from tests.unit.progress.conftest import FakeClock, FakeTerminal
from tests.unit.progress.scenario import A, B, T

from bakehouse.progress.events import Event, LogEvent, ProgressGroup, Reporter, VertexEvent
from bakehouse.progress.plain import PlainRenderer
from bakehouse.progress.rawjson import RawJsonRenderer
from bakehouse.progress.trace import Trace
from bakehouse.progress.tty import TtyRenderer

COPY = ProgressGroup("id", "[2/2] COPY --link", weak=True)
MERGE = ProgressGroup("id", "[2/2] COPY --link", weak=False)


def _copy(
    started: float | None = None, completed: float | None = None, error: str | None = None
) -> VertexEvent:
    return VertexEvent(A, "[2/2] COPY --link", (), started, completed, error=error, progress_group=COPY)


def _merge(
    started: float | None = None, completed: float | None = None, *, cached: bool = False
) -> VertexEvent:
    return VertexEvent(B, "[2/2] LINK COPY --link", (A,), started, completed, cached, progress_group=MERGE)


def _plain(events: list[Event]) -> str:
    clock, stream = FakeClock(T), io.StringIO()
    renderer = PlainRenderer(stream, {}, clock=clock, background=False)
    for event in events:
        renderer.handle(event)
        clock.now += 1
    renderer.close()
    return stream.getvalue()


def test_group_is_shown_once_its_strong_member_starts() -> None:
    before = [_copy(), _merge(), _copy(T), LogEvent(A, 1, b"text\n", T + 0.5), _copy(T, T + 1)]
    assert _plain(before) == ""
    # The times of both, without what lies between.
    assert _plain([*before, _merge(T + 3), _merge(T + 3, T + 3.5)]) == (
        "#1 [2/2] COPY --link\n#1 0.500 text\n#1 DONE 1.5s\n"
    )


def test_group_is_cached_when_all_its_members_are() -> None:
    assert _plain([_merge(), _merge(T, T, cached=True)]) == "#1 [2/2] COPY --link\n#1 CACHED\n"
    only_merge = [_copy(), _merge(), _copy(T, T + 1), _merge(T + 1, T + 1, cached=True)]
    assert _plain(only_merge).endswith("#1 DONE 1.0s\n")


def test_failed_copy_is_shown() -> None:
    shown = _plain([_copy(), _merge(), _copy(T), _copy(T, T + 1, "not found")])
    assert shown == ("#1 [2/2] COPY --link\n#1 ERROR: not found\n------\n > [2/2] COPY --link:\n------\n")


def test_hidden_group_does_not_count() -> None:
    trace = Trace()
    for event in (_copy(), _merge(), _copy(T, T + 1)):
        trace.add(event, T)
    assert (trace.total, trace.completed, trace.started) == (0, 0, [])
    trace.add(_merge(T + 1, T + 2), T)
    assert (trace.total, trace.completed) == (1, 1)
    assert [vertex.name for vertex in trace.started] == ["[2/2] COPY --link"]


def test_live_display_has_one_line() -> None:
    clock, terminal = FakeClock(T), FakeTerminal()
    renderer = TtyRenderer(terminal, {"NO_COLOR": "1"}, terminal.size, clock=clock, background=False)
    for event in (_copy(), _merge(), _copy(T)):
        renderer.handle(event)
    renderer.refresh()
    assert not any("COPY" in line for line in terminal.screen())
    for event in (_copy(T, T + 1), _merge(T + 1, T + 2)):
        renderer.handle(event)
    renderer.close()
    assert [line.split()[:4] for line in terminal.screen() if "COPY" in line] == [
        ["=>", "[2/2]", "COPY", "--link"]
    ]


def test_reporter_passes_the_group_on_and_rawjson_writes_it() -> None:
    stream = io.StringIO()
    reporter = Reporter(RawJsonRenderer(stream).handle)
    for digest, group in ((A, COPY), (B, MERGE)):
        vertex = reporter.vertex(digest, "x", progress_group=group)
        vertex.start()
        vertex.done()
    groups = [json.loads(line)["vertexes"][0]["progressGroup"] for line in stream.getvalue().splitlines()]
    # The fields of BuildKit's ProgressGroup message; false is left out.
    weak = {"id": "id", "name": "[2/2] COPY --link", "weak": True}
    assert groups == [weak] * 3 + [{"id": "id", "name": "[2/2] COPY --link"}] * 3
