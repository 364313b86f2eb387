"""The syntax tree of a module. `Place` is where something stands: line and column, from 1."""

from __future__ import annotations

from typing import Any, TypeAlias

from bakehouse.values import dataclass

Place: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scalar:
    value: Any


@dataclass(frozen=True, slots=True)
class Var:
    """A name. After `scopes` it is a variable of the body; `$` begins those that the text does not name."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Ref:
    """`head[path[0]][path[1]]…`; a name behind a dot is a string in `path`."""

    head: "Term"
    path: "tuple[Term, ...]"
    place: Place


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the function `name`, dots included. After `scopes` a function of a policy begins with `data.`."""

    name: str
    args: "tuple[Term, ...]"
    place: Place


@dataclass(frozen=True, slots=True)
class Array:
    items: "tuple[Term, ...]"


@dataclass(frozen=True, slots=True)
class Set:
    items: "tuple[Term, ...]"


@dataclass(frozen=True, slots=True)
class Record:
    """An object."""

    pairs: "tuple[tuple[Term, Term], ...]"


@dataclass(frozen=True, slots=True)
class Comprehension:
    """`kind` is `array`, `set` or `object`; `key` is that of an object."""

    kind: str
    key: "Term | None"
    value: "Term"
    body: "Body"
    place: Place


@dataclass(frozen=True, slots=True)
class Template:
    """A template string: texts, and bodies of which each has one expression, whose value is filled in."""

    parts: "tuple[str | Comprehension, ...]"


Term: TypeAlias = "Scalar | Var | Ref | Call | Array | Set | Record | Comprehension | Template"


@dataclass(frozen=True, slots=True)
class With:
    """`with TARGET as VALUE`."""

    target: Term
    value: Term


@dataclass(frozen=True, slots=True)
class Test:
    """An expression that holds when its value is neither undefined nor false."""

    term: Term
    place: Place
    negated: bool = False
    withs: tuple[With, ...] = ()


@dataclass(frozen=True, slots=True)
class Unify:
    """`left = right`, or `left := right` when it `declares`."""

    left: Term
    right: Term
    place: Place
    declares: bool = False
    negated: bool = False
    withs: tuple[With, ...] = ()


@dataclass(frozen=True, slots=True)
class Some:
    """`some names`."""

    names: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class SomeIn:
    """`some key, value in domain`."""

    key: Term | None
    value: Term
    domain: Term
    place: Place
    withs: tuple[With, ...] = ()


@dataclass(frozen=True, slots=True)
class Every:
    """`every key, value in domain { body }`; both are names."""

    key: Var | None
    value: Var
    domain: Term
    body: "Body"
    place: Place
    withs: tuple[With, ...] = ()


Expression: TypeAlias = "Test | Unify | Some | SomeIn | Every"
Body: TypeAlias = "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Clause:
    """One way to a rule's value: the value when the body holds."""

    value: Term
    body: Body


@dataclass(frozen=True, slots=True)
class Rule:
    """One definition of a rule. `name` is the part of its head that is fixed; `keys` what follows in brackets (of an
    object of values). `args` are those of a function; `member` is what a set `contains`. The first of `clauses` that
    holds counts: the others are its `else`."""

    name: tuple[str, ...]
    keys: tuple[Term, ...]
    args: tuple[Term, ...] | None
    member: Term | None
    clauses: tuple[Clause, ...]
    place: Place
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Import:
    """`import path as name`."""

    path: tuple[str, ...]
    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Module:
    """`file` is what places of the module are called by."""

    file: str
    package: tuple[str, ...]
    imports: tuple[Import, ...]
    rules: tuple[Rule, ...]
