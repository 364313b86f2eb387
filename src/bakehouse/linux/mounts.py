"""Mounts of the calling thread's mount namespace: mount(2), umount2(2), the fsopen family, overlayfs.

Overlay lower directories are handed over one by one (`lowerdir+`, Linux 6.8) or, on older kernels, as
`/proc/self/fd/N` names, because the option string of mount(2) must fit into one page (4,095 bytes).
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from bakehouse.linux.files import is_whiteout, make_whiteout
from bakehouse.linux.libc import (
    AT_FDCWD,
    SYS_FSCONFIG,
    SYS_FSMOUNT,
    SYS_FSOPEN,
    SYS_MOVE_MOUNT,
    AnyPath,
    check,
    encoded,
    library,
)
from bakehouse.linux.namespaces import CLONE_NEWNS, unshare

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000
MNT_FORCE = 0x1
MNT_DETACH = 0x2
UMOUNT_NOFOLLOW = 0x8

_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_RDONLY = 1
_PAGE_OPTIONS = 4095

#: Features that would make an upper directory mean something else than its plain files say.
_PLAIN_OVERLAY = (("redirect_dir", "off"), ("metacopy", "off"), ("index", "off"), ("xino", "off"))


def mount(
    source: AnyPath | None,
    target: AnyPath,
    fstype: str | None = None,
    flags: int = 0,
    data: str | bytes | None = None,
) -> None:
    """mount(2). `data` is the option string of the file system."""
    check(
        library().mount(
            encoded(source),
            encoded(target),
            encoded(fstype),
            ctypes.c_ulong(flags),
            encoded(data),
        ),
        target,
    )


def umount(target: AnyPath, flags: int = 0) -> None:
    """umount2(2)."""
    check(library().umount2(encoded(target), flags), target)


def bind(source: AnyPath, target: AnyPath, *, readonly: bool = False, recursive: bool = False) -> None:
    """A bind mount. `readonly` needs a second call (the kernel ignores the flag on the first); on failure of that
    the mount is taken away again."""
    mount(source, target, None, MS_BIND | (MS_REC if recursive else 0))
    if readonly:
        try:
            mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
        except OSError:
            umount(target, MNT_DETACH)
            raise


def make_private(target: AnyPath = "/") -> None:
    """Stops mount events from travelling between `target`'s tree and its peers."""
    mount(None, target, None, MS_REC | MS_PRIVATE)


def overlay(
    target: AnyPath,
    lowers: Sequence[AnyPath],
    *,
    upper: AnyPath | None = None,
    work: AnyPath | None = None,
    userxattr: bool = False,
    volatile: bool = True,
) -> None:
    """Mounts an overlay of `lowers` (lowest first) at `target`.

    With `upper` and `work` (empty directories of one file system) the mount is writable, and with `volatile` it is
    never synced: the upper directory must be thrown away after a crash of the machine. Without, at least two lower
    directories are needed. `userxattr` makes overlayfs keep its marks in `user.overlay.*`, as unprivileged user
    namespaces must.
    """
    options: list[tuple[str, str | None]] = list(_PLAIN_OVERLAY)
    if userxattr:
        # userxattr forbids redirect_dir and metacopy by itself and refuses to hear about them.
        options = [("index", "off"), ("xino", "off"), ("userxattr", None)]
    if upper is not None and volatile:
        options.append(("volatile", None))
    try:
        _overlay_by_fsopen(target, lowers, upper, work, options)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL, errno.EPERM):
            raise
        _overlay_by_mount(target, lowers, upper, work, options)


def _fsconfig(fd: int, command: int, key: str | None, value: AnyPath | None) -> None:
    check(
        library().syscall(
            ctypes.c_long(SYS_FSCONFIG),
            ctypes.c_int(fd),
            ctypes.c_uint(command),
            encoded(key),
            encoded(value),
            ctypes.c_int(0),
        )
    )


