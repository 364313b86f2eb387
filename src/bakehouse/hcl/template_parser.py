"""Parsing of templates: the tokens of a string or heredoc become parts (text, interpolations, directives),
white space is
trimmed, and the directives are nested (hashicorp/hcl `hclsyntax/parser_template.go`). On the start-up path.

    template = { text | "${" expression "}" | if | for }
    if       = "%{ if" expression "}" template [ "%{ else }" template ] "%{ endif }"
    for      = "%{ for" name [ "," name ] "in" expression "}" template "%{ endfor }"
"""

from __future__ import annotations

from bakehouse.go.text import SPACES, quote
from bakehouse.hcl.conditionals import Conditional
from bakehouse.hcl.expressions import Literal, Node
from bakehouse.hcl.lexer import (
    CLOSE_QUOTE,
    COLON,
    COMMA,
    EOF,
    IDENT,
    OPEN_HEREDOC,
    OPEN_QUOTE,
    QUOTED_LITERAL,
    STRING,
    STRING_LITERAL,
    TEMPLATE_CONTROL,
    TEMPLATE_END,
    TEMPLATE_INTERPOLATION,
)
from bakehouse.hcl.loops import For
from bakehouse.hcl.string_literals import literal_text
from bakehouse.hcl.templates import Template, TemplateJoin, TemplateWrap
from bakehouse.hcl.token_stream import MAX_DEPTH, OPPOSITE
from bakehouse.hcl.values import DYNAMIC_UNKNOWN, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.hcl.expression_parser import ExpressionParser

_TEXT, _VALUE, _IF, _FOR, _MARK, _END = range(6)


class _Part:
    """A part of a template. By kind: text; the expression; the condition; the collection, with `names`; the name of a
    closing or `else` directive; nothing, at the end."""

    __slots__ = ("end", "kind", "names", "node", "start", "text")

    def __init__(self, kind: int, start: int, end: int, text: str = "", node: Node | None = None) -> None:
        self.kind = kind
        self.start = start
        self.end = end
        self.text = text
        self.node = node
        self.names = ("", "")


def parse_template_term(parser: ExpressionParser) -> Node:
    """Parse the quoted string or heredoc that is next."""
    open_ = parser.read()
    flush = parser.kinds[open_] == OPEN_HEREDOC and parser.text.startswith("<<-", parser.starts[open_])
    nodes, wrapped, _ = _parse_inner(parser, OPPOSITE[parser.kinds[open_]], flush)
    start, end = parser.starts[open_], parser.last_end()
    if wrapped:
        return TemplateWrap(nodes[0], parser.source, start, end)
    return Template(nodes, parser.source, start, end)


def parse_bare_template(parser: ExpressionParser) -> Node:
    """Parse all tokens as the inside of a template."""
    nodes, wrapped, (start, end) = _parse_inner(parser, EOF, False)
    if wrapped:
        return TemplateWrap(nodes[0], parser.source, start, end)
    return Template(nodes, parser.source, start, end)


def _parse_inner(parser: ExpressionParser, end: int, flush: bool) -> tuple[list[Node], bool, tuple[int, int]]:
    """The nodes up to the token `end`, whether the template is a single interpolation, and the span."""
    reader = _PartReader(parser, end)
    parts = reader.read_parts()
    if flush:
        _flush_indentation(parts)
    parts = _joined_texts(parts)
    wrapped = len(parts) == 2 and parts[0].kind == _VALUE
    return _TreeBuilder(parser, parts).root(), wrapped, (reader.start, reader.end)


