"""Value classes against the standard library's dataclasses: whatever class is declared, both behave alike."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import operator
import pickle
import subprocess
import sys
import threading
from functools import partial
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakehouse import values

NAMES = ("a", "b", "c", "d")
SMALL = st.one_of(st.integers(-2, 2), st.sampled_from(["", "x"]), st.none(), st.just(()))


@st.composite
def declared_fields(
    draw: st.DrawFn, names: tuple[str, ...] = NAMES
) -> list[tuple[str, dict[str, Any] | Any]]:
    """(name, what stands behind the `=`): nothing (`...`), a plain default, or the options of `field`."""
    found: list[tuple[str, Any]] = []
    for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=4)):
        kind = draw(st.sampled_from(["required", "default", "field"]))
        if kind == "required":
            found.append((name, ...))
        elif kind == "default":
            found.append((name, draw(SMALL)))
        else:
            options: dict[str, Any] = {
                option: draw(st.booleans())
                for option in draw(st.sets(st.sampled_from(["init", "repr", "compare", "hash", "kw_only"])))
            }
            source = draw(st.sampled_from(["none", "default", "factory"]))
            if source == "default":
                options["default"] = draw(SMALL)
            elif source == "factory":
                options["default_factory"] = draw(st.sampled_from([list, dict, tuple]))
            found.append((name, {"options": options}))
    return found


decorations = st.fixed_dictionaries(
    {}, optional={name: st.booleans() for name in ("eq", "order", "frozen", "kw_only", "slots")}
)


def declare(
    library: Any, name: str, bases: tuple[type, ...], fields: list[tuple[str, Any]], options: dict[str, bool]
) -> Any:
    namespace: dict[str, Any] = {
        "__annotations__": {name: "int" for name, _ in fields},
        "__module__": __name__,
    }
    for field, value in fields:
        if isinstance(value, dict):
            namespace[field] = library.field(**value["options"])
        elif value is not ...:
            namespace[field] = value
    return library.dataclass(**options)(type(name, bases, namespace))


def outcome(work: Any) -> Any:
    """What `work` gives, or the kind and text of what it raises."""
    try:
        return ("value", work())
    except Exception as error:
        return (type(error), str(error))


def pair(work: Any) -> tuple[Any, Any] | None:
    """`work(library)` with both libraries; None when both refuse. (Which of two mistakes is told first may differ.)"""
    ours, theirs = outcome(lambda: work(values)), outcome(lambda: work(dataclasses))
    if ours[0] == "value" and theirs[0] == "value":
        return ours[1], theirs[1]
    assert {ours[0], theirs[0]} <= {TypeError, ValueError}, (ours, theirs)
    return None


def arguments(draw: st.DrawFn) -> tuple[list[Any], dict[str, Any]]:
    return draw(st.lists(SMALL, max_size=4)), draw(
        st.dictionaries(st.sampled_from((*NAMES, "zz")), SMALL, max_size=3)
    )


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_class_behaves_as_a_dataclass(data: st.DataObject) -> None:
    draw = data.draw
    fields, options = draw(declared_fields()), draw(decorations)
    classes = pair(lambda library: declare(library, "C", (), fields, options))
    if classes is None:
        return
    if draw(st.booleans()):
        more, other = draw(declared_fields(("c", "d", "e"))), draw(decorations)
        bases = classes
        # A class without slots below one with slots loses, in the standard library, defaults of `init=False`.
        changed = {**options, **other, "slots": options.get("slots", False)}
        derived = pair(lambda library: declare(library, "D", (bases[library is dataclasses],), more, changed))
        if derived is None:
            return
        classes = derived
    ours, theirs = classes
    assert ours.__match_args__ == theirs.__match_args__
    assert ours.__dict__.get("__slots__") == theirs.__dict__.get("__slots__")
    assert inspect.signature(ours).parameters.keys() == inspect.signature(theirs).parameters.keys()
    made = []
    for _ in range(3):
        args, keywords = arguments(draw)
        both = [outcome(partial(cls, *args, **keywords)) for cls in (ours, theirs)]
        if both[0][0] == "value":
            assert both[1][0] == "value"
            made.append((both[0][1], both[1][1]))
            check_instance(*made[-1], draw)
        else:
            # The same error in the same words: `C.__init__() missing 1 required positional argument: 'a'`.
            assert both[0] == both[1]
    for left, left_theirs in made:
        for right, right_theirs in made:
            for compare in (operator.eq, operator.lt, operator.ge):
                assert outcome(partial(compare, left, right)) == outcome(
                    partial(compare, left_theirs, right_theirs)
                )
            equal = outcome(partial(operator.eq, left, right)) == ("value", True)
            if equal and options.get("eq", True) and outcome(partial(hash, left))[0] == "value":
                assert hash(left) == hash(right)


def assign_one(instance: Any, name: str) -> None:
    setattr(instance, name, 1)


def check_instance(ours: Any, theirs: Any, draw: st.DrawFn) -> None:
    assert outcome(lambda: repr(ours)) == outcome(lambda: repr(theirs))
    assert outcome(lambda: hash(ours))[0] == outcome(lambda: hash(theirs))[0]
    assert hasattr(ours, "__dict__") == hasattr(theirs, "__dict__")
    assert values.field_names(ours) == tuple(field.name for field in dataclasses.fields(theirs))
    for name in (*NAMES, "zz"):
        assert outcome(lambda: getattr(ours, name)) == outcome(lambda: getattr(theirs, name))  # noqa: B023
        for change, verb in ((assign_one, "assign to"), (delattr, "delete")):
            theirs_says = outcome(partial(change, theirs, name))
            if theirs_says[0] is TypeError:
                # The standard library's slip in frozen classes with slots: "super(type, obj): obj must be …".
                theirs_says = (dataclasses.FrozenInstanceError, f"cannot {verb} field {name!r}")
            assert outcome(partial(change, ours, name)) == theirs_says
    changes = draw(st.dictionaries(st.sampled_from((*NAMES, "zz")), SMALL, max_size=2))
    replaced = (
        outcome(lambda: values.replace(ours, **changes)),
        outcome(lambda: dataclasses.replace(theirs, **changes)),
    )
    if replaced[1][0] == "value":
        assert outcome(partial(repr, replaced[0][1])) == outcome(partial(repr, replaced[1][1]))
    else:
        assert replaced[0][0] is replaced[1][0]


@values.dataclass(frozen=True, slots=True)
class Point:
    """A point."""

    x: int
    y: int = 0
    secret: str = values.field(default="", repr=False)
    count: ClassVar[int] = 7

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x is negative")


@values.dataclass(slots=True)
class Bag:
    items: list[int] = values.field(default_factory=list)


@values.dataclass(frozen=True, slots=True)
class Loop:
    inside: list[Any]


def test_a_frozen_value_is_equal_hashable_and_hides_what_it_is_told_to() -> None:
    assert Point(1) == Point(1, 0) != Point(2)
    assert {Point(1, 2): "p"}[Point(1, 2)] == "p"
    assert repr(Point(1, secret="s")) == "Point(x=1, y=0)"
    assert Point.count == 7
    with pytest.raises(ValueError, match="negative"):
        values.replace(Point(1), x=-1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        Point(1).x = 2  # type: ignore[misc]


def test_pattern_matching_copies_and_pickles() -> None:
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)
    for made in (copy.copy(Point(1, 2)), copy.deepcopy(Point(1, 2)), pickle.loads(pickle.dumps(Point(1, 2)))):
        assert made == Point(1, 2)
    bag = Bag([1])
    assert copy.deepcopy(bag) == bag
    assert copy.deepcopy(bag).items is not bag.items


def test_every_instance_has_its_own_default() -> None:
    assert Bag().items is not Bag().items
    with pytest.raises(TypeError, match="unhashable type: 'Bag'"):
        hash(Bag())


def test_a_value_inside_itself_has_a_repr() -> None:
    loop = Loop([])
    loop.inside.append(loop)
    assert repr(loop) == "Loop(inside=[...])"


def test_the_functions_of_dataclasses_know_value_classes() -> None:
    assert dataclasses.is_dataclass(Point(1))
    assert [field.name for field in dataclasses.fields(Point(1))] == ["x", "y", "secret"]
    assert dataclasses.replace(Point(1), y=5) == Point(1, 5)
    assert dataclasses.asdict(Point(1)) == {"x": 1, "y": 0, "secret": ""}
    assert values.field_names(3) is None


def test_what_is_not_supported_is_refused_at_the_definition() -> None:
    for annotation in ("InitVar[int]", "KW_ONLY"):
        with pytest.raises(TypeError, match="not supported"):
            values.dataclass(type("C", (), {"__annotations__": {"a": annotation}}))
    with pytest.raises(TypeError):
        values.dataclass(unsafe_hash=True)  # type: ignore[call-overload]


def test_the_first_use_may_come_from_many_threads_at_once() -> None:
    for _ in range(20):
        made = declare(
            values, "T", (), [("a", ...), ("b", {"options": {"default_factory": list}})], {"slots": True}
        )
        barrier, seen = threading.Barrier(8), []

        def work(made: Any = made, barrier: threading.Barrier = barrier, seen: list[Any] = seen) -> None:
            barrier.wait()
            seen.append(made(1) == made(1, []))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [True] * 8


def test_the_import_of_values_and_lazy_imports_nothing_heavy() -> None:
    heavy = ("dataclasses", "typing", "enum", "re", "inspect", "importlib.util")
    code = (
        "import sys; from bakehouse.values import dataclass, field; from bakehouse.lazy import regex;"
        "C = dataclass(frozen=True, slots=True)(type('C', (), {'__annotations__': {'a': 'int'}}));"
        f"X = regex('a+'); assert C(1) == C(1); print([m for m in {heavy!r} if m in sys.modules])"
    )
    # -S: what `site` imports is not ours.
    path = f"import sys; sys.path[:0] = {[entry for entry in sys.path if entry]!r};"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", path + code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
