"""Tokens of the native syntax (hashicorp/hcl `hclsyntax/scan_tokens.rl`): a regular expression a mode, a stack
of modes.

Comments leave no token but the newline that they end with. A quoted string without escapes or template marks is one
`STRING` token instead of three, which is most of the speed; the parser knows. Findings about characters that occur in
no token are made here, those about the order of tokens in `parser`. On the start-up path.
"""

from __future__ import annotations

import re

from bakehouse.diagnostics import Diagnostic
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.hcl.source import Source

(
    EOF,
    NEWLINE,
    IDENT,
    NUMBER,
    STRING,  # a whole quoted string without escapes: `"abc"`
    OPEN_QUOTE,
    CLOSE_QUOTE,
    QUOTED_LITERAL,
    STRING_LITERAL,
    OPEN_HEREDOC,
    CLOSE_HEREDOC,
    TEMPLATE_INTERPOLATION,
    TEMPLATE_CONTROL,
    TEMPLATE_END,
    OPEN_BRACE,
    CLOSE_BRACE,
    OPEN_BRACKET,
    CLOSE_BRACKET,
    OPEN_PAREN,
    CLOSE_PAREN,
    DOT,
    COMMA,
    EQUAL,
    COLON,
    QUESTION,
    STAR,
    SLASH,
    PERCENT,
    PLUS,
    MINUS,
    LESS,
    GREATER,
    BANG,
    EQUAL_EQUAL,
    NOT_EQUAL,
    GREATER_EQUAL,
    LESS_EQUAL,
    AND,
    OR,
    DOUBLE_COLON,
    ELLIPSIS,
    FAT_ARROW,
    INVALID,
    BAD_UTF8,
    QUOTED_NEWLINE,
    BITWISE_AND,
    BITWISE_OR,
    BITWISE_NOT,
    BITWISE_XOR,
    SEMICOLON,
    BACKTICK,
    APOSTROPHE,
) = range(52)

_SYMBOLS = {
    "[": OPEN_BRACKET,
    "]": CLOSE_BRACKET,
    "(": OPEN_PAREN,
    ")": CLOSE_PAREN,
    ".": DOT,
    ",": COMMA,
    "=": EQUAL,
    ":": COLON,
    "?": QUESTION,
    "*": STAR,
    "/": SLASH,
    "%": PERCENT,
    "+": PLUS,
    "-": MINUS,
    "<": LESS,
    ">": GREATER,
    "!": BANG,
    "==": EQUAL_EQUAL,
    "!=": NOT_EQUAL,
    ">=": GREATER_EQUAL,
    "<=": LESS_EQUAL,
    "&&": AND,
    "||": OR,
    "::": DOUBLE_COLON,
    "...": ELLIPSIS,
    "=>": FAT_ARROW,
    "&": BITWISE_AND,
    "|": BITWISE_OR,
    "~": BITWISE_NOT,
    "^": BITWISE_XOR,
    ";": SEMICOLON,
    "`": BACKTICK,
    "'": APOSTROPHE,
}

# Groups of the main mode, in order: 1 identifier, 2 newline or comment ending in one, 3 plain string, 4
# symbol, 5 number,
# 6 open brace, 7 close brace, 8 quote, 9 heredoc start. What matches none goes to `_scan_other`.
_MAIN = regex(
    r"""[ \t]*(?:
    ([A-Za-z_][A-Za-z0-9_-]*+)(?![^\x00-\x7f])
  | (\r?\n|(?:\#|//)[^\n]*\n)
  | ("[^"\\$%\r\n\ud800-\udfff]*")
  | (==|=>|!=|>=|<=|&&|\|\||::|\.\.\.|[\[\]().,*%+\-=>!?:&|^;`']|<(?!<)|~(?!\}))
  | ([0-9](?:\.*(?:[0-9]|[eE][+-]?[0-9]))*)
  | (\{)
  | (\}|~\})
  | (")
    )""",
    re.VERBOSE,
)
# The other modes are compiled when they are first needed (and kept by `re` itself).
_QUOTED = r"""(\$\{~?) | (%\{~?) | (")
  | (\$\$\{~? | %%\{~? | [$%](?!\{)(?=[\s\S]) | (?:\\[^\r\n\ud800-\udfff] | [^\\"$%\r\n\ud800-\udfff])+)
  | ([\r\n]+)"""
