"""The OCI runtime configuration (config.json, runtime-spec 1.0.2) of one step.

containerd's default container without `/run`, as BuildKit changes it (engine.md §23). What is computed from the machine
(seccomp profile, CPU count, cgroups) comes in as a `Machine`, made once an engine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bakehouse.go.paths import rooted_path
from bakehouse.runtime.cgroups import Cgroups, group_path
from bakehouse.runtime.resolvconf import DEFAULT_HOSTNAME
from bakehouse.runtime.seccomp import default_profile
from bakehouse.runtime.seccomp_bpf import ANNOTATION
from bakehouse.runtime.step import SECURITY_INSECURE, Step, StepLimits, StepMount
from bakehouse.runtime.users import StepUser
from bakehouse.values import dataclass

DEFAULT_SHM_BYTES = 65536 * 1024
_UMASK = 0o022
_RLIM_INFINITY = (1 << 64) - 1

#: What a step may do: containerd's default set, nothing inheritable and nothing ambient.
DEFAULT_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)

#: By number (linux/capability.h).
ALL_CAPABILITIES = tuple(
    "CAP_" + name
    for name in (
        *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
        *("SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"),
        *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT"),
        *("SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD"),
        *("LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG"),
        *("WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
    )
)

_MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/proc/scsi",
)
_READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

#: Character devices that an insecure step gets besides the default ones: path, major, minor.
_INSECURE_DEVICES = (
    ("/dev/kmsg", 1, 11),
    ("/dev/cuse", 10, 203),
    ("/dev/fuse", 10, 229),
    ("/dev/kvm", 10, 232),
    ("/dev/net/tun", 10, 200),
    ("/dev/loop-control", 10, 237),
)
_LOOP_MAJOR = 7


@dataclass(frozen=True, slots=True)
class Machine:
    """What a spec needs to know of the machine. `capabilities`: those this process can hand on (insecure steps)."""

    cgroups: Cgroups
    in_user_namespace: bool
    machine: str
    kernel: tuple[int, int]
    possible_cpus: tuple[int, ...]
    capabilities: tuple[str, ...]
    seccomp: bool
    x32: bool = True
    may_set_groups: bool = True
    free_loop_devices: int = 8


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one run of a step takes place. `netns`: path of a prepared network namespace, None for a fresh one;
    `host_network` joins the machine's. `rootfs` is the directory that becomes `/`. `compiled_seccomp` is the ready
    filter for crun."""

    container_id: str
    rootfs: Path
    hosts: Path
    resolv_conf: Path
    netns: str | None = None
    host_network: bool = False
    compiled_seccomp: str | None = None


def build_spec(step: Step, user: StepUser, machine: Machine, place: Placement) -> dict[str, object]:
    """config.json as plain dicts and lists."""
    insecure = step.security == SECURITY_INSECURE
    capabilities = _capabilities(machine, insecure)
    linux: dict[str, object] = {
        "namespaces": _namespaces(machine, place),
        "maskedPaths": [] if insecure else _masked_paths(machine, place),
        "readonlyPaths": [] if insecure else list(_READONLY_PATHS),
    }
    if machine.seccomp and not insecure:
        linux["seccomp"] = seccomp_profile(machine)
    if machine.cgroups.usable:
        linux["cgroupsPath"] = group_path(place.container_id, step.cgroup_parent)
        linux["resources"] = {"devices": _device_rules(insecure), **_resources(step.limits)}
    if insecure and not machine.in_user_namespace:
        linux["devices"] = _insecure_devices(machine.free_loop_devices)
    annotations = (
        {ANNOTATION: place.compiled_seccomp} if "seccomp" in linux and place.compiled_seccomp else {}
    )
    return {
        "annotations": annotations,
        "ociVersion": "1.0.2",
        "root": {"path": os.fspath(place.rootfs), "readonly": step.readonly_rootfs},
        "hostname": step.hostname or DEFAULT_HOSTNAME,
        "process": _process(step, user, capabilities, machine),
        "mounts": _mounts(step, machine, place, insecure),
        "linux": linux,
    }


