"""The engine's own mount namespace."""

from __future__ import annotations

import os

from bakehouse.errors import EnvironmentFault
from bakehouse.linux.mounts import MS_REC, MS_SLAVE, bind, mount
from bakehouse.linux.namespaces import CLONE_NEWNS, in_user_namespace, unshare

#: crun refuses hosts that mount cgroup v1 with a v2 tree beside it as long as this file lists a controller, although
#: it would use the v1 hierarchies anyway. Hidden inside our namespace, it works with full limits.
HYBRID_CONTROLLERS = "/sys/fs/cgroup/unified/cgroup.controllers"


def private_mounts() -> None:
    """Moves the calling thread, and threads that it starts later, into a mount namespace of the engine's own.

    What the engine mounts there is invisible to the rest of the machine and vanishes with the last thread; mounts
    that the machine makes later still appear inside. Call it once, in the thread that starts the engine's workers:
    each call makes another namespace. Raises `EnvironmentFault` (code `no-namespaces`) without the privilege.
    """
    try:
        unshare(CLONE_NEWNS)
        mount(None, "/", None, MS_REC | MS_SLAVE)
    except PermissionError as error:
        raise no_namespaces("a mount namespace cannot be created") from error
    hide_hybrid_cgroup()


def hide_hybrid_cgroup() -> None:
    """Empties crun's view of the v2 controllers of a hybrid host. Only for a private mount namespace."""
    try:
        if os.stat(HYBRID_CONTROLLERS).st_size == 0 and not _lists_controllers():
            return
        bind("/dev/null", HYBRID_CONTROLLERS)
    except OSError:
        return


def _lists_controllers() -> bool:
    with open(HYBRID_CONTROLLERS, "rb") as file:
        return bool(file.read().strip())


def mount_namespace_id() -> str:
    """The identity of the calling thread's mount namespace, such as `mnt:[4026531841]`."""
    return os.readlink("/proc/thread-self/ns/mnt")


def shares_mounts_with_parent() -> bool:
    """True when the calling thread still lives in the mount namespace of the process that started this one."""
    try:
        return os.readlink(f"/proc/{os.getppid()}/ns/mnt") == mount_namespace_id()
    except OSError:
        # No /proc entry (init of a container) or not ours to read: assume the worse, a second namespace is harmless.
        return True


def no_namespaces(what: str) -> EnvironmentFault:
    """The error for a machine that forbids what every RUN step needs."""
    where = "in this user namespace" if in_user_namespace() else "for this user"
    return EnvironmentFault(
        f"RUN needs namespaces, but {what} {where}: operation not permitted",
        code="no-namespaces",
        hint="run as root, allow unprivileged user namespaces (sysctl user.max_user_namespaces, "
        "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or inside a container "
        "give it CAP_SYS_ADMIN and unconfined seccomp and AppArmor profiles",
    )
