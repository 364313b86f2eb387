"""Equal work is done once: within a solve, between processes, whatever the textual form of the steps."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from tests.unit.solver.world import Op, World, node

from bakehouse.errors import CancelledError, ExecutionError
from bakehouse.solver.lookup import root_key
from bakehouse.solver.model import Cancellation, RunContext
from bakehouse.solver.solver import Node


@pytest.fixture
def world() -> World:
    return World()


def context(salt: str, files: str) -> Node[str]:
    """A context directory: its own key never matches, its content is `files`."""
    op = Op("context" + salt, digest="random:" + salt, action=lambda c, i: "context:" + files)
    return node(op)


def copy(name: str, source: Node[str], **options: bool) -> tuple[Op, Node[str]]:
    """A copy whose text differs with `name`, and whose cache digest does not."""
    op = Op(name, digest="op:copy", inputs=1, content=lambda tree: "content-of-" + tree)
    return op, node(op, source, **options)


def test_steps_whose_keys_turn_out_equal_run_once_and_share_the_result(world: World) -> None:
    ops, tops = [], []
    for number in range(20):
        op, copied = copy(f"copy{number}", context(str(number), "same files"))
        after = Op(f"after{number}", digest="op:after", inputs=1)
        ops += [op, after]
        tops.append(node(after, copied))
    results = world.solve(*tops)
    assert len(set(results)) == 1
    assert sorted(op.runs for op in ops) == [0] * 38 + [1] * 2


def test_the_second_of_two_equal_steps_is_told_the_result_of_the_first_even_when_it_cannot_be_saved(
    world: World,
) -> None:
    def made(context: RunContext, inputs: Sequence[str]) -> str:
        return "context:not savable"

    first, second = (
        Op(name, digest="op:same", inputs=1, content=lambda tree: tree, action=made) for name in "ab"
    )
    tops = node(first, context("1", "x")), node(second, context("2", "x"))
    assert world.solve(*tops) == ["context:not savable"] * 2
    assert first.runs + second.runs == 1


def test_the_follower_of_a_failing_step_fails_with_it(world: World) -> None:
    def fail(context: RunContext, inputs: Sequence[str]) -> str:
        raise ExecutionError("exit code: 3", exit_code_of_step=3)

    first, second = (
        Op(name, digest="op:same", inputs=1, content=lambda tree: tree, action=fail) for name in "ab"
    )
    with pytest.raises(ExecutionError, match="exit code: 3"):
        world.solve(node(first, context("1", "x")), node(second, context("2", "x")))
    assert first.runs + second.runs == 1


def test_equal_steps_that_ignore_the_cache_run_once_a_build(world: World) -> None:
    def build() -> tuple[list[Op], list[Node[str]]]:
        pairs = [copy(name, context(name, "x"), ignore_cache=True) for name in ("a", "b", "c")]
        return [op for op, _ in pairs], [made for _, made in pairs]

    for _ in range(2):
        ops, tops = build()
        world.solve(*tops)
        assert sum(op.runs for op in ops) == 1


def test_a_step_that_ignores_the_cache_does_not_take_the_result_of_one_that_does_not(world: World) -> None:
    normal, first = copy("normal", context("1", "x"))
    forced, second = copy("forced", context("2", "x"), ignore_cache=True)
    world.solve(first)
    world.solve(copy("again", context("3", "x"))[1], second)
    assert (normal.runs, forced.runs) == (1, 1)


def test_nothing_is_found_through_a_step_that_ignores_the_cache(world: World) -> None:
    def build(**options: bool) -> tuple[Op, Op, Op, Node[str]]:
        made, read, by_content = (
            Op("made"),
            Op("read", inputs=1),
            Op("copied", inputs=1, content=lambda tree: tree),
        )
        base = node(made, **options)
        return made, read, by_content, node(Op("top", inputs=2), node(read, base), node(by_content, base))

    world.solve(build()[3])
    made, read, by_content, top = build(ignore_cache=True)
    world.solve(top)
    # The key of a step without inputs does not change; its consumers run all the same unless the content is equal.
    assert (made.runs, read.runs, by_content.runs) == (1, 1, 0)
    made, read, by_content, top = build()
    world.solve(top)
    assert (made.runs, read.runs, by_content.runs) == (0, 0, 0)


def test_a_key_without_a_result_still_leads_to_its_consumers(world: World) -> None:
    def build() -> tuple[Op, Op, Node[str]]:
        stage, top = Op("stage", inputs=1), Op("top", inputs=1)
        return stage, top, node(top, node(stage, node(Op("base"))))

    world.solve(build()[2])
    for rows in world.keys.records.values():
        rows[:] = [row for row in rows if not row[0].startswith("stage")]
    stage, top, graph = build()
    assert world.solve(graph) == ["top(stage(base()))"]
    assert (stage.runs, top.runs) == (0, 0)


def test_the_newest_of_several_results_wins(world: World) -> None:
    def build(text: str, **options: bool) -> Node[str]:
        return node(Op("step", inputs=1, action=lambda c, i: text), node(Op("base")), **options)

    world.solve(build("old"))
    world.solve(build("new", ignore_cache=True))
    assert world.solve(build("never")) == ["new"]


# -- several outputs -------------------------------------------------------------------------------------------------


def test_all_outputs_come_from_one_run_and_are_each_found_again(world: World) -> None:
    def build() -> tuple[Op, Node[str]]:
        op = Op("two", inputs=1, outputs=2)
        return op, node(op, node(Op("base")))

    op, both = build()
    assert world.solve_outputs((both, 0), (both, 1)) == ["two(base())", "two(base())#1"]
    assert op.runs == 1
    for output, text in ((1, "two(base())#1"), (0, "two(base())")):
        op, again = build()
        assert world.solve_outputs((again, output)) == [text]
        assert op.runs == 0


def test_one_vanished_output_of_two_makes_the_step_run_once_more(world: World) -> None:
    def build() -> tuple[Op, Node[str]]:
        op = Op("two", inputs=1, outputs=2)
        return op, node(op, node(Op("base")))

    _, both = build()
    world.solve_outputs((both, 0), (both, 1))
    world.records.lost.add("two(base())#1")
    op, both = build()
    assert world.solve_outputs((both, 0), (both, 1)) == ["two(base())", "two(base())#1"]
    assert op.runs == 1


# -- another process -------------------------------------------------------------------------------------------------


class Elsewhere:
    """Another process that is at a step: holds every lock until `finish` is called."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked = threading.Event()
        self.done = threading.Event()
        self._free = world.locks.try_locked

    def busy(self, name: str) -> object:
        if not self.done.is_set():
            self.asked.set()
            from contextlib import nullcontext

            return nullcontext(False)
        return self._free(name)


