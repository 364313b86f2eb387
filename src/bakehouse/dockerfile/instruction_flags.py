"""The `--name[=value]` flags of instructions: which exist, what they hold, what is wrong with them
(dockerfile.md §1.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bakehouse.dockerfile.positions import DockerfileError
from bakehouse.dockerfile.suggestions import did_you_mean
from bakehouse.go.text import lower

BOOL = "bool"
STRING = "string"
STRINGS = "strings"


class Flags:
    """The flags that one instruction was given. `declared` maps names to kinds; raises `DockerfileError`."""

    __slots__ = ("_strings", "_values", "used")

    def __init__(self, words: Sequence[str], declared: Mapping[str, str] | None = None) -> None:
        self._values: dict[str, str] = {}
        self._strings: dict[str, list[str]] = {}
        seen: set[str] = set()
        for word in words:
            if not word.startswith("--"):
                raise _error(f"arg should start with -- : {word}")
            self._read(word, declared or {}, seen)
        #: The names of the flags given, sorted.
        self.used = tuple(sorted(seen))

    def _read(self, word: str, declared: Mapping[str, str], seen: set[str]) -> None:
        flag, separator, value = word.partition("=")
        name = flag[2:]
        kind = declared.get(name)
        if kind is None:
            raise DockerfileError(
                did_you_mean(f"unknown flag: {flag}", name, sorted(declared)),
                code="unknown-flag",
                hint=_known_flags(declared),
                named=word,
            )
        if name in seen and kind != STRINGS:
            raise _error(f"duplicate flag specified: {flag}", word)
        seen.add(name)
        if not separator and kind != BOOL:
            raise _error(f"missing a value on flag: {flag}", word)
        if kind == STRINGS:
            self._strings.setdefault(name, []).append(value)
        elif kind == BOOL:
            self._values[name] = _bool(word)
        else:
            self._values[name] = value

    def string(self, name: str, default: str = "") -> str:
        return self._values.get(name, default)

    def strings(self, name: str) -> tuple[str, ...]:
        return tuple(self._strings.get(name, ()))

    def boolean(self, name: str) -> bool | None:
        """None when the flag was not given."""
        value = self._values.get(name)
        return None if value is None else value == "true"


def _known_flags(declared: Mapping[str, str]) -> str:
    if not declared:
        return "The instruction takes no flags."
    return f"The instruction takes {', '.join('--' + name for name in sorted(declared))}."


def _bool(word: str) -> str:
    flag, separator, value = word.partition("=")
    if separator and not value:
        raise _error(f"missing a value on flag: {flag}", word)
    text = lower(value) or "true"
    if text not in ("true", "false"):
        raise _error(f"expecting boolean value for flag {flag}, not: {value}", word)
    return text


def _error(message: str, word: str = "", *, code: str = "invalid-flag") -> DockerfileError:
    return DockerfileError(message, code=code, named=word)
