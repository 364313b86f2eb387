"""The plain renderer. `plain.txt` is what BuildKit's own shows for the scenario; see also
`tests/differential/test_plain_progress.py`."""

from __future__ import annotations

import io
from pathlib import Path

from tests.unit.progress.conftest import FakeClock
from tests.unit.progress.scenario import A, B, T, events

from bakehouse.progress.events import LogEvent, StatusEvent, VertexEvent
from bakehouse.progress.plain import PlainRenderer
from bakehouse.progress.trace import Interval, format_bytes, log_stamp, merge_intervals


def _renderer(clock: FakeClock, **environ: str) -> tuple[PlainRenderer, io.StringIO]:
    stream = io.StringIO()
    return PlainRenderer(stream, environ, clock=clock, background=False), stream


def test_scenario_reads_as_buildkit_prints_it() -> None:
    stream, clock = io.StringIO(), FakeClock(T)
    renderer = PlainRenderer(stream, {}, description="building here", clock=clock, background=False)
    for event in events():
        renderer.handle(event)
        clock.now += 0.12
    renderer.close(error=True)
    body, _, tail = stream.getvalue().partition("------\n")
    assert body == (Path(__file__).parent / "plain.txt").read_text(encoding="utf-8")
    assert tail == " > [3/3] RUN b:\n0.500 one\n0.500 two\n16.00 漢\n16.00 \n16.00 123\n------\n"
    assert [warning.short for warning in renderer.warnings] == ["Rule: text (line 1)"]


def test_output_stays_with_a_step_for_some_seconds() -> None:
    clock = FakeClock(T)
    renderer, stream = _renderer(clock)
    renderer.handle(VertexEvent(A, "a", (), T))
    renderer.handle(VertexEvent(B, "b", (), T))
    for second in range(1, 9):
        clock.now = T + second
        renderer.handle(LogEvent(A, 1, b"from a\n", clock.now))
        renderer.handle(LogEvent(B, 1, b"from b\n", clock.now))
        renderer.refresh()
    switches = [line for line in stream.getvalue().splitlines() if line.endswith("...")]
    assert switches == []
    for second in range(9, 14):
        clock.now = T + second
        renderer.handle(LogEvent(A, 1, b"from a\n", clock.now))
        renderer.refresh()
    lines = stream.getvalue().splitlines()
    assert "#1 ..." in lines and "#2 1.000 from b" in lines  # shown after ten seconds at the latest


def test_unfinished_line_is_repeated_after_a_switch() -> None:
    clock = FakeClock(T)
    renderer, stream = _renderer(clock)
    renderer.handle(VertexEvent(A, "a", (), T))
    clock.now += 1
    renderer.handle(LogEvent(A, 1, b"half", T + 1))
    clock.now += 1
    renderer.handle(VertexEvent(B, "b", (), T + 2, T + 2.5))
    clock.now += 1
    renderer.handle(LogEvent(A, 1, b" line\n", T + 3))
    renderer.refresh()
    assert stream.getvalue() == (
        "#1 a\n#1 1.000 half\n#1 ...\n\n#2 b\n#2 DONE 0.5s\n\n#1 a\n#1 1.000 half line\n"
    )


def test_statuses_repeat_at_five_percent_or_five_seconds() -> None:
    clock = FakeClock(T)
    renderer, stream = _renderer(clock)
    renderer.handle(VertexEvent(A, "a", (), T))
    for current, at in ((0, 0), (4, 1), (5, 2), (6, 3), (7, 8)):
        clock.now = T + at
        renderer.handle(StatusEvent(A, "s", current, 100, T + at, T))
        renderer.refresh()
    assert stream.getvalue().splitlines()[1:] == [
        "#1 s 0B / 100B",
        "#1 s 5B / 100B 2.0s",
        "#1 s 7B / 100B 8.0s",
    ]


def test_failed_build_leaves_nothing_open() -> None:
    clock = FakeClock(T)
    renderer, stream = _renderer(clock, PROGRESS_NO_TRUNC="0")
    renderer.handle(VertexEvent(A, "x" * 80, (), T))
    renderer.close(error=True)
    renderer.handle(VertexEvent(B, "late", (), T))
    assert stream.getvalue() == f"#1 {'x' * 72}...\n#1 CANCELED\n"


def test_step_that_ran_twice_adds_its_times() -> None:
    clock = FakeClock(T)
    renderer, stream = _renderer(clock)
    for start, stop in ((0.0, 1.0), (2.0, 2.5)):
        renderer.handle(VertexEvent(A, "a", (), T + start))
        renderer.handle(VertexEvent(A, "a", (), T + start, T + stop))
        clock.now += 1
        renderer.refresh()
    assert [line for line in stream.getvalue().splitlines() if "DONE" in line] == [
        "#1 DONE 1.0s",
        "#1 DONE 1.5s",
    ]


def test_closed_pipe_does_not_stop_a_build() -> None:
    renderer, stream = _renderer(FakeClock(T))
    stream.close()
    renderer.handle(VertexEvent(A, "a", (), T))
    renderer.close()


def test_stream_that_cannot_encode_a_name() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    renderer = PlainRenderer(stream, {}, clock=FakeClock(T), background=False)
    renderer.handle(VertexEvent(A, "漢", (), T))
    renderer.close()
    assert raw.getvalue() == b"#1 ?\n"


def test_intervals_merge() -> None:
    spans = [
        Interval(5, 6),
        Interval(1, 2),
        Interval(1.5, 3),
        Interval(1.6, 1.7),
        Interval(8),
        Interval(9, 10),
    ]
    assert merge_intervals(spans) == [Interval(1, 3), Interval(5, 6), Interval(8)]
    assert merge_intervals([Interval(1, 2), Interval(1.5)]) == [Interval(1)]


def test_numbers_read_as_buildkit_prints_them() -> None:
    # From the units package that BuildKit uses: decimal, two digits, plain bytes below a kilobyte.
    shown = [format_bytes(n) for n in (0, 999, 1000, 1234, 999_999, 1_000_000, 45_000_000, 10**12, 10**18)]
    assert shown == ["0B", "999B", "1.00kB", "1.23kB", "1000.00kB", "1.00MB", "45.00MB", "1.00TB", "1.00EB"]
    assert [log_stamp(s) for s in (0, 1.5, 12.346, 123.46)] == ["0.000", "1.500", "12.35", "123.5"]
