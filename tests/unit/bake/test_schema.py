"""The JSON schema takes every JSON definition that buildx takes, flags what is wrong, and misses no row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.cases.bake.record import ROOT as CASES
from tests.cases.bake.record import case_folders

from bakehouse.bake import field_texts
from bakehouse.bake.fields import BLOCKS, FIELDS
from bakehouse.bake.schema import definition_schema

SCHEMA = definition_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def _accepted(case: Path) -> bool:
    return (case / "expected.json").exists()


ACCEPTED = [file for case in case_folders() if _accepted(case) for file in sorted(case.glob("*bake*.json"))]


def _printed(case: Path) -> bool:
    """Whether the printed definition can be read again: policies are printed with Go's field names, and blocks of no
    target at all are refused."""
    text = (case / "expected.json").read_text() if _accepted(case) else ""
    return text.startswith("{") and '"policy"' not in text and '"target": {}' not in text


PRINTED = [case / "expected.json" for case in case_folders() if _printed(case)]


def _id(path: Path) -> str:
    return str(path.relative_to(CASES))


def errors(document: object) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in VALIDATOR.iter_errors(document)]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_every_row_has_its_text() -> None:
    assert field_texts.incomplete() == []


def test_every_merge_rule_has_words() -> None:
    assert [field.name for field in FIELDS if field.merge not in field_texts.MERGES] == []


def test_every_entry_field_has_a_grammar_and_no_other() -> None:
    for field in FIELDS:
        has_grammar = field_texts.TEXTS_OF["target"][field.name].entries is not None
        assert has_grammar == (field.shape.startswith("list of entries") or field.shape == "object"), (
            field.name
        )


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_row_is_in_the_schema_with_a_description(kind: str) -> None:
    body: Any = SCHEMA["$defs"][kind]  # type: ignore[index]
    block = BLOCKS[kind]
    assert set(body["properties"]) == {"//", *block.attribute_names, *block.blocks}
    assert all(body["properties"][name]["description"] for name in block.attribute_names)
    assert body["additionalProperties"] is False


def test_examples_are_valid() -> None:
    compared = 0
    for kind, block in BLOCKS.items():
        body: Any = SCHEMA["$defs"][kind]  # type: ignore[index]
        required = {
            row.name: body["properties"][row.name]["examples"][0]
            for row in block.rows
            if getattr(row, "required", False)
        }
        for row in block.rows:
            (example,) = body["properties"][row.name]["examples"]
            document: Any = {kind: {"x": {**required, row.name: example}}}
            if kind == "validation":
                document = {"variable": {"x": {"validation": {row.name: example}}}}
            assert errors(document) == []
            compared += 1
    assert compared > 35


def test_examples_are_definitions() -> None:
    """The examples of all rows, put into one definition, are what the reader accepts."""
    from bakehouse.bake.declarations import collect
    from bakehouse.hcl import parse_native

    for kind, block in BLOCKS.items():
        texts = field_texts.TEXTS_OF[kind]
        lines = [f"{row.name} = {texts[row.name].example}" for row in block.rows]
        header = f'{kind} "x"' if block.labelled else 'variable "x" {\nvalidation'
        text = f"{header} {{\n" + "\n".join(lines) + "\n}\n" + ("" if block.labelled else "}\n")
        body, found = parse_native(text.encode(), "x.hcl")
        assert [str(finding) for finding in found] == []
        collect([body], {})
        for name, attribute in (body.blocks[0].body.attributes if kind == "target" else {}).items():
            if name in {field.name for field in FIELDS}:
                value, findings = attribute.expr.evaluate(None)
                assert findings == []
                BLOCK_KINDS[name].decode(value)


BLOCK_KINDS = {field.name: field.kind for field in FIELDS}


@pytest.mark.parametrize("file", ACCEPTED, ids=_id)
def test_what_buildx_accepts_is_valid(file: Path) -> None:
    assert errors(json.loads(file.read_text())) == []


@pytest.mark.parametrize("file", PRINTED, ids=_id)
def test_what_bake_prints_is_valid(file: Path) -> None:
    assert errors(json.loads(file.read_text())) == []


def test_there_are_cases() -> None:
    assert len(ACCEPTED) >= 7
    assert len(PRINTED) >= 100


WRONG: dict[str, Any] = {
    "unknown target attribute": {"target": {"a": {"tag": ["x"]}}},
    "unknown group attribute": {"group": {"g": {"targets": [], "members": []}}},
    "unknown variable attribute": {"variable": {"v": {"value": 1}}},
    "unknown function attribute": {"function": {"f": {"params": [], "result": 1, "body": 2}}},
    "unknown validation attribute": {"variable": {"v": {"validation": {"cond": True}}}},
    "missing label": {"target": {}},
    "block that is a text": {"target": {"a": "x"}},
    "block type that is a text": {"target": "x"},
    "bad target name": {"target": {"a b": {}}},
    "comment at label level": {"target": {"//": {}}},
    "group without targets": {"group": {"g": {}}},
    "function without result": {"function": {"f": {"params": []}}},
    "function with bad parameter": {"function": {"f": {"params": ["1a"], "result": 1}}},
    "list as text": {"target": {"a": {"context": ["."]}}},
    "text as list": {"target": {"a": {"tags": "x"}}},
    "null element": {"target": {"a": {"tags": [None]}}},
    "nested list": {"target": {"a": {"tags": [["x"]]}}},
    "list as map": {"target": {"a": {"args": ["A=1"]}}},
    "list as map member": {"target": {"a": {"args": {"A": []}}}},
    "null context": {"target": {"a": {"contexts": {"x": None}}}},
    "number as bool": {"target": {"a": {"pull": 1}}},
    "word as bool": {"target": {"a": {"pull": "yes"}}},
    "null description": {"target": {"a": {"description": None}}},
    "null entries": {"target": {"a": {"output": None}}},
    "object as entries": {"target": {"a": {"output": {"type": "image"}}}},
    "output without type": {"target": {"a": {"output": [{"dest": "x"}]}}},
    "cache without type": {"target": {"a": {"cache-to": [{"ref": "x"}]}}},
    "null entry member": {"target": {"a": {"output": [{"type": "image", "push": None}]}}},
    "unknown secret member": {"target": {"a": {"secret": [{"id": "x", "source": "f"}]}}},
    "unknown policy member": {"target": {"a": {"policy": [{"file": "x"}]}}},
    "unknown log level": {"target": {"a": {"policy": [{"filename": "x", "log-level": "loud"}]}}},
    "unknown resource": {"target": {"a": {"resources": {"cpus": "2"}}}},
    "resource with a bad number": {"target": {"a": {"resources": {"cpu-shares": "two"}}}},
    "ssh paths that are a text": {"target": {"a": {"ssh": [{"id": "x", "paths": "key"}]}}},
    "matrix that is a list": {"target": {"a": {"matrix": ["x"]}}},
    "matrix axis that is a number": {"target": {"a": {"matrix": {"x": 1}}}},
    "root that is a list": [{"target": {"a": {}}}],
}


@pytest.mark.parametrize("document", WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_flagged(document: object) -> None:
    assert errors(document) != []
