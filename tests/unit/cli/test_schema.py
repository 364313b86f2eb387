"""`bakehouse schema`: the schema on standard output or in a file, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bakehouse.bake.schema import definition_schema
from bakehouse.cli.main import main


def test_the_schema_is_printed_in_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out) == definition_schema()
    assert out.isascii()
    assert out.endswith("}\n")


def test_the_schema_is_written_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bake.schema.json"
    path.write_text("old")
    assert main(["schema", "-o", str(path)]) == 0
    assert json.loads(path.read_text()) == definition_schema()
    assert capsys.readouterr().out == ""
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "words, message",
    [
        (["x"], "`bakehouse schema` takes no arguments"),
        (["--outputs", "x"], "unknown flag: --outputs"),
        (["-o"], "flag needs an argument"),
        (["-o", "missing/folder/x.json"], "cannot write missing/folder/x.json: No such file or directory"),
    ],
)
def test_bad_input(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["schema", *words]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"ERROR: {message}" in captured.err
    assert list(tmp_path.iterdir()) == []
