"""A Dockerfile's text to nodes: lines, continuations, comments, here-documents, flags and the splitting of
arguments (dockerfile.md §1, §2).

A node holds strings; what they mean is `instruction_parser`. Errors are `DockerfileError`s with the lines
concerned and, as in BuildKit, without the prefix `dockerfile parse error`, which belongs to the next phase.
"""

from __future__ import annotations

from bakehouse.dockerfile.directives import ESCAPE, MAX_LINE_BYTES, Directive, DirectiveReader, too_long
from bakehouse.dockerfile.heredoc import Heredoc, heredocs_of_line
from bakehouse.dockerfile.positions import DockerfileError, LineRange
from bakehouse.dockerfile.splitting import Node, parse_node
from bakehouse.go.text import SPACES
from bakehouse.lazy import regex
from bakehouse.values import dataclass, replace

_CONTINUATIONS = {
    "\\": regex(r"([^\\])\\[ \t]*\Z|\A\\[ \t]*\Z"),
    "`": regex(r"([^`])`[ \t]*\Z|\A`[ \t]*\Z"),
}
_HEREDOC_COMMANDS = frozenset(("add", "copy", "run"))


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The nodes of a file in order. `empty_continuations` are the last lines of instructions that hold blank
    lines."""

    nodes: tuple[Node, ...]
    escape: str
    directives: tuple[Directive, ...]
    empty_continuations: tuple[int, ...]


def parse_nodes(text: str) -> ParsedFile:
    """Parses a whole file (bytes that are not UTF-8 as `surrogateescape`). Raises `DockerfileError`."""
    return _Reader(text).read()


class _Lines:
    """The physical lines of a text with their ends. Reading stops before a line that is too long."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._has_final_end = self._lines[-1] == ""
        if self._has_final_end:
            self._lines.pop()
        self._index = 0
        self.stopped_by_length = False

    def next(self) -> str | None:
        if self.stopped_by_length or self._index == len(self._lines):
            return None
        line = self._lines[self._index]
        if too_long(line):
            self.stopped_by_length = True
            return None
        self._index += 1
        ended = self._has_final_end or self._index < len(self._lines)
        return line + "\n" if ended else line