class _PartReader:
    """Reads tokens into parts and applies the `~` marks."""

    __slots__ = ("end", "end_kind", "parser", "parts", "start", "trim_left")

    def __init__(self, parser: ExpressionParser, end_kind: int) -> None:
        self.parser = parser
        self.end_kind = end_kind
        self.parts: list[_Part] = []
        first = parser.peek()
        self.start = parser.starts[first]
        self.end = parser.ends[first]
        self.trim_left = False

    def read_parts(self) -> list[_Part]:
        parser, parts = self.parser, self.parts
        first_end = self.end
        while True:
            token = parser.read()
            kind = parser.kinds[token]
            if kind == self.end_kind:
                break
            if kind in (STRING_LITERAL, QUOTED_LITERAL):
                self._text(token, kind == QUOTED_LITERAL)
            elif kind in (TEMPLATE_INTERPOLATION, TEMPLATE_CONTROL):
                self._marked(token, kind)
            else:
                if not parser.recovery:
                    parser.error_at(
                        "Unterminated template string",
                        "No closing marker was found for the string.",
                        token,
                        self.start,
                    )
                token = parser.recover(self.end_kind)
                break
        self.end = parser.ends[token]
        if not parts:
            parts.append(_Part(_TEXT, first_end, first_end))
        parts.append(_Part(_END, parser.starts[token], self.end))
        return parts

    def _text(self, token: int, quoted: bool) -> None:
        start, end = self.parser.starts[token], self.parser.ends[token]
        text = literal_text(self.parser, start, end, quoted)
        if self.trim_left:
            text = text.lstrip(SPACES)
        self.trim_left = False
        self.parts.append(_Part(_TEXT, start, end, text))

    def _marked(self, token: int, kind: int) -> None:
        """`${…}` or `%{…}`: newlines do not count within."""
        parser, parts = self.parser, self.parts
        self.trim_left = False
        if parser.ends[token] - parser.starts[token] == 3 and parts and parts[-1].kind == _TEXT:
            parts[-1].text = parts[-1].text.rstrip(SPACES)
        outer, parser.newlines = parser.newlines, False
        if kind == TEMPLATE_INTERPOLATION:
            self._interpolation(token)
        else:
            self._directive(token)
        parser.newlines = outer

    def _close(self) -> None:
        """Read the end of the sequence; `~}` trims the text behind it."""
        parser = self.parser
        token = parser.read()
        self.trim_left = parser.ends[token] - parser.starts[token] == 2

    def _interpolation(self, token: int) -> None:
        parser = self.parser
        node = parser.expression()
        close = parser.peek()
        part = _Part(_VALUE, parser.starts[token], parser.shown_end(close), node=node)
        if parser.kinds[close] == TEMPLATE_END:
            self._close()
        else:
            if not parser.recovery:
                self._unclosed(close)
            parser.recover(TEMPLATE_END)
        self.parts.append(part)

    def _unclosed(self, close: int) -> None:
        parser = self.parser
        kind = parser.kinds[close]
        first = parser.source, self.start
        unclosed = "Unclosed template interpolation sequence"
        extra = "Extra characters after interpolation expression"
        hint = 'escape it by starting with "$${" instead of just "${".'
        if kind == EOF:
            self._error_at_start(
                unclosed,
                "There is no closing brace for this interpolation sequence before the end of the file. This might be "
                "caused by incorrect nesting inside the given expression.",
            )
        elif kind == COLON:
            parser.error_at(
                extra,
                "Template interpolation doesn't expect a colon at this location. Did you intend this to be a literal "
                "sequence to be processed as part of another language? If so, you can " + hint,
                close,
                first[1],
            )
        elif kind in (CLOSE_QUOTE, OPEN_QUOTE, STRING) and self.end_kind == CLOSE_QUOTE:
            self._error_at_start(
                unclosed,
                "There is no closing brace for this interpolation sequence before the end of the quoted template. This "
                "might be caused by incorrect nesting inside the given expression.",
            )
        else:
            parser.error_at(
                extra,
                "Expected a closing brace to end the interpolation expression, but found extra characters.\n\nThis can "
                "happen when you include interpolation syntax for another language, such as shell scripting, but "
                "forget to escape the interpolation start token. If this is an embedded sequence for another "
                "language, " + hint,
                close,
                first[1],
            )

    def _error_at_start(self, summary: str, detail: str) -> None:
        self.parser.error(summary, detail, self.start, self._first_end())

    def _first_end(self) -> int:
        """The end of the template's first token."""
        from bisect import bisect_left

        index = bisect_left(self.parser.starts, self.start)
        return self.parser.ends[index]

    def _directive(self, token: int) -> None:
        parser = self.parser
        keyword = parser.peek()
        start = parser.starts[token]
        if parser.kinds[keyword] != IDENT:
            self._give_up(
                "Invalid template directive",
                'A template directive keyword ("if", "for", etc) is expected at the beginning of a %{ sequence.',
                keyword,
                start,
            )
            return
        parser.read()
        name = parser.word(keyword)
        if name in ("else", "endif", "endfor"):
            part = _Part(_MARK, start, parser.shown_end(parser.peek()), name)
        elif name == "if":
            node = parser.expression()
            part = _Part(_IF, start, parser.shown_end(parser.peek()), node=node)
        elif name == "for":
            loop = self._loop(start)
            if loop is None:
                return
            part = loop
        else:
            self._unknown_directive(name, keyword, start)
            return
        self.parts.append(part)
        close = parser.peek()
        if parser.kinds[close] == TEMPLATE_END:
            self._close()
            return
        if not parser.recovery:
            parser.error_at(
                f"Extra characters in {name} marker",
                "Expected a closing brace to end the sequence, but found extra characters.",
                close,
                self.start,
            )
        parser.recover(TEMPLATE_END)

    def _give_up(self, summary: str, detail: str, token: int, since: int | None = None) -> None:
        if not self.parser.recovery:
            self.parser.error_at(summary, detail, token, since)
        self.parser.recover(TEMPLATE_END)

    def _unknown_directive(self, name: str, keyword: int, start: int) -> None:
        from bakehouse.hcl.evaluation import suggestion

        close = suggestion(name, ("if", "for", "else", "endif", "endfor"))
        hint = f" Did you mean {quote(close)}?" if close else ""
        detail = f"{quote(name)} is not a valid template control keyword.{hint}"
        self._give_up("Invalid template control keyword", detail, keyword, start)

    def _loop(self, start: int) -> _Part | None:
        parser, summary = self.parser, "Invalid 'for' directive"
        if parser.kinds[parser.peek()] != IDENT:
            self._give_up(summary, "For directive requires variable name after 'for'.", parser.peek())
            return None
        names = ("", parser.word(parser.read()))
        if parser.kinds[parser.peek()] == COMMA:
            parser.read()
            if parser.kinds[parser.peek()] != IDENT:
                detail = "For directive requires value variable name after comma."
                self._give_up(summary, detail, parser.peek())
                return None
            names = (names[1], parser.word(parser.read()))
        if not parser.is_keyword(parser.peek(), "in"):
            self._give_up(summary, "For directive requires 'in' keyword after names.", parser.peek())
            return None
        parser.read()
        node = parser.expression()
        part = _Part(_FOR, start, parser.shown_end(parser.peek()), node=node)
        part.names = names
        return part


