"""Regular expressions with the syntax of Go's `regexp` (RE2) and its guarantee: matching takes time linear in the text.

Python's own engine differs in syntax and backtracks, so that a definition of a stranger could stall a build.
Parsing gives a
tree, the tree a program, and the program runs all alternatives side by side (Pike's machine; leftmost-first).
Scripts such as `\\p{Greek}` are told by the Unicode names of characters.
"""

from __future__ import annotations

import re

from bakehouse.hcl.limits import check_text_size, spend
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from bakehouse.hcl.functions.re2_parser import Tree

    Instruction: TypeAlias = tuple[int, object, int]
    Groups: TypeAlias = tuple[int, ...]

_CHAR, _SPLIT, _SAVE, _AT, _MATCH, _JUMP = range(6)
_MAX_PROGRAM = 50_000


class PatternError(ValueError):
    """The pattern is wrong: `reason` in Go's words and the part `expression` at fault."""

    def __init__(self, reason: str, expression: str) -> None:
        super().__init__(f"error parsing regexp: {reason}: `{expression}`")
        self.reason = reason
        self.expression = expression


class Pattern:
    """A compiled pattern. `names` has an entry a group, `""` for one without a name."""

    __slots__ = ("_program", "names")

    def __init__(self, text: str) -> None:
        """Raises PatternError."""
        from bakehouse.hcl.functions.re2_parser import parse

        tree, self.names = parse(text)
        self._program = _Compiler(text).compile(tree)

    def search(self, text: str, start: int = 0) -> Groups | None:
        """Start and end of the leftmost match from `start` on, then of each group (-1 for one that took no part)."""
        return _run(self._program, text, start, 2 * len(self.names) + 2)

    def find_all(self, text: str) -> list[Groups]:
        """All matches in turn; an empty one directly behind another does not count."""
        out: list[Groups] = []
        at, last_end = 0, -1
        while at <= len(text):
            found = self.search(text, at)
            if found is None:
                break
            empty = found[1] == at
            if not (empty and found[0] == last_end):
                out.append(found)
            last_end = found[1]
            at = at + 1 if empty else found[1]
        return out

    def replace_all(self, text: str, template: str) -> str:
        """The text with every match replaced by `template`, in which `$1`, `$name` and `${name}` stand for groups."""
        out: list[str] = []
        at = last_end = size = 0
        while at <= len(text):
            found = self.search(text, at)
            if found is None:
                break
            out.append(text[last_end : found[0]])
            if found[1] > last_end or found[0] == 0:
                out.append(self._expand(template, text, found))
                size += len(out[-1])
                check_text_size(size)
            last_end = found[1]
            at = max(at + 1, found[1])
        return "".join(out) + text[last_end:]

    def _expand(self, template: str, text: str, found: Groups) -> str:
        def group(mark: re.Match[str]) -> str:
            name = mark.group(1) or mark.group(2)
            if name is None:
                return "$"
            number = -1
            if name.isdigit():
                number = int(name) if name[0] != "0" or name == "0" else -1
            else:
                # A name may be used by several groups; the one that took part counts.
                for index, other in enumerate(self.names, 1):
                    if other == name and found[2 * index] >= 0:
                        number = index
                        break
            if not 0 <= number <= len(self.names) or found[2 * number] < 0:
                return ""
            return text[found[2 * number] : found[2 * number + 1]]

        return _REFERENCE.sub(group, template)


_REFERENCE = regex(r"\$\$|\$\{(\w+)\}|\$(\w+)")


