"""The parser's view of the tokens: looking ahead with or without newlines, findings, and recovery after an error.

Follows hashicorp/hcl `peeker.go` and the recovery functions of `parser.go`, which decide what is reported
after the first mistake. On the start-up path.
"""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic
from bakehouse.hcl.lexer import (
    CLOSE_BRACE,
    CLOSE_BRACKET,
    CLOSE_HEREDOC,
    CLOSE_PAREN,
    CLOSE_QUOTE,
    EOF,
    IDENT,
    NEWLINE,
    OPEN_BRACE,
    OPEN_BRACKET,
    OPEN_HEREDOC,
    OPEN_PAREN,
    OPEN_QUOTE,
    STRING,
    TEMPLATE_CONTROL,
    TEMPLATE_END,
    TEMPLATE_INTERPOLATION,
    Tokens,
)

MAX_DEPTH = 150  # nested expressions or blocks; keeps the parser within the interpreter's stack

OPPOSITE = {
    OPEN_BRACE: CLOSE_BRACE,
    OPEN_BRACKET: CLOSE_BRACKET,
    OPEN_PAREN: CLOSE_PAREN,
    OPEN_QUOTE: CLOSE_QUOTE,
    OPEN_HEREDOC: CLOSE_HEREDOC,
    CLOSE_BRACE: OPEN_BRACE,
    CLOSE_BRACKET: OPEN_BRACKET,
    CLOSE_PAREN: OPEN_PAREN,
    CLOSE_QUOTE: OPEN_QUOTE,
    CLOSE_HEREDOC: OPEN_HEREDOC,
    TEMPLATE_CONTROL: TEMPLATE_END,
    TEMPLATE_INTERPOLATION: TEMPLATE_END,
    TEMPLATE_END: TEMPLATE_INTERPOLATION,
}
_OPENERS = frozenset(
    (OPEN_BRACE, OPEN_BRACKET, OPEN_PAREN, OPEN_QUOTE, OPEN_HEREDOC, TEMPLATE_INTERPOLATION, TEMPLATE_CONTROL)
)
_CLOSERS = frozenset((CLOSE_BRACE, CLOSE_BRACKET, CLOSE_PAREN, CLOSE_QUOTE, CLOSE_HEREDOC))


class TokenStream:
    """Tokens are named by their index. `newlines` says whether newlines count (they do not inside brackets);
    `recovery` that an error was met, after which the parser stays quiet about what may only follow from it."""

    __slots__ = (
        "depth",
        "ends",
        "found",
        "kinds",
        "last",
        "newlines",
        "position",
        "recovery",
        "source",
        "starts",
        "text",
        "too_deep",
    )

    def __init__(self, tokens: Tokens, found: list[Diagnostic]) -> None:
        self.kinds = tokens.kinds
        self.starts = tokens.starts
        self.ends = tokens.ends
        self.source = tokens.source
        self.text = tokens.source.text
        self.found = found
        self.position = 0
        self.last = -1
        self.newlines = True
        self.recovery = False
        self.depth = 0
        self.too_deep = False

    def peek(self) -> int:
        """The index of the next token."""
        index = self.position
        if not self.newlines:
            kinds = self.kinds
            while kinds[index] == NEWLINE:
                index += 1
        return index

    def read(self) -> int:
        """The index of the next token, which is consumed; the end of the text stays."""
        index = self.peek()
        self.last = index
        self.position = index if self.kinds[index] == EOF else index + 1
        return index

    def word(self, index: int) -> str:
        """The text of a token."""
        return self.text[self.starts[index] : self.ends[index]]

    def is_keyword(self, index: int, keyword: str) -> bool:
        return self.kinds[index] == IDENT and self.word(index) == keyword

    def shown_end(self, index: int) -> int:
        """Where a token ends when a finding points at it: of a whole string only the opening quote counts."""
        return self.starts[index] + 1 if self.kinds[index] == STRING else self.ends[index]

    def last_end(self) -> int:
        """Where the last token read ends."""
        return self.ends[self.last] if self.last >= 0 else self.starts[self.peek()]

    def error(
        self, summary: str, detail: str, start: int, end: int, context: tuple[int, int] | None = None
    ) -> None:
        """Report about text[start:end]."""
        self.found.append(
            Diagnostic(
                summary,
                detail,
                subject=self.source.range(start, end),
                context=None if context is None else self.source.range(*context),
                code="hcl-syntax",
            )
        )

    def error_at(self, summary: str, detail: str, index: int, since: int | None = None) -> None:
        """Report about a token; `since` is the offset at which the wider context begins."""
        start, end = self.starts[index], self.shown_end(index)
        self.error(summary, detail, start, end, None if since is None else (since, end))

    def report_depth(self) -> None:
        """Report, once, that the text is nested too deeply, and give up on the rest of it."""
        if not self.too_deep:
            self.too_deep = True
            self.error_at(
                "Nested too deeply",
                f"Expressions and blocks may not be nested more than {MAX_DEPTH} levels deep.",
                self.peek(),
            )
        self.recovery = True
        self.position = len(self.kinds) - 1

    def recover(self, end: int) -> int:
        """Skip behind the token `end` that closes the current bracket, minding nested ones; gives its index, or that of
        the end of the text."""
        start = OPPOSITE.get(end)
        self.recovery = True
        nest = 0
        while True:
            index = self.read()
            kind = self.kinds[index]
            if end == TEMPLATE_END and kind == TEMPLATE_CONTROL:
                kind = TEMPLATE_INTERPOLATION
            if kind == start:
                nest += 1
            elif kind == end:
                if nest < 1:
                    return index
                nest -= 1
            elif kind == EOF:
                return index

    def recover_over(self, start: int) -> None:
        """Skip behind the next bracketed part that `start` opens."""
        while self.kinds[self.read()] not in (start, EOF):
            pass
        self.recover(OPPOSITE[start])

    def recover_after_item(self) -> None:
        """Skip to the newline that ends the current item of a body."""
        self.recovery = True
        opened: list[int] = []
        while True:
            kind = self.kinds[self.read()]
            if kind == EOF or (kind == NEWLINE and not opened):
                return
            if kind in _OPENERS:
                opened.append(kind)
            elif kind in _CLOSERS:
                _close(opened, (OPPOSITE[kind],))
            elif kind == TEMPLATE_END:
                _close(opened, (TEMPLATE_INTERPOLATION, TEMPLATE_CONTROL))


def _close(opened: list[int], openers: tuple[int, ...]) -> None:
    while opened and opened[-1] not in openers:
        opened.pop()
    if opened:
        opened.pop()
