"""Which ids a step runs with: Docker's user strings resolved against the root's own passwd and group files.

The rules are BuildKit's (dockerfile.md §8.1). The files belong to strangers: they are read beneath the root, must be
regular and at most 10 MiB long.
"""

from __future__ import annotations

import os
import stat

from bakehouse.errors import ExecutionError
from bakehouse.lazy import regex
from bakehouse.runtime.rootpath import resolve_in_root
from bakehouse.values import dataclass

MAX_USER_FILE_BYTES = 10 << 20
_MAX_ID = (1 << 31) - 1
_GO_INT = regex(rb"[+-]?[0-9]+\Z")
_INT64_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class StepUser:
    """`groups` always starts with, or contains, `gid`. `home` is None when the ids have no passwd entry."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str | None = None


@dataclass(frozen=True, slots=True)
class _Passwd:
    name: bytes
    uid: int
    gid: int
    home: bytes


@dataclass(frozen=True, slots=True)
class _Group:
    name: bytes
    gid: int
    members: tuple[bytes, ...]


def resolve_user(rootfs: str, user: str) -> StepUser:
    """The ids that `user` means in `rootfs`; empty is root.

    Raises `ExecutionError` (code `unknown-user`) with BuildKit's text when a name is not in passwd or group.
    """
    passwd = _read_user_file(rootfs, "/etc/passwd")
    fast = _both_numeric(user)
    if fast is not None:
        uid, gid = fast
        return StepUser(uid, gid, (gid,), _home_of(passwd, uid))
    group = _read_user_file(rootfs, "/etc/group")
    try:
        uid, gid, extra = _lookup(os.fsencode(user or "0"), passwd or b"", group or b"")
    except LookupError as error:
        if not user:
            return StepUser(0, 0, (0,), _home_of(passwd, 0))
        raise ExecutionError(
            str(error.args[0]),
            exit_code_of_step=1,
            code="unknown-user",
            hint="create the user in an earlier step, or give numeric ids",
        ) from error
    groups = extra if gid in extra else (gid, *extra)
    return StepUser(uid, gid, groups, _home_of(passwd, uid))


def _both_numeric(user: str) -> tuple[int, int] | None:
    """`uid:gid` when both are given as numbers (`root` counts as 0)."""
    first, colon, second = user.partition(":")
    if not colon:
        return None
    ids = [_plain_id(first), _plain_id(second)]
    if ids[0] is None or ids[1] is None:
        return None
    return ids[0], ids[1]


def _plain_id(text: str) -> int | None:
    if text == "root":
        return 0
    if text.isascii() and text.isdigit() and int(text) < 1 << 32:
        return int(text)
    return None


def _lookup(spec: bytes, passwd: bytes, group: bytes) -> tuple[int, int, tuple[int, ...]]:
    """(uid, gid, supplementary groups). Supplementary groups are only looked up when no group was asked for.
    Raises `LookupError` with the message."""
    parts = spec.split(b":")
    wanted, wanted_group = parts[0], parts[1] if len(parts) > 1 else b""
    wanted_uid, wanted_gid = _numeric(wanted), _numeric(wanted_group)
    entry = next((e for e in _passwd_entries(passwd) if _names_user(e, wanted, wanted_uid)), None)
    if entry is None and wanted and wanted_uid is None:
        raise LookupError(f"unable to find user {os.fsdecode(wanted)}: no matching entries in passwd file")
    uid = entry.uid if entry else (wanted_uid or 0)
    gid = entry.gid if entry else 0
    if wanted_group:
        found = next((g for g in _group_entries(group) if _names_group(g, wanted_group, wanted_gid)), None)
        if found is None and wanted_gid is None:
            raise LookupError(
                f"unable to find group {os.fsdecode(wanted_group)}: no matching entries in group file"
            )
        return uid, found.gid if found else (wanted_gid or 0), ()
    if entry is None or not entry.name:
        return uid, gid, ()
    return uid, gid, tuple(g.gid for g in _group_entries(group) if entry.name in g.members)


def _names_user(entry: _Passwd, wanted: bytes, wanted_uid: int | None) -> bool:
    if not wanted:
        return entry.uid == 0
    return entry.uid == wanted_uid if wanted_uid is not None else entry.name == wanted


def _names_group(entry: _Group, wanted: bytes, wanted_gid: int | None) -> bool:
    return entry.gid == wanted_gid if wanted_gid is not None else entry.name == wanted


def _numeric(text: bytes) -> int | None:
    """A user or group given by number. Raises `LookupError` outside 0..2^31-1."""
    if not _GO_INT.match(text) or abs(int(text)) > _INT64_MAX:
        return None
    number = int(text)
    if not 0 <= number <= _MAX_ID:
        raise LookupError("uids and gids must be in range 0-2147483647")
    return number


def _field_number(text: bytes) -> int:
    """A number in a user file: 0 when it is none, as Go's ignored conversion error leaves it."""
    return int(text) if _GO_INT.match(text) and abs(int(text)) <= _INT64_MAX else 0


def _passwd_entries(data: bytes) -> list[_Passwd]:
    """name:password:uid:gid:gecos:home:shell; short lines are completed with empty fields."""
    entries = []
    for line in data.split(b"\n"):
        line = line.strip()
        if line:
            fields = line.split(b":") + [b""] * 6
            entries.append(_Passwd(fields[0], _field_number(fields[2]), _field_number(fields[3]), fields[5]))
    return entries


def _group_entries(data: bytes) -> list[_Group]:
    """name:password:gid:member,member; lines that start with `#` are comments here, but not in passwd."""
    entries = []
    for line in data.split(b"\n"):
        line = line.strip()
        if line and not line.startswith(b"#"):
            fields = line.split(b":") + [b""] * 3
            members = tuple(fields[3].split(b",")) if fields[3] else ()
            entries.append(_Group(fields[0], _field_number(fields[2]), members))
    return entries


def _home_of(passwd: bytes | None, uid: int) -> str | None:
    if passwd is None:
        return None
    return next((os.fsdecode(e.home) for e in _passwd_entries(passwd) if e.uid == uid), None)


def _read_user_file(rootfs: str, name: str) -> bytes | None:
    """The file's bytes; None when it is missing or no regular file. Raises `ExecutionError` above 10 MiB."""
    try:
        # O_NONBLOCK: opening a FIFO that an image put there must not hang the build.
        fd = os.open(
            resolve_in_root(rootfs, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with os.fdopen(os.dup(fd), "rb") as file:
            data = file.read(MAX_USER_FILE_BYTES + 1)
    finally:
        os.close(fd)
    if len(data) > MAX_USER_FILE_BYTES:
        raise ExecutionError(
            f'"{name}" exceeds {MAX_USER_FILE_BYTES} bytes', exit_code_of_step=1, code="user-file-too-large"
        )
    return data
