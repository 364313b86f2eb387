"""OpenSSH's server on loopback, with throwaway keys."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.services import free_port, stop, wait_for_port


@dataclass(frozen=True)
class SshServer:
    """A running sshd that lets in the owner of `key`: `url(path)` is the address of a repository at `path`."""

    port: int
    user: str
    key: Path
    host_keys: dict[str, str]

    def url(self, path: Path) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"


@contextmanager
def running_sshd(root: Path) -> Iterator[SshServer]:
    """OpenSSH's server on a free port of loopback, with throwaway keys and settings below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    # As the system's own unit does; the program refuses to start without.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    host_keys = {}
    for kind in ("rsa", "ecdsa", "ed25519"):
        make_key(root / f"host-{kind}", kind)
        name, text = (root / f"host-{kind}.pub").read_text().split()[:2]
        host_keys[name] = text
    key = make_key(root / "user", "ed25519")
    (root / "authorized").write_text((root / "user.pub").read_text())
    port = free_port()
    (root / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {root / 'authorized'}\nPermitRootLogin prohibit-password\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        + "".join(f"HostKey {root / f'host-{kind}'}\n" for kind in ("rsa", "ecdsa", "ed25519"))
    )
    with open(root / "log", "wb") as log:
        process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", str(root / "config")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for_port(port)
        yield SshServer(port, getpass.getuser(), key, host_keys)
    finally:
        stop(process)


def make_key(path: Path, kind: str, passphrase: str = "", form: str = "RFC4716") -> Path:
    """A new private key at `path`, its public half beside it."""
    pem = ["-m", form] if form != "RFC4716" else []
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, *pem, "-C", "test", "-f", str(path)], check=True
    )
    return path
