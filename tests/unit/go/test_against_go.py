"""Every function of the room against what Go and the peers' libraries answered."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.go.go_form import in_our_form, our_answer, recorded


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(request, expected, id=f"{request['Op']}-{index}")
        for index, (request, expected) in enumerate(recorded())
    ],
)
def test_answers_are_gos(request_: dict[str, Any], expected: dict[str, Any]) -> None:
    assert our_answer(request_) == in_our_form(request_, expected)