def two_outputs() -> tuple[Op, Node[str]]:
    op = Op("two", inputs=1, outputs=2)
    base = node(Op("context1", digest="random:1", action=lambda c, i: "context:x"))
    op.keys = tuple(type(key)("", lambda tree: "files") for key in op.keys)
    return op, node(op, base)


def test_what_another_process_makes_meanwhile_is_taken_over_with_all_outputs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Elsewhere(world)
    monkeypatch.setattr(world.locks, "try_locked", other.busy)
    op, both = two_outputs()

    def finish() -> None:
        assert other.asked.wait(10)
        for output in (0, 1):
            world.keys.add_link(root_key("files", -1), 0, "op:two", "", output, f"id-{output}")
            world.keys.add_result(f"id-{output}", f"made elsewhere {output}")
        other.done.set()

    helper = threading.Thread(target=finish)
    helper.start()
    results = world.solve_outputs((both, 0), (both, 1))
    helper.join()
    assert results == ["made elsewhere 0", "made elsewhere 1"]
    assert op.runs == 0
    assert world.final()["two"].cached


def test_half_of_what_is_wanted_made_elsewhere_is_not_enough(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Elsewhere(world)
    monkeypatch.setattr(world.locks, "try_locked", other.busy)
    op, both = two_outputs()

    def finish() -> None:
        assert other.asked.wait(10)
        world.keys.add_link(root_key("files", -1), 0, "op:two", "", 0, "id-0")
        world.keys.add_result("id-0", "made elsewhere 0")
        other.done.set()

    helper = threading.Thread(target=finish)
    helper.start()
    results = world.solve_outputs((both, 0), (both, 1))
    helper.join()
    assert results == ["two(context:x)", "two(context:x)#1"]
    assert op.runs == 1


def test_waiting_for_another_process_takes_no_place_of_a_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Elsewhere(world)
    free = world.locks.try_locked
    _, both = two_outputs()
    others = [node(Op(f"own{number}")) for number in range(5)]
    names: set[str] = set()

    def try_locked(name: str) -> object:
        # The first step that asks is under way elsewhere.
        if not names:
            names.add(name)
        return other.busy(name) if name in names else free(name)

    monkeypatch.setattr(world.locks, "try_locked", try_locked)
    last = Op("last", action=lambda c, i: str(other.done.set()))
    world.solve(both, *others, node(last), parallelism=1)
    assert last.runs == 1


def test_cancelling_ends_the_wait_for_another_process(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Elsewhere(world)
    monkeypatch.setattr(world.locks, "try_locked", other.busy)
    cancel = Cancellation()
    helper = threading.Thread(target=lambda: (other.asked.wait(10), cancel.cancel()))
    helper.start()
    op, both = two_outputs()
    with pytest.raises(CancelledError):
        world.solve(both, cancel=cancel)
    helper.join()
    assert op.runs == 0
