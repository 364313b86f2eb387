"""Errors and positions of Compose files point at the value that is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakehouse.bake import LoadOptions, load
from bakehouse.bake.compose import ComposeOptions, load_compose
from bakehouse.bake.files import DefinitionFile
from bakehouse.diagnostics import DiagnosticsError
from bakehouse.errors import BakehouseError, DefinitionError


def _fault(folder: Path, text: str, name: str = "compose.yaml", **environ: str) -> BakehouseError:
    (folder / name).write_text(text)
    with pytest.raises(BakehouseError) as caught:
        load(LoadOptions(cwd=str(folder), environ=environ)).resolve()
    return caught.value


def _where(error: BakehouseError) -> str:
    assert isinstance(error, DiagnosticsError)
    subject = error.diagnostics[0].subject
    assert subject is not None
    return f"{subject.filename}:{subject}"


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ("services:\n  a:\n    build:\n      contxt: .\n", "4,7-13", 'Did you mean "context"?'),
        ("services:\n  a:\n    build: [x]\n", "3,5-10", "context"),
        ("services:\n  a:\n    build: {tags: x}\n", "3,19-20", ""),
        ("services:\n  a:\n    build: {tags: [x, 1]}\n", "3,23-24", "quotes"),
        ("services:\n  a:\n    image: ${X:?no}\n", "3,12-20", ""),
        ("services:\n  a:\n    build: .\n    build: .\n", "4,5-10", ""),
        ("services:\n  é: {build: *nope}\n", "2,14-19", ""),
        (
            "services:\n  web: {extends: bse, build: .}\n  base: {build: .}\n",
            "2,18-21",
            'Did you mean "base"?',
        ),
        ("services:\n  a:\n    build:\n      secrets: [one]\n", "4,17-20", "secrets"),
        ("services: {a: }\n", "1,12-13", ""),
        ("services:\n  a: 'é\x01'\n", "2,8-9", ""),
        ("services:\n", "1,1-9", "services"),
        ("services:\n  a: {build: .}\ninclude: x\n", "3,1-8", ""),
        ("services:\n  a: {build: {ulimits: {nofiles: {soft: 1, hard: 1}}}}\n", "2,25-32", ""),
        ("services:\n  a: {build: {x-bake: {pull: maybe}}}\n", "2,24-28", "true or false"),
        ("services:\n  a: {build: {context: 5}}\n", "2,24-25", "quotes"),
        ("services:\n  a: {build: {context: }}\n", "2,24-24", "quotes"),
    ],
)
def test_an_error_points_at_its_cause(tmp_path: Path, text: str, where: str, hint: str) -> None:
    error = _fault(tmp_path, text)
    assert _where(error) == f"compose.yaml:{where}"
    assert hint in (error.hint or "")
    assert ">>>" in (error.excerpt or "")


def test_all_faults_of_interpolation_are_told(tmp_path: Path) -> None:
    error = _fault(tmp_path, "services:\n  a:\n    image: ${\n    build: {target: '${B:?set B}'}\n")
    assert isinstance(error, DiagnosticsError)
    lines = [finding.subject.start.line for finding in error.diagnostics if finding.subject]
    assert lines == [4, 3]


def test_the_message_is_of_the_file_that_is_at_fault(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("services:\n  base:\n    image: ${NEEDED:?say so}\n")
    error = _fault(tmp_path, "services: {a: {extends: {file: base.yaml, service: base}, build: .}}\n")
    assert _where(error) == "base.yaml:3,12-29"
    assert error.excerpt is not None
    assert error.excerpt.startswith("base.yaml:3\n")


def test_a_fault_of_the_parser_has_its_true_place(tmp_path: Path) -> None:
    error = _fault(tmp_path, "services:\n  a: {build: [x\n  b: 1\n")
    assert _where(error).startswith("compose.yaml:3,4")


def test_columns_count_characters_and_bytes_are_bytes(tmp_path: Path) -> None:
    error = _fault(tmp_path, "services:\n  a: {build: {args: {ä: '${'}}}\n")
    assert isinstance(error, DiagnosticsError)
    subject = error.diagnostics[0].subject
    assert subject is not None
    assert (subject.start.column, subject.start.byte) == (
        25,
        len("services:\n  a: {build: {args: {ä: ".encode()),
    )


def test_no_error_repeats_a_value_of_an_environment_file(tmp_path: Path) -> None:
    text = "services: {a: {build: ., env_file: web.env}}\n"
    for line in ('PASSWORD="hunter2\n', "PASS%WORD=hunter2\n", "PASSWORD=hunter2${\n", "PASS WORD=hunter2\n"):
        (tmp_path / "web.env").write_text(line)
        error = _fault(tmp_path, text)
        assert "hunter2" not in f"{error.message}{error.hint}{error.excerpt}"
        (tmp_path / ".env").write_text(line)
        error = _fault(tmp_path, text)
        assert "hunter2" not in f"{error.message}{error.hint}{error.excerpt}"
        (tmp_path / ".env").unlink()


_EVERYTHING = """services:
  web:
    image: example
    build:
      context: app
      args: {A: one, B: two}
      labels:
        - l=1
      tags: [t1, t2]
      no_cache: true
      ssh: [default]
      sbom: true
      additional_contexts: {c: ./c}
      x-bake:
        platforms: [linux/amd64]
        pull: true
  api.x:
    image: example/api
    build: .
"""


def _positions(text: str) -> dict[tuple[str, str, object], str]:
    files = [DefinitionFile("c.yaml", text.encode())]
    definition = load_compose(files, ComposeOptions(cwd="/nowhere", environ={}))
    return {key: str(where) for key, where in definition.positions.items()}


def test_positions_name_the_value_of_every_field() -> None:
    positions = _positions(_EVERYTHING)
    wanted = {
        ("web", "name", None): "2,3-6",
        ("web", "context", None): "5,16-19",
        ("web", "args", "B"): "6,25-28",
        ("web", "args", None): "6,7-11",
        ("web", "labels", "l"): "8,11-14",
        ("web", "tags", 1): "9,18-20",
        ("web", "no-cache", None): "10,17-21",
        ("web", "ssh", 0): "11,13-20",
        ("web", "attest", 0): "12,13-17",
        ("web", "contexts", "c"): "13,32-35",
        ("web", "platforms", 0): "15,21-32",
        ("web", "pull", None): "16,15-19",
        ("api_x", "tags", 0): "18,12-23",
        ("api_x", "context", None): "19,12-13",
    }
    assert {key: positions.get(key) for key in wanted} == wanted


def test_positions_follow_anchors_and_later_files() -> None:
    text = "x: &b\n  target: t\nservices:\n  a:\n    build:\n      <<: *b\n---\n"
    text += "services:\n  a:\n    build: {dockerfile: D}\n"
    positions = _positions(text)
    assert positions["a", "target", None] == "2,11-12"
    assert positions["a", "dockerfile", None] == "10,25-26"


def test_a_faulty_dotenv_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nB C=2\n")
    with pytest.raises(DefinitionError, match="line 2: key cannot contain a space") as caught:
        load_compose(
            [DefinitionFile("c.yaml", b"services: {}")], ComposeOptions(cwd=str(tmp_path), environ={})
        )
    assert caught.value.code == "invalid-env-file"
