"""The live display and interrupts on a real terminal (tmux), as a user sees them (G2)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command import Bakehouse, Terminal

pytestmark = pytest.mark.privileged


def project(root: Path, dockerfile: str) -> Path:
    root.mkdir()
    (root / "Dockerfile").write_text(dockerfile)
    (root / "docker-bake.hcl").write_text('target "default" {}\n')
    return root


@pytest.fixture
def terminal(bakehouse: Bakehouse, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens terminals in which `bakehouse` is a command."""
    opened: list[Terminal] = []

    def open_terminal(columns: int, rows: int = 24, **env: str) -> Terminal:
        opened.append(Terminal(bakehouse, tmp_path, columns, rows, env))
        return opened[-1]

    yield open_terminal
    for terminal in opened:
        terminal.close()


@pytest.mark.parametrize("columns", [40, 80])
def test_live_display_stays_in_order(terminal: Callable[..., Terminal], tmp_path: Path, columns: int) -> None:
    """Steps, output of the running one, then the finished list; never a wrapped or a doubled line."""
    context = project(
        tmp_path / "p",
        "FROM busybox\nRUN for n in 1 2 3 4 5 6 7 8 9; do echo output line $n which is quite a long one for a narrow "
        "terminal; sleep 0.2; done\nRUN echo second\n",
    )
    window = terminal(columns)
    window.type(f"cd {context} && bakehouse build .; echo code=$?")
    running = window.wait_for(r"output line [3-9]")
    assert re.search(r"^\[\+\] Building \d+\.\ds \(\d+/\d+\)$", running, re.MULTILINE), running
    assert re.search(r"^ => => # output line", running, re.MULTILINE), running
    done = window.wait_for(r"code=0")
    lines = [line for line in done.splitlines() if line.startswith((" =>", "[+]"))]
    assert re.fullmatch(r"\[\+\] Building \d+\.\ds \((\d+)/\1\) FINISHED", lines[0]), done
    assert sum("[2/3] RUN" in line for line in lines) == 1, done
    assert all(len(line) < columns for line in lines), done
    assert all(re.search(r" \d+\.\ds$", line) for line in lines[1:]), done
    assert " => => # " not in done, done
    assert window.cursor_is_visible()


def test_ctrl_c_gives_the_prompt_back(
    terminal: Callable[..., Terminal], bakehouse: Bakehouse, tmp_path: Path
) -> None:
    marker = f"29{time.time_ns() % 10**6}"
    context = project(tmp_path / "p", f"FROM busybox\nRUN echo began; sleep {marker}\n")
    window = terminal(80)
    for command in ("build .", "bake"):
        window.type(f"cd {context} && bakehouse {command}; echo code=$?")
        window.wait_for(r"# began")
        window.key("C-c")
        began = time.monotonic()
        shown = window.wait_for(r"code=130")
        assert time.monotonic() - began < 5
        assert "CANCELED [2/2] RUN" in shown
        assert re.search(r"ERROR: .*failed to solve: Canceled: context canceled", shown), shown
        assert "Traceback" not in shown
        assert window.cursor_is_visible()
        assert window.echoes()
        window.type("clear")
    alive = subprocess.run(["pgrep", "-f", f"sleep {marker}"], capture_output=True, text=True)
    assert alive.stdout == ""
    # The store is none the worse for it.
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo fine\n")
    bakehouse.run("build", ".", cwd=context)


