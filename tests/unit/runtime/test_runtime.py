"""Real steps in real containers: what they see, what they may do, what they leave."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.unit.runtime.conftest import processes_with, run_step

from bakehouse.errors import CancelledError, ExecutionError
from bakehouse.runtime import OciRuntime, StepMount
from bakehouse.solver.model import Cancellation

pytestmark = pytest.mark.privileged


def test_output_exit_code_and_streams(runtime: OciRuntime, rootfs: Path) -> None:
    result = run_step(runtime, rootfs, "/bin/sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.code, result.stdout, result.stderr) == (7, "out\n", "err\n")


def test_a_step_sees_the_sandbox_that_buildkit_gives(runtime: OciRuntime, rootfs: Path) -> None:
    script = (
        "cat /etc/hosts; cat /proc/sys/kernel/hostname; umask; pwd; cat /proc/self/status; "
        "stat -c '%a %n' /dev/shm; ls -d /run 2>&1; cat /proc/self/limits"
    )
    result = run_step(
        runtime,
        rootfs,
        "/bin/sh",
        "-c",
        script,
        cwd="/work/dir",
        ulimits=(("nofile", 100, 200),),
        network="none",
    )
    assert result.code == 0, result.stderr
    assert result.stdout.startswith(
        "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        "buildkitsandbox\n0022\n/work/dir\n"
    )
    # The container default set as a mask: the 14 capabilities of containerd.
    assert "CapEff:\t00000000a80425fb" in result.stdout
    assert "CapBnd:\t00000000a80425fb" in result.stdout
    assert "CapInh:\t0000000000000000" in result.stdout
    assert "NoNewPrivs:\t0" in result.stdout
    assert "Seccomp:\t2" in result.stdout
    assert "1777 /dev/shm" in result.stdout
    assert "Max open files            100                  200" in result.stdout


def test_dangerous_calls_are_refused(runtime: OciRuntime, rootfs: Path) -> None:
    script = "mount -t tmpfs x /bin; mknod /disk b 8 0; head -c1 /disk; echo x > /proc/sys/kernel/hostname"
    result = run_step(runtime, rootfs, "/bin/sh", "-c", script, network="none")
    assert result.code != 0
    assert "permission denied" in result.stderr.lower()
    assert "head: /disk: Operation not permitted" in result.stderr
    assert "Read-only file system" in result.stderr


def test_a_missing_executable_is_told_as_buildkit_tells_it(runtime: OciRuntime, rootfs: Path) -> None:
    absolute = run_step(runtime, rootfs, "/nope", network="none")
    assert (absolute.code, absolute.stdout) == (1, "")
    assert absolute.stderr == (
        'runc run failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory\n'
    )
    searched = run_step(runtime, rootfs, "nope", network="none")
    assert (searched.code, searched.stderr) == (
        1,
        'runc run failed: unable to start container process: exec: "nope": executable file not found in $PATH\n',
    )


def test_output_that_looks_like_an_error_of_crun_is_passed_on(runtime: OciRuntime, rootfs: Path) -> None:
    script = "echo 'executable file `x` not found' >&2; echo more >&2; exit 3"
    result = run_step(runtime, rootfs, "/bin/sh", "-c", script, network="none")
    assert (result.code, result.stderr) == (3, "executable file `x` not found\nmore\n")


def test_user_home_and_working_directory(runtime: OciRuntime, rootfs: Path) -> None:
    (rootfs / "etc").mkdir()
    (rootfs / "etc/passwd").write_text("app:x:1000:1001::/home/app:/bin/sh\n")
    (rootfs / "etc/group").write_text("app:x:1001:\nextra:x:1002:app\n")
    result = run_step(
        runtime,
        rootfs,
        "/bin/sh",
        "-c",
        "id -u; id -g; id -G; echo $HOME",
        user="app",
        cwd="/a/b",
        network="none",
    )
    assert result.stdout.split() == ["1000", "1001", "1001", "1002", "/home/app"]
    status = os.stat(rootfs / "a/b")
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1000, 1001, 0o755)


def test_an_unknown_user_fails(runtime: OciRuntime, rootfs: Path) -> None:
    with pytest.raises(
        ExecutionError, match="unable to find user nosuch: no matching entries in passwd file"
    ):
        run_step(runtime, rootfs, "/bin/true", user="nosuch", network="none")


def test_a_file_in_the_way_of_the_working_directory_fails(runtime: OciRuntime, rootfs: Path) -> None:
    (rootfs / "f").write_text("")
    with pytest.raises(ExecutionError) as caught:
        run_step(runtime, rootfs, "/bin/true", cwd="/f/g", network="none")
    assert caught.value.code == "working-directory"


def test_mounts_work_and_leave_no_stubs(runtime: OciRuntime, rootfs: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").write_text("content")
    (tmp_path / "single").write_text("one")
    mounts = (
        StepMount("bind", tmp_path / "data", "/m/data", ("bind", "ro")),
        StepMount("bind", tmp_path / "single", "/m/file", ("bind", "rw")),
        StepMount("tmpfs", None, "/t/mp", ("nosuid", "size=65536")),
    )
    script = (
        "cat /m/data/file /m/file; touch /m/data/x; echo new > /m/file; echo x > /t/mp/x; echo mine > /m/own"
    )
    result = run_step(
        runtime,
        rootfs,
        "/bin/sh",
        "-c",
        script,
        mounts=mounts,
        network="none",
        remove_mount_stubs_recursive=True,
    )
    assert result.stdout == "contentone"
    assert "Read-only file system" in result.stderr
    assert (tmp_path / "single").read_text() == "new\n"
    names = sorted(p.name for p in rootfs.iterdir())
    assert names == ["bin", "dev", "m", "proc", "sys"]
    assert [p.name for p in (rootfs / "m").iterdir()] == ["own"]


def test_a_readonly_root(runtime: OciRuntime, rootfs: Path) -> None:
    result = run_step(runtime, rootfs, "/bin/touch", "/x", readonly_rootfs=True, network="none")
    assert "Read-only file system" in result.stderr
    assert not (rootfs / "x").exists()


def test_an_insecure_step_may_mount(runtime: OciRuntime, rootfs: Path) -> None:
    script = "mkdir /t && mount -t tmpfs x /t && ls /dev/kmsg && cat /proc/self/status"
    result = run_step(runtime, rootfs, "/bin/sh", "-c", script, security="insecure")
    assert result.code == 0, result.stderr
    assert "Seccomp:\t0" in result.stdout


@pytest.mark.parametrize("delay_s", [0.0, 0.005, 0.02, 0.3])
def test_cancelling_kills_everything_at_once(runtime: OciRuntime, rootfs: Path, delay_s: float) -> None:
    """Whatever state the container is in when the word comes."""
    marker = f"{4000 + os.getpid() % 1000}.{int(delay_s * 1000)}7"
    cancel = Cancellation()
    timer = threading.Timer(delay_s, cancel.cancel)
    timer.start()
    started = time.monotonic()
    with pytest.raises(CancelledError):
        run_step(
            runtime,
            rootfs,
            "/bin/sh",
            "-c",
            f"(sleep {marker} &) ; sleep {marker}",
            cancel=cancel,
            network="none",
        )
    timer.join()
    assert time.monotonic() - started < delay_s + 3
    assert processes_with(marker) == []
    assert groups_of(runtime) == []


def test_an_error_of_the_output_callback_ends_the_step(runtime: OciRuntime, rootfs: Path) -> None:
    from tests.support.engine_thread import in_engine_thread

    from bakehouse.runtime import Step

    marker = f"{5000 + os.getpid() % 1000}.5"

    def broken(stream: int, data: bytes) -> None:
        raise ZeroDivisionError

    step = Step(args=("/bin/sh", "-c", f"echo x; sleep {marker}"), rootfs=rootfs, network="none")
    with pytest.raises(ZeroDivisionError):
        in_engine_thread(lambda: runtime.run(step, broken, Cancellation()))
    assert processes_with(marker) == []


def groups_of(runtime: OciRuntime) -> list[str]:
    """Control groups that containers of `runtime` still have."""
    found = []
    for hierarchy in runtime._machine.cgroups.hierarchies:
        base = Path(hierarchy) / "bakehouse"
        if base.is_dir():
            found += [p.name for p in base.iterdir() if p.name.startswith(runtime._token)]
    return found


_ENGINE = """
import os, sys
from pathlib import Path
from bakehouse.runtime import OciRuntime, Step
from bakehouse.runtime.namespace import private_mounts
from bakehouse.solver.model import Cancellation
private_mounts()
runtime = OciRuntime.discover(os.environ, Path(sys.argv[1]))
step = Step(args=("/bin/sh", "-c", f"echo started; sleep {sys.argv[3]}"), rootfs=Path(sys.argv[2]))
runtime.run(step, lambda stream, data: os.write(1, data), Cancellation())
"""


def test_a_killed_engine_leaves_nothing(runtime: OciRuntime, rootfs: Path, tmp_path: Path) -> None:
    """kill -9 of the engine: step, network and control groups are gone soon after."""
    import signal
    import subprocess

    marker = f"{6000 + os.getpid() % 1000}.25"
    state = tmp_path / "killed"
    environ = {**os.environ, "BAKEHOUSE_RUNTIME": runtime.binary.path}
    with subprocess.Popen(
        [sys.executable, "-c", _ENGINE, str(state), str(rootfs), marker], stdout=subprocess.PIPE, env=environ
    ) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == b"started\n"
        token = next((state / "engines").iterdir()).name
        assert processes_with(marker)
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (
        processes_with(marker) or _groups(runtime, token) or processes_with(token)
    ):
        time.sleep(0.02)
    assert processes_with(marker) == []
    assert _groups(runtime, token) == []
    assert processes_with(token) == []
    assert processes_with(f"{token}-1") == []


def _groups(runtime: OciRuntime, token: str) -> list[Path]:
    return [
        path
        for hierarchy in runtime._machine.cgroups.hierarchies
        for path in (Path(hierarchy) / "bakehouse").glob(f"{token}*")
    ]


def test_closing_leaves_an_empty_state_directory(runtime: OciRuntime, rootfs: Path, tmp_path: Path) -> None:
    run_step(runtime, rootfs, "/bin/true")
    runtime.close()
    state = tmp_path / "state"
    assert sorted(p.name for p in state.iterdir() if p.suffix != ".bpf") == [
        "engines",
        "runtimes.json",
        "scratch",
    ]
    assert list((state / "engines").iterdir()) == []
    assert list((state / "scratch").iterdir()) == []
    assert groups_of(runtime) == []


def test_many_steps_at_the_same_time(runtime: OciRuntime, rootfs: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(number: int) -> tuple[int, str]:
        own = shutil.copytree(rootfs, rootfs.with_name(f"root{number}"), symlinks=True)
        result = run_step(runtime, own, "/bin/sh", "-c", f"echo {number}")
        return result.code, result.stdout + result.stderr

    run_step(runtime, rootfs, "/bin/true")
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(12))) == [(0, f"{n}\n") for n in range(12)]