_HEREDOC_START = r"<<(-?)([^\W\d][\w-]*|_[\w-]*)\r?\n"
_HEREDOC = r"""(\$\{~?) | (%\{~?)
  | ((?:\$\$\{~?|%%\{~?|[$%](?!\{)(?=[\s\S])|[^$%\r\n\ud800-\udfff]*)\r?\n)
  | (\$\$\{~? | %%\{~? | [$%](?!\{)(?=[\s\S]) | [^$%\r\n\ud800-\udfff]+)"""
_BARE = r"""(\$\{~?) | (%\{~?)
  | ((?:\$\$\{~?|%%\{~?|[$%](?!\{)(?=[\s\S])|[^$%\r\n\ud800-\udfff]*)(?:\r?\n)? )"""


class Tokens:
    """The tokens of a source as parallel lists: `kinds`, and the offsets `starts` and `ends`. The last one is EOF."""

    __slots__ = ("ends", "kinds", "source", "starts")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.kinds: list[int] = []
        self.starts: list[int] = []
        self.ends: list[int] = []

    def add(self, kind: int, start: int, end: int) -> None:
        self.kinds.append(kind)
        self.starts.append(start)
        self.ends.append(end)


def tokenize(source: Source, template: bool = False) -> tuple[Tokens, list[Diagnostic]]:
    """The tokens of a source, read as configuration or (`template`) as the inside of a template, and the findings about
    characters that may not occur."""
    scanner = _Scanner(source)
    if template:
        scanner.scan_bare_template()
    else:
        scanner.scan_main(0)
    tokens = scanner.tokens
    size = len(source.text)
    tokens.add(EOF, size, size)
    source.token_starts = tokens.starts
    return tokens, _check_invalid(tokens) if scanner.suspicious else []


