"""The fields of a target, one row each: everything the rest of the room does with a field is derived from its row.

`FIELDS` stands in the order of printing (reference bake.md §11); kinds decode values, merge rules follow §13, override
rules §16, needs §23. Adding an attribute means adding a row here, an attribute to `target.Target`, and its sentence to
`field_texts`, which the schema and the reference page are made of. `BLOCKS` has the rows of all block types.
"""

from __future__ import annotations

from bakehouse.bake import kinds, needs
from bakehouse.bake import merge_rules as merge
from bakehouse.bake import override_rules as rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bakehouse.bake.kinds import Kind
    from bakehouse.bake.needs import Needs
    from bakehouse.bake.target import Target

#: How the values of an override key are collected from `--set`.
SCALAR = "scalar"  # the last value wins
LIST = "list"  # all values count, `+=` appends
MEMBER = "member"  # `key.name=value`, a missing name is noticed when the override is applied
NAMED = "named"  # `key.name=value`, a missing name is noticed at once
NAMED_STRICT = "named-strict"  # likewise, and `+=` is refused
ARGUMENT = "argument"  # as NAMED, and without `=` the value comes from the environment


class OverrideKey:
    """A key of `--set`: how its values are collected, the rule that applies them, and its rank: keys of one target
    are applied by rank, then in the order given, because `push` and `load` look at the outputs."""

    __slots__ = ("key", "rank", "rule", "style")

    def __init__(self, key: str, style: str, rule: Callable[[Any, Any, Any], Any], rank: int = 0) -> None:
        self.key = key
        self.style = style
        self.rule = rule
        self.rank = rank


class Field:
    """One row. `merge(old, new)` joins two set values; `tidy(value)` normalises the resolved one; `escaped` fields have
    template markers doubled in print; `needs` states the privileges that a value asks for."""

    __slots__ = ("attribute", "escaped", "kind", "merge", "name", "needs", "overrides", "printed", "tidy")

    def __init__(
        self,
        name: str,
        kind: Kind,
        merge: Callable[[Any, Any], Any],
        *,
        tidy: Callable[[Any], Any] | None = None,
        overrides: tuple[OverrideKey, ...] = (),
        escaped: bool = False,
        printed: bool = True,
        needs: Callable[[Any, Target, Needs], None] | None = None,
    ) -> None:
        self.name = name
        self.attribute = name.replace("-", "_")
        self.kind = kind
        self.merge = merge
        self.tidy = tidy
        self.overrides = overrides
        self.escaped = escaped
        self.printed = printed
        self.needs = needs

    @property
    def shape(self) -> str:
        return self.kind.shape


class Attribute:
    """A row of an attribute that is no target field. `shape` is that of its kind, or one of those below."""

    __slots__ = ("kind", "name", "required", "shape")

    def __init__(
        self, name: str, shape: str = "", *, kind: Kind | None = None, required: bool = False
    ) -> None:
        self.name = name
        self.kind = kind
        self.shape = kind.shape if kind is not None else shape
        self.required = required


#: Shapes of attributes that are read as expressions or as syntax.
SHAPE_ANY = "any value"
SHAPE_TYPE = "type"
SHAPE_NAME = "name"
SHAPE_NAME_LIST = "list of names"
SHAPE_CONDITION = "condition"
SHAPE_AXES = "map of lists"


