"""Writes the generated parts of the reference pages, or checks that the committed pages are current.

    python docs/generate.py            rewrites them
    python docs/generate.py --check    exit code 1 and a list of what is out of date

A generated part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`; everything else of a page is
written by hand. Facts come from the source (flag tables, field table, every error code that the source can raise);
sentences that the source does not hold come from `docs/reference/texts.toml`. A fact without its sentence, or a
sentence without its fact, is an error.
"""

from __future__ import annotations

import importlib
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parent
SOURCE = DOCS.parent / "src" / "bakehouse"
sys.path[:0] = [str(DOCS), str(SOURCE.parent)]

from errorcodes import ErrorCode, collect_codes  # noqa: E402

from bakehouse.bake.field_texts import BLOCK_TEXTS, MERGES, TEXTS_OF, Grammar, Member, incomplete  # noqa: E402
from bakehouse.bake.fields import BLOCKS, FIELDS, Field  # noqa: E402
from bakehouse.cli.flags import BOOL, INT, LIST, Flag  # noqa: E402
from bakehouse.cli.main import COMMANDS, UNBUILT  # noqa: E402
from bakehouse.cli.options import BAKE, BUILD  # noqa: E402
from bakehouse.hcl.functions import FUNCTION_GROUPS, stdlib  # noqa: E402
from bakehouse.insight.lint.rules import RULES  # noqa: E402

_PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)
_KINDS = {BOOL: "boolean", INT: "number", LIST: "text, repeatable"}


class OutOfStep(Exception):
    """The source and the hand-written sentences do not fit together."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars within cells are escaped."""
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


def paired(what: str, names: Iterable[str], texts: Mapping[str, str]) -> None:
    """Raises `OutOfStep` unless every name has its sentence and every sentence its name."""
    wanted, there = set(names), set(texts)
    problems = [f"{what} {name!r} has no sentence" for name in sorted(wanted - there)]
    problems += [f"the sentence of {what} {name!r} stands for nothing" for name in sorted(there - wanted)]
    if problems:
        raise OutOfStep("\n".join(f"docs/reference/texts.toml: {problem}" for problem in problems))


def flags_of(command: str) -> tuple[Flag, ...]:
    """The flag table of a command."""
    shared = {"bake": BAKE, "build": BUILD}.get(command)
    if shared is not None:
        return shared
    return tuple(getattr(importlib.import_module(f"bakehouse.cli.{COMMANDS[command][0]}"), "FLAGS", ()))


def usage_of(command: str) -> str:
    """The usage line of a command, as its help shows it."""
    module = importlib.import_module(f"bakehouse.cli.{COMMANDS[command][0]}")
    first = str(module.help_text()).splitlines()[0]
    return first.removeprefix("Usage:").strip()


def commands_part(texts: Mapping[str, Mapping[str, str]]) -> str:
    paired("command", COMMANDS, texts["commands"])
    parts = []
    for command in COMMANDS:
        text = textwrap.fill(texts["commands"][command], 120, break_long_words=False, break_on_hyphens=False)
        parts.append(f"### bakehouse {command}\n\n```text\n{usage_of(command)}\n```\n\n{text}\n\n")
        flags = flags_of(command)
        if flags:
            parts.append(table(("flag", "value", "meaning"), map(_flag_row, _shown_first(flags))) + "\n")
    return "".join(parts)


def _shown_first(flags: Sequence[Flag]) -> list[Flag]:
    return sorted(flags, key=lambda flag: (flag.hidden, flag.name))


def _flag_row(flag: Flag) -> tuple[str, str, str]:
    name = f"`-{flag.short}`, `--{flag.name}`" if flag.short else f"`--{flag.name}`"
    value = _KINDS.get(flag.kind, "text") + (", split at commas" if flag.split else "")
    if flag.default not in (None, "", False):
        value += f", default `{str(flag.default).lower() if flag.kind == BOOL else flag.default}`"
    sentences = [flag.help or ("" if flag.unbuilt else "For older scripts")]
    if flag.unbuilt:
        sentences.append(f"**Not supported yet**: {flag.unbuilt}")
    if flag.hidden:
        sentences.append("Hidden")
    return name, value, ". ".join(sentence for sentence in sentences if sentence)


