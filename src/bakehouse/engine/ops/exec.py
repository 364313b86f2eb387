"""The ExecOp: one RUN step (engine.md §3, §8.2-§8.4).

Role: put the pieces of a step together: its cache key (`exec_key`), mounts (`exec_mounts`), log (`exec_output`) and
the container (`runtime`). What a container is does not belong here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bakehouse.engine.ops.cachemounts import CacheMounts, CacheResets
from bakehouse.engine.ops.exec_key import exec_cache_map
from bakehouse.engine.ops.exec_output import LogLimits
from bakehouse.engine.tree import EngineContext, Tree
from bakehouse.errors import DefinitionError, DeniedError, ExecutionError, InternalError, NotFoundError
from bakehouse.go.text import quote
from bakehouse.llb.ops import (
    NETWORK_HOST,
    NETWORK_NONE,
    NETWORK_SANDBOX,
    SECURITY_INSECURE,
    SECURITY_SANDBOX,
    ExecOp,
    ProxyEnv,
    Vertex,
)
from bakehouse.progress.events import WarningEvent
from bakehouse.runtime import step as steps
from bakehouse.runtime.step import Step, StepLimits, StepMount
from bakehouse.solver.model import CacheMap, RunContext
from bakehouse.values import dataclass, field

if TYPE_CHECKING:
    from bakehouse.engine.ops.exec_mounts import PreparedMounts
    from bakehouse.engine.ops.exec_output import StepLog
    from bakehouse.runtime import OciRuntime

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_NETWORKS = {
    NETWORK_SANDBOX: steps.NETWORK_SANDBOX,
    NETWORK_HOST: steps.NETWORK_HOST,
    NETWORK_NONE: steps.NETWORK_NONE,
}
_SECURITIES = {
    SECURITY_SANDBOX: steps.SECURITY_SANDBOX,
    SECURITY_INSECURE: steps.SECURITY_INSECURE,
}
_EXIT_KILLED = 137


@dataclass(frozen=True, slots=True)
class ExecOptions:
    """Settings of a build that its steps obey. Share one value among all operations of a build.

    `entitlements`: what was granted (`network.host`, `security.insecure`); None leaves the check to the caller.
    `search_path`: PATH of this machine, for emulators. `cache_resets` belongs to one build.
    """

    log_limits: LogLimits = field(default_factory=LogLimits)
    entitlements: frozenset[str] | None = None
    search_path: str = ""
    cache_resets: CacheResets = field(default_factory=CacheResets)

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], entitlements: frozenset[str] | None = None
    ) -> ExecOptions:
        """Log limits from `BUILDKIT_STEP_LOG_MAX_SIZE` and `…_SPEED`."""
        return cls(LogLimits.from_environ(environ), entitlements, environ.get("PATH", ""))


class ExecOperation:
    """One ExecOp made executable (`solver.model.Operation`). Nothing of a runtime is touched before `run`."""

    def __init__(
        self,
        vertex: Vertex,
        context: EngineContext,
        runtime_provider: Callable[[], OciRuntime],
        options: ExecOptions,
    ) -> None:
        if not isinstance(vertex.op, ExecOp):
            raise InternalError("ExecOperation was given another op; please report this")
        self._vertex = vertex
        self._op: ExecOp = vertex.op
        self._context = context
        self._runtime_provider = runtime_provider
        self._options = options

    def cache_map(self, context: RunContext) -> CacheMap:
        return exec_cache_map(self._op, self._vertex.platform, len(self._vertex.inputs))

    def run(self, context: RunContext, inputs: Sequence[Tree]) -> list[Tree]:
        """One tree for each output. Raises `ExecutionError` when the process fails, with the end of its output,
        `CancelledError`, and what mounts and runtime raise. Leaves nothing running, mounted or half-made."""
        from bakehouse.engine.ops.exec_mounts import MountPreparer

        context.cancel.check()
        self._check_granted()
        self._check_devices()
        runtime = self._runtime_provider()
        self._reset_caches()
        with ExitStack() as stack:
            preparer = MountPreparer(
                self._op, inputs, self._context, runtime.scratch(), context.cancel, stack
            )
            prepared = preparer.prepare()
            self._execute(runtime, prepared, context)
            return [output() for output in prepared.outputs]

    def _execute(self, runtime: OciRuntime, prepared: PreparedMounts, context: RunContext) -> None:
        from bakehouse.engine.ops.exec_output import StepLog

        log = StepLog(context.reporter.log, self._options.log_limits)
        try:
            step = self._step(prepared)
            code = runtime.run(step, log.write, context.cancel, lambda text: self._warn(context, text))
        except ExecutionError as error:
            raise self._failed(
                f"{error.message}", error.exit_code_of_step, log, error.code, error.hint
            ) from error
        if code not in (self._op.meta.valid_exit_codes or (0,)):
            log.flush()
            raise self._failed(f"exit code: {code}", code, log, None, self._hint(code))

    def _failed(
        self, why: str, code: int, log: StepLog, error_code: str | None, hint: str | None
    ) -> ExecutionError:
        command = quote(" ".join(self._op.meta.args))
        error = ExecutionError(
            f"process {command} did not complete successfully: {why}",
            exit_code_of_step=code,
            code=error_code,
            hint=hint,
        )
        error.log_tail = log.tail()
        return error

    def _hint(self, code: int) -> str | None:
        from bakehouse.engine.ops.exec_emulator import runs_natively

        platform = self._vertex.platform
        if platform is not None and not runs_natively(platform):
            return (
                f"this machine has no emulator for {platform.os}/{platform.architecture}: install qemu-user-static and "
                "binfmt support, or build for another platform"
            )
        if code == _EXIT_KILLED:
            return "the process was killed; the machine or its control group may be out of memory"
        return None

    def _step(self, prepared: PreparedMounts) -> Step:
        from bakehouse.engine.ops.exec_emulator import EMULATOR_DEST

        meta = self._op.meta
        args, mounts = meta.args, prepared.mounts
        emulator = self._emulator()
        if emulator is not None:
            args = (EMULATOR_DEST, *args)
            mounts = (*mounts, StepMount("bind", emulator, EMULATOR_DEST, ("bind", "ro")))
        return Step(
            args=args,
            rootfs=prepared.root,
            env=self._environment(),
            cwd=meta.cwd or "/",
            user=meta.user,
            mounts=mounts,
            network=_NETWORKS[self._op.network],
            security=_SECURITIES[self._op.security],
            hostname=meta.hostname,
            extra_hosts=meta.extra_hosts,
            ulimits=tuple((limit.name, limit.soft, limit.hard) for limit in meta.ulimits),
            readonly_rootfs=prepared.readonly_root,
            cgroup_parent=meta.cgroup_parent,
            remove_mount_stubs_recursive=meta.remove_mount_stubs_recursive,
            limits=self._limits(),
        )

    def _limits(self) -> StepLimits:
        limits = self._vertex.metadata.resources
        if limits is None:
            return StepLimits()
        return StepLimits(
            memory=limits.memory,
            memory_swap=limits.memory_swap,
            cpu_shares=limits.cpu_shares,
            cpu_period=limits.cpu_period,
            cpu_quota=limits.cpu_quota,
            cpuset_cpus=limits.cpuset_cpus,
            cpuset_mems=limits.cpuset_mems,
        )

    def _emulator(self) -> Path | None:
        from bakehouse.engine.ops.exec_emulator import find_emulator, runs_natively

        platform = self._vertex.platform
        if platform is None or runs_natively(platform):
            return None
        return find_emulator(platform, {"PATH": self._options.search_path})

    def _environment(self) -> tuple[str, ...]:
        """The step's own variables, proxies, a default PATH, secrets, in BuildKit's order."""
        env = [*self._op.meta.env, *_proxy_environment(self._op.meta.proxy_env)]
        if not any(entry.startswith("PATH=") for entry in env):
            env.append(f"PATH={DEFAULT_PATH}")
        return (*env, *self._secret_environment())

    def _secret_environment(self) -> list[str]:
        """An optional secret that the client does not have still sets its variable, to nothing."""
        from bakehouse.engine.ops.exec_mounts import secret_not_found

        entries = []
        for secret in self._op.secret_env:
            if not secret.id:
                raise DefinitionError(
                    f'secret ID missing for "{secret.name}" environment variable', code="invalid-mount"
                )
            data = self._context.session.secret(secret.id)
            if data is None and not secret.optional:
                raise secret_not_found(secret.id)
            value = (data or b"").decode("utf-8", "surrogateescape")
            if "\0" in value:
                raise DefinitionError(
                    f"secret {secret.id}: holds a NUL byte, which no environment variable can",
                    code="secret-not-text",
                    hint="mount it as a file instead",
                )
            entries.append(f"{secret.name}={value}")
        return entries

    def _check_granted(self) -> None:
        """Steps that reach beyond the sandbox need a word from the user."""
        granted = self._options.entitlements
        if granted is None:
            return
        wanted = []
        if self._op.network == NETWORK_HOST:
            wanted.append("network.host")
        if self._op.security == SECURITY_INSECURE:
            wanted.append("security.insecure")
        for name in wanted:
            if name not in granted:
                raise DeniedError(
                    f"{name} is not allowed", code="entitlement-missing", hint=f"grant it with --allow {name}"
                )

    def _check_devices(self) -> None:
        """Devices come from CDI specifications, which this engine does not read: an optional one is left out."""
        for device in self._op.cdi_devices:
            if not device.optional:
                raise NotFoundError(
                    f"required device {quote(device.name)} is not registered",
                    code="device-not-registered",
                    hint="build on a BuildKit builder that has the device",
                )

    def _reset_caches(self) -> None:
        if not self._vertex.metadata.ignore_cache:
            return
        caches = CacheMounts(self._context.store)
        for mount in self._op.mounts:
            if mount.cache is not None:
                self._options.cache_resets.reset_once(mount.cache.id, caches)

    def _warn(self, context: RunContext, text: str) -> None:
        context.reporter.warn(WarningEvent(self._vertex.digest, text))


def _proxy_environment(proxy: ProxyEnv | None) -> list[str]:
    if proxy is None:
        return []
    pairs = (
        ("http_proxy", proxy.http_proxy),
        ("https_proxy", proxy.https_proxy),
        ("ftp_proxy", proxy.ftp_proxy),
        ("no_proxy", proxy.no_proxy),
        ("all_proxy", proxy.all_proxy),
    )
    return [f"{name}={value}" for key, value in pairs if value for name in (key.upper(), key)]
