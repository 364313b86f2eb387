"""Modules put together: what is wrong with them as a whole is found before anything is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bakehouse.rego.errors import at
from bakehouse.rego.functions import BUILTINS, NOT_BUILT
from bakehouse.rego.scopes import Scope, parts_of
from bakehouse.rego.syntax import (
    Body,
    Call,
    Comprehension,
    Every,
    Module,
    Place,
    Ref,
    Rule,
    Scalar,
    Some,
    Term,
    Test,
    Unify,
    Var,
)
from bakehouse.values import dataclass, field

#: A function that the caller adds: called with the values of its arguments, and where it is called.
Function = Callable[..., Any]


@dataclass(slots=True)
class Node:
    """A place in the documents of rules: the rules of that name, with their files, and what is below."""

    rules: list[tuple[str, Rule]] = field(default_factory=list)
    below: "dict[str, Node]" = field(default_factory=dict)


class Program:
    """Modules that belong together. Raises `RegoError` for what is wrong with them, before any evaluation.

    `functions` are the caller's own, by name. `load` gives the modules that imports name, by the path of the import
    behind `data`; None when the caller has no more of them.
    """

    def __init__(
        self,
        modules: Sequence[Module],
        functions: Mapping[str, Function] | None = None,
        load: Callable[[tuple[str, ...], str], Module | None] | None = None,
    ) -> None:
        self.functions = dict(functions or {})
        self.root = Node()
        self.modules = list(modules)
        self._add_imported(load)
        names: dict[tuple[str, ...], set[str]] = {}
        for module in self.modules:
            names.setdefault(module.package, set()).update(rule.name[0] for rule in module.rules)
        for module in self.modules:
            scope = Scope(module, names[module.package], self._is_function)
            for rule in module.rules:
                self._add(module, scope.rule(rule))
        self._check_calls()
        self._check_recursion()

    def _add_imported(self, load: Callable[[tuple[str, ...], str], Module | None] | None) -> None:
        known: set[tuple[str, ...]] = set()
        at_module = 0
        while load is not None and at_module < len(self.modules):
            module = self.modules[at_module]
            at_module += 1
            for item in module.imports:
                if item.path[0] != "data" or item.path[1:] in known:
                    continue
                known.add(item.path[1:])
                loaded = load(item.path[1:], module.file)
                if loaded is not None:
                    self.modules.append(loaded)

    def _is_function(self, name: str) -> bool:
        return name in BUILTINS or name in self.functions or name in NOT_BUILT or name == "print"

    def _add(self, module: Module, rule: Rule) -> None:
        node = self.root
        for part in (*module.package, *rule.name):
            node = node.below.setdefault(part, Node())
        shown = f"data.{'.'.join((*module.package, *rule.name))}"
        if node.rules and _kind(node.rules[0][1]) != _kind(rule):
            raise at(module.file, rule.place, f"conflicting rules {shown} found")
        if rule.is_default and any(other.is_default for _, other in node.rules):
            raise at(module.file, rule.place, f"multiple default rules {shown} found")
        node.rules.append((module.file, rule))

    def node(self, path: Sequence[str]) -> Node | None:
        node: Node | None = self.root
        for part in path:
            if node is None:
                return None
            node = node.below.get(part)
        return node

    # -- checks -----------------------------------------------------------------------------------------------

    def _check_calls(self) -> None:
        for file, rule in self._rules():
            for call in _calls_of(rule):
                self._check_call(file, call)

    def _check_call(self, file: str, call: Call) -> None:
        if call.name in NOT_BUILT:
            raise at(file, call.place, f"the function {call.name} is not supported yet")
        if call.name in BUILTINS:
            count = BUILTINS[call.name].count
            if len(call.args) != count:
                raise at(file, call.place, f"{call.name}: {_arity(len(call.args), count)}")
            return
        if not call.name.startswith("data."):
            return
        node = self.node(call.name.split(".")[1:])
        if node is None or not node.rules or node.rules[0][1].args is None:
            raise at(file, call.place, f"undefined function {call.name}")
        count = len(node.rules[0][1].args)
        if len(call.args) != count:
            raise at(file, call.place, f"function {call.name} {_arity(len(call.args), count)}")

    def _check_recursion(self) -> None:
        uses: dict[str, set[str]] = {}
        places: dict[str, tuple[str, Place]] = {}
        every = self._names(self.root, ())
        for name, (file, rule) in every:
            places.setdefault(name, (file, rule.place))
            uses.setdefault(name, set()).update(_used(rule))
        names = set(uses)
        graph = {
            name: {
                other
                for prefix in wanted
                for other in names
                if other == prefix or other.startswith(prefix + ".") or prefix.startswith(other + ".")
            }
            for name, wanted in uses.items()
        }
        done: set[str] = set()
        for start in graph:
            stack: list[tuple[str, Iterator[str]]] = [(start, iter(sorted(graph[start])))]
            path = [start]
            if start in done:
                continue
            while stack:
                name, following = stack[-1]
                for other in following:
                    if other in path:
                        file, place = places[other]
                        circle = " -> ".join([*path[path.index(other) :], other])
                        raise at(file, place, f"rule {other} is recursive: {circle}")
                    if other not in done:
                        path.append(other)
                        stack.append((other, iter(sorted(graph[other]))))
                        break
                else:
                    done.add(name)
                    path.pop()
                    stack.pop()

    def _names(self, node: Node, path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, Rule]]]:
        for rule in node.rules:
            yield ".".join(("data", *path)), rule
        for part, below in node.below.items():
            yield from self._names(below, (*path, part))

    def _rules(self) -> Iterator[tuple[str, Rule]]:
        for _, rule in self._names(self.root, ()):
            yield rule


def _kind(rule: Rule) -> tuple[str, int]:
    """What a rule defines; definitions of one name agree in it. Functions have as many arguments, too."""
    if rule.args is not None:
        return "function", len(rule.args)
    if rule.keys:
        return "object", 0
    return "value" if rule.member is None else "set", 0


def _arity(have: int, want: int) -> str:
    return f"has arity {want}, got {have} argument{'s' if have != 1 else ''}"


def _terms_of_rule(rule: Rule) -> Iterator[Term]:
    yield from rule.keys
    yield from rule.args or ()
    if rule.member is not None:
        yield rule.member
    for clause in rule.clauses:
        yield clause.value
        yield from _terms_of_body(clause.body)


def _terms_of_body(body: Body) -> Iterator[Term]:
    for item in body:
        if isinstance(item, Some):
            continue
        for each in item.withs:
            yield each.value
            yield each.target
        if isinstance(item, Test):
            yield item.term
        elif isinstance(item, Unify):
            yield item.left
            yield item.right
        else:
            yield item.domain
            if isinstance(item, Every):
                yield from _terms_of_body(item.body)
            else:
                yield item.value
                if item.key is not None:
                    yield item.key


def _every_term(terms: Iterator[Term]) -> Iterator[Term]:
    stack = list(terms)
    while stack:
        term = stack.pop()
        yield term
        stack += parts_of(term)
        if isinstance(term, Comprehension):
            stack += [term.value, *([term.key] if term.key is not None else []), *_terms_of_body(term.body)]


def _calls_of(rule: Rule) -> Iterator[Call]:
    return (term for term in _every_term(_terms_of_rule(rule)) if isinstance(term, Call))


def _used(rule: Rule) -> Iterator[str]:
    """The paths of rules, or of what is above rules, that a rule looks at."""
    for term in _every_term(_terms_of_rule(rule)):
        if isinstance(term, Call) and term.name.startswith("data."):
            yield term.name
        elif isinstance(term, Ref) and isinstance(term.head, Var) and term.head.name == "data":
            parts = ["data"]
            for part in term.path:
                if not isinstance(part, Scalar) or not isinstance(part.value, str):
                    break
                parts.append(part.value)
            yield ".".join(parts)