class _Compiler:
    """Turns a tree into a program: a list of (operation, operand, next)."""

    __slots__ = ("pattern", "program")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.program: list[Instruction] = []

    def compile(self, tree: Tree) -> list[Instruction]:
        self._emit(_SAVE, 0)
        self._node(tree)
        self._emit(_SAVE, 1)
        self._emit(_MATCH, 0)
        return self.program

    def _emit(self, operation: int, operand: object) -> int:
        if len(self.program) >= _MAX_PROGRAM:
            raise PatternError("expression too large", self.pattern)
        self.program.append((operation, operand, len(self.program) + 1))
        return len(self.program) - 1

    def _split(self, at: int, first: int, second: int) -> None:
        self.program[at] = (_SPLIT, second, first)

    def _node(self, tree: Tree) -> None:
        kind, first, second = tree
        if kind == "set":
            self._emit(_CHAR, first)
        elif kind == "cat":
            for part in first:
                self._node(part)
        elif kind == "alt":
            self._alternatives(first)
        elif kind == "rep":
            self._repetition(first, *second)
        elif kind == "cap":
            self._emit(_SAVE, 2 * second)
            self._node(first)
            self._emit(_SAVE, 2 * second + 1)
        elif kind == "at":
            self._emit(_AT, first)

    def _alternatives(self, parts: list[Tree]) -> None:
        jumps: list[int] = []
        for part in parts[:-1]:
            split = self._emit(_SPLIT, 0)
            self._node(part)
            jumps.append(self._emit(_JUMP, 0))
            self._split(split, split + 1, len(self.program))
        self._node(parts[-1])
        for jump in jumps:
            self.program[jump] = (_JUMP, 0, len(self.program))

    def _repetition(self, part: Tree, low: int, high: int, greedy: bool) -> None:
        for _ in range(low):
            self._node(part)
        if high < 0:
            split = self._emit(_SPLIT, 0)
            self._node(part)
            self.program[self._emit(_JUMP, 0)] = (_JUMP, 0, split)
            self._choose(split, greedy, len(self.program))
            return
        splits: list[int] = []
        for _ in range(high - low):
            splits.append(self._emit(_SPLIT, 0))
            self._node(part)
        for split in splits:
            self._choose(split, greedy, len(self.program))

    def _choose(self, split: int, greedy: bool, end: int) -> None:
        self._split(split, *((split + 1, end) if greedy else (end, split + 1)))


def _run(program: list[Instruction], text: str, start: int, slots: int) -> Groups | None:
    """All threads step through the text together, in order of priority."""
    best: Groups | None = None
    threads: list[tuple[int, Groups]] = []
    empty: Groups = (-1,) * slots
    for at in range(start, len(text) + 1):
        if best is None:
            seen = {thread[0] for thread in threads}
            _follow(program, 0, empty, text, at, seen, threads)
        if not threads and best is not None:
            break
        char = text[at : at + 1]
        following: list[tuple[int, Groups]] = []
        visited: set[int] = set()
        spend(1 + len(threads))
        for place, groups in threads:
            operation, operand, target = program[place]
            if operation == _MATCH:
                best = groups
                break  # threads of lower priority are cut
            matches: Callable[[str], bool] = operand  # type: ignore[assignment]
            if char and matches(char):
                _follow(program, target, groups, text, at + 1, visited, following)
        threads = following
    return best


def _follow(
    program: list[Instruction],
    place: int,
    groups: Groups,
    text: str,
    at: int,
    visited: set[int],
    threads: list[tuple[int, Groups]],
) -> None:
    """Add the threads that are reached from `place` without reading a character."""
    stack = [(place, groups)]
    while stack:
        place, groups = stack.pop()
        if place in visited:
            continue
        visited.add(place)
        operation, operand, target = program[place]
        if operation == _JUMP:
            stack.append((target, groups))
        elif operation == _SPLIT:
            stack.append((operand, groups))  # type: ignore[arg-type]
            stack.append((target, groups))
        elif operation == _SAVE:
            slot: int = operand  # type: ignore[assignment]
            stack.append((target, (*groups[:slot], at, *groups[slot + 1 :])))
        elif operation == _AT:
            if _holds(operand, text, at):
                stack.append((target, groups))
        else:
            threads.append((place, groups))


def _is_word(char: str) -> bool:
    return char != "" and char.isascii() and (char.isalnum() or char == "_")


def _holds(kind: object, text: str, at: int) -> bool:
    """Whether a zero-width assertion holds at a place."""
    if kind == "start":
        return at == 0
    if kind == "end":
        return at == len(text)
    if kind == "line-start":
        return at == 0 or text[at - 1] == "\n"
    if kind == "line-end":
        return at == len(text) or text[at] == "\n"
    boundary = _is_word(text[at - 1 : at] if at else "") != _is_word(text[at : at + 1])
    return boundary if kind == "word" else not boundary
