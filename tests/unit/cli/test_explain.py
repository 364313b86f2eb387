"""`bakehouse explain`: golden texts, narrow terminals, pipes, and questions that have no answer."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from tests.cases.explain.runner import case_folders, run

from bakehouse.cli.main import main
from bakehouse.progress.ansi import width

DEFINITION = """variable "TAG" { default = "latest" }
group "default" { targets = ["web"] }
target "base" { args = { VERSION = "1.2", MODE = TAG } }
target "web" {
  inherits = ["base"]
  tags     = ["example/a-rather-long-name-of-an-image:${TAG}", "example/web"]
}
"""


@pytest.mark.parametrize("case", case_folders(), ids=lambda case: case.name)
def test_answers_are_as_expected(case: Path) -> None:
    assert run(case) == (case / "expected.txt").read_text()


def test_there_are_cases() -> None:
    assert len(case_folders()) >= 10


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docker-bake.hcl").write_text(DEFINITION)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _on_terminal(folder: Path, columns: int, *words: str, **environ: str) -> str:
    """What the command shows on a terminal of that width."""
    leader, follower = pty.openpty()
    try:
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        done = subprocess.run(
            [sys.executable, "-m", "bakehouse", "explain", *words],
            cwd=folder,
            env={"PATH": os.defpath, "TERM": "xterm", **environ},
            stdin=subprocess.DEVNULL,
            stdout=follower,
            stderr=subprocess.PIPE,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return os.read(leader, 1 << 16).decode().replace("\r\n", "\n")
    finally:
        os.close(leader)
        os.close(follower)


def test_lines_fit_a_narrow_terminal(project: Path) -> None:
    text = _on_terminal(project, 44, "web", NO_COLOR="1")
    lines = text.splitlines()
    assert max(width(line) for line in lines) <= 44
    # Nothing is lost by the wrapping.
    whole = "".join("".join(line.strip("│├└─ ") for line in lines).split())
    assert '"example/a-rather-long-name-of-an-image:latest"' in whole
    assert "(docker-bake.hcl:6,15-62)" in whole


def test_a_very_narrow_terminal_keeps_words_readable(project: Path) -> None:
    assert "variable" in _on_terminal(project, 10, "web.args.MODE", NO_COLOR="1")


def test_a_terminal_has_colours_unless_they_are_not_wanted(project: Path) -> None:
    assert "\x1b[1mtags\x1b[0m" in _on_terminal(project, 100, "web")
    assert "\x1b" not in _on_terminal(project, 100, "web", NO_COLOR="1")


def test_a_pipe_gets_neither_colours_nor_wrapping(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "web.tags"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert '   │  └─ "example/a-rather-long-name-of-an-image:${TAG}" (docker-bake.hcl:6,15-62)\n' in out


def test_a_definition_cannot_move_the_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docker-bake.hcl").write_text(
        'target "a" { args = { "k\\u001b[2J" = "\\u001b[31mred\\u202e" } }'
    )
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "a"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("words", [["explain", "web"], ["explain", "web", "--format", "json"], ["lint"]])
def test_output_in_other_encodings_is_plain(project: Path, encoding: str, words: list[str]) -> None:
    text = DEFINITION + 'target "base" { labels = { k = "ärger → x" } }\nunused = "→"\n'
    (project / "docker-bake.hcl").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "bakehouse", *words],
        env={b"PATH": os.fsencode(os.defpath), b"PYTHONIOENCODING": encoding.encode(), b"TAG": b"v\xff"},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == (1 if words == ["lint"] else 0), done.stderr
    out = done.stdout.decode(encoding)
    assert ("├" in out) == (encoding == "utf-8" and words == ["explain", "web"])
    if words[-1] == "json":
        json.loads(out)


def test_json_has_the_printed_values(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "web", "--format", "json", "--set", "web.args.VERSION=3"]) == 0
    fields = {field["name"]: field for field in json.loads(capsys.readouterr().out)["fields"]}
    assert fields["args"]["value"] == {"MODE": "latest", "VERSION": "3"}
    (origin,) = fields["args"]["members"][1]["origins"]
    assert origin == {
        "kind": "set",
        "text": "--set web.args.VERSION=3",
        "overrides": ["web.args.VERSION=3"],
    }
    (origin,) = fields["args"]["members"][0]["origins"]
    assert (origin["kind"], origin["targets"]) == ("inherited", ["base"])
    (variable,) = origin["causes"][0]["causes"]
    assert {key: variable[key] for key in ("kind", "name", "from", "value")} == {
        "kind": "variable",
        "name": "TAG",
        "from": "default",
        "value": "latest",
    }


@pytest.mark.parametrize(
    "words, told",
    [
        (["base.attest", "--sbom=true"], "--sbom=true"),
        (["base.attest", "--provenance=false"], "--provenance=false"),
        (["base.attest", "--provenance", "mode=max"], "--provenance=mode=max"),
        (["base.call", "--check"], "--call=lint"),
        (["base.pull", "--pull"], "--pull=true"),
        (["base.no-cache", "--no-cache=false"], "--no-cache=false"),
        (["base.output", "--load"], "--load"),
        (["base.output", "--push"], "--push"),
        (["base.policy", "--policy", "strict=true"], "--policy=strict=true"),
        (["base.policy", "--policy", "disabled=true"], "--policy=disabled=true"),
        (["base.tags", "--set", "base.tags=x"], "--set base.tags=x"),
        (["base.tags", "--set", "*.tags=x", "--set", "base.tags+=y"], "--set *.tags=x --set base.tags+=y"),
        (["base.target", "--set", "*.target=x", "--set", "base.target=y"], "--set base.target=y"),
    ],
)
def test_overrides_are_told_as_they_are_written(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert main(["explain", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert told in [line.strip("│├└─ ") for line in lines]


def test_an_unset_field_is_an_answer(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "web.labels"]) == 0
    assert "labels not set" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, message, hint",
    [
        (["wob"], "failed to find target wob", 'Did you mean "web"?'),
        (["zzzz"], "failed to find target zzzz", "`bakehouse explain` lists all targets."),
        (["web.tag"], 'a target has no field "tag"', 'Did you mean "tags"?'),
        (["web.args.VERSIO"], 'args of target web has no "VERSIO"', 'Did you mean "VERSION"?'),
        (["web.tags[2]"], 'tags of target web has no "2"', "There are: 0, 1."),
        (["web.tags.x"], 'tags of target web has no "x"', "Elements are counted from 0 to 1."),
        (["web.context.x"], 'context of target web has no "x"', "It is one value."),
        (["web.labels.x"], 'labels of target web has no "x"', "Nothing sets it."),
        (
            ["default.tags"],
            "default is a group: only targets have fields",
            "`bakehouse explain default` lists its targets.",
        ),
        (["web."], "cannot read 'web.': expected TARGET, TARGET.FIELD or TARGET.FIELD[KEY]", "For example"),
        (["web.tags["], "cannot read 'web.tags['", "For example"),
        ([".tags"], "cannot read '.tags'", "For example"),
        (["web.tags."], "cannot read 'web.tags.'", "For example"),
        (["web", "base"], "`bakehouse explain` takes one target", ""),
        (["--format", "xml"], "unknown format 'xml'", "text or json"),
        (["web", "--set", "web.tag=x"], "unknown key: tag", 'Did you mean "tags"?'),
        (["web", "-f", "none.hcl"], "open none.hcl: no such file or directory", ""),
    ],
)
def test_what_has_no_answer_says_what_to_do(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str, hint: str
) -> None:
    assert main(["explain", *words]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"ERROR: {message}" in captured.err
    assert f"hint: {hint}" in captured.err if hint else True


def test_an_error_of_the_definition_is_reported_as_bake_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docker-bake.hcl").write_text('target "a" { tags = [zz] }')
    monkeypatch.chdir(tmp_path)
    reported = []
    for words in (["explain", "a"], ["bake", "--print", "a"]):
        assert main(words) == 1
        reported.append(capsys.readouterr().err)
    assert reported[0] == reported[1]
    assert ">>>" in reported[0]


@pytest.mark.parametrize(
    "key", ["labels.org.example.title", "labels[org.example.title]", 'labels["org.example.title"]']
)
def test_keys_may_have_dots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    (tmp_path / "docker-bake.hcl").write_text('target "a" { labels = { "org.example.title" = "t" } }')
    monkeypatch.chdir(tmp_path)
    assert main(["explain", f"a.{key}"]) == 0
    assert '└─ labels.org.example.title "t"\n' in capsys.readouterr().out


def test_elements_count_from_the_end_too(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "web.tags[-1]"]) == 0
    assert '└─ tags[1] "example/web"\n' in capsys.readouterr().out


def test_rebased_contexts_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "docker-bake.hcl").write_text('target "a" { context = "app" }')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BUILDX_BAKE_FILE_RELATIVE_PATHS", "1")
    assert main(["explain", "-f", "sub/docker-bake.hcl", "a.context"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        '└─ context "sub/app"',
        "   └─ seen from the working directory, not from that of its file",
        '      └─ "app" (sub/docker-bake.hcl:1,24-29)',
    ]
