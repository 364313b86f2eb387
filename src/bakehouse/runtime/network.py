"""Networks of steps: a namespace of one's own with a way out through slirp4netns, or the machine's, or none.

A prepared namespace is held by a descriptor alone (no mount, no process inside), and slirp4netns ends by itself when
its exit pipe closes, so a killed engine leaves neither behind. Preparing one takes about 4 ms. A namespace serves one
step at a time. It is used again only after a step that had no right to change it (no CAP_NET_ADMIN) and whose processes
are all gone; after an insecure step it is thrown away.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import socket
import struct
import threading
from collections.abc import Mapping

from bakehouse.linux.namespaces import CLONE_NEWNET, unshare
from bakehouse.runtime.resolvconf import forwarder_conf
from bakehouse.runtime.spawn import reap, spawn
from bakehouse.values import dataclass

_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x1 | 0x40
_READY_TIMEOUT_S = 10.0
_MAX_IDLE = 8
#: slirp4netns's own address for DNS: it asks the machine's servers, loopback ones included.
SLIRP_DNS = "10.0.2.3"
_READY_FD, _EXIT_FD, _NETNS_FD = 3, 4, 5


@dataclass(slots=True)
class SandboxNetwork:
    """A network namespace with a running slirp4netns. `path` names it as long as it is open."""

    netns_fd: int
    exit_fd: int
    pid: int

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.netns_fd}"

    def alive(self) -> bool:
        """False when slirp4netns has ended. Reaps it then."""
        if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
            self.pid = 0
        return bool(self.pid)

    def close(self, *, wait: bool = False) -> None:
        """Ends slirp4netns (which takes some 30 ms) and lets the kernel drop the namespace."""
        for fd in (self.exit_fd, self.netns_fd):
            if fd >= 0:
                os.close(fd)
        self.exit_fd = self.netns_fd = -1
        if self.pid and wait:
            reap(self.pid)
            self.pid = 0


class NetworkPool:
    """Lends prepared namespaces. Thread-safe; starts nothing before the first `acquire`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._lock = threading.Lock()
        self._idle: list[SandboxNetwork] = []
        self._ending: list[SandboxNetwork] = []
        self._closed = False
        self._binary: str | None = None
        #: Why steps share the machine's network; None while they do not.
        self.unavailable: str | None = None

    def acquire(self) -> SandboxNetwork | None:
        """A namespace for one step; None when this machine cannot make one (`unavailable` then says why)."""
        with self._lock:
            while self._idle:
                network = self._idle.pop()
                if network.alive():
                    return network
                network.close()
            if self.unavailable is not None:
                return None
            self._binary = self._binary or shutil.which("slirp4netns", path=self._environ.get("PATH"))
            binary = self._binary
            if binary is None:
                self.unavailable = "slirp4netns is not installed"
                return None
        try:
            return start_network(binary, self._environ)
        except OSError as error:
            with self._lock:
                self.unavailable = f"slirp4netns does not work here ({error.strerror or error})"
            return None

    def release(self, network: SandboxNetwork, *, reusable: bool) -> None:
        """Gives `network` back. All processes in it must be gone. It is closed unless it is `reusable`."""
        with self._lock:
            if reusable and not self._closed and len(self._idle) < _MAX_IDLE and network.alive():
                self._idle.append(network)
                return
            network.close()
            # Reaped later: waiting here would hold up a step.
            self._ending = [ending for ending in self._ending if ending.alive()]
            if network.pid:
                self._ending.append(network)

    def close(self) -> None:
        """Ends all idle networks; those still lent are ended when they come back."""
        with self._lock:
            self._closed = True
            ending, self._idle, self._ending = [*self._idle, *self._ending], [], []
        for network in ending:
            network.close()
        for network in ending:
            network.close(wait=True)


def sandbox_resolv_conf() -> str:
    """resolv.conf inside a slirp4netns network."""
    return forwarder_conf(SLIRP_DNS)


def new_network_namespace() -> int:
    """A descriptor of a fresh network namespace whose loopback interface is up. Raises `OSError`."""
    outcome: list[int | OSError] = []

    def make() -> None:
        # A namespace belongs to a thread; this one ends, the descriptor stays.
        try:
            unshare(CLONE_NEWNET)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
                fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))
            outcome.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=make, name="bakehouse-netns")
    thread.start()
    thread.join()
    result = outcome[0]
    if isinstance(result, OSError):
        raise result
    return result


def start_network(binary: str, environ: Mapping[str, str]) -> SandboxNetwork:
    """Makes a namespace and connects it. Raises `OSError` when the namespace or slirp4netns fails."""
    netns = new_network_namespace()
    ready_read, ready_write = os.pipe()
    exit_read, exit_write = os.pipe()
    network = SandboxNetwork(netns, exit_write, 0)
    try:
        try:
            network.pid = spawn(
                _slirp_arguments(binary),
                {_READY_FD: ready_write, _EXIT_FD: exit_read, _NETNS_FD: netns},
                environ,
            )
        finally:
            os.close(ready_write)
            os.close(exit_read)
        _await_ready(ready_read)
    except BaseException:
        network.close(wait=True)
        raise
    finally:
        os.close(ready_read)
    return network


def _slirp_arguments(binary: str) -> list[str]:
    return [
        binary,
        "--configure",
        "--mtu=65520",
        # The machine's loopback services (and whatever trusts them) are not for steps.
        "--disable-host-loopback",
        "--enable-sandbox",
        "--enable-seccomp",
        f"--ready-fd={_READY_FD}",
        f"--exit-fd={_EXIT_FD}",
        "--netns-type=path",
        f"/proc/self/fd/{_NETNS_FD}",
        "tap0",
    ]


def _await_ready(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if not poll.poll(_READY_TIMEOUT_S * 1000):
        raise TimeoutError("not ready in time")
    if os.read(fd, 1) != b"1":
        raise OSError("it ended at once")
