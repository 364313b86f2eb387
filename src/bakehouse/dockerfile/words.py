"""The word lexer: quotes, escapes and variables of Dockerfile words (dockerfile.md §4).

It knows nothing of instructions. What an environment holds, and in which order, is the lowering's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.dockerfile.shellpattern import ShellPattern, reverse_pattern
from bakehouse.go.text import REPLACEMENT, SPACES, quote, replace_invalid
from bakehouse.lazy import regex
from bakehouse.values import dataclass, field

_SPECIAL_PARAMETERS = frozenset("@*#?-$!0")
#: Runs of characters that mean themselves, by escape character: those of a word, of a word that may end at a slash,
#: and of a double-quoted text.
_WORD_RUNS = {escape: regex(rf"""[^$<'"}}{SPACES}{escape * 2}]+""") for escape in "\\`"}
_PATTERN_RUNS = {escape: regex(rf"""[^$<'"}}/{SPACES}{escape * 2}]+""") for escape in "\\`"}
_QUOTED_RUNS = {escape: regex(rf"""[^$"{escape * 2}]+""") for escape in "\\`"}
_HEREDOC_BLANKS = "\t\r "


class EnvGetter(Protocol):
    """What words are expanded with. A `Mapping[str, str]` is one."""

    def get(self, name: str, /) -> str | None: ...

    def keys(self) -> Iterable[str]: ...


@dataclass(frozen=True, slots=True)
class WordResult:
    """`text` is the whole input expanded; `words` the same split at unquoted blanks. `matched` and
    `unmatched` name the variables that were looked up and found, or not found."""

    text: str
    words: tuple[str, ...] = ()
    matched: set[str] = field(default_factory=set)
    unmatched: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class ShellLexer:
    """Expands words with a given escape character.

    `raw_quotes` and `raw_escapes` keep quotes and escape characters in the result, `skip_process_quotes`
    treats quotes as ordinary text, `skip_unset_env` leaves variables alone that are not set. Errors are
    `DockerfileError`s that begin `failed to process "<input>": `.
    """

    escape: str = "\\"
    raw_quotes: bool = False
    raw_escapes: bool = False
    skip_process_quotes: bool = False
    skip_unset_env: bool = False

    def process_word(self, text: str, env: EnvGetter) -> WordResult:
        """Expands `text` as one word: blanks stay."""
        scanner = _Scanner(self, text, env)
        try:
            expanded, words = scanner.run("", self.raw_escapes)
        except _LexError as error:
            raise WordError(f"failed to process {quote(text)}: {error}", scanner.unmatched) from None
        except RecursionError:
            raise DockerfileError(
                f"failed to process {quote(text)}: substitutions are nested too deeply", code="word-expansion"
            ) from None
        return WordResult(expanded, tuple(words), scanner.matched, scanner.unmatched)

    def process_words(self, text: str, env: EnvGetter) -> list[str]:
        """Expands `text` and splits it at blanks that are not quoted, those that came out of variables
        included."""
        return list(self.process_word(text, env).words)


class WordError(DockerfileError):
    """A word that cannot be expanded. `unmatched` are the variables looked up before that, and not found."""

    default_code = "word-expansion"

    def __init__(self, message: str, unmatched: set[str]) -> None:
        super().__init__(message)
        self.unmatched = unmatched


class _LexError(Exception):
    """What is wrong with a word; the message is completed with the word by `ShellLexer`."""


class _Words:
    """Collects words while the lexer runs. The buffer is shared with the substitutions inside `${…}`."""

    __slots__ = ("buffer", "in_word", "words")

    def __init__(self, buffer: list[str]) -> None:
        self.buffer = buffer
        self.words: list[str] = []
        self.in_word = False

    def add(self, text: str) -> None:
        for char in text:
            if char not in SPACES:
                self.add_raw(char)
            elif self.in_word:
                self._flush()

    def add_raw(self, text: str) -> None:
        if text:
            self.buffer.append(text)
        self.in_word = True

    def _flush(self) -> None:
        if self.buffer:
            self.words.append("".join(self.buffer))
            self.buffer.clear()
            self.in_word = False

    def finish(self) -> list[str]:
        self._flush()
        return self.words


class _Scanner:
    """One pass over one text. `peek` and `next` give the empty string at the end."""

    def __init__(self, lexer: ShellLexer, text: str, env: EnvGetter) -> None:
        self._lexer = lexer
        self._text = replace_invalid(text).removeprefix("\ufeff")
        self._position = 0
        self._env = env
        self._raw_escapes = lexer.raw_escapes
        self._word_buffer: list[str] = []
        self.matched: set[str] = set()
        self.unmatched: set[str] = set()

    def peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def next(self) -> str:
        char = self._text[self._position : self._position + 1]
        self._position += len(char)
        return char

    def run(self, stop: str, raw_escapes: bool) -> tuple[str, list[str]]:
        """Expands up to the character `stop` (consumed), or to the end when it is empty."""
        saved, self._raw_escapes = self._raw_escapes, raw_escapes
        try:
            return self._run(stop)
        finally:
            self._raw_escapes = saved

    def _run(self, stop: str) -> tuple[str, list[str]]:
        result: list[str] = []
        # BuildKit's words share one buffer, so that a substitution inside a word drops what the word held so
        # far. Only EXPOSE and here-document names are split like this.
        self._word_buffer.clear()
        words = _Words(self._word_buffer)
        quotes = not self._lexer.skip_process_quotes
        runs = (_PATTERN_RUNS if stop == "/" else _WORD_RUNS)[self._lexer.escape]
        while char := self.peek():
            if char == stop:
                self.next()
                return "".join(result), words.finish()
            run = runs.match(self._text, self._position)
            if run is not None:
                self._position = run.end()
                piece = run[0]
                words.add_raw(piece)
            elif char == "$":
                piece = self._dollar()
                words.add(piece)
            elif char == "<":
                piece = self._possible_heredoc()
                words.add_raw(piece)
            elif quotes and char == "'":
                piece = self._single_quoted()
                words.add_raw(piece)
            elif quotes and char == '"':
                piece = self._double_quoted()
                words.add_raw(piece)
            else:
                piece = self._plain(words)
            result.append(piece)
        if stop:
            raise _LexError(f"unexpected end of statement while looking for matching {stop}")
        return "".join(result), words.finish()

    def _plain(self, words: _Words) -> str:
        """One ordinary character, or an escape and the character that it protects."""
        char = self.next()
        if char != self._lexer.escape:
            words.add(char)
            return char
        kept = char if self._raw_escapes else ""
        escaped = self.next()
        if kept:
            words.add_raw(kept)
        if escaped:
            words.add_raw(escaped)
        return kept + escaped

    def _single_quoted(self) -> str:
        self.next()
        end = self._text.find("'", self._position)
        if end < 0:
            self._position = len(self._text)
            raise _LexError("unexpected end of statement while looking for matching single-quote")
        content = self._text[self._position : end]
        self._position = end + 1
        return f"'{content}'" if self._lexer.raw_quotes else content

    def _double_quoted(self) -> str:
        mark = self.next() if self._lexer.raw_quotes else self.next()[:0]
        result = [mark]
        escape = self._lexer.escape
        runs = _QUOTED_RUNS[escape]
        while True:
            run = runs.match(self._text, self._position)
            if run is not None:
                self._position = run.end()
                result.append(run[0])
            char = self.peek()
            if not char:
                raise _LexError("unexpected end of statement while looking for matching double-quote")
            if char == '"':
                self.next()
                result.append(mark)
                return "".join(result)
            if char == "$":
                result.append(self._dollar())
                continue
            self.next()
            if char == escape:
                if self._raw_escapes:
                    result.append(char)
                follower = self.peek()
                if not follower:
                    continue
                if follower in ('"', "$", escape):
                    char = self.next()
            result.append(char)

    def _possible_heredoc(self) -> str:
        """`<<` with the blanks behind it, which then do not end the word; or a lone `<`."""
        self.next()
        if self.peek() != "<":
            return "<"
        start = self._position
        self.next()
        while (char := self.peek()) and char in _HEREDOC_BLANKS:
            self.next()
        return "<" + self._text[start : self._position]

    def _dollar(self) -> str:
        self.next()
        if self.peek() != "{":
            name = self._name()
            if not name:
                return "$"
            value = self._get(name)
            if value is None and self._lexer.skip_unset_env:
                return "$" + name
            return value or ""
        self.next()
        return self._braced()

    def _braced(self) -> str:
        """`${…}` after its opening brace."""
        first = self.peek()
        if not first:
            raise _LexError("syntax error: missing '}'")
        if first in "{}:":
            raise _LexError("syntax error: bad substitution")
        name = self._name()
        operator = self.next()
        if operator == "}":
            value = self._get(name)
            if value is None and self._lexer.skip_unset_env:
                return f"${{{name}}}"
            return value or ""
        if operator == "/":
            return self._replacement(name)
        shown = operator or REPLACEMENT
        null_is_unset = operator == ":"
        if null_is_unset:
            operator = self.next()
            shown += operator or REPLACEMENT
        elif operator not in ("+", "-", "?", "#", "%"):
            raise _LexError(f"unsupported modifier ({shown}) in substitution")
        return self._modified(name, operator, shown, null_is_unset)

    def _modified(self, name: str, operator: str, shown: str, null_is_unset: bool) -> str:
        strips = operator in ("#", "%")
        if null_is_unset and strips:
            raise _LexError(f"unsupported modifier ({shown}) in substitution")
        word = self._operand("}", strips, "syntax error: missing '}'")
        value = self._get(name)
        if value is None and self._lexer.skip_unset_env:
            return f"${{{name}{shown}{word}}}"
        missing = value is None or (null_is_unset and value == "")
        if operator == "-":
            return word if missing else value or ""
        if operator == "+":
            return "" if missing else word
        if operator == "?":
            if missing:
                reason = "is not allowed to be unset" if value is None else "is not allowed to be empty"
                raise _LexError(f"{name}: {word or reason}")
            return value or ""
        if strips:
            return _strip(operator, word, value or "")
        raise _LexError(f"unsupported modifier ({shown}) in substitution")

    def _replacement(self, name: str) -> str:
        """`${name/pattern/replacement}` after its first slash."""
        replace_all = self.peek() == "/"
        if replace_all:
            self.next()
        pattern = self._operand("/", True, "syntax error: missing '/' in ${}")
        replacement = self._operand("}", True, "syntax error: missing '}'")
        value = self._get(name)
        if value is None and self._lexer.skip_unset_env:
            return f"${{{name}/{pattern}/{replacement}}}"
        compiled = _compile(pattern)
        if replace_all:
            return compiled.replace_all(value or "", replacement)
        return compiled.replace_first(value or "", replacement)

    def _operand(self, stop: str, raw_escapes: bool, at_end: str) -> str:
        try:
            return self.run(stop, raw_escapes)[0]
        except _LexError:
            if not self.peek():
                raise _LexError(at_end) from None
            raise

    def _name(self) -> str:
        """A variable name: one special parameter, digits only, or letters, digits and underscores."""
        text, start = self._text, self._position
        first = self.peek()
        accept: Callable[[str], bool] = _is_name_char
        if first.isdecimal():
            accept = str.isdecimal
        elif first and first in _SPECIAL_PARAMETERS:
            return self.next()
        end = start
        while end < len(text) and accept(text[end]):
            end += 1
        self._position = end
        return text[start:end]

    def _get(self, name: str) -> str | None:
        value = self._env.get(name)
        (self.unmatched if value is None else self.matched).add(name)
        return value


def _is_name_char(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdecimal()


def _compile(pattern: str) -> ShellPattern:
    try:
        return ShellPattern(pattern)
    except ValueError as error:
        raise _LexError(f"invalid pattern ({pattern}) in substitution: {error}") from None


def _strip(operator: str, word: str, value: str) -> str:
    longest = word.startswith(operator)
    text = word[1:] if longest else word
    if operator == "#":
        return _compile(text).strip_prefix(value, longest=longest)
    return _compile(reverse_pattern(text)).strip_prefix(value[::-1], longest=longest)[::-1]
