"""The scanner for YAML on which libyaml and Go's library disagree: the grammar is PyYAML's, the tokens are read here.

libyaml reads ten times as fast and is asked first (`reader`). This one is for what it refuses: Go's library takes some
of that (`{a:}`, tabs before a comment, long keys), and of the rest it often tells another fault, since it looks two
tokens further ahead than a parser needs. Its rules are those of YAML 1.1 as libyaml has them, but for these:

* a key in one line is found when its `:` comes, however long it is; one that was needed and did not come is told when
  the next possible key comes;
* in flow collections `:` and `?` belong to plain text unless a blank follows them;
* a comment takes the comment lines below it along, whatever they are indented with;
* a tag ends at a blank.
"""

from __future__ import annotations

from yaml import tokens
from yaml.parser import Parser, ParserError

from bakehouse.bake.compose.cursor import BLANKS, BREAKS, END, STOPS, Cursor, Mark
from bakehouse.bake.compose.yaml_scalars import block_scalar, plain, quoted
from bakehouse.bake.compose.yaml_tags import anchor, directive, tag
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_COMMENTS = regex(
    r"#[^\r\n\x85\u2028\u2029\x00]*(?:[ \t\r\n\x85\u2028\u2029]{1,511}#[^\r\n\x85\u2028\u2029\x00]*)*"
)
_LINE_COMMENT = regex(r"[ \t]{0,511}#[^\r\n\x85\u2028\u2029\x00]*")
_NO_PLAIN_START = "-?:,[]{}#&*!|>'\"%@`"
_MAX_DEPTH = 10_000
#: How PyYAML's grammar words a fault, by its beginning, and how libyaml's and Go's do.
_PROBLEMS = {
    ("", "expected '<document start>'"): "did not find expected <document start>",
    ("", "found duplicate YAML directive"): "found duplicate %YAML directive",
    ("", "found incompatible YAML document"): "found incompatible YAML document",
    ("", "duplicate tag handle"): "found duplicate %TAG directive",
    ("while parsing a node", "found undefined tag handle"): "found undefined tag handle",
    ("while parsing a block collection", "expected <block end>"): "did not find expected '-' indicator",
    ("while parsing a block mapping", "expected <block end>"): "did not find expected key",
    ("while parsing a flow sequence", "expected"): "did not find expected ',' or ']'",
    ("while parsing a flow mapping", "expected"): "did not find expected ',' or '}'",
    ("while parsing a block node", "expected"): "did not find expected node content",
    ("while parsing a flow node", "expected"): "did not find expected node content",
}


class _Key:
    """Where a simple key may have begun."""

    __slots__ = ("flow_level", "mark", "required", "token_number")

    def __init__(self, mark: Mark, token_number: int, flow_level: int, required: bool) -> None:
        self.mark = mark
        self.token_number = token_number
        self.flow_level = flow_level
        self.required = required


