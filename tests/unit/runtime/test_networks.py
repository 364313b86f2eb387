"""Networks of steps: separate, working, and gone afterwards."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from tests.support.engine_thread import in_engine_thread
from tests.support.needs import need, need_command
from tests.unit.runtime.conftest import run_step

from bakehouse.runtime import OciRuntime
from bakehouse.runtime.network import NetworkPool

pytestmark = pytest.mark.privileged


def interfaces(result: str) -> list[str]:
    return [line.split(": ")[1] for line in result.splitlines() if line[:1].isdigit()]


def test_none_has_only_loopback(runtime: OciRuntime, rootfs: Path) -> None:
    result = run_step(runtime, rootfs, "/bin/ip", "addr", network="none")
    assert interfaces(result.stdout) == ["lo"]
    assert "127.0.0.1/8" in result.stdout


def test_host_is_the_machines(runtime: OciRuntime, rootfs: Path) -> None:
    result = run_step(runtime, rootfs, "/bin/ip", "addr", network="host")
    assert set(interfaces(result.stdout)) >= {name for _, name in socket.if_nameindex()}


def test_sandbox_is_apart(runtime: OciRuntime, rootfs: Path) -> None:
    """A server on this machine's loopback cannot be reached. That the outside can be is shown by the builds that
    install packages (tests/integration)."""
    need_command("slirp4netns")
    with _Greeter("127.0.0.1") as inner:
        script = (
            f"nc -w 1 10.0.2.2 {inner.port} </dev/null; nc -w 1 127.0.0.1 {inner.port} </dev/null; ip addr"
        )
        result = run_step(runtime, rootfs, "/bin/sh", "-c", script)
    assert result.warnings == []
    assert "hello" not in result.stdout
    assert inner.served == 0
    assert interfaces(result.stdout) == ["lo", "tap0"]


def test_without_slirp4netns_the_machines_network_is_used_and_said_once(
    rootfs: Path, tmp_path: Path, runtime: OciRuntime
) -> None:
    environ = {"PATH": str(tmp_path / "empty"), "BAKEHOUSE_RUNTIME": runtime.binary.path}
    other = in_engine_thread(lambda: OciRuntime.discover(environ, tmp_path / "other"))
    try:
        first = run_step(other, rootfs, "/bin/ip", "addr")
        second = run_step(other, rootfs, "/bin/true")
    finally:
        other.close()
    assert set(interfaces(first.stdout)) >= {name for _, name in socket.if_nameindex()}
    assert len(first.warnings) == 1 and "slirp4netns is not installed" in first.warnings[0]
    assert second.warnings == []


def test_the_pool_lends_a_network_to_one_step_at_a_time() -> None:
    need(os.geteuid() == 0, "root")
    need_command("slirp4netns")
    pool = NetworkPool(os.environ)
    first, second = pool.acquire(), pool.acquire()
    assert first is not None and second is not None and first is not second
    pool.release(first, reusable=True)
    pool.release(second, reusable=False)
    assert pool.acquire() is first
    third = pool.acquire()
    assert third is not None and third is not second
    pids = [first.pid, third.pid]
    pool.release(first, reusable=True)
    pool.release(third, reusable=True)
    pool.close()
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_a_dead_slirp4netns_is_replaced(runtime: OciRuntime, rootfs: Path) -> None:
    import signal

    need_command("slirp4netns")
    run_step(runtime, rootfs, "/bin/true")
    network = runtime._network._idle[0]
    os.kill(network.pid, signal.SIGKILL)
    os.waitid(os.P_PID, network.pid, os.WEXITED | os.WNOWAIT)
    result = run_step(runtime, rootfs, "/bin/ip", "addr")
    assert interfaces(result.stdout) == ["lo", "tap0"]
    assert runtime._network._idle[0] is not network


def _outer_address() -> str | None:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


class _Greeter:
    """Says hello to whoever connects to `address`."""

    def __init__(self, address: str) -> None:
        self._listener = socket.create_server((address, 0))
        self.port: int = self._listener.getsockname()[1]
        self.served = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> _Greeter:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"hello\n")
            self.served += 1
