"""The table of lint rules: one row a rule. The reference page is made from it.

An *error* would make a build fail, a *warning* is probably a mistake, an *info* is worth knowing and never changes the
exit code.
"""

from __future__ import annotations

ERROR = "error"
WARNING = "warning"
INFO = "info"
SEVERITIES = (ERROR, WARNING, INFO)


class Rule:
    """`text` says what is found and why it matters, `advice` what to do about it."""

    __slots__ = ("advice", "id", "severity", "text")

    def __init__(self, id: str, severity: str, text: str, advice: str) -> None:
        self.id = id
        self.severity = severity
        self.text = text
        self.advice = advice


UNKNOWN_ATTRIBUTE = Rule(
    "unknown-attribute",
    WARNING,
    "An attribute that its block does not have. It is passed over in silence",
    "Correct the name, or remove it",
)
UNKNOWN_BLOCK = Rule(
    "unknown-block",
    WARNING,
    "A block of a type that is not known there. It is passed over in silence",
    "Correct the type, or remove it",
)
UNKNOWN_MEMBER = Rule(
    "unknown-member",
    WARNING,
    "A member that an entry of `secret`, `ssh` or `resources` does not have. It is passed over in silence",
    "Correct the name, or remove it",
)
BLOCK_FOR_ATTRIBUTE = Rule(
    "block-for-attribute",
    WARNING,
    "A block `args { … }` where an attribute is expected. It is passed over in silence",
    "Write an equals sign before the brace",
)
ATTRIBUTE_FOR_BLOCK = Rule(
    "attribute-for-block",
    WARNING,
    "An attribute `target = …` or `validation = …` where a block is expected. It is no target and no validation",
    "Write a block",
)
RESERVED_NAME = Rule(
    "reserved-name",
    WARNING,
    "A variable, function or global attribute with a name that the format keeps for itself. It is passed over in "
    "silence",
    "Choose another name",
)
HIDDEN_FUNCTION = Rule(
    "hidden-function",
    WARNING,
    "A function named like one of the standard library. Calls mean that one",
    "Choose another name",
)
REPLACED_BLOCK = Rule(
    "replaced-block",
    WARNING,
    "A group, variable or function block that a later one in the same file replaces as a whole",
    "Remove one of the two; only targets are merged",
)
REPLACED_BY_FILE = Rule(
    "replaced-by-file",
    INFO,
    "A group, variable, function or global attribute that a later file replaces as a whole",
    "Repeat in the later file what should stay; only targets are merged",
)
ATTRIBUTE_OVER_VARIABLE = Rule(
    "attribute-over-variable",
    WARNING,
    "A global attribute with the name of a variable: it takes the place of the variable's default and type",
    "Remove one of the two",
)
UNUSED_VARIABLE = Rule(
    "unused-variable",
    WARNING,
    "A variable that no expression mentions, its own validations aside",
    "Use it, or remove it",
)
UNUSED_FUNCTION = Rule(
    "unused-function", WARNING, "A function that no expression calls", "Call it, or remove it"
)
UNUSED_ATTRIBUTE = Rule(
    "unused-attribute",
    WARNING,
    "A global attribute that no expression mentions: often a misspelt block or field",
    "Use it, or remove it",
)
JSON_TEXT = Rule(
    "json-text",
    WARNING,
    "The environment has NAME_JSON for a variable NAME without a type: the variable becomes that text, braces and all",
    "Give the variable a type",
)
CHANGED_NUMBER = Rule(
    "changed-number",
    WARNING,
    "A value from the environment or `--var` that is a number to its variable, and reads differently as one: `1.10` "
    "becomes `1.1`",
    "Make the variable a string",
)
EMPTY_MATRIX = Rule(
    "empty-matrix",
    WARNING,
    "A matrix with an axis without values: the block makes no target",
    "Give the axis values",
)
UNREACHABLE_TARGET = Rule(
    "unreachable-target",
    INFO,
    "A target that nothing leads to: it is not `default`, in no group, no other target inherits from it, links to it "
    "or refers to it, and it has no description that would tell that it is meant to be named. Not looked for where "
    "there is neither a group nor a target `default`",
    "Add it to a group, describe it, or remove it",
)
INHERITS_CYCLE = Rule(
    "inherits-cycle",
    WARNING,
    "Targets that inherit from each other in a circle. The parent under way is passed over in silence",
    "Break the circle",
)
UNKNOWN_TARGET = Rule(
    "unknown-target",
    ERROR,
    "A group, `inherits` or a `target:` context that names a target that does not exist. It fails when it is built",
    "Correct the name",
)
UNRESOLVABLE_TARGET = Rule(
    "unresolvable-target",
    ERROR,
    "A target that cannot be resolved: its `target:` contexts lead round in a circle, or to a target without its "
    "platforms. It fails when it is built",
    "Correct its contexts",
)
UNDECLARED_ARG = Rule(
    "undeclared-arg",
    WARNING,
    "A member of `args` that the Dockerfiles of all targets that get it have no ARG for. It changes nothing",
    "Declare it with ARG, or remove it",
)
DUPLICATE_TAG = Rule(
    "duplicate-tag",
    WARNING,
    "A tag that two targets give to their images: whichever is built last has it. Targets that inherit it from one "
    "place are variants of one image, which matters only when a group means both",
    "Give each target tags of its own",
)
MISSING_CONTEXT = Rule(
    "missing-context",
    ERROR,
    "A local directory of `context` or `contexts` that is not there",
    "Correct the path, or create the directory",
)
MISSING_DOCKERFILE = Rule(
    "missing-dockerfile",
    ERROR,
    "A local Dockerfile that is not there",
    "Correct `dockerfile`, or create the file",
)
UNREAD_DOCKERFILE = Rule(
    "unread-dockerfile",
    INFO,
    "A Dockerfile outside the working directory. Like a build, lint reads it only if that is allowed",
    "Allow it with `--allow fs.read=PATH`",
)
BAD_DOCKERFILE = Rule("bad-dockerfile", ERROR, "A Dockerfile with a syntax error", "Correct the Dockerfile")
LEGACY_SYNTAX = Rule(
    "legacy-syntax",
    WARNING,
    "A deprecated form of HCL: an index `x.0`, or a splat `x.*`",
    "Write `x[0]`, or `x[*]`",
)
WRAPPED_EXPRESSION = Rule(
    "wrapped-expression",
    INFO,
    'A template that is nothing but one expression, as `"${x}"` in an HCL file',
    "Write the expression alone",
)
UNKNOWN_RULE = Rule("unknown-rule", WARNING, "A comment `lint:ignore` that names no rule", "Correct the name")

