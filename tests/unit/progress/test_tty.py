"""The live display on a fake terminal: what stands on the screen, and what may never reach it."""

from __future__ import annotations

import threading

import pytest
from tests.unit.progress.conftest import FakeClock, FakeTerminal
from tests.unit.progress.scenario import A, B, C, T

from bakehouse.progress.events import Event, LogEvent, StatusEvent, VertexEvent, WarningEvent
from bakehouse.progress.tty import TtyRenderer


def _draw(events: list[Event], terminal: FakeTerminal, now: float = T + 1, **environ: str) -> TtyRenderer:
    renderer = TtyRenderer(terminal, environ, terminal.size, clock=FakeClock(now), background=False)
    for event in events:
        renderer.handle(event)
    renderer.refresh()
    return renderer


def test_frame_reads_as_buildkit_draws_it() -> None:
    terminal = FakeTerminal(40)
    _draw(
        [
            VertexEvent(A, "load\tdefinition", (), T, T + 0.26),
            StatusEvent(A, "transferring:", 1234, 5000, T, T, T + 0.1),
            VertexEvent(B, "a name that is far too long for this line", (), T),
            VertexEvent(C, "waiting"),
            WarningEvent(A, "Rule: text"),
        ],
        terminal,
        T + 1.04,
    )
    assert terminal.screen() == [
        "[+] Building 1.0s (1/3)",
        " => load definition                0.3s",
        " => => transferri 1.23kB / 5.00kB  0.1s",
        " => WARN: Rule: text               0.3s",
        " => a name that is far too long f  1.0s",
    ]
    assert terminal.cursor_visible
    assert terminal.unknown == []


def test_last_frame_is_complete_and_says_so() -> None:
    terminal = FakeTerminal(60, 6)
    names = [f"sha256:{number}" for number in range(12)]
    renderer = _draw([VertexEvent(name, name, (), T, T + 1) for name in names], terminal)
    assert len(terminal.screen()) <= 5  # fits on the screen while it runs
    renderer.close()
    screen = terminal.screen()
    assert screen[0] == "[+] Building 1.0s (12/12) FINISHED"
    assert [line.split()[1] for line in screen[1:]] == names


def test_running_steps_stay_on_a_small_screen() -> None:
    terminal = FakeTerminal(60, 6)
    events: list[Event] = [VertexEvent(A, "running", (), T)]
    events += [VertexEvent(f"sha256:{n}", f"done {n}", (), T, T + 1) for n in range(10)]
    _draw(events, terminal)
    assert [line.split("  ")[0] for line in terminal.screen()[1:]] == [
        " => running",
        " => done 7",
        " => done 8",
        " => done 9",
    ]


def test_failure_prints_the_log_below() -> None:
    terminal = FakeTerminal(60)
    renderer = _draw(
        [
            VertexEvent(A, "RUN false", (), T),
            LogEvent(A, 1, b"10%\r20%\n\x1b[31mred\x1b[0m\n", T + 0.5),
            VertexEvent(A, "RUN false", (), T, T + 1, error="exit code: 1"),
            VertexEvent(B, "other", (), T),
        ],
        terminal,
    )
    renderer.close(error=True)
    assert terminal.screen()[-5:] == ["------", " > RUN false:", "0.500 20%", "0.500 red", "------"]
    assert [line.split("  ")[0] for line in terminal.screen()[1:3]] == [
        " => ERROR RUN false",
        " => CANCELED other",
    ]


def test_log_window_shows_the_last_lines() -> None:
    terminal = FakeTerminal(60)
    data = b"".join(b"line %d\n" % number for number in range(20)) + b"no end"
    renderer = _draw([VertexEvent(A, "RUN", (), T), LogEvent(A, 1, data, T)], terminal)
    expected = [f" => => # {text}" for text in [*(f"line {n}" for n in range(15, 20)), "no end"]]
    assert terminal.screen()[2:] == expected
    terminal.columns = 16
    renderer.refresh()
    assert all(len(line) < 16 for line in terminal.screen())


def test_wide_characters_count_twice() -> None:
    terminal = FakeTerminal(40)
    _draw([VertexEvent(A, "漢" * 30, (), T)], terminal)
    assert terminal.screen()[1] == " => " + "漢" * 14 + "   1.0s"


