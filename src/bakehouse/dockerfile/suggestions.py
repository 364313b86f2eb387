"""BuildKit's hints for misspelt names: `(did you mean X?)`.

Its own rule, not HCL's (`hcl.evaluation.suggestion`, the first name that is near) nor the one of our own hints
(`bake.suggestions`): at most two edits, the nearest name, and the first of equals.
"""

from __future__ import annotations

from collections.abc import Iterable

from bakehouse.go.text import edit_distance, lower, upper


def suggestion(value: str, options: Iterable[str], *, case_sensitive: bool = True) -> str:
    """The option that is at most two edits away from `value`, the closest and then the first one, or the
    empty string. Also empty when `value` is one of the options. Without case sensitivity it takes `value`'s case.
    Where BuildKit's options have no order, callers sort them."""
    wanted = value if case_sensitive else lower(value)
    best, best_distance = "", 3
    for option in options:
        candidate = option if case_sensitive else lower(option)
        if candidate == wanted:
            return ""
        if abs(len(wanted) - len(candidate)) > 2:
            continue
        distance = edit_distance(wanted, candidate)
        if distance < best_distance:
            best, best_distance = candidate, distance
    if best and not case_sensitive:
        return upper(best) if value != lower(value) and value == upper(value) else best
    return best


def did_you_mean(message: str, value: str, options: Iterable[str], *, case_sensitive: bool = True) -> str:
    """`message`, with ` (did you mean X?)` after it when an option is close to `value`."""
    found = suggestion(value, options, case_sensitive=case_sensitive)
    return f"{message} (did you mean {found}?)" if found else message
