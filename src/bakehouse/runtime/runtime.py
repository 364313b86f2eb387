"""`OciRuntime`: runs steps, one container each, with the runtime that `discovery` found.

Any thread may run steps. What a run mounts and starts belongs to the calling thread's mount namespace, which should be
the engine's own (`runtime.namespace.private_mounts`).
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bakehouse.errors import CancelledError, EnvironmentFault, ExecutionError
from bakehouse.linux.locks import FileLock
from bakehouse.linux.mounts import MNT_DETACH, MS_BIND, MS_NODEV, MS_REMOUNT, bind, mount, umount
from bakehouse.runtime.cgroups import (
    group_path,
    kill_and_remove,
    missing_controllers,
    remove_container_group,
)
from bakehouse.runtime.container import ContainerCommand, Outcome, global_options, run_container
from bakehouse.runtime.discovery import RuntimeBinary, find_runtime
from bakehouse.runtime.foreground import Foreground
from bakehouse.runtime.logs import in_the_words_of_runc, last_error, late_error, names_missing_permission
from bakehouse.runtime.machine import inspect_machine
from bakehouse.runtime.namespace import (
    HYBRID_CONTROLLERS,
    mount_namespace_id,
    no_namespaces,
    private_mounts,
    shares_mounts_with_parent,
)
from bakehouse.runtime.network import NetworkPool, SandboxNetwork, sandbox_resolv_conf
from bakehouse.runtime.resolvconf import host_network_conf, hosts_file, own_network_conf
from bakehouse.runtime.rootpath import resolve_in_root
from bakehouse.runtime.scratch import Scratch
from bakehouse.runtime.seccomp_bpf import compiled_filter
from bakehouse.runtime.spec import Placement, build_spec, hides_sys, seccomp_profile
from bakehouse.runtime.step import (
    NETWORK_NONE,
    NETWORK_SANDBOX,
    SECURITY_SANDBOX,
    Cancel,
    OnOutput,
    OnWarning,
    Step,
)
from bakehouse.runtime.stubs import MountStubs, make_directories
from bakehouse.runtime.users import StepUser, resolve_user
from bakehouse.runtime.workspace import Bundle, Workspace, sweep_dead_engines

_STDERR = 2
_PROBE = "/.bakehouse-probe"


class OciRuntime:
    """Runs steps. Thread-safe. `close` it at the end; a killed engine is cleaned up after by its watchdog.

    In `state_dir`: `runtimes.json` (verdicts of `discovery`), `engines/TOKEN` (locked while an engine lives) and
    `scratch` (mount point of the scratch directory).
    """

    def __init__(self, environ: Mapping[str, str], state_dir: Path) -> None:
        """Use `discover`."""
        self._environ = {"PATH": environ.get("PATH", os.defpath)}
        self._state_dir = state_dir
        self._lock = threading.Lock()
        self._workspaces: dict[str, Workspace] = {}
        self._machine = inspect_machine()
        self._network = NetworkPool(environ)
        self._warned = False
        self._token = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._engines = state_dir / "engines"
        self._engines.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep_dead_engines(self._engines, self._machine.cgroups.hierarchies)
        self._life = FileLock.acquire(self._engines / self._token)
        self._binary = RuntimeBinary("", "runc")
        self._seccomp: str | None = None

    @classmethod
    def discover(cls, environ: Mapping[str, str], state_dir: Path) -> OciRuntime:
        """Finds a working runtime (`$BAKEHOUSE_RUNTIME`, crun, runc, buildkit-runc). Call it at the first RUN.

        `state_dir` is a directory of the engine's own, created when missing. Takes well under a millisecond once the
        verdict is known, some 20 ms before. Raises `EnvironmentFault`: `no-oci-runtime`, `no-namespaces`.
        """
        state_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        runtime = cls(environ, state_dir.resolve())
        try:
            runtime._binary = find_runtime(environ, runtime._state_dir, runtime._probe)
            runtime._compile_seccomp()
        except BaseException:
            runtime.close()
            raise
        return runtime

    @property
    def binary(self) -> RuntimeBinary:
        return self._binary

    def scratch(self) -> Scratch:
        """The directory in memory for secrets and sockets that steps mount, in the calling thread's namespace."""
        return self._workspace().scratch

    def run(
        self,
        step: Step,
        on_output: OnOutput,
        cancel: Cancel,
        on_warning: OnWarning | None = None,
        foreground: Foreground | None = None,
    ) -> int:
        """Runs `step` to its end and returns its exit code (128 + N when signal N killed it).

        `foreground` is for what a person runs: standard input, a terminal, signals.

        Output goes to `on_output` as it comes. Afterwards `step.rootfs` holds what the step wrote, without mount
        stubs, and nothing of the step is running or mounted, whether it ended, failed or was cancelled.

        Raises `CancelledError` (all processes of the step are dead), `ExecutionError` for a user or working
        directory that the root does not allow, `EnvironmentFault` when the sandbox is forbidden (`no-namespaces`) or
        its limits cannot be kept (`limits-impossible`).
        An executable that is missing is reported as BuildKit does: a line on standard error and exit code 1.
        """
        if cancel.cancelled:
            raise CancelledError
        self._require_controllers(step)
        workspace = self._workspace()
        hierarchies = self._machine.cgroups.hierarchies if self._machine.cgroups.usable else ()
        workspace.guard(self._binary.path, hierarchies, self._environ)
        rootfs = os.path.realpath(step.rootfs)
        with ExitStack() as stack:
            bundle = stack.enter_context(workspace.bundle())
            network = stack.enter_context(self._network_for(step, on_warning))
            stubs = MountStubs(
                rootfs,
                [mount.dest for mount in step.mounts],
                recursive=step.remove_mount_stubs_recursive,
            )
            stack.callback(stubs.remove)
            user = resolve_user(rootfs, step.user)
            stubs.make_directories(
                [(mount.dest, mount.source is None or mount.source.is_dir()) for mount in step.mounts]
            )
            _make_working_directory(rootfs, step.cwd, user)
            place = Placement(
                container_id=stack.enter_context(workspace.container()),
                rootfs=stack.enter_context(self._without_devices(Path(rootfs), bundle)),
                hosts=bundle.hosts,
                resolv_conf=bundle.resolv_conf,
                netns=network.path if network else None,
                host_network=network is None and step.network != NETWORK_NONE,
                compiled_seccomp=self._seccomp,
            )
            _write_network_files(step, place)
            return self._run_contained(step, user, place, bundle, on_output, cancel, foreground)

    def close(self) -> None:
        """Ends networks and watchdogs and removes what this engine made. No step may be running. Idempotent."""
        self._network.close()
        with self._lock:
            workspaces, self._workspaces = list(self._workspaces.values()), {}
        for workspace in workspaces:
            workspace.close()
        if self._life is not None:
            if self._machine.cgroups.usable:
                kill_and_remove(self._machine.cgroups.hierarchies, self._token)
            (self._engines / self._token).unlink(missing_ok=True)
            self._life.release()
            self._life = None

    def _require_controllers(self, step: Step) -> None:
        """A limit that would not hold is an error: whoever sets one counts on it."""
        missing = missing_controllers(self._machine.cgroups, step.limits.controllers)
        if missing:
            raise EnvironmentFault(
                f"resource limits need the cgroup controllers {', '.join(missing)}, which are not there for us",
                code="limits-impossible",
                hint="Run as root with a writable /sys/fs/cgroup, or leave the limits out.",
            )

    def _compile_seccomp(self) -> None:
        if self._binary.kind == "crun" and self._machine.seccomp:
            self._seccomp = compiled_filter(seccomp_profile(self._machine), self._state_dir)

    def _workspace(self) -> Workspace:
        """The workspace of the calling thread's mount namespace, which is made private first if it is not yet."""
        with self._lock:
            known = self._workspaces.pop(mount_namespace_id(), None)
            if known is not None and known.scratch.state.is_dir():
                self._workspaces[mount_namespace_id()] = known
                return known
            if known is not None:
                # The kernel gives a dead namespace's number to a new one.
                known.close()
            if shares_mounts_with_parent():
                private_mounts()
            workspace = Workspace(Scratch(self._state_dir / "scratch"), self._token, self._numbers)
            self._workspaces[mount_namespace_id()] = workspace
            return workspace

    def _run_contained(
        self,
        step: Step,
        user: StepUser,
        place: Placement,
        bundle: Bundle,
        on_output: OnOutput,
        cancel: Cancel,
        foreground: Foreground | None,
    ) -> int:
        bundle.config.write_text(json.dumps(build_spec(step, user, self._machine, place)), encoding="utf-8")
        command = self._command(self._binary, place, bundle)
        try:
            outcome = run_container(command, on_output, cancel, foreground)
        except BaseException:
            if self._machine.cgroups.usable:
                group = group_path(place.container_id, step.cgroup_parent)
                remove_container_group(self._machine.cgroups.hierarchies, group)
            raise
        error = self._explain(outcome, step, bundle, command, on_output)
        if error and foreground is not None:
            foreground.not_started(error)
        if hides_sys(self._machine, place):
            # BuildKit's rule: the mount points that a rootful step leaves behind do not depend on the mode.
            make_directories(os.fspath(step.rootfs), "/sys")
        return outcome.exit_code if foreground is None else foreground.exit_code(outcome.exit_code)

    def _command(self, binary: RuntimeBinary, place: Placement, bundle: Bundle) -> ContainerCommand:
        options = global_options(
            binary.path,
            binary.kind,
            self._workspace().scratch.state,
            bundle.log,
            cgroups=self._machine.cgroups.usable,
        )
        return ContainerCommand(options, place.container_id, bundle.path, bundle.pid_file, self._environ)

    def _explain(
        self,
        outcome: Outcome,
        step: Step,
        bundle: Bundle,
        command: ContainerCommand,
        on_output: OnOutput,
    ) -> str:
        """Passes the runtime's own complaint on, in runc's words, and returns it; raises when the machine forbids
        sandboxes."""
        message = (last_error(bundle.log) or late_error(outcome.held_back)) if outcome.exit_code else ""
        if not message:
            if outcome.held_back:
                on_output(_STDERR, outcome.held_back)
            return ""
        command.delete()
        if names_missing_permission(message):
            raise no_namespaces(f"{os.path.basename(self._binary.path)} may not make them: {message}")
        if outcome.held_back:
            text = in_the_words_of_runc(message, step.args[0] if step.args else "")
            on_output(_STDERR, text.encode("utf-8", "surrogateescape") + b"\n")
        return message

    @contextmanager
    def _network_for(self, step: Step, on_warning: OnWarning | None) -> Iterator[SandboxNetwork | None]:
        """Lends a prepared network to a step that wants one."""
        if step.network != NETWORK_SANDBOX:
            yield None
            return
        network = self._network.acquire()
        if network is None:
            self._warn_of_shared_network(on_warning)
            yield None
            return
        reusable = False
        try:
            yield network
            reusable = step.security == SECURITY_SANDBOX
        finally:
            self._network.release(network, reusable=reusable)

    def _warn_of_shared_network(self, on_warning: OnWarning | None) -> None:
        with self._lock:
            first, self._warned = not self._warned, True
        if first and on_warning is not None:
            on_warning(
                f"RUN steps share this machine's network: {self._network.unavailable}. "
                "Install slirp4netns (and give access to /dev/net/tun) for a network of their own."
            )

    @contextmanager
    def _without_devices(self, rootfs: Path, bundle: Bundle) -> Iterator[Path]:
        """Where no device controller guards the machine's devices, device nodes of the root are made inert."""
        if self._machine.cgroups.usable or self._machine.in_user_namespace:
            yield rootfs
            return
        bind(rootfs, bundle.rootfs, recursive=True)
        try:
            mount(None, bundle.rootfs, None, MS_BIND | MS_REMOUNT | MS_NODEV)
            yield bundle.rootfs
        finally:
            umount(bundle.rootfs, MNT_DETACH)

    def _probe(self, binary: RuntimeBinary) -> str:
        """What is wrong with `binary`; empty when it builds a sandbox (see `discovery`)."""
        workspace = self._workspace()
        with workspace.bundle() as bundle, workspace.container() as container_id:
            root = workspace.scratch.bundles / f"probe-{container_id}"
            root.mkdir()
            step = Step(args=(_PROBE,), rootfs=root, network=NETWORK_NONE)
            place = Placement(container_id, root, bundle.hosts, bundle.resolv_conf)
            _write_network_files(step, place)
            spec = build_spec(step, StepUser(0, 0, (0,)), self._machine, place)
            bundle.config.write_text(json.dumps(spec), encoding="utf-8")
            said: list[bytes] = []
            command = self._command(binary, place, bundle)
            try:
                outcome = run_container(command, lambda _, data: said.append(data), _Never())
            except OSError as error:
                return f"cannot be started: {error.strerror}"
            message = last_error(bundle.log) or b"".join([*said, outcome.held_back]).decode(errors="replace")
            if _PROBE in message:
                return ""
            command.delete()
            if os.path.exists(HYBRID_CONTROLLERS) and "hybrid" in message:
                return "it refuses this machine's mixed cgroup hierarchies"
            return message.strip() or f"exit code {outcome.exit_code}"


