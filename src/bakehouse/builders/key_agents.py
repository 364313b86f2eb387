"""SSH agents of our own for key files that a build was lent: `ssh-agent` processes that end with the build.

No cryptography here. The agent is the background half of `ssh-agent COMMAND`: it looks whether COMMAND still runs, and
COMMAND is a `cat` at the end of a pipe of ours, so that both go when this process does, however it ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bakehouse.errors import DefinitionError, EnvironmentFault

#: As much of a key file as BuildKit's client reads.
_MAX_KEY_BYTES = 100 * 1024


@contextmanager
def key_agent(keys: Sequence[Path], environ: Mapping[str, str]) -> Iterator[Path]:
    """The socket of an agent that holds the private keys of the files `keys`, for the length of the block.

    Raises `EnvironmentFault` (code `no-ssh-agent`) and `DefinitionError` (code `ssh-invalid`)."""
    missing = [
        name for name in ("ssh-agent", "ssh-add") if shutil.which(name, path=environ.get("PATH")) is None
    ]
    if missing:
        raise EnvironmentFault(
            f"{missing[0]} is not installed",
            code="no-ssh-agent",
            hint="Install OpenSSH's client to lend key files, or start an agent and lend its socket.",
        )
    # Below /tmp, not in the store: a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="bakehouse-ssh-", ignore_cleanup_errors=True) as directory:
        socket = Path(directory, "agent")
        clean = {"PATH": environ.get("PATH", os.defpath), "LC_ALL": "C"}
        process = subprocess.Popen(
            ["ssh-agent", "-a", os.fspath(socket), "sh", "-c", 'echo "$SSH_AGENT_PID"; exec cat >/dev/null'],
            env=clean,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdin is not None and process.stdout is not None
        agent = 0
        try:
            agent = int(process.stdout.readline() or 0)
            if not agent:
                raise EnvironmentFault("ssh-agent does not start", code="no-ssh-agent")
            for key in keys:
                _add(key, clean | {"SSH_AUTH_SOCK": os.fspath(socket)})
            yield socket
        finally:
            if agent:
                os.kill(agent, signal.SIGTERM)
            process.stdin.close()
            process.stdout.close()
            process.wait()


def _add(key: Path, environ: dict[str, str]) -> None:
    """By standard input: ssh-add would refuse a file that others may read, which is not ours to judge."""
    try:
        with open(key, "rb") as file:
            data = file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise DefinitionError(
            f"failed to open {key}: {(error.strerror or '').lower()}", code="ssh-invalid"
        ) from error
    if not data.endswith(b"\n"):
        data += b"\n"
    done = subprocess.run(
        ["ssh-add", "-q", "-"],
        env=environ | {"SSH_ASKPASS_REQUIRE": "never"},
        input=data,
        capture_output=True,
        # Without a terminal nobody can be asked for a passphrase.
        start_new_session=True,
    )
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise DefinitionError(
            f"failed to add {key} to agent: {words[-1] if words else 'ssh-add failed'}", code="ssh-invalid"
        )
