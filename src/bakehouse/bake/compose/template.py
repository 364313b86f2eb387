"""Substitution of variables in text: `$NAME`, `${NAME}`, `${NAME:-default}` and its kin, `$$` for a dollar.

Used for the values of Compose files and of environment files. What a variable means is for the caller's lookup.
"""

from __future__ import annotations

from bakehouse.go.text import quote
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Lookup: TypeAlias = Callable[[str], "str | None"]
    Warn: TypeAlias = Callable[[str], None]

#: A substitution begins with a dollar. Braces reach to the last `}` of the line; where the first one ends is found by
#: counting. (The letters are those that equal `s` and `k` when case is ignored.)
_SUBSTITUTION = regex(
    r"\$(?:(?P<escaped>\$)|(?P<named>[_a-zA-Z\u017f\u212a][_a-zA-Z0-9\u017f\u212a]*)"
    r"|\{(?:(?P<braced>[_a-zA-Z\u017f\u212a][_a-zA-Z0-9\u017f\u212a]*(?::?[-+?](?:.*))?)\}|(?P<invalid>)))"
)
_OPERATORS = (":?", "?", ":-", "-", ":+", "+")


class InvalidTemplate(Exception):
    """A dollar that begins no substitution; the text around it."""

    def __init__(self, template: str) -> None:
        super().__init__(template)
        self.template = template


class MissingVariable(Exception):
    """A variable that `${NAME:?reason}` requires has no value."""

    def __init__(self, name: str, reason: str) -> None:
        tail = f": {reason}" if reason else ""
        super().__init__(f"required variable {name} is missing a value{tail}")


def substitute(template: str, lookup: Lookup, warn: Warn) -> str:
    """`template` with its variables filled in; `warn` is told of unset ones that have no default.

    Raises `InvalidTemplate` or `MissingVariable`.
    """
    if "$" not in template:
        return template
    out: list[str] = []
    position = 0
    failure: InvalidTemplate | MissingVariable | None = None
    for match in _SUBSTITUTION.finditer(template):
        out.append(template[position : match.start()])
        position = match.end()
        try:
            out.append(_replacement(match[0], template, lookup, warn))
        except (InvalidTemplate, MissingVariable) as error:
            # The first failure counts, but warnings of later parts are given.
            failure = failure or error
    if failure is not None:
        raise failure
    out.append(template[position:])
    return "".join(out)


def _replacement(text: str, template: str, lookup: Lookup, warn: Warn) -> str:
    """The value of one match, which may hold more text behind the brace that closes it."""
    closing = _closing_brace(text)
    rest = ""
    if closing >= 0:
        text, rest = text[: closing + 1], text[closing + 1 :]
    match = _SUBSTITUTION.match(text)
    if match is None:
        raise InvalidTemplate(template)
    if match["escaped"]:
        return "$"
    name = match["named"] or match["braced"]
    if not name:
        raise InvalidTemplate(template)
    if match["braced"]:
        value = _operate(name, text + rest, lookup, warn)
        if value is not None:
            return value + substitute(rest, lookup, warn)
    found = lookup(name)
    if found is None:
        warn(f"The {quote(name)} variable is not set. Defaulting to a blank string.")
        return ""
    return found


def _closing_brace(text: str) -> int:
    """The index of the brace that closes the first one, counting nested ones; -1 when there is none. What follows an
    opening brace directly does not count."""
    depth = 0
    index = 0
    while index < len(text):
        if text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
        elif text[index] == "{":
            depth += 1
            index += 1
        index += 1
    return -1


def _operate(expression: str, whole: str, lookup: Lookup, warn: Warn) -> str | None:
    """The value of `NAME<operator>operand`; None when there is no operator."""
    found = [(whole.index(operator), operator) for operator in _OPERATORS if operator in whole]
    operator = min(found, key=lambda pair: (pair[0], -len(pair[1])))[1] if found else ":?"
    name, separator, operand = expression.partition(operator)
    if not separator:
        return None
    value = lookup(name)
    strict = operator.startswith(":")
    present = value is not None and not (strict and value == "")
    if operator.endswith("+"):
        return substitute(operand, lookup, warn) if present else value or ""
    if present:
        return value
    if operator.endswith("-"):
        return substitute(operand, lookup, warn)
    raise MissingVariable(name, substitute(operand, lookup, warn))