class CarefulParser(Parser):
    """Events of a text, through `get_event`. Raises `ScannerError` and `ParserError`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._cursor = Cursor(text)
        self._queue: list[Any] = [tokens.StreamStartToken(self._cursor.mark(), self._cursor.mark())]
        self._last: Any = self._queue[0]
        self._taken = 0
        self._done = False
        self._flow_level = 0
        self._indent = -1
        self._indents: list[int] = []
        self._key_allowed = True
        self._key: _Key | None = None
        self._outer_keys: list[_Key] = []

    # What the grammar asks for.

    def check_token(self, *choices: type) -> bool:
        token = self.peek_token()
        return token is not None and (not choices or isinstance(token, choices))

    def peek_token(self) -> Any:
        while self._needs_more():
            self._fetch()
        return self._queue[0] if self._queue else None

    def get_token(self) -> Any:
        token = self.peek_token()
        if token is not None:
            self._taken += 1
            self._last = self._queue.pop(0)
        return token

    def get_event(self) -> Any:
        try:
            return super().get_event()  # type: ignore[no-untyped-call]
        except ParserError as error:
            for (context, beginning), problem in _PROBLEMS.items():
                if (error.context or "") == context and str(error.problem).startswith(beginning):
                    raise ParserError(
                        error.context, error.context_mark, problem, error.problem_mark
                    ) from None
            raise

    # Tokens.

    def _needs_more(self) -> bool:
        """Two tokens are read ahead; and as long as the first one could become a key, nobody gets it."""
        if self._done:
            return False
        if len(self._queue) <= 2:
            return True
        key = self._outer_keys[0] if self._outer_keys else self._key
        return key is not None and key.token_number == self._taken

    def _add(self, kind: Any, start: Mark, *values: Any) -> None:
        self._queue.append(kind(*values, start, self._cursor.mark()))

    def _fetch(self) -> None:
        self._skip_to_token()
        self._unroll(self._cursor.column)
        char = self._cursor.peek()
        if char == END:
            self._fetch_stream_end()
        elif self._cursor.column == 0 and char == "%":
            self._fetch_directive()
        elif self._cursor.at_document_mark():
            self._fetch_document_mark()
        else:
            self._fetch_content(char)
            last = self._queue[-1] if self._queue else self._last
            if not isinstance(last, tokens.BlockEntryToken):
                self._skip_line_comment()

    def _fetch_content(self, char: str) -> None:
        blank_follows = self._cursor.peek(1) in STOPS
        if char in "[{":
            self._fetch_flow_start(char)
        elif char in "]}":
            self._fetch_flow_end(char)
        elif char == ",":
            self._fetch_flow_entry()
        elif char == "-" and blank_follows:
            self._fetch_block_entry()
        elif char == "?" and blank_follows:
            self._fetch_key()
        elif char == ":" and (blank_follows or (self._flow_level and not self._after_flow_entry())):
            self._fetch_value()
        elif char in "*&":
            self._start_scalar()
            self._queue.append(anchor(self._cursor, char))
        elif char == "!":
            self._start_scalar()
            self._queue.append(tag(self._cursor))
        elif char in "|>" and not self._flow_level:
            self._drop_key()
            self._key_allowed = True
            self._queue.append(block_scalar(self._cursor, char, self._indent))
        elif char in "'\"":
            self._start_scalar()
            self._queue.append(quoted(self._cursor, char))
        elif self._begins_plain(char):
            self._start_scalar()
            self._fetch_plain()
        else:
            self._cursor.fail(
                "found character that cannot start any token",
                "while scanning for the next token",
                self._cursor.mark(),
            )

    def _begins_plain(self, char: str) -> bool:
        if char == "-":
            return self._cursor.peek(1) not in BLANKS
        if char in "?:":
            return self._cursor.peek(1) not in STOPS
        return char not in STOPS and char not in _NO_PLAIN_START

    def _after_flow_entry(self) -> bool:
        last = self._queue[-1] if self._queue else self._last
        return isinstance(last, (tokens.FlowEntryToken, tokens.FlowSequenceStartToken))

    def _skip_to_token(self) -> None:
        while True:
            while self._cursor.peek() == " " or (
                self._cursor.peek() == "\t" and (self._flow_level or not self._key_allowed)
            ):
                self._cursor.take()
            if self._cursor.peek() == "#":
                found = _COMMENTS.match(self._cursor.text, self._cursor.at)
                assert found is not None
                self._cursor.take_comments(found.group())
            if self._cursor.peek() not in BREAKS:
                return
            self._cursor.take_break()
            if not self._flow_level:
                self._key_allowed = True

    def _skip_line_comment(self) -> None:
        found = None if self._cursor.newlines else _LINE_COMMENT.match(self._cursor.text, self._cursor.at)
        if found is not None:
            self._cursor.take_comments(found.group())

    # Keys and indentation.

    def _start_scalar(self) -> None:
        """What follows may be a key, and no key may follow it."""
        self._save_key()
        self._key_allowed = False

    def _save_key(self) -> None:
        if self._key_allowed:
            self._drop_key()
            required = not self._flow_level and self._indent == self._cursor.column
            self._key = _Key(self._cursor.mark(), self._taken + len(self._queue), self._flow_level, required)

    def _drop_key(self) -> None:
        if self._key is not None and self._key.required:
            self._cursor.fail("could not find expected ':'", "while scanning a simple key", self._key.mark)
        self._key = None

    def _roll(self, column: int, kind: Any, mark: Mark, index: int | None = None) -> None:
        if self._flow_level or self._indent >= column:
            return
        self._indents.append(self._indent)
        self._indent = column
        if len(self._indents) > _MAX_DEPTH:
            start = Mark(0, 0) if self._key is None else self._key.mark
            self._cursor.fail(f"exceeded max depth of {_MAX_DEPTH}", "while increasing indent level", start)
        self._queue.insert(len(self._queue) if index is None else index, kind(mark, mark))

    def _unroll(self, column: int) -> None:
        while not self._flow_level and self._indent > column:
            mark = self._cursor.mark()
            self._queue.append(tokens.BlockEndToken(mark, mark))
            self._indent = self._indents.pop()

    # One method a token.

    def _fetch_stream_end(self) -> None:
        if self._cursor.column:
            self._cursor.column = 0
            self._cursor.line += 1
        self._unroll(-1)
        self._drop_key()
        self._outer_keys = []
        self._key_allowed = False
        self._add(tokens.StreamEndToken, self._cursor.mark())
        self._done = True

    def _fetch_directive(self) -> None:
        self._unroll(-1)
        self._drop_key()
        self._key_allowed = False
        self._queue.append(directive(self._cursor))

    def _fetch_plain(self) -> None:
        token, behind_break = plain(self._cursor, self._indent, self._flow_level > 0)
        self._queue.append(token)
        self._key_allowed = self._key_allowed or behind_break

    def _fetch_document_mark(self) -> None:
        self._unroll(-1)
        self._drop_key()
        self._key_allowed = False
        start = self._cursor.mark()
        kind = tokens.DocumentStartToken if self._cursor.take(3) == "---" else tokens.DocumentEndToken
        self._add(kind, start)

    def _fetch_flow_start(self, char: str) -> None:
        self._save_key()
        self._flow_level += 1
        if self._flow_level > _MAX_DEPTH:
            start = Mark(0, 0) if self._key is None else self._key.mark
            self._cursor.fail(f"exceeded max depth of {_MAX_DEPTH}", "while increasing flow level", start)
        if self._key is not None:
            self._outer_keys.append(self._key)
        self._key = None
        self._key_allowed = True
        start = self._cursor.mark()
        self._cursor.take()
        self._add(tokens.FlowSequenceStartToken if char == "[" else tokens.FlowMappingStartToken, start)

    def _fetch_flow_end(self, char: str) -> None:
        self._drop_key()
        if self._flow_level:
            self._flow_level -= 1
            if self._outer_keys and self._outer_keys[-1].flow_level == self._flow_level:
                self._key = self._outer_keys.pop()
        self._key_allowed = False
        start = self._cursor.mark()
        self._cursor.take()
        self._add(tokens.FlowSequenceEndToken if char == "]" else tokens.FlowMappingEndToken, start)

    def _fetch_flow_entry(self) -> None:
        self._drop_key()
        self._key_allowed = True
        start = self._cursor.mark()
        self._cursor.take()
        self._add(tokens.FlowEntryToken, start)

    def _fetch_block_entry(self) -> None:
        if not self._flow_level:
            if not self._key_allowed:
                self._cursor.fail("block sequence entries are not allowed in this context")
            self._roll(self._cursor.column, tokens.BlockSequenceStartToken, self._cursor.mark())
        self._drop_key()
        self._key_allowed = True
        start = self._cursor.mark()
        self._cursor.take()
        self._add(tokens.BlockEntryToken, start)

    def _fetch_key(self) -> None:
        if not self._flow_level:
            if not self._key_allowed:
                self._cursor.fail("mapping keys are not allowed in this context")
            self._roll(self._cursor.column, tokens.BlockMappingStartToken, self._cursor.mark())
        self._drop_key()
        self._key_allowed = not self._flow_level
        start = self._cursor.mark()
        self._cursor.take()
        self._add(tokens.KeyToken, start)

    def _fetch_value(self) -> None:
        key = self._key
        if key is not None and key.mark.line == self._cursor.line:
            index = key.token_number - self._taken
            self._queue.insert(index, tokens.KeyToken(key.mark, key.mark))
            self._roll(key.mark.column, tokens.BlockMappingStartToken, key.mark, index)
            self._key = None
            self._key_allowed = False
        else:
            if not self._flow_level:
                if not self._key_allowed:
                    self._cursor.fail("mapping values are not allowed in this context")
                self._roll(self._cursor.column, tokens.BlockMappingStartToken, self._cursor.mark())
            self._key_allowed = not self._flow_level
        start = self._cursor.mark()
        self._cursor.take()
        self._add(tokens.ValueToken, start)
