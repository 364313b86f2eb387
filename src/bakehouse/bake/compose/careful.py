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
from yaml.scanner import ScannerError

from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_END = "\0"
_BREAKS = "\r\n\x85\u2028\u2029"
_BLANKS = " \t"
_STOPS = _BLANKS + _BREAKS + _END
_COMMENTS = regex(
    r"#[^\r\n\x85\u2028\u2029\x00]*(?:[ \t\r\n\x85\u2028\u2029]{1,511}#[^\r\n\x85\u2028\u2029\x00]*)*"
)
_LINE = regex(r"[^\r\n\x85\u2028\u2029\x00]*")
_LINE_COMMENT = regex(r"[ \t]{0,511}#[^\r\n\x85\u2028\u2029\x00]*")
_DOCUMENT_MARK = regex(r"(---|\.\.\.)(?=[ \t\r\n\x85\u2028\u2029\x00])")
_NO_PLAIN_START = "-?:,[]{}#&*!|>'\"%@`"
_URI = regex(r"[0-9A-Za-z_\-;/?:@&=+$.!~*'()%]")
_VERBATIM_URI = regex(r"[0-9A-Za-z_\-;/?:@&=+$.!~*'()%,\[\]{}]")
_WORD = regex(r"[0-9A-Za-z_-]")
_ANCHOR = regex(r"[!-~]")
_FLOW = ",[]{}"
_AFTER_ANCHOR = _STOPS + "?:,]}%@`"
_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "\t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "'": "'",
    "\\": "\\",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_CODE_LENGTHS = {"x": 2, "u": 4, "U": 8}
_HEX_DIGITS = "0123456789abcdefABCDEF"
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


