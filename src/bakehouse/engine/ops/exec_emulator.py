"""Steps for other processors: whether the kernel runs them, and the emulator to start them with if not.

Normally binfmt_misc knows an emulator and nothing is to be done. Else BuildKit's own emulators, `buildkit-qemu-ARCH` on
PATH, are mounted into the step and put before its arguments; they also start what the step starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bakehouse.llb.ops import LlbPlatform
from bakehouse.oci.platform import Platform

#: Where the emulator appears inside the step.
EMULATOR_DEST = "/dev/.buildkit_qemu_emulator"
_BINFMT = Path("/proc/sys/fs/binfmt_misc")

_QEMU_NAMES = {
    "arm64": "aarch64",
    "amd64": "x86_64",
    "riscv64": "riscv64",
    "arm": "arm",
    "s390x": "s390x",
    "ppc64le": "ppc64le",
    "386": "i386",
}
#: Architectures whose programs a processor runs besides its own.
_SIBLINGS = {"amd64": ("386",), "arm64": ("arm",)}


def runs_natively(platform: LlbPlatform | None) -> bool:
    """True when this machine's kernel starts programs of `platform` without our help, as far as can be told."""
    if platform is None or not platform.architecture:
        return True
    local = Platform.local().architecture
    if platform.architecture == local or platform.architecture in _SIBLINGS.get(local, ()):
        return True
    qemu = _QEMU_NAMES.get(platform.architecture, platform.architecture)
    return any(_enabled(_BINFMT / f"{prefix}{qemu}") for prefix in ("qemu-", "buildkit-qemu-"))


def _enabled(entry: Path) -> bool:
    try:
        return entry.read_bytes().startswith(b"enabled")
    except OSError:
        return False


def find_emulator(platform: LlbPlatform, environ: Mapping[str, str]) -> Path | None:
    """The emulator for `platform` on PATH, its symlinks resolved; None when there is none."""
    import shutil

    qemu = _QEMU_NAMES.get(platform.architecture, platform.architecture)
    found = shutil.which(f"buildkit-qemu-{qemu}", path=environ.get("PATH", os.defpath))
    return Path(found).resolve() if found else None