class _Never:
    """A cancellation that nobody triggers."""

    cancelled = False

    def on_cancel(self, callback: object) -> _NoUndo:
        return _NoUndo()


class _NoUndo:
    def __call__(self) -> None:
        return None


def _make_working_directory(rootfs: str, cwd: str, user: StepUser) -> None:
    """Creates a missing working directory, 0755 and the user's own (dockerfile.md §8.1)."""
    try:
        path = resolve_in_root(rootfs, cwd or "/")
        if not os.path.lexists(path):
            make_directories(rootfs, cwd, user.uid, user.gid)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentFault(
                f"no space left to create the working directory {cwd}", code="disk-full"
            ) from error
        raise ExecutionError(
            f"failed to create working directory {cwd}: {error.strerror}",
            exit_code_of_step=1,
            code="working-directory",
            hint="a file or a loop of symbolic links is in the way; choose another WORKDIR",
        ) from error


def _write_network_files(step: Step, place: Placement) -> None:
    """hosts and resolv.conf, fresh for every step: a laptop's servers change during a build."""
    if place.netns is not None:
        conf = sandbox_resolv_conf()
    elif place.host_network:
        conf = host_network_conf()
    else:
        conf = own_network_conf()
    for path, text in ((place.resolv_conf, conf), (place.hosts, hosts_file(step.hostname, step.extra_hosts))):
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
        path.chmod(0o644)