def _flush_indentation(parts: list[_Part]) -> None:
    """Remove from every line the smallest indentation that a line which is not blank has (`<<-`)."""
    from bakehouse.hcl.graphemes import clusters, count_clusters

    smallest = -1
    indented: list[_Part] = []
    line_start = True
    for part in parts:
        if line_start:
            line_start = False
            if part.kind == _END:
                break
            spaces = 0
            if part.kind == _TEXT:
                trimmed = part.text.lstrip(SPACES)
                if not trimmed and part.text.endswith("\n"):
                    spaces = -1
                else:
                    spaces = count_clusters(part.text[: len(part.text) - len(trimmed)])
                    indented.append(part)
            if spaces >= 0:
                smallest = spaces if smallest < 0 else min(smallest, spaces)
        if part.kind == _TEXT and part.text.endswith("\n"):
            line_start = True
    for part in indented:
        cut = sum(len(cluster) for _, cluster in zip(range(smallest), clusters(part.text), strict=False))
        part.text = part.text[cut:]
        part.start += cut


def _joined_texts(parts: list[_Part]) -> list[_Part]:
    """The parts with neighbouring texts made one."""
    out: list[_Part] = []
    for part in parts:
        if part.kind == _TEXT and out and out[-1].kind == _TEXT:
            out[-1].text += part.text
            out[-1].end = part.end
        else:
            out.append(part)
    return out


