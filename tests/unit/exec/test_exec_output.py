"""Log limits of a step (engine.md §3; BuildKit's util/progress/logs)."""

from __future__ import annotations

import pytest

from bakehouse.engine.ops.exec_output import LogLimits, StepLog, format_bytes


class Sink:
    def __init__(self, limits: LogLimits) -> None:
        self.now = 0.0
        self.chunks: list[tuple[int, bytes]] = []
        self.log = StepLog(lambda stream, data: self.chunks.append((stream, data)), limits, lambda: self.now)

    @property
    def text(self) -> bytes:
        return b"".join(data for _, data in self.chunks)


def test_output_within_the_limits_is_untouched() -> None:
    sink = Sink(LogLimits())
    sink.now = 0.5
    sink.log.write(1, b"a")
    sink.log.write(2, b"b")
    assert sink.chunks == [(1, b"a"), (2, b"b")]


def test_the_size_limit_clips_each_stream_once_and_says_so() -> None:
    sink = Sink(LogLimits(size=10, speed=-1))
    sink.log.write(1, b"12345678")
    sink.log.write(1, b"9abcdef")
    sink.log.write(1, b"more")
    sink.log.write(2, b"err")
    assert sink.text == b"123456789a\n[output clipped, log limit 10B reached]\nerr"


def test_the_speed_limit_lifts_with_time() -> None:
    sink = Sink(LogLimits(speed=1024))
    sink.now = 0.1
    sink.log.write(1, b"x" * 1500)
    assert sink.text == b"x" * 1024 + b"\n[output clipped, log limit 1KiB/s reached]\n"
    sink.now = 5.0
    sink.log.write(1, b"later")
    assert sink.text.endswith(b"reached]\nlater")


def test_a_failed_step_shows_the_end_of_what_was_clipped() -> None:
    sink = Sink(LogLimits(size=4, speed=-1))
    sink.log.write(1, b"0123456789")
    sink.log.write(1, b"the end")
    sink.log.flush()
    assert sink.text == b"0123\n[output clipped, log limit 4B reached]\n0123456789the end"


def test_the_tail_has_the_last_lines_of_both_streams() -> None:
    sink = Sink(LogLimits(size=0, speed=-1))
    for number in range(50):
        sink.log.write(1 + number % 2, f"line {number}\n".encode())
    assert sink.log.tail() == tuple(f"line {number}" for number in range(30, 50))


@pytest.mark.parametrize(
    ("environ", "limits"),
    [
        ({}, LogLimits(2 * 1024 * 1024, 200 * 1024)),
        ({"BUILDKIT_STEP_LOG_MAX_SIZE": "-1", "BUILDKIT_STEP_LOG_MAX_SPEED": "7"}, LogLimits(-1, 7)),
        ({"BUILDKIT_STEP_LOG_MAX_SIZE": "many"}, LogLimits()),
    ],
)
def test_limits_from_the_environment(environ: dict[str, str], limits: LogLimits) -> None:
    assert LogLimits.from_environ(environ) == limits


@pytest.mark.parametrize(
    ("count", "text"),
    [(2 * 1024 * 1024, "2MiB"), (200 * 1024, "200KiB"), (1536, "1.5KiB"), (12, "12B"), (3 * 1024**3, "3GiB")],
)
def test_sizes_are_written_as_buildkit_writes_them(count: int, text: str) -> None:
    assert format_bytes(count) == text
