"""Explanations agree with what is printed, in every case, and every printed value has an origin."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases.bake.record import ROOT, case_folders
from tests.cases.bake.runner import ask_ours, run_ours
from tests.support.definitions import TARGET_NAMES, definition_texts, override_texts
from tests.support.paths import CASES

from bakehouse.bake import Definition, LoadOptions, load
from bakehouse.bake.explain.answers import Explainer, parse_address
from bakehouse.bake.explain.names import NOTHING, Origin
from bakehouse.bake.explain.provenance import Explained, Provenance
from bakehouse.bake.fields import FIELDS_BY_NAME
from bakehouse.bake.printing import target_as_json
from bakehouse.bake.recorder import Recorder
from bakehouse.bake.resolution import merge_target
from bakehouse.bake.target import Target
from bakehouse.diagnostics import Position, SourceRange
from bakehouse.errors import BakehouseError

PRINTING = [
    case
    for case in case_folders()
    if (case / "expected.json").exists() and "--print" in (case / "cmd").read_text()
]


def _id(case: Path) -> str:
    return str(case.relative_to(ROOT))


def _parts(fields: list[Explained]) -> Iterator[Explained]:
    for field in fields:
        yield from field.members or [field]


def _ends(origins: list[Origin]) -> Iterator[tuple[Origin, list[str]]]:
    """The origins that stand in files, along the way that the value itself went, with the kinds on the way."""
    for origin in origins:
        if origin.kind == "file":
            yield origin, []
        elif origin.kind in ("inherited", "normalised", "set", "flag", "linked"):
            for end, kinds in _ends(origin.causes):
                yield end, [origin.kind, *kinds]


def _members_of(fields: list[Explained]) -> dict[str, object]:
    """The printed members, put together again from the explained parts."""
    out: dict[str, object] = {}
    for field in fields:
        if field.label == "inherits":
            continue
        out[str(field.label)] = field.value
        if field.members:
            if isinstance(field.members[0].label, int):
                assert [member.label for member in field.members] == list(range(len(field.members)))
                assert [member.value for member in field.members] == field.value
            else:
                assert {str(member.label): member.value for member in field.members} == field.value
    return out


@pytest.mark.parametrize("case", PRINTING, ids=_id)
def test_explained_values_are_the_printed_ones(case: Path) -> None:
    printed, error = run_ours(case)
    assert error == ""
    record = Recorder()
    asked = ask_ours(case, record)
    resolved = asked.resolve()
    provenance = Provenance(asked.definition, record)
    wanted = json.loads(printed)["target"]
    assert set(resolved.targets) == set(wanted)
    for name, target in resolved.targets.items():
        fields = provenance.fields(target)
        assert _members_of(fields) == wanted[name]
        for part in _parts(fields):
            assert part.origins or part.value in ([], {}), f"{name}: {part.label} has no origin"


def test_what_a_file_says_literally_is_the_value() -> None:
    """Where a value went from a plain text in a file to the result without being changed, it is that text."""
    compared = 0
    for case in PRINTING:
        record = Recorder()
        asked = ask_ours(case, record)
        for target in asked.resolve().targets.values():
            for part in _parts(Provenance(asked.definition, record).fields(target)):
                for end, kinds in _ends(part.origins):
                    literal = end.text.startswith('"') and not any(mark in end.text for mark in "${%\\…")
                    if literal and isinstance(part.value, str) and set(kinds) <= {"inherited"}:
                        compared += 1
                        assert part.value == json.loads(end.text), f"{_id(case)}: {target.name} {part.label}"
    assert compared > 300


#: A name with constant steps: what it stands for is the value.
_BARE_NAME = re.compile(r"""[A-Za-z_][\w-]*(?:\.[\w-]+|\[\d+\]|\["[^"]*"\])*\Z""")


def test_what_a_part_is_followed_to_has_its_value() -> None:
    """Where an expression is a name, what is told of that name is the part of the result, however it was reached."""
    compared = 0
    for definition, record, targets in _recorded():
        for target in targets:
            for part in _parts(Provenance(definition, record).fields(target)):
                for end, kinds in _ends(part.origins):
                    values = [cause.value for cause in end.causes if cause.value is not NOTHING]
                    named = _BARE_NAME.match(end.text) and len(values) == len(end.causes) == 1
                    if named and isinstance(part.value, str) and set(kinds) <= {"inherited"}:
                        compared += 1
                        shown = values[0] if isinstance(values[0], str) else json.dumps(values[0])
                        assert shown == part.value, f"{target.name} {part.label} in {end.place}"
    assert compared > 60