class BlockType:
    """A row of a block type: `rows` are its attributes, `blocks` the types of blocks within it, by their names in
    `BLOCKS`. `labelled` blocks have one label, their name."""

    __slots__ = ("blocks", "labelled", "name", "rows")

    def __init__(
        self,
        name: str,
        rows: tuple[Field | Attribute, ...],
        *,
        labelled: bool = True,
        blocks: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.rows = rows
        self.labelled = labelled
        self.blocks = blocks

    @property
    def attribute_names(self) -> tuple[str, ...]:
        return tuple([row.name for row in self.rows])


def _key(
    key: str, style: str, rule: Callable[[Any, Any, Any], Any], rank: int = 0
) -> tuple[OverrideKey, ...]:
    return (OverrideKey(key, style, rule, rank),)


def _text(name: str, *, escaped: bool = False, override: bool = True) -> Field:
    """A string that a child or a later block replaces."""
    overrides = _key(name, SCALAR, rules.set_text) if override else ()
    return Field(name, kinds.TEXT, merge.replace, overrides=overrides, escaped=escaped)


FIELDS: tuple[Field, ...] = (
    Field("description", kinds.REQUIRED_TEXT, merge.replace_nonempty),
    Field("inherits", kinds.TEXTS, merge.append, printed=False),
    Field(
        "annotations",
        kinds.TEXTS,
        merge.append,
        tidy=merge.unique_texts,
        overrides=_key("annotations", LIST, rules.append_texts),
        escaped=True,
    ),
    Field(
        "attest",
        kinds.ATTESTS,
        merge.append_by_type,
        tidy=merge.merge_by_type_or_unset,
        overrides=_key("attest", LIST, rules.merge_attests),
    ),
    Field(
        "context",
        kinds.TEXT,
        merge.replace,
        overrides=_key("context", SCALAR, rules.set_text),
        needs=needs.context_needs,
    ),
    Field(
        "contexts",
        kinds.NAMES_TO_TEXTS,
        merge.merge_maps,
        tidy=merge.without_empty_values,
        overrides=_key("contexts", NAMED, rules.set_member),
        needs=needs.contexts_needs,
    ),
    Field(
        "dockerfile",
        kinds.TEXT,
        merge.replace,
        overrides=_key("dockerfile", SCALAR, rules.set_text),
        needs=needs.dockerfile_needs,
    ),
    _text("dockerfile-inline", escaped=True, override=False),
    Field(
        "args",
        kinds.NAMES_TO_OPTIONAL_TEXTS,
        merge.merge_maps,
        overrides=_key("args", ARGUMENT, rules.set_member),
        escaped=True,
    ),
    Field(
        "labels",
        kinds.NAMES_TO_OPTIONAL_TEXTS,
        merge.merge_maps,
        overrides=_key("labels", MEMBER, rules.set_member),
        escaped=True,
    ),
    Field(
        "tags",
        kinds.TEXTS,
        merge.replace,
        tidy=merge.unique_texts,
        overrides=_key("tags", LIST, rules.set_texts),
    ),
    Field(
        "cache-from",
        kinds.CACHES,
        merge.append_unique_entries,
        tidy=merge.unique_entries_or_unset,
        overrides=_key("cache-from", LIST, rules.set_cache_from),
        needs=needs.cache_from_needs,
    ),
    Field(
        "cache-to",
        kinds.CACHES,
        merge.replace,
        tidy=merge.unique_entries_or_unset,
        overrides=_key("cache-to", LIST, rules.set_cache_to),
        needs=needs.cache_to_needs,
    ),
    _text("target"),
    Field(
        "secret",
        kinds.SECRETS,
        merge.append_by_id,
        tidy=merge.merge_by_id_or_unset,
        overrides=(
            OverrideKey("secrets", LIST, rules.set_secrets),
            OverrideKey("secret", NAMED_STRICT, rules.set_secret_source, rank=1),
        ),
        needs=needs.secret_needs,
    ),
    Field(
        "ssh",
        kinds.SSHS,
        merge.append_by_id,
        tidy=merge.merge_by_id_or_unset,
        overrides=_key("ssh", LIST, rules.set_ssh),
        needs=needs.ssh_needs,
    ),
    Field(
        "platforms",
        kinds.TEXTS,
        merge.replace,
        tidy=merge.unique_texts,
        overrides=_key("platform", LIST, rules.set_texts),
    ),
    Field(
        "output",
        kinds.OUTPUTS,
        merge.replace,
        tidy=merge.unique_entries_or_unset,
        overrides=(
            OverrideKey("output", LIST, rules.set_outputs),
            OverrideKey("push", SCALAR, rules.push_outputs, rank=1),
            OverrideKey("load", SCALAR, rules.load_outputs, rank=2),
        ),
        needs=needs.output_needs,
    ),
    Field("pull", kinds.FLAG, merge.replace, overrides=_key("pull", SCALAR, rules.set_bool)),
    Field("no-cache", kinds.FLAG, merge.replace, overrides=_key("no-cache", SCALAR, rules.set_bool)),
    _text("network"),
    Field(
        "no-cache-filter",
        kinds.TEXTS,
        merge.append,
        tidy=merge.unique_texts,
        overrides=_key("no-cache-filter", LIST, rules.set_texts),
    ),
    _text("shm-size"),
    Field(
        "ulimits",
        kinds.TEXTS,
        merge.append,
        tidy=merge.unique_texts,
        overrides=_key("ulimits", LIST, rules.set_texts),
    ),
    Field(
        "resources",
        kinds.RESOURCES,
        merge.merge_resources,
        overrides=_key("resources", NAMED_STRICT, rules.set_resource),
    ),
    _text("call"),
    Field(
        "entitlements",
        kinds.TEXTS,
        merge.append,
        tidy=merge.unique_texts,
        overrides=_key("entitlements", LIST, rules.append_entitlements),
        needs=needs.entitlements_needs,
    ),
    Field(
        "extra-hosts",
        kinds.NAMES_TO_OPTIONAL_TEXTS,
        merge.merge_maps,
        overrides=_key("extra-hosts", MEMBER, rules.set_member),
        escaped=True,
    ),
    Field(
        "policy",
        kinds.POLICIES,
        merge.append,
        overrides=_key("policy", LIST, rules.set_policies),
    ),
)

FIELDS_BY_NAME: dict[str, Field] = {field.name: field for field in FIELDS}

#: Attributes that multiply a target.
MATRIX = (Attribute("matrix", SHAPE_AXES), Attribute("name", kind=kinds.REQUIRED_TEXT))
#: The attributes of a group; `matrix` and `name` are known there only to be refused.
GROUP_ATTRIBUTES = (
    Attribute("description", kind=kinds.REQUIRED_TEXT),
    Attribute("targets", kind=kinds.TEXTS, required=True),
)

#: Every block type, by name.
BLOCKS: dict[str, BlockType] = {
    block.name: block
    for block in (
        BlockType("target", (*FIELDS, *MATRIX)),
        BlockType("group", GROUP_ATTRIBUTES),
        BlockType(
            "variable",
            (
                Attribute("default", SHAPE_ANY),
                Attribute("description", kind=kinds.REQUIRED_TEXT),
                Attribute("type", SHAPE_TYPE),
            ),
            blocks=("validation",),
        ),
        BlockType(
            "validation",
            (Attribute("condition", SHAPE_CONDITION), Attribute("error_message", kind=kinds.TEXT)),
            labelled=False,
        ),
        BlockType(
            "function",
            (
                Attribute("params", SHAPE_NAME_LIST, required=True),
                Attribute("result", SHAPE_ANY, required=True),
                Attribute("variadic_params", SHAPE_NAME),
            ),
        ),
    )
}

#: The key of `--set`, the field it changes.
OVERRIDE_KEYS: dict[str, tuple[OverrideKey, Field]] = {
    key.key: (key, field) for field in FIELDS for key in field.overrides
}
