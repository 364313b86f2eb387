"""`bake --print` and `--list` give what buildx gives, byte for byte, in every case of `tests/cases/bake`.

Ours is compared with the recorded answer, or, where the case explains a difference, with the answer stated there; and
the recorded answer with what the real buildx says now.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.bake.record import ROOT, answers_of, case_folders, run_buildx
from tests.cases.bake.runner import run_ours

CASES = case_folders()


def _id(case: Path) -> str:
    return str(case.relative_to(ROOT))


def _wanted(case: Path) -> list[tuple[str, str]]:
    if not (case / "difference.md").exists():
        return answers_of(case)
    for name in ("ours.json", "ours.err"):
        path = case / name
        if path.exists():
            text = path.read_text()
            return [(text, "")] if name == "ours.json" else [("", text.rstrip("\n"))]
    raise FileNotFoundError(f"{case}: difference.md needs an ours.json or ours.err beside it")


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_ours_is_as_recorded(case: Path) -> None:
    assert run_ours(case) in _wanted(case)


@pytest.mark.peer
@pytest.mark.parametrize("case", CASES, ids=_id)
def test_recorded_is_what_buildx_says(case: Path, buildx: Path) -> None:
    assert run_buildx(str(buildx), case) in answers_of(case)


def test_every_difference_is_one() -> None:
    """A case with `difference.md` whose two answers agree has lost its reason."""
    differing = [case for case in CASES if (case / "difference.md").exists()]
    assert differing
    assert [_id(case) for case in differing if _wanted(case) == answers_of(case)] == []


def test_corpus_is_not_empty() -> None:
    assert len(CASES) >= 60
