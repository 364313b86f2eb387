"""States: a tree under construction together with the settings of processes that will run in it.

A functional builder in the manner of BuildKit's `llb.State`: every method gives a new state and leaves the old one as
it was. `state.seal()` makes the finished graph. Knows nothing of Dockerfiles.

    base = image("docker.io/library/alpine:latest", platform=LlbPlatform("linux", "amd64"))
    built = base.with_env("A", "1").run(("/bin/sh", "-c", "true"))
    edge = built.seal()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bakehouse.go.paths import clean_path
from bakehouse.llb import caps, sources
from bakehouse.llb.draft import Constraints, Node, Output, SealDefaults, finish, seal
from bakehouse.llb.env import EnvList
from bakehouse.llb.files import CopyFrom, FileNode, Step
from bakehouse.llb.ops import (
    NETWORK_SANDBOX,
    SECURITY_SANDBOX,
    CdiDevice,
    Copy,
    DiffOp,
    Edge,
    LlbPlatform,
    MergeOp,
    Meta,
    ProxyEnv,
    Ulimit,
    Vertex,
)
from bakehouse.llb.platforms import local_platform, normalized
from bakehouse.llb.runs import RunMount, RunNode, RunSecret, RunSsh
from bakehouse.llb.sources import GitOptions
from bakehouse.values import dataclass, field, replace

NO_CONSTRAINTS = Constraints()


@dataclass(frozen=True, slots=True)
class State:
    """A tree (`output` None: empty) and process settings. `platform` None: the graph's default when sealed."""

    output: Output | None = None
    env: EnvList = field(default_factory=EnvList)
    directory: str = "/"
    user: str = ""
    hostname: str = ""
    network: int = NETWORK_SANDBOX
    security: int = SECURITY_SANDBOX
    platform: LlbPlatform | None = None

    @classmethod
    def of(cls, output: Output | None) -> "State":
        """A state with default settings on `output`, and the platform that the output decides."""
        return cls().with_output(output)

    def with_output(self, output: Output | None) -> "State":
        """The same settings on another tree."""
        platform = output.platform if output is not None else None
        if platform is None:
            return replace(self, output=output)
        return replace(self, output=output, platform=normalized(platform))

    def with_env(self, key: str, value: str) -> "State":
        return replace(self, env=self.env.with_value(key, value))

    def with_directory(self, path: str) -> "State":
        """Relative paths are below the current directory."""
        if not path.startswith("/"):
            path = clean_path(f"{self.directory or '/'}/{path}")
        return replace(self, directory=path)

    def with_user(self, user: str) -> "State":
        return replace(self, user=user)

    def with_hostname(self, hostname: str) -> "State":
        return replace(self, hostname=hostname)

    def with_network(self, network: int) -> "State":
        return replace(self, network=network)

    def with_platform(self, platform: LlbPlatform) -> "State":
        return replace(self, platform=normalized(platform))

    def files(self, steps: Sequence[Step], constraints: Constraints = NO_CONSTRAINTS) -> "State":
        """The tree after the file actions `steps`, done in order as one op."""
        return self.with_output(Output(FileNode(self.output, self.directory, steps, constraints)))

    def copy_from(self, action: Copy) -> CopyFrom:
        """A step that copies out of this state's tree."""
        return CopyFrom(action, self.output, self.directory)

    def run(
        self,
        args: Sequence[str],
        constraints: Constraints = NO_CONSTRAINTS,
        *,
        mounts: Sequence[RunMount] = (),
        secrets: Sequence[RunSecret] = (),
        ssh: Sequence[RunSsh] = (),
        devices: Sequence[CdiDevice] = (),
        network: int | None = None,
        security: int | None = None,
        proxy: ProxyEnv | None = None,
        extra_hosts: Sequence[tuple[str, str]] = (),
        ulimits: Sequence[Ulimit] = (),
        cgroup_parent: str = "",
        root_readonly: bool = False,
        valid_exit_codes: Sequence[int] = (),
    ) -> "State":
        """The tree that the process `args` leaves; `network` and `security` None: as the state says."""
        meta = Meta(
            args=tuple(args),
            env=self.env.as_list(),
            cwd=self.directory,
            user=self.user,
            proxy_env=proxy,
            extra_hosts=tuple(extra_hosts),
            hostname=self.hostname,
            ulimits=tuple(ulimits),
            cgroup_parent=cgroup_parent,
            remove_mount_stubs_recursive=True,
            valid_exit_codes=tuple(valid_exit_codes),
        )
        node = RunNode(
            self.output,
            meta,
            constraints,
            root_readonly=root_readonly,
            platform=self.platform,
            mounts=mounts,
            secrets=secrets,
            ssh=ssh,
            devices=devices,
            network=self.network if network is None else network,
            security=self.security if security is None else security,
        )
        if root_readonly:
            return self
        return self.with_output(Output(node, node.output_index("/"), constraints.platform))

    def seal(self, defaults: SealDefaults | None = None) -> Edge | None:
        """The finished graph; None for an empty tree."""
        if defaults is None:
            defaults = SealDefaults(local_platform())
        return seal(self.output, defaults)


