"""`sprintf`: Go's verbs on values of Rego."""

from __future__ import annotations

import re
from typing import Any

from bakehouse.go.text import quote
from bakehouse.lazy import regex
from bakehouse.rego.functions.build import FunctionFailed
from bakehouse.rego.values import to_text

_VERB = regex(r"%([-+# 0]*)(\d+)?(?:\.(\d+))?(?:\[(\d+)\])?(.)", re.DOTALL)
_MAX_WIDTH = 10_000


def sprintf(template: str, values: tuple[Any, ...]) -> str:
    """The template with its verbs replaced, in Go's words where a value does not fit one."""
    out: list[str] = []
    at = start = 0
    reordered = False
    while True:
        found = _VERB.search(template, start)
        if found is None:
            rest = template[start:]
            out.append(rest[:-1] + "%!(NOVERB)" if rest.endswith("%") else rest)
            break
        out.append(template[start : found.start()])
        start = found.end()
        flags, width, precision, index, verb = found.groups()
        if verb == "%":
            out.append("%")
            continue
        if index is not None:
            reordered = True
            at = int(index) - 1
        if at >= len(values) or at < 0:
            out.append(f"%!{verb}(MISSING)" if index is None else f"%!{verb}(BADINDEX)")
            continue
        out.append(_one(verb, flags, width, precision, values[at]))
        at += 1
    if at < len(values) and not reordered:
        extra = ", ".join(f"{_go_type(item)}={_plain(item)}" for item in values[at:])
        out.append(f"%!(EXTRA {extra})")
    return "".join(out)


def _one(verb: str, flags: str, width: str | None, precision: str | None, value: Any) -> str:
    size = int(width or 0)
    if size > _MAX_WIDTH or int(precision or 0) > _MAX_WIDTH:
        raise FunctionFailed
    text = _converted(verb, flags, precision, value)
    if "-" in flags:
        return text.ljust(size)
    if "0" in flags and verb in "dxXobeEfFgG" and text[:1] in "+-":
        return text[0] + text[1:].rjust(size - 1, "0")
    return text.rjust(size, "0" if "0" in flags and verb in "dxXobeEfFgG" else " ")


def _converted(verb: str, flags: str, precision: str | None, value: Any) -> str:
    if verb == "v":
        return _plain(value)
    if verb == "s":
        if isinstance(value, int | float):
            return f"%!s({_go_type(value)}={_plain(value)})"
        return _plain(value)[: None if precision is None else int(precision)]
    if verb == "q" and not isinstance(value, int | float):
        return quote(_plain(value))
    if verb == "T":
        return _go_type(value)
    if verb in "dxXob" and isinstance(value, int):
        digits = format(value, verb if verb != "d" else "d")
        return ("+" if "+" in flags and value >= 0 else "") + digits
    if verb in "eEfFgG" and isinstance(value, float):
        digits = (
            format(value, f".{6 if precision is None else precision}{verb}")
            if verb not in "gG"
            else repr(value)
        )
        return ("+" if "+" in flags and value >= 0 else "") + digits
    if verb in "xX" and not isinstance(value, float):
        encoded = _plain(value).encode().hex()
        return encoded.upper() if verb == "X" else encoded
    return f"%!{verb}({_go_type(value)}={_plain(value)})"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else to_text(value)


def _go_type(value: Any) -> str:
    if isinstance(value, int):
        return "int64"
    return "float64" if isinstance(value, float) else "string"
