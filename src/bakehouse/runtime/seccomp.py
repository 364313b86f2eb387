"""The seccomp profile of a step: the default of Docker, containerd and BuildKit as an OCI `linux.seccomp` object.

Everything that is not allowed answers EPERM; `clone3`, whose flags a filter cannot see, answers ENOSYS so that the C
library falls back to `clone`.
"""

from __future__ import annotations

from collections.abc import Collection

from bakehouse.runtime.syscalls import ALWAYS_ALLOWED

_ALLOW = "SCMP_ACT_ALLOW"
_ERRNO = "SCMP_ACT_ERRNO"
_EPERM = 1
_ENOSYS = 38
_AF_ALG = 38
_AF_VSOCK = 40
#: CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
_CLONE_NAMESPACES = 0x7E020000

#: uname machine → its own seccomp architecture and the ones whose programs it also runs.
_ARCHITECTURES: dict[str, tuple[str, ...]] = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
    "s390x": ("SCMP_ARCH_S390X", "SCMP_ARCH_S390"),
    "riscv64": ("SCMP_ARCH_RISCV64",),
    "loongarch64": ("SCMP_ARCH_LOONGARCH64",),
    "mips64": ("SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64N32"),
}

_BY_MACHINE: dict[str, tuple[str, ...]] = {
    "x86_64": ("arch_prctl", "modify_ldt"),
    "i686": ("modify_ldt",),
    "aarch64": (
        "arm_fadvise64_64",
        "arm_sync_file_range",
        "sync_file_range2",
        "breakpoint",
        "cacheflush",
        "set_tls",
    ),
    "armv7l": (
        "arm_fadvise64_64",
        "arm_sync_file_range",
        "sync_file_range2",
        "breakpoint",
        "cacheflush",
        "set_tls",
    ),
    "ppc64le": ("sync_file_range2", "swapcontext"),
    "s390x": ("s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"),
    "riscv64": ("riscv_flush_icache",),
}

_BY_CAPABILITY: dict[str, tuple[str, ...]] = {
    "CAP_DAC_READ_SEARCH": ("open_by_handle_at",),
    "CAP_SYS_ADMIN": (
        "bpf",
        "clone",
        "clone3",
        "fanotify_init",
        "fsconfig",
        "fsmount",
        "fsopen",
        "fspick",
        "lookup_dcookie",
        "lsm_get_self_attr",
        "lsm_list_modules",
        "lsm_set_self_attr",
        "mount",
        "mount_setattr",
        "move_mount",
        "open_tree",
        "perf_event_open",
        "quotactl",
        "quotactl_fd",
        "setdomainname",
        "sethostname",
        "setns",
        "syslog",
        "umount",
        "umount2",
        "unshare",
    ),
    "CAP_SYS_BOOT": ("reboot",),
    "CAP_SYS_CHROOT": ("chroot",),
    "CAP_SYS_MODULE": ("delete_module", "init_module", "finit_module"),
    "CAP_SYS_PACCT": ("acct",),
    "CAP_SYS_PTRACE": (
        "kcmp",
        "pidfd_getfd",
        "process_madvise",
        "process_vm_readv",
        "process_vm_writev",
        "ptrace",
    ),
    "CAP_SYS_RAWIO": ("iopl", "ioperm"),
    "CAP_SYS_TIME": ("settimeofday", "stime", "clock_settime", "clock_settime64"),
    "CAP_SYS_TTY_CONFIG": ("vhangup",),
    "CAP_SYS_NICE": ("get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"),
    "CAP_SYSLOG": ("syslog",),
    "CAP_BPF": ("bpf",),
    "CAP_PERFMON": ("perf_event_open",),
}

#: Linux 4.8 closed the hole by which ptrace escaped a filter.
_SINCE_4_8 = ("process_vm_readv", "process_vm_writev", "ptrace")

#: Personalities: plain Linux, 32 bit uname, their variants with UNAME26, and the query.
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)


def default_profile(
    capabilities: Collection[str], machine: str, kernel: tuple[int, int], *, x32: bool = True
) -> dict[str, object]:
    """The profile for a step that holds `capabilities` on a kernel of version `kernel` and uname machine `machine`.

    `x32` tells whether the kernel has that ABI at all. Most have not, and leaving it out of the filter saves runc a
    fifth of a step's time; its calls are refused either way.
    """
    rules: list[dict[str, object]] = [_allow(ALWAYS_ALLOWED)]
    if kernel >= (4, 8):
        rules.append(_allow(_SINCE_4_8))
    # Kernel crypto (AF_ALG) and virtual machine sockets (AF_VSOCK) stay shut, everything around them is open.
    for value, op in ((_AF_ALG, "SCMP_CMP_LT"), (_AF_ALG + 1, "SCMP_CMP_EQ"), (_AF_VSOCK, "SCMP_CMP_GT")):
        rules.append(_allow(("socket",), _argument(0, value, op)))
    rules += [_allow(("personality",), _argument(0, value, "SCMP_CMP_EQ")) for value in _PERSONALITIES]
    if machine in _BY_MACHINE:
        rules.append(_allow(_BY_MACHINE[machine]))
    rules += [_allow(names) for name, names in _BY_CAPABILITY.items() if name in capabilities]
    if "CAP_SYS_ADMIN" not in capabilities:
        flags_at = 1 if machine in ("s390", "s390x") else 0
        no_namespaces = _argument(flags_at, _CLONE_NAMESPACES, "SCMP_CMP_MASKED_EQ")
        rules.append(_allow(("clone",), no_namespaces))
        rules.append({"names": ["clone3"], "action": _ERRNO, "errnoRet": _ENOSYS})
    profile: dict[str, object] = {"defaultAction": _ERRNO, "defaultErrnoRet": _EPERM, "syscalls": rules}
    if machine in _ARCHITECTURES:
        profile["architectures"] = [
            name for name in _ARCHITECTURES[machine] if x32 or name != "SCMP_ARCH_X32"
        ]
    return profile


def _allow(names: Collection[str], argument: dict[str, object] | None = None) -> dict[str, object]:
    rule: dict[str, object] = {"names": list(names), "action": _ALLOW}
    if argument is not None:
        rule["args"] = [argument]
    return rule


def _argument(index: int, value: int, op: str) -> dict[str, object]:
    return {"index": index, "value": value, "op": op}
