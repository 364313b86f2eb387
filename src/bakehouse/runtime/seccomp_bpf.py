"""A seccomp profile compiled to the kernel's own form, so that crun need not compile it for every step.

Compiling the default profile takes 10 ms of a step's 16. crun takes a ready filter in an annotation; it is made by
the same libseccomp that crun would use, once, and kept in the state directory. The profile itself stays in the spec:
a crun that does not know the annotation compiles that, so a step never runs without a filter.
"""

from __future__ import annotations

import base64
import ctypes
import errno
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

#: crun(1), "annotations": base64 of the array of struct sock_filter.
ANNOTATION = "run.oci.seccomp_bpf_data"

_ACT_ALLOW = 0x7FFF0000
_ACT_ERRNO = 0x00050000
_NR_ERROR = -1
_CTL_OPTIMIZE = 8
_BINARY_TREE = 2
_COMPARE = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
#: sizeof(struct sock_filter)
_INSTRUCTION_BYTES = 8


class _ArgCmp(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


class _Version(ctypes.Structure):
    _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))


def compiled_filter(profile: Mapping[str, object], directory: Path) -> str | None:
    """The annotation's value for an OCI `linux.seccomp` object; None where libseccomp is missing or refuses it.

    Remembered in `directory` under the digest of the profile, the library's version and the architecture.
    """
    library = _library()
    if library is None:
        return None
    identity = json.dumps([profile, _library_version(library), os.uname().machine], sort_keys=True)
    path = directory / f"seccomp-{hashlib.sha256(identity.encode()).hexdigest()[:32]}.bpf"
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        pass
    try:
        program = compile_profile(profile, library)
    except OSError:
        return None
    text = base64.b64encode(program).decode("ascii")
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="ascii")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
    return text


def compile_profile(profile: Mapping[str, object], library: ctypes.CDLL) -> bytes:
    """The filter program as the runtimes would load it. Raises `OSError` when libseccomp refuses a part."""
    context = library.seccomp_init(_ACT_ERRNO | cast(int, profile["defaultErrnoRet"]))
    if not context:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    handle = ctypes.c_void_p(context)
    try:
        # A tree instead of a list makes every system call of the step cheaper. Older libraries have lists only.
        library.seccomp_attr_set(handle, _CTL_OPTIMIZE, _BINARY_TREE)
        for name in cast(Sequence[str], profile.get("architectures", ())):
            token = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
            code = library.seccomp_arch_add(handle, token)
            if code not in (0, -errno.EEXIST):
                raise OSError(-code, os.strerror(-code))
        for rule in cast(Sequence[Mapping[str, object]], profile["syscalls"]):
            _add_rule(library, handle, rule)
        return _exported(library, handle)
    finally:
        library.seccomp_release(handle)


def _add_rule(library: ctypes.CDLL, handle: ctypes.c_void_p, rule: Mapping[str, object]) -> None:
    if rule["action"] == "SCMP_ACT_ALLOW":
        action = _ACT_ALLOW
    else:
        action = _ACT_ERRNO | cast(int, rule["errnoRet"])
    arguments = cast(Sequence[Mapping[str, object]], rule.get("args", ()))
    compares = (_ArgCmp * len(arguments))(*(_compare(argument) for argument in arguments))
    for name in cast(Sequence[str], rule["names"]):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == _NR_ERROR:
            # A call that this library has not heard of; the runtimes skip it too.
            continue
        code = library.seccomp_rule_add_array(handle, action, number, len(arguments), compares)
        # EDOM: the call exists on none of the architectures.
        if code not in (0, -errno.EDOM):
            raise OSError(-code, f"{name}: {os.strerror(-code)}")


def _compare(argument: Mapping[str, object]) -> _ArgCmp:
    op = cast(str, argument["op"])
    value = cast(int, argument["value"])
    if op == "SCMP_CMP_MASKED_EQ":
        # The OCI form keeps the mask in `value` and what must remain in `valueTwo` (0 when absent).
        return _ArgCmp(
            cast(int, argument["index"]), _COMPARE[op], value, cast(int, argument.get("valueTwo", 0))
        )
    return _ArgCmp(cast(int, argument["index"]), _COMPARE[op], value, 0)


def _exported(library: ctypes.CDLL, handle: ctypes.c_void_p) -> bytes:
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    try:
        code = library.seccomp_export_bpf(handle, fd)
        size = os.fstat(fd).st_size
        if code != 0 or size == 0 or size % _INSTRUCTION_BYTES:
            raise OSError(errno.EINVAL, "seccomp_export_bpf failed")
        return os.pread(fd, size, 0)
    finally:
        os.close(fd)


def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
        library.seccomp_init.restype = ctypes.c_void_p
        library.seccomp_init.argtypes = [ctypes.c_uint32]
        library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
        library.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        library.seccomp_rule_add_array.argtypes = [
            ctypes.c_void_p,
            ctypes.c_uint32,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_void_p,
        ]
        library.seccomp_version.restype = ctypes.POINTER(_Version)
    except (OSError, AttributeError):
        return None
    return library


def _library_version(library: ctypes.CDLL) -> list[int]:
    version = library.seccomp_version().contents
    return [version.major, version.minor, version.micro]