def _resources(limits: StepLimits) -> dict[str, object]:
    """The spec's `memory` and `cpu` objects, with what is limited only."""
    memory: dict[str, int | str] = {"limit": limits.memory, "swap": limits.memory_swap}
    cpu: dict[str, int | str] = {
        "shares": limits.cpu_shares,
        "quota": limits.cpu_quota,
        "period": limits.cpu_period,
        "cpus": limits.cpuset_cpus,
        "mems": limits.cpuset_mems,
    }
    parts = {"memory": memory, "cpu": cpu}
    chosen = {name: {key: value for key, value in part.items() if value} for name, part in parts.items()}
    return {name: part for name, part in chosen.items() if part}


def seccomp_profile(machine: Machine) -> dict[str, object]:
    """The profile of every step that is not insecure."""
    capabilities = _capabilities(machine, insecure=False)
    return default_profile(capabilities, machine.machine, machine.kernel, x32=machine.x32)


def _capabilities(machine: Machine, insecure: bool) -> tuple[str, ...]:
    if insecure:
        return machine.capabilities
    if machine.cgroups.usable or machine.in_user_namespace:
        return DEFAULT_CAPABILITIES
    # Nothing but the device controller would keep a step with CAP_MKNOD off the machine's disks.
    return tuple(name for name in DEFAULT_CAPABILITIES if name != "CAP_MKNOD")


def _process(step: Step, user: StepUser, capabilities: Sequence[str], machine: Machine) -> dict[str, object]:
    sets = ["bounding", "effective", "permitted"]
    if step.security == SECURITY_INSECURE:
        sets += ["inheritable", "ambient"]
    process: dict[str, object] = {
        "terminal": step.terminal,
        "user": {
            "uid": user.uid,
            "gid": user.gid,
            "additionalGids": list(user.groups) if machine.may_set_groups else [],
            "umask": _UMASK,
        },
        "args": list(step.args),
        "env": _environment(step.env, user),
        "cwd": step.cwd or "/",
        "capabilities": {name: list(capabilities) for name in sets},
        "noNewPrivileges": False,
    }
    if step.ulimits:
        process["rlimits"] = [
            {"type": f"RLIMIT_{name.upper()}", "soft": _limit(soft), "hard": _limit(hard)}
            for name, soft, hard in step.ulimits
        ]
    return process


def _limit(value: int) -> int:
    return value if value >= 0 else value & _RLIM_INFINITY


def _environment(env: Iterable[str], user: StepUser) -> list[str]:
    """The last of two values wins at the place of the first (containerd's rule); HOME is that of the user's passwd
    entry, else `/`, unless it is set to something. Entries without `=` or name are left out."""
    merged: dict[str, str] = {}
    for entry in env:
        name, equals, value = entry.partition("=")
        if equals and name:
            merged[name] = value
    if not merged.get("HOME"):
        merged.pop("HOME", None)
        merged["HOME"] = user.home or "/"
    return [f"{name}={value}" for name, value in merged.items()]


def _namespaces(machine: Machine, place: Placement) -> list[dict[str, str]]:
    kinds: list[dict[str, str]] = [{"type": name} for name in ("pid", "ipc", "uts", "mount")]
    if place.netns is not None:
        kinds.append({"type": "network", "path": place.netns})
    elif not place.host_network:
        kinds.append({"type": "network"})
    if machine.cgroups.namespace and machine.cgroups.usable:
        kinds.append({"type": "cgroup"})
    return kinds


def hides_sys(machine: Machine, place: Placement) -> bool:
    """True when /sys cannot be mounted: sysfs belongs to a network namespace, which here is not our own."""
    return machine.in_user_namespace and place.host_network


def _masked_paths(machine: Machine, place: Placement) -> list[str]:
    paths = [
        *_MASKED_PATHS,
        *(f"/sys/devices/system/cpu/cpu{cpu}/thermal_throttle" for cpu in machine.possible_cpus),
    ]
    if hides_sys(machine, place):
        return [path for path in paths if not path.startswith("/sys/")]
    return paths


