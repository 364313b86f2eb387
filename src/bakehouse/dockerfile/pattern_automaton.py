"""Matches one path against many ignore patterns at once, in time linear in the path's length.

Patterns are a stranger's input, and a backtracking engine takes exponential time for some. Here all patterns
are one automaton without backtracking: its state is a set of positions, the bits of an integer. States and the
moves between them are remembered, so that an ordinary path costs one look-up a character. How patterns are
written is no matter of this module: see `pattern_regex`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from functools import reduce

from bakehouse.dockerfile.charset import WORD, CharSet
from bakehouse.dockerfile.pattern_regex import Kind, Step
from bakehouse.go.text import replace_invalid

#: What stands on one side of a position. The text's edge counts as no word character.
_EDGE, _WORD, _OTHER = range(3)
_WORD_CHARS = CharSet(WORD)

#: Remembered moves and bits of remembered states before all are forgotten: patterns can have exponentially many.
_MAX_MOVES = 200_000
_MAX_STATE_BITS = 2**28


class Automaton:
    """`bits(path)` is the union of the bits of all patterns that match the whole of `path`; patterns may share a
    bit. Thread-safe: threads may at worst compute the same move twice."""

    __slots__ = (
        "_accepting",
        "_conditional",
        "_directories",
        "_epsilon",
        "_jumps",
        "_known",
        "_literal",
        "_looks_back",
        "_many",
        "_masks",
        "_moves",
        "_one",
        "_size",
        "_start",
        "_start_positions",
    )

    def __init__(self, patterns: Iterable[tuple[Sequence[Step], int]]) -> None:
        self._literal: dict[str, int] = {}
        self._one: dict[CharSet, int] = {}
        self._many: dict[CharSet, int] = {}
        self._directories = 0
        #: Positions that may be left without a character: always, and where a condition holds.
        self._epsilon = 0
        self._conditional: dict[Kind, int] = {}
        self._accepting: dict[int, int] = {}
        self._start_positions = 0
        self._size = 0
        for steps, bit in patterns:
            self._add(steps, bit)
        #: Whether what stands left of a position matters.
        self._looks_back = not self._conditional.keys() <= {Kind.AT_END}
        self._jumps: dict[tuple[int, int], tuple[int, int, int]] = {}
        self._forget()

    def _add(self, steps: Sequence[Step], bit: int) -> None:
        """Each step takes the next position; the one behind the last accepts."""
        self._start_positions |= 1 << self._size
        for step in steps:
            position = 1 << self._size
            self._size += 1
            if step.kind in (Kind.ONE, Kind.OPTIONAL):
                self._add_char(step, position)
            elif step.kind is Kind.MANY:
                self._many[step.chars] = self._many.get(step.chars, 0) | position
                self._epsilon |= position
            elif step.kind is Kind.DIRECTORIES:
                self._directories |= position
                self._epsilon |= position
            else:
                self._conditional[step.kind] = self._conditional.get(step.kind, 0) | position
        self._accepting[self._size] = bit
        self._size += 1

    def _add_char(self, step: Step, position: int) -> None:
        char = step.chars.only
        if char is None:
            self._one[step.chars] = self._one.get(step.chars, 0) | position
        else:
            self._literal[char] = self._literal.get(char, 0) | position
        if step.kind is Kind.OPTIONAL:
            self._epsilon |= position

    def bits(self, path: str) -> int:
        state = reduce(operator.getitem, path, self._start)
        accepted = state.accepted
        if accepted is None:
            accepted = state.accepted = self._accepted(state)
        return accepted

    def _forget(self) -> None:
        self._known: dict[tuple[int, int, int], _State] = {}
        self._masks: dict[str, tuple[int, int]] = {}
        self._moves = 0
        self._start = self._state(self._start_positions, 0, _EDGE)

    def _state(self, positions: int, inside: int, before: int) -> _State:
        key = (positions, inside, before)
        state = self._known.get(key)
        if state is None:
            state = self._known[key] = _State(self, positions, inside, before)
        return state

    def move(self, state: _State, char: str) -> _State:
        """The state behind `char`, computed."""
        self._moves += 1
        if self._moves > _MAX_MOVES or len(self._known) * self._size > _MAX_STATE_BITS:
            self._forget()
        after = _WORD if char in _WORD_CHARS else _OTHER
        here = self._closure(state.positions, state.before, after)
        inside = 0 if char == "\n" else state.inside | (here & self._directories)
        one, many = self._char_masks(char)
        positions = (here & one) << 1 | (here & many)
        if char == "/":
            positions |= inside << 1
        return self._state(positions, inside, after if self._looks_back else _OTHER)

    def _char_masks(self, char: str) -> tuple[int, int]:
        """The positions that take `char` to go on, and those that take it to stay."""
        masks = self._masks.get(char)
        if masks is None:
            literal = self._literal.get(replace_invalid(char), 0)
            one = literal + sum(mask for chars, mask in self._one.items() if char in chars)
            many = sum(mask for chars, mask in self._many.items() if char in chars)
            masks = self._masks[char] = (one, many)
        return masks

    def _closure(self, positions: int, before: int, after: int) -> int:
        """`positions` and all that can be reached from them without a character.

        Positions that may be left so come in runs, and of each run everything above its lowest active position is
        reached. A subtraction finds that position in all runs at once: it borrows up to it.
        """
        jumps = self._jumps.get((before, after))
        if jumps is None:
            jumps = self._jumps[before, after] = self._runs(before, after)
        first, end, reachable = jumps
        bounded = positions | end
        return positions | (reachable & ~((bounded - first) ^ bounded))

    def _runs(self, before: int, after: int) -> tuple[int, int, int]:
        """For a place between two kinds of character: the first positions of all runs, the positions behind their
        last, and all but the first."""
        leave = self._epsilon
        boundary = (before == _WORD) != (after == _WORD)
        for kind, positions in self._conditional.items():
            if (
                (kind is Kind.AT_BEGIN and before == _EDGE)
                or (kind is Kind.AT_END and after == _EDGE)
                or (kind is Kind.AT_WORD_BOUNDARY and boundary)
                or (kind is Kind.NOT_AT_WORD_BOUNDARY and not boundary)
            ):
                leave |= positions
        return leave & ~(leave << 1), (leave << 1) & ~leave, leave << 1

    def _accepted(self, state: _State) -> int:
        positions = self._closure(state.positions, state.before, _EDGE)
        return reduce(
            operator.or_, (bit for position, bit in self._accepting.items() if positions >> position & 1), 0
        )


class _State(dict[str, "_State"]):
    """Which positions are active, and the moves from here that are known: a character's state.

    `inside` holds the steps that are skipping directories, `before` what stands left of here (only where it
    matters), `accepted` the union of the bits of the patterns that match here, once known.
    """

    __slots__ = ("_automaton", "accepted", "before", "inside", "positions")

    def __init__(self, automaton: Automaton, positions: int, inside: int, before: int) -> None:
        super().__init__()
        self._automaton = automaton
        self.positions = positions
        self.inside = inside
        self.before = before
        self.accepted: int | None = None

    def __missing__(self, char: str) -> _State:
        state = self[char] = self._automaton.move(self, char)
        return state