def _overlay_by_fsopen(
    target: AnyPath,
    lowers: Sequence[AnyPath],
    upper: AnyPath | None,
    work: AnyPath | None,
    options: Sequence[tuple[str, str | None]],
) -> None:
    call = library().syscall
    context = check(call(ctypes.c_long(SYS_FSOPEN), b"overlay", ctypes.c_uint(_FSOPEN_CLOEXEC)), target)
    try:
        _fsconfig(context, _FSCONFIG_SET_STRING, "source", "overlay")
        for key, value in options:
            command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
            _fsconfig(context, command, key, value)
        for lower in reversed(lowers):
            _fsconfig(context, _FSCONFIG_SET_STRING, "lowerdir+", lower)
        if upper is not None:
            _fsconfig(context, _FSCONFIG_SET_STRING, "upperdir", upper)
            _fsconfig(context, _FSCONFIG_SET_STRING, "workdir", work)
        _fsconfig(context, _FSCONFIG_CMD_CREATE, None, None)
        flags = (
            ctypes.c_uint(_FSMOUNT_CLOEXEC),
            ctypes.c_uint(0 if upper is not None else _MOUNT_ATTR_RDONLY),
        )
        fd = check(call(ctypes.c_long(SYS_FSMOUNT), ctypes.c_int(context), *flags), target)
    finally:
        os.close(context)
    try:
        _move_mount(fd, target)
    finally:
        os.close(fd)


def _move_mount(fd: int, target: AnyPath) -> None:
    """move_mount(2): attaches the detached mount `fd`."""
    check(
        library().syscall(
            ctypes.c_long(SYS_MOVE_MOUNT),
            ctypes.c_int(fd),
            b"",
            ctypes.c_int(AT_FDCWD),
            encoded(target),
            ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
        ),
        target,
    )


def _overlay_by_mount(
    target: AnyPath,
    lowers: Sequence[AnyPath],
    upper: AnyPath | None,
    work: AnyPath | None,
    options: Sequence[tuple[str, str | None]],
) -> None:
    """The same through mount(2). Directories are named by descriptor: short, and free of `:` and `,`."""
    held: list[int] = []

    def name(path: AnyPath) -> str:
        held.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return f"/proc/self/fd/{held[-1]}"

    try:
        parts = [key if value is None else f"{key}={value}" for key, value in options]
        parts.append("lowerdir=" + ":".join(name(lower) for lower in reversed(lowers)))
        if upper is not None and work is not None:
            parts += [f"upperdir={name(upper)}", f"workdir={name(work)}"]
        text = ",".join(parts)
        if len(text) > _PAGE_OPTIONS:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG), os.fspath(target))
        mount("overlay", target, "overlay", MS_RDONLY if upper is None else 0, text)
    finally:
        for fd in held:
            os.close(fd)


def can_mount_overlay(directory: AnyPath, *, userxattr: bool = False) -> bool:
    """True when a writable overlay with its directories in `directory` can be mounted by this process.

    Tried in a thread with a mount namespace of its own that ends with the thread, so nothing remains of it and no
    other thread sees it. Some file systems (overlayfs itself, NFS) cannot hold an upper directory.
    """
    import tempfile

    outcome: list[bool] = []

    def attempt() -> None:
        try:
            unshare(CLONE_NEWNS)
            make_private()
            with tempfile.TemporaryDirectory(dir=os.fsdecode(directory), prefix="probe-") as name:
                outcome.append(_probe(Path(os.fsdecode(name)), userxattr))
        except OSError:
            outcome.append(False)

    thread = threading.Thread(target=attempt, name="overlay-probe")
    thread.start()
    thread.join()
    return bool(outcome) and outcome[0]


def _probe(base: Path, userxattr: bool) -> bool:
    """Mounts two directories of which the upper one hides what the lower one holds, deletes a file, and looks whether
    all three marks mean what they should."""
    for name in ("lower", "lower/hidden", "marks", "marks/hidden", "upper", "work", "merged"):
        (base / name).mkdir()
    for name in ("lower/gone", "lower/file", "lower/hidden/file"):
        (base / name).touch()
    make_whiteout(base / "marks" / "gone")
    opaque = "user.overlay.opaque" if userxattr else "trusted.overlay.opaque"
    os.setxattr(base / "marks" / "hidden", opaque, b"y")
    overlay(
        base / "merged",
        [base / "lower", base / "marks"],
        upper=base / "upper",
        work=base / "work",
        userxattr=userxattr,
    )
    try:
        hides = sorted(os.listdir(base / "merged")) == ["file", "hidden"]
        hides = hides and not os.listdir(base / "merged" / "hidden")
        (base / "merged" / "file").unlink()
    finally:
        umount(base / "merged", MNT_DETACH)
    return hides and is_whiteout(os.lstat(base / "upper" / "file"))
