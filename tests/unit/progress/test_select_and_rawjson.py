"""Which renderer is chosen, the JSON stream, and the summary of warnings."""

from __future__ import annotations

import io
import json

import pytest
from tests.unit.progress.conftest import FakeTerminal
from tests.unit.progress.scenario import A, B, D, events

from bakehouse.errors import DefinitionError
from bakehouse.progress.events import Reporter, WarningEvent
from bakehouse.progress.plain import PlainRenderer
from bakehouse.progress.quiet import QuietRenderer
from bakehouse.progress.rawjson import RawJsonRenderer
from bakehouse.progress.select import make_renderer, terminal_size, warning_summary
from bakehouse.progress.tty import TtyRenderer


@pytest.mark.parametrize(
    ("mode", "terminal", "environ", "kind"),
    [
        ("auto", True, {}, TtyRenderer),
        ("", True, {}, TtyRenderer),
        ("tty", True, {"TERM": "dumb"}, TtyRenderer),
        ("auto", True, {"TERM": "dumb"}, PlainRenderer),
        ("auto", False, {}, PlainRenderer),
        ("plain", True, {}, PlainRenderer),
        ("rawjson", True, {}, RawJsonRenderer),
        ("quiet", True, {}, QuietRenderer),
    ],
)
def test_modes(mode: str, terminal: bool, environ: dict[str, str], kind: type) -> None:
    stream = FakeTerminal() if terminal else io.StringIO()
    assert type(make_renderer(mode, stream, environ)) is kind


def test_modes_that_cannot_be() -> None:
    with pytest.raises(DefinitionError, match="failed to get console") as caught:
        make_renderer("tty", io.StringIO(), {})
    assert caught.value.code == "not-a-terminal"
    with pytest.raises(DefinitionError, match="invalid progress mode fancy"):
        make_renderer("fancy", io.StringIO(), {})


def test_size_of_what_is_no_terminal() -> None:
    assert terminal_size(io.StringIO())() == (80, 10)
    assert terminal_size(io.StringIO(), 33)() == (33, 10)


def test_quiet_is_quiet_and_keeps_warnings() -> None:
    stream = io.StringIO()
    renderer = make_renderer("quiet", stream, {})
    for event in events():
        renderer.handle(event)
    renderer.close(error=True)
    assert stream.getvalue() == ""


def test_rawjson_holds_what_buildkit_writes() -> None:
    """Field names, order and omissions as in engine.md §16.1; the peer program `progressdisplay` decodes such
    streams strictly."""
    stream = io.StringIO()
    renderer = RawJsonRenderer(stream)
    for event in events():
        renderer.handle(event)
    renderer.close()
    lines = stream.getvalue().splitlines()
    assert (
        lines[0]
        == f'{{"vertexes":[{{"digest":"{A}","name":"[internal] load build definition from Dockerfile"}}]}}'
    )
    assert lines[3] == (
        f'{{"statuses":[{{"id":"transferring dockerfile:","vertex":"{A}","current":1234,'
        '"timestamp":"2023-11-14T22:13:20.3Z","started":"2023-11-14T22:13:20Z",'
        '"completed":"2023-11-14T22:13:20.3Z"}]}'
    )
    assert lines[4] == (
        f'{{"warnings":[{{"vertex":"{A}","level":1,"short":"UnVsZTogdGV4dCAobGluZSAxKQ==","detail":["d2h5"],'
        '"sourceInfo":{"filename":"Dockerfile","data":"RlJPTSB4Cg==","language":"Dockerfile"},'
        '"range":[{"start":{"line":1},"end":{"line":1}}]}]}'
    )
    assert json.loads(lines[7])["statuses"][0]["current"] == 0
    assert json.loads(lines[6])["vertexes"][0]["inputs"] == [A]
    assert (
        lines[14]
        == f'{{"logs":[{{"vertex":"{D}","stream":1,"data":"b25lCnR3","timestamp":"2023-11-14T22:13:24.5Z"}}]}}'
    )


def test_reporter_drives_a_renderer() -> None:
    stream = io.StringIO()
    renderer = make_renderer("plain", stream, {"TTY_DISPLAY_RATE": "10"})
    reporter = Reporter(renderer.handle)
    vertex = reporter.vertex(B, "step")
    vertex.start()
    vertex.log(1, b"hello\n")
    vertex.done()
    renderer.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "#1 step"
    assert lines[1].startswith("#1 0.0") and lines[1].endswith(" hello")
    assert lines[2].startswith("#1 DONE 0.")


def test_warning_summary() -> None:
    warning = WarningEvent(
        A, "Rule: text (line 1)", ("why",), "https://x/", 1, "Dockerfile", b"FROM x\n", 1, 1
    )
    assert warning_summary([], {}) == ""
    assert warning_summary([warning], {}, color=False) == (
        "\n 1 warning found (use --debug to expand):\n - Rule: text (line 1)\n"
    )
    assert warning_summary([warning, warning], {"NO_COLOR": "1"}, expand=True).startswith(
        "\n 2 warnings found:\n - Rule: text (line 1)\nwhy\nMore info: https://x/\nDockerfile:1\n--------------------\n"
        "   1 | >>> FROM x\n   2 |     \n--------------------\n\n - Rule"
    )