class _Scanner:
    """The modes call each other: a string inside an interpolation inside a heredoc is three calls deep.

    `braces` counts open braces; an interpolation ends at the brace that returns to the level at which it began.
    """

    __slots__ = ("depth", "heredoc_at_line_start", "no_comment_end", "suspicious", "text", "tokens")

    def __init__(self, source: Source) -> None:
        self.text = source.text
        self.tokens = Tokens(source)
        self.suspicious = False
        self.no_comment_end = False
        self.depth = 0
        self.heredoc_at_line_start = True

    def scan_main(self, at: int, nested: bool = False) -> int:
        """Scan in the main mode from `at`; a `nested` scan ends behind the brace that closes the interpolation."""
        text, match, symbols = self.text, _MAIN.match, _SYMBOLS
        kinds, starts, ends = self.tokens.kinds, self.tokens.starts, self.tokens.ends
        braces = 0
        while True:
            found = match(text, at)
            if found is None:
                at = self._scan_other(at)
                if at < 0:
                    return len(text)
                continue
            group = found.lastindex or 0
            start, at = found.span(group)
            if group == 1:
                kinds.append(IDENT)
            elif group == 2:
                kinds.append(NEWLINE)
            elif group == 3:
                kinds.append(STRING)
            elif group == 4:
                kind = symbols[text[start:at]]
                if kind >= BITWISE_AND:
                    self.suspicious = True
                kinds.append(kind)
            elif group == 5:
                kinds.append(NUMBER)
            elif group == 6:
                braces += 1
                kinds.append(OPEN_BRACE)
            elif group == 7:
                if nested and braces == 0:
                    self.tokens.add(TEMPLATE_END, start, at)
                    return at
                braces -= 1
                kinds.append(CLOSE_BRACE if text[start] == "}" else TEMPLATE_END)
            else:
                self.tokens.add(OPEN_QUOTE, start, at)
                at = self._scan_quoted(at)
                continue
            starts.append(start)
            ends.append(at)

    def _scan_other(self, at: int) -> int:
        """What the pattern of the main mode leaves: identifiers outside ASCII, block comments, heredocs, `<`,
        `/`, what is no token at all. Gives the next offset, -1 at the end."""
        text = self.text
        while at < len(text) and text[at] in " \t":
            at += 1
        if at >= len(text):
            return -1
        char = text[at]
        if char == "#" or text.startswith("//", at):
            return len(text)  # a comment without a newline ends the text
        if char == "/":
            return self._scan_slash(at)
        if char == "<":
            heredoc = re.compile(_HEREDOC_START).match(text, at)
            if heredoc is not None and _identifier_end(text, heredoc.start(2)) == heredoc.end(2):
                return self._scan_heredoc(heredoc)
            kind, end = (LESS_EQUAL, at + 2) if text.startswith("<=", at) else (LESS, at + 1)
            self.tokens.add(kind, at, end)
            return end
        end = _identifier_end(text, at)
        if end > at:
            self.tokens.add(IDENT, at, end)
            return end
        self.suspicious = True
        self.tokens.add(BAD_UTF8 if "\ud800" <= char <= "\udfff" else INVALID, at, at + 1)
        return at + 1

    def _scan_slash(self, at: int) -> int:
        if self.text.startswith("/*", at) and not self.no_comment_end:
            end = self.text.find("*/", at + 2)
            if end >= 0:
                return end + 2
            self.no_comment_end = True
        self.tokens.add(SLASH, at, at + 1)
        return at + 1

    def _scan_template_part(self, kind: int, start: int, end: int) -> int:
        """An interpolation or directive whose opening mark is text[start:end]."""
        self.tokens.add(kind, start, end)
        self.depth += 1
        if self.depth > MAX_TEMPLATE_DEPTH:
            # Leave the rest as one invalid token: the parser then reports, and nothing overflows.
            self.suspicious = True
            self.tokens.add(INVALID, end, len(self.text))
            self.depth -= 1
            return len(self.text)
        at = self.scan_main(end, nested=True)
        self.depth -= 1
        return at

    def _scan_quoted(self, at: int) -> int:
        text, tokens = self.text, self.tokens
        match = re.compile(_QUOTED, re.VERBOSE).match
        while at < len(text):
            found = match(text, at)
            if found is None:
                at = self._scan_stray(at)
                continue
            group = found.lastindex
            start, at = at, found.end()
            if group == 4:
                tokens.add(QUOTED_LITERAL, start, at)
            elif group == 3:
                tokens.add(CLOSE_QUOTE, start, at)
                return at
            elif group == 5:
                self.suspicious = True
                tokens.add(QUOTED_NEWLINE, start, at)
            else:
                kind = TEMPLATE_INTERPOLATION if group == 1 else TEMPLATE_CONTROL
                at = self._scan_template_part(kind, start, at)
        return at

    def _scan_stray(self, at: int) -> int:
        """A character of a string that belongs to no token; a `$` or `%` at the end of the text is invalid too."""
        self.suspicious = True
        char = self.text[at]
        self.tokens.add(BAD_UTF8 if "\ud800" <= char <= "\udfff" else INVALID, at, at + 1)
        return at + 1

    def _scan_heredoc(self, opening: re.Match[str]) -> int:
        text, tokens = self.text, self.tokens
        marker = opening.group(2)
        tokens.add(OPEN_HEREDOC, opening.start(), opening.end())
        at = opening.end()
        line_start = True
        match = re.compile(_HEREDOC, re.VERBOSE).match
        while at < len(text):
            found = match(text, at)
            if found is None:
                return self._scan_broken_heredoc(at)
            group = found.lastindex
            start, at = at, found.end()
            if group == 3:
                if line_start and text[start:at].strip() == marker:
                    newline = at - (2 if text[at - 2] == "\r" else 1)
                    tokens.add(CLOSE_HEREDOC, start, newline)
                    tokens.add(NEWLINE, newline, at)
                    return at
                line_start = True
                tokens.add(STRING_LITERAL, start, at)
            elif group == 4:
                line_start = False
                tokens.add(STRING_LITERAL, start, at)
            else:
                line_start = False
                kind = TEMPLATE_INTERPOLATION if group == 1 else TEMPLATE_CONTROL
                at = self._scan_template_part(kind, start, at)
        return at

    def _scan_broken_heredoc(self, at: int) -> int:
        self.suspicious = True
        if "\ud800" <= self.text[at] <= "\udfff":
            self.tokens.add(BAD_UTF8, at, at + 1)
            at += 1
        # A lone carriage return (or a final `$`) has no place in a heredoc; nothing after it can be read.
        self.tokens.add(INVALID, at, len(self.text))
        return len(self.text)

    def scan_bare_template(self) -> None:
        """Scan the whole text as the inside of a template."""
        text, tokens = self.text, self.tokens
        at = 0
        match = re.compile(_BARE, re.VERBOSE).match
        while at < len(text):
            found = match(text, at)
            group = found.lastindex if found is not None else 0
            if found is None or found.end() == at:
                if not "\ud800" <= text[at] <= "\udfff":
                    # A final `$` or `%`, or a lone carriage return: what cannot be scanned is literal.
                    tokens.add(STRING_LITERAL, at, len(text))
                    return
                self.suspicious = True
                tokens.add(BAD_UTF8, at, at + 1)
                at += 1
                continue
            start, at = at, found.end()
            if group == 3:
                tokens.add(STRING_LITERAL, start, at)
            else:
                at = self._scan_template_part(
                    TEMPLATE_INTERPOLATION if group == 1 else TEMPLATE_CONTROL, start, at
                )