def unbuilt_part(texts: Mapping[str, Mapping[str, str]]) -> str:
    return table(("command", "missing"), [(f"`{name}`", why) for name, why in UNBUILT.items()])


def fields_part(texts: Mapping[str, Mapping[str, str]]) -> str:
    problems = incomplete()
    if problems:
        raise OutOfStep("\n".join(f"field_texts.py: {problem}" for problem in problems))
    header = ("field", "type", "meaning", "a later value", "`--set` keys", "needs")
    return table(header, map(_field_row, sorted(FIELDS, key=_name)))


def _name(field: Field) -> str:
    return field.name


def _field_row(field: Field) -> tuple[str, ...]:
    text = TEXTS_OF["target"][field.name]
    keys = ", ".join(f"`{key.key}`" for key in field.overrides) or "none"
    return (
        f"`{field.name}`",
        field.shape,
        text.sentence,
        MERGES[field.merge],
        keys,
        "privilege" if field.needs else "",
    )


def entries_part(texts: Mapping[str, Mapping[str, str]]) -> str:
    """A section for each field whose value has a grammar of its own; equal grammars share one."""
    fields: dict[int, tuple[Grammar, list[str]]] = {}
    for field in sorted(FIELDS, key=_name):
        grammar = TEXTS_OF["target"][field.name].entries
        if grammar is not None:
            fields.setdefault(id(grammar), (grammar, []))[1].append(field.name)
    parts = []
    for grammar, names in fields.values():
        parts.append(f"### {', '.join(names)}\n\n")
        parts += [f"For example `{name} = {TEXTS_OF['target'][name].example}`. " for name in names]
        if grammar.string:
            parts.append(f"As a string: {grammar.string}. ")
        parts.append(
            "Other members are handed on.\n\n" if grammar.open else "There are no other members.\n\n"
        )
        rows = [_member_row(member, grammar) for member in grammar.members]
        parts.append(table(("member", "type", "meaning"), rows) + "\n")
    return "".join(_filled(part) for part in "".join(parts).split("\n\n"))


def _filled(paragraph: str) -> str:
    if paragraph.startswith(("|", "#")) or not paragraph.strip():
        return paragraph.strip("\n") + "\n\n" if paragraph.strip() else ""
    return textwrap.fill(paragraph, 120, break_long_words=False, break_on_hyphens=False) + "\n\n"


def _member_row(member: Member, grammar: Grammar) -> tuple[str, ...]:
    text = member.text
    if member.values:
        text += ": " + ", ".join(f"`{value}`" for value in member.values)
    if member.name in grammar.required:
        text += ". Required"
    return f"`{member.name}`", member.type, text


def blocks_part(texts: Mapping[str, Mapping[str, str]]) -> str:
    """The rows of all block types but the target's fields."""
    parts = []
    for name, block in BLOCKS.items():
        title = f'{name} "NAME"' if block.labelled else name
        rows = []
        for row in block.rows:
            if isinstance(row, Field):
                continue
            text = TEXTS_OF[name][row.name]
            sentence = text.sentence + (". Required" if row.required else "")
            rows.append((f"`{row.name}`", row.shape, sentence, f"`{text.example}`"))
        rows += [
            (f"`{inner} {{ … }}`", "block", TEXTS_OF[name][inner].sentence, "") for inner in block.blocks
        ]
        parts.append(f"### `{title}`\n\n")
        parts.append(_filled(BLOCK_TEXTS[name] + "."))
        if name == "target":
            parts.append("Besides the fields:\n\n")
        parts.append(table(("attribute", "type", "meaning", "example"), rows) + "\n")
    return "".join(parts)