@pytest.mark.parametrize(
    "evil", ["\x1b[2J", "\x1b]0;title\x07", "\x9b2J", "\x1bc", "\r\n\x08", "\u202e", "\x1b[?25l"]
)
def test_nothing_from_a_build_controls_the_terminal(evil: str) -> None:
    terminal = FakeTerminal(60)
    renderer = _draw(
        [
            VertexEvent(A, f"name {evil}", (), T),
            StatusEvent(A, f"status {evil}", 1, 2, T, T),
            WarningEvent(A, f"warning {evil}"),
            LogEvent(A, 1, f"log {evil} end\n".encode(), T),
        ],
        terminal,
    )
    renderer.handle(VertexEvent(A, f"name {evil}", (), T, T + 1, error=f"bad {evil}"))
    renderer.close(error=True)
    assert terminal.unknown == []
    assert terminal.cursor_visible
    assert "\u202e" not in "".join(terminal.lines)


def test_narrower_terminal_does_not_leave_old_lines() -> None:
    terminal = FakeTerminal(80)
    renderer = _draw([VertexEvent(A, "a", (), T), VertexEvent(B, "b", (), T)], terminal)
    # The terminal wraps the three lines (23, 79 and 79 columns) into 1, 2 and 2 rows.
    terminal.columns, terminal.row = 40, 5
    terminal.lines = ["header", "a", "a wrapped", "b", "b wrapped", ""]
    terminal.column = 0
    renderer.refresh()
    assert len(terminal.screen()) == 3


def test_too_narrow_for_lines_still_shows_the_header() -> None:
    terminal = FakeTerminal(15)
    _draw([VertexEvent(A, "abc", (), T)], terminal)
    assert terminal.screen() == ["[+] Building 1"]


@pytest.mark.parametrize(
    ("environ", "colors"),
    [
        ({}, ["34", "0", "31", "0"]),
        ({"NO_COLOR": "1"}, []),
        ({"BUILDKIT_COLORS": "run=green:error=1,2,3"}, ["32", "0", "38;2;1;2;3", "0"]),
        ({"BUILDKIT_COLORS": "run=nope:error=1,2,300:x=red:run"}, ["34", "0", "31", "0"]),
        ({"BUILDKIT_COLORS": "RUN=Light-Red", "NO_COLOR": ""}, ["91", "0", "31", "0"]),
    ],
)
def test_colors(environ: dict[str, str], colors: list[str]) -> None:
    terminal = FakeTerminal(60)
    renderer = TtyRenderer(terminal, environ, terminal.size, clock=FakeClock(T), background=False)
    renderer.handle(VertexEvent(A, "a"))
    terminal.colors.clear()
    renderer._trace.add(VertexEvent(A, "a", (), T, T + 1), T)
    renderer._trace.add(VertexEvent(B, "b", (), T, T + 1, error="x"), T)
    renderer.refresh()
    assert terminal.colors == colors


def test_log_lines_setting() -> None:
    terminal = FakeTerminal(60, 40)
    data = b"".join(b"line %d\n" % number for number in range(20)) + b"end"
    _draw([VertexEvent(A, "RUN", (), T), LogEvent(A, 1, data, T)], terminal, BUILDKIT_TTY_LOG_LINES="9")
    assert len(terminal.screen()) == 2 + 9


def test_background_thread_draws_and_stops() -> None:
    terminal = FakeTerminal(60)
    drawn = threading.Event()
    clock = FakeClock(T)
    renderer = TtyRenderer(terminal, {"TTY_DISPLAY_RATE": "10"}, terminal.size, clock=clock)
    renderer.handle(VertexEvent(A, "a", (), T))
    clock.now = T + 5
    for _ in range(300):
        if "5.0s" in "".join(terminal.screen()):
            drawn.set()
            break
        threading.Event().wait(0.01)
    renderer.close()
    assert drawn.is_set()
    assert not any(thread.name == "progress" for thread in threading.enumerate())


def test_many_threads_report_at_once() -> None:
    terminal = FakeTerminal(60)
    renderer = TtyRenderer(terminal, {"TTY_DISPLAY_RATE": "1"}, terminal.size)

    def report(number: int) -> None:
        name = f"sha256:{number}"
        renderer.handle(VertexEvent(name, name, (), T))
        for _ in range(50):
            renderer.handle(LogEvent(name, 1, b"x\n", T))
        renderer.handle(VertexEvent(name, name, (), T, T + 1))

    threads = [threading.Thread(target=report, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    renderer.close()
    assert "(8/8) FINISHED" in terminal.screen()[0]
    assert len(terminal.screen()) == 9