MAX_TEMPLATE_DEPTH = 100


def _identifier_end(text: str, at: int) -> int:
    """Where the identifier that begins at `at` ends; `at` itself if none does."""
    end = at
    while end < len(text):
        char = text[end]
        if char.isascii():
            if not (char.isalpha() or char == "_" or (end > at and (char.isdigit() or char == "-"))):
                break
        elif not _is_identifier_char(char, end == at):
            break
        end += 1
    return end


_OTHER_START = "\u1885\u1886\u2118\u212e\u309b\u309c"
_OTHER_CONTINUE = (
    "\u00b7\u0387\u1369\u136a\u136b\u136c\u136d\u136e\u136f\u1370\u1371\u19da\u200c\u200d\u30fb\uff65"
)


def _is_identifier_char(char: str, first: bool) -> bool:
    """Unicode's ID_Start and ID_Continue (UAX #31)."""
    import unicodedata

    category = unicodedata.category(char)
    if category in ("Lu", "Ll", "Lt", "Lm", "Lo", "Nl"):
        return char != "\u2e2f"
    if char in _OTHER_START:
        return True
    return not first and (category in ("Mn", "Mc", "Nd", "Pc") or char in _OTHER_CONTINUE)


def is_identifier(text: str) -> bool:
    """Whether the whole text is one identifier."""
    return text != "" and _identifier_end(text, 0) == len(text)


_SUGGESTIONS = {
    BITWISE_AND: ' Did you mean boolean AND ("&&")?',
    BITWISE_OR: ' Did you mean boolean OR ("||")?',
    BITWISE_NOT: ' Did you mean boolean NOT ("!")?',
    BITWISE_XOR: "",
}
_ONCE_CHARACTER = {
    SEMICOLON: (
        "Invalid character",
        'The ";" character is not valid. Use newlines to separate arguments and blocks, and commas to separate items '
        "in collection values.",
    ),
    BAD_UTF8: (
        "Invalid character encoding",
        "All input files must be UTF-8 encoded. Ensure that UTF-8 encoding is selected in your editor.",
    ),
}
_PAIRED_CHARACTER = {
    BACKTICK: (
        'The "`" character is not valid. To create a multi-line string, use the "heredoc" syntax, like "<<EOT".'
    ),
    APOSTROPHE: 'Single quotes are not valid. Use double quotes (") to enclose strings.',
}
_MULTI_LINE = (
    "Quoted strings may not be split over multiple lines. To produce a multi-line string, either use the \\n escape to "
    'represent a newline character or use the "heredoc" multi-line template syntax.'
)
_CURLY = (
    '"Curly quotes" are not valid here. These can sometimes be inadvertently introduced when sharing code via '
    "documents or discussion forums. It might help to replace the character with a "
    '"straight quote".'
)


def _check_invalid(tokens: Tokens) -> list[Diagnostic]:
    """Findings about tokens that no valid text has, without repeating each for ever."""
    source, found = tokens.source, []
    told: dict[int, int] = {}
    for index, kind in enumerate(tokens.kinds):
        if kind < INVALID:
            continue
        start, end = tokens.starts[index], tokens.ends[index]
        group = BITWISE_AND if kind in _SUGGESTIONS else kind
        count = told.get(group, 0)
        told[group] = count + 1
        summary, detail = "Invalid character", ""
        if kind in _SUGGESTIONS:
            if count < 4:
                summary = "Unsupported operator"
                detail = f"Bitwise operators are not supported.{_SUGGESTIONS[kind]}"
        elif kind in _PAIRED_CHARACTER:
            # Every second one, so that the end of a pair of quotes is not reported; none after the third.
            detail = _PAIRED_CHARACTER[kind] if count in (0, 2) else ""
        elif kind in _ONCE_CHARACTER:
            if count == 0:
                summary, detail = _ONCE_CHARACTER[kind]
        elif kind == QUOTED_NEWLINE:
            summary, detail = "Invalid multi-line string", _MULTI_LINE
        else:
            curly = source.text[start:end] in ("\u201c", "\u201d")
            detail = _CURLY if curly else "This character is not used within the language."
        if detail:
            found.append(Diagnostic(summary, detail, subject=source.range(start, end)))
    return found