def scratch() -> State:
    """The empty tree."""
    return State()


def image(
    ref: str,
    *,
    platform: LlbPlatform | None = None,
    resolve_mode: str = sources.RESOLVE_DEFAULT,
    constraints: Constraints = NO_CONSTRAINTS,
) -> State:
    """An image by its fully normalised reference. Its config is not looked up."""
    if platform is not None:
        constraints = replace(constraints, platform=platform)
    return State.of(sources.image(ref, constraints, resolve_mode=resolve_mode))


def local(
    name: str,
    *,
    session_id: str = "",
    include_patterns: Sequence[str] = (),
    follow_paths: Sequence[str] = (),
    exclude_patterns: Sequence[str] = (),
    shared_key_hint: str = "",
    differ: str = "",
    constraints: Constraints = NO_CONSTRAINTS,
) -> State:
    """A directory of the client."""
    return State.of(
        sources.local(
            name,
            constraints,
            session_id=session_id,
            include_patterns=include_patterns,
            follow_paths=follow_paths,
            exclude_patterns=exclude_patterns,
            shared_key_hint=shared_key_hint,
            differ=differ,
        )
    )


def http(
    url: str, *, filename: str = "", checksum: str = "", constraints: Constraints = NO_CONSTRAINTS
) -> State:
    """A file from the web."""
    return State.of(sources.http(url, constraints, filename=filename, checksum=checksum))


def git(
    url: str,
    options: GitOptions | None = None,
    *,
    known_hosts: Callable[[str], str] | None = None,
    constraints: Constraints = NO_CONSTRAINTS,
) -> State:
    """A git repository."""
    return State.of(sources.git(url, constraints, options or GitOptions(), known_hosts=known_hosts))


def oci_layout(
    ref: str, *, session_id: str = "", store_id: str = "", constraints: Constraints = NO_CONSTRAINTS
) -> State:
    """An image in an OCI layout of the client."""
    return State.of(sources.oci_layout(ref, constraints, session_id=session_id, store_id=store_id))


class _MergeNode(Node):
    def __init__(self, inputs: Sequence[Output], constraints: Constraints) -> None:
        self.inputs = tuple(inputs)
        self.constraints = constraints.with_caps(caps.MERGE_OP)

    def dependencies(self) -> Sequence[Output]:
        return self.inputs

    def seal(self, edges: Callable[[Output], Edge], defaults: SealDefaults) -> Vertex:
        op = MergeOp(tuple(range(len(self.inputs))))
        return finish(op, [edges(output) for output in self.inputs], self.constraints)


class _DiffNode(Node):
    def __init__(self, lower: Output, upper: Output | None, constraints: Constraints) -> None:
        self.inputs = (lower,) if upper is None else (lower, upper)
        self.constraints = constraints.with_caps(caps.DIFF_OP)

    def dependencies(self) -> Sequence[Output]:
        return self.inputs

    def seal(self, edges: Callable[[Output], Edge], defaults: SealDefaults) -> Vertex:
        op = DiffOp(0, len(self.inputs) - 1 if len(self.inputs) > 1 else -1)
        return finish(op, [edges(output) for output in self.inputs], self.constraints)


def merge(states: Sequence[State], constraints: Constraints = NO_CONSTRAINTS) -> State:
    """The trees laid over each other, the first lowest. Empty trees are dropped; a single one is returned as it is.
    The settings are those of the first tree that is not empty."""
    filled = [state for state in states if state.output is not None]
    if len(filled) < 2:
        return filled[0] if filled else scratch()
    outputs = [state.output for state in filled if state.output is not None]
    return filled[0].with_output(Output(_MergeNode(outputs, constraints)))


def diff(lower: State, upper: State, constraints: Constraints = NO_CONSTRAINTS) -> State:
    """What `upper` changes with respect to `lower`."""
    if lower.output is None:
        return upper if upper.output is not None else scratch()
    return lower.with_output(Output(_DiffNode(lower.output, upper.output, constraints)))