RULES: tuple[Rule, ...] = (
    UNKNOWN_ATTRIBUTE,
    UNKNOWN_BLOCK,
    UNKNOWN_MEMBER,
    BLOCK_FOR_ATTRIBUTE,
    ATTRIBUTE_FOR_BLOCK,
    RESERVED_NAME,
    HIDDEN_FUNCTION,
    REPLACED_BLOCK,
    REPLACED_BY_FILE,
    ATTRIBUTE_OVER_VARIABLE,
    UNUSED_VARIABLE,
    UNUSED_FUNCTION,
    UNUSED_ATTRIBUTE,
    JSON_TEXT,
    CHANGED_NUMBER,
    EMPTY_MATRIX,
    UNREACHABLE_TARGET,
    INHERITS_CYCLE,
    UNKNOWN_TARGET,
    UNRESOLVABLE_TARGET,
    UNDECLARED_ARG,
    DUPLICATE_TAG,
    MISSING_CONTEXT,
    MISSING_DOCKERFILE,
    UNREAD_DOCKERFILE,
    BAD_DOCKERFILE,
    LEGACY_SYNTAX,
    WRAPPED_EXPRESSION,
    UNKNOWN_RULE,
)
RULES_BY_ID: dict[str, Rule] = {rule.id: rule for rule in RULES}