def _recorded() -> Iterator[tuple[Definition, Recorder, list[Target]]]:
    """The definitions of all cases as loaded, with their targets."""
    for case in PRINTING:
        record = Recorder()
        asked = ask_ours(case, record)
        yield asked.definition, record, list(asked.resolve().targets.values())
    for path in sorted((CASES / "explain").glob("*/cmd")):
        record = Recorder()
        definition = load(LoadOptions(cwd=str(path.parent), environ={}, files=(), recorder=record))
        yield definition, record, list(definition.resolve(["*"], check=False).targets.values())


@pytest.mark.parametrize("case", PRINTING, ids=_id)
def test_questions_about_single_targets_are_answered(case: Path) -> None:
    """Every address that an answer mentions can be asked for itself, and gives the same."""
    record = Recorder()
    asked = ask_ours(case, record)
    resolved = asked.resolve()
    explainer = Explainer(asked.definition, record, asked.overrides, disable_policies=asked.disable_policies)
    for name, target in resolved.targets.items():
        if target.linked or name in asked.definition.groups:
            continue
        alone = asked.definition.resolve(
            [name], asked.overrides, disable_policies=asked.disable_policies
        ).targets[name]
        wanted = target_as_json(alone)
        whole: Any = explainer.answer(parse_address(name)).as_json()
        assert {
            field["name"]: field["value"] for field in whole["fields"] if field["name"] != "inherits"
        } == wanted
        for field in whole["fields"]:
            one: Any = explainer.answer(parse_address(f"{name}.{field['name']}")).as_json()
            assert one["fields"] == [field]
            for member in field.get("members", ())[:3]:
                label = member["name"]
                each: Any = explainer.answer(parse_address(f"{name}.{field['name']}[{label}]")).as_json()
                assert each["fields"][0]["value"] == member["value"]


def test_there_are_cases() -> None:
    assert len(PRINTING) > 120


def _loaded(text: str, **environ: str) -> tuple[Definition, Recorder]:
    record = Recorder()
    options = LoadOptions(cwd="/", environ=environ, files=["-"], stdin=text.encode, recorder=record)
    return load(options), record


def test_long_chains_of_parents_are_one_origin() -> None:
    """As long as printing can resolve them."""
    count = 800
    text = f'target "t{count}" {{ args = {{ v = "x" }} }}\n'
    text += "".join(f'target "t{number}" {{ inherits = ["t{number + 1}"] }}\n' for number in range(count))
    definition, record = _loaded(text)
    target = definition.resolve(["t0"]).targets["t0"]
    (member,) = Provenance(definition, record).field(target, FIELDS_BY_NAME["args"]).members
    (origin,) = member.origins
    assert origin.text.startswith(f"inherited from target t{count}, by way of t1, t2, ")
    assert [cause.text for cause in origin.causes] == ['"x"']


def test_deep_chains_of_names_end_somewhere() -> None:
    """Wherever evaluation gets through, so does the explanation."""
    for count in (30, 60, 120, 150, 180):
        text = 'variable "v0" { default = "x" }\n'
        text += "".join(f'variable "v{each}" {{ default = v{each - 1} }}\n' for each in range(1, count))
        try:
            definition, record = _loaded(f'{text}target "a" {{ context = v{count - 1} }}\n')
        except BakehouseError as error:
            assert error.code == "too-deeply-nested"
            assert count > 60
            return
        target = definition.resolve(["a"]).targets["a"]
        text = json.dumps(Provenance(definition, record).field(target, FIELDS_BY_NAME["context"]).as_json())
        assert ("not followed" in text) == (count > 40)


def test_parents_in_many_layers_are_explained_soon() -> None:
    text = 'target "t0-0" { args = { A = 1 } }\ntarget "t0-1" {}\n'
    text += "".join(
        f'target "t{layer}-{number}" {{ inherits = ["t{layer - 1}-0", "t{layer - 1}-1"] }}\n'
        for layer in range(1, 60)
        for number in range(2)
    )
    definition, record = _loaded(text)
    fields = Provenance(definition, record).fields(definition.resolve(["t59-0"]).targets["t59-0"])
    assert [field.label for field in fields] == ["inherits", "context", "dockerfile", "args"]


