"""Lines of a Dockerfile and the error that points at them. The lowest module of the room.

Errors of this room do not know the file's name; `to_diagnostics` gives them the name and the source text
where both are known (dockerfile.md §17.1).
"""

from __future__ import annotations

from collections.abc import Iterator

from bakehouse.diagnostics import Diagnostic, DiagnosticsError, Position, SourceRange, render_excerpt
from bakehouse.errors import DefinitionError
from bakehouse.values import dataclass


@dataclass(frozen=True, slots=True)
class LineRange:
    """The lines `first..last`, both included, counted from 1."""

    first: int
    last: int

    def __iter__(self) -> Iterator[int]:
        """The single line numbers: BuildKit's source maps hold one range a line."""
        return iter(range(self.first, self.last + 1))

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Place:
    """A character of a file: `line` and `column` from 1, columns in code points."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Word:
    """A word as written, quotes and escapes included, without continuations. `end` is behind its last character."""

    text: str
    start: Place
    end: Place


class DockerfileError(DefinitionError):
    """Something in a Dockerfile is wrong; `location` says where, when it is known, `further` what else takes part.
    `named` is the word of the instruction that is at fault, and `word` that word with its place.

    `str(error)` is the text that BuildKit prints.
    """

    default_code = "invalid-dockerfile"

    def __init__(
        self,
        message: str,
        *,
        location: LineRange | None = None,
        code: str | None = None,
        hint: str | None = None,
        further: tuple[LineRange, ...] = (),
        named: str = "",
        word: Word | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.location = location
        self.further = further
        self.named = named
        self.word = word

    def at(self, location: LineRange, *, prefix: str = "", word: Word | None = None) -> "DockerfileError":
        """The same error with `prefix` before its message, and `location` and `word` where it had none."""
        return DockerfileError(
            prefix + self.message,
            location=self.location or location,
            code=self.code,
            hint=self.hint,
            further=self.further,
            named=self.named,
            word=self.word or word,
        )


def bad_pattern() -> DockerfileError:
    """The error for a malformed pattern of a source or an ignore file."""
    return DockerfileError(
        "syntax error in pattern",
        code="bad-pattern",
        hint="Close every `[` and do not end a pattern with a backslash.",
    )


def to_diagnostics(error: DockerfileError, filename: str, text: str) -> DiagnosticsError:
    """`error` as the project's error for findings in a source file, with an excerpt of each place, and a hint where
    there is a general one. The message stays as it is."""
    subject = None
    if error.word is not None:
        subject = word_range(filename, text, error.word)
    elif error.location is not None:
        subject = line_range(filename, text, error.location)
    diagnostic = Diagnostic(error.message, subject=subject, code=error.code)
    result = DiagnosticsError([diagnostic], {filename: text}, message=error.message, code=error.code)
    result.hint = error.hint
    if result.hint is None and "(did you mean " not in error.message:
        from bakehouse.dockerfile.hints import hint_for

        result.hint = hint_for(error.code, error.message)
    if error.location is not None:
        places = list(dict.fromkeys((error.location, *error.further)))
        result.source_lines = tuple(sorted({number for place in places for number in place}))
        result.excerpt = "\n".join(render_excerpt(filename, text, each.first, each.last) for each in places)
    return result


def line_range(filename: str, text: str, location: LineRange) -> SourceRange:
    """The whole lines of `location` in `text`; lines that `text` does not have are clamped to its first or
    last."""
    lines = text.split("\n")
    first = max(1, min(location.first, len(lines)))
    last = max(first, min(location.last, len(lines)))
    start_byte = sum(_bytes(line) + 1 for line in lines[: first - 1])
    end_byte = start_byte + sum(_bytes(line) + 1 for line in lines[first - 1 : last]) - 1
    end_column = len(lines[last - 1]) + 1
    return SourceRange(filename, Position(first, 1, start_byte), Position(last, end_column, end_byte))


def word_range(filename: str, text: str, word: Word) -> SourceRange:
    """The range of `word` in `text`."""
    lines = text.removeprefix("\ufeff").split("\n")

    def position(place: Place) -> Position:
        before = sum(_bytes(line) + 1 for line in lines[: place.line - 1])
        return Position(place.line, place.column, before + _bytes(lines[place.line - 1][: place.column - 1]))

    return SourceRange(filename, position(word.start), position(word.end))


def _bytes(line: str) -> int:
    return len(line.encode("utf-8", "surrogateescape"))
