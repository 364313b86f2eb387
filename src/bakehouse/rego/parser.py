"""Rego's grammar, version 1: `if` in front of bodies and `contains` for sets are required; `import rego.v1` changes
nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from bakehouse.rego.errors import RegoError, at
from bakehouse.rego.lexer import Token, tokens, unquoted
from bakehouse.rego.syntax import (
    Array,
    Body,
    Call,
    Clause,
    Comprehension,
    Every,
    Expression,
    Import,
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
from bakehouse.rego.values import FALSE, TRUE

T = TypeVar("T")

_RESERVED = frozenset(
    (
        "as",
        "contains",
        "default",
        "else",
        "every",
        "false",
        "if",
        "import",
        "in",
        "not",
        "null",
        "package",
        "some",
    )
    + ("true", "with")
)
_CONSTANTS = {"true": TRUE, "false": FALSE, "null": None}
#: Operators by how loosely they bind, each with the function it stands for.
_LEVELS: tuple[dict[str, str], ...] = (
    {"==": "equal", "!=": "neq", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"},
    {"|": "or"},
    {"&": "and"},
    {"+": "plus", "-": "minus"},
    {"*": "mul", "/": "div", "%": "rem"},
)
_MAX_DEPTH = 200


def parse_module(file: str, text: str) -> Module:
    """The module in `text`; `file` is what its places are called by. Raises `RegoError`."""
    return _Parser(file, tokens(file, text)).module()


class _Parser:
    """Reads tokens from left to right, and goes back where a bracket may hold a comprehension or a list."""

    def __init__(self, file: str, words: list[Token]) -> None:
        self._file = file
        self._words = words
        self._at = 0
        self._depth = 0
        self._anonymous = 0

    # -- modules and rules ------------------------------------------------------------------------------------

    def module(self) -> Module:
        self._expect("package", "a policy begins with `package NAME`")
        package = self._path("a package's name")
        imports: list[Import] = []
        rules: list[Rule] = []
        while self._now.kind != "end":
            self._skip_semicolons()
            if self._now.kind == "end":
                break
            if not self._now.new_line and (imports or rules):
                self._unexpected("a new line in front of the next rule")
            if self._is("import"):
                imports.append(self._import())
            else:
                rules.append(self._rule())
        kept = tuple(item for item in imports if item.path[0] != "rego" and item.path[0] != "future")
        return Module(self._file, package, kept, tuple(rules))

    def _import(self) -> Import:
        place = self._take().place
        path = self._path("what is imported")
        if path[0] not in ("data", "input", "rego", "future"):
            raise at(
                self._file,
                place,
                f"unexpected import path, must begin with one of: data, input, rego; not {path[0]}",
            )
        name = path[-1]
        if self._accept("as"):
            name = self._name("the name of an import")
        return Import(path, name, place)

    def _path(self, what: str) -> tuple[str, ...]:
        """Names joined by dots, or strings in brackets."""
        parts = [self._name(what)]
        while not self._now.spaced:
            if self._accept("."):
                parts.append(self._name(what, reserved=True))
            elif self._is("["):
                self._take()
                if self._now.kind != "string":
                    self._unexpected(f"a string in the brackets of {what}")
                parts.append(self._take().value)
                self._expect("]", "`]`")
            else:
                break
        return tuple(parts)

    def _rule(self) -> Rule:
        place = self._now.place
        is_default = self._accept("default")
        name, keys, args = self._head()
        member: Term | None = None
        value: Term = Scalar(TRUE)
        has_value = False
        if args is None and self._accept("contains"):
            member = self._term()
        elif self._is(":=") or self._is("="):
            self._take()
            value, has_value = self._term(), True
        if is_default:
            if not has_value or keys:
                raise at(
                    self._file, place, "a default rule has a value and no brackets: `default NAME := VALUE`"
                )
            return Rule(name, (), args, None, (Clause(value, ()),), place, True)
        body: Body = ()
        has_body = self._accept("if")
        if has_body:
            body = self._rule_body()
        elif self._is("{"):
            raise at(self._file, self._now.place, "`if` keyword is required before rule body")
        elif member is None and not has_value:
            if keys and args is None:
                raise at(
                    self._file,
                    place,
                    "`contains` keyword is required for partial set rules, or a value and `if`",
                )
            raise at(
                self._file,
                place,
                f"rule {'.'.join(name)} has neither a value nor a body: `NAME := VALUE if BODY`",
            )
        clauses = [Clause(value, body)]
        while has_body and self._is("else"):
            if member is not None or keys:
                raise at(
                    self._file, self._now.place, "else keyword cannot be used on rules with several values"
                )
            self._take()
            otherwise: Term = Scalar(TRUE)
            if self._is(":=") or self._is("="):
                self._take()
                otherwise = self._term()
            has_body = self._accept("if")
            if not has_body and self._is("{"):
                raise at(self._file, self._now.place, "`if` keyword is required before rule body")
            clauses.append(Clause(otherwise, self._rule_body() if has_body else ()))
        return Rule(name, keys, args, member, tuple(clauses), place)

    def _head(self) -> tuple[tuple[str, ...], tuple[Term, ...], tuple[Term, ...] | None]:
        """The fixed part of a rule's name, the keys behind it, and the arguments of a function."""
        place = self._now.place
        path: list[Term] = [Scalar(self._name("a rule"))]
        while not self._now.spaced:
            if self._accept("."):
                path.append(Scalar(self._name("a rule", reserved=True)))
            elif self._accept("["):
                path.append(self._term())
                self._expect("]", "`]`")
            else:
                break
        fixed = 0
        while fixed < len(path) and isinstance(path[fixed], Scalar) and _is_text(path[fixed]):
            fixed += 1
        name = tuple(part.value for part in path[:fixed] if isinstance(part, Scalar))
        keys = tuple(path[fixed:])
        args = None
        if self._is("(") and not self._now.spaced:
            self._take()
            args = self._list(")")
            if keys:
                raise at(self._file, place, "a function's name has no variables")
        return name, keys, args

    def _rule_body(self) -> Body:
        """`{ … }`, or one expression."""
        if self._is("{"):
            before = self._at
            try:
                self._take()
                body = self._body("}")
            except RegoError as error:
                # It may be an object or a set that stands for itself.
                self._at = before
                try:
                    return (self._expression(),)
                except RegoError:
                    raise error from None
            return body
        return (self._expression(),)

    # -- bodies and expressions -------------------------------------------------------------------------------

    def _body(self, end: str) -> Body:
        """Expressions to the bracket `end`, which is taken too."""
        out: list[Expression] = []
        if self._is(end):
            raise at(self._file, self._now.place, "found empty body")
        while True:
            out.append(self._expression())
            separated = self._accept(";")
            if not separated and self._accept(end):
                return tuple(out)
            if self._now.kind == "end":
                self._unexpected(f"`{end}`")
            if not separated and not self._now.new_line:
                self._unexpected(f"a new line, `;` or `{end}`")

    def _expression(self) -> Expression:
        place = self._now.place
        if self._is("some"):
            return self._some()
        if self._is("every"):
            return self._every()
        negated = self._accept("not")
        left = self._term()
        expression: Expression
        if self._is(":=") or self._is("="):
            declares = self._take().text == ":="
            if declares and negated:
                raise at(self._file, place, "a negated expression cannot assign")
            expression = Unify(left, self._term(), place, declares, negated, self._withs())
        else:
            expression = Test(left, place, negated, self._withs())
        return expression

    def _some(self) -> Expression:
        place = self._take().place
        names = [self._term(no_in=True)]
        while self._accept(","):
            names.append(self._term(no_in=True))
        if self._accept("in"):
            if len(names) > 2:
                raise at(self._file, place, "`some` takes a key and a value in front of `in`")
            domain = self._term()
            key = names[0] if len(names) == 2 else None
            return SomeIn(key, names[-1], domain, place, self._withs())
        for name in names:
            if not isinstance(name, Var):
                raise at(self._file, place, "`some` declares variables: `some x, y` or `some x in xs`")
        return Some(tuple(name.name for name in names if isinstance(name, Var)), place)

    def _every(self) -> Expression:
        place = self._take().place
        names = [self._var("every")]
        if self._accept(","):
            names.append(self._var("every"))
        self._expect("in", "`in`")
        domain = self._term()
        self._expect("{", "`{` and what holds for every value")
        body = self._body("}")
        return Every(names[0] if len(names) == 2 else None, names[-1], domain, body, place, self._withs())

    def _var(self, what: str) -> Var:
        term = self._term(no_in=True)
        if not isinstance(term, Var):
            raise at(self._file, self._now.place, f"`{what}` takes variables in front of `in`")
        return term

    def _withs(self) -> tuple[With, ...]:
        out = []
        while self._accept("with"):
            target = self._term()
            self._expect("as", "`as` and a value")
            out.append(With(target, self._term()))
        return tuple(out)

    # -- terms ------------------------------------------------------------------------------------------------

    def _term(self, *, no_in: bool = False) -> Term:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise at(self._file, self._now.place, f"nested more than {_MAX_DEPTH} deep")
        try:
            left = self._infix(0)
            if no_in:
                return left
            if self._is(",") and self._commas_free:
                # `key, value in xs`
                before = self._at
                self._take()
                value = self._infix(0)
                if self._is("in"):
                    place = self._take().place
                    return Call("internal.member_3", (left, value, self._infix(0)), place)
                self._at = before
            while self._is("in"):
                place = self._take().place
                left = Call("internal.member_2", (left, self._infix(0)), place)
            return left
        finally:
            self._depth -= 1

    #: Whether a comma may belong to `key, value in xs`: not within lists, where it separates.
    _commas_free = True

    def _infix(self, level: int) -> Term:
        if level == len(_LEVELS):
            return self._primary()
        left = self._infix(level + 1)
        while self._now.kind == "operator" and self._now.text in _LEVELS[level]:
            if self._no_bar and self._now.text == "|":
                break
            token = self._take()
            left = Call(_LEVELS[level][token.text], (left, self._infix(level + 1)), token.place)
        return left

    #: Within the head of what may be a comprehension, `|` ends it.
    _no_bar = False

    def _primary(self) -> Term:
        token = self._now
        term: Term
        if token.kind in ("number", "string"):
            term = Scalar(self._take().value)
        elif token.kind == "template":
            term = self._template()
        elif self._is("("):
            self._take()
            term = self._within(self._term, commas=True)
            self._expect(")", "`)`")
        elif self._is("["):
            term = self._array()
        elif self._is("{"):
            term = self._braces()
        elif self._is("-"):
            place = self._take().place
            term = Call("minus", (Scalar(0), self._primary()), place)
        elif token.kind == "name" and token.text in _CONSTANTS:
            self._take()
            term = Scalar(_CONSTANTS[token.text])
        elif token.kind == "name" and (token.text not in _RESERVED or self._is_contains_call):
            self._take()
            term = Var(self._numbered(token.text), token.place)
        else:
            self._unexpected("a value, a variable or a call")
        return self._continued(term, token.place)

    @property
    def _is_contains_call(self) -> bool:
        following = self._words[self._at + 1] if self._at + 1 < len(self._words) else None
        return (
            self._now.text == "contains"
            and following is not None
            and following.text == "("
            and not following.spaced
        )

    def _numbered(self, name: str) -> str:
        if name != "_":
            return name
        self._anonymous += 1
        return f"$_{self._anonymous}"

    def _continued(self, term: Term, place: Place) -> Term:
        """What follows a term without a blank: members, calls."""
        path: list[Term] = []
        while not self._now.spaced:
            if self._is("."):
                self._take()
                path.append(Scalar(self._name("a member", reserved=True)))
            elif self._is("["):
                self._take()
                path.append(self._within(self._term, commas=True))
                self._expect("]", "`]`")
            elif self._is("("):
                name = _function_name(term, path)
                if name is None:
                    self._unexpected("a function's name in front of `(`")
                self._take()
                term, path = Call(name, self._list(")"), place), []
            else:
                break
        if path and isinstance(term, Scalar | Template):
            raise at(self._file, place, "only documents, calls and collections have members")
        return Ref(term, tuple(path), place) if path else term

    def _list(self, end: str) -> tuple[Term, ...]:
        """Terms separated by commas to the bracket `end`, which is taken too."""
        out: list[Term] = []
        while not self._accept(end):
            out.append(self._within(self._term, commas=False))
            if not self._accept(","):
                self._expect(end, f"`,` or `{end}`")
                break
        return tuple(out)

    def _array(self) -> Term:
        place = self._take().place
        found = self._comprehension("array", "]", place)
        return found if found is not None else Array(self._list("]"))

    def _braces(self) -> Term:
        place = self._take().place
        if self._accept("}"):
            return Record(())
        found = self._comprehension("set", "}", place) or self._comprehension("object", "}", place)
        if found is not None:
            return found
        first = self._within(self._term, commas=False)
        if not self._accept(":"):
            items = [first]
            while self._accept(","):
                if self._is("}"):
                    break
                items.append(self._within(self._term, commas=False))
            self._expect("}", "`,` or `}`")
            return Set(tuple(items))
        pairs = [(first, self._within(self._term, commas=False))]
        while self._accept(","):
            if self._is("}"):
                break
            key = self._within(self._term, commas=False)
            self._expect(":", "`:` and a value")
            pairs.append((key, self._within(self._term, commas=False)))
        self._expect("}", "`,` or `}`")
        return Record(tuple(pairs))

    def _comprehension(self, kind: str, end: str, place: Place) -> Term | None:
        """A comprehension, if that is what stands here; else nothing is taken."""
        before = self._at
        key: Term | None = None
        try:
            value = self._within(self._term, commas=False, no_bar=True)
            if kind == "object":
                if not self._accept(":"):
                    self._at = before
                    return None
                key, value = value, self._within(self._term, commas=False, no_bar=True)
        except RegoError:
            self._at = before
            return None
        if not self._accept("|"):
            self._at = before
            return None
        try:
            body = self._within(lambda: self._body(end), commas=True)
        except RegoError:
            # It may be a union, if what comes then makes sense.
            failed, self._at = self._at, before
            try:
                self._within(self._term, commas=False)
            except RegoError:
                pass
            else:
                if self._is(",") or self._is(end) or self._is(":"):
                    self._at = before
                    return None
            self._at = failed
            raise
        return Comprehension(kind, key, value, body, place)

    def _template(self) -> Term:
        token = self._take()
        text, raw = token.value, token.text[1] == "`"
        parts: list[str | Comprehension] = []
        start = at_now = 0
        line, column = token.place[0], token.place[1] + 2

        def literal(piece: str) -> None:
            if piece:
                cleaned = piece.replace("\\{", "{") if raw else unquoted(self._file, token.place, piece)
                parts.append(cleaned)

        while at_now < len(text):
            if text[at_now] == "\\" and (not raw or text.startswith("{", at_now + 1)):
                at_now += 2
                continue
            if text[at_now] != "{":
                at_now += 1
                continue
            literal(text[start:at_now])
            close = _closing_brace(text, at_now)
            if close < 0:
                raise at(self._file, token.place, "an expression in a template string does not end")
            words = tokens(self._file, text[at_now + 1 : close], (line, column + at_now + 1))
            inner = _Parser(self._file, words)
            inner._anonymous = 1000 * (self._anonymous + 1)
            self._anonymous += 1
            value = inner._term()
            if inner._now.kind != "end":
                inner._unexpected("`}`")
            parts.append(Comprehension("set", None, value, (), token.place))
            start = at_now = close + 1
        literal(text[start:])
        return Template(tuple(parts))

    # -- words ------------------------------------------------------------------------------------------------

    def _within(self, read: Callable[[], T], *, commas: bool, no_bar: bool = False) -> T:
        saved = self._commas_free, self._no_bar
        self._commas_free, self._no_bar = commas, no_bar
        try:
            return read()
        finally:
            self._commas_free, self._no_bar = saved

    @property
    def _now(self) -> Token:
        return self._words[self._at]

    def _take(self) -> Token:
        token = self._words[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def _is(self, text: str) -> bool:
        token = self._words[self._at]
        return token.text == text and token.kind in ("name", "operator")

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._at += 1
            return True
        return False

    def _expect(self, text: str, what: str) -> None:
        if not self._accept(text):
            self._unexpected(what)

    def _name(self, what: str, *, reserved: bool = False) -> str:
        token = self._now
        if token.kind != "name" or (token.text in _RESERVED and not reserved):
            self._unexpected(f"{what}, which is a name")
        return self._take().text

    def _skip_semicolons(self) -> bool:
        found = False
        while self._accept(";"):
            found = True
        return found

    def _unexpected(self, expected: str) -> NoReturn:
        token = self._now
        shown = "the end of the file" if token.kind == "end" else f"`{token.text[:40]}`"
        raise at(self._file, token.place, f"unexpected {shown}: expected {expected}")


def _is_text(term: Term) -> bool:
    return isinstance(term, Scalar) and isinstance(term.value, str)


def _function_name(term: Term, path: list[Term]) -> str | None:
    if not isinstance(term, Var) or not all(_is_text(part) for part in path):
        return None
    return ".".join([term.name, *(part.value for part in path if isinstance(part, Scalar))])


def _closing_brace(text: str, start: int) -> int:
    depth = 0
    position = start
    while position < len(text):
        char = text[position]
        if char in '"`':
            close = text.find(char, position + 1)
            if close < 0:
                return -1
            position = close
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return -1
