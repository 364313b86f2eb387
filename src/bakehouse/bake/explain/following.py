"""Which part of an expression makes a part of its value: the way down through what hands values on unchanged.

A part is a path of keys and indexes. Constructors, conditionals, loops and the functions that pick and join (`merge`,
`concat`, `lookup`, …) are followed; what remains is the smallest expression that makes the part, with what is left of
the path. Values are those of `look`, which evaluates again what was evaluated before.
"""

from __future__ import annotations

from bakehouse.bake.evaluator import Scope
from bakehouse.hcl.calls import FunctionCall
from bakehouse.hcl.conditionals import Conditional
from bakehouse.hcl.expressions import Index, RelativeTraversal
from bakehouse.hcl.loops import For
from bakehouse.hcl.traversal import TraverseAttribute
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from bakehouse.bake.blocks import BlockState
    from bakehouse.diagnostics import SourceRange
    from bakehouse.hcl.syntax import Expression
    from bakehouse.hcl.traversal import TraverseIndex
    from bakehouse.hcl.values import Value

    #: Keys of maps and indexes of lists, from the outside in.
    Path: TypeAlias = tuple["str | int", ...]
    Look: TypeAlias = Callable[[Expression, Scope], "Value | None"]
    Follow: TypeAlias = Callable[["Spot", Sequence[Expression], Look], "Spot | None"]


_NAME = regex(r"[^\W\d][\w-]*\Z")


class Spot:
    """An expression where it stands: its `scope`, the block whose matrix may be named in it (`state`), and the names
    that loops and functions around it bind (`given`; None for one whose origin is not known). Meant is the part `path`
    of its value. `key` is where the key of that part stands, `deciding` what was asked on the way to the expression."""

    __slots__ = ("deciding", "expression", "given", "key", "path", "scope", "state")

    def __init__(
        self,
        expression: Expression,
        scope: Scope,
        path: Path = (),
        *,
        state: BlockState | None = None,
        given: Mapping[str, Spot | None] | None = None,
        key: SourceRange | None = None,
        deciding: tuple[Spot, ...] = (),
    ) -> None:
        self.expression = expression
        self.scope = scope
        self.path = path
        self.state = state
        self.given = given or {}
        self.key = key
        self.deciding = deciding

    def at(
        self,
        expression: Expression,
        path: Path,
        *,
        key: SourceRange | None = None,
        asked: Expression | None = None,
    ) -> Spot:
        """Another expression of the same surroundings. `asked` is what had to be known to get there."""
        deciding = self.deciding
        if asked is not None:
            deciding += (Spot(asked, self.scope, state=self.state, given=self.given),)
        return Spot(
            expression, self.scope, path, state=self.state, given=self.given, key=key, deciding=deciding
        )


def narrowed(spot: Spot, look: Look) -> Spot:
    """The smallest expression within that of `spot` that makes the part."""
    while True:
        inner = _step(spot, look)
        if inner is None:
            return spot
        spot = inner


def part_of(value: Value | None, path: Path) -> Value | None:
    """A part of a value; None where there is no such part."""
    for key in path:
        if value is None or not isinstance(value.raw, (dict, list, tuple)):
            return None
        value = _member(value, key)
    return value


def path_of(steps: Sequence[TraverseAttribute | TraverseIndex]) -> Path:
    """The constant steps of a traversal as a path."""
    keys = (step.name if isinstance(step, TraverseAttribute) else _as_key(step.key) for step in steps)
    return tuple("" if key is None else key for key in keys)


def path_text(path: Path) -> str:
    """A path as it would be written behind a name, without the first dot."""
    return "".join(map(_step_text, path)).removeprefix(".")


