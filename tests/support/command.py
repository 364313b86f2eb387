"""Runs the `bakehouse` command as a user would, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
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

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        """Starts without waiting, in a process group of its own, for tests that interrupt."""
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=cwd,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
