"""Every recorded expression and file gives what buildx gives: value, or message with position and count of findings.

`BAKEHOUSE_BUILDX=/path/to/buildx python tests/unit/hcl/recording.py` records anew.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
CASES = HERE / "cases"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"hcl_{name}", HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


harness = _load("harness")
recording = _load("recording")
EXPRESSIONS: list[dict[str, str]] = json.loads((CASES / "expressions.json").read_text())
FILES: dict[str, str] = json.loads((CASES / "files.json").read_text())
RECORDED: dict[str, dict[str, Any]] = json.loads((CASES / "files-recorded.json").read_text())
# What Bake itself, not the language, makes of these.
BAKE_DECIDES = {"json-empty.json", "json-null-target.json"}


def test_recordings_are_complete() -> None:
    assert [case["expression"] for case in EXPRESSIONS] == recording.expressions()
    assert RECORDED.keys() == FILES.keys()
    assert len(EXPRESSIONS) > 700 and len(FILES) > 300


@pytest.mark.parametrize("case", EXPRESSIONS, ids=lambda case: case["expression"][:60])
def test_expression(case: dict[str, str]) -> None:
    want = {key: value for key, value in case.items() if key != "expression"}
    assert harness.evaluate(case["expression"]) == want


@pytest.mark.parametrize("name", sorted(FILES.keys() - BAKE_DECIDES))
def test_file(name: str) -> None:
    want = RECORDED[name]
    try:
        have = {"args": harness.arguments_of(name, FILES[name])}
    except harness.Refused as error:
        have = {"error": str(error)}
    if "error" in have and "error" in want:
        # How often Bake repeats a finding in follow-up findings is its own affair.
        have["error"], want["error"] = (text.split(", and ")[0] for text in (have["error"], want["error"]))
    assert have == want


@pytest.mark.peer
def test_recordings_are_current(buildx: Path) -> None:
    for case in EXPRESSIONS[::20]:
        want = {key: value for key, value in case.items() if key != "expression"}
        text = recording.definition(case["expression"])
        assert recording.print_with_buildx(str(buildx), text) == want
