"""Where the words of an instruction stand: their ranges in the file, across continued lines (dockerfile.md §1.2, §1.3).

An instruction is one text joined of pieces of physical lines; a word of it has the range from where its first character
stands to behind its last one, with what the join left out (continuation marks, comments) in between.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from bakehouse.dockerfile.positions import Place, Word
from bakehouse.dockerfile.splitting import QUOTED_KEYWORDS, Node, flags_end
from bakehouse.go.text import SPACES
from bakehouse.lazy import regex

#: A string of a JSON array, or any other run of characters between blanks and punctuation.
_JSON_WORD = regex(r'"(?:[^"\\]|\\.)*"|[^\s\[\],"]+')


def words_of(node: Node) -> tuple[Word, ...]:
    """The keyword, the flags and the arguments of an instruction in order; those of here-documents are not among
    them. The arguments of shell forms are the words between blanks, quoted blanks included."""
    return tuple(_word(node, start, end) for start, end in _spans(node))


def find_word(node: Node, text: str) -> Word | None:
    """The first word of `node` that is `text`, as written or without its quotes."""
    for word in words_of(node):
        if text in (word.text, word.text.strip("\"'")):
            return word
    return None


def _word(node: Node, start: int, end: int) -> Word:
    last = _place(node, end - 1)
    return Word(node.original[start:end], _place(node, start), Place(last.line, last.column + 1))


def _place(node: Node, offset: int) -> Place:
    begun, line, column = node.pieces[bisect_right(node.pieces, offset, key=lambda piece: piece[0]) - 1]
    return Place(line, column + offset - begun)


def _spans(node: Node) -> Iterator[tuple[int, int]]:
    """Where the words begin and end in the joined text."""
    text, escape = node.original, node.escape
    position = _after_blanks(text, 0)
    end = _blank(text, position)
    yield position, end
    arguments = flags_end(text, end, escape)
    yield from _between_blanks(text, end, arguments, escape, quotes=True)
    if node.child is not None:
        inner = _after_blanks(text, arguments)
        for start, stop in _spans(node.child):
            yield inner + start, inner + stop
    elif node.is_json:
        for match in _JSON_WORD.finditer(text, arguments):
            yield match.start(), match.end()
    else:
        yield from _between_blanks(text, arguments, len(text), escape, quotes=node.command in QUOTED_KEYWORDS)


def _between_blanks(
    text: str, position: int, end: int, escape: str, *, quotes: bool
) -> Iterator[tuple[int, int]]:
    while (position := _after_blanks(text, position)) < end:
        stop = _quoted_end(text, position, end, escape) if quotes else min(_blank(text, position), end)
        yield position, stop
        position = stop


def _quoted_end(text: str, position: int, end: int, escape: str) -> int:
    """Behind the word at `position`, in which quoted and escaped blanks do not count."""
    quote = ""
    while position < end:
        char = text[position]
        if not quote and char in SPACES:
            break
        if char == escape and quote != "'":
            position += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        position += 1
    return min(position, end)


def _after_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in SPACES:
        position += 1
    return position


def _blank(text: str, position: int) -> int:
    while position < len(text) and text[position] not in SPACES:
        position += 1
    return position
