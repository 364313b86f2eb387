"""Which control groups this machine has, and clearing those of dead steps.

A step gets a group of its own below `/bakehouse` in every hierarchy. The group bears the limits that were asked for,
denies the step the machine's devices (it holds CAP_MKNOD as every container does), and lets us find and kill its
processes. `/bakehouse` itself stays: whoever removed it might take it from a step that another engine just makes.
"""

from __future__ import annotations

import os
import signal
import time
from enum import Enum

from bakehouse.values import dataclass

ROOT = "/sys/fs/cgroup"
PARENT = "bakehouse"


class CgroupLayout(Enum):
    """`LEGACY`: v1 hierarchies, maybe with a v2 tree beside them; `UNIFIED`: v2 alone; `NONE`: not mounted."""

    LEGACY = "legacy"
    UNIFIED = "unified"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Cgroups:
    """`usable` tells whether groups can be made here (not in a user namespace, nor with a read-only mount)."""

    layout: CgroupLayout
    usable: bool
    hierarchies: tuple[str, ...] = ()

    @property
    def namespace(self) -> bool:
        """A cgroup namespace is only made on v2: on odd v1 trees the kernel refuses it (BuildKit's rule)."""
        return self.layout is CgroupLayout.UNIFIED and os.path.exists("/proc/self/ns/cgroup")


def missing_controllers(cgroups: Cgroups, wanted: frozenset[str]) -> list[str]:
    """Those of `wanted` (`memory`, `cpu`, `cpuset`) that cannot limit a step here, sorted."""
    if not cgroups.usable:
        return sorted(wanted)
    if cgroups.layout is CgroupLayout.UNIFIED:
        try:
            with open(f"{ROOT}/cgroup.controllers", encoding="ascii") as file:
                found = set(file.read().split())
        except OSError:
            found = set()
    else:
        found = {name for path in cgroups.hierarchies for name in os.path.basename(path).split(",")}
    return sorted(wanted - found)


def detect(*, in_user_namespace: bool) -> Cgroups:
    """Looks at the calling thread's mounts."""
    legacy: list[str] = []
    unified: list[str] = []
    for mountpoint, fstype in _cgroup_mounts():
        (unified if fstype == "cgroup2" else legacy).append(mountpoint)
    if legacy:
        layout = CgroupLayout.LEGACY
    elif ROOT in unified:
        layout = CgroupLayout.UNIFIED
    else:
        return Cgroups(CgroupLayout.NONE, usable=False)
    hierarchies = tuple(dict.fromkeys(legacy + unified))
    # The devices controller must be writable; the others follow it in practice.
    deciding = ROOT if layout is CgroupLayout.UNIFIED else _with_devices(hierarchies)
    usable = not in_user_namespace and deciding is not None and os.access(deciding, os.W_OK)
    return Cgroups(layout, usable, hierarchies)


def _with_devices(hierarchies: tuple[str, ...]) -> str | None:
    return next((h for h in hierarchies if "devices" in os.path.basename(h).split(",")), None)


def _cgroup_mounts() -> list[tuple[str, str]]:
    """(mount point, `cgroup` or `cgroup2`) of every hierarchy below /sys/fs/cgroup."""
    found = []
    with open("/proc/thread-self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            fstype = after.split(" ", 1)[0]
            if fstype in ("cgroup", "cgroup2"):
                mountpoint = before.split(" ")[4]
                if mountpoint == ROOT or mountpoint.startswith(ROOT + "/"):
                    found.append((mountpoint, fstype))
    return found


def group_path(container_id: str, parent: str = "") -> str:
    """The OCI `cgroupsPath` of a container: below `parent` (`x.slice:` in systemd's form), else below ours."""
    if parent.endswith(":") and ".slice" in parent:
        return parent + container_id
    return "/" + "/".join(part for part in (*parent.split("/"), PARENT, container_id) if part)


def kill_and_remove(hierarchies: tuple[str, ...], prefix: str) -> None:
    """Kills everything in our groups whose name starts with `prefix`, and removes the groups. Never raises."""
    for hierarchy in hierarchies:
        base = f"{hierarchy}/{PARENT}"
        try:
            names = os.listdir(base)
        except OSError:
            continue
        for name in names:
            if name.startswith(prefix):
                _remove_group(f"{base}/{name}")


def remove_container_group(hierarchies: tuple[str, ...], path: str) -> None:
    """Kills what is left in one container's group, given by its `cgroupsPath`, and removes it. Never raises.

    For containers whose runtime was killed while it made them, before it wrote down that it did."""
    if path.startswith("/"):
        for hierarchy in hierarchies:
            if os.path.isdir(hierarchy + path):
                _remove_group(hierarchy + path)


def _remove_group(path: str) -> None:
    for delay_s in (0.0, 0.01, 0.05, 0.2, 0.5):
        time.sleep(delay_s)
        _kill_group(path)
        try:
            # A step with a writable cgroup mount may have made groups inside.
            for directory, _, _ in os.walk(path, topdown=False):
                os.rmdir(directory)
            return
        except FileNotFoundError:
            return
        except OSError:
            continue


def _kill_group(path: str) -> None:
    for directory, _, _ in os.walk(path):
        try:
            with open(f"{directory}/cgroup.procs", encoding="ascii") as file:
                pids = [int(line) for line in file if int(line) > 1]
        except (OSError, ValueError):
            continue
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
