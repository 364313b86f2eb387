"""What is made at its first use: regular expressions, and the exports of packages. Ground floor.

A build from the cache is over in a tenth of a second. Compiling every expression of every module that it imports, and
importing every module of every package that it touches, would take a third of that. See docs/decisions/0002-values.md.

This module is on the start-up path: it must not import `dataclasses`, `typing` or `enum`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from re import compile as regex
    from typing import Any
else:

    class regex:
        """As `re.compile`, compiled when a method is first asked for. A mistake in the expression shows only then.

        Afterwards the methods of the compiled pattern are attributes of the object, as quick as its own.
        """

        def __init__(self, pattern: str | bytes, flags: int = 0) -> None:
            self.pattern = pattern
            self._flags = flags

        def __getattr__(self, name: str) -> Any:
            import re

            value = getattr(re.compile(self.pattern, self._flags), name)
            setattr(self, name, value)
            return value


def exports(package: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], object]:
    """A `__getattr__` for the `__init__` of `package`: names come from the submodules that `homes` lists them under,
    imported when first asked for. The `__init__` tells type checkers the same with imports under `TYPE_CHECKING`."""

    def lookup(name: str) -> object:
        for home, names in homes.items():
            if name in names:
                import sys
                from importlib import import_module

                value = getattr(import_module(f"{package}.{home}"), name)
                setattr(sys.modules[package], name, value)
                return value
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return lookup


__all__ = ["exports", "regex"]
