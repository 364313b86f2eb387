"""The solver over a toy result type (text), with an in-memory key store."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from tests.unit.solver.world import Op, World, node

from bakehouse.errors import CancelledError, ExecutionError
from bakehouse.solver.model import Cancellation, RunContext
from bakehouse.solver.solver import Node


@pytest.fixture
def world() -> World:
    return World()


def test_a_second_solve_runs_nothing_and_touches_only_the_top_record(world: World) -> None:
    def build() -> tuple[list[Op], Node[str]]:
        base, step, top = Op("base"), Op("step", inputs=1), Op("top", inputs=1)
        return [base, step, top], node(top, node(step, node(base)))

    ops, graph = build()
    assert world.solve(graph) == ["top(step(base()))"]
    assert [op.runs for op in ops] == [1, 1, 1]

    ops, graph = build()
    world.records.loads.clear()
    assert world.solve(graph) == ["top(step(base()))"]
    assert [op.runs for op in ops] == [0, 0, 0]
    assert world.records.loads == ["top(step(base()))"]
    assert [name for name, event in world.final().items() if not event.cached] == ["base"]


def test_a_changed_step_reruns_only_itself_and_what_depends_on_it(world: World) -> None:
    def build(version: str) -> tuple[dict[str, Op], Node[str]]:
        ops = {
            "base": Op("base"),
            "left": Op("left", inputs=1),
            "right": Op("right" + version, inputs=1),
            "top": Op("top", inputs=2),
        }
        base = node(ops["base"])
        return ops, node(ops["top"], node(ops["left"], base), node(ops["right"], base))

    _, graph = build("1")
    world.solve(graph)
    ops, graph = build("2")
    world.solve(graph)
    assert {name: op.runs for name, op in ops.items()} == {"base": 0, "left": 0, "right": 1, "top": 1}


def test_a_context_hits_by_content_although_its_own_key_is_random(world: World) -> None:
    def build(files: str, salt: str) -> tuple[Op, Op, Node[str]]:
        context = Op("context" + salt, digest="random:" + salt, action=lambda c, i: "context:" + files)
        copy = Op("copy", inputs=1, content=lambda tree: "content-of-" + tree)
        after = Op("after", inputs=1)
        return copy, after, node(after, node(copy, node(context)))

    world.solve(build("a", "1")[2])
    copy, after, graph = build("a", "2")
    world.solve(graph)
    assert (copy.runs, after.runs) == (0, 0)
    copy, after, graph = build("b", "3")
    world.solve(graph)
    assert (copy.runs, after.runs) == (1, 1)


def test_equal_content_of_a_rerun_stage_stops_the_rebuild(world: World) -> None:
    def build(version: str) -> tuple[Op, Op, Node[str]]:
        stage = Op("stage" + version, action=lambda c, i: "same-binary")
        copy = Op("copy", inputs=1, content=lambda tree: "digest-of-" + tree)
        return stage, copy, node(copy, node(stage))

    world.solve(build("1")[2])
    stage, copy, graph = build("2")
    world.solve(graph)
    assert (stage.runs, copy.runs) == (1, 0)
    # The next time the fast key of the new stage is known, and the stage is not even asked for.
    stage, copy, graph = build("2")
    world.solve(graph)
    assert (stage.runs, copy.runs) == (0, 0)


def test_a_vanished_result_is_made_again_under_its_old_key(world: World) -> None:
    def build() -> tuple[Op, Op, Node[str]]:
        step, top = Op("step", inputs=1), Op("top", inputs=1)
        return step, top, node(top, node(step, node(Op("base"))))

    world.solve(build()[2])
    world.records.lost.add("top(step(base()))")
    step, top, graph = build()
    assert world.solve(graph) == ["top(step(base()))"]
    assert (step.runs, top.runs) == (0, 1)
    world.records.lost.clear()
    step, top, graph = build()
    world.solve(graph)
    assert (step.runs, top.runs) == (0, 0)


def test_a_result_that_is_of_no_use_is_made_again_when_its_files_are_wanted(world: World) -> None:
    """It is found, but what it is made of turns out to be lost or damaged. A hit above it does not care."""

    def build(last: str) -> tuple[Op, Op, Node[str]]:
        step, top = Op("step", inputs=1), Op(last, inputs=1)
        return step, top, node(top, node(step, node(Op("base"))))

    world.solve(build("first")[2])
    world.records.spoilt.add("step(base())")
    step, top, graph = build("first")
    assert world.solve(graph) == ["first(step(base()))"]
    assert (step.runs, top.runs) == (0, 0)
    step, top, graph = build("second")
    assert world.solve(graph) == ["second(step(base()))"]
    assert (step.runs, top.runs) == (1, 1)


def test_equal_vertices_of_two_targets_run_once(world: World) -> None:
    op = Op("shared", action=lambda c, i: "shared")
    first = node(Op("a", inputs=1), node(op))
    second = node(Op("b", inputs=1), Node("sha256:shared", "shared", op))
    assert world.solve(first, second) == ["a(shared)", "b(shared)"]
    assert op.runs == 1


def test_independent_vertices_run_at_once(world: World) -> None:
    barrier = threading.Barrier(20, timeout=10)

    def meet(context: RunContext, inputs: Sequence[str]) -> str:
        return str(barrier.wait() >= 0)

    assert world.solve(*(node(Op(f"n{number}", action=meet)) for number in range(20))) == ["True"] * 20


def test_the_first_error_cancels_the_rest_and_names_its_vertex(world: World) -> None:
    stopped = threading.Event()

    def fail(context: RunContext, inputs: Sequence[str]) -> str:
        raise ExecutionError("exit code: 7", exit_code_of_step=7)

    def wait(context: RunContext, inputs: Sequence[str]) -> str:
        assert context.cancel.wait(10)
        stopped.set()
        raise CancelledError

    with pytest.raises(ExecutionError) as caught:
        world.solve(node(Op("slow", action=wait)), node(Op("bad", action=fail)))
    assert caught.value.vertex == "bad"
    assert stopped.is_set()
    assert world.final()["slow"].error == "context canceled"
    assert world.final()["bad"].error == "exit code: 7"


def test_cancelling_from_outside_ends_the_solve(world: World) -> None:
    cancel = Cancellation()

    def wait(context: RunContext, inputs: Sequence[str]) -> str:
        cancel.cancel()
        raise CancelledError

    with pytest.raises(CancelledError):
        world.solve(node(Op("step", action=wait)), cancel=cancel)


def test_ignoring_the_cache_runs_again_but_saves(world: World) -> None:
    def build(**options: bool) -> tuple[Op, Node[str]]:
        op = Op("step", inputs=1)
        return op, node(op, node(Op("base")), **options)

    world.solve(build()[1])
    op, graph = build(ignore_cache=True)
    world.solve(graph)
    assert op.runs == 1
    op, graph = build()
    world.solve(graph)
    assert op.runs == 0


def test_a_deep_chain_needs_no_deep_stack(world: World) -> None:
    graph = node(Op("n0"))
    for number in range(1, 3000):
        graph = node(Op(f"n{number}", inputs=1, action=lambda c, i: "x"), graph)
    assert world.solve(graph) == ["x"]
