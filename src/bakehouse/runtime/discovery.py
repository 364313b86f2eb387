"""Which OCI runtime on this machine really works.

A candidate is tried once with an empty root directory and a program that is not there: it must build the whole sandbox
and then complain about the program. The verdict is remembered for as long as the machine runs and the binary stays
the same.

    STATE_DIR/runtimes.json     {"boot": ID, "seen": {"PATH:MTIME_NS:UID": {"kind": "crun", "fault": ""}}}
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from bakehouse.errors import EnvironmentFault
from bakehouse.runtime.logs import names_missing_permission
from bakehouse.runtime.namespace import no_namespaces
from bakehouse.runtime.spawn import reap, spawn
from bakehouse.values import dataclass

VARIABLE = "BAKEHOUSE_RUNTIME"
CANDIDATES = ("crun", "runc", "buildkit-runc")
#: Directories where distributions keep runtimes and which a user's PATH often lacks.
_MORE_PATH = ("/usr/sbin", "/usr/local/sbin", "/sbin")
_ADVICE = "install one of them (Debian and Ubuntu: apt-get install crun; Fedora: dnf install crun)"


@dataclass(frozen=True, slots=True)
class RuntimeBinary:
    """A runtime that works here. `kind` is `crun` or `runc`, which also stands for what behaves like runc."""

    path: str
    kind: str


#: Tries a runtime. Returns what is wrong with it; empty when it works.
Probe = Callable[[RuntimeBinary], str]


def find_runtime(environ: Mapping[str, str], state_dir: Path, probe: Probe) -> RuntimeBinary:
    """The first candidate that works: `$BAKEHOUSE_RUNTIME` alone when it is set, else crun, runc, buildkit-runc.

    Raises `EnvironmentFault`: `no-oci-runtime` when none is installed or works, `no-namespaces` when the machine
    forbids sandboxes.
    """
    paths = _installed(environ)
    memory = _Memory(state_dir / "runtimes.json")
    faults: list[tuple[str, str]] = []
    for path in paths:
        binary, fault = memory.get(path)
        if binary is None:
            binary = RuntimeBinary(path, _kind(path, environ))
            fault = probe(binary)
            memory.put(binary, fault)
        if not fault:
            return binary
        faults.append((path, fault))
    if any(names_missing_permission(fault) for _, fault in faults):
        raise no_namespaces(f"{os.path.basename(faults[0][0])} may not make them: {faults[0][1]}")
    raise EnvironmentFault(
        "no OCI runtime works on this machine: " + "; ".join(f"{path}: {fault}" for path, fault in faults),
        code="no-oci-runtime",
        hint=f"RUN needs crun or runc; {_ADVICE}",
    )


def _installed(environ: Mapping[str, str]) -> list[str]:
    search = os.pathsep.join([*environ.get("PATH", os.defpath).split(os.pathsep), *_MORE_PATH])
    wanted = environ.get(VARIABLE)
    if wanted:
        found = shutil.which(wanted, path=search)
        if found is None:
            raise EnvironmentFault(
                f"{VARIABLE} names {wanted}, which is not an executable file",
                code="no-oci-runtime",
                hint=f"set {VARIABLE} to the path of crun or runc, or unset it",
            )
        return [os.path.abspath(found)]
    paths = [os.path.abspath(path) for name in CANDIDATES if (path := shutil.which(name, path=search))]
    if not paths:
        raise EnvironmentFault(
            "RUN needs an OCI runtime, and none of " + ", ".join(CANDIDATES) + " is on PATH",
            code="no-oci-runtime",
            hint=_ADVICE,
        )
    return paths


def _kind(path: str, environ: Mapping[str, str]) -> str:
    """`crun` when the binary says so of itself: only it has the options that differ."""
    read_end, write_end = os.pipe()
    try:
        pid = spawn([path, "--version"], {1: write_end}, environ)
    except OSError:
        os.close(read_end)
        return "runc"
    finally:
        os.close(write_end)
    with os.fdopen(read_end, "rb") as file:
        first = file.read(4096)
    reap(pid)
    return "crun" if first.startswith(b"crun") else "runc"


class _Memory:
    """Verdicts of this boot. A file that cannot be read or written is no reason to fail."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._boot = _boot_id()
        self._seen: dict[str, dict[str, str]] = {}
        try:
            stored = json.loads(path.read_bytes())
            if stored["boot"] == self._boot:
                self._seen = {str(key): dict(value) for key, value in stored["seen"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass

    def get(self, path: str) -> tuple[RuntimeBinary | None, str]:
        """Only good news is believed: what failed may have been repaired."""
        entry = self._seen.get(_identity(path))
        if entry is None or entry.get("fault") or entry.get("kind") not in ("crun", "runc"):
            return None, ""
        return RuntimeBinary(path, entry["kind"]), ""

    def put(self, binary: RuntimeBinary, fault: str) -> None:
        self._seen[_identity(binary.path)] = {"kind": binary.kind, "fault": fault}
        text = json.dumps({"boot": self._boot, "seen": self._seen})
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self._path)
        except OSError:
            temporary.unlink(missing_ok=True)


def _identity(path: str) -> str:
    status = os.stat(path)
    return f"{path}:{status.st_mtime_ns}:{os.geteuid()}"


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