class Mark:
    """A place: line and column from zero."""

    __slots__ = ("column", "line")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column


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
        # Some more ends than one, so that looking ahead needs no care.
        self._text = text + _END * 4
        self._at = 0
        self._line = 0
        self._column = 0
        self._newlines = 0
        self._queue: list[Any] = [tokens.StreamStartToken(self._mark(), self._mark())]
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

    # Places and characters.

    def _mark(self) -> Mark:
        return Mark(self._line, self._column)

    def _peek(self, ahead: int = 0) -> str:
        return self._text[self._at + ahead]

    def _take(self, count: int = 1) -> str:
        """The next characters of this line."""
        taken = self._text[self._at : self._at + count]
        self._at += count
        self._column += count
        if taken.strip(_BLANKS):
            self._newlines = 0
        return taken

    def _take_line(self) -> str:
        """What is left of this line."""
        found = _LINE.match(self._text, self._at)
        return self._take(len(found.group())) if found is not None else ""

    def _take_break(self) -> str:
        """A line break, as it counts in text."""
        char = self._text[self._at]
        self._at += 2 if self._text.startswith("\r\n", self._at) else 1
        self._line += 1
        self._column = 0
        self._newlines += 1
        return char if char in "\u2028\u2029" else "\n"

    def _take_comments(self, text: str) -> None:
        """Comments with the breaks between them."""
        end = self._at + len(text)
        while self._at < end:
            if self._peek() in _BREAKS:
                self._take_break()
            else:
                self._take()

    def _fail(self, problem: str, context: str | None = None, start: Mark | None = None) -> NoReturn:
        raise ScannerError(context, start, problem, self._mark())  # type: ignore[arg-type]

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
        self._queue.append(kind(*values, start, self._mark()))

    def _fetch(self) -> None:
        self._skip_to_token()
        self._unroll(self._column)
        char = self._peek()
        if char == _END:
            self._fetch_stream_end()
        elif self._column == 0 and char == "%":
            self._fetch_directive()
        elif self._column == 0 and _DOCUMENT_MARK.match(self._text, self._at):
            self._fetch_document_mark()
        else:
            self._fetch_content(char)
            last = self._queue[-1] if self._queue else self._last
            if not isinstance(last, tokens.BlockEntryToken):
                self._skip_line_comment()

    def _fetch_content(self, char: str) -> None:
        blank_follows = self._peek(1) in _STOPS
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
            self._fetch_anchor(char)
        elif char == "!":
            self._start_scalar()
            self._fetch_tag()
        elif char in "|>" and not self._flow_level:
            self._drop_key()
            self._key_allowed = True
            self._fetch_block_scalar(char)
        elif char in "'\"":
            self._start_scalar()
            self._fetch_quoted(char)
        elif self._begins_plain(char):
            self._start_scalar()
            self._fetch_plain()
        else:
            self._fail(
                "found character that cannot start any token",
                "while scanning for the next token",
                self._mark(),
            )

    def _begins_plain(self, char: str) -> bool:
        if char == "-":
            return self._peek(1) not in _BLANKS
        if char in "?:":
            return self._peek(1) not in _STOPS
        return char not in _STOPS and char not in _NO_PLAIN_START

    def _after_flow_entry(self) -> bool:
        last = self._queue[-1] if self._queue else self._last
        return isinstance(last, (tokens.FlowEntryToken, tokens.FlowSequenceStartToken))

    def _skip_to_token(self) -> None:
        while True:
            while self._peek() == " " or (
                self._peek() == "\t" and (self._flow_level or not self._key_allowed)
            ):
                self._take()
            if self._peek() == "#":
                found = _COMMENTS.match(self._text, self._at)
                assert found is not None
                self._take_comments(found.group())
            if self._peek() not in _BREAKS:
                return
            self._take_break()
            if not self._flow_level:
                self._key_allowed = True

    def _skip_line_comment(self) -> None:
        found = None if self._newlines else _LINE_COMMENT.match(self._text, self._at)
        if found is not None:
            self._take_comments(found.group())

    # Keys and indentation.

    def _start_scalar(self) -> None:
        """What follows may be a key, and no key may follow it."""
        self._save_key()
        self._key_allowed = False

    def _save_key(self) -> None:
        if self._key_allowed:
            self._drop_key()
            required = not self._flow_level and self._indent == self._column
            self._key = _Key(self._mark(), self._taken + len(self._queue), self._flow_level, required)

    def _drop_key(self) -> None:
        if self._key is not None and self._key.required:
            self._fail("could not find expected ':'", "while scanning a simple key", self._key.mark)
        self._key = None

    def _roll(self, column: int, kind: Any, mark: Mark, index: int | None = None) -> None:
        if self._flow_level or self._indent >= column:
            return
        self._indents.append(self._indent)
        self._indent = column
        if len(self._indents) > _MAX_DEPTH:
            start = Mark(0, 0) if self._key is None else self._key.mark
            self._fail(f"exceeded max depth of {_MAX_DEPTH}", "while increasing indent level", start)
        self._queue.insert(len(self._queue) if index is None else index, kind(mark, mark))

    def _unroll(self, column: int) -> None:
        while not self._flow_level and self._indent > column:
            mark = self._mark()
            self._queue.append(tokens.BlockEndToken(mark, mark))
            self._indent = self._indents.pop()

    # One method a token.

    def _fetch_stream_end(self) -> None:
        if self._column:
            self._column = 0
            self._line += 1
        self._unroll(-1)
        self._drop_key()
        self._outer_keys = []
        self._key_allowed = False
        self._add(tokens.StreamEndToken, self._mark())
        self._done = True

    def _fetch_document_mark(self) -> None:
        self._unroll(-1)
        self._drop_key()
        self._key_allowed = False
        start = self._mark()
        kind = tokens.DocumentStartToken if self._take(3) == "---" else tokens.DocumentEndToken
        self._add(kind, start)

    def _fetch_flow_start(self, char: str) -> None:
        self._save_key()
        self._flow_level += 1
        if self._flow_level > _MAX_DEPTH:
            start = Mark(0, 0) if self._key is None else self._key.mark
            self._fail(f"exceeded max depth of {_MAX_DEPTH}", "while increasing flow level", start)
        if self._key is not None:
            self._outer_keys.append(self._key)
        self._key = None
        self._key_allowed = True
        start = self._mark()
        self._take()
        self._add(tokens.FlowSequenceStartToken if char == "[" else tokens.FlowMappingStartToken, start)

    def _fetch_flow_end(self, char: str) -> None:
        self._drop_key()
        if self._flow_level:
            self._flow_level -= 1
            if self._outer_keys and self._outer_keys[-1].flow_level == self._flow_level:
                self._key = self._outer_keys.pop()
        self._key_allowed = False
        start = self._mark()
        self._take()
        self._add(tokens.FlowSequenceEndToken if char == "]" else tokens.FlowMappingEndToken, start)

    def _fetch_flow_entry(self) -> None:
        self._drop_key()
        self._key_allowed = True
        start = self._mark()
        self._take()
        self._add(tokens.FlowEntryToken, start)

    def _fetch_block_entry(self) -> None:
        if not self._flow_level:
            if not self._key_allowed:
                self._fail("block sequence entries are not allowed in this context")
            self._roll(self._column, tokens.BlockSequenceStartToken, self._mark())
        self._drop_key()
        self._key_allowed = True
        start = self._mark()
        self._take()
        self._add(tokens.BlockEntryToken, start)

    def _fetch_key(self) -> None:
        if not self._flow_level:
            if not self._key_allowed:
                self._fail("mapping keys are not allowed in this context")
            self._roll(self._column, tokens.BlockMappingStartToken, self._mark())
        self._drop_key()
        self._key_allowed = not self._flow_level
        start = self._mark()
        self._take()
        self._add(tokens.KeyToken, start)

    def _fetch_value(self) -> None:
        key = self._key
        if key is not None and key.mark.line == self._line:
            index = key.token_number - self._taken
            self._queue.insert(index, tokens.KeyToken(key.mark, key.mark))
            self._roll(key.mark.column, tokens.BlockMappingStartToken, key.mark, index)
            self._key = None
            self._key_allowed = False
        else:
            if not self._flow_level:
                if not self._key_allowed:
                    self._fail("mapping values are not allowed in this context")
                self._roll(self._column, tokens.BlockMappingStartToken, self._mark())
            self._key_allowed = not self._flow_level
        start = self._mark()
        self._take()
        self._add(tokens.ValueToken, start)

    def _fetch_anchor(self, char: str) -> None:
        start = self._mark()
        self._take()
        name = ""
        while _ANCHOR.match(self._peek()) and self._peek() not in _FLOW + ":":
            name += self._take()
        if not name or self._peek() not in _AFTER_ANCHOR:
            what = "an anchor" if char == "&" else "an alias"
            self._fail(
                "did not find expected alphabetic or numeric character", f"while scanning {what}", start
            )
        self._add(tokens.AnchorToken if char == "&" else tokens.AliasToken, start, name)

    def _fetch_tag(self) -> None:
        start = self._mark()
        handle: str | None = None
        if self._peek(1) == "<":
            self._take(2)
            suffix = self._tag_uri("", "while parsing a tag", start, verbatim=True)
            if self._peek() != ">":
                self._fail("did not find the expected '>'", "while scanning a tag", start)
            self._take()
        else:
            handle = self._tag_handle()
            if len(handle) > 1 and handle.endswith("!"):
                suffix = self._tag_uri("", "while parsing a tag", start)
            else:
                suffix = self._tag_uri(handle, "while parsing a tag", start)
                handle = "!"
                if not suffix:
                    handle, suffix = None, "!"
        if self._peek() not in _STOPS:
            self._fail("did not find expected whitespace or line break", "while scanning a tag", start)
        self._add(tokens.TagToken, start, (handle, suffix))

    def _tag_handle(self) -> str:
        handle = self._take()
        while _WORD.match(self._peek()):
            handle += self._take()
        return handle + self._take() if self._peek() == "!" else handle

    def _tag_uri(self, head: str, context: str, start: Mark, *, verbatim: bool = False) -> str:
        out = bytearray(head[1:].encode())
        found = bool(head)
        allowed = _VERBATIM_URI if verbatim else _URI
        while allowed.match(self._peek()):
            found = True
            if self._peek() == "%":
                out += self._octets(context, start)
            else:
                out += self._take().encode()
        char = self._peek()
        if not verbatim and char not in _STOPS and " " <= char <= "~":
            self._fail(f"found character '{char}' that is not allowed in a YAML tag", context, start)
        if not found:
            self._fail("did not find expected tag URI", context, start)
        return out.decode("utf-8", "replace")

    def _octets(self, context: str, start: Mark) -> bytes:
        """One character of a tag, written as `%XX` for each of its bytes."""
        out = bytearray()
        left = 1
        while left:
            digits = self._text[self._at + 1 : self._at + 3]
            if self._peek() != "%" or not all(digit in _HEX_DIGITS for digit in digits):
                self._fail("did not find URI escaped octet", context, start)
            octet = int(digits, 16)
            if not out:
                left = _width(octet)
                if not left:
                    self._fail("found an incorrect leading UTF-8 octet", context, start)
            elif octet & 0xC0 != 0x80:
                self._fail("found an incorrect trailing UTF-8 octet", context, start)
            out.append(octet)
            self._take(3)
            left -= 1
        return bytes(out)

    def _fetch_directive(self) -> None:
        self._unroll(-1)
        self._drop_key()
        self._key_allowed = False
        start = self._mark()
        context = "while scanning a directive"
        self._take()
        name = ""
        while _WORD.match(self._peek()):
            name += self._take()
        if not name:
            self._fail("could not find expected directive name", context, start)
        if self._peek() not in _STOPS:
            self._fail("found unexpected non-alphabetical character", context, start)
        value: Any
        if name == "YAML":
            value = self._version(start)
        elif name == "TAG":
            value = self._tag_prefix(start)
        else:
            self._fail("found unknown directive name", context, start)
        self._add(tokens.DirectiveToken, start, name, value)
        self._skip_blanks()
        if self._peek() == "#":
            self._take_line()
        if self._peek() not in _BREAKS + _END:
            self._fail("did not find expected comment or line break", context, start)
        if self._peek() in _BREAKS:
            self._take_break()

    def _skip_blanks(self) -> None:
        while self._peek() in _BLANKS:
            self._take()

    def _version(self, start: Mark) -> tuple[int, int]:
        self._skip_blanks()
        major = self._version_number(start)
        if self._peek() != ".":
            self._fail(
                "did not find expected digit or '.' character", "while scanning a %YAML directive", start
            )
        self._take()
        return major, self._version_number(start)

    def _version_number(self, start: Mark) -> int:
        context = "while scanning a %YAML directive"
        digits = ""
        while "0" <= self._peek() <= "9":
            if len(digits) == 2:
                self._fail("found extremely long version number", context, start)
            digits += self._take()
        if not digits:
            self._fail("did not find expected version number", context, start)
        return int(digits)

    def _tag_prefix(self, start: Mark) -> tuple[str, str]:
        context = "while scanning a %TAG directive"
        self._skip_blanks()
        if self._peek() != "!":
            self._fail("did not find expected '!'", "while parsing a %TAG directive", start)
        handle = self._tag_handle()
        if handle != "!" and not handle.endswith("!"):
            self._fail("did not find expected '!'", "while parsing a %TAG directive", start)
        if self._peek() not in _BLANKS:
            self._fail("did not find expected whitespace", context, start)
        self._skip_blanks()
        prefix = self._tag_uri("", "while parsing a %TAG directive", start, verbatim=True)
        if self._peek() not in _STOPS:
            self._fail("did not find expected whitespace or line break", context, start)
        return handle, prefix

    # Scalars.

    def _fetch_block_scalar(self, style: str) -> None:
        start = self._mark()
        self._take()
        chomping, increment = self._block_header(start)
        indent = max(self._indent, 0) + increment if increment else 0
        end = self._mark()
        indent, breaks, end = self._block_breaks(indent, start)
        out: list[str] = []
        leading = ""
        was_blank = False
        while self._column == indent and self._peek() != _END:
            blank = self._peek() in _BLANKS
            if style == ">" and leading == "\n" and not was_blank and not blank:
                out.append("" if breaks else " ")
            else:
                out.append(leading)
            out += breaks
            was_blank = blank
            out.append(self._take_line())
            leading = self._take_break() if self._peek() in _BREAKS else ""
            indent, breaks, end = self._block_breaks(indent, start)
        if chomping != "-":
            out.append(leading)
        if chomping == "+":
            out += breaks
        self._queue.append(tokens.ScalarToken("".join(out), False, start, end, style))

    def _block_header(self, start: Mark) -> tuple[str, int]:
        """How the end is cut, and the indentation if it is given."""
        context = "while scanning a block scalar"
        chomping = self._take() if self._peek() in "+-" else ""
        increment = 0
        if "0" <= self._peek() <= "9":
            if self._peek() == "0":
                self._fail("found an indentation indicator equal to 0", context, start)
            increment = int(self._take())
            if not chomping and self._peek() in "+-":
                chomping = self._take()
        self._skip_blanks()
        if self._peek() == "#":
            self._take_line()
        if self._peek() not in _BREAKS + _END:
            self._fail("did not find expected comment or line break", context, start)
        if self._peek() in _BREAKS:
            self._take_break()
        return chomping, increment

    def _block_breaks(self, indent: int, start: Mark) -> tuple[int, list[str], Mark]:
        """Empty lines and indentation: its depth (found out where `indent` is 0), the breaks, the last one's end."""
        breaks: list[str] = []
        end = self._mark()
        deepest = 0
        while True:
            while (not indent or self._column < indent) and self._peek() == " ":
                self._take()
            deepest = max(deepest, self._column)
            if (not indent or self._column < indent) and self._peek() == "\t":
                self._fail(
                    "found a tab character where an indentation space is expected",
                    "while scanning a block scalar",
                    start,
                )
            if self._peek() not in _BREAKS:
                break
            breaks.append(self._take_break())
            end = self._mark()
        return indent or max(deepest, self._indent + 1, 1), breaks, end

    def _fetch_quoted(self, quote: str) -> None:
        context = "while scanning a quoted scalar"
        start = self._mark()
        self._take()
        out: list[str] = []
        while True:
            if self._column == 0 and _DOCUMENT_MARK.match(self._text, self._at):
                self._fail("found unexpected document indicator", context, start)
            if self._peek() == _END:
                self._fail("found unexpected end of stream", context, start)
            escaped_break = self._quoted_word(quote, out, start)
            if self._peek() == quote:
                break
            out.append(self._folded(escaped_break))
        self._take()
        self._add_scalar("".join(out), False, start, quote)

    def _add_scalar(self, text: str, plain: bool, start: Mark, style: str | None) -> None:
        self._queue.append(tokens.ScalarToken(text, plain, start, self._mark(), style))

    def _quoted_word(self, quote: str, out: list[str], start: Mark) -> bool:
        """Text up to a blank or the closing quote; True when a break that counts for nothing ended it."""
        while (char := self._peek()) not in _STOPS:
            if char == quote:
                if quote == '"' or self._peek(1) != quote:
                    break
                self._take(2)
                out.append(quote)
            elif quote == '"' and char == "\\":
                if self._peek(1) in _BREAKS:
                    self._take()
                    self._take_break()
                    return True
                out.append(self._escape(start))
            else:
                out.append(self._take())
        return False

    def _escape(self, start: Mark) -> str:
        context = "while scanning a quoted scalar"
        char = self._peek(1)
        if char in _ESCAPES:
            self._take(2)
            return _ESCAPES[char]
        length = _CODE_LENGTHS.get(char)
        if length is None:
            self._fail("found unknown escape character", context, start)
        self._take(2)
        digits = self._text[self._at : self._at + length]
        if not all(digit in _HEX_DIGITS for digit in digits):
            self._fail("did not find expected hexadecimal number", context, start)
        code = int(digits, 16)
        if 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
            self._fail("found invalid Unicode character escape code", context, start)
        self._take(length)
        return chr(code)

    def _folded(self, escaped_break: bool = False) -> str:
        """Blanks and breaks between two words, as they count. After an escaped break only further ones do."""
        begin = self._at
        while self._peek() in _BLANKS + _BREAKS:
            if self._peek() in _BREAKS:
                self._take_break()
            else:
                self._take()
        space = self._text[begin : self._at]
        return "".join(_breaks_of(space)) if escaped_break else _fold(space)

    def _fetch_plain(self) -> None:
        start = self._mark()
        end = start
        out: list[str] = []
        indent = self._indent + 1
        between = ""
        behind_break = False
        while True:
            at_mark = self._column == 0 and _DOCUMENT_MARK.match(self._text, self._at)
            if at_mark or self._peek() == "#":
                break
            word = self._plain_word()
            if word:
                out += (between, word)
                behind_break = False
                end = self._mark()
            if self._peek() not in _BLANKS + _BREAKS:
                break
            line = self._line
            between = self._plain_folded(start, indent)
            behind_break = behind_break or self._line != line
            if not self._flow_level and self._column < indent:
                break
        self._queue.append(tokens.ScalarToken("".join(out), True, start, end))
        if behind_break:
            self._key_allowed = True

    def _plain_word(self) -> str:
        word = ""
        while (char := self._peek()) not in _STOPS:
            if char == ":" and self._peek(1) in _STOPS:
                break
            if self._flow_level and (char in _FLOW or (char == "?" and self._peek(1) in _STOPS)):
                break
            word += self._take()
        return word

    def _plain_folded(self, start: Mark, indent: int) -> str:
        begin, line = self._at, self._line
        while self._peek() in _BLANKS + _BREAKS:
            if self._peek() in _BREAKS:
                self._take_break()
            elif self._line != line and self._column < indent and self._peek() == "\t":
                self._fail(
                    "found a tab character that violates indentation", "while scanning a plain scalar", start
                )
            else:
                self._take()
        return _fold(self._text[begin : self._at])


def _fold(space: str) -> str:
    """What blanks and breaks between two words count for."""
    breaks = _breaks_of(space)
    if not breaks:
        return space
    if breaks[0] != "\n":
        return "".join(breaks)
    return "".join(breaks[1:]) or " "


def _breaks_of(space: str) -> list[str]:
    """The line breaks in it, as they count in text."""
    return [
        char if char in "\u2028\u2029" else "\n" for char in space.replace("\r\n", "\n") if char in _BREAKS
    ]


def _width(octet: int) -> int:
    """How many bytes the character has that begins with this one; 0 if none does."""
    if octet < 0x80:
        return 1
    for width, mask, bits in ((2, 0xE0, 0xC0), (3, 0xF0, 0xE0), (4, 0xF8, 0xF0)):
        if octet & mask == bits:
            return width
    return 0
