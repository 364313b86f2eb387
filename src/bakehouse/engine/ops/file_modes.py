"""chmod's symbolic modes (`u+x,go=rX`), as `COPY --chmod` takes them (dockerfile.md §7.7). No umask is applied."""

from __future__ import annotations

import stat
from collections.abc import Callable

from bakehouse.errors import DefinitionError

_SET_ID = 0o6000
_ALL = 0o6777  # the sticky bit follows only from an explicit `t`
_CLASSES = {"a": _ALL, "u": 0o4700, "g": 0o2070, "o": 0o0007}
_PERMISSIONS = {"r": 0o444, "w": 0o222, "x": 0o111, "X": 0o111}
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

    def _action(self, operator: str, letters: str, who: int) -> None:
        """One operator with its letters, taken in order: a class letter flushes the bits gathered before it."""
        bits = conditional = 0
        copied = False
        for letter in letters:
            if letter in _SHIFTS:
                self._flush(operator, who, bits, conditional, always=False)
                bits = conditional = 0
                copied = True
                self._steps.append(_copy_class(operator, letter, who))
            elif letter == "X" and operator != "-":
                conditional = 0o111
            elif letter in _PERMISSIONS:
                bits |= _PERMISSIONS[letter]
            elif who == 0 or who & ~0o007:  # set-id and sticky bits mean nothing for others alone
                bits |= 0o1000 if letter == "t" else _SET_ID
                who |= 0o1000 if letter == "t" else 0
        self._flush(operator, who, bits, conditional, always=operator == "=" and not copied)

    def _flush(self, operator: str, who: int, bits: int, conditional: int, *, always: bool) -> None:
        if bits or always:
            chosen = bits & who if who else bits
            if operator == "-":
                self._steps.append(lambda mode, original, directory: mode & ~chosen)
            else:
                cleared = (who or _ALL) if operator == "=" else 0
                self._steps.append(lambda mode, original, directory: (mode & ~cleared) | chosen)
        if conditional:
            self._steps.append(_conditional(conditional & who if who else conditional))


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
