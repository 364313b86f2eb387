"""What definition files declare, before anything is evaluated: variables, functions, global attributes, and the blocks
of targets and groups (reference bake.md §4 steps 1-3, §7, §8).

Findings of one step are complete before the next step is taken, and the first step with findings ends the matter: that
is what decides which finding comes first and how many there are.
"""

from __future__ import annotations

from bakehouse.bake.fields import BLOCKS, MATRIX
from bakehouse.bake.files import DefinitionFile, is_compose_name
from bakehouse.diagnostics import ERROR, FOLLOW_UP, Diagnostic, DiagnosticsError
from bakehouse.errors import DefinitionError
from bakehouse.hcl import parse_json, parse_native
from bakehouse.hcl.syntax import Attribute, AttributeSchema, Block, BlockSchema, Body, BodySchema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bakehouse.bake.compose import ComposeLoader
    from bakehouse.bake.kinds import Unsuitable
    from bakehouse.hcl.syntax import BodyContent

#: Names that no variable, function or global attribute can take.
BLOCK_TYPES = ("group", "target")
BUILT_INS = ("BAKE_CMD_CONTEXT", "BAKE_LOCAL_PLATFORM")
RESERVED = frozenset((*BLOCK_TYPES, *BUILT_INS))

_NAME = ("name",)
_DECLARATIONS = BodySchema((), (BlockSchema("function", _NAME), BlockSchema("variable", _NAME)))
_BLOCKS = BodySchema((), tuple(BlockSchema(kind, _NAME) for kind in BLOCK_TYPES))


def _schema(kind: str, *more: str) -> BodySchema:
    """What a block of a type may hold, by its rows."""
    block = BLOCKS[kind]
    return BodySchema(
        tuple([AttributeSchema(name) for name in (*block.attribute_names, *more)]),
        tuple([BlockSchema(name) for name in block.blocks]),
    )


_VARIABLE = _schema("variable")
_VALIDATION = _schema("validation")
_FUNCTION = _schema("function")
BLOCK_SCHEMAS = {
    "target": _schema("target"),
    "group": _schema("group", *[row.name for row in MATRIX]),
}
#: What a group must have; asked for only when the whole group is evaluated.
REQUIRED_OF_GROUP = BodySchema((AttributeSchema("targets", required=True),))


class Validation:
    """One validation of a variable; either expression may be missing (`content.missing_item_range` stands for it)."""

    __slots__ = ("condition", "content", "message")

    def __init__(self, content: BodyContent) -> None:
        self.content = content
        self.condition = content.attributes.get("condition")
        self.message = content.attributes.get("error_message")


class VariableDeclaration:
    __slots__ = ("block", "default", "description", "name", "type", "validations")

    def __init__(self, block: Block, content: BodyContent, description: str) -> None:
        self.block = block
        self.name = block.labels[0]
        self.type: Attribute | None = content.attributes.get("type")
        self.default: Attribute | None = content.attributes.get("default")
        self.description = description
        self.validations: list[Validation] = []


class FunctionDeclaration:
    __slots__ = ("block", "name", "params", "result", "variadic")

    def __init__(self, block: Block, content: BodyContent) -> None:
        self.block = block
        self.name = block.labels[0]
        self.params = content.attributes.get("params")
        self.result = content.attributes.get("result")
        self.variadic = content.attributes.get("variadic_params")


class Declarations:
    """Everything declared, later files over earlier ones; `blocks` in file and source order."""

    __slots__ = ("attributes", "blocks", "functions", "variables")

    def __init__(self) -> None:
        self.variables: dict[str, VariableDeclaration] = {}
        self.functions: dict[str, FunctionDeclaration] = {}
        self.attributes: dict[str, Attribute] = {}
        self.blocks: list[Block] = []


class Parsed:
    """Definition files by kind: the bodies of HCL and JSON files, and the Compose files, both in their order."""

    __slots__ = ("bodies", "compose_files")

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.compose_files: list[DefinitionFile] = []


def parse_files(
    files: Sequence[DefinitionFile], sources: dict[str, str], compose: Callable[[], ComposeLoader]
) -> Parsed:
    """All files, parsed as what their names say or, where those say nothing, as what they turn out to be; fills
    `sources` with the texts from which excerpts can be shown. `compose` is asked for only when a file may be one.

    Raises `DiagnosticsError` with the findings of all HCL and JSON files, its message that of the first faulty one;
    the first faulty Compose file ends the matter.
    """
    parsed = Parsed()
    failed: list[list[Diagnostic]] = []
    for file in files:
        sources[file.name] = file.data.decode("utf-8", "replace")
        try:
            outcome = _parse(file, compose)
        except DefinitionError:
            # What an earlier file did wrong comes first.
            if failed:
                break
            raise
        if outcome is None:
            parsed.compose_files.append(file)
            continue
        body, findings = outcome
        parsed.bodies.append(body)
        if has_errors(findings):
            failed.append(findings)
    if failed:
        raise error_of(failed, sources)
    return parsed


def _parse(
    file: DefinitionFile, compose: Callable[[], ComposeLoader]
) -> tuple[Body, list[Diagnostic]] | None:
    """The body of a file with its findings; None for a Compose file without fault."""
    if file.name.endswith(".json"):
        return parse_json(file.data, file.name)
    if file.name.endswith(".hcl"):
        return parse_native(file.data, file.name)
    if not is_compose_name(file.name):
        return _parse_unnamed(file, compose)
    loader = compose()
    try:
        loader.environment()
    except DefinitionError as error:
        # Without its variables no file is a Compose file, whatever it is called.
        return _as_other(file, parse_native(file.data, f"{file.name}.hcl"), error)
    loader.check(file)
    return None