def test_names_that_share_names_are_told_once() -> None:
    """A tree that repeated what it told would have 2^40 lines."""
    count = 40
    text = 'variable "v0" { default = "x" }\n'
    text += "".join(
        f'variable "v{number}" {{ default = "${{v{number - 1}}}${{v{number - 1} == 1 ? 1 : 2}}" }}\n'
        for number in range(1, count)
    )
    definition, record = _loaded(f'{text}target "a" {{ context = v{count - 1} }}\n')
    target = definition.resolve(["a"]).targets["a"]
    explained = Provenance(definition, record).field(target, FIELDS_BY_NAME["context"])
    assert len(json.dumps(explained.as_json())) < 100_000


def test_values_that_were_replaced_are_told() -> None:
    definition, record = _loaded(
        'target "p" { network = "none" }\n'
        'target "a" { network = "default" }\n'
        'target "a" {\n  inherits = ["p"]\n  network = "host"\n}\n'
    )
    target = definition.resolve(["a"]).targets["a"]
    explained = Provenance(definition, record).field(target, FIELDS_BY_NAME["network"])
    assert explained.value == "host"
    assert [(old.value, old.origins[0].kind) for old in explained.replaced] == [
        ("none", "inherited"),
        ("default", "file"),
    ]


def test_files_without_expressions_lend_their_positions() -> None:
    """A reader of another format tells where values stand; blocks of HCL files merge over its targets."""
    definition, record = _loaded('target "web" { args = { A = "hcl" } }\n')
    composed = Target("web")
    composed.args = {"A": "compose", "B": "b"}
    composed.tags = ["x", "y"]
    asked: list[tuple[str, str, str | int | None]] = []

    def positions(target: str, field: str, part: str | int | None) -> SourceRange:
        asked.append((target, field, part))
        return SourceRange("compose.yaml", Position(7, 3, 0), Position(7, 9, 0))

    record.composed(composed, positions)
    merge_target(composed, definition.targets["web"])
    record.own(composed, definition.targets["web"])
    definition.targets["web"] = composed
    target = definition.resolve(["web"]).targets["web"]
    fields = {field.label: field for field in Provenance(definition, record).fields(target)}
    a, b = fields["args"].members
    assert a.origins[0].text == '"hcl"'
    assert (a.replaced[0].value, a.replaced[0].origins[0].place) == ("compose", positions("", "", None))
    assert str(b.origins[0].place) == "7,3-9"
    assert [member.origins[0].text for member in fields["tags"].members] == ["written in a Compose file"] * 2
    assert set(asked) - {("", "", None)} == {
        ("web", "args", "A"),
        ("web", "args", "B"),
        ("web", "tags", 0),
        ("web", "tags", 1),
    }


def test_standard_input_is_quoted_too() -> None:
    definition, record = _loaded('target "a" { context = "x" }\n')
    target = definition.resolve(["a"]).targets["a"]
    (origin,) = Provenance(definition, record).field(target, FIELDS_BY_NAME["context"]).origins
    assert origin.text == '"x"'


@given(
    definition_texts(),
    override_texts(),
    st.sampled_from(({}, {"v": "env"}, {"w": "env", "SOURCE_DATE_EPOCH": "1"})),
)
def test_explain_never_fails_where_print_succeeds(
    text: str, sets: list[str], environ: dict[str, str]
) -> None:
    def loaded(record: Recorder | None) -> Definition:
        return load(LoadOptions(cwd="/", environ=environ, files=["-"], stdin=text.encode, recorder=record))

    try:
        plain = loaded(None).resolve(list(TARGET_NAMES), sets)
    except BakehouseError:
        return
    record = Recorder()
    definition = loaded(record)
    resolved = definition.resolve(list(TARGET_NAMES), sets)
    for name, target in resolved.targets.items():
        fields = Provenance(definition, record).fields(target)
        assert _members_of(fields) == target_as_json(plain.targets[name])
        for part in _parts(fields):
            assert part.origins or part.value in ([], {}), f"{name}: {part.label} has no origin in\n{text}"
            json.dumps(part.as_json())
