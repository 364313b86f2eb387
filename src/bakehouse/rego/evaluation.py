"""The search for what a policy says: bodies are tried expression by expression, each with every set of values under
which the ones before it hold.

A builtin that cannot do what it is asked has no value, and so has the expression in which it stands. Members of the
input that are not known yet end the search (`values.Unknown`), unless the body in which one is asked for fails
whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bakehouse.rego.documents import UNDEFINED, frozen, member_of, members_of, with_member
from bakehouse.rego.errors import RegoError, at
from bakehouse.rego.functions import BUILTINS, FunctionFailed
from bakehouse.rego.program import Node, Program
from bakehouse.rego.scopes import ROOTS, variables_of
from bakehouse.rego.syntax import (
    Array,
    Body,
    Call,
    Comprehension,
    Every,
    Expression,
    Record,
    Ref,
    Rule,
    Scalar,
    Set,
    Some,
    SomeIn,
    Template,
    Term,
    Test,
    Unify,
    Var,
    With,
)
from bakehouse.rego.values import FALSE, Object, Unknown, ordered, to_text, truth

#: Expressions that one evaluation may try: policies of strangers end.
MAX_STEPS = 2_000_000
_MAX_CALLS = 150

Environment = dict[str, Any]


class _Impure(Exception):
    """What only looks ahead must not call this."""


class Evaluation:
    """One look at one input. `input` is None when there is none. What `print` says is given to `show` with its file and
    line, once a question is answered; a question that meets something unknown shows nothing."""

    def __init__(
        self,
        program: Program,
        input: Any = UNDEFINED,
        show: Callable[[str, int, str], None] | None = None,
        data: Object | None = None,
    ) -> None:
        self._program = program
        self._input = input
        self._show = show
        self._data = data
        self._printed: list[tuple[str, int, str]] = []
        self._known: dict[Any, Any] = {}
        self._overlaid: dict[tuple[str, ...], Any] = {}
        self._mocked: dict[str, Any] = {}
        self._steps = [0]
        self._depth = 0
        self._looking_ahead = False
        self._file = ""

    def query(self, path: Sequence[str]) -> Any:
        """The document `path` behind `data`, `UNDEFINED` when it has no value. Raises `RegoError` and `Unknown`."""
        try:
            value = self._document(tuple(path))
        except RecursionError:
            raise RegoError("the policy calls itself too deeply") from None
        for line in self._printed:
            if self._show is not None:
                self._show(*line)
        self._printed.clear()
        return value

    # -- documents of rules -----------------------------------------------------------------------------------

    def _document(self, path: tuple[str, ...]) -> Any:
        found = UNDEFINED
        for value, _ in self._walk_data(self._program.root, (), [Scalar(part) for part in path], 0, {}):
            found = value
        return found

    def _rule_value(self, path: tuple[str, ...], node: Node) -> Any:
        if path in self._known:
            return self._known[path]
        rules = node.rules
        if rules[0][1].args is not None:
            return UNDEFINED
        saved = self._file
        self._depth += 1
        if self._depth > _MAX_CALLS:
            raise RegoError(f"rules look at each other more than {_MAX_CALLS} deep")
        try:
            value = self._computed(path, rules)
        finally:
            self._depth -= 1
            self._file = saved
        if not self._looking_ahead:
            self._known[path] = value
        return value

    def _computed(self, path: tuple[str, ...], rules: list[tuple[str, Rule]]) -> Any:
        if any(rule.member is not None and not rule.keys for _, rule in rules):
            members: set[Any] = set()
            for file, rule in rules:
                self._file = file
                for env in self._solutions(rule.clauses[0].body, {}):
                    assert rule.member is not None
                    members.update(value for value, _ in self._values(rule.member, env))
            return frozenset(members)
        if any(rule.keys for _, rule in rules):
            found = self._partial_object(path, rules)
            node = self._program.node(path)
            assert node is not None and isinstance(found, Object)
            # Rules with longer names add to it.
            beside = self._whole(Node([], node.below), path)
            return Object({**found, **beside})
        found = UNDEFINED
        for file, rule in rules:
            if rule.is_default:
                continue
            self._file = file
            for value in self._clause_values(rule, {}):
                if found is not UNDEFINED and found != value:
                    raise at(file, rule.place, "complete rules must not produce multiple outputs")
                found = value
        if found is UNDEFINED:
            for file, rule in rules:
                if rule.is_default:
                    self._file = file
                    for value, _ in self._values(rule.clauses[0].value, {}):
                        found = value
        return found

    def _clause_values(self, rule: Rule, env: Environment) -> Iterator[Any]:
        """The values of the first clause that holds."""
        for clause in rule.clauses:
            held = False
            for found in self._solutions(clause.body, env):
                for value, _ in self._values(clause.value, found):
                    held = True
                    yield value
            if held:
                return

    def _partial_object(self, path: tuple[str, ...], rules: list[tuple[str, Rule]]) -> Any:
        tree: dict[Any, Any] = {}
        for file, rule in rules:
            self._file = file
            clause = rule.clauses[0]
            for env in self._solutions(clause.body, {}):
                for keys, inner in self._lists(rule.keys, env):
                    head = clause.value if rule.member is None else rule.member
                    for value, _ in self._values(head, inner):
                        self._put(tree, keys, value, rule)
        return frozen(tree)

    def _put(self, tree: dict[Any, Any], keys: tuple[Any, ...], value: Any, rule: Rule) -> None:
        for key in keys[:-1]:
            tree = tree.setdefault(key, {})
        if rule.member is not None:
            tree.setdefault(keys[-1], set()).add(value)
            return
        if keys[-1] in tree and tree[keys[-1]] != value:
            raise at(self._file, rule.place, "object keys must be unique")
        tree[keys[-1]] = value

    def _walk_data(
        self, node: Node | None, path: tuple[str, ...], keys: Sequence[Term], number: int, env: Environment
    ) -> Iterator[tuple[Any, Environment]]:
        """The values at `keys` from `number` on below the document `path`."""
        if path in self._overlaid:
            yield from self._walk(self._overlaid[path], keys, number, env)
            return
        if node is not None and node.rules:
            value = self._rule_value(path, node)
            if value is not UNDEFINED:
                yield from self._walk(value, keys, number, env)
            return
        overlaid = any(other[: len(path)] == path for other in self._overlaid)
        if node is None and not overlaid:
            return
        if number == len(keys):
            yield self._whole(node, path), env
            return
        key = keys[number]
        below = dict.fromkeys(node.below if node is not None else ())
        below.update(
            dict.fromkeys(other[len(path)] for other in self._overlaid if other[: len(path)] == path)
        )
        if _unbound(key, env):
            for name in ordered(below):
                for inner in self._match(key, name, env):
                    child = node.below.get(name) if node is not None else None
                    yield from self._walk_data(child, (*path, name), keys, number + 1, inner)
            return
        for name, inner in self._values(key, env):
            if isinstance(name, str) and name in below:
                child = node.below.get(name) if node is not None else None
                yield from self._walk_data(child, (*path, name), keys, number + 1, inner)

    def _whole(self, node: Node | None, path: tuple[str, ...]) -> Object:
        members: dict[str, Any] = {}
        names = dict.fromkeys(node.below if node is not None else ())
        names.update(
            dict.fromkeys(other[len(path)] for other in self._overlaid if other[: len(path)] == path)
        )
        for name in names:
            child = node.below.get(name) if node is not None else None
            for value, _ in self._walk_data(child, (*path, name), (), 0, {}):
                members[name] = value
        return Object(members)

    # -- bodies -----------------------------------------------------------------------------------------------

    def _solutions(self, body: Body, env: Environment, start: int = 0) -> Iterator[Environment]:
        if start == len(body):
            yield env
            return
        found = self._holds(body[start], env)
        while True:
            try:
                inner = next(found)
            except StopIteration:
                return
            except Unknown:
                if self._fails_anyway(body[start + 1 :], env):
                    return
                raise
            yield from self._solutions(body, inner, start + 1)

    def _fails_anyway(self, rest: Body, env: Environment) -> bool:
        """Whether one of the expressions behind an unknown one fails for itself."""
        before, self._looking_ahead = self._looking_ahead, True
        try:
            for item in rest:
                if not variables_of(item) <= env.keys():
                    continue
                try:
                    if next(self._holds(item, env), None) is None:
                        return True
                except (Unknown, _Impure, RegoError):
                    continue
            return False
        finally:
            self._looking_ahead = before

    def _holds(self, item: Expression, env: Environment) -> Iterator[Environment]:
        """The values under which `item` holds."""
        self._steps[0] += 1
        if self._steps[0] > MAX_STEPS:
            raise at(self._file, item.place, f"the policy takes more than {MAX_STEPS:,} steps")
        if isinstance(item, Some):
            yield env
            return
        if item.withs:
            changed = self._changed(item.withs, env)
            if changed is None:
                return
            yield from changed._plainly(item, env)
            self._printed += changed._printed
            return
        yield from self._plainly(item, env)

    def _plainly(self, item: Expression, env: Environment) -> Iterator[Environment]:
        if isinstance(item, Test):
            if item.negated:
                if not any(value is not FALSE for value, _ in self._values(item.term, env)):
                    yield env
                return
            for value, inner in self._values(item.term, env):
                if value is not FALSE:
                    yield inner
        elif isinstance(item, Unify):
            if item.negated:
                if next(self._unified(item.left, item.right, env), None) is None:
                    yield env
                return
            yield from self._unified(item.left, item.right, env)
        elif isinstance(item, SomeIn):
            for domain, inner in self._values(item.domain, env):
                for key, value in members_of(domain):
                    if item.key is None:
                        yield from self._match(item.value, value, inner)
                        continue
                    for keyed in self._match(item.key, key, inner):
                        yield from self._match(item.value, value, keyed)
        elif isinstance(item, Every):
            for domain, inner in self._values(item.domain, env):
                if not isinstance(domain, tuple | Object | frozenset):
                    continue
                if all(self._every_holds(item, key, value, inner) for key, value in members_of(domain)):
                    yield inner

    def _every_holds(self, item: Every, key: Any, value: Any, env: Environment) -> bool:
        inner = {**env, item.value.name: value}
        if item.key is not None:
            inner[item.key.name] = key
        return next(self._solutions(item.body, inner), None) is not None

    def _changed(self, withs: tuple[With, ...], env: Environment) -> Evaluation | None:
        """An evaluation in which other values stand for documents and functions; None when one has no value."""
        other = Evaluation(self._program, self._input, self._show, self._data)
        other._overlaid, other._mocked = dict(self._overlaid), dict(self._mocked)
        other._steps, other._depth, other._file = self._steps, self._depth + 1, self._file
        other._looking_ahead = self._looking_ahead
        if other._depth > _MAX_CALLS:
            raise RegoError(f"rules look at each other more than {_MAX_CALLS} deep")
        for each in withs:
            name, path = _target(each.target)
            if name == "function":
                other._mocked[path[0]] = each.value
                continue
            value = next((value for value, _ in self._values(each.value, env)), UNDEFINED)
            if value is UNDEFINED:
                return None
            if name == "input":
                other._input = with_member(other._input, path, value)
            else:
                other._overlaid[path] = value
        return other

    # -- terms ------------------------------------------------------------------------------------------------

    def _values(self, term: Term, env: Environment) -> Iterator[tuple[Any, Environment]]:
        """Every value that `term` can have, with what that makes of its variables."""
        if isinstance(term, Scalar):
            yield term.value, env
        elif isinstance(term, Var):
            if term.name == "input":
                if self._input is not UNDEFINED:
                    yield self._input, env
            elif term.name == "data":
                yield from self._walk_data(self._program.root, (), (), 0, env)
            elif term.name in env:
                yield env[term.name], env
            else:
                raise at(self._file, term.place, f"var {term.name.partition('#')[0]} is unsafe")
        elif isinstance(term, Ref):
            if isinstance(term.head, Var) and term.head.name == "data":
                yield from self._walk_data(self._program.root, (), term.path, 0, env)
                return
            for value, inner in self._values(term.head, env):
                yield from self._walk(value, term.path, 0, inner)
        elif isinstance(term, Call):
            yield from self._called(term, env)
        elif isinstance(term, Array):
            yield from self._lists(term.items, env)
        elif isinstance(term, Set):
            for items, inner in self._lists(term.items, env):
                yield frozenset(items), inner
        elif isinstance(term, Record):
            keys = tuple(key for key, _ in term.pairs)
            for names, inner in self._lists(keys, env):
                for items, found in self._lists(tuple(item for _, item in term.pairs), inner):
                    yield Object(dict(zip(names, items, strict=True))), found
        elif isinstance(term, Template):
            yield (
                "".join(
                    part if isinstance(part, str) else self._shown(part.value, env) for part in term.parts
                ),
                env,
            )
        else:
            yield self._collected(term, env), env

    def _shown(self, term: Term, env: Environment) -> str:
        """A value within text: strings as they are, `<undefined>` for none."""
        for value, _ in self._values(term, env):
            return value if isinstance(value, str) else to_text(value)
        return "<undefined>"

    def _lists(
        self, terms: tuple[Term, ...], env: Environment
    ) -> Iterator[tuple[tuple[Any, ...], Environment]]:
        if not terms:
            yield (), env
            return
        for value, inner in self._values(terms[0], env):
            for rest, found in self._lists(terms[1:], inner):
                yield (value, *rest), found

    def _collected(self, term: Comprehension, env: Environment) -> Any:
        found: list[Any] = []
        members: dict[Any, Any] = {}
        for inner in self._solutions(term.body, env):
            for value, last in self._values(term.value, inner):
                if term.key is None:
                    found.append(value)
                    continue
                for key, _ in self._values(term.key, last):
                    if key in members and members[key] != value:
                        raise at(self._file, term.place, "object keys must be unique")
                    members[key] = value
        if term.kind == "object":
            return Object(members)
        return tuple(found) if term.kind == "array" else frozenset(found)

    def _walk(
        self, value: Any, keys: Sequence[Term], number: int, env: Environment
    ) -> Iterator[tuple[Any, Environment]]:
        """What is at `keys` from `number` on within `value`."""
        if number == len(keys):
            yield value, env
            return
        key = keys[number]
        if _unbound(key, env):
            for name, member in members_of(value):
                for inner in self._match(key, member if isinstance(value, frozenset) else name, env):
                    yield from self._walk(member, keys, number + 1, inner)
            return
        for name, inner in self._values(key, env):
            member = member_of(value, name)
            if member is not UNDEFINED:
                yield from self._walk(member, keys, number + 1, inner)

    # -- matching ---------------------------------------------------------------------------------------------

    def _match(self, term: Term, value: Any, env: Environment) -> Iterator[Environment]:
        """The variables under which `term` is `value`."""
        if isinstance(term, Var) and term.name not in ROOTS and term.name not in env:
            yield {**env, term.name: value}
        elif isinstance(term, Array) and _unbound(term, env):
            if isinstance(value, tuple) and len(value) == len(term.items):
                yield from self._match_all(term.items, value, env)
        elif isinstance(term, Record) and _unbound(term, env):
            if isinstance(value, Object) and len(value) == len(term.pairs):
                yield from self._match_members(term.pairs, value, env)
        else:
            for found, inner in self._values(term, env):
                if found == value:
                    yield inner

    def _match_all(
        self, terms: tuple[Term, ...], values: tuple[Any, ...], env: Environment
    ) -> Iterator[Environment]:
        if not terms:
            yield env
            return
        for inner in self._match(terms[0], values[0], env):
            yield from self._match_all(terms[1:], values[1:], inner)

    def _match_members(
        self, pairs: tuple[tuple[Term, Term], ...], value: Object, env: Environment
    ) -> Iterator[Environment]:
        if not pairs:
            yield env
            return
        for key, inner in self._values(pairs[0][0], env):
            member = member_of(value, key)
            if member is UNDEFINED:
                continue
            for found in self._match(pairs[0][1], member, inner):
                yield from self._match_members(pairs[1:], value, found)

    def _unified(self, left: Term, right: Term, env: Environment) -> Iterator[Environment]:
        if not _unbound(right, env):
            for value, inner in self._values(right, env):
                yield from self._match(left, value, inner)
        elif not _unbound(left, env):
            for value, inner in self._values(left, env):
                yield from self._match(right, value, inner)
        elif isinstance(left, Array) and isinstance(right, Array) and len(left.items) == len(right.items):
            yield from self._unified_all(left.items, right.items, env)

    def _unified_all(
        self, left: tuple[Term, ...], right: tuple[Term, ...], env: Environment
    ) -> Iterator[Environment]:
        if not left:
            yield env
            return
        for inner in self._unified(left[0], right[0], env):
            yield from self._unified_all(left[1:], right[1:], inner)

    # -- calls ------------------------------------------------------------------------------------------------

    def _called(self, call: Call, env: Environment) -> Iterator[tuple[Any, Environment]]:
        if call.name == "print":
            if self._looking_ahead:
                raise _Impure
            line = " ".join(self._shown(arg, env) for arg in call.args)
            self._printed.append((self._file, call.place[0], line))
            yield truth(True), env
            return
        mocked = self._mocked.get(call.name)
        for args, inner in self._lists(call.args, env):
            value = self._applied(call, args) if mocked is None else self._mock(mocked, args, call, env)
            if value is not UNDEFINED:
                yield value, inner

    def _mock(self, mocked: Term, args: tuple[Any, ...], call: Call, env: Environment) -> Any:
        name = _path_of(mocked)
        if name is not None and (
            name in BUILTINS or name in self._program.functions or self._is_rule_function(name)
        ):
            del_self = {key: value for key, value in self._mocked.items() if key != call.name}
            saved, self._mocked = self._mocked, del_self
            try:
                return self._applied(Call(name, call.args, call.place), args)
            finally:
                self._mocked = saved
        return next((value for value, _ in self._values(mocked, env)), UNDEFINED)

    def _is_rule_function(self, name: str) -> bool:
        node = self._program.node(name.split(".")[1:]) if name.startswith("data.") else None
        return node is not None and bool(node.rules) and node.rules[0][1].args is not None

    def _applied(self, call: Call, args: tuple[Any, ...]) -> Any:
        """What the function makes of these values; `UNDEFINED` when it has no value for them."""
        own = self._program.functions.get(call.name)
        if own is not None:
            if self._looking_ahead:
                raise _Impure
            try:
                value = own(*args)
            except FunctionFailed:
                return UNDEFINED
            return UNDEFINED if value is None else value
        builtin = BUILTINS.get(call.name)
        if builtin is not None:
            try:
                return builtin.function(*args)
            except FunctionFailed:
                return UNDEFINED
        path = tuple(call.name.split(".")[1:])
        key = (path, args)
        if key in self._known:
            return self._known[key]
        node = self._program.node(path)
        assert node is not None, f"{call.name} was checked"
        saved = self._file
        self._depth += 1
        if self._depth > _MAX_CALLS:
            raise at(self._file, call.place, f"functions call each other more than {_MAX_CALLS} deep")
        try:
            value = self._function_value(node.rules, args)
        finally:
            self._depth -= 1
            self._file = saved
        if not self._looking_ahead:
            self._known[key] = value
        return value

    def _function_value(self, rules: list[tuple[str, Rule]], args: tuple[Any, ...]) -> Any:
        found = UNDEFINED
        for is_default in (False, True):
            for file, rule in rules:
                if rule.is_default is not is_default or (is_default and found is not UNDEFINED):
                    continue
                self._file = file
                for env in self._match_all(rule.args or (), args, {}):
                    for value in self._clause_values(rule, env):
                        if found is not UNDEFINED and found != value:
                            raise at(
                                file,
                                rule.place,
                                "functions must not produce multiple outputs for same inputs",
                            )
                        found = value
        return found


def _unbound(term: Term, env: Environment) -> bool:
    """Whether matching `term` would give values to variables of it."""
    if isinstance(term, Var):
        return term.name not in env and term.name not in ROOTS
    if isinstance(term, Array):
        return any(_unbound(item, env) for item in term.items)
    if isinstance(term, Record):
        return any(_unbound(item, env) for _, item in term.pairs)
    return False


def _path_of(term: Term) -> str | None:
    if isinstance(term, Var):
        return term.name
    if isinstance(term, Ref) and isinstance(term.head, Var):
        parts = [term.head.name]
        for part in term.path:
            if not isinstance(part, Scalar) or not isinstance(part.value, str):
                return None
            parts.append(part.value)
        return ".".join(parts)
    return None


def _target(term: Term) -> tuple[str, tuple[str, ...]]:
    """What `with` replaces: `input` or `data` and the path, or a `function` by name."""
    name = _path_of(term)
    if name is None:
        raise RegoError("`with` replaces documents by their names")
    first, _, rest = name.partition(".")
    if first in ROOTS:
        return first, tuple(rest.split(".")) if rest else ()
    return "function", (name,)