def _step_text(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if _NAME.match(key) else f'["{key}"]'


def _member(value: Value, key: str | int) -> Value | None:
    if isinstance(value.raw, dict):
        return value.raw.get(str(key))
    try:
        return value.elements()[int(key)]
    except (ValueError, IndexError):
        return None


def _as_key(value: Value | None) -> str | int | None:
    """A key or index as it stands in a path; None for what is neither."""
    python = None if value is None or not value.is_known else value.to_python()
    if isinstance(python, float) and python.is_integer():
        return int(python)
    return python if isinstance(python, (str, int)) and not isinstance(python, bool) else None


def _step(spot: Spot, look: Look) -> Spot | None:
    """One step down, or None at the end of the way."""
    core = spot.expression.core()
    if isinstance(core, RelativeTraversal):
        return spot.at(core.origin, (*path_of(core.steps), *spot.path))
    if isinstance(core, Index):
        key = _as_key(look(core.key, spot.scope))
        return None if key is None else spot.at(core.collection, (key, *spot.path), asked=core.key)
    if isinstance(core, FunctionCall):
        return None if core.expand else _of_call(spot, core, look)
    if not spot.path:
        return None
    if isinstance(core, Conditional):
        decision = look(core.condition, spot.scope)
        if decision is None:
            return None
        chosen = core.positive if decision.raw in (True, "true") else core.negative
        return spot.at(chosen, spot.path, asked=core.condition)
    if isinstance(core, For):
        return _of_loop(spot, core, look)
    return _of_constructor(spot, core, look)


def _of_constructor(spot: Spot, core: Expression, look: Look) -> Spot | None:
    first, rest = spot.path[0], spot.path[1:]
    for key, value in reversed(core.as_map() or ()):
        name = look(key, spot.scope)
        if name is not None and _text(name) == str(first):
            return spot.at(value, rest, key=key.range)
    elements = core.as_list()
    if elements is not None and isinstance(first, int) and first < len(elements):
        return spot.at(elements[first], rest)
    return None


def _text(value: Value) -> str:
    key = _as_key(value)
    return str(value.raw if key is None else key)


def _of_loop(spot: Spot, loop: For, look: Look) -> Spot | None:
    """The round of a loop that made the part."""
    collection = look(loop.collection, spot.scope)
    if collection is None or not collection.can_iterate():
        return None
    left = spot.path[1] if loop.group and len(spot.path) > 1 else 0
    if loop.key is None:
        left = spot.path[0]
    if not isinstance(left, int):
        return None
    for key, item in collection.items():
        scope = Scope(loop.item_scope(spot.scope.context, key, item))
        if loop.condition is not None:
            included = look(loop.condition, scope)
            if included is None or included.raw not in (True, "true"):
                continue
        if loop.key is not None:
            name = look(loop.key, scope)
            if name is None or _text(name) != str(spot.path[0]):
                continue
        if left == 0:
            place = _as_key(key)
            source = None if place is None else spot.at(loop.collection, (place,))
            given = {**spot.given, loop.key_name: None, loop.value_name: source}
            rest = spot.path[2:] if loop.group else spot.path[1:]
            return Spot(loop.value, scope, rest, state=spot.state, given=given, deciding=spot.deciding)
        left -= 1
    return None


def _of_call(spot: Spot, call: FunctionCall, look: Look) -> Spot | None:
    """The argument of a function of the library that holds the part."""
    follow = _FUNCTIONS.get(call.name)
    if follow is None or not call.arguments:
        return None
    return follow(spot, call.arguments, look)


def _in_last(spot: Spot, arguments: Sequence[Expression], look: Look) -> Spot | None:
    """`merge`: the last argument that has the key."""
    for argument in reversed(arguments):
        if spot.path and part_of(look(argument, spot.scope), spot.path[:1]) is not None:
            return spot.at(argument, spot.path)
    return None


def _in_row(spot: Spot, arguments: Sequence[Expression], look: Look) -> Spot | None:
    """`concat`: the argument within which the index falls."""
    index = spot.path[0] if spot.path else None
    for argument in arguments:
        value = look(argument, spot.scope)
        if value is None or not isinstance(index, int):
            return None
        if index < len(value):
            return spot.at(argument, (index, *spot.path[1:]))
        index -= len(value)
    return None


def _first(spot: Spot, arguments: Sequence[Expression], look: Look) -> Spot | None:
    """`try`, `coalesce`, `coalescelist`: the first argument that has a value at all."""
    for argument in arguments if spot.path else ():
        value = look(argument, spot.scope)
        if value is not None and value.raw is not None and (not value.can_iterate() or len(value)):
            return spot.at(argument, spot.path)
    return None


def _looked_up(spot: Spot, arguments: Sequence[Expression], look: Look) -> Spot | None:
    """`lookup(map, key, default)`."""
    if len(arguments) != 3:
        return None
    collection, wanted, default = arguments
    key = _as_key(look(wanted, spot.scope))
    if key is None:
        return None
    if part_of(look(collection, spot.scope), (key,)) is None:
        return spot.at(default, spot.path, asked=wanted)
    return spot.at(collection, (key, *spot.path), asked=wanted)


def _indexed(spot: Spot, arguments: Sequence[Expression], look: Look) -> Spot | None:
    """`element(list, index)`, `index(collection, key)`."""
    if len(arguments) != 2:
        return None
    key = _as_key(look(arguments[1], spot.scope))
    collection = look(arguments[0], spot.scope)
    if key is None or collection is None or not collection.can_iterate() or not len(collection):
        return None
    if isinstance(key, int):
        key %= len(collection)
    return spot.at(arguments[0], (key, *spot.path), asked=arguments[1])


def _sliced(spot: Spot, arguments: Sequence[Expression], look: Look) -> Spot | None:
    """`slice(list, start, end)`."""
    start = _as_key(look(arguments[1], spot.scope)) if len(arguments) > 1 else None
    if not spot.path or not isinstance(start, int) or not isinstance(spot.path[0], int):
        return None
    return spot.at(arguments[0], (spot.path[0] + start, *spot.path[1:]))


def _rearranged(spot: Spot, arguments: Sequence[Expression], look: Look) -> Spot | None:
    """`compact`, `distinct`, `sort`, `reverselist`, `flatten`: where the argument has the element."""
    element = part_of(look(spot.expression, spot.scope), spot.path[:1]) if spot.path else None
    found = None if element is None else _found(look(arguments[0], spot.scope), element)
    return None if found is None else spot.at(arguments[0], (*found, *spot.path[1:]))


def _found(value: Value | None, element: Value) -> Path | None:
    """The path to an element in a list, or in a list of lists."""
    if value is None or not isinstance(value.raw, (list, tuple)):
        return None
    for index, item in enumerate(value.elements()):
        if item == element:
            return (index,)
        deeper = _found(item, element)
        if deeper is not None:
            return (index, *deeper)
    return None


def _zipped(spot: Spot, arguments: Sequence[Expression], look: Look) -> Spot | None:
    """`zipmap(keys, values)`."""
    keys = look(arguments[0], spot.scope)
    if not spot.path or keys is None or len(arguments) != 2:
        return None
    for index, key in enumerate(keys.elements()):
        if _text(key) == str(spot.path[0]):
            return spot.at(arguments[1], (index, *spot.path[1:]))
    return None


def _values(spot: Spot, arguments: Sequence[Expression], look: Look) -> Spot | None:
    """`values(map)`: in the order of the keys."""
    collection = look(arguments[0], spot.scope)
    if not spot.path or collection is None or not isinstance(collection.raw, dict):
        return None
    keys = sorted(collection.raw)
    index = spot.path[0]
    if not isinstance(index, int) or index >= len(keys):
        return None
    return spot.at(arguments[0], (keys[index], *spot.path[1:]))


_FUNCTIONS: dict[str, Follow] = {
    "merge": _in_last,
    "concat": _in_row,
    **dict.fromkeys(("try", "coalesce", "coalescelist"), _first),
    "lookup": _looked_up,
    **dict.fromkeys(("element", "index"), _indexed),
    "slice": _sliced,
    **dict.fromkeys(("compact", "distinct", "sort", "reverselist", "flatten"), _rearranged),
    "zipmap": _zipped,
    "values": _values,
}
