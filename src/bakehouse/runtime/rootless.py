"""Running without root: the process moves into a user namespace of its own, where it is root.

With ranges in /etc/subuid and /etc/subgid (and newuidmap, newgidmap) images may use many ids; without, only the user's
own id exists inside, as root. No other process takes part, so nothing has to be forwarded or waited for later.
"""

from __future__ import annotations

import errno
import os
import pwd
import shutil
from collections.abc import Mapping

from bakehouse.errors import EnvironmentFault, InternalError
from bakehouse.linux.namespaces import CLONE_NEWUSER, has_capability, in_user_namespace, unshare
from bakehouse.values import dataclass

_CAP_SYS_ADMIN = 21
_ADVICE = {
    "/proc/sys/kernel/unprivileged_userns_clone": (
        "0",
        "allow it with: sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    "/proc/sys/user/max_user_namespaces": ("0", "allow them with: sysctl -w user.max_user_namespaces=15000"),
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "AppArmor forbids it; allow it with: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
}
_DEFAULT_ADVICE = "run as root, or inside a container allow user namespaces in its seccomp profile"


@dataclass(frozen=True, slots=True)
class IdRange:
    """`count` ids from `inside` on in the namespace are those from `outside` on of the machine."""

    inside: int
    outside: int
    count: int


def reexec_in_user_namespace(environ: Mapping[str, str] = os.environ) -> bool:
    """Gives an unprivileged process the root of a user namespace of its own, in place.

    Returns False, having done nothing, when the process is root already (of the machine or of a namespace) or holds
    CAP_SYS_ADMIN. Call it while the process has one thread. HOME and all else in the environment stay the user's;
    `os.geteuid()` is 0 afterwards, and `in_user_namespace()` tells the difference.

    Raises `EnvironmentFault` (code `no-user-namespaces`) with what to change on this machine; the process is to end
    then, as it may already have left its old namespace.
    """
    if os.geteuid() == 0 or has_capability(_CAP_SYS_ADMIN):
        return False
    uid, gid = os.geteuid(), os.getegid()
    uids, gids = subordinate_ranges(uid, gid, environ)
    if uids and gids:
        _enter_with_ranges(uid, gid, uids, gids, environ)
    else:
        _enter_alone(uid, gid)
    try:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    except OSError as error:
        raise forbidden("its ids cannot be taken") from error
    if not has_capability(_CAP_SYS_ADMIN):
        raise forbidden("it comes without rights")
    return True


def is_rootless() -> bool:
    """True when root here is root of a user namespace only."""
    return in_user_namespace()


def subordinate_ranges(uid: int, gid: int, environ: Mapping[str, str]) -> tuple[list[IdRange], list[IdRange]]:
    """The user's subordinate ids, mapped from 1 on; empty lists when he has none, or the tools are missing."""
    if not all(shutil.which(tool, path=environ.get("PATH")) for tool in ("newuidmap", "newgidmap")):
        return [], []
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    names = {name, str(uid)}
    return _ranges("/etc/subuid", names), _ranges("/etc/subgid", names)


def _ranges(path: str, names: set[str]) -> list[IdRange]:
    """Lines `NAME:FIRST:COUNT` of one user, one after another in the namespace. Broken lines are skipped."""
    found: list[IdRange] = []
    inside = 1
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                fields = line.strip().split(":")
                if len(fields) == 3 and fields[0] in names and fields[1].isdigit() and fields[2].isdigit():
                    count = int(fields[2])
                    if count:
                        found.append(IdRange(inside, int(fields[1]), count))
                        inside += count
    except OSError:
        return []
    return found


def _enter_alone(uid: int, gid: int) -> None:
    _unshare_user()
    try:
        # Without this the kernel does not let us map groups: dropping one could lift a restriction.
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1\n")
        _write("/proc/self/gid_map", f"0 {gid} 1\n")
    except OSError as error:
        raise forbidden("its ids cannot be mapped") from error


def _enter_with_ranges(
    uid: int, gid: int, uids: list[IdRange], gids: list[IdRange], environ: Mapping[str, str]
) -> None:
    """newuidmap must run outside the namespace that it maps: in a child made before we enter."""
    target = os.getpid()
    go_read, go_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go_write)
        _map_from_outside(target, go_read, uid, gid, uids, gids, environ)
    os.close(go_read)
    try:
        _unshare_user()
        os.write(go_write, b"!")
    finally:
        # Closing without a word tells the child that there is nothing to map.
        os.close(go_write)
        _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise EnvironmentFault(
            f"newuidmap or newgidmap refused the ranges of /etc/subuid and /etc/subgid (exit code {code})",
            code="no-user-namespaces",
            hint="check that the ranges belong to this user and that both programs are setuid root "
            "(or have the capabilities cap_setuid, cap_setgid)",
        )


def _map_from_outside(
    target: int,
    go: int,
    uid: int,
    gid: int,
    uids: list[IdRange],
    gids: list[IdRange],
    environ: Mapping[str, str],
) -> None:
    """The child's whole life. Never returns."""
    code = 1
    try:
        if os.read(go, 1) == b"!":
            search = environ.get("PATH")
            code = _run_mapper(shutil.which("newuidmap", path=search), target, [IdRange(0, uid, 1), *uids])
            if code == 0:
                code = _run_mapper(
                    shutil.which("newgidmap", path=search), target, [IdRange(0, gid, 1), *gids]
                )
    finally:
        os._exit(code)


def _run_mapper(program: str | None, target: int, ranges: list[IdRange]) -> int:
    if program is None:
        return 1
    numbers = [str(n) for r in ranges for n in (r.inside, r.outside, r.count)]
    return os.spawnv(os.P_WAIT, program, [program, str(target), *numbers])


def _unshare_user() -> None:
    try:
        unshare(CLONE_NEWUSER)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise InternalError("a user namespace was asked for after threads had started") from error
        raise forbidden(f"the kernel refuses one: {error.strerror}") from error


def forbidden(what: str) -> EnvironmentFault:
    """The error for a machine where this user may not have a user namespace, with the setting that forbids it."""
    hint = _DEFAULT_ADVICE
    for path, (value, advice) in _ADVICE.items():
        try:
            with open(path, encoding="ascii") as file:
                if file.read().strip() == value:
                    hint = f"{advice}, or run as root"
                    break
        except OSError:
            continue
    return EnvironmentFault(
        f"building without root needs a user namespace, but {what}", code="no-user-namespaces", hint=hint
    )


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
