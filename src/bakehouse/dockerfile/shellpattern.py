"""Shell patterns of `${name#pattern}` and its relatives: `*`, `?` and literal characters (dockerfile.md
§4.2).

A pattern is a tiny automaton whose states are the bits of one integer, so that no pattern can make matching
slower than linear in the length of the value: values and patterns come from Dockerfiles of strangers. Like
the regular expressions that BuildKit builds, `*` and `?` do not match a line feed. Not for paths: see
`patterns`.
"""

from __future__ import annotations

from bakehouse.go.text import REPLACEMENT


class ShellPattern:
    """A parsed pattern. `text` is the pattern as the word lexer leaves it, escapes included; raises
    `ValueError` with BuildKit's reason for an escape that is not allowed."""

    __slots__ = ("_accept", "_any", "_chars", "_loops", "_tokens")

    def __init__(self, text: str) -> None:
        self._build(*_tokenize(text))

    def _build(self, tokens: list[str | None], stars: set[int]) -> None:
        """`tokens` are the characters to match, None for any; `stars` the positions between them where `*`
        stands."""
        self._tokens = (tokens, stars)
        self._accept = 1 << len(tokens)
        self._any = sum(1 << index for index, token in enumerate(tokens) if token is None)
        self._loops = sum(1 << index for index in stars)
        self._chars: dict[str, int] = {}
        for index, token in enumerate(tokens):
            if token is not None:
                self._chars[token] = self._chars.get(token, 0) | 1 << index

    def _reversed(self) -> "ShellPattern":
        tokens, stars = self._tokens
        other = ShellPattern.__new__(ShellPattern)
        other._build(tokens[::-1], {len(tokens) - star for star in stars})
        return other

    def _step(self, states: int, char: str) -> int:
        matching = self._chars.get(char, 0)
        if char == "\n":
            return (states & matching) << 1
        return (states & (matching | self._any)) << 1 | states & self._loops

    def end_at(self, value: str, start: int, *, longest: bool) -> int | None:
        """Where the longest or shortest match that begins at `start` ends, or None."""
        states, end = 1, None
        for position in range(start, len(value) + 1):
            if states & self._accept:
                end = position
                if not longest:
                    break
            if not states or position == len(value):
                break
            states = self._step(states, value[position])
        return end

    def starts(self, value: str) -> list[int]:
        """All positions at which a match begins, ascending."""
        backwards = self._reversed()
        states, found = 1, []
        for position in range(len(value), -1, -1):
            states |= 1
            if states & backwards._accept:
                found.append(position)
            if position:
                states = backwards._step(states, value[position - 1])
        return found[::-1]

    def strip_prefix(self, value: str, *, longest: bool) -> str:
        end = self.end_at(value, 0, longest=longest)
        return value if end is None else value[end:]

    def replace_first(self, value: str, replacement: str) -> str:
        """The leftmost match, as long as it can be, replaced."""
        starts = self.starts(value)
        if not starts:
            return value
        end = self.end_at(value, starts[0], longest=True)
        assert end is not None
        return value[: starts[0]] + replacement + value[end:]

    def replace_all(self, value: str, replacement: str) -> str:
        """Every match replaced, left to right. `$0`, `${0}` and `$$` in `replacement` stand for the match and
        for a dollar sign, other `$name`s for nothing: BuildKit hands the text to a template language."""
        out: list[str] = []
        last_end, search_from = 0, 0
        for start in self.starts(value):
            if start < search_from:
                continue
            end = self.end_at(value, start, longest=True)
            assert end is not None
            out.append(value[last_end:start])
            if end > last_end or start == 0:  # an empty match right behind another match does not count
                out.append(_expand_template(replacement, value[start:end]))
            last_end = end
            search_from = max(end, start + 1)
        out.append(value[last_end:])
        return "".join(out)


def reverse_pattern(text: str) -> str:
    """The pattern that matches what `text` matches, read backwards. Escapes stay before what they protect."""
    out: list[str] = []
    position = 0
    while position < len(text):
        length = 2 if text[position] == "\\" and position + 1 < len(text) else 1
        out.append(text[position : position + length])
        position += length
    return "".join(reversed(out))


def _tokenize(text: str) -> tuple[list[str | None], set[int]]:
    tokens: list[str | None] = []
    stars: set[int] = set()
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "*":
            stars.add(len(tokens))
        elif char == "?":
            tokens.append(None)
        elif char == "\\":
            escaped = text[position : position + 1]
            if escaped == "" or escaped not in "*?\\/}":
                raise ValueError(f"invalid escape '\\{escaped or REPLACEMENT}'")
            tokens.append(escaped)
            position += 1
        else:
            tokens.append(char)
    return tokens, stars


def _expand_template(template: str, match: str) -> str:
    out: list[str] = []
    position = 0
    while True:
        dollar = template.find("$", position)
        if dollar < 0:
            out.append(template[position:])
            return "".join(out)
        out.append(template[position:dollar])
        position = dollar + 1
        if template.startswith("$", position):
            out.append("$")
            position += 1
            continue
        name, end = _template_name(template, position)
        if not name:
            out.append("$")
            continue
        if name == "0":
            out.append(match)
        position = end


def _template_name(template: str, position: int) -> tuple[str, int]:
    """The group name behind a dollar sign and the position after it; an empty name when there is none."""
    braced = template.startswith("{", position)
    start = position + braced
    end = start
    while end < len(template) and _is_name_char(template[end]):
        end += 1
    if braced:
        if not template.startswith("}", end):
            return "", position
        return template[start:end], end + 1
    return template[start:end], end


def _is_name_char(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdecimal()