def test_ctrl_c_while_an_image_is_looked_up(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    """A registry that accepts and never answers."""
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        context = project(tmp_path / "p", f"FROM 127.0.0.1:{silent.getsockname()[1]}/x\nRUN true\n")
        window = terminal(80)
        window.type(f"cd {context} && bakehouse build .; echo code=$?")
        window.wait_for(r"load metadata for")
        window.key("C-c")
        began = time.monotonic()
        window.wait_for(r"code=130")
        assert time.monotonic() - began < 10
        assert window.cursor_is_visible()


def test_interactive_run_has_a_terminal_of_its_own(
    terminal: Callable[..., Terminal], bakehouse: Bakehouse, tmp_path: Path
) -> None:
    context = project(tmp_path / "p", "FROM busybox\nCOPY Dockerfile /\n")
    bakehouse.run("build", "-t", "box", ".", cwd=context)
    window = terminal(80)
    window.type("bakehouse run -it -w /proc box sh")
    window.wait_for(r"^/proc # $")
    window.type("test -t 0 && test -t 1 && echo is-a-terminal-$((40+2))")
    window.wait_for(r"is-a-terminal-42")
    window.type("sleep 1000")
    time.sleep(0.3)
    window.key("C-c")
    window.wait_for(r"\^C\n/proc # $")
    window.type("exit 3")
    window.type("echo code=$?")
    window.wait_for(r"code=3")
    assert window.echoes()


def test_ctrl_c_of_a_run(terminal: Callable[..., Terminal], bakehouse: Bakehouse, tmp_path: Path) -> None:
    context = project(tmp_path / "p", "FROM busybox\nCOPY Dockerfile /\n")
    bakehouse.run("build", "-t", "box", ".", cwd=context)
    window = terminal(80)
    window.type("bakehouse run box sh -c 'echo began; sleep 1000; echo never'; echo code=$?")
    window.wait_for(r"^began$")
    window.key("C-c")
    shown = window.wait_for(r"code=130")
    assert "ERROR" not in shown
    assert not re.search(r"^never$", shown, re.MULTILINE)


def _escapes(bakehouse: Bakehouse, context: Path, *arguments: str, env: dict[str, str]) -> str:
    """What the command writes to a terminal, byte for byte."""
    pid, fd = os.forkpty()
    if pid == 0:
        os.chdir(context)
        os.execve(sys.executable, bakehouse.argv(*arguments), bakehouse.environ | env)
    written = b""
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        written += data
    os.close(fd)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, written
    return written.decode()


def test_colours_and_modes_on_a_terminal(bakehouse: Bakehouse, tmp_path: Path) -> None:
    context = project(tmp_path / "p", "FROM scratch\nCOPY Dockerfile /\n")
    color = re.compile(r"\x1b\[[0-9;]*m")
    xterm = {"TERM": "xterm"}
    assert color.search(_escapes(bakehouse, context, "build", ".", env=xterm))
    plain = _escapes(bakehouse, context, "build", ".", env=xterm | {"NO_COLOR": "1"})
    assert not color.search(plain)
    assert "FINISHED" in plain
    for arguments, env in (
        (("build", "--progress=plain", "."), xterm),
        (("build", "."), xterm | {"BUILDKIT_PROGRESS": "plain"}),
        (("bake",), xterm | {"BUILDKIT_PROGRESS": "plain"}),
        (("build", "."), {"TERM": "dumb"}),
    ):
        text = _escapes(bakehouse, context, *arguments, env=env)
        assert "\x1b" not in text
        assert re.search(r"^#\d+ DONE 0\.\ds\r$", text, re.MULTILINE), text
    # The flag wins over the variable.
    assert "FINISHED" in _escapes(
        bakehouse, context, "build", "--progress=tty", ".", env=xterm | {"BUILDKIT_PROGRESS": "plain"}
    )
    assert _escapes(bakehouse, context, "bake", "--progress=quiet", env=xterm) == ""


def test_modes_in_a_pipe(bakehouse: Bakehouse, tmp_path: Path) -> None:
    import json

    context = project(tmp_path / "p", "FROM scratch\nCOPY Dockerfile /\n")
    for env, arguments in (
        ({}, ()),
        ({}, ("--progress=plain",)),
        ({"BUILDKIT_PROGRESS": "plain"}, ("--progress=auto",)),
    ):
        done = bakehouse.run("bake", *arguments, cwd=context, env=env)
        assert done.stderr.startswith(
            "#1 [internal] load local bake definitions\n#1 reading docker-bake.hcl "
        )
        assert done.stdout == ""
        assert "\x1b" not in done.stderr
    for env, arguments in (({}, ("--progress=rawjson",)), ({"BUILDKIT_PROGRESS": "rawjson"}, ())):
        for line in bakehouse.run("bake", *arguments, cwd=context, env=env).stderr.splitlines():
            assert set(json.loads(line)) <= {"vertexes", "statuses", "logs", "warnings"}
    assert bakehouse.run("bake", "--progress=quiet", cwd=context).stderr == ""
    done = bakehouse.run("build", "--progress=quiet", ".", cwd=context)
    assert (done.stderr, done.stdout[:7]) == ("", "sha256:")
    done = bakehouse.run("build", "--progress=none", ".", cwd=context)
    assert (done.stderr, done.stdout) == ("", "")
    done = bakehouse.run("bake", "--progress=tty", cwd=context, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: failed to get console: ")
    done = bakehouse.run("bake", cwd=context, env={"BUILDKIT_PROGRESS": "bogus"}, check=False)
    assert "ERROR: invalid progress mode bogus" in done.stderr


def test_warnings_are_summed_up_and_expanded(bakehouse: Bakehouse, tmp_path: Path) -> None:
    context = project(tmp_path / "p", "from scratch\nCOPY Dockerfile /\n")
    done = bakehouse.run("build", ".", cwd=context)
    assert "\n 1 warning found (use --debug to expand):\n - ConsistentInstructionCasing: " in done.stderr
    done = bakehouse.run("-D", "build", ".", cwd=context)
    assert "\n 1 warning found:\n - ConsistentInstructionCasing: " in done.stderr
    assert "   1 | >>> from scratch" in done.stderr
    assert "warning found" not in bakehouse.run("build", "-q", ".", cwd=context).stderr


@pytest.mark.parametrize("columns", [40, 80])
def test_help_fits_the_terminal(terminal: Callable[..., Terminal], columns: int) -> None:
    window = terminal(columns, 200)
    window.type("bakehouse build --help; echo code=$?")
    shown = window.wait_for(r"code=0")
    flags = [line for line in shown.splitlines() if re.match(r"  (-\w,|   ) --", line)]
    assert len(flags) > 25
    assert all(len(line) <= columns for line in shown.splitlines())
    assert "--build-arg stringArray" in shown
