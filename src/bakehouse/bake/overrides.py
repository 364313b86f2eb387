"""`--set PATTERN.KEY[.SUBKEY][+]=VALUE`: syntax, collection over targets, application (reference bake.md §16).

Keys and what they do come from the field table. Differences from buildx v0.37, each with a case: `network`,
`no-cache-filter` and `ulimits` take their value (there it is lost).
"""

from __future__ import annotations

from bakehouse.bake.fields import ARGUMENT, LIST, NAMED, NAMED_STRICT, OVERRIDE_KEYS, SCALAR
from bakehouse.bake.override_rules import Grants, Override, invalid
from bakehouse.errors import DefinitionError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bakehouse.bake.recorder import Recorder
    from bakehouse.bake.target import Granted, Target

    #: The overrides of each target, in the order first given.
    Overrides = dict[str, list[Override]]


def parse_overrides(
    texts: Iterable[str], target_names: Sequence[str], lookup: Callable[[str], str | None] | None
) -> Overrides:
    """The overrides of every target that some pattern matches. `lookup` finds an environment variable for an argument
    without a value; None forbids that, and the argument becomes empty.

    Raises `DefinitionError` (code `invalid-override`) for bad syntax, `NotFoundError` for a pattern that matches no
    target. Unknown keys are found when the overrides of a target are applied, as in buildx.
    """
    known = set(target_names)
    found: dict[str, dict[tuple[str, str | None], Override]] = {}
    for number, text in enumerate(texts):
        left, equals, value = text.partition("=")
        append = left.endswith("+")
        path = left.removesuffix("+")
        pattern, *keys = path.split(".", 2)
        if not keys:
            raise invalid(f"invalid override key {path}, expected target.name")
        if not equals and keys[0] != "args":
            raise invalid(f"invalid override {text}, expected target.name=value")
        names = _expand(pattern, target_names, known)
        key, subkey = keys[0], keys[1] if len(keys) > 1 else None
        style = OVERRIDE_KEYS[key][0].style if key in OVERRIDE_KEYS else SCALAR
        _check_shape(left, key, subkey, style, append)
        if style == ARGUMENT and not equals and lookup is not None:
            assert subkey is not None
            looked_up = lookup(subkey)
            if looked_up is None:
                continue
            value = looked_up
        for name in names:
            override = found.setdefault(name, {}).setdefault((key, subkey), Override(key, subkey))
            override.numbers.append(number)
            if style == LIST:
                override.values.append(value)
                override.append = append
            else:
                override.value = value
    return {name: list(overrides.values()) for name, overrides in found.items()}


def _check_shape(left: str, key: str, subkey: str | None, style: str, append: bool) -> None:
    if style in (NAMED, NAMED_STRICT, ARGUMENT) and subkey is None:
        raise invalid(f"invalid key {left}, {key} requires name")
    if style == NAMED_STRICT and append:
        raise invalid(f"invalid key {left}, {key} does not support append")


def _expand(pattern: str, target_names: Sequence[str], known: set[str]) -> list[str]:
    """The targets that a pattern means: the one of that very name, else all that match."""
    if pattern in known:
        return [pattern]
    from bakehouse.go.globs import BadPatternError, match_path

    try:
        names = [name for name in target_names if match_path(pattern, name)]
    except BadPatternError as error:
        raise invalid(f"could not match targets with '{pattern}': {error}") from None
    if not names:
        from bakehouse.bake.suggestions import suggestion

        raise NotFoundError(
            f"could not find any target matching '{pattern}'",
            code="unknown-target",
            hint=suggestion(pattern, target_names),
        )
    return names


def apply_overrides(
    target: Target, overrides: Sequence[Override], granted: Granted, recorder: Recorder | None = None
) -> None:
    """Applies the overrides of one target to it, and records in `granted` what they allow; `recorder` is told of
    each."""
    grants = Grants(granted)
    for override in sorted(overrides, key=_rank):
        if override.key not in OVERRIDE_KEYS:
            from bakehouse.bake.suggestions import suggestion

            raise DefinitionError(
                f"unknown key: {override.key}",
                code="invalid-override",
                hint=suggestion(override.key, OVERRIDE_KEYS),
            )
        key, field = OVERRIDE_KEYS[override.key]
        current = getattr(target, field.attribute)
        setattr(target, field.attribute, key.rule(current, override, grants))
        if recorder is not None:
            recorder.overridden(target, override)
    granted.fs_read += [s.src for s in target.secret or () if s.id in grants.secret_ids and s.src]


def _rank(override: Override) -> int:
    return OVERRIDE_KEYS[override.key][0].rank if override.key in OVERRIDE_KEYS else 0
