"""Parsing of what has brackets of its own: list and object constructors, `for` expressions, function calls.

    tuple  = "[" [ expression { "," expression } [ "," ] ] "]"
    object = "{" { key ("=" | ":") expression ("," | newline) } "}"
    for    = ("[" | "{") "for" name [ "," name ] "in" expression ":"
             [ key "=>" ] expression [ "..." ] [ "if" expression ]
    call   = name { "::" name } "(" [ expression { "," expression } [ "," | "..." ] ] ")"

On the start-up path.
"""

from __future__ import annotations

from bakehouse.hcl.calls import FunctionCall
from bakehouse.hcl.expressions import Failed, Literal, Node, ObjectConstructor, ObjectKey, TupleConstructor
from bakehouse.hcl.lexer import (
    CLOSE_BRACE,
    CLOSE_BRACKET,
    CLOSE_PAREN,
    COLON,
    COMMA,
    DOUBLE_COLON,
    ELLIPSIS,
    EOF,
    EQUAL,
    FAT_ARROW,
    IDENT,
    NEWLINE,
    OPEN_PAREN,
)
from bakehouse.hcl.token_stream import TokenStream
from bakehouse.hcl.values import DYNAMIC_UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.hcl.syntax import Expression

_FOR = "Invalid 'for' expression"
_NESTING = "before the end of the file. This may be caused by incorrect {} nesting elsewhere in this file."


