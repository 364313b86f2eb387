"""What a step is, as plain values: the process, its root directory and its mounts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bakehouse.values import dataclass

NETWORK_SANDBOX = "sandbox"
NETWORK_HOST = "host"
NETWORK_NONE = "none"
SECURITY_SANDBOX = "sandbox"
SECURITY_INSECURE = "insecure"

MOUNT_BIND = "bind"
MOUNT_TMPFS = "tmpfs"


@dataclass(frozen=True, slots=True)
class StepMount:
    """One mount below the step's root. `kind` is `bind` or `tmpfs`; `source` a host path without symlinks (bind);
    `dest` an absolute path inside; `options` those of the OCI runtime spec (`ro`, `rbind`, `size=…`).

    Mounts are made in the given order; one whose `dest` is that of a default mount replaces it (BuildKit's rule).
    """

    kind: str
    source: Path | None
    dest: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepLimits:
    """What the step's control group may use; 0 and empty mean not limited. `memory` and `memory_swap` (both together,
    -1: as much as there is) are bytes, `cpu_period` and `cpu_quota` microseconds, the sets are like `0-2,5`."""

    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""

    @property
    def controllers(self) -> frozenset[str]:
        """The cgroup controllers that these limits need."""
        wanted = set()
        if self.memory or self.memory_swap:
            wanted.add("memory")
        if self.cpu_shares or self.cpu_period or self.cpu_quota:
            wanted.add("cpu")
        if self.cpuset_cpus or self.cpuset_mems:
            wanted.add("cpuset")
        return frozenset(wanted)


@dataclass(frozen=True, slots=True)
class Step:
    """The process of a step. `env` holds `K=V`; `user` is Docker's `name|uid[:group|gid]`, empty for root; `cwd` an
    absolute path, created when missing; `extra_hosts` (host, ip) pairs; `ulimits` (name, soft, hard), -1 unlimited;
    `shm_size` the bytes of /dev/shm; `rootfs` a writable directory on the host whose mount stubs are cleaned up;
    `terminal` asks for a terminal inside (`runtime.foreground`).
    """

    args: tuple[str, ...]
    rootfs: Path
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: str = ""
    mounts: tuple[StepMount, ...] = ()
    network: str = NETWORK_SANDBOX
    security: str = SECURITY_SANDBOX
    hostname: str = ""
    extra_hosts: tuple[tuple[str, str], ...] = ()
    ulimits: tuple[tuple[str, int, int], ...] = ()
    shm_size: int | None = None
    readonly_rootfs: bool = False
    cgroup_parent: str = ""
    remove_mount_stubs_recursive: bool = False
    terminal: bool = False
    limits: StepLimits = StepLimits()


class Cancel(Protocol):
    """What the runtime asks of a cancellation (`solver.model.Cancellation` satisfies it)."""

    @property
    def cancelled(self) -> bool: ...

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]: ...


#: Receives raw output: stream (1 stdout, 2 stderr) and bytes, in the thread that runs the step.
OnOutput = Callable[[int, bytes], None]
OnWarning = Callable[[str], None]