def _device_rules(insecure: bool) -> list[dict[str, object]]:
    if insecure:
        return [{"allow": True, "type": kind, "access": "rwm"} for kind in ("c", "b")]
    return [{"allow": False, "access": "rwm"}]


def _insecure_devices(loops: int) -> list[dict[str, object]]:
    devices: list[dict[str, object]] = [
        {"path": path, "type": "c", "major": major, "minor": minor}
        for path, major, minor in _INSECURE_DEVICES
    ]
    devices += [
        {"path": f"/dev/loop{n}", "type": "b", "major": _LOOP_MAJOR, "minor": n} for n in range(loops)
    ]
    return devices


def _mounts(step: Step, machine: Machine, place: Placement, insecure: bool) -> list[dict[str, object]]:
    """Default mounts, then the step's. A later mount of the same destination takes the earlier one's place."""
    shm = DEFAULT_SHM_BYTES if step.shm_size is None else step.shm_size
    sys_mode = "rw" if insecure else "ro"
    plain = ("nosuid", "noexec", "nodev")
    mounts = [
        _mount("/proc", "proc", "proc", plain),
        _mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        _mount("/dev/pts", "devpts", "devpts", _devpts_options(machine)),
        _mount("/dev/shm", "tmpfs", "shm", (*plain, "mode=1777", f"size={shm}")),
        _mount("/dev/mqueue", "mqueue", "mqueue", plain),
    ]
    if not hides_sys(machine, place):
        mounts.append(_mount("/sys", "sysfs", "sysfs", (*plain, sys_mode)))
    private_file = (*plain, "rbind", "ro")
    mounts.append(_mount("/etc/resolv.conf", "bind", os.fspath(place.resolv_conf), private_file))
    mounts.append(_mount("/etc/hosts", "bind", os.fspath(place.hosts), private_file))
    if machine.cgroups.usable:
        mounts.append(_mount("/sys/fs/cgroup", "cgroup", "cgroup", (sys_mode, "nosuid", "noexec", "nodev")))
    mounts += [_step_mount(mount, machine) for mount in step.mounts]
    by_dest: dict[str, dict[str, object]] = {}
    for mount in mounts:
        by_dest[rooted_path(str(mount["destination"]))] = mount
    return list(by_dest.values())


def _devpts_options(machine: Machine) -> tuple[str, ...]:
    options = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620")
    # Group 5 (tty) cannot be given away when only our own id is mapped.
    return options if machine.in_user_namespace and not _maps_group(5) else (*options, "gid=5")


def _maps_group(gid: int) -> bool:
    with open("/proc/self/gid_map", encoding="ascii") as file:
        for line in file:
            first, _, count = (int(word) for word in line.split())
            if first <= gid < first + count:
                return True
    return False


def _mount(dest: str, kind: str, source: str, options: Sequence[str]) -> dict[str, object]:
    return {"destination": dest, "type": kind, "source": source, "options": list(options)}


def _step_mount(mount: StepMount, machine: Machine) -> dict[str, object]:
    options = list(mount.options)
    if mount.source is None:
        return _mount(mount.dest, mount.kind, mount.kind, options)
    if machine.in_user_namespace:
        options += [name for name in _locked_flags(mount.source) if name not in options]
    return _mount(mount.dest, mount.kind, os.fspath(mount.source), options)


#: Flags of statvfs(3), by the mount option that repeats them.
_LOCKABLE = (
    (os.ST_RDONLY, "ro"),
    (os.ST_NODEV, "nodev"),
    (os.ST_NOEXEC, "noexec"),
    (os.ST_NOSUID, "nosuid"),
    (os.ST_NOATIME, "noatime"),
    (os.ST_RELATIME, "relatime"),
    (os.ST_NODIRATIME, "nodiratime"),
)


def _locked_flags(source: Path) -> list[str]:
    """Flags that the kernel will not let a user namespace drop when it mounts `source` again."""
    flags = os.statvfs(source).f_flag
    return [name for flag, name in _LOCKABLE if flags & flag]
