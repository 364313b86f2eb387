"""What the names of a policy mean, and in which order the expressions of a body are evaluated.

A name is a variable where it is declared (`some`, `:=`, an argument), else a rule of its package or an import, else a
variable of the body in which it stands. An expression is evaluated once everything that it needs has a value; what
never gets one is unsafe, and refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from bakehouse.rego.errors import at
from bakehouse.rego.syntax import (
    Array,
    Body,
    Call,
    Clause,
    Comprehension,
    Every,
    Expression,
    Module,
    Place,
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
from bakehouse.values import replace

#: Documents, which are no variables.
ROOTS = ("input", "data")


class Scope:
    """Resolves the rules of one module."""

    def __init__(
        self, module: Module, own_rules: Collection[str], is_function: Callable[[str], bool]
    ) -> None:
        """`own_rules` are the first names of all rules of the package; `is_function` knows those that are built in."""
        self._file = module.file
        self._is_function = is_function
        self._globals = {name: ("data", *module.package, name) for name in own_rules}
        for item in module.imports:
            self._globals[item.name] = item.path
        self._count = 0

    def rule(self, rule: Rule) -> Rule:
        """`rule` with every name resolved and every body in order. Raises `RegoError`."""
        names: dict[str, str] = {}
        for arg in rule.args or ():
            names |= {name: self._fresh(name) for name in _names_in(arg) if name not in ROOTS}
        args = None if rule.args is None else tuple(self._term(arg, names) for arg in rule.args)
        bound = frozenset(name for arg in args or () for name in _variables(arg))
        clauses = []
        keys, member = rule.keys, rule.member
        for number, clause in enumerate(rule.clauses):
            beside = [clause.value, *rule.keys, *([] if rule.member is None else [rule.member])]
            inner = names | self._declared(clause.body, beside)
            body = self._body(clause.body, inner)
            value = self._term(clause.value, inner)
            heads: list[Term] = [value]
            if number == 0:
                keys = tuple(self._term(key, inner) for key in rule.keys)
                member = None if rule.member is None else self._term(rule.member, inner)
                heads += [*keys, *([] if member is None else [member])]
            ordered, known = self._ordered(body, bound, _all_variables(heads))
            for head in heads:
                self._require(_all_variables([head]) - _outputs(head), known, rule.place)
            clauses.append(Clause(self._closures(value, known), ordered))
            if number == 0:
                keys = tuple(self._closures(key, known) for key in keys)
                member = None if member is None else self._closures(member, known)
        return replace(rule, args=args, keys=keys, member=member, clauses=tuple(clauses))

    def _fresh(self, name: str) -> str:
        self._count += 1
        return f"{name}#{self._count}"

    # -- names ------------------------------------------------------------------------------------------------

    def _declared(self, body: Body, heads: Iterable[Term] = ()) -> dict[str, str]:
        """The names that a body declares itself, each with a name of its own. `heads` are the terms beside the body
        that may use them."""
        used_beside = frozenset().union(
            *(_all_variables([head]) | _nested(head) for head in heads), frozenset()
        )
        names: dict[str, str] = {}
        assigned: set[str] = set()
        before: set[str] = set()
        unused: dict[str, Place] = {}
        for expression in body:
            found: Iterable[str] = ()
            mentioned = variables_of(expression)
            unused = {name: place for name, place in unused.items() if name not in mentioned}
            if isinstance(expression, Some):
                found = expression.names
                unused |= dict.fromkeys(found, expression.place)
            elif isinstance(expression, SomeIn):
                found = [*_names_in(expression.value), *(_names_in(expression.key) if expression.key else ())]
            elif isinstance(expression, Unify) and expression.declares:
                found = list(_names_in(expression.left))
                for name in found:
                    if name in assigned:
                        raise at(self._file, expression.place, f"var {name} assigned above")
                    if name in names:
                        raise at(self._file, expression.place, f"var {name} declared above")
                    assigned.add(name)
            for name in found:
                if name in before and name not in names:
                    raise at(self._file, expression.place, f"var {name} referenced above")
                names.setdefault(name, self._fresh(name))
            before |= mentioned
        for name, place in unused.items():
            if name not in used_beside:
                raise at(self._file, place, f"declared var {name} unused")
        return names

    def _body(self, body: Body, names: dict[str, str]) -> Body:
        return tuple(self._expression(item, names) for item in body)

    def _inner(
        self, body: Body, names: dict[str, str], heads: Iterable[Term] = ()
    ) -> tuple[Body, dict[str, str]]:
        inner = names | self._declared(body, heads)
        return self._body(body, inner), inner

    def _expression(self, item: Expression, names: dict[str, str]) -> Expression:
        if isinstance(item, Some):
            return Some(tuple(names[name] for name in item.names), item.place)
        withs = tuple(
            With(self._term(each.target, names), self._term(each.value, names)) for each in item.withs
        )
        if isinstance(item, Test):
            return replace(item, term=self._term(item.term, names), withs=withs)
        if isinstance(item, Unify):
            return replace(
                item, left=self._term(item.left, names), right=self._term(item.right, names), withs=withs
            )
        domain = self._term(item.domain, names)
        if isinstance(item, SomeIn):
            key = None if item.key is None else self._term(item.key, names)
            return replace(item, key=key, value=self._term(item.value, names), domain=domain, withs=withs)
        inner = dict(names)
        for var in (item.key, item.value):
            if var is not None:
                inner[var.name] = self._fresh(var.name)
        body, _ = self._inner(item.body, inner)
        return replace(
            item,
            key=None if item.key is None else Var(inner[item.key.name], item.key.place),
            value=Var(inner[item.value.name], item.value.place),
            domain=domain,
            body=body,
            withs=withs,
        )

    def _term(self, term: Term, names: dict[str, str]) -> Term:
        if isinstance(term, Var):
            if term.name in names:
                return Var(names[term.name], term.place)
            path = self._globals.get(term.name)
            if path is None:
                return term
            parts = tuple(Scalar(part) for part in path[1:])
            return Ref(Var(path[0], term.place), parts, term.place) if parts else Var(path[0], term.place)
        if isinstance(term, Ref):
            head = self._term(term.head, names)
            path_terms = tuple(self._term(part, names) for part in term.path)
            if isinstance(head, Ref):
                return Ref(head.head, head.path + path_terms, term.place)
            return Ref(head, path_terms, term.place)
        if isinstance(term, Call):
            return Call(
                self._function(term, names), tuple(self._term(arg, names) for arg in term.args), term.place
            )
        if isinstance(term, Array):
            return Array(tuple(self._term(item, names) for item in term.items))
        if isinstance(term, Set):
            return Set(tuple(self._term(item, names) for item in term.items))
        if isinstance(term, Record):
            return Record(
                tuple((self._term(key, names), self._term(item, names)) for key, item in term.pairs)
            )
        if isinstance(term, Comprehension):
            heads = [term.value, *([] if term.key is None else [term.key])]
            body, inner = self._inner(term.body, names, heads)
            return replace(
                term,
                key=None if term.key is None else self._term(term.key, inner),
                value=self._term(term.value, inner),
                body=body,
            )
        if isinstance(term, Template):
            return Template(
                tuple(part if isinstance(part, str) else self._term(part, names) for part in term.parts)  # type: ignore[misc]
            )
        return term

    def _function(self, call: Call, names: dict[str, str]) -> str:
        first, _, rest = call.name.partition(".")
        if first in names:
            raise at(self._file, call.place, f"{first} is a variable, not a function")
        path = self._globals.get(first)
        if path is not None and not (self._is_function(call.name) and path[:1] != ("data",)):
            return ".".join(path) + (f".{rest}" if rest else "")
        if first == "data" or self._is_function(call.name):
            return call.name
        raise at(self._file, call.place, f"undefined function {call.name}")

    # -- order ------------------------------------------------------------------------------------------------

    def _ordered(
        self, body: Body, bound: frozenset[str], beside: frozenset[str] = frozenset()
    ) -> tuple[Body, frozenset[str]]:
        """The expressions in an order in which each has what it needs, and all variables that then have values. Names
        in `beside`, as those of the body itself, are shared with the bodies that stand within it."""
        shared = bound | beside | frozenset(name for item in body for name in _own_variables(item))
        waiting = [item for item in body if not isinstance(item, Some)]
        out: list[Expression] = []
        known = bound
        while waiting:
            item = next((item for item in waiting if not _needs(item, known, shared)), None)
            if item is None:
                missing = sorted(_needs(waiting[0], known, shared))
                name = missing[0].partition("#")[0]
                shown = "_" if name.startswith("$") else name
                raise at(self._file, waiting[0].place, f"var {shown} is unsafe", "nothing gives it a value")
            waiting = [other for other in waiting if other is not item]
            out.append(self._within(item, known))
            known |= _given(item)
        return tuple(out), known

    def _require(self, wanted: frozenset[str], known: frozenset[str], place: Place) -> None:
        for name in sorted(wanted - known):
            shown = "_" if name.startswith("$") else name.partition("#")[0]
            raise at(self._file, place, f"var {shown} is unsafe", "nothing in the body gives it a value")

    def _within(self, item: Expression, known: frozenset[str]) -> Expression:
        """`item` with the bodies that stand within it in order."""
        if isinstance(item, Some):
            return item
        withs = tuple(With(each.target, self._closures(each.value, known)) for each in item.withs)
        if isinstance(item, Test):
            return replace(item, term=self._closures(item.term, known), withs=withs)
        if isinstance(item, Unify):
            return replace(
                item,
                left=self._closures(item.left, known),
                right=self._closures(item.right, known),
                withs=withs,
            )
        domain = self._closures(item.domain, known)
        if isinstance(item, SomeIn):
            return replace(item, domain=domain, withs=withs)
        inner = known | {item.value.name} | ({item.key.name} if item.key else set())
        return replace(item, domain=domain, body=self._ordered(item.body, inner)[0], withs=withs)

    def _closures(self, term: Term, known: frozenset[str]) -> Term:
        if isinstance(term, Comprehension):
            heads = [term.value] if term.key is None else [term.key, term.value]
            body, inner = self._ordered(term.body, known, _all_variables(heads))
            for head in heads:
                self._require(_all_variables([head]) - _outputs(head), inner, term.place)
            return replace(
                term,
                key=None if term.key is None else self._closures(term.key, inner),
                value=self._closures(term.value, inner),
                body=body,
            )
        return _mapped(term, lambda part: self._closures(part, known))


def _mapped(term: Term, change: Callable[[Term], Term]) -> Term:
    """`term` with `change` made of its parts."""
    if isinstance(term, Ref):
        return Ref(change(term.head), tuple(map(change, term.path)), term.place)
    if isinstance(term, Call):
        return Call(term.name, tuple(map(change, term.args)), term.place)
    if isinstance(term, Array):
        return Array(tuple(map(change, term.items)))
    if isinstance(term, Set):
        return Set(tuple(map(change, term.items)))
    if isinstance(term, Record):
        return Record(tuple((change(key), change(item)) for key, item in term.pairs))
    if isinstance(term, Template):
        return Template(tuple(part if isinstance(part, str) else change(part) for part in term.parts))  # type: ignore[misc]
    return term


def parts_of(term: Term) -> Iterator[Term]:
    """The terms directly within `term`; none of a comprehension, whose parts are in a body of their own."""
    if isinstance(term, Ref):
        yield term.head
        yield from term.path
    elif isinstance(term, Call):
        yield from term.args
    elif isinstance(term, Array | Set):
        yield from term.items
    elif isinstance(term, Record):
        for key, item in term.pairs:
            yield key
            yield item
    elif isinstance(term, Template):
        yield from (part for part in term.parts if not isinstance(part, str))


def _names_in(term: Term) -> Iterator[str]:
    """The names of a pattern that it declares."""
    if isinstance(term, Var):
        yield term.name
    elif isinstance(term, Array):
        for item in term.items:
            yield from _names_in(item)
    elif isinstance(term, Record):
        for _, item in term.pairs:
            yield from _names_in(item)


def _variables(term: Term) -> Iterator[str]:
    """Every variable of `term` outside of comprehensions."""
    if isinstance(term, Var):
        if term.name not in ROOTS:
            yield term.name
        return
    for part in parts_of(term):
        yield from _variables(part)


def _all_variables(terms: Iterable[Term]) -> frozenset[str]:
    return frozenset(name for term in terms for name in _variables(term))


def _outputs(term: Term) -> frozenset[str]:
    """The variables that get values when `term` is evaluated: those in brackets behind a document."""
    found: set[str] = set()

    def look(part: Term) -> None:
        if isinstance(part, Ref):
            look(part.head)
            for key in part.path:
                if isinstance(key, Ref | Call):
                    look(key)
                elif not isinstance(key, Comprehension):
                    found.update(_pattern(key))
                    look(key)
        else:
            for inner in parts_of(part):
                look(inner)

    look(term)
    return frozenset(found)


def _pattern(term: Term) -> frozenset[str]:
    """The variables that get values when `term` is matched with a value."""
    if isinstance(term, Var):
        return frozenset() if term.name in ROOTS else frozenset({term.name})
    if isinstance(term, Array):
        return frozenset().union(*map(_pattern, term.items)) if term.items else frozenset()
    if isinstance(term, Record):
        return frozenset().union(*(_pattern(item) for _, item in term.pairs)) if term.pairs else frozenset()
    return _outputs(term)


def _term_needs(term: Term, known: frozenset[str], shared: frozenset[str]) -> frozenset[str]:
    """What must have a value before `term` can be evaluated."""
    wanted = (_all_variables([term]) - _outputs(term)) | _closure_needs(term, shared)
    return wanted - known


def _closure_needs(term: Term, shared: frozenset[str]) -> frozenset[str]:
    if isinstance(term, Comprehension):
        return _free(term) & shared
    return frozenset().union(*(_closure_needs(part, shared) for part in parts_of(term)), frozenset())


def _pattern_needs(term: Term, known: frozenset[str], shared: frozenset[str]) -> frozenset[str]:
    """What must have a value before `term` can be matched with one."""
    if isinstance(term, Var):
        return frozenset()
    if isinstance(term, Array):
        return frozenset().union(*(_pattern_needs(item, known, shared) for item in term.items), frozenset())
    if isinstance(term, Record):
        keys = frozenset().union(*(_term_needs(key, known, shared) for key, _ in term.pairs), frozenset())
        return keys.union(*(_pattern_needs(item, known, shared) for _, item in term.pairs))
    return _term_needs(term, known, shared)


def _free(term: Comprehension) -> frozenset[str]:
    """Every variable in a comprehension, those of bodies within it included."""
    heads = [term.value] if term.key is None else [term.key, term.value]
    found = set(_all_variables(heads))
    for head in heads:
        found |= _nested(head)
    return frozenset(found) | _free_of_body(term.body)


def _nested(term: Term) -> frozenset[str]:
    if isinstance(term, Comprehension):
        return _free(term)
    return frozenset().union(*map(_nested, parts_of(term)), frozenset())


def _free_of_body(body: Body) -> frozenset[str]:
    return frozenset().union(*(_own_variables(item) | _inner_variables(item) for item in body), frozenset())


def _terms_of(item: Expression) -> list[Term]:
    if isinstance(item, Some):
        return []
    values = [each.value for each in item.withs]
    if isinstance(item, Test):
        return [item.term, *values]
    if isinstance(item, Unify):
        return [item.left, item.right, *values]
    if isinstance(item, SomeIn):
        return [item.domain, item.value, *([item.key] if item.key else []), *values]
    return [item.domain, *values]


def _own_variables(item: Expression) -> frozenset[str]:
    return _all_variables(_terms_of(item))


def _inner_variables(item: Expression) -> frozenset[str]:
    found = frozenset().union(*map(_nested, _terms_of(item)), frozenset())
    if isinstance(item, Every):
        found |= _free_of_body(item.body)
    return found


def variables_of(item: Expression) -> frozenset[str]:
    """Every variable that an expression names, wherever."""
    return _own_variables(item) | _inner_variables(item)


def _needs(item: Expression, known: frozenset[str], shared: frozenset[str]) -> frozenset[str]:
    """What must have a value before `item` can be evaluated."""
    if isinstance(item, Some):
        return frozenset()
    wanted = frozenset().union(*(_term_needs(each.value, known, shared) for each in item.withs), frozenset())
    if isinstance(item, Test):
        if item.negated:
            return wanted | ((_own_variables(item) | _closure_needs(item.term, shared)) - known)
        return wanted | _term_needs(item.term, known, shared)
    if isinstance(item, Unify):
        if item.negated:
            closures = _closure_needs(item.left, shared) | _closure_needs(item.right, shared)
            return wanted | ((_own_variables(item) | closures) - known)
        if item.declares:
            return wanted | _term_needs(item.right, known, shared) | _pattern_needs(item.left, known, shared)
        return wanted | _unify_needs(item.left, item.right, known, shared)
    wanted |= _term_needs(item.domain, known, shared)
    if isinstance(item, SomeIn):
        wanted |= _pattern_needs(item.value, known, shared)
        return wanted if item.key is None else wanted | _pattern_needs(item.key, known, shared)
    return wanted | ((_free_of_body(item.body) & shared) - known - _every_names(item))


def _every_names(item: Every) -> frozenset[str]:
    return frozenset({item.value.name} | ({item.key.name} if item.key else set()))


def _unify_needs(left: Term, right: Term, known: frozenset[str], shared: frozenset[str]) -> frozenset[str]:
    forward = _term_needs(right, known, shared) | _pattern_needs(left, known, shared)
    backward = _term_needs(left, known, shared) | _pattern_needs(right, known, shared)
    if not forward or not backward:
        return frozenset()
    if isinstance(left, Array) and isinstance(right, Array) and len(left.items) == len(right.items):
        pairs = zip(left.items, right.items, strict=True)
        return frozenset().union(
            *(_unify_needs(one, other, known, shared) for one, other in pairs), frozenset()
        )
    return min(forward, backward, key=len)


def _given(item: Expression) -> frozenset[str]:
    """The variables that have values once `item` holds."""
    if isinstance(item, Some | Every) or getattr(item, "negated", False):
        return frozenset()
    if isinstance(item, Test):
        return _outputs(item.term)
    if isinstance(item, Unify):
        return _pattern(item.left) | _pattern(item.right)
    given = _pattern(item.value) | _outputs(item.domain)
    return given if item.key is None else given | _pattern(item.key)
