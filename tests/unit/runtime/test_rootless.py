"""Steps of an unprivileged user, in a user namespace of his own. Needs root to make that user."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.needs import need, need_command

import bakehouse
from bakehouse.runtime import rootless
from bakehouse.runtime.rootless import IdRange, reexec_in_user_namespace, subordinate_ranges

pytestmark = pytest.mark.privileged

_SCRIPT = """
import os, sys
from pathlib import Path
from bakehouse.errors import BakehouseError
from bakehouse.linux.mounts import overlay
from bakehouse.runtime import OciRuntime, Step
from bakehouse.runtime.namespace import private_mounts
from bakehouse.runtime.rootless import is_rootless, reexec_in_user_namespace
from bakehouse.solver.model import Cancellation
base = Path(sys.argv[1])
try:
    entered = reexec_in_user_namespace({"PATH": sys.argv[2]})
    print(entered, reexec_in_user_namespace(), is_rootless(), os.getuid(), flush=True)
except BakehouseError as error:
    print(error.code, error.hint)
    raise SystemExit
private_mounts()
for name in ("upper", "work", "merged"):
    (base / name).mkdir()
overlay(base / "merged", [base / "rootfs"], upper=base / "upper", work=base / "work", userxattr=True)
runtime = OciRuntime.discover({**os.environ, "BAKEHOUSE_RUNTIME": sys.argv[3]}, base / "state")
script = "id -u; touch /new; rm /bin/cat; touch /owned; chown 12:34 /owned && echo chowned; mknod /d b 8 0"
step = Step(("/bin/sh", "-c", script), base / "merged", env=("PATH=/bin",), remove_mount_stubs_recursive=True)
print(runtime.run(step, lambda stream, data: os.write(stream, data), Cancellation()), flush=True)
runtime.close()
print(*sorted(os.listdir(base / "upper")))
"""


@pytest.fixture(scope="module")
def user() -> Iterator[str]:
    """A user with subordinate ids, removed afterwards."""
    need(os.geteuid() == 0, "root")
    need_command("useradd")
    name = f"bakeuser{os.getpid()}"
    subprocess.run(["useradd", "--create-home", name], check=True, capture_output=True)
    yield name
    subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


@pytest.fixture
def home(user: str, rootfs: Path) -> Iterator[Path]:
    """A directory of the user's own with a busybox root, reachable for him, and Bakehouse beside it."""
    base = Path("/tmp") / f"{user}-steps"
    base.mkdir()
    shutil.copytree(rootfs, base / "rootfs", symlinks=True)
    for name in ("chown", "rm"):
        if not (base / "rootfs/bin" / name).is_symlink():
            os.symlink("busybox", base / "rootfs/bin" / name)
    shutil.copytree(Path(bakehouse.__file__).parent, base / "lib/bakehouse")
    subprocess.run(["chown", "-R", f"{user}:{user}", str(base)], check=True)
    yield base
    subprocess.run(["rm", "-rf", str(base)], check=True)


def _python() -> str:
    """An interpreter that another user may run (a private home hides this one's)."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        path = Path(os.path.realpath(candidate))
        if path.exists() and all(os.stat(p).st_mode & stat.S_IXOTH for p in (path, *path.parents)):
            return candidate
    need(False, "a Python that another user may run")
    raise AssertionError


def run_as(user: str, home: Path, search: str, runtime: str) -> list[str]:
    command = [_python(), "-B", "-c", _SCRIPT, str(home), search, runtime]
    result = subprocess.run(
        command,
        user=user,
        group=user,
        extra_groups=[],
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(home / "lib"), "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stderr.count("Traceback") == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_with_ranges_a_step_has_many_ids_and_leaves_layers(user: str, home: Path, runtime: str) -> None:
    lines = run_as(user, home, os.environ["PATH"], runtime)
    assert lines[:4] == ["True False True 0", "0", "chowned", "1"]
    assert {"bin", "new", "owned"} <= set(lines[4].split())
    assert "d" not in lines[4].split()


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_without_ranges_a_step_has_one_id(user: str, home: Path, runtime: str) -> None:
    lines = run_as(user, home, "/nowhere", runtime)
    assert lines[:3] == ["True False True 0", "0", "1"]
    assert "new" in lines[3].split()


def test_ranges_follow_each_other_in_the_namespace(tmp_path: Path) -> None:
    path = tmp_path / "subuid"
    path.write_text("me:100000:65536\nother:1:2\nbroken\nme:x:y\n1000:300000:10\n")
    assert rootless._ranges(str(path), {"me", "1000"}) == [
        IdRange(1, 100000, 65536),
        IdRange(65537, 300000, 10),
    ]


def test_without_the_tools_there_are_no_ranges(tmp_path: Path) -> None:
    assert subordinate_ranges(0, 0, {"PATH": str(tmp_path)}) == ([], [])


def test_root_stays_as_it_is() -> None:
    need(os.geteuid() == 0, "root")
    assert reexec_in_user_namespace() is False


def test_the_setting_that_forbids_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = tmp_path / "max_user_namespaces"
    setting.write_text("0\n")
    monkeypatch.setattr(rootless, "_ADVICE", {str(setting): ("0", "raise it")})
    error = rootless.forbidden("the kernel refuses one")
    assert (error.code, error.hint) == ("no-user-namespaces", "raise it, or run as root")
