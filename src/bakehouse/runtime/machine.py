"""Looks once at the machine for what a step's spec depends on."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os

from bakehouse.linux.libc import library
from bakehouse.linux.namespaces import effective_capabilities, in_user_namespace
from bakehouse.runtime.cgroups import detect
from bakehouse.runtime.spec import ALL_CAPABILITIES, Machine

_LOOP_CTL_GET_FREE = 0x4C82
#: getpid(2) in the x32 ABI of x86-64.
_X32_GETPID = 0x40000000 + 39


def inspect_machine() -> Machine:
    """The machine as the calling thread sees it."""
    mapped = in_user_namespace()
    mask = effective_capabilities()
    uname = os.uname()
    return Machine(
        cgroups=detect(in_user_namespace=mapped),
        in_user_namespace=mapped,
        machine=uname.machine,
        kernel=_kernel_version(uname.release),
        possible_cpus=_possible_cpus(),
        capabilities=tuple(name for number, name in enumerate(ALL_CAPABILITIES) if mask >> number & 1),
        seccomp=os.path.exists("/proc/sys/kernel/seccomp/actions_avail"),
        x32=_has_x32(),
        may_set_groups=_may_set_groups(),
        free_loop_devices=_free_loop_device() + 8,
    )


def _kernel_version(release: str) -> tuple[int, int]:
    numbers = release.replace("-", ".").split(".")
    return int(numbers[0]), int(numbers[1])


def _has_x32() -> bool:
    """Asks the kernel by the most harmless call of that ABI."""
    if os.uname().machine != "x86_64":
        return False
    return library().syscall(ctypes.c_long(_X32_GETPID)) >= 0 or ctypes.get_errno() != errno.ENOSYS


def _may_set_groups() -> bool:
    """False in a user namespace that an unprivileged user mapped without newgidmap."""
    try:
        with open("/proc/self/setgroups", encoding="ascii") as file:
            return file.read().strip() != "deny"
    except OSError:
        return True


def _possible_cpus() -> tuple[int, ...]:
    """CPU numbers of `/sys/devices/system/cpu/possible`, such as `0-3,8`."""
    try:
        with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
            text = file.read().strip()
        cpus: list[int] = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            cpus += range(int(first), int(last or first) + 1)
        return tuple(cpus)
    except (OSError, ValueError):
        return tuple(range(os.cpu_count() or 1))


def _free_loop_device() -> int:
    """The lowest unused loop device; -1 when the machine offers none."""
    try:
        fd = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        return fcntl.ioctl(fd, _LOOP_CTL_GET_FREE)
    except OSError:
        return -1
    finally:
        os.close(fd)
