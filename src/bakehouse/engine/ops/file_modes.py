"""chmod's symbolic modes (`u+x,go=rX`), as `COPY --chmod` takes them (dockerfile.md §7.7). No umask is applied."""

from __future__ import annotations

import stat
from collections.abc import Callable

from bakehouse.errors import DefinitionError

_SET_ID = 0o6000
_ALL = 0o6777  # the sticky bit follows only from an explicit `t`
_CLASSES = {"a": _ALL, "u": 0o4700, "g": 0o2070, "o": 0o0007}
_SHIFTS = {"u": 6, "g": 3, "o": 0}

#: (new mode so far, original mode, is a directory) -> new mode
_Step = Callable[[int, int, bool], int]


class ModeChange:
    """A parsed mode text. Raises `DefinitionError` (`invalid syntax`) for anything that chmod does not know."""

    def __init__(self, text: str) -> None:
        self._steps: list[_Step] = []
        if not text:
            raise _invalid(text)
        if text[0].isdigit():
            self._absolute(text)
            return
        for clause in text.split(","):
            self._clause(clause, text)

    def apply(self, mode: int) -> int:
        """The permission bits (with set-id and sticky) that `mode` (st_mode) becomes."""
        original = stat.S_IMODE(mode)
        result = original
        for step in self._steps:
            result = step(result, original, stat.S_ISDIR(mode))
        return result

    def _absolute(self, text: str) -> None:
        try:
            value = int(text, 8)
        except ValueError:
            raise _invalid(text) from None
        if not 0 <= value <= 0o7777 or "_" in text:
            raise _invalid(text)
        self._steps.append(lambda mode, original, directory: (mode & ~_ALL) | (value & _ALL) | value & 0o1000)

    def _clause(self, clause: str, text: str) -> None:
        at = 0
        who = 0
        while at < len(clause) and clause[at] in _CLASSES:
            who |= _CLASSES[clause[at]]
            at += 1
        if at == len(clause):
            raise _invalid(text)
        while at < len(clause):
            operator = clause[at]
            if operator not in "+-=":
                raise _invalid(text)
            end = at + 1
            while end < len(clause) and clause[end] in "rwxXstugo":
                end += 1
            self._action(operator, clause[at + 1 : end], who)
            at = end

    def _action(self, operator: str, permissions: str, who: int) -> None:
        bits = conditional = 0
        mask = who or _ALL
        copied: list[str] = []
        for letter in permissions:
            if letter in "rwx":
                bits |= {"r": 0o444, "w": 0o222, "x": 0o111}[letter]
            elif letter == "X":
                if operator == "-":
                    bits |= 0o111
                else:
                    conditional |= 0o111
            elif letter == "s":
                bits |= _SET_ID if who == 0 or who & ~0o007 else 0
            elif letter == "t":
                if who == 0 or who & ~0o007:
                    mask |= 0o1000
                    bits |= 0o1000
            else:
                copied.append(letter)
        self._bits(operator, mask, bits & mask, bool(copied) and not bits)
        if conditional:
            self._steps.append(_conditional(conditional & mask))
        for letter in copied:
            self._steps.append(_copy_class(operator, letter, who))

    def _bits(self, operator: str, mask: int, bits: int, only_copies: bool) -> None:
        if operator == "+":
            self._steps.append(lambda mode, original, directory: mode | bits)
        elif operator == "-":
            self._steps.append(lambda mode, original, directory: mode & ~bits)
        elif not only_copies:
            self._steps.append(lambda mode, original, directory: (mode & ~mask) | bits)


def _conditional(bits: int) -> _Step:
    return lambda mode, original, directory: mode | bits if directory or original & 0o111 else mode


def _copy_class(operator: str, source: str, who: int) -> _Step:
    """`g=u`: the bits of one class for others; `=` and `-` clear first."""
    targets = [shift for letter, shift in _SHIFTS.items() if not who or who & (0o4 << _SHIFTS[letter])]

    def step(mode: int, original: int, directory: bool) -> int:
        value = mode >> _SHIFTS[source] & 0o7
        for shift in targets:
            if operator == "=":
                mode &= ~(0o7 << shift)
            if operator == "-":
                mode &= ~(value << shift)
            else:
                mode |= value << shift
        return mode

    return step


def _invalid(text: str) -> DefinitionError:
    return DefinitionError(
        f"invalid mode {text!r}: invalid syntax",
        code="invalid-mode",
        hint="Write an octal number up to 7777 or chmod's symbols, as in u=rwX,go=rX.",
    )
