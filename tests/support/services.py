"""Real services on loopback for a test session: a registry, a buildkitd. Each stops what it started, by process id."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import bases
from tests.support.paths import peer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def stop(process: subprocess.Popen[bytes], timeout_s: float = 10) -> None:
    """Ends a process that we started: politely, then by force. Closes its pipes."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


@dataclass(frozen=True)
class Registry:
    """A running docker-registry: `host` is `127.0.0.1:PORT`."""

    host: str
    root: Path
    log: Path

    def push_layout(self, layout: Path, name: str) -> None:
        """Pushes the image `latest` of an OCI layout with skopeo, under `library/NAME` when NAME has no slash."""
        repository = name if "/" in name else f"library/{name}"
        subprocess.run(
            [
                "skopeo",
                "copy",
                "--quiet",
                "--insecure-policy",
                "--dest-tls-verify=false",
                f"oci:{layout}:latest",
                f"docker://{self.host}/{repository}",
            ],
            check=True,
            capture_output=True,
        )

    def push_bases(self, keys: set[str] | None = None) -> None:
        """Serves the base images under every one of their names."""
        for base in bases.IMAGES:
            if keys is None or base.key in keys:
                for name in base.names:
                    self.push_layout(bases.layout(base), name)

    def get(self, path: str, accept: str = "*/*") -> bytes:
        request = urllib.request.Request(f"http://{self.host}/v2/{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=10) as response:
            data: bytes = response.read()
            return data


@contextmanager
def running_registry(root: Path) -> Iterator[Registry]:
    """Debian's docker-registry on a free port, storing below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = root / "config.yml"
    config.write_text(
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {root / 'data'}}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    log = root / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=output, stderr=output, start_new_session=True
        )
    try:
        registry = Registry(f"127.0.0.1:{port}", root, log)
        wait_until(lambda: registry.get("") is not None, process, log)
        yield registry
    finally:
        stop(process)


def wait_until(ready: object, process: subprocess.Popen[bytes], log: Path, timeout_s: float = 30) -> None:
    assert callable(ready)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if ready():
                return
        except (OSError, subprocess.CalledProcessError):
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"service did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def wait_for_port(port: int, timeout_s: float = 20) -> None:
    """Waits until somebody listens on `port` of loopback. Raises `OSError` when nobody does in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@dataclass(frozen=True)
class BuildKit:
    """A running private buildkitd. `address` is its unix:// URL."""

    address: str
    root: Path
    pid: int
    buildx_config: Path

    def buildctl(
        self, *arguments: str, check: bool = True, **options: object
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(peer("buildctl")), "--addr", self.address, *arguments],
            check=check,
            capture_output=True,
            text=True,
            **options,  # type: ignore[call-overload]
        )

    def prune(self) -> None:
        self.buildctl("prune", "--all")

    def build(
        self, context: Path, output: str, *options: str, dockerfile: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Builds with the daemon's own Dockerfile frontend. `options` are `--opt` values (`build-arg:A=1`)."""
        arguments = ["build", "--frontend", "dockerfile.v0", "--progress=plain"]
        arguments += ["--local", f"context={context}", "--local", f"dockerfile={dockerfile or context}"]
        arguments += ["--output", output]
        for option in options:
            arguments += [option] if option.startswith("--") else ["--opt", option]
        return self.buildctl(*arguments, check=check)

    def buildx(
        self, *arguments: str, env: Mapping[str, str] | None = None, **options: object
    ) -> subprocess.CompletedProcess[str]:
        """Runs buildx against this daemon, with `env` besides the environment of the tests."""
        environ = dict(os.environ) | {"BUILDX_CONFIG": str(self.buildx_config)} | dict(env or {})
        return subprocess.run(
            [str(peer("buildx")), *arguments],
            capture_output=True,
            text=True,
            # What a step prints need not be text.
            errors="surrogateescape",
            env=environ,
            **options,  # type: ignore[call-overload]
        )


@contextmanager
def running_buildkit(root: Path, registry: Registry | None) -> Iterator[BuildKit]:
    """A buildkitd of our own with its state below `root`, the registry serving as mirror of docker.io."""
    root.mkdir(parents=True, exist_ok=True)
    config = root / "buildkitd.toml"
    text = 'insecure-entitlements = ["network.host", "security.insecure"]\n'
    if registry is not None:
        text += f'[registry."docker.io"]\nmirrors = ["{registry.host}"]\n'
        text += f'[registry."{registry.host}"]\nhttp = true\n'
    config.write_text(text)
    # A socket's path may have 107 bytes, and pytest's folders are long.
    socket_dir = Path("/tmp") / f"bkh-{os.getpid()}-{free_port()}"
    socket_dir.mkdir(mode=0o700)
    address = f"unix://{socket_dir}/b.sock"
    log = root / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [
                str(peer("buildkitd")),
                f"--config={config}",
                f"--root={root / 'state'}",
                f"--addr={address}",
                # By default all daemons of root listen on one path, and two that start at once collide.
                f"--otel-socket-path={socket_dir}/otel.sock",
                "--oci-worker-net=host",
                "--oci-worker-snapshotter=overlayfs",
                "--oci-worker-gc=false",
            ],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    buildx_config = root / "buildx"
    try:
        daemon = BuildKit(address, root, process.pid, buildx_config)
        wait_until(lambda: daemon.buildctl("debug", "workers").returncode == 0, process, log)
        buildx_config.mkdir(exist_ok=True)
        created = daemon.buildx("create", "--name", "peer", "--driver", "remote", "--use", address)
        if created.returncode:
            raise RuntimeError(created.stderr)
        yield daemon
    finally:
        stop(process)
        shutil.rmtree(socket_dir, ignore_errors=True)


def read_json(path: Path) -> object:
    return json.loads(path.read_text())