class _TreeBuilder:
    """Nests the directives."""

    __slots__ = ("at", "depth", "parser", "parts")

    def __init__(self, parser: ExpressionParser, parts: list[_Part]) -> None:
        self.parser = parser
        self.parts = parts
        self.at = 0
        self.depth = parser.depth

    def root(self) -> list[Node]:
        nodes: list[Node] = []
        while self.parts[self.at].kind != _END:
            nodes.append(self._node())
        return nodes

    def _error(self, summary: str, detail: str, part: _Part) -> Node:
        self.parser.error(summary, detail, part.start, part.end)
        return Literal(DYNAMIC_UNKNOWN, self.parser.source, part.start, part.end)

    def _node(self) -> Node:
        part = self.parts[self.at]
        self.at += 1
        if part.kind == _TEXT:
            return Literal(string(part.text), self.parser.source, part.start, part.end)
        if part.kind == _VALUE:
            assert part.node is not None
            return part.node
        if part.kind == _MARK:
            return self._error(
                f"Unexpected {part.text} directive",
                "The control directives within this template are unbalanced.",
                part,
            )
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.parser.report_depth()
            self.at = len(self.parts) - 1
            node: Node = Literal(DYNAMIC_UNKNOWN, self.parser.source, part.start, part.end)
        else:
            node = self._if(part) if part.kind == _IF else self._for(part)
        self.depth -= 1
        return node

    def _block(self, opening: _Part, name: str, ends: tuple[str, ...]) -> tuple[list[Node], _Part | None]:
        """The nodes up to one of the directives `ends`, and that directive; None after an error, whose placeholder is
        then the last node."""
        nodes: list[Node] = []
        while True:
            part = self.parts[self.at]
            where = self.parser.source.range(opening.start, opening.end)
            if part.kind == _END:
                detail = (
                    f"The {name} directive at {where!r} is missing its corresponding end{name} directive."
                )
                nodes.append(self._error("Unexpected end of template", detail, part))
                return nodes, None
            if part.kind != _MARK:
                nodes.append(self._node())
                continue
            self.at += 1
            if part.text in ends:
                return nodes, part
            if part.text == "else":
                detail = (
                    f"Already in the else clause for the if started at {where!r}."
                    if name == "if"
                    else "An else clause is not expected for a for directive."
                )
            elif name == "if":
                detail = f"Expecting an endif directive for the if started at {where!r}."
            else:
                detail = f"Expecting an endfor directive corresponding to the for directive at {where!r}."
            nodes.append(self._error(f"Unexpected {part.text} directive", detail, part))
            return nodes, None

    def _template(self, nodes: list[Node], empty_at: int) -> Template:
        source = self.parser.source
        if not nodes:
            nodes = [Literal(string(""), source, empty_at, empty_at)]
        return Template(nodes, source, nodes[0].start, nodes[-1].end)

    def _if(self, opening: _Part) -> Node:
        assert opening.node is not None
        positive, closing = self._block(opening, "if", ("else", "endif"))
        negative: list[Node] = []
        if closing is not None and closing.text == "else":
            negative, closing = self._block(opening, "if", ("endif",))
        if closing is None:
            return (negative or positive)[-1]
        return Conditional(
            opening.node,
            self._template(positive, opening.end),
            self._template(negative, closing.start),
            self.parser.source,
            opening.start,
            closing.end,
        )

    def _for(self, opening: _Part) -> Node:
        assert opening.node is not None
        content, closing = self._block(opening, "for", ("endfor",))
        if closing is None:
            return content[-1]
        source = self.parser.source
        span = (opening.start, opening.end, closing.end)
        value = self._template(content, opening.end)
        return TemplateJoin(For(opening.names, opening.node, None, value, None, False, source, *span))
