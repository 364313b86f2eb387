"""Whatever a definition says, loading and resolving it ends with a result or with one of our errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cases.bake.record import ROOT, case_folders

from bakehouse.bake import LoadOptions, load, print_json
from bakehouse.errors import BakehouseError

_TEXTS = sorted(
    {
        path.read_text()
        for case in case_folders()
        for path in case.glob("*.hcl")
        if path.is_file() and path.stat().st_size < 1500
    }
)
_SNIPPETS = [
    "target.a.tags",
    "null",
    "[",
    "}",
    '"${',
    "%{",
    "zz",
    " = ",
    "matrix",
    "\n",
    "inherits",
    "é",
    "1e9",
    "-",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("definition")


@given(
    text=st.sampled_from(_TEXTS),
    where=st.floats(0, 1),
    removed=st.integers(0, 12),
    inserted=st.sampled_from(["", *_SNIPPETS]),
    override=st.sampled_from(["", "*.tags=x", "*.output=type=", "*.args.x", "*.platform=q", "[.x=1"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_definitions_raise_only_our_errors(
    folder: Path, text: str, where: float, removed: int, inserted: str, override: str
) -> None:
    position = int(where * len(text))
    mutated = text[:position] + inserted + text[position + removed :]
    options = LoadOptions(
        cwd=str(folder),
        environ={"v": "1", "n": "x"},
        files=["-"],
        stdin=lambda: mutated.encode("utf-8", "surrogatepass"),
    )
    try:
        definition = load(options)
        print_json(definition.resolve(["*"], [override] if override else []))
        assert len(definition.variables) >= 0
    except BakehouseError as error:
        assert error.message


def test_the_corpus_feeds_this_test() -> None:
    assert ROOT.is_dir()
    assert len(_TEXTS) > 100
