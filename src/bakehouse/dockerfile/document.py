"""A whole Dockerfile: bytes to stages of typed instructions, with the lint rules that need the whole text.

This is the room's entry for everything above the words: `parse_dockerfile`, and `parse_onbuild_trigger` for
the texts that base images carry.
"""

from __future__ import annotations

from collections.abc import Iterator

from bakehouse.diagnostics import DiagnosticsError
from bakehouse.dockerfile import lint_rules
from bakehouse.dockerfile.directives import Directive
from bakehouse.dockerfile.instruction_parser import parse_instruction
from bakehouse.dockerfile.instructions import ArgCommand, Command, Stage
from bakehouse.dockerfile.lint import Linter, LintWarning, make_linter
from bakehouse.dockerfile.parser import ParsedFile, parse_nodes
from bakehouse.dockerfile.positions import DockerfileError, LineRange, Word, to_diagnostics
from bakehouse.dockerfile.splitting import Node
from bakehouse.go.text import lower, upper
from bakehouse.values import dataclass, replace

_RESERVED_STAGE_NAMES = ("context", "scratch")


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A parsed Dockerfile with at least one stage. `meta_args` are the ARG instructions before the first
    FROM; `warnings` is the linter's own list, to which the lowering adds; `text` has bytes that are not UTF-8
    as `surrogateescape`."""

    stages: tuple[Stage, ...]
    meta_args: tuple[ArgCommand, ...]
    directives: tuple[Directive, ...]
    escape_token: str
    linter: Linter
    filename: str
    text: str

    @property
    def warnings(self) -> list[LintWarning]:
        return self.linter.warnings

    def error(self, error: DockerfileError) -> DiagnosticsError:
        """`error` with this file's name and an excerpt of its text."""
        return to_diagnostics(error, self.filename, self.text)


def parse_dockerfile(data: bytes, filename: str = "Dockerfile", lint: Linter | None = None) -> Dockerfile:
    """Parses a Dockerfile and runs the rules that need nothing but its text.

    Without `lint` the file's own `# check=` directive decides which rules run. Raises `DiagnosticsError`
    whose message is BuildKit's and whose excerpt shows the lines.
    """
    text = data.decode("utf-8", "surrogateescape")
    try:
        return _parse(text, filename, lint)
    except DockerfileError as error:
        raise to_diagnostics(error, filename, text) from None


def read_stages(data: bytes, filename: str = "Dockerfile") -> tuple[Stage, ...]:
    """The stages of a Dockerfile and nothing else: no rules run, and there may be none. Raises `DiagnosticsError`."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        return _build_stages(parse_nodes(text), Linter(enabled=False))[0]
    except DockerfileError as error:
        raise to_diagnostics(error, filename, text) from None


def _parse(text: str, filename: str, lint: Linter | None) -> Dockerfile:
    if not text:
        raise DockerfileError("the Dockerfile cannot be empty", code="empty-dockerfile")
    linter = make_linter(text) if lint is None else lint
    parsed = parse_nodes(text)
    for line in parsed.empty_continuations:
        linter.run(lint_rules.NO_EMPTY_CONTINUATION, LineRange(line, line))
    stages, meta_args = _build_stages(parsed, linter)
    if not stages:
        raise DockerfileError("dockerfile contains no stages to build", code="no-stages")
    _check_stage_names(stages, linter)
    _check_casing(stages, linter)
    return Dockerfile(stages, meta_args, parsed.directives, parsed.escape, linter, filename, text)


def _build_stages(parsed: ParsedFile, lint: Linter) -> tuple[tuple[Stage, ...], tuple[ArgCommand, ...]]:
    heads: list[Stage] = []
    bodies: list[list[Command]] = []
    meta_args: list[ArgCommand] = []
    for node in parsed.nodes:
        try:
            instruction = parse_instruction(node, lint)
        except DockerfileError as error:
            prefix = f"dockerfile parse error on line {node.location.first}: "
            raise error.at(node.location, prefix=prefix, word=_word_at_fault(node, error)) from None
        if isinstance(instruction, Stage):
            heads.append(instruction)
            bodies.append([])
        elif heads:
            bodies[-1].append(instruction)
        elif isinstance(instruction, ArgCommand):
            meta_args.append(instruction)
        else:
            raise DockerfileError(
                "no build stage in current context",
                location=node.location,
                code="no-stage-yet",
                hint="Only ARG may stand before the first FROM.",
            )
    stages = tuple(
        replace(head, commands=tuple(commands)) for head, commands in zip(heads, bodies, strict=True)
    )
    return stages, tuple(meta_args)


def _word_at_fault(node: Node, error: DockerfileError) -> Word | None:
    if not error.named:
        return None
    from bakehouse.dockerfile.word_ranges import find_word

    return find_word(node, error.named)


def parse_onbuild_trigger(text: str, location: LineRange) -> Command:
    """The instruction in an ONBUILD trigger, as if it stood at `location`, the lines of the FROM that fires
    it.

    Raises `DockerfileError`.
    """
    nodes = parse_nodes(text).nodes
    if len(nodes) != 1:
        raise DockerfileError(
            "onbuild trigger should be a single expression", location=location, code="invalid-trigger"
        )
    node = replace(nodes[0], location=location)
    try:
        instruction = parse_instruction(node, Linter(enabled=False))
    except DockerfileError as error:
        raise error.at(location) from None
    if isinstance(instruction, Stage):
        raise DockerfileError(
            "*instructions.Stage is not a command type", location=location, code="invalid-trigger"
        )
    return instruction


def _check_stage_names(stages: tuple[Stage, ...], lint: Linter) -> None:
    seen: set[str] = set()
    for stage in stages:
        if not stage.name:
            continue
        if stage.name in _RESERVED_STAGE_NAMES:
            lint.run(lint_rules.RESERVED_STAGE_NAME, stage.location, stage.name)
        if stage.name in seen:
            lint.run(lint_rules.DUPLICATE_STAGE_NAME, stage.location, stage.name)
        seen.add(stage.name)


def _keywords(stages: tuple[Stage, ...]) -> Iterator[tuple[str, LineRange]]:
    for stage in stages:
        yield stage.orig_cmd, stage.location
        for command in stage.commands:
            yield command.name, command.location


def _check_casing(stages: tuple[Stage, ...], lint: Linter) -> None:
    """Keywords should be in the case of the majority; mixed case has no vote, and a tie goes to upper
    case."""
    balance = 0
    for keyword, _ in _keywords(stages):
        if keyword == lower(keyword):
            balance += 1
        elif keyword == upper(keyword):
            balance -= 1
    change, wanted = (lower, "lowercase") if balance > 0 else (upper, "uppercase")
    for keyword, location in _keywords(stages):
        if change(keyword) != keyword:
            lint.run(lint_rules.CONSISTENT_INSTRUCTION_CASING, location, keyword, wanted)
