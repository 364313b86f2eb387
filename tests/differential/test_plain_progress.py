"""The plain renderer prints what BuildKit's own prints for the same events at the same times.

Both run in virtual time. BuildKit chooses at random where several steps have the same claim to the top, so that for
one stream it has several right answers; ours has to be one of them.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakehouse.progress.events import (
    Event,
    LogEvent,
    ProgressGroup,
    StatusEvent,
    VertexEvent,
)
from bakehouse.progress.plain import PlainRenderer
from bakehouse.progress.rawjson import RawJsonRenderer
from tests.support.json_peer import JsonPeer
from tests.unit.progress.conftest import FakeClock
from tests.unit.progress.scenario import events as recorded_events

pytestmark = pytest.mark.peer

#: Where virtual time begins in the peer: 1 January 2000, midnight UTC.
_EPOCH_S = 946_684_800.0
_REFRESH_MS = 150
#: Of so many alternatives all are seen in the runs that are asked for.
_MANY = 4
#: Keeps durations away from where rounding them is a matter of their last bit.
_OFF_S = 0.0002
#: In milliseconds. Primes, so that no event falls together with a refresh.
_PAUSES = [3, 17, 41, 113, 127, 211, 313, 1019, 2539, 5227, 10_333]

_WHOLE_LINES = [b"line\n", b"\n", b"one\ntwo\n\nthree\n", "é漢\n".encode(), b"x\r\n"]
_PARTS = [b"part", b" more\nand", b"\r"]

Timed = tuple[int, Event]


@dataclass
class _Step:
    """One made-up vertex and how far it has got."""

    digest: str
    name: str
    group: ProgressGroup | None
    started: float | None = None
    is_running: bool = False
    writes_lines: bool = False
    statuses: dict[str, StatusEvent] = field(default_factory=dict)

    def event(self, **changes: Any) -> VertexEvent:
        return VertexEvent(self.digest, self.name, (), self.started, progress_group=self.group, **changes)


def _stream(random: Random, *, writes_lines: bool) -> list[Timed]:
    """Pauses in milliseconds, each with the event that ends it."""
    now = _EPOCH_S
    steps = [
        _Step(f"sha256:{number}", f"[{number}] RUN step", _group(random, number), writes_lines=writes_lines)
        for number in range(random.randint(1, 4))
    ]
    timed: list[Timed] = [(_PAUSES[0], step.event()) for step in steps]
    now += _PAUSES[0] * len(steps) / 1000
    for _ in range(random.randint(2, 18)):
        pause = random.choice(_PAUSES)
        now += pause / 1000
        timed.append((pause, _next_event(random, random.choice(steps), now)))
    return timed


def _group(random: Random, number: int) -> ProgressGroup | None:
    """The first steps may belong together, as the two of a linked copy do."""
    if number > 1 or random.random() < 0.6:
        return None
    return ProgressGroup("g", "[g] COPY --link", weak=number == 0)


def _next_event(random: Random, step: _Step, now: float) -> Event:
    if not step.is_running:
        step.started, step.is_running = now, True
        if random.random() < 0.2:
            step.is_running = False
            return step.event(completed=now, cached=True)
        return step.event()
    kind = random.random()
    if kind < 0.3:
        texts = _WHOLE_LINES if step.writes_lines else _WHOLE_LINES + _PARTS
        return LogEvent(step.digest, random.choice((1, 2)), random.choice(texts), now + _OFF_S)
    if kind < 0.7:
        return _status(random, step, now)
    step.is_running = False
    error = random.choice([None, None, None, "process failed: exit code: 1", "solve: context canceled"])
    return step.event(completed=now + _OFF_S, error=error)


def _status(random: Random, step: _Step, now: float) -> StatusEvent:
    name = random.choice(["sha256:layer", "transferring context:", "exporting layers"])
    known = step.statuses.get(name)
    if known is None:
        total = random.choice([0, 0, 1000, 5_000_000])
        status = StatusEvent(step.digest, name, 0, total, now, now - _OFF_S)
    else:
        current = known.current + random.choice([0, 7, 60, 1200, 1_500_000])
        completed = now if random.random() < 0.4 else None
        status = StatusEvent(step.digest, name, current, known.total, now, known.started, completed)
    step.statuses[name] = status
    return status


def _ours(stream: list[Timed]) -> str:
    clock, out = FakeClock(_EPOCH_S), io.StringIO()
    renderer = PlainRenderer(out, {}, description="here", clock=clock, background=False)
    now_ms = drawn_ms = 0
    for pause, event in stream:
        now_ms += pause
        while drawn_ms + _REFRESH_MS < now_ms:
            drawn_ms += _REFRESH_MS
            clock.now = _EPOCH_S + drawn_ms / 1000
            renderer.refresh()
        drawn_ms, clock.now = now_ms, _EPOCH_S + now_ms / 1000
        renderer.handle(event)
    renderer.close()
    return out.getvalue()


def _request(stream: list[Timed], repeat: int) -> dict[str, Any]:
    steps = []
    for pause, event in stream:
        line = io.StringIO()
        RawJsonRenderer(line).handle(event)
        steps.append({"Pause": pause * 1_000_000, "Status": json.loads(line.getvalue())})
    return {"Mode": "plain", "Description": "here", "Repeat": repeat, "Steps": steps}


def _check(random: Random, peer: JsonPeer) -> int:
    """Compares one stream. Returns the number of texts that BuildKit was seen to print for it.

    Of what it repeats of a failed step's output at the end, BuildKit leaves out the first part of a line that came
    in parts; we do not.
    """
    writes_lines = random.random() < 0.5
    stream = _stream(random, writes_lines=writes_lines)
    ours = _shown(_ours(stream), whole=writes_lines)
    for repeat in (4, 300):
        answers = peer.ask(_request(stream, repeat))["outputs"]
        outputs = [_shown(text, whole=writes_lines) for text in answers]
        if ours in outputs:
            return len(outputs)
    if len(outputs) > _MANY:
        # Where BuildKit had to choose again and again, ours may be a sequence of choices that did not come up.
        assert _lines(ours) in map(_lines, outputs), stream
    else:
        assert ours == outputs[0], stream
    return len(outputs)


def _lines(text: str) -> set[str]:
    """What is printed, in whatever order: without the marks of a step that makes room for another."""
    return {line for line in text.splitlines() if not line.endswith("...")}


def _shown(text: str, *, whole: bool) -> str:
    return text if whole else text.partition("------\n")[0]


def test_generated(progress_display_peer: JsonPeer) -> None:
    random = Random(20_240_229)
    choices = [_check(random, progress_display_peer) for _ in range(600)]
    assert choices.count(1) > 300  # the rest has to be the exception


@given(random=st.randoms(use_true_random=False))
def test_found(random: Random, progress_display_peer: JsonPeer) -> None:
    _check(random, progress_display_peer)


def test_the_recorded_scenario(progress_display_peer: JsonPeer) -> None:
    stream = [(120, event) for event in recorded_events()]
    outputs = progress_display_peer.ask(_request(stream, 4))["outputs"]
    assert _shown(_ours(stream), whole=False) in [_shown(text, whole=False) for text in outputs]
