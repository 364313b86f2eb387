"""However and whenever a solve ends early, it ends: nothing hangs, nothing new starts, no error is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence

import pytest
from tests.unit.solver.world import Op, World, node

from bakehouse.errors import BakehouseError, CancelledError, ExecutionError
from bakehouse.solver.model import CacheMap, Cancellation, RunContext
from bakehouse.solver.solver import Node
from bakehouse.solver.tasks import Call, Routine, TaskLoop
from bakehouse.solver.workers import WorkerPool


@pytest.fixture
def world() -> World:
    return World()


def test_steps_in_the_queue_never_start_after_a_failure(world: World) -> None:
    def fail(context: RunContext, inputs: Sequence[str]) -> str:
        raise ExecutionError("exit code: 1", exit_code_of_step=1)

    queued = [Op(f"n{number}") for number in range(50)]
    with pytest.raises(ExecutionError):
        world.solve(node(Op("bad", action=fail)), *map(node, queued), parallelism=1)
    assert sum(op.runs for op in queued) == 0


def test_the_first_error_in_time_is_the_one_that_is_raised(world: World) -> None:
    failed = threading.Event()

    def fail_late(context: RunContext, inputs: Sequence[str]) -> str:
        assert failed.wait(10) and context.cancel.wait(10)
        raise ExecutionError("second", exit_code_of_step=1)

    def fail(context: RunContext, inputs: Sequence[str]) -> str:
        failed.set()
        raise ExecutionError("first", exit_code_of_step=1)

    with pytest.raises(ExecutionError, match="first"):
        world.solve(node(Op("late", action=fail_late)), node(Op("early", action=fail)))


@pytest.mark.parametrize("error", [KeyError("x"), MemoryError(), RecursionError(), SystemExit(3)])
def test_unexpected_errors_of_an_operation_come_out_as_they_are(world: World, error: BaseException) -> None:
    def fail(context: RunContext, inputs: Sequence[str]) -> str:
        raise error

    with pytest.raises(type(error)):
        world.solve(node(Op("top", inputs=1), node(Op("bad", action=fail))))
    assert world.final()["bad"].error


def test_an_error_of_the_key_of_a_step_is_reported_on_it(world: World) -> None:
    class BadKey(Op):
        def cache_map(self, context: RunContext) -> CacheMap:
            raise BakehouseError("no key")

    for inputs in ((), (node(Op("base")),)):
        with pytest.raises(BakehouseError, match="no key") as caught:
            world.solve(node(BadKey("bad", inputs=len(inputs)), *inputs))
        assert caught.value.vertex == "bad"
        assert world.final()["bad"].error == "no key"


def test_a_key_for_other_inputs_than_the_vertex_has_is_refused(world: World) -> None:
    with pytest.raises(BakehouseError, match="1 inputs, its key 2"):
        world.solve(node(Op("odd", inputs=2), node(Op("base"))))


def test_an_output_that_the_operation_does_not_have_is_an_error(world: World) -> None:
    with pytest.raises(BakehouseError, match="no output 1"):
        world.solve_outputs((node(Op("one")), 1))


class _CancelAt:
    """Fires a cancellation at its call number `at`."""

    def __init__(self, at: int) -> None:
        self.cancel = Cancellation()
        self.at = at
        self.calls = 0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.calls += 1
            now = self.calls == self.at
        if now:
            self.cancel.cancel()


class _WatchedOp(Op):
    """Tells of every entry into it."""

    def __init__(self, name: str, tick: _CancelAt, **options: object) -> None:
        super().__init__(name, **options)  # type: ignore[arg-type]
        self.tick = tick

    def cache_map(self, context: RunContext) -> CacheMap:
        self.tick()
        return super().cache_map(context)

    def run(self, context: RunContext, inputs: Sequence[str]) -> list[str]:
        self.tick()
        context.cancel.check()
        return super().run(context, inputs)


def _diamond(tick: _CancelAt) -> Node[str]:
    def content(tree: str) -> str:
        tick()
        return "content:" + tree

    bases = [node(_WatchedOp(f"base{number}", tick)) for number in range(3)]
    middle = [
        node(_WatchedOp(f"middle{number}", tick, inputs=2, content=content), bases[number], bases[0])
        for number in range(3)
    ]
    return node(_WatchedOp("top", tick, inputs=3), *middle)


def test_a_cancellation_at_any_moment_ends_the_solve_and_leaves_the_cache_right() -> None:
    expected = World().solve(_diamond(_CancelAt(0)))
    counting = _CancelAt(0)
    World().solve(_diamond(counting))
    assert counting.calls >= 20
    for at in range(1, counting.calls + 1):
        world = World()
        tick = _CancelAt(at)
        graph = _diamond(tick)
        try:
            assert world.solve(graph, cancel=tick.cancel) == expected
        except CancelledError:
            pass
        # What was half done does not confuse the next build.
        assert world.solve(_diamond(_CancelAt(0))) == expected


def test_cancelling_while_steps_run_waits_for_them(world: World) -> None:
    cancel = Cancellation()
    ended = []
    barrier = threading.Barrier(8, cancel.cancel, timeout=10)

    def work(context: RunContext, inputs: Sequence[str]) -> str:
        barrier.wait()
        time.sleep(0.05)
        ended.append(1)
        raise CancelledError

    with pytest.raises(CancelledError):
        world.solve(*(node(Op(f"n{number}", action=work)) for number in range(8)), cancel=cancel)
    assert len(ended) == 8


def test_ctrl_c_cancels_wherever_the_driving_thread_is(world: World) -> None:
    # Twenty times: the signal meets the loop in another state each time.
    for number in range(20):

        def interrupt(context: RunContext, inputs: Sequence[str], pause: float = number / 4000) -> str:
            time.sleep(pause)
            os.kill(os.getpid(), signal.SIGINT)
            assert context.cancel.wait(10)
            raise CancelledError

        busy = [node(Op(f"busy{number}-{i}")) for i in range(200)]
        with pytest.raises(CancelledError):
            world.solve(node(Op(f"step{number}", action=interrupt)), *busy)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_program_is_left_in_charge(world: World) -> None:
    seen = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        world.solve(node(Op("step", action=lambda c, i: str(os.kill(os.getpid(), signal.SIGINT)))))
    finally:
        signal.signal(signal.SIGINT, previous)
    assert seen == [signal.SIGINT]


def test_a_cancellation_may_be_fired_from_a_signal_handler_in_the_midst_of_itself() -> None:
    # The handler comes while a callback of the first `cancel` runs, and while callbacks are registered.
    fired = []
    for _ in range(50):
        cancel = Cancellation()
        previous = signal.signal(signal.SIGALRM, lambda number, frame, c=cancel: c.cancel())  # type: ignore[misc]
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            deadline = time.monotonic() + 10
            while not cancel.cancelled:
                cancel.on_cancel(lambda: fired.append(1))()
                assert time.monotonic() < deadline
            remove = cancel.on_cancel(lambda: fired.append(2))
            remove()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
    assert fired.count(2) == 50


def test_heavy_calls_are_not_overtaken_for_ever_and_none_is_too_heavy() -> None:
    order: list[str] = []
    pool = WorkerPool(8)
    loop = TaskLoop(pool, Cancellation(), 2)

    def routine(name: str, slots: int) -> Routine:
        yield Call(lambda: (time.sleep(0.01), order.append(name)), slots)

    tasks = [loop.spawn(routine("light0", 1)), loop.spawn(routine("heavy", 7))]
    tasks += [loop.spawn(routine(f"light{number}", 1)) for number in range(1, 6)]
    loop.run(tasks)
    pool.close()
    assert order[:2] == ["light0", "heavy"]
    assert len(order) == 7


def test_jobs_are_done_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "bakehouse-worker":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    pool = WorkerPool(8)
    loop = TaskLoop(pool, Cancellation(), 8)

    def routine(number: int) -> Routine:
        return (yield Call(lambda: number * number))

    assert loop.run([loop.spawn(routine(number)) for number in range(30)]) == [n * n for n in range(30)]
    pool.close()


def test_a_part_may_fail_alone_and_is_cancelled_with_the_whole() -> None:
    whole = Cancellation()
    with pytest.raises(BakehouseError), whole.part() as part:
        part.cancel()
        raise BakehouseError("of the part")
    assert not whole.cancelled
    with whole.part() as part:
        whole.cancel()
        assert part.cancelled
    other = Cancellation()
    with pytest.raises(CancelledError), other.part():
        raise CancelledError
    assert other.cancelled