def rules_part(texts: Mapping[str, Mapping[str, str]]) -> str:
    rows = [(f"`{rule.id}`", rule.severity, rule.text, rule.advice) for rule in RULES]
    return table(("rule", "severity", "what is found", "what to do"), rows)


def codes_part(texts: Mapping[str, Mapping[str, str]]) -> str:
    codes = collect_codes(SOURCE)
    paired("error code", [code.name for code in codes], texts["errors"])
    return table(
        ("code", "category", "meaning", "raised in"), [_code_row(code, texts["errors"]) for code in codes]
    )


def _code_row(code: ErrorCode, texts: Mapping[str, str]) -> tuple[str, ...]:
    rooms = ", ".join(f"`{room}`" for room in code.rooms)
    return f"`{code.name}`", ", ".join(code.categories), texts[code.name], rooms


_FUNCTION_GROUPS = {
    "Text": ("text", "formatting", "regexes"),
    "Numbers": ("number",),
    "Comparison and logic": ("logic", "speculation"),
    "Collections": ("collection", "sets"),
    "Encodings and digests": ("encoding", "digests"),
    "Times, networks, paths and versions": ("times", "network", "paths"),
}


def functions_part(texts: Mapping[str, Mapping[str, str]]) -> str:
    paired("function", stdlib(), texts["functions"])
    if sorted(group for groups in _FUNCTION_GROUPS.values() for group in groups) != sorted(FUNCTION_GROUPS):
        raise OutOfStep("docs/generate.py: the headings of functions do not cover the groups of the library")
    parts = []
    for title, groups in _FUNCTION_GROUPS.items():
        names = sorted(name for group in groups for name in FUNCTION_GROUPS[group].split())
        rows = [(f"`{_signature(name)}`", texts["functions"][name]) for name in names]
        parts.append(f"\n## {title}\n\n" + table(("function", "what it gives"), rows))
    return "".join(parts) + "\n"


def _signature(name: str) -> str:
    function = stdlib(home_directory=str, now=float)[name]
    parameters = [parameter.name for parameter in function.params]
    if function.variadic is not None:
        parameters.append(f"{function.variadic.name}...")
    return f"{name}({', '.join(parameters)})"


PARTS: Mapping[str, tuple[str, Callable[[Mapping[str, Mapping[str, str]]], str]]] = {
    "commands": ("cli.md", commands_part),
    "unbuilt-commands": ("cli.md", unbuilt_part),
    "fields": ("bake-fields.md", fields_part),
    "entries": ("bake-fields.md", entries_part),
    "blocks": ("bake-fields.md", blocks_part),
    "lint-rules": ("lint-rules.md", rules_part),
    "error-codes": ("errors.md", codes_part),
    "functions": ("hcl-functions.md", functions_part),
}


def renewed(page: Path, texts: Mapping[str, Mapping[str, str]]) -> str:
    """The text of `page` with its generated parts made anew. Raises `OutOfStep`."""
    wanted = {name for name, (file, _) in PARTS.items() if file == page.name}
    found: list[str] = []

    def part(match: re.Match[str]) -> str:
        found.append(match[2])
        return match[1] + PARTS[match[2]][1](texts) + match[3]

    text = _PART.sub(part, page.read_text("utf-8"))
    if set(found) != wanted:
        raise OutOfStep(f"{page.name}: has the parts {sorted(found)}, expected {sorted(wanted)}")
    return text


def main(argv: Sequence[str]) -> int:
    reference = DOCS / "reference"
    texts = tomllib.loads((reference / "texts.toml").read_text("utf-8"))
    stale = []
    try:
        for name in sorted({file for file, _ in PARTS.values()}):
            page = reference / name
            text = renewed(page, texts)
            if text != page.read_text("utf-8"):
                stale.append(page)
                if "--check" not in argv:
                    page.write_text(text, "utf-8")
    except OutOfStep as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if stale and "--check" in argv:
        sys.stderr.write(
            "out of date: " + ", ".join(page.name for page in stale) + "; run docs/generate.py\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