class _Reader:
    """One pass over one file. `_line` is the number of the physical line read last."""

    def __init__(self, text: str) -> None:
        self._lines = _Lines(text)
        self._line = 0
        self._escape = "\\"
        self._directive_reader = DirectiveReader()
        self._directives: list[Directive] = []
        self._comments: list[str] = []
        self._empty_continuations: list[int] = []
        self._nodes: list[Node] = []

    def read(self) -> ParsedFile:
        while (line := self._lines.next()) is not None:
            self._read_instruction(line.removeprefix("\ufeff") if self._line == 0 else line)
        if not self._nodes:
            raise DockerfileError(
                "file with no instructions",
                location=LineRange(self._line, self._line),
                code="no-instructions",
            )
        if self._lines.stopped_by_length:
            raise DockerfileError(
                f"dockerfile line greater than max allowed size of {MAX_LINE_BYTES}",
                location=LineRange(self._line, self._line),
                code="line-too-long",
            )
        return ParsedFile(
            tuple(self._nodes), self._escape, tuple(self._directives), tuple(self._empty_continuations)
        )

    def _read_instruction(self, first: str) -> None:
        """Reads one blank line, comment or instruction, of which `first` is the first physical line."""
        self._note_comment(first)
        whole = first.rstrip("\r\n")
        line = whole.lstrip(SPACES)
        indent = len(whole) - len(line)
        if self._read_directive(line):
            self._comments.pop()
        self._line += 1
        start = self._line
        if _is_comment(line):
            line = ""
        line, ends = self._strip_continuation(line)
        if ends and not line:
            return
        text, pieces = self._join_continuations(line, ends, indent)
        try:
            node = parse_node(text, self._escape, tuple(self._comments))
            heredocs = heredocs_of_line(text) if "<<" in text and _may_hold_heredocs(node) else []
        except DockerfileError as error:
            raise error.at(LineRange(start, self._line)) from None
        except RecursionError:  # thousands of ONBUILDs, each inside the one before
            raise DockerfileError(
                "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
                location=LineRange(start, self._line),
                code="invalid-trigger",
            ) from None
        bodies = tuple(self._read_heredoc(heredoc, start) for heredoc in heredocs)
        self._nodes.append(
            replace(node, heredocs=bodies, location=LineRange(start, self._line), pieces=pieces)
        )
        self._comments = []

    def _note_comment(self, line: str) -> None:
        """Collects doc comments: the first byte goes, be it the `#` or (a part of) a blank before it."""
        if not _is_comment(line):
            return
        rest_of_first = line[0].encode()[1:].decode("utf-8", "surrogateescape")
        comment = (rest_of_first + line[1:]).strip(SPACES)
        if comment:
            self._comments.append(comment)
        else:
            self._comments = []

    def _read_directive(self, line: str) -> bool:
        if self._directive_reader.done:
            return False
        # A wrong directive is reported one line early: BuildKit counts the line only after it has looked at
        # it.
        location = LineRange(self._line, self._line)
        try:
            directive = self._directive_reader.read(line)
        except DockerfileError as error:
            raise error.at(location) from None
        if directive is None:
            return False
        if directive.name == ESCAPE:
            if directive.value not in _CONTINUATIONS:
                raise DockerfileError(
                    f"invalid escape token '{directive.value}' does not match ` or \\",
                    location=location,
                    code="invalid-escape-token",
                )
            self._escape = directive.value
        self._directives.append(directive)
        return True

    def _strip_continuation(self, line: str) -> tuple[str, bool]:
        """The line without its continuation mark, and whether the instruction ends here."""
        match = _CONTINUATIONS[self._escape].search(line)
        if match is None:
            return line, True
        return line[: match.start()] + (match[1] or ""), False

    def _join_continuations(
        self, line: str, ends: bool, indent: int
    ) -> tuple[str, tuple[tuple[int, int, int], ...]]:
        """The text of an instruction, and the pieces of lines that it is made of (`Node.pieces`)."""
        parts = [line]
        pieces = [(0, self._line, indent + 1)]
        length = len(line)
        has_blank_line = False
        while not ends:
            following = self._lines.next()
            if following is None:
                break
            following = following.rstrip("\r\n")
            self._line += 1
            if _is_comment(following):
                continue
            if not following.strip(SPACES):
                has_blank_line = True
                continue
            following, ends = self._strip_continuation(following)
            parts.append(following)
            pieces.append((length, self._line, 1))
            length += len(following)
        if has_blank_line:
            self._empty_continuations.append(self._line)
        return "".join(parts), tuple(pieces)

    def _read_heredoc(self, heredoc: Heredoc, start: int) -> Heredoc:
        body: list[str] = []
        while (line := self._lines.next()) is not None:
            self._line += 1
            candidate = line.rstrip("\r\n")
            if heredoc.chomp:
                candidate = candidate.lstrip("\t")
            if candidate == heredoc.name:
                return replace(heredoc, content="".join(body))
            body.append(line)
        raise DockerfileError(
            "unterminated heredoc",
            location=LineRange(start, self._line),
            code="unterminated-heredoc",
            hint=f"Write a line that holds only {heredoc.name} below the text.",
        )


def _is_comment(line: str) -> bool:
    return line.lstrip(SPACES).startswith("#")


def _may_hold_heredocs(node: Node) -> bool:
    """Whether `<<` means anything to this instruction. ONBUILD asks the instruction inside it."""
    if node.command == "onbuild" and node.child is not None:
        node = node.child
    return node.command in _HEREDOC_COMMANDS and not node.is_json