def _parse_unnamed(
    file: DefinitionFile, compose: Callable[[], ComposeLoader]
) -> tuple[Body, list[Diagnostic]] | None:
    """A file whose name does not tell its kind: Compose, then HCL, then JSON."""
    native = parse_native(file.data, f"{file.name}.hcl")
    if not has_errors(native[1]) and not _may_be_compose(file.data):
        return native
    try:
        compose().check(file)
    except DefinitionError as error:
        return _as_other(file, native, error)
    return None


def _may_be_compose(data: bytes) -> bool:
    """Whether the text can hold one of the keys without which nothing is a Compose file (a key can be escaped)."""
    return any(word in data for word in (b"services", b"secrets", b"include", b"\\"))


def _as_other(
    file: DefinitionFile, native: tuple[Body, list[Diagnostic]], compose_error: DefinitionError
) -> tuple[Body, list[Diagnostic]]:
    """The file as HCL or JSON. Raises `DefinitionError` that says why it is none of the three."""
    if not has_errors(native[1]):
        return native
    as_json = parse_json(file.data, f"{file.name}.json")
    if not has_errors(as_json[1]):
        return as_json
    raise DefinitionError(
        f"failed to parse {file.name}: parsing yaml: {compose_error.message}, parsing hcl: {message_of(native[1])}",
        code="invalid-definition",
        hint="A name that ends in .hcl, .json, .yaml or .yml says what the file is.",
    )


def has_errors(findings: Iterable[Diagnostic]) -> bool:
    return any(finding.severity == ERROR for finding in findings)


def message_of(findings: Sequence[Diagnostic]) -> str:
    """The one-line message of some findings: the first, and how many others."""
    first = str(findings[0])
    return first if len(findings) == 1 else f"{first}, and {len(findings) - 1} other diagnostic(s)"


def error_of(
    groups: Sequence[Sequence[Diagnostic]], sources: dict[str, str], code: str | None = None
) -> DiagnosticsError:
    """One error for several groups of findings: all are kept, the message speaks of the first group only, since the
    peer stops there."""
    return DiagnosticsError(
        [finding for group in groups for finding in group],
        sources,
        message=message_of(groups[0]),
        code=code,
    )


def collect(bodies: Sequence[Body], sources: dict[str, str]) -> Declarations:
    """The declarations of all bodies. Raises `DiagnosticsError`."""
    out = Declarations()
    findings: list[Diagnostic] = []
    rest: list[Body] = []
    declared: list[Block] = []
    for body in bodies:
        content, found = body.content(_DECLARATIONS, partial=True)
        findings += found
        declared += content.blocks
        rest.append(content.remain)
    for block in declared:
        if block.type == "variable":
            _declare_variable(block, out, findings)
        else:
            _declare_function(block, out, findings)
    if has_errors(findings):
        raise error_of([findings], sources)
    _collect_blocks(rest, out, sources)
    return out


def _collect_blocks(rest: Sequence[Body], out: Declarations, sources: dict[str, str]) -> None:
    findings: list[Diagnostic] = []
    remains = []
    for body in rest:
        content, found = body.content(_BLOCKS, partial=True)
        findings += found
        out.blocks += content.blocks
        remains.append(content.remain)
    if has_errors(findings):
        raise error_of([findings], sources)
    for body in remains:
        attributes, found = body.just_attributes()
        # Unknown blocks are tolerated (trap T12).
        findings += [finding for finding in found if finding.detail != "Blocks are not allowed here."]
        for name, attribute in attributes.items():
            if name not in RESERVED and name != "function":
                out.attributes[name] = attribute
    if has_errors(findings):
        raise error_of([findings], sources)


def _declare_variable(block: Block, out: Declarations, findings: list[Diagnostic]) -> None:
    content, found = block.body.content(_VARIABLE, partial=True)
    findings += found
    description = ""
    attribute = content.attributes.get("description")
    if attribute is not None:
        description = _constant_text(attribute, findings)
    variable = VariableDeclaration(block, content, description)
    for validation in content.blocks:
        inner, found = validation.body.content(_VALIDATION)
        findings += found
        variable.validations.append(Validation(inner))
    if variable.name not in RESERVED:
        out.variables.pop(variable.name, None)
        out.variables[variable.name] = variable


def _constant_text(attribute: Attribute, findings: list[Diagnostic]) -> str:
    from bakehouse.bake.kinds import REQUIRED_TEXT, Unsuitable

    value, found = attribute.expr.evaluate(None)
    findings += found
    try:
        return str(REQUIRED_TEXT.decode(value))
    except Unsuitable as error:
        findings.append(unsuitable(attribute, error))
        return ""


def unsuitable(attribute: Attribute, error: Unsuitable) -> Diagnostic:
    """The finding for a value of the wrong shape."""
    from bakehouse.bake.kinds import NotKnown

    return Diagnostic(
        "Unsuitable value type",
        f"Unsuitable value: {error}",
        subject=attribute.expr.start_range,
        context=attribute.expr.range,
        code=FOLLOW_UP if isinstance(error, NotKnown) else "unsuitable-value",
    )


def _declare_function(block: Block, out: Declarations, findings: list[Diagnostic]) -> None:
    content, found = block.body.content(_FUNCTION)
    findings += found
    function = FunctionDeclaration(block, content)
    if function.name not in RESERVED:
        out.functions.pop(function.name, None)
        out.functions[function.name] = function
