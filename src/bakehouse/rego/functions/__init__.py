"""The built-in functions of Rego that policies may call: those that buildx lets them call.

A function raises `FunctionFailed` where it has no value: for arguments of the wrong type too.
"""

from __future__ import annotations

from bakehouse.rego.functions.build import Builtin, FunctionFailed
from bakehouse.rego.functions.collections import COLLECTIONS
from bakehouse.rego.functions.encodings import ENCODINGS
from bakehouse.rego.functions.numbers import NUMBERS
from bakehouse.rego.functions.texts import TEXTS
from bakehouse.rego.functions.times import TIMES

BUILTINS: dict[str, Builtin] = {**NUMBERS, **TEXTS, **COLLECTIONS, **ENCODINGS, **TIMES}

#: Functions that buildx has and we have not, which are refused by name.
NOT_BUILT = frozenset(
    (
        "regex.globs_match",
        "regex.template_match",
        "strings.render_template",
        "json.patch",
        "json.marshal_with_options",
        "rand.intn",
        "uuid.rfc4122",
        "uuid.parse",
        "time.format",
    )
)

__all__ = ["BUILTINS", "NOT_BUILT", "Builtin", "FunctionFailed"]