class ConstructorParser(TokenStream):
    """The part of the expression parser for bracketed forms."""

    __slots__ = ()

    def expression(self) -> Node:
        """Parse one expression."""
        raise NotImplementedError

    def tuple_constructor(self) -> Node:
        outer, self.newlines = self.newlines, False
        node = self._tuple(self.read())
        self.newlines = outer
        return node

    def _tuple(self, open_: int) -> Node:
        kinds = self.kinds
        if self.is_keyword(self.peek(), "for"):
            return self._for(open_, False)
        elements: list[Expression] = []
        while True:
            if kinds[self.peek()] == CLOSE_BRACKET:
                close = self.read()
                break
            mark = len(self.found)
            elements.append(self.expression())
            if self.recovery and len(self.found) > mark:
                close = self.recover(CLOSE_BRACKET)
                break
            follower = self.peek()
            kind = kinds[follower]
            if kind == COMMA:
                self.read()
                continue
            if kind == CLOSE_BRACKET:
                close = self.read()
                break
            self._bad_tuple_separator(open_, follower)
            close = self.recover(CLOSE_BRACKET)
            break
        return TupleConstructor(elements, self.source, self.starts[open_], self.ends[close])

    def _bad_tuple_separator(self, open_: int, follower: int) -> None:
        if self.recovery:
            return
        if self.kinds[follower] == EOF:
            self.error_at(
                "Unterminated tuple constructor expression",
                f"There is no corresponding closing bracket {_NESTING.format('bracket')}",
                open_,
            )
        else:
            self.error_at(
                "Missing item separator",
                "Expected a comma to mark the beginning of the next item.",
                follower,
                self.starts[open_],
            )

    def object_constructor(self) -> Node:
        open_ = self.read()
        outer = self.newlines
        # A `for` may stand on a later line, although newlines separate the items of an object.
        self.newlines = False
        is_for = self.is_keyword(self.peek(), "for")
        self.newlines = True
        node = self._for(open_, True) if is_for else self._object(open_)
        self.newlines = outer
        return node

    def _object(self, open_: int) -> Node:
        kinds = self.kinds
        items: list[tuple[ObjectKey, Expression]] = []
        while True:
            kind = kinds[self.peek()]
            if kind == NEWLINE:
                self.read()
                continue
            if kind == CLOSE_BRACE:
                close = self.read()
                break
            key = self._object_key(kind, open_)
            if key is None:
                close = self.recover(CLOSE_BRACE)
                break
            mark = len(self.found)
            value = self.expression()
            failed = self.recovery and len(self.found) > mark
            if not failed or isinstance(value, Failed):
                items.append((key, value))
            if failed:
                close = self.recover(CLOSE_BRACE)
                break
            follower = self.peek()
            kind = kinds[follower]
            if kind in (COMMA, NEWLINE):
                self.read()
                continue
            if kind == CLOSE_BRACE:
                close = self.read()
                break
            self._bad_object_separator(open_, follower)
            close = self.recover(CLOSE_BRACE)
            break
        return ObjectConstructor(items, self.source, self.starts[open_], self.ends[close])

    def _object_key(self, first: int, open_: int) -> ObjectKey | None:
        """The key and the sign behind it; None when the object cannot be read on."""
        mark = len(self.found)
        inner = self.expression()
        if self.recovery and len(self.found) > mark:
            return None
        follower = self.peek()
        kind = self.kinds[follower]
        if kind in (EQUAL, COLON):
            self.read()
            return ObjectKey(inner, first == OPEN_PAREN)
        if not self.recovery:
            self._bad_key_separator(kind, follower, open_)
        return None

    def _bad_key_separator(self, kind: int, follower: int, open_: int) -> None:
        since = self.starts[open_]
        if kind in (NEWLINE, COMMA):
            self.error_at(
                "Missing attribute value",
                'Expected an attribute value, introduced by an equals sign ("=").',
                follower,
                since,
            )
        elif kind == EOF:
            self._unterminated_object(open_)
        else:
            detail = 'Expected an equals sign ("=") to mark the beginning of the attribute value.'
            if kind == IDENT:
                detail += (
                    " If you intended to given an attribute name containing periods or spaces, write the name in "
                    "quotes to create a string literal."
                )
            self.error_at("Missing key/value separator", detail, follower, since)

    def _unterminated_object(self, open_: int) -> None:
        self.error_at(
            "Unterminated object constructor expression",
            f"There is no corresponding closing brace {_NESTING.format('brace')}",
            open_,
        )

    def _bad_object_separator(self, open_: int, follower: int) -> None:
        if self.recovery:
            return
        if self.kinds[follower] == EOF:
            self._unterminated_object(open_)
        else:
            self.error_at(
                "Missing attribute separator",
                "Expected a newline or comma to mark the beginning of the next attribute.",
                follower,
                self.starts[open_],
            )

    def _for(self, open_: int, is_object: bool) -> Node:
        outer, self.newlines = self.newlines, False
        close_kind = CLOSE_BRACE if is_object else CLOSE_BRACKET
        node = self._for_parts(open_, close_kind, is_object)
        if node is None:
            close = self.recover(close_kind)
            node = Literal(DYNAMIC_UNKNOWN, self.source, self.starts[open_], self.ends[close])
        self.newlines = outer
        return node

    def _for_error(self, detail: str, open_: int) -> None:
        if not self.recovery:
            self.error_at(_FOR, f"For expression requires {detail}", self.peek(), self.starts[open_])

    def _for_names(self, open_: int) -> tuple[str, str] | None:
        """`name in` or `key, name in`: the two names, the first perhaps empty."""
        self.read()
        if self.kinds[self.peek()] != IDENT:
            self._for_error("variable name after 'for'.", open_)
            return None
        key_name, value_name = "", self.word(self.read())
        if self.kinds[self.peek()] == COMMA:
            self.read()
            if self.kinds[self.peek()] != IDENT:
                self._for_error("value variable name after comma.", open_)
                return None
            key_name, value_name = value_name, self.word(self.read())
        if not self.is_keyword(self.peek(), "in"):
            self._for_error("the 'in' keyword after its name declarations.", open_)
            return None
        self.read()
        return key_name, value_name

    def _parsed_well(self) -> tuple[Node, bool]:
        """An expression, and whether parsing can go on behind it."""
        mark = len(self.found)
        node = self.expression()
        return node, not (self.recovery and len(self.found) > mark)

    def _for_parts(self, open_: int, close_kind: int, is_object: bool) -> Node | None:
        names = self._for_names(open_)
        if names is None:
            return None
        collection, well = self._parsed_well()
        if not well:
            return None
        if self.kinds[self.peek()] != COLON:
            self._for_error("a colon after the collection expression.", open_)
            return None
        self.read()
        key, (value, well) = None, self._parsed_well()
        if self.kinds[self.peek()] == FAT_ARROW:
            self.read()
            key = value
            value, value_well = self._parsed_well()
            well = well and value_well
        if not well:
            return None
        ellipsis = self.read() if self.kinds[self.peek()] == ELLIPSIS else None
        condition = None
        if self.is_keyword(self.peek(), "if"):
            self.read()
            condition, well = self._parsed_well()
            if not well:
                return None
        close = self._for_close(open_, close_kind)
        self._check_for(is_object, key, value, ellipsis, (self.starts[open_], self.ends[close]))
        from bakehouse.hcl.loops import For

        span = (self.starts[open_], self.ends[open_], self.ends[close])
        return For(names, collection, key, value, condition, ellipsis is not None, self.source, *span)

    def _for_close(self, open_: int, close_kind: int) -> int:
        if self.kinds[self.peek()] == close_kind:
            return self.read()
        if not self.recovery:
            self.error_at(
                _FOR,
                "Extra characters after the end of the 'for' expression.",
                self.peek(),
                self.starts[open_],
            )
        return self.recover(close_kind)

    def _check_for(
        self, is_object: bool, key: Node | None, value: Node, ellipsis: int | None, context: tuple[int, int]
    ) -> None:
        if is_object:
            if key is None:
                detail = "Key expression is required when building an object."
                self.error(_FOR, detail, value.start, value.end, context)
            return
        if key is not None:
            self.error(
                _FOR, "Key expression is not valid when building a tuple.", key.start, key.end, context
            )
        if ellipsis is not None:
            detail = "Grouping ellipsis (...) cannot be used when building a tuple."
            self.error(_FOR, detail, self.starts[ellipsis], self.ends[ellipsis], context)

    def function_call(self, name: int) -> Node:
        """Parse a call; its name was just read."""
        full_name, name_end = self.word(name), self.ends[name]
        open_ = self.read()
        while self.kinds[open_] == DOUBLE_COLON:
            part = self.read()
            if self.kinds[part] != IDENT:
                detail = (
                    "Function scope resolution symbol :: must be followed by a function name in this scope."
                )
                return self._failed_call(name, part, "Missing function name", detail)
            full_name += "::" + self.word(part)
            name_end = self.ends[part]
            open_ = self.read()
        if self.kinds[open_] != OPEN_PAREN:
            detail = "Function selector must be followed by an open parenthesis to begin the function call."
            return self._failed_call(name, open_, "Missing open parenthesis", detail)
        outer, self.newlines = self.newlines, False
        arguments, expand, close = self._arguments(name, open_)
        self.newlines = outer
        spans = (self.starts[name], name_end, self.starts[open_], self.starts[close], self.ends[close])
        return FunctionCall(full_name, arguments, expand, self.source, spans)

    def _failed_call(self, name: int, token: int, summary: str, detail: str) -> Node:
        mark = len(self.found)
        start = self.starts[name]
        self.error_at(summary, detail, token, start)
        findings = self.found[mark:]
        self.recover_over(OPEN_PAREN)
        return Failed(findings, self.source, start, self.shown_end(token))

    def _arguments(self, name: int, open_: int) -> tuple[list[Expression], bool, int]:
        """The arguments, whether the last is spread, and the closing token."""
        kinds = self.kinds
        arguments: list[Expression] = []
        while True:
            if kinds[self.peek()] == CLOSE_PAREN:
                return arguments, False, self.read()
            argument, well = self._parsed_well()
            arguments.append(argument)
            if not well:
                return arguments, False, self.recover(CLOSE_PAREN)
            separator = self.read()
            kind = kinds[separator]
            if kind == COMMA:
                continue
            if kind == CLOSE_PAREN:
                return arguments, False, separator
            if kind == ELLIPSIS:
                return arguments, True, self._after_ellipsis(name, separator)
            self._bad_argument_separator(name, open_, separator)
            return arguments, False, self.recover(CLOSE_PAREN)

    def _after_ellipsis(self, name: int, ellipsis: int) -> int:
        if self.kinds[self.peek()] == CLOSE_PAREN:
            return self.read()
        if not self.recovery:
            self.error_at(
                "Missing closing parenthesis",
                "An expanded function argument (with ...) must be immediately followed by closing parentheses.",
                ellipsis,
                self.starts[name],
            )
        return self.recover(CLOSE_PAREN)

    def _bad_argument_separator(self, name: int, open_: int, separator: int) -> None:
        if self.kinds[separator] == EOF:
            self.error(
                "Unterminated function call",
                f"There is no closing parenthesis for this function call {_NESTING.format('parenthesis')}",
                self.starts[name],
                self.ends[open_],
            )
        else:
            self.error_at(
                "Missing argument separator",
                "A comma is required to separate each function argument from the next.",
                separator,
                self.starts[name],
            )
