"""Runs the `bakehouse` command as a user would, with a home of its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.services import Registry


class Bakehouse:
    """The command in a subprocess. Every run shares one home (settings and store), which the test owns."""

    def __init__(self, home: Path, registry: Registry | None) -> None:
        self.home = home
        self.registry = registry
        (home / "config" / "bakehouse").mkdir(parents=True)
        if registry is not None:
            (home / "config" / "bakehouse" / "config.toml").write_text(
                f'[registry."docker.io"]\nmirrors = ["{registry.host}"]\n'
            )
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if name in {"PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONDONTWRITEBYTECODE"} or "CERT" in name
        } | {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "BAKEHOUSE_ROOT": str(home / "store"),
        }

    def run(
        self,
        *arguments: str,
        cwd: Path | None = None,
        check: bool = True,
        input: str | bytes | None = None,
        env: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Runs to the end; with `check` a failure shows what the command printed. `prefix` is a
        program that starts the command (`unshare …`)."""
        data = input.encode() if isinstance(input, str) else input
        done = subprocess.run(
            [*prefix, *self.argv(*arguments)],
            cwd=cwd,
            env=self.environ | (env or {}),
            input=data if data is not None else None,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            timeout=timeout,
        )
        result = subprocess.CompletedProcess(
            done.args,
            done.returncode,
            done.stdout.decode("utf-8", "surrogateescape"),
            done.stderr.decode("utf-8", "surrogateescape"),
        )
        if check and result.returncode:
            raise AssertionError(
                f"bakehouse {' '.join(arguments)} exited {result.returncode}\n{result.stdout}\n{result.stderr}"
            )
        return result

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "bakehouse", *arguments]

    def start(
        self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts without waiting, in a process group of its own, for tests that interrupt."""
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=cwd,
            env={**self.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


class Terminal:
    """A shell in a terminal of a given size (tmux, a server of its own) where `bakehouse` is a command.

    What is on the screen, and nothing else, is what tests see.
    """

    def __init__(
        self, command: Bakehouse, root: Path, columns: int, rows: int, env: Mapping[str, str]
    ) -> None:
        # A socket's path may have 107 bytes, and pytest's folders are long.
        self._folder = Path(tempfile.mkdtemp(prefix="bkh-tmux-"))
        programs = root / f"programs-{self._folder.name}"
        programs.mkdir()
        script = programs / "bakehouse"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command.argv())} "$@"\n')
        script.chmod(0o755)
        shell_settings = root / f"bashrc-{self._folder.name}"
        shell_settings.write_text("PS1='$ '\n")
        environ = command.environ | dict(env)
        environ |= {"PATH": f"{programs}:{environ['PATH']}", "TERM": "screen", "LC_ALL": "C.UTF-8"}
        subprocess.run(
            [
                *self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows)),
                f"exec bash --noprofile --rcfile {shell_settings} -i",
            ],
            check=True,
            env=environ,
        )
        self.wait_for(r"^\$ $")

    def _tmux(self, *arguments: str) -> list[str]:
        return ["tmux", "-S", str(self._folder / "s"), *arguments]

    def type(self, line: str) -> None:
        """Types a line and the return key."""
        subprocess.run(self._tmux("send-keys", "-l", line), check=True)
        self.key("Enter")

    def key(self, name: str) -> None:
        subprocess.run(self._tmux("send-keys", name), check=True)

    def screen(self) -> str:
        """The text on the screen, one line a row, the cursor's line as it is and the empty rows below it left out."""
        done = subprocess.run(
            self._tmux("capture-pane", "-p", "-N"), check=True, capture_output=True, text=True
        )
        return "\n".join(_trimmed(line) for line in done.stdout.rstrip("\n").split("\n")).rstrip("\n")

    def wait_for(self, pattern: str, timeout_s: float = 60) -> str:
        """The screen, as soon as `pattern` is on it. The line that was typed is not looked at."""
        deadline = time.monotonic() + timeout_s
        while True:
            shown = self.screen()
            looked_at = "\n".join(line for line in shown.split("\n") if "; echo code=" not in line)
            if re.search(pattern, looked_at, re.MULTILINE):
                return shown
            if time.monotonic() > deadline:
                raise AssertionError(f"{pattern} did not appear:\n{shown}")
            time.sleep(0.05)

    def cursor_is_visible(self) -> bool:
        return self._ask("#{cursor_flag}") == "1"

    def echoes(self) -> bool:
        """Whether the terminal is in its usual mode again, in which a shell's input is shown."""
        tty = self._ask("#{pane_tty}")
        done = subprocess.run(["stty", "-F", tty, "-a"], check=True, capture_output=True, text=True)
        # bash's line editor turns echo off while it waits, and shows what is typed itself.
        return all(re.search(rf"(?<![-\w]){mode}\b", done.stdout) for mode in ("isig", "opost", "onlcr"))

    def _ask(self, variable: str) -> str:
        done = subprocess.run(
            self._tmux("display-message", "-p", variable), check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def close(self) -> None:
        """Ends the shell, what runs in it, and the tmux server."""
        subprocess.run(self._tmux("kill-server"), check=False, capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)


def _trimmed(line: str) -> str:
    """A row without the blanks that fill it up; the one behind a prompt stays."""
    text = line.rstrip()
    return text + " " if text.endswith(("$", "#")) else text
